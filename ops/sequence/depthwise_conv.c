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
 *
 * Of packed samples (ops/sequence/packed.h) only tokens are computed, y [T,D] at (b, t) = where the token
 * stood; x has all positions nevertheless, since padding is read like the rest. The further operands are
 * tokens, slots, starts and counts, without slots for the weight's gradient. There is no `reverse`, and x's
 * gradient is that of all positions, where those that are no tokens have dy = 0.
 */
#include "ops/sequence/packed.h"
#include "ops/parts.h"
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
  if (c->n_operands == 2) return moire__infer_result(c, 0, dtype, *x);
  if (c->n_operands != 6 || reverse)
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "there are %d operands, wanted 2, or 6 without reverse",
                      c->n_operands);
  MOIRE__TRY(moire__infer_packed(c, 2, 4));
  return moire__infer_result(c, 0, dtype, MOIRE_SHAPE(c->operands[2]->shape.dims[0], x->dims[2]));
}

/* Of a packed batch: tokens, slots, starts, counts; none otherwise. */
typedef struct packed_operands {
  moire_value of[4];
  int n;
} packed_operands;

/* `like` has the shifts. */
static moire_value conv(moire_graph *g, moire_value x, moire_value w, packed_operands p,
                        const moire__node *like, bool reverse) {
  moire__attr attrs[] = {*moire__node_attr(like, "shifts"), moire__attr_make_int("reverse", 1)};
  moire_value operands[] = {x, w, p.of[0], p.of[1], p.of[2], p.of[3]};
  return moire__graph_emit(g, MOIRE_HERE, MOIRE__OP_depthwise_conv, operands, 2 + p.n, attrs, reverse ? 2 : 1);
}

static moire_value conv_weight(moire_graph *g, moire_value x, moire_value y, packed_operands p,
                               const moire__node *like) {
  moire_value operands[] = {x, y, p.of[0], p.of[2], p.of[3]};
  return moire__graph_emit(g, MOIRE_HERE, MOIRE__OP_depthwise_conv_weight, operands, p.n ? 5 : 2,
                           moire__node_attr(like, "shifts"), 1);
}

/* y [T, D] at its places in [B, L, D], which is x's shape; zero elsewhere. */
static moire_value unpack(moire_value y, packed_operands p, moire_value x) {
  moire_value operands[] = {y, p.of[1], p.of[0]};
  moire_value all = moire__graph_emit(y.graph, MOIRE_HERE, MOIRE__OP_take, operands, 3, NULL, 0);
  return moire_reshape(all, moire_value_shape(x));
}

static bool is_complex(moire_value x) { return moire_value_dtype(x) == MOIRE_C64; }

void moire__depthwise_conv_gradient(moire__gradient *c) {
  moire_value x = c->operands[0], w = c->operands[1], dy = c->result_gradients[0];
  bool reverse = moire__node_int_or(c->node, "reverse", 0) != 0;
  packed_operands p = {.n = c->node->n_operands - 2}, none = {0};
  for (int i = 0; i < p.n; i++) p.of[i] = c->operands[2 + i];
  if (c->wanted[0]) {
    moire_value all = p.n ? unpack(dy, p, x) : dy;
    moire_value dx = conv(c->g, all, is_complex(w) ? moire_conj(w) : w, none, c->node, !reverse);
    c->operand_gradients[0] = is_complex(dx) && !is_complex(x) ? moire_real(dx) : dx;
  }
  if (c->wanted[1]) {
    moire_value dw = reverse ? conv_weight(c->g, dy, x, p, c->node) : conv_weight(c->g, x, dy, p, c->node);
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
  packed_operands p = {.n = c->n_operands - 2};
  for (int i = 0; i < p.n; i++) p.of[i] = c->operands[2 + i].re;
  return conv(c->g, a, b, p, c->node, moire__node_int_or(c->node, "reverse", 0) != 0);
}

void moire__depthwise_conv_split(moire__split *c) {
  moire__planes x = c->operands[0], w = c->operands[1];
  c->results[0].re = minus(plane_conv(c, x.re, w.re), plane_conv(c, x.im, w.im));
  c->results[0].im = plus(plane_conv(c, x.re, w.im), plane_conv(c, x.im, w.re));
}

/* Samples and channels are independent; a beginning of the sequence (with `reverse`: an end) needs no more than
 * itself. Tokens are left as they are. */
bool moire__depthwise_conv_demand(moire__demand *c) {
  if (c->n_operands > 2) return false;
  bool reverse = moire__node_int_or(c->node, "reverse", 0) != 0;
  if (c->axis == 1 && (reverse ? c->start + c->length != c->extent : c->start != 0)) return false;
  moire__demand_slice(c, 0, c->axis, c->start, c->length);
  if (c->axis == 2) moire__demand_slice(c, 1, 1, c->start, c->length);
  return true;
}

/* Row `row` of y as b L + t. */
static int64_t place_of(const moire__tensor *tokens, int64_t row) {
  return tokens ? (int64_t)tokens->re[row] : row;
}

void moire__depthwise_conv_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0], *w = c->operands[1];
  moire__tensor *y = c->results[0];
  int64_t sign = moire__node_int_or(c->node, "reverse", 0) ? -1 : 1, length = x->dims[1], width = x->dims[2];
  int taps = 0;
  const int64_t *shifts = moire__node_ints(c->node, "shifts", &taps);
  const moire__tensor *tokens = c->n_operands > 2 ? c->operands[2] : NULL;
  if (tokens && !moire__packed_is_sound(c, 2, 4, 5, length)) return;
  for (int64_t i = 0; i < y->elements; i++) {
    int64_t d = i % width, place = place_of(tokens, i / width), t = place % length;
    for (int r = 0; r < taps; r++) {
      int64_t from = t - sign * shifts[r];
      if (from < 0 || from >= length) continue;
      int64_t at = (place + from - t) * width + d, tap = r * width + d;
      double xr = x->re[at], xi = x->im ? x->im[at] : 0, wr = w->re[tap], wi = w->im ? w->im[tap] : 0;
      y->re[i] += xr * wr - xi * wi;
      if (y->im) y->im[i] += xr * wi + xi * wr;
    }
  }
}

/* ---- depthwise_conv_weight ------------------------------------------------------------------------------- */

moire_status moire__depthwise_conv_weight_infer(moire__infer *c) {
  moire_dtype dtype = MOIRE_F32;
  int taps = 0;
  MOIRE__TRY(conv_dtype(c, &dtype));
  MOIRE__TRY(moire__infer_rank(c, 0, 3, 3));
  MOIRE__TRY(conv_shifts(c, &taps));
  moire_shape wanted = c->operands[0]->shape;
  if (c->n_operands != 2 && c->n_operands != 5)
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "there are %d operands, wanted 2 or 5", c->n_operands);
  if (c->n_operands == 5) {
    MOIRE__TRY(moire__infer_packed(c, 2, 3));
    wanted = MOIRE_SHAPE(c->operands[2]->shape.dims[0], wanted.dims[2]);
  }
  if (!moire__shape_equal(&wanted, &c->operands[1]->shape))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "shapes do not fit: x is %s, y is %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  return moire__infer_result(c, 0, dtype, MOIRE_SHAPE(taps, c->operands[0]->shape.dims[2]));
}

static moire_value plane_conv_weight(const moire__split *c, moire_value x, moire_value y) {
  if (moire_value_is_null(x) || moire_value_is_null(y)) return (moire_value){0};
  packed_operands p = {.n = c->n_operands - 2};
  for (int i = 0; i < p.n; i++) p.of[i ? i + 1 : 0] = c->operands[2 + i].re;
  return conv_weight(c->g, x, y, p, c->node);
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
  const moire__tensor *tokens = c->n_operands > 2 ? c->operands[2] : NULL;
  if (tokens && !moire__packed_is_sound(c, 2, 3, 4, length)) return;
  for (int64_t i = 0; i < y->elements; i++) {
    int64_t d = i % width, place = place_of(tokens, i / width);
    for (int r = 0; r < taps; r++) {
      if (place % length < shifts[r]) continue;
      int64_t at = (place - shifts[r]) * width + d, tap = r * width + d;
      double xr = x->re[at], xi = x->im ? x->im[at] : 0, yr = y->re[i], yi = y->im ? y->im[i] : 0;
      w->re[tap] += yr * xr + yi * xi;
      if (w->im) w->im[tap] += yi * xr - yr * xi;
    }
  }
}
