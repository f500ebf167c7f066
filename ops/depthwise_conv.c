/* depthwise_conv and depthwise_conv_weight: one filter a channel along the sequence.
 *
 *   y[b,t,d] = sum_r w[r,d] x[b, t - s shifts[r], d]      s = 1, or -1 with `reverse`; x is 0 outside
 *   dx = depthwise_conv(dy, conj w) with `reverse` toggled
 *   dw[r,d] = sum_{b,t} dy[b,t,d] conj(x[b, t - shifts[r], d])      (depthwise_conv_weight(x, dy))
 *
 * With `reverse`, exchanging the roles of x and dy in the last line gives the conjugate of dw. Weights are
 * stored tap-major, [taps, D], with a shift for each tap, in any order and repeated as one likes: a bank of
 * dilated filters is one filter with the taps of all. Operands are real or complex in any mix, and both ops are
 * linear in each operand, so planes are convolved one by one.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

static const int64_t most_shift = (int64_t)1 << 42;

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

static moire_status conv_shifts(moire__infer *c, int *n) {
  const int64_t *shifts = NULL;
  MOIRE__TRY(moire__infer_ints(c, "shifts", &shifts, n));
  if (*n < 1 || *n > MOIRE__MOST_TAPS)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "there are %d taps, wanted 1 to %d", *n, MOIRE__MOST_TAPS);
  for (int i = 0; i < *n; i++) {
    if (shifts[i] < 0 || shifts[i] > most_shift)
      return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "shift %d is %lld, wanted 0 to %lld", i,
                        (long long)shifts[i], (long long)most_shift);
  }
  return MOIRE_OK;
}

/* ---- depthwise_conv -------------------------------------------------------------------------------------- */

moire_status moire__depthwise_conv_infer(moire__infer *c) {
  moire_dtype dtype = MOIRE_F32;
  int64_t reverse;
  int taps = 0;
  MOIRE__TRY(conv_dtype(c, &dtype));
  MOIRE__TRY(moire__infer_rank(c, 0, 3, 3));
  MOIRE__TRY(moire__infer_rank(c, 1, 2, 2));
  MOIRE__TRY(conv_shifts(c, &taps));
  MOIRE__TRY(moire__infer_int_or(c, "reverse", 0, 0, 1, &reverse));
  const moire_shape *x = &c->operands[0]->shape, *w = &c->operands[1]->shape;
  if (x->dims[2] != w->dims[1])
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "channels differ: x is %s, w is %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  if (w->dims[0] != taps)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "w is %s, wanted a tap for each of %d shifts",
                      moire__operand_type(c, 1).text, taps);
  return moire__infer_result(c, 0, dtype, *x);
}

/* `like` has the shifts. */
static moire_value conv(moire_graph *g, moire_value x, moire_value w, const moire__node *like, bool reverse) {
  moire__attr attrs[] = {*moire__node_attr(like, "shifts"), moire__attr_make_int("reverse", 1)};
  return moire__graph_emit(g, MOIRE_HERE, MOIRE__OP_depthwise_conv, (moire_value[]){x, w}, 2, attrs,
                           reverse ? 2 : 1);
}

static moire_value conv_weight(moire_graph *g, moire_value x, moire_value y, const moire__node *like) {
  return moire__graph_emit(g, MOIRE_HERE, MOIRE__OP_depthwise_conv_weight, (moire_value[]){x, y}, 2,
                           moire__node_attr(like, "shifts"), 1);
}

static bool is_complex(moire_value x) { return moire_value_dtype(x) == MOIRE_C64; }

void moire__depthwise_conv_gradient(moire__gradient *c) {
  moire_value x = c->operands[0], w = c->operands[1], dy = c->result_gradients[0];
  bool reverse = moire__node_int_or(c->node, "reverse", 0) != 0;
  if (c->wanted[0]) {
    moire_value dx = conv(c->g, dy, is_complex(w) ? moire_conj(w) : w, c->node, !reverse);
    c->operand_gradients[0] = is_complex(dx) && !is_complex(x) ? moire_real(dx) : dx;
  }
  if (c->wanted[1]) {
    moire_value dw = reverse ? conv_weight(c->g, dy, x, c->node) : conv_weight(c->g, x, dy, c->node);
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
  return conv(c->g, a, b, c->node, moire__node_int_or(c->node, "reverse", 0) != 0);
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
  int64_t sign = moire__node_int_or(c->node, "reverse", 0) ? -1 : 1, length = x->dims[1], width = x->dims[2];
  int taps = 0;
  const int64_t *shifts = moire__node_ints(c->node, "shifts", &taps);
  for (int64_t i = 0; i < y->elements; i++) {
    int64_t d = i % width, t = i / width % length;
    for (int r = 0; r < taps; r++) {
      int64_t from = t - sign * shifts[r];
      if (from < 0 || from >= length) continue;
      int64_t at = i + (from - t) * width, tap = r * width + d;
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
  int64_t taps, dilation, again; /* the tap before the newest has this shift, if it is positive */
} conv_case;

typedef struct tap_shifts {
  int64_t of[64];
  int n;
} tap_shifts;

static tap_shifts shifts_of(const conv_case *row) {
  tap_shifts s = {.n = (int)row->taps};
  for (int r = 0; r < s.n; r++) s.of[r] = (s.n - 1 - r) * row->dilation;
  if (row->again) s.of[s.n - 2] = row->again;
  return s;
}

static bool conv_sample_row(moire__sampler *s, conv_case *found) {
  moire_dim b = moire__sample_batch(s);
  const conv_case cases[] = {
      {GOOD, F32, F32, S(2, 8, 4), 3, 1, 0},    {GOOD, F32, C64, S(b, 12, 16), 3, 2, 0},
      {GOOD, C64, F32, S(2, 9, 8), 2, 3, 0},    {GOOD, C64, C64, S(b, 7, 5), 4, 1, 0},
      {GOOD, F32, C64, S(b, 40, 16), 40, 1, 4}, {HARD, F32, F32, S(1, 1, 1), 1, 1, 0},
      {HARD, C64, C64, S(3, 13, 17), 7, 5, 0},  {HARD, F32, C64, S(1, 5, 33), 31, 8, 0},
      {HARD, F32, F32, S(2, 0, 3), 3, 1, 0},    {HARD, F32, C64, S(0, 4, 3), 3, 1, 0},
      {HARD, F32, F32, S(2, 4, 0), 3, 1, 0},    {HARD, F32, F32, S(b, 7, 3), 2, 2147483647, 0},
      {HARD, F32, F32, S(b, 33, 7), 13, 1, 12}, {HARD, F32, F32, S(b, 9, 7), 2, 5, 5},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i >= 0) *found = cases[i];
  return i >= 0;
}

static bool depthwise_conv_wrong(moire__sampler *s) {
  const struct {
    moire_dtype a, b;
    moire_shape x, w;
    int64_t shift, reverse;
    moire_status expected;
  } cases[] = {
      {F32, F32, S(2, 8, 4), S(3, 5), 1, 0, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(4, 1, 3), 1, 0, BAD_SHAPE},
      {F32, F32, S(8, 4), S(3, 4), 1, 0, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(2, 4), 1, 0, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(moire__sample_batch(s), 4), 1, 0, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(3, 4), -1, 0, BAD_ARGUMENT},
      {F32, F32, S(2, 8, 4), S(3, 4), 1, 2, BAD_ARGUMENT},
      {I32, F32, S(2, 8, 4), S(3, 4), 1, 0, BAD_TYPE},
      {F64, C64, S(2, 8, 4), S(3, 4), 1, 0, BAD_TYPE},
  };
  if (s->index >= (int)(sizeof cases / sizeof *cases)) return false;
  int i = s->index;
  moire_value operands[] = {moire__sample_input(s, cases[i].a, cases[i].x, -1, 1),
                            moire__sample_input(s, cases[i].b, cases[i].w, -1, 1)};
  const int64_t shifts[] = {0, 3, cases[i].shift};
  moire__attr attrs[] = {moire__attr_make_ints("shifts", shifts, 3),
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
  tap_shifts shifts = shifts_of(&row);
  moire__attr attrs[] = {moire__attr_make_ints("shifts", shifts.of, shifts.n),
                         moire__attr_make_int("reverse", s->index % 2)};
  return moire__sample_finish(
      s, moire__sample_emit(s, MOIRE__OP_depthwise_conv, (moire_value[]){x, w}, 2, attrs, 2));
}

/* ---- depthwise_conv_weight ------------------------------------------------------------------------------- */

moire_status moire__depthwise_conv_weight_infer(moire__infer *c) {
  moire_dtype dtype = MOIRE_F32;
  int taps = 0;
  MOIRE__TRY(conv_dtype(c, &dtype));
  MOIRE__TRY(moire__infer_rank(c, 0, 3, 3));
  MOIRE__TRY(conv_shifts(c, &taps));
  if (!moire__shape_equal(&c->operands[0]->shape, &c->operands[1]->shape))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "shapes differ: x is %s, y is %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  return moire__infer_result(c, 0, dtype, MOIRE_SHAPE(taps, c->operands[0]->shape.dims[2]));
}

static moire_value plane_conv_weight(const moire__split *c, moire_value x, moire_value y) {
  if (moire_value_is_null(x) || moire_value_is_null(y)) return (moire_value){0};
  return conv_weight(c->g, x, y, c->node);
}

void moire__depthwise_conv_weight_split(moire__split *c) {
  moire__planes x = c->operands[0], y = c->operands[1];
  c->results[0].re = plus(plane_conv_weight(c, x.re, y.re), plane_conv_weight(c, x.im, y.im));
  c->results[0].im = minus(plane_conv_weight(c, x.re, y.im), plane_conv_weight(c, x.im, y.re));
}

void moire__depthwise_conv_weight_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0], *y = c->operands[1];
  moire__tensor *w = c->results[0];
  int64_t length = x->dims[1], width = x->dims[2];
  int taps = 0;
  const int64_t *shifts = moire__node_ints(c->node, "shifts", &taps);
  for (int64_t i = 0; i < y->elements; i++) {
    int64_t d = i % width, t = i / width % length;
    for (int r = 0; r < taps; r++) {
      if (t < shifts[r]) continue;
      int64_t at = i - shifts[r] * width, tap = r * width + d;
      double xr = x->re[at], xi = x->im ? x->im[at] : 0, yr = y->re[i], yi = y->im ? y->im[i] : 0;
      w->re[tap] += yr * xr + yi * xi;
      if (w->im) w->im[tap] += yi * xr - yr * xi;
    }
  }
}

static moire_value sample_weight(moire__sampler *s, moire_value x, moire_value y, const tap_shifts *shifts) {
  moire__attr attr = moire__attr_make_ints("shifts", shifts->of, shifts->n);
  return moire__sample_emit(s, MOIRE__OP_depthwise_conv_weight, (moire_value[]){x, y}, 2, &attr, 1);
}

static bool depthwise_conv_weight_wrong(moire__sampler *s) {
  const struct {
    moire_dtype a, b;
    moire_shape x, y;
    tap_shifts shifts;
    moire_status expected;
  } cases[] = {
      {F32, F32, S(2, 8, 4), S(2, 7, 4), {{0, 1}, 2}, BAD_SHAPE},
      {F32, F32, S(8, 4), S(8, 4), {{0, 1}, 2}, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(2, 8, 4), {{0}, 0}, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(2, 8, 4), {{0, -1}, 2}, BAD_ARGUMENT},
      {F32, BOOL, S(2, 8, 4), S(2, 8, 4), {{0, 1}, 2}, BAD_TYPE},
  };
  if (s->index >= (int)(sizeof cases / sizeof *cases)) return false;
  int i = s->index;
  moire_value x = moire__sample_input(s, cases[i].a, cases[i].x, -1, 1);
  moire_value y = moire__sample_input(s, cases[i].b, cases[i].y, -1, 1);
  sample_weight(s, x, y, &cases[i].shifts);
  return moire__sample_refuse(s, cases[i].expected);
}

bool moire__depthwise_conv_weight_sample(moire__sampler *s) {
  if (s->kind == MOIRE__SAMPLE_WRONG) return depthwise_conv_weight_wrong(s);
  conv_case row;
  if (!conv_sample_row(s, &row)) return false;
  moire_value x = moire__sample_input(s, row.a, row.x, -1, 1);
  moire_value y = moire__sample_input(s, row.b, row.x, -1, 1);
  tap_shifts shifts = shifts_of(&row);
  return moire__sample_finish(s, sample_weight(s, x, y, &shifts));
}
