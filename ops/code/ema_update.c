/* ema_update: the codes of a codebook follow the rows that have picked them, by exponential moving averages.
 *
 * Operands: sizes [K] and sums [K, D], the averages of how many rows picked a code and of what these add up to,
 * x [B, D], and rows [B], the code of each. Results, in this order:
 *
 *   sizes'[k] = decay sizes[k] + (1 - decay) n_k                     n_k = how many b have rows[b] = k
 *   sums'[k]  = decay sums[k]  + (1 - decay) sum of those x[b]
 *   codes[k]  = sums'[k] / ((sizes'[k] + epsilon) / (total + K epsilon) total),   total = sum over k of
 * sizes'[k] n_k
 *
 * The epsilon keeps a code whose size has faded to nothing finite, and all sizes together what they were. It is
 * the value of states after a step (moire_update), so nothing asks for a gradient.
 * Source: van den Oord et al., "Neural discrete representation learning", 2017, appendix A.1.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <inttypes.h>

moire_status moire__ema_update_infer(moire__infer *c) {
  static const int ranks[] = {1, 2, 2, 1};
  double decay, epsilon;
  for (int i = 0; i < 4; i++) {
    MOIRE__TRY(moire__infer_dtype(c, i, i == 3 ? MOIRE__SET_INT : 1u << MOIRE_F32));
    MOIRE__TRY(moire__infer_rank(c, i, ranks[i], ranks[i]));
  }
  const moire_shape *sizes = &c->operands[0]->shape, *sums = &c->operands[1]->shape;
  const moire_shape *x = &c->operands[2]->shape, *rows = &c->operands[3]->shape;
  if (sizes->dims[0] != sums->dims[0] || sums->dims[1] != x->dims[1] || x->dims[0] != rows->dims[0])
    return moire_fail(
        c->error, MOIRE_ERROR_SHAPE,
        "wanted sizes [K], sums [K, D], x [B, D] and rows [B], but sizes are %s, sums %s, x %s and "
        "rows %s",
        moire__operand_type(c, 0).text, moire__operand_type(c, 1).text, moire__operand_type(c, 2).text,
        moire__operand_type(c, 3).text);
  if (!moire__dim_is_static(sizes->dims[0]) || sizes->dims[0] < 1 || sizes->dims[0] > INT32_MAX)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "sizes are %s, wanted a static number of codes, not 0",
                      moire__operand_type(c, 0).text);
  MOIRE__TRY(moire__infer_real(c, "decay", &decay));
  MOIRE__TRY(moire__infer_real(c, "epsilon", &epsilon));
  if (!(decay >= 0 && decay <= 1) || !(epsilon >= 0))
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "decay is %g and epsilon %g, wanted 0 to 1 and 0 or more",
                      decay, epsilon);
  const moire_shape shapes[] = {*sizes, *sums, *sums, *sizes};
  for (int i = 0; i < 4; i++) moire__infer_result(c, i, MOIRE_F32, shapes[i]);
  return MOIRE_OK;
}

/* The sum of u[b] over the b where rows[b] = k, for every code k. */
static moire_value members(moire__expand *c, moire_value u, int64_t n_codes) {
  const moire_shape size = MOIRE_SHAPE(n_codes);
  const moire__attr attrs[] = {moire__attr_make_dims("size", &size), moire__attr_make_int("padding", -1)};
  return moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_scatter_add, (moire_value[]){c->operands[3], u}, 2,
                           attrs, 2);
}

void moire__ema_update_expand(moire__expand *c) {
  double decay = moire__node_real(c->node, "decay"), epsilon = moire__node_real(c->node, "epsilon");
  moire_value x = c->operands[2];
  int64_t n = moire_value_dim(c->operands[0], 0);
  moire_value ones = moire_constant(c->g, MOIRE_F32, MOIRE_SHAPE(moire_value_dim(x, 0)), 1);
  moire_value counts = members(c, ones, n), added = members(c, x, n);
  moire_value sizes = moire_add(moire_scale(c->operands[0], decay), moire_scale(counts, 1 - decay));
  moire_value sums = moire_add(moire_scale(c->operands[1], decay), moire_scale(added, 1 - decay));
  moire_value total = moire_sum(sizes, 0, true), whole = moire_add_scalar(total, (double)n * epsilon);
  moire_value smoothed = moire_mul(moire_div(moire_add_scalar(sizes, epsilon), whole), total);
  c->results[0] = sizes;
  c->results[1] = sums;
  c->results[2] = moire_div(sums, moire_reshape(smoothed, MOIRE_SHAPE(n, 1)));
  c->results[3] = counts;
}

void moire__ema_update_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[2], *rows = c->operands[3];
  double decay = moire__node_real(c->node, "decay"), epsilon = moire__node_real(c->node, "epsilon"), total = 0;
  double *sizes = c->results[0]->re, *sums = c->results[1]->re, *counts = c->results[3]->re;
  int64_t n = c->results[0]->elements, width = x->dims[1];
  for (int64_t k = 0; k < n; k++) sizes[k] = decay * c->operands[0]->re[k];
  for (int64_t i = 0; i < n * width; i++) sums[i] = decay * c->operands[1]->re[i];
  for (int64_t b = 0; b < rows->elements; b++) {
    int64_t k = (int64_t)rows->re[b];
    if (k < 0 || k >= n) {
      moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "code %" PRId64 " is not among the %" PRId64 " codes", k, n);
      return;
    }
    counts[k] += 1;
    sizes[k] += 1 - decay;
    for (int64_t j = 0; j < width; j++) sums[k * width + j] += (1 - decay) * x->re[b * width + j];
  }
  for (int64_t k = 0; k < n; k++) total += sizes[k];
  for (int64_t k = 0; k < n; k++) {
    double smoothed = (sizes[k] + epsilon) / (total + (double)n * epsilon) * total;
    for (int64_t j = 0; j < width; j++) c->results[2]->re[k * width + j] = sums[k * width + j] / smoothed;
  }
}

bool moire__ema_update_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype row_type;
    moire_shape sizes, sums, x, rows;
    double decay, epsilon;
    moire_status expected;
  } cases[] = {
      {GOOD, I32, S(8), S(8, 4), S(b, 4), S(b), 0.99, 1e-5, ACCEPTED},
      {GOOD, I32, S(33), S(33, 17), S(50, 17), S(50), 0.5, 1e-5, ACCEPTED},
      {HARD, I64, S(1), S(1, 1), S(b, 1), S(b), 0.9, 0, ACCEPTED},
      {HARD, I32, S(3), S(3, 65), S(0, 65), S(0), 0.99, 1e-3, ACCEPTED},
      {HARD, I32, S(64), S(64, 1), S(7, 1), S(7), 1, 1e-5, ACCEPTED},
      {WRONG, I32, S(8), S(9, 4), S(b, 4), S(b), 0.99, 1e-5, BAD_SHAPE},
      {WRONG, I32, S(8), S(8, 4), S(b, 5), S(b), 0.99, 1e-5, BAD_SHAPE},
      {WRONG, I32, S(8), S(8, 4), S(b, 4), S(7), 0.99, 1e-5, BAD_SHAPE},
      {WRONG, I32, S(b), S(b, 4), S(b, 4), S(b), 0.99, 1e-5, BAD_SHAPE},
      {WRONG, F32, S(8), S(8, 4), S(b, 4), S(b), 0.99, 1e-5, BAD_TYPE},
      {WRONG, I32, S(8), S(8, 4), S(b, 4), S(b), 1.5, 1e-5, BAD_ARGUMENT},
      {WRONG, I32, S(8), S(8, 4), S(b, 4), S(b), 0.9, -1, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_dim n = cases[i].sizes.dims[0];
  moire_value sizes = moire__sample_input(s, F32, cases[i].sizes, 0.5, 2);
  moire_value sums = moire__sample_input(s, F32, cases[i].sums, -1, 1);
  moire_value x = moire__sample_input(s, F32, cases[i].x, -1, 1);
  moire_value rows =
      moire__sample_input(s, cases[i].row_type, cases[i].rows, 0, moire__dim_is_static(n) ? (double)n : 1);
  s->no_gradient_check = true;
  moire_ema y = moire_ema_update(sizes, sums, x, rows, cases[i].decay, cases[i].epsilon);
  if (s->kind == WRONG) return moire__sample_refuse(s, cases[i].expected);
  moire_output(s->g, "y1", y.sums);
  moire_output(s->g, "y2", y.codes);
  moire_output(s->g, "y3", y.counts);
  return moire__sample_finish(s, y.sizes);
}
