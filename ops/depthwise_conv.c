/* depthwise_conv and depthwise_conv_weight: one filter a channel along the sequence.
 *
 *   y[b,t,d] = sum_j w[k-1-j,d] x[b, t - s j dilation, d]      s = 1, or -1 with `reverse`; x is 0 outside
 *   dx = depthwise_conv(dy, conj w) with `reverse` toggled
 *   dw[k-1-j,d] = sum_{b,t} dy[b,t,d] conj(x[b, t - j dilation, d])      (depthwise_conv_weight(x, dy))
 *
 * With `reverse`, exchanging the roles of x and dy in the last line gives the conjugate of dw. Weights are
 * stored tap-major, [k, D], newest tap last; operands are real or complex in any mix, and both ops are linear
 * in each operand, so planes are convolved one by one.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

static const int64_t most_taps = INT32_MAX; /* and largest dilation: their product is far from overflow */

/* Real and complex f32 in any mix, or f64: the result's element type. */
static moire_status conv_dtype(moire__infer *c, moire_dtype *dtype) {
  for (int i = 0; i < 2; i++) MOIRE__TRY(moire__infer_dtype(c, i, MOIRE__SET_REAL | MOIRE__SET_COMPLEX));
  moire_dtype a = c->operands[0]->dtype, b = c->operands[1]->dtype;
  if (a != b && (a == MOIRE_F64 || b == MOIRE_F64))
    return moire_fail(c->error, MOIRE_ERROR_TYPE, "element types differ: operands are %s and %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  *dtype = a == MOIRE_C64 ? a : b;
  return MOIRE_OK;
}

/* ---- depthwise_conv -------------------------------------------------------------------------------------- */

moire_status moire__depthwise_conv_infer(moire__infer *c) {
  moire_dtype dtype = MOIRE_F32;
  int64_t dilation, reverse;
  MOIRE__TRY(conv_dtype(c, &dtype));
  MOIRE__TRY(moire__infer_rank(c, 0, 3, 3));
  MOIRE__TRY(moire__infer_rank(c, 1, 2, 2));
  MOIRE__TRY(moire__infer_int(c, "dilation", 1, most_taps, &dilation));
  MOIRE__TRY(moire__infer_int_or(c, "reverse", 0, 0, 1, &reverse));
  const moire_shape *x = &c->operands[0]->shape, *w = &c->operands[1]->shape;
  if (x->dims[2] != w->dims[1])
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "channels differ: x is %s, w is %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  if (!moire__dim_is_static(w->dims[0]) || w->dims[0] < 1 || w->dims[0] > most_taps)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "w is %s, wanted 1 to %lld taps",
                      moire__operand_type(c, 1).text, (long long)most_taps);
  return moire__infer_result(c, 0, dtype, *x);
}

static moire_value conv(moire_graph *g, moire_value x, moire_value w, int64_t dilation, bool reverse) {
  moire__attr attrs[] = {moire__attr_make_int("dilation", dilation), moire__attr_make_int("reverse", 1)};
  return moire__graph_emit(g, MOIRE_HERE, MOIRE__OP_depthwise_conv, (moire_value[]){x, w}, 2, attrs,
                           reverse ? 2 : 1);
}

static moire_value conv_weight(moire_graph *g, moire_value x, moire_value y, int64_t taps, int64_t dilation) {
  moire__attr attrs[] = {moire__attr_make_int("taps", taps), moire__attr_make_int("dilation", dilation)};
  return moire__graph_emit(g, MOIRE_HERE, MOIRE__OP_depthwise_conv_weight, (moire_value[]){x, y}, 2, attrs, 2);
}

static bool is_complex(moire_value x) { return moire_value_dtype(x) == MOIRE_C64; }

void moire__depthwise_conv_gradient(moire__gradient *c) {
  moire_value x = c->operands[0], w = c->operands[1], dy = c->result_gradients[0];
  int64_t dilation = moire__node_int(c->node, "dilation");
  bool reverse = moire__node_int_or(c->node, "reverse", 0) != 0;
  if (c->wanted[0]) {
    moire_value dx = conv(c->g, dy, is_complex(w) ? moire_conj(w) : w, dilation, !reverse);
    c->operand_gradients[0] = is_complex(dx) && !is_complex(x) ? moire_real(dx) : dx;
  }
  if (c->wanted[1]) {
    int64_t taps = moire_value_shape(w).dims[0];
    moire_value dw =
        reverse ? conv_weight(c->g, dy, x, taps, dilation) : conv_weight(c->g, x, dy, taps, dilation);
    if (is_complex(dw) && !is_complex(w)) dw = moire_real(dw);
    c->operand_gradients[1] = reverse && is_complex(w) ? moire_conj(dw) : dw;
  }
}

/* The sum of those that are there. */
static moire_value plus(moire_value a, moire_value b) {
  if (moire_value_is_null(a)) return b;
  return moire_value_is_null(b) ? a : moire_add(a, b);
}

static moire_value minus(moire_value a, moire_value b) {
  if (moire_value_is_null(a)) return moire_value_is_null(b) ? b : moire_neg(b);
  return moire_value_is_null(b) ? a : moire_sub(a, b);
}

/* a * b for planes, null where one of them is. */
static moire_value plane_conv(const moire__split *c, moire_value a, moire_value b) {
  if (moire_value_is_null(a) || moire_value_is_null(b)) return (moire_value){0};
  return conv(c->g, a, b, moire__node_int(c->node, "dilation"), moire__node_int_or(c->node, "reverse", 0) != 0);
}

void moire__depthwise_conv_split(moire__split *c) {
  moire__planes x = c->operands[0], w = c->operands[1];
  c->results[0].re = minus(plane_conv(c, x.re, w.re), plane_conv(c, x.im, w.im));
  c->results[0].im = plus(plane_conv(c, x.re, w.im), plane_conv(c, x.im, w.re));
}

/* Samples and channels are independent; a beginning of the sequence (with `reverse`: an end) needs no more than
 * itself. */
bool moire__depthwise_conv_demand(moire__demand *c) {
  bool reverse = moire__node_int_or(c->node, "reverse", 0) != 0;
  if (c->axis == 1 && (reverse ? c->start + c->length != c->extent : c->start != 0)) return false;
  moire__demand_slice(c, 0, c->axis, c->start, c->length);
  if (c->axis == 2) moire__demand_slice(c, 1, 1, c->start, c->length);
  return true;
}

void moire__depthwise_conv_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0], *w = c->operands[1];
  moire__tensor *y = c->results[0];
  int64_t step = moire__node_int(c->node, "dilation") * (moire__node_int_or(c->node, "reverse", 0) ? -1 : 1);
  int64_t taps = w->dims[0], length = x->dims[1], width = x->dims[2];
  for (int64_t i = 0; i < y->elements; i++) {
    int64_t d = i % width, t = i / width % length;
    for (int64_t j = 0; j < taps; j++) {
      if (t - j * step < 0 || t - j * step >= length) continue;
      int64_t at = i - j * step * width, tap = (taps - 1 - j) * width + d;
      double xr = x->re[at], xi = x->im ? x->im[at] : 0, wr = w->re[tap], wi = w->im ? w->im[tap] : 0;
      y->re[i] += xr * wr - xi * wi;
      if (y->im) y->im[i] += xr * wi + xi * wr;
    }
  }
}

/* Rows for both ops: x (and y) [B, L, D], w [taps, D]; types are those of the operands. */
typedef struct conv_case {
  moire__sample_kind kind;
  moire_dtype a, b;
  moire_shape x;
  int64_t taps, dilation;
} conv_case;

static bool conv_sample_row(moire__sampler *s, conv_case *found) {
  moire_dim b = moire__sample_batch(s);
  const conv_case cases[] = {
      {GOOD, F32, F32, S(2, 8, 4), 3, 1},          {GOOD, F32, C64, S(b, 12, 16), 3, 2},
      {GOOD, C64, F32, S(2, 9, 8), 2, 3},          {GOOD, C64, C64, S(b, 7, 5), 4, 1},
      {HARD, F32, F32, S(1, 1, 1), 1, 1},          {HARD, C64, C64, S(3, 13, 17), 7, 5},
      {HARD, F32, C64, S(1, 5, 33), 31, 8},        {HARD, F32, F32, S(2, 0, 3), 3, 1},
      {HARD, F32, C64, S(0, 4, 3), 3, 1},          {HARD, F32, F32, S(2, 4, 0), 3, 1},
      {HARD, F32, F32, S(b, 7, 3), 2, 2147483647}, {HARD, F32, F32, S(b, 33, 7), 13, 1},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i >= 0) *found = cases[i];
  return i >= 0;
}

static bool depthwise_conv_wrong(moire__sampler *s) {
  const struct {
    moire_dtype a, b;
    moire_shape x, w;
    int64_t dilation, reverse;
    moire_status expected;
  } cases[] = {
      {F32, F32, S(2, 8, 4), S(3, 5), 1, 0, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(4, 1, 3), 1, 0, BAD_SHAPE},
      {F32, F32, S(8, 4), S(3, 4), 1, 0, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(0, 4), 1, 0, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(moire__sample_batch(s), 4), 1, 0, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(3, 4), 0, 0, BAD_ARGUMENT},
      {F32, F32, S(2, 8, 4), S(3, 4), 1, 2, BAD_ARGUMENT},
      {I32, F32, S(2, 8, 4), S(3, 4), 1, 0, BAD_TYPE},
      {F64, C64, S(2, 8, 4), S(3, 4), 1, 0, BAD_TYPE},
  };
  if (s->index >= (int)(sizeof cases / sizeof *cases)) return false;
  int i = s->index;
  moire_value operands[] = {moire__sample_input(s, cases[i].a, cases[i].x, -1, 1),
                            moire__sample_input(s, cases[i].b, cases[i].w, -1, 1)};
  moire__attr attrs[] = {moire__attr_make_int("dilation", cases[i].dilation),
                         moire__attr_make_int("reverse", cases[i].reverse)};
  moire__sample_emit(s, MOIRE__OP_depthwise_conv, operands, 2, attrs, 2);
  return moire__sample_refuse(s, cases[i].expected);
}

/* Each row forwards and in reverse. */
bool moire__depthwise_conv_sample(moire__sampler *s) {
  if (s->kind == MOIRE__SAMPLE_WRONG) return depthwise_conv_wrong(s);
  conv_case row;
  moire__sampler at = *s;
  at.index /= 2;
  if (!conv_sample_row(&at, &row)) return false;
  moire_value x = moire__sample_input(s, row.a, row.x, -1, 1);
  moire_value w = moire__sample_input(s, row.b, MOIRE_SHAPE(row.taps, row.x.dims[2]), -1, 1);
  return moire__sample_finish(s, conv(s->g, x, w, row.dilation, s->index % 2 == 1));
}

/* ---- depthwise_conv_weight ------------------------------------------------------------------------------- */

moire_status moire__depthwise_conv_weight_infer(moire__infer *c) {
  moire_dtype dtype = MOIRE_F32;
  int64_t taps, dilation;
  MOIRE__TRY(conv_dtype(c, &dtype));
  MOIRE__TRY(moire__infer_rank(c, 0, 3, 3));
  MOIRE__TRY(moire__infer_int(c, "taps", 1, most_taps, &taps));
  MOIRE__TRY(moire__infer_int(c, "dilation", 1, most_taps, &dilation));
  if (!moire__shape_equal(&c->operands[0]->shape, &c->operands[1]->shape))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "shapes differ: x is %s, y is %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  return moire__infer_result(c, 0, dtype, MOIRE_SHAPE(taps, c->operands[0]->shape.dims[2]));
}

static moire_value plane_conv_weight(const moire__split *c, moire_value x, moire_value y) {
  if (moire_value_is_null(x) || moire_value_is_null(y)) return (moire_value){0};
  return conv_weight(c->g, x, y, moire__node_int(c->node, "taps"), moire__node_int(c->node, "dilation"));
}

void moire__depthwise_conv_weight_split(moire__split *c) {
  moire__planes x = c->operands[0], y = c->operands[1];
  c->results[0].re = plus(plane_conv_weight(c, x.re, y.re), plane_conv_weight(c, x.im, y.im));
  c->results[0].im = minus(plane_conv_weight(c, x.re, y.im), plane_conv_weight(c, x.im, y.re));
}

void moire__depthwise_conv_weight_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0], *y = c->operands[1];
  moire__tensor *w = c->results[0];
  int64_t taps = w->dims[0], dilation = moire__node_int(c->node, "dilation");
  int64_t length = x->dims[1], width = x->dims[2];
  for (int64_t i = 0; i < y->elements; i++) {
    int64_t d = i % width, t = i / width % length;
    for (int64_t j = 0; j < taps && t - j * dilation >= 0; j++) {
      int64_t at = i - j * dilation * width, tap = (taps - 1 - j) * width + d;
      double xr = x->re[at], xi = x->im ? x->im[at] : 0, yr = y->re[i], yi = y->im ? y->im[i] : 0;
      w->re[tap] += yr * xr + yi * xi;
      if (w->im) w->im[tap] += yi * xr - yr * xi;
    }
  }
}

static bool depthwise_conv_weight_wrong(moire__sampler *s) {
  const struct {
    moire_dtype a, b;
    moire_shape x, y;
    int64_t taps, dilation;
    moire_status expected;
  } cases[] = {
      {F32, F32, S(2, 8, 4), S(2, 7, 4), 3, 1, BAD_SHAPE},
      {F32, F32, S(8, 4), S(8, 4), 3, 1, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(2, 8, 4), 0, 1, BAD_ARGUMENT},
      {F32, F32, S(2, 8, 4), S(2, 8, 4), 3, 0, BAD_ARGUMENT},
      {F32, BOOL, S(2, 8, 4), S(2, 8, 4), 3, 1, BAD_TYPE},
  };
  if (s->index >= (int)(sizeof cases / sizeof *cases)) return false;
  int i = s->index;
  moire_value x = moire__sample_input(s, cases[i].a, cases[i].x, -1, 1);
  moire_value y = moire__sample_input(s, cases[i].b, cases[i].y, -1, 1);
  conv_weight(s->g, x, y, cases[i].taps, cases[i].dilation);
  return moire__sample_refuse(s, cases[i].expected);
}

bool moire__depthwise_conv_weight_sample(moire__sampler *s) {
  if (s->kind == MOIRE__SAMPLE_WRONG) return depthwise_conv_weight_wrong(s);
  conv_case row;
  if (!conv_sample_row(s, &row)) return false;
  moire_value x = moire__sample_input(s, row.a, row.x, -1, 1);
  moire_value y = moire__sample_input(s, row.b, row.x, -1, 1);
  return moire__sample_finish(s, conv_weight(s->g, x, y, row.taps, row.dilation));
}
