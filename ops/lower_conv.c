/* The depthwise convolution and the gradient of its weights: channels are the vector lanes.
 *
 * Taps that only meet the zeros before the start (or after the end) are outside the loop over taps, so they
 * cost nothing. The gradient of the weights is cut along the batch into a fixed number of pieces (see
 * moire__lower_sum_pieces).
 */
#include "compiler/ir/lower.h"
#include "ops/parts.h"

static moire__loop_value load(moire__lowering *l, const moire__view *view, moire__loop_value i,
                              moire__loop_value j, moire__loop_value k) {
  moire__loop_value at[MOIRE_MAX_RANK] = {0};
  int d = 0;
  if (view->rank == 3) at[d++] = i;
  at[d++] = j;
  at[d] = k;
  return moire__loop_load(&l->builder, moire__lower_buffer(l, view->base), moire__lower_address(l, view, at));
}

static void accumulate(moire__loop_builder *b, moire__loop_var sum, moire__loop_value x, moire__loop_value y) {
  moire__loop_set(b, sum, moire__loop_ternary(b, MOIRE__LOOP_fma, x, y, moire__loop_get(b, sum)));
}

void moire__depthwise_conv_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  for (int i = 0; i < 2; i++) moire__lower_add_reads(l, node->operands[i]);
  moire__lower_add_write(l, node->first_result);
  moire__view x = moire__lower_view(l, node->operands[0]), w = moire__lower_view(l, node->operands[1]);
  int64_t dilation = moire__node_int(node, "dilation");
  bool reverse = moire__node_int_or(node, "reverse", 0) != 0;
  moire__lower_body(l, x.dims[0], 1);
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0), step = moire__loop_index(b, dilation);
  moire__loop_value taps = moire__loop_extent(b, w.dims[0]), length = moire__loop_extent(b, x.dims[1]);
  moire__loop_value width = moire__loop_extent(b, x.dims[2]), batch = l->kernel->parallel;
  moire__loop_value c = moire__loop_for(b, zero, width, 1, l->target.lanes * 4);
  moire__loop_value t = moire__loop_for(b, zero, length, 1, 1);
  moire__loop_type type = moire__loop_type_from_dtype(l->g->values[node->first_result].dtype);
  moire__loop_var sum = moire__loop_declare(b, moire__loop_const(b, type, 0));
  moire__loop_value after =
      moire__loop_binary(b, MOIRE__LOOP_sub, length, moire__lower_add(l, t, moire__loop_index(b, 1)));
  moire__loop_value room = moire__loop_binary(b, MOIRE__LOOP_div, reverse ? after : t, step);
  moire__loop_value live =
      moire__loop_binary(b, MOIRE__LOOP_min, taps, moire__lower_add(l, room, moire__loop_index(b, 1)));
  moire__loop_value j = moire__loop_for(b, zero, live, 1, 1);
  moire__loop_value shift = moire__lower_mul(l, j, step);
  moire__loop_value from = moire__loop_binary(b, reverse ? MOIRE__LOOP_add : MOIRE__LOOP_sub, t, shift);
  moire__loop_value tap =
      moire__loop_binary(b, MOIRE__LOOP_sub, moire__lower_add(l, taps, moire__loop_index(b, -1)), j);
  accumulate(b, sum, load(l, &w, 0, tap, c), load(l, &x, batch, from, c));
  moire__loop_end(b);
  moire__loop_value row = moire__lower_add(l, moire__lower_mul(l, batch, length), t);
  moire__lower_write(l, node->first_result, moire__lower_add(l, moire__lower_mul(l, row, width), c),
                     moire__loop_get(b, sum));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__lower_finish(l);
}

/* w[k-1-j, c] = sum over batch and t >= j dilation of y[batch, t, c] x[batch, t - j dilation, c] */
void moire__depthwise_conv_weight_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  for (int i = 0; i < 2; i++) moire__lower_add_reads(l, node->operands[i]);
  moire__view x = moire__lower_view(l, node->operands[0]), y = moire__lower_view(l, node->operands[1]);
  int64_t n_taps = moire__node_int(node, "taps");
  moire_dim elements = 0;
  moire__dim_multiply(x.dims[2], n_taps, &elements);
  moire_dim all =
      moire__dim_make(moire__dim_factor(elements) * MOIRE__REDUCTION_PIECES, moire__dim_extent(elements));
  int extra = moire__lower_new_extra(l, all);
  moire__loop_buffer parts = moire__lower_add_extra(l, extra, MOIRE__BUFFER_OUT);
  moire__lower_body(l, MOIRE__REDUCTION_PIECES, 1);
  moire__loop_builder *b = &l->builder;
  moire__loop_value low = 0, high = 0, piece = l->kernel->parallel;
  moire__lower_piece(l, x.dims[0], piece, &low, &high);
  moire__loop_value zero = moire__loop_index(b, 0), taps = moire__loop_index(b, n_taps);
  moire__loop_value step = moire__loop_index(b, moire__node_int(node, "dilation"));
  moire__loop_value length = moire__loop_extent(b, x.dims[1]), width = moire__loop_extent(b, x.dims[2]);
  moire__loop_value c = moire__loop_for(b, zero, width, 1, l->target.lanes * 4);
  moire__loop_value j = moire__loop_for(b, zero, taps, 1, 1);
  moire__loop_var sum = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_value shift = moire__lower_mul(l, j, step);
  moire__loop_value batch = moire__loop_for(b, low, high, 1, 1);
  moire__loop_value t = moire__loop_for(b, shift, length, 1, 1);
  moire__loop_value from = moire__loop_binary(b, MOIRE__LOOP_sub, t, shift);
  accumulate(b, sum, load(l, &y, batch, t, c), load(l, &x, batch, from, c));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_value tap = moire__loop_binary(b, MOIRE__LOOP_sub, moire__loop_index(b, n_taps - 1), j);
  moire__loop_value at = moire__lower_add(l, moire__lower_mul(l, tap, width), c);
  moire__loop_value base = moire__lower_mul(l, piece, moire__loop_extent(b, elements));
  moire__loop_store(b, parts, moire__lower_add(l, base, at), moire__loop_get(b, sum));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__lower_finish(l);
  moire__lower_sum_pieces(l, extra, node->first_result);
}
