/* Rows of the table: scaled_dot_product_attention, in the spelling that the compiler recognises. */
#include "compiler/import/torch/rows.h"

#include <math.h>

static bool missing(moire_value x) { return moire_value_is_null(x); }

static int rank_of(moire_value x) { return missing(x) ? 0 : moire_value_shape(x).rank; }

/* column <= row: of queries and keys counted from the first of each. */
static moire_value causal(moire__call *c, moire_value scores) {
  int rank = rank_of(scores);
  moire_dim queries = moire_value_dim(scores, rank - 2), keys = moire_value_dim(scores, rank - 1);
  moire_value row = moire_iota_at(c->at, c->graph, MOIRE_SHAPE(queries, 1), 0);
  moire_value column = moire_iota_at(c->at, c->graph, MOIRE_SHAPE(1, keys), 1);
  return moire_less_equal_at(c->at, column, row);
}

static moire_value masked(moire__call *c, moire_value scores, moire_value allowed) {
  moire_value zero = moire_constant_at(c->at, c->graph, MOIRE_F32, MOIRE_SCALAR, 0),
              never = moire_constant_at(c->at, c->graph, MOIRE_F32, MOIRE_SCALAR, -INFINITY);
  return moire_add_at(c->at, scores, moire_where_at(c->at, allowed, zero, never));
}

/* Heads of keys and values repeated, so that each serves several of the queries'. */
static moire_value repeat_heads(moire__call *c, moire_value x, moire_value q) {
  int axis = rank_of(x) - 3;
  if (axis < 0 || missing(q)) return x;
  int64_t wanted = moire__fixed(c, q, rank_of(q) - 3), there = moire__fixed(c, x, axis);
  if (there < 1 || wanted % there) moire__refuse(c, "wanted heads that divide the queries'");
  if (c->why || wanted == there) return x;
  moire_value wide = moire__unsqueeze(c, x, axis + 1);
  if (missing(wide)) return wide;
  moire_shape shape = moire_value_shape(wide);
  shape.dims[axis + 1] = wanted / there;
  return moire__merge_axes(c, moire_broadcast_at(c->at, wide, shape), axis, axis + 1);
}

static void attention(moire__call *c) {
  moire_value q = moire__need_real(c, moire__tensor(c, "query")), k = moire__tensor(c, "key"),
              v = moire__tensor(c, "value");
  moire_value mask = moire__tensor_or_none(c, "attn_mask");
  double p = moire__real_or(c, "dropout_p", 0);
  bool is_causal = moire__bool_or(c, "is_causal", false), grouped = moire__bool_or(c, "enable_gqa", false);
  if (missing(q) || missing(k) || missing(v) || rank_of(k) < 2) return;
  double scale = moire__real_or(c, "scale", 1 / sqrt((double)moire__fixed(c, q, rank_of(q) - 1)));
  if (grouped) k = repeat_heads(c, k, q);
  if (grouped) v = repeat_heads(c, v, q);
  if (missing(k) || missing(v)) return;
  moire_value scores = moire_matmul_at(c->at, q, moire_swap_axes_at(c->at, k, -1, -2));
  scores = moire_scale_at(c->at, scores, scale);
  if (missing(scores)) return;
  if (is_causal) scores = masked(c, scores, causal(c, scores));
  if (mask.graph && moire__type_of(mask) == MOIRE__TORCH_BOOL)
    scores = masked(c, scores, mask);
  else if (mask.graph)
    scores = moire_add_at(c->at, scores, mask);
  moire_value weights = moire_softmax_at(c->at, scores);
  if (p > 0 && c->dropout != 0) weights = moire_dropout_at(c->at, weights, c->dropout > 0 ? c->dropout : p);
  moire__give(c, moire_matmul_at(c->at, weights, v));
}

const moire__aten_row moire__rows_attention[] = {
    {"aten.scaled_dot_product_attention.default", attention, false}, {NULL, NULL, false}};
