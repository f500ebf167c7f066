/* Sources that are computed where they are read: constant, iota, random_mask. */
#include "compiler/ir/loop/lower.h"
#include "ops/attention/attend.h"
#include "ops/parts.h"
#include "ops/support.h"

moire__loop_value moire__constant_source(moire__lowering *l, const moire__node *node, moire__index *index) {
  (void)index;
  moire__loop_builder *b = &l->builder;
  moire__loop_type type = moire__loop_type_from_dtype((moire_dtype)moire__node_int(node, "dtype"));
  if (type == MOIRE__LOOP_BF16) type = MOIRE__LOOP_F32;
  moire__loop_value value = moire__loop_const(b, type, moire__node_real(node, "value"));
  if (!moire__node_attr(node, "per")) return value;
  moire_shape per = moire__node_shape(node, "per");
  moire__loop_value size = moire__loop_cast(b, moire__loop_extent(b, per.dims[0]), type);
  return moire__loop_binary(b, MOIRE__LOOP_div, value, size);
}

moire__loop_value moire__iota_source(moire__lowering *l, const moire__node *node, moire__index *index) {
  moire__loop_value at = moire__lower_index_at(l, index, (int)moire__node_int(node, "axis"));
  return moire__loop_cast(&l->builder, at, MOIRE__LOOP_I32);
}

/* Of a random mask (moire__mask_threshold). */
moire__loop_value moire__lower_mask_element(moire__lowering *l, int32_t rng, double p, int64_t stream,
                                            moire__loop_value element) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value words[5] = {0};
  moire__index counters = moire__lower_index(l->g, rng);
  for (int i = 0; i < 3; i++) {
    counters.linear = moire__loop_index(b, i);
    words[i] = moire__lower_read(l, rng, &counters);
  }
  words[3] = moire__loop_const(b, MOIRE__LOOP_I32, (double)(int32_t)(uint32_t)stream);
  words[4] = element;
  moire__loop_value bits = moire__loop_emit(b, MOIRE__LOOP_random16, words, 5);
  moire__loop_value threshold = moire__loop_const(b, MOIRE__LOOP_I32, moire__mask_threshold(p));
  moire__loop_value dropped = moire__loop_binary(b, MOIRE__LOOP_lt, bits, threshold);
  return moire__loop_ternary(b, MOIRE__LOOP_select, dropped, moire__loop_const(b, MOIRE__LOOP_F32, 0),
                             moire__loop_const(b, MOIRE__LOOP_F32, moire__mask_kept(p)));
}

moire__loop_value moire__lower_mask_first(moire__lowering *l, const moire__node *node) {
  moire_dim first = moire__node_attr(node, "first") ? moire__node_shape(node, "first").dims[0] : 0;
  return moire__loop_extent(&l->builder, first);
}

moire__loop_value moire__random_mask_source(moire__lowering *l, const moire__node *node, moire__index *index) {
  moire__loop_value element =
      moire__lower_add(l, moire__lower_mask_first(l, node), moire__lower_index_linear(l, index));
  return moire__lower_mask_element(l, node->operands[0], moire__node_real(node, "p"),
                                   moire__node_int(node, "stream"), element);
}
