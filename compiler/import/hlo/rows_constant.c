/* Rows of the table: constants and what counts. */
#include "compiler/import/hlo/rows.h"

#include "compiler/ir/graph/graph.h"

#include <string.h>

/* Elements that differ are a state, which is read once. */
static moire_value state_of(moire__hlo_call *c, const moire__hlo_literal *l) {
  moire__hlo_builder *b = c->builder;
  for (int i = 0; i < b->module->n_literals; i++) {
    if (b->module->literals[i] != l) continue;
    if (moire_value_is_null(b->literals[i]))
      b->literals[i] = moire_state_at(c->call.at, c->call.graph, l->name, moire__hlo_dtype(b, l->type),
                                      l->type->shape, moire_init_constant(0));
    return b->literals[i];
  }
  return moire__null(&c->call);
}

moire__argument moire__hlo_constant(moire__hlo_call *c, const moire__hlo_literal *l) {
  if (l->name) return (moire__argument){.kind = MOIRE__ARGUMENT_TENSOR, .value = state_of(c, l)};
  return moire__hlo_number(c, l->type, l->count ? l->re[0] : 0, l->count && l->im ? l->im[0] : 0);
}

static void constant(moire__hlo_call *c) {
  const moire__hlo_literal *l = c->op->literal;
  moire__hlo_type type = moire__hlo_result(c, 0);
  if (!l) moire__refuse(&c->call, "wanted dense<..>: print the text with its large constants");
  if (!l || c->call.why) return;
  if (l->loses) moire__refuse(&c->call, "holds whole numbers beyond 2^53, of which digits would be lost");
  if (!moire__shape_equal(&l->type->shape, &type.shape))
    moire__refuse(&c->call, "is of another shape than its type");
  if (c->call.why) return;
  c->call.result = moire__hlo_constant(c, l);
}

static void iota(moire__hlo_call *c) {
  moire__hlo_type type = moire__hlo_result(c, 0);
  const char *name = moire__find(&c->call, "dim") ? "dim" : "iota_dimension";
  int axis = moire__import_axis(&c->call, moire__integer(&c->call, name), type.shape.rank);
  if (c->call.why || !type.shape.rank) return;
  moire_value count = moire_iota_at(c->call.at, c->call.graph, type.shape, axis);
  moire__give(&c->call, moire_cast_at(c->call.at, count, type.dtype));
}

const moire__hlo_row moire__hlo_rows_constant[] = {
    {"stablehlo.constant", constant}, {"chlo.constant", constant}, {"stablehlo.iota", iota}, {NULL, NULL}};
