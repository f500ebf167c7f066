/* layer_norm: y = (x - mean) / sqrt(var + eps) weight + bias over the last axis, of extent D; operands x,
 * weight [D], bias [D]; attribute eps.
 *
 * var is the mean of (x - mean)^2, taken in a second look at the row: stable where the mean is large. The first
 * mean m is off by the rounding of its sum; the second look makes that good too (Chan, Golub and LeVeque):
 *
 *   rest = mean of (x - m)    mean = m + rest    var = mean of (x - m)^2 - rest^2
 *
 * so that a row of equal numbers is 0 exactly. The gradient recomputes mean and var from x, so nothing is saved
 * but what the graph has anyway.
 */
#include <math.h>

#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

moire_status moire__layer_norm_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_REAL));
  MOIRE__TRY(moire__infer_rank(c, 0, 1, MOIRE_MAX_RANK));
  moire_dim width = c->operands[0]->shape.dims[c->operands[0]->shape.rank - 1];
  if (!moire__dim_is_static(width))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "the last extent of %s is not a fixed one",
                      moire__operand_type(c, 0).text);
  for (int i = 1; i < 3; i++) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << c->operands[0]->dtype));
    if (c->operands[i]->shape.rank != 1 || c->operands[i]->shape.dims[0] != width)
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "rows are of x, %s, but %s is %s",
                        moire__operand_type(c, 0).text, i == 1 ? "weight" : "bias",
                        moire__operand_type(c, i).text);
  }
  MOIRE__TRY(moire__infer_not_negative(c, "eps"));
  return moire__infer_as_operand(c, 0);
}

/* The mean over the last axis (0 of an empty one), which stays with extent 1. */
static moire_value mean_of_rows(moire_value x) {
  moire_shape shape = moire_value_shape(x);
  if (moire_value_is_null(x)) return x;
  int64_t n = moire__dim_factor(shape.dims[shape.rank - 1]);
  return moire_scale(moire_sum(x, -1, true), n > 0 ? 1.0 / (double)n : 0.0);
}

/* The same, repeated along the axis. */
static moire_value row_mean(moire_value x) { return moire_broadcast(mean_of_rows(x), moire_value_shape(x)); }

/* (x - mean) / sqrt(var + eps), and 1 / sqrt(var + eps) of x's shape. */
static moire_value normalise(moire_value x, double eps, moire_value *inverse) {
  moire_shape shape = moire_value_shape(x);
  moire_value first = mean_of_rows(x), near = moire_sub(x, moire_broadcast(first, shape));
  moire_value rest = mean_of_rows(near), mean = moire_add(first, rest);
  moire_value variance = moire_sub(mean_of_rows(moire_mul(near, near)), moire_mul(rest, rest));
  moire_value zero = moire_constant(x.graph, moire_value_dtype(x), moire_value_shape(variance), 0);
  variance = moire_max_of(zero, variance); /* less is rounding; a NaN stays one */
  *inverse = moire_broadcast(moire_rsqrt(moire_add_scalar(variance, eps)), shape);
  return moire_mul(moire_sub(x, moire_broadcast(mean, shape)), *inverse);
}

/* x's sum over all axes but the last: [D]. */
static moire_value sum_of_rows(moire_graph *g, moire_value x) {
  moire_shape shape = moire_value_shape(x);
  if (shape.rank > 1) {
    int64_t axes[MOIRE_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
    moire__attr attr = moire__attr_make_ints("axes", axes, shape.rank - 1);
    x = moire__graph_emit(g, MOIRE_HERE, MOIRE__OP_sum, &x, 1, &attr, 1);
  }
  return moire_reshape(x, MOIRE_SHAPE(shape.dims[shape.rank > 0 ? shape.rank - 1 : 0]));
}

/* With h = (x - mean) r, r = 1 / sqrt(var + eps) and g = dy weight:
 *   dx = r (g - mean(g) - h mean(g h)),  dweight = sum of dy h,  dbias = sum of dy */
void moire__layer_norm_gradient(moire__gradient *c) {
  moire_value x = c->operands[0], dy = c->result_gradients[0], r;
  moire_value h = normalise(x, moire__node_real(c->node, "eps"), &r);
  if (c->wanted[0]) {
    moire_value g = moire_mul(dy, moire_broadcast(c->operands[1], moire_value_shape(x)));
    moire_value along = moire_mul(h, row_mean(moire_mul(g, h)));
    c->operand_gradients[0] = moire_mul(r, moire_sub(moire_sub(g, row_mean(g)), along));
  }
  if (c->wanted[1]) c->operand_gradients[1] = sum_of_rows(c->g, moire_mul(dy, h));
  if (c->wanted[2]) c->operand_gradients[2] = sum_of_rows(c->g, dy);
}

void moire__layer_norm_expand(moire__expand *c) {
  moire_shape shape = moire_value_shape(c->operands[0]);
  moire_value r, h = normalise(c->operands[0], moire__node_real(c->node, "eps"), &r);
  moire_value scaled = moire_mul(h, moire_broadcast(c->operands[1], shape));
  c->results[0] = moire_add(scaled, moire_broadcast(c->operands[2], shape));
}

bool moire__layer_norm_demand(moire__demand *c) {
  if (c->axis == moire_value_shape(c->operands[0]).rank - 1) return false;
  moire__demand_slice(c, 0, c->axis, c->start, c->length);
  return true;
}

void moire__layer_norm_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  const double *weight = c->operands[1]->re, *bias = c->operands[2]->re;
  double eps = moire__node_real(c->node, "eps");
  int64_t n = x->dims[x->rank - 1];
  for (int64_t row = 0; row < x->elements; row += n) {
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < n; i++) mean += x->re[row + i] / (double)n;
    for (int64_t i = 0; i < n; i++) variance += pow(x->re[row + i] - mean, 2) / (double)n;
    for (int64_t i = 0; i < n; i++)
      c->results[0]->re[row + i] = (x->re[row + i] - mean) / sqrt(variance + eps) * weight[i] + bias[i];
  }
}

bool moire__layer_norm_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_shape x, weight, bias;
    double low, high, eps;
    moire_status expected;
  } cases[] = {
      {GOOD, S(4, 8), S(8), S(8), -2, 2, 1e-12, ACCEPTED},
      {GOOD, S(b, 5, 16), S(16), S(16), -1, 3, 1e-5, ACCEPTED},
      {HARD, S(33), S(33), S(33), -1, 1, 1e-12, ACCEPTED},
      {HARD, S(3, 1), S(1), S(1), -1, 1, 1e-2, ACCEPTED},
      {HARD, S(7, 2, 13), S(13), S(13), 99, 101, 1e-12, ACCEPTED},
      {HARD, S(0, 5), S(5), S(5), -1, 1, 1e-12, ACCEPTED},
      {HARD, S(5, 0), S(0), S(0), -1, 1, 1e-12, ACCEPTED},
      {HARD, S(5, 17), S(17), S(17), 0, 1e-3, 1e-6, ACCEPTED},
      {WRONG, S(4, 8), S(4), S(8), 0, 1, 0, BAD_SHAPE},
      {WRONG, S(4, 8), S(8), S(1, 8), 0, 1, 0, BAD_SHAPE},
      {WRONG, S(4, b), S(b), S(b), 0, 1, 0, BAD_SHAPE},
      {WRONG, SCALAR, S(1), S(1), 0, 1, 0, BAD_SHAPE},
      {WRONG, S(4), S(4), S(4), 0, 1, -1, BAD_ARGUMENT},
      {WRONG, S(4), S(4), S(4), 0, 1, 0, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value operands[] = {
      moire__sample_input(s, MOIRE_F32, cases[i].x, cases[i].low, cases[i].high),
      moire__sample_input(s, cases[i].expected == MOIRE_ERROR_TYPE ? MOIRE_C64 : MOIRE_F32, cases[i].weight,
                          0.5, 1.5),
      moire__sample_input(s, MOIRE_F32, cases[i].bias, -1, 1),
  };
  moire__attr eps = moire__attr_make_real("eps", cases[i].eps);
  moire_value y = moire__sample_emit(s, MOIRE__OP_layer_norm, operands, 3, &eps, 1);
  if (s->kind != MOIRE__SAMPLE_WRONG) return moire__sample_finish(s, y);
  return moire__sample_refuse(s, cases[i].expected);
}
