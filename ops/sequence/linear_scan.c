/* linear_scan and clinear_scan: a linear recurrence along axis 1, each channel by itself.
 *
 * Operands a and b [B, L, D], both real or both complex; a may also be [1, 1, D], the same everywhere. a' is a,
 * or its conjugate with attribute conj:
 *
 *   y_0 = b_0,        y_t = a'_t y_{t-1} + b_t          reverse = 0
 *   y_{L-1} = b_{L-1}, y_t = a'_{t+1} y_{t+1} + b_t     reverse = 1, the transposed map: a_0 is never looked at
 *
 * Each is the other's gradient: with g that of y, the gradient of b is the scan of g in the other direction
 * with the other conj; that of a is made in the same walk (ops/sequence/linear_scan_gradient.c).
 *
 * clinear_scan is the same on planes, operands ar, ai, br, bi and results re, im; split writes it in place of a
 * complex linear_scan, after autodiff, so that one kernel carries both planes of the state.
 */
#include "ops/sequence/linear_scan.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

static bool is_fixed(const moire_shape *a, const moire_shape *b) {
  return a->rank == 3 && a->dims[0] == 1 && a->dims[1] == 1 && a->dims[2] == b->dims[2];
}

moire_status moire__linear_scan_infer_operands(moire__infer *c, int planes, int others) {
  int64_t flag;
  for (int i = 1; i < planes; i++) MOIRE__TRY(moire__infer_alike(c, 0, i));
  for (int i = 1; i < others; i++) MOIRE__TRY(moire__infer_alike(c, planes, planes + i));
  MOIRE__TRY(moire__infer_rank(c, planes, 3, 3));
  const moire__value_info *a = c->operands[0], *b = c->operands[planes];
  if (a && (a->dtype != b->dtype || !is_fixed(&a->shape, &b->shape)))
    MOIRE__TRY(moire__infer_alike(c, 0, planes));
  if (!moire__dim_is_static(b->shape.dims[2]))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "the channels of [B, L, D] are fixed: b is %s",
                      moire__operand_type(c, planes).text);
  MOIRE__TRY(moire__infer_int(c, "reverse", 0, 1, &flag));
  return moire__infer_int(c, "conj", 0, 1, &flag);
}

void moire__linear_scan_attrs(bool reverse, bool conj, moire__attr attrs[MOIRE__LINEAR_SCAN_ATTRS]) {
  attrs[0] = moire__attr_make_int("reverse", reverse);
  attrs[1] = moire__attr_make_int("conj", conj);
}

/* ---- reference ------------------------------------------------------------------------------------------- */

typedef struct place {
  int64_t at, joint; /* of b; of the a that joins it to the position before in the walk */
} place;

static void walk_channel(const moire__linear_scan_planes *x, const place *places, int64_t n, double sign,
                         bool conj) {
  double re = 0, im = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t at = places[i].at, joint = places[i].joint;
    double ar = i ? x->ar[joint] : 0, ai = i && x->ai ? sign * x->ai[joint] : 0, before = re, yr, yi;
    if (x->dar && i) {
      yr = x->yr[at], yi = x->yi ? x->yi[at] : 0;
      x->dar[joint] += re * yr + im * yi;
      if (x->dai) x->dai[joint] += (conj ? -1 : 1) * (im * yr - re * yi);
    }
    re = ar * re - ai * im + x->br[at];
    im = ar * im + ai * before + (x->bi ? x->bi[at] : 0);
    x->re[at] = re;
    if (x->im) x->im[at] = im;
  }
}

void moire__linear_scan_walk(const moire__node *node, const int64_t *a_dims, const int64_t *dims,
                             moire__linear_scan_planes x) {
  bool other = x.dar != NULL, conj = moire__node_int(node, "conj") != 0;
  bool reverse = (moire__node_int(node, "reverse") != 0) != other;
  double sign = conj != other ? -1 : 1;
  int64_t length = dims[1], channels = dims[2];
  place *places = moire__allocate_array((size_t)length + 1, sizeof *places);
  for (int64_t sample = 0; sample < dims[0]; sample++)
    for (int64_t d = 0; d < channels; d++) {
      for (int64_t i = 0; i < length; i++) {
        int64_t t = reverse ? length - 1 - i : i, joint = reverse ? t + 1 : t;
        if (a_dims[1] == 1 && length != 1) joint = 0;
        places[i].at = (sample * length + t) * channels + d;
        places[i].joint = ((a_dims[0] == 1 ? 0 : sample) * a_dims[1] + joint) * channels + d;
      }
      walk_channel(&x, places, length, sign, conj);
    }
  moire__release(places);
}

/* ---- samples ------------------------------------------------------------------------------------------------
 */

bool moire__linear_scan_samples(moire__sampler *s, moire__op op, int planes, int others) {
  moire_dim batch = moire__sample_batch(s), some = moire__sample_time(s), many = moire_dim_times(some, 31),
            more = moire_dim_times(some, 47);
  bool wrong = s->kind == MOIRE__SAMPLE_WRONG;
  moire_dtype dtype = planes == 1 && !wrong && s->index % 2 ? C64 : F32;
  const struct {
    moire__sample_kind kind;
    moire_shape a, b;
    int64_t reverse;
    moire_dtype last; /* of the last operand */
    double size;      /* of a */
    moire_status expected;
  } cases[] = {
      {GOOD, S(2, 5, 4), S(2, 5, 4), 0, dtype, 1, ACCEPTED},
      {GOOD, S(2, 5, 4), S(2, 5, 4), 1, dtype, 1, ACCEPTED},
      {GOOD, S(batch, 12, 16), S(batch, 12, 16), 1, dtype, 0.7, ACCEPTED},
      {GOOD, S(1, 1, 5), S(batch, 9, 5), 0, dtype, 0.7, ACCEPTED},
      {HARD, S(1, 1, 1), S(1, 1, 1), 0, dtype, 1, ACCEPTED},
      {HARD, S(3, 1, 7), S(3, 1, 7), 0, dtype, 1, ACCEPTED},
      {HARD, S(2, 131, 33), S(2, 131, 33), 1, dtype, 0.7, ACCEPTED},
      {HARD, S(2, 131, 18), S(2, 131, 18), 0, dtype, 0.7, ACCEPTED},
      {HARD, S(1, 1, 18), S(batch, 150, 18), 0, dtype, 0.7, ACCEPTED},
      {HARD, S(1, 1, 5), S(batch, 150, 5), 1, dtype, 0.7, ACCEPTED},
      {HARD, S(1, 1, 3), S(40, 70, 3), 1, dtype, 0.7, ACCEPTED},
      {HARD, S(2, some, 6), S(2, some, 6), 0, dtype, 1, ACCEPTED},
      {HARD, S(1, 1, 7), S(batch, many, 7), 1, dtype, 0.7, ACCEPTED},
      {HARD, S(1, 1, 7), S(batch, many, 7), 0, dtype, 0.7, ACCEPTED},
      {HARD, S(batch, more, 2), S(batch, more, 2), 0, dtype, 0.7, ACCEPTED},
      {HARD, S(batch, more, 2), S(batch, more, 2), 1, dtype, 0.7, ACCEPTED},
      {HARD, S(1, 1, 4), S(batch, 1, 4), 0, dtype, 1, ACCEPTED},
      {HARD, S(1, 1, 4), S(1, 1, 4), 1, dtype, 1, ACCEPTED},
      {HARD, S(1, 1, 4), S(0, 3, 4), 0, dtype, 1, ACCEPTED},
      {HARD, S(batch, 7, 65), S(batch, 7, 65), 1, dtype, 1, ACCEPTED},
      {HARD, S(batch, 3, 131), S(batch, 3, 131), 0, dtype, 3, ACCEPTED},
      {HARD, S(0, 3, 2), S(0, 3, 2), 1, dtype, 1, ACCEPTED},
      {HARD, S(2, 0, 2), S(2, 0, 2), 0, dtype, 1, ACCEPTED},
      {HARD, S(2, 3, 0), S(2, 3, 0), 1, dtype, 1, ACCEPTED},
      {WRONG, S(2, 5, 4), S(2, 4, 4), 0, dtype, 1, BAD_SHAPE},
      {WRONG, S(5, 4), S(5, 4), 0, dtype, 1, BAD_SHAPE},
      {WRONG, S(1, 1, 3), S(2, 5, 4), 0, dtype, 1, BAD_SHAPE},
      {WRONG, S(4), S(2, 5, 4), 0, dtype, 1, BAD_SHAPE},
      {WRONG, S(2, 5, batch), S(2, 5, batch), 0, dtype, 1, BAD_SHAPE},
      {WRONG, S(2, 5, 4), S(2, 5, 4), 2, dtype, 1, BAD_ARGUMENT},
      {WRONG, S(2, 5, 4), S(2, 5, 4), 0, F64, 1, BAD_TYPE},
      {WRONG, S(2, 5, 4), S(2, 5, 4), 0, C64, 1, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value x[6];
  int n = planes + others;
  for (int j = 0; j < n; j++) {
    double size = j < planes ? cases[i].size / planes : 1;
    x[j] = moire__sample_input(s, j == n - 1 ? cases[i].last : dtype, j < planes ? cases[i].a : cases[i].b,
                               -size, size);
  }
  moire__attr attrs[MOIRE__LINEAR_SCAN_ATTRS];
  moire__linear_scan_attrs(false, s->index / 2 % 2, attrs);
  attrs[0] = moire__attr_make_int("reverse", cases[i].reverse);
  moire_value y = moire__sample_emit(s, op, x, n, attrs, MOIRE__LINEAR_SCAN_ATTRS);
  if (wrong) return moire__sample_refuse(s, cases[i].expected);
  static const char *const names[] = {"y1", "y2", "y3"};
  int n_results = moire_value_is_null(y) ? 0 : moire__node_of(s->g, y.id)->n_results;
  for (int r = 1; r < n_results; r++) moire_output(s->g, names[r - 1], moire__value(s->g, y.id + r));
  return moire__sample_finish(s, y);
}

/* ---- linear_scan --------------------------------------------------------------------------------------------
 */

moire_status moire__linear_scan_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32 | MOIRE__SET_COMPLEX));
  MOIRE__TRY(moire__linear_scan_infer_operands(c, 1, 1));
  return moire__infer_as_operand(c, 1);
}

void moire__linear_scan_gradient(moire__gradient *c) {
  bool reverse = moire__node_int(c->node, "reverse") != 0, conj = moire__node_int(c->node, "conj") != 0;
  moire_value operands[] = {c->operands[0], c->result_gradients[0], c->results[0]};
  moire__attr attrs[MOIRE__LINEAR_SCAN_ATTRS];
  if (!c->wanted[0]) {
    moire__linear_scan_attrs(!reverse, !conj, attrs);
    c->operand_gradients[1] = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_linear_scan, operands, 2, attrs,
                                                MOIRE__LINEAR_SCAN_ATTRS);
    return;
  }
  moire__linear_scan_attrs(reverse, conj, attrs);
  moire_value da = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_linear_scan_gradient, operands, 3, attrs,
                                     MOIRE__LINEAR_SCAN_ATTRS);
  c->operand_gradients[0] = da;
  if (!moire_value_is_null(da)) c->operand_gradients[1] = moire__value(c->g, da.id + 1);
}

void moire__linear_scan_split(moire__split *c) {
  moire__planes a = c->operands[0], b = c->operands[1];
  moire_value re =
      moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_clinear_scan, (moire_value[]){a.re, a.im, b.re, b.im}, 4,
                        c->node->attrs, c->node->n_attrs);
  c->results[0].re = re;
  if (!moire_value_is_null(re)) c->results[0].im = moire__value(c->g, re.id + 1);
}

/* Samples and channels are independent; positions need all that the scan has passed before. */
bool moire__linear_scan_demand(moire__demand *c) {
  bool reverse = moire__node_int(c->node, "reverse") != 0;
  if (c->axis == 1 && (reverse ? c->start + c->length != c->extent : c->start != 0)) return false;
  moire_shape a = moire_value_shape(c->operands[0]), b = moire_value_shape(c->operands[1]);
  if (c->axis == 2 || !is_fixed(&a, &b)) moire__demand_slice(c, 0, c->axis, c->start, c->length);
  moire__demand_slice(c, 1, c->axis, c->start, c->length);
  return true;
}

void moire__linear_scan_reference(moire__reference *c) {
  const moire__tensor *a = c->operands[0], *b = c->operands[1];
  moire__linear_scan_walk(c->node, a->dims, b->dims,
                          (moire__linear_scan_planes){.ar = a->re,
                                                      .ai = a->im,
                                                      .br = b->re,
                                                      .bi = b->im,
                                                      .re = c->results[0]->re,
                                                      .im = c->results[0]->im});
}

bool moire__linear_scan_sample(moire__sampler *s) {
  return moire__linear_scan_samples(s, MOIRE__OP_linear_scan, 1, 1);
}

/* ---- clinear_scan -------------------------------------------------------------------------------------------
 */

moire_status moire__clinear_scan_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  MOIRE__TRY(moire__linear_scan_infer_operands(c, 2, 2));
  for (int r = 0; r < 2; r++) moire__infer_result(c, r, MOIRE_F32, c->operands[2]->shape);
  return MOIRE_OK;
}

void moire__clinear_scan_reference(moire__reference *c) {
  const moire__tensor *const *x = c->operands;
  moire__linear_scan_walk(c->node, x[0]->dims, x[2]->dims,
                          (moire__linear_scan_planes){.ar = x[0]->re,
                                                      .ai = x[1]->re,
                                                      .br = x[2]->re,
                                                      .bi = x[3]->re,
                                                      .re = c->results[0]->re,
                                                      .im = c->results[1]->re});
}

bool moire__clinear_scan_sample(moire__sampler *s) {
  return moire__linear_scan_samples(s, MOIRE__OP_clinear_scan, 2, 2);
}
