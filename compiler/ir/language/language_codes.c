/* The language: codebooks. */
#include "compiler/ir/language/language.h"

moire_value moire_nearest_code_at(moire_source at, moire_value x, moire_value codes) {
  return moire__emit_binary(at, MOIRE__OP_nearest_code, x, codes);
}

moire_value moire_straight_through_at(moire_source at, moire_value x, moire_value y) {
  if (moire_value_is_null(x) || moire_value_is_null(y)) return moire__null_like(x, y);
  if (moire_graph_mode(x.graph) == MOIRE_INFERENCE) return y;
  return moire_add_at(at, x, moire_stop_gradient_at(at, moire_sub_at(at, y, x)));
}

moire_ema moire_ema_update_at(moire_source at, moire_value sizes, moire_value sums, moire_value x,
                              moire_value rows, double decay, double epsilon) {
  moire_value operands[] = {sizes, sums, x, rows};
  for (int i = 0; i < 4; i++) {
    moire_value null = {operands[i].graph, 0};
    if (moire_value_is_null(operands[i])) return (moire_ema){null, null, null, null};
  }
  const moire__attr attrs[] = {moire__attr_make_real("decay", decay),
                               moire__attr_make_real("epsilon", epsilon)};
  moire_graph *g = x.graph;
  moire_value first = moire__graph_emit(g, at, MOIRE__OP_ema_update, operands, 4, attrs, 2);
  if (moire_value_is_null(first)) return (moire_ema){first, first, first, first};
  return (moire_ema){first, moire__value(g, first.id + 1), moire__value(g, first.id + 2),
                     moire__value(g, first.id + 3)};
}
