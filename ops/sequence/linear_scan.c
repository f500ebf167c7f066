/* linear_scan and clinear_scan: a linear recurrence along axis 1, each channel by itself.
 *
 * Operands a and b [B, L, D], both real or both complex; a' is a, or its conjugate with attribute conj:
 *
 *   y_0 = b_0,        y_t = a'_t y_{t-1} + b_t          reverse = 0
 *   y_{L-1} = b_{L-1}, y_t = a'_{t+1} y_{t+1} + b_t     reverse = 1, the transposed map: a_0 is never looked at
 *
 * Each is the other's gradient: with g that of y, the gradient of b is the scan of g in the other direction
 * with the other conj, db_t = g_t + conj(a'_{t+1}) db_{t+1}, and a_t, which joins the positions t - 1 and t,
 * gets
 *
 *   da'_t = db_t conj(y_{t-1})  (reverse = 0),   da'_t = db_{t-1} conj(y_t)  (reverse = 1),   da'_0 = 0.
 *
 * clinear_scan is the same on planes, operands ar, ai, br, bi and results re, im; split writes it in place of a
 * complex linear_scan, after autodiff, so that one kernel carries both planes of the state.
 */
#include "ops/parts.h"
#include "ops/pointwise/pointwise.h"
#include "ops/sample_row.h"
#include "ops/support.h"

static moire_status scan_infer(moire__infer *c, int operand) {
  int64_t flag;
  MOIRE__TRY(moire__infer_rank(c, operand, 3, 3));
  const moire_shape *shape = &c->operands[operand]->shape;
  if (!moire__dim_is_static(shape->dims[1]) || !moire__dim_is_static(shape->dims[2]))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "length and channels of [B, L, D] are fixed: a is %s",
                      moire__operand_type(c, operand).text);
  MOIRE__TRY(moire__infer_int(c, "reverse", 0, 1, &flag));
  return moire__infer_int(c, "conj", 0, 1, &flag);
}

static int scan_attrs(bool reverse, bool conj, moire__attr attrs[2]) {
  attrs[0] = moire__attr_make_int("reverse", reverse);
  attrs[1] = moire__attr_make_int("conj", conj);
  return 2;
}

/* ---- reference ------------------------------------------------------------------------------------------- */

/* Planes; those of zeros are NULL. */
typedef struct scanned {
  const double *ar, *ai, *br, *bi;
  double *re, *im;
} scanned;

static void scan_reference(const moire__node *node, const int64_t *dims, scanned x) {
  bool reverse = moire__node_int(node, "reverse") != 0;
  double sign = moire__node_int(node, "conj") ? -1 : 1;
  int64_t length = dims[1], channels = dims[2];
  for (int64_t sample = 0; sample < dims[0]; sample++)
    for (int64_t d = 0; d < channels; d++) {
      double re = 0, im = 0;
      for (int64_t i = 0; i < length; i++) {
        int64_t t = reverse ? length - 1 - i : i, at = (sample * length + t) * channels + d;
        int64_t joint = reverse ? at + channels : at;
        double ar = i ? x.ar[joint] : 0, ai = i && x.ai ? sign * x.ai[joint] : 0, before = re;
        re = ar * re - ai * im + x.br[at];
        im = ar * im + ai * before + (x.bi ? x.bi[at] : 0);
        x.re[at] = re;
        if (x.im) x.im[at] = im;
      }
    }
}

/* ---- samples ------------------------------------------------------------------------------------------------
 */

/* `planes` operands for a and as many for b: rows, each with every pair of flags. */
static bool scan_sample(moire__sampler *s, int index, moire__op op, moire_dtype dtype, int planes) {
  moire_dim batch = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_shape a, b;
    moire_dtype last; /* of the last operand, if not as the others */
    int64_t reverse;
    double size; /* of a */
    moire_status expected;
  } cases[] = {
      {GOOD, S(2, 5, 4), S(2, 5, 4), dtype, 0, 1, ACCEPTED},
      {GOOD, S(batch, 12, 16), S(batch, 12, 16), dtype, 0, 0.7, ACCEPTED},
      {HARD, S(1, 1, 1), S(1, 1, 1), dtype, 0, 1, ACCEPTED},
      {HARD, S(3, 1, 7), S(3, 1, 7), dtype, 0, 1, ACCEPTED},
      {HARD, S(2, 2, 3), S(2, 2, 3), dtype, 0, 1, ACCEPTED},
      {HARD, S(2, 131, 33), S(2, 131, 33), dtype, 0, 0.7, ACCEPTED},
      {HARD, S(batch, 7, 65), S(batch, 7, 65), dtype, 0, 1, ACCEPTED},
      {HARD, S(batch, 3, 131), S(batch, 3, 131), dtype, 0, 3, ACCEPTED},
      {HARD, S(0, 3, 2), S(0, 3, 2), dtype, 0, 1, ACCEPTED},
      {HARD, S(2, 0, 2), S(2, 0, 2), dtype, 0, 1, ACCEPTED},
      {HARD, S(2, 3, 0), S(2, 3, 0), dtype, 0, 1, ACCEPTED},
      {WRONG, S(2, 5, 4), S(2, 4, 4), dtype, 0, 1, BAD_SHAPE},
      {WRONG, S(5, 4), S(5, 4), dtype, 0, 1, BAD_SHAPE},
      {WRONG, S(2, batch, 4), S(2, batch, 4), dtype, 0, 1, BAD_SHAPE},
      {WRONG, S(2, 5, batch), S(2, 5, batch), dtype, 0, 1, BAD_SHAPE},
      {WRONG, S(2, 5, 4), S(2, 5, 4), dtype, 2, 1, BAD_ARGUMENT},
      {WRONG, S(2, 5, 4), S(2, 5, 4), F64, 0, 1, BAD_TYPE},
      {WRONG, S(2, 5, 4), S(2, 5, 4), dtype == C64 ? F32 : C64, 0, 1, BAD_TYPE},
  };
  bool wrong = s->kind == MOIRE__SAMPLE_WRONG;
  moire__sampler row = *s;
  row.index = wrong ? index : index / 4;
  int i = MOIRE__SAMPLE_ROW(&row, cases);
  if (i < 0) return false;
  moire_value x[4];
  for (int j = 0; j < 2 * planes; j++) {
    double size = j < planes ? cases[i].size / planes : 1;
    x[j] = moire__sample_input(s, j == 2 * planes - 1 ? cases[i].last : dtype,
                               j < planes ? cases[i].a : cases[i].b, -size, size);
  }
  moire__attr attrs[2];
  int n = scan_attrs(!wrong && (index & 1), !wrong && (index & 2), attrs);
  if (wrong) attrs[0] = moire__attr_make_int("reverse", cases[i].reverse);
  moire_value y = moire__sample_emit(s, op, x, 2 * planes, attrs, n);
  if (wrong) return moire__sample_refuse(s, cases[i].expected);
  if (planes == 2 && !moire_value_is_null(y)) moire_output(s->g, "y1", moire__value(s->g, y.id + 1));
  return moire__sample_finish(s, y);
}

/* ---- linear_scan --------------------------------------------------------------------------------------------
 */

moire_status moire__linear_scan_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32 | MOIRE__SET_COMPLEX));
  MOIRE__TRY(moire__infer_alike(c, 0, 1));
  MOIRE__TRY(scan_infer(c, 0));
  return moire__infer_as_operand(c, 0);
}

static moire_value scan_emit(moire_value a, moire_value b, bool reverse, bool conj) {
  if (moire_value_is_null(a) || moire_value_is_null(b)) return (moire_value){a.graph, 0};
  moire__attr attrs[2];
  int n = scan_attrs(reverse, conj, attrs);
  return moire__graph_emit(a.graph, MOIRE_HERE, MOIRE__OP_linear_scan, (moire_value[]){a, b}, 2, attrs, n);
}

/* later_t earlier_{t-1}, 0 at t = 0. */
static moire_value across(moire_value later, moire_value earlier, int64_t length) {
  moire_value from = moire_slice(later, 1, 1, length - 1), to = moire_slice(earlier, 1, 0, length - 1);
  return moire_pad(moire_mul(from, to), 1, 1, 0);
}

void moire__linear_scan_gradient(moire__gradient *c) {
  bool reverse = moire__node_int(c->node, "reverse") != 0, conj = moire__node_int(c->node, "conj") != 0;
  moire_value y = moire__conjugate(c->results[0]);
  int64_t length = moire_value_dim(c->results[0], 1);
  moire_value db = scan_emit(c->operands[0], c->result_gradients[0], !reverse, !conj);
  c->operand_gradients[1] = db;
  if (!c->wanted[0] || length < 2) return;
  moire_value da = reverse ? across(y, db, length) : across(db, y, length);
  c->operand_gradients[0] = conj ? moire__conjugate(da) : da;
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
  for (int i = 0; i < 2; i++) moire__demand_slice(c, i, c->axis, c->start, c->length);
  return true;
}

void moire__linear_scan_reference(moire__reference *c) {
  const moire__tensor *a = c->operands[0], *b = c->operands[1];
  scan_reference(c->node, a->dims, (scanned){a->re, a->im, b->re, b->im, c->results[0]->re, c->results[0]->im});
}

/* Real and complex in turns; what is wrong is so with either. */
bool moire__linear_scan_sample(moire__sampler *s) {
  if (s->kind == MOIRE__SAMPLE_WRONG) return scan_sample(s, s->index, MOIRE__OP_linear_scan, F32, 1);
  return scan_sample(s, s->index / 2, MOIRE__OP_linear_scan, s->index % 2 ? C64 : F32, 1);
}

/* ---- clinear_scan -------------------------------------------------------------------------------------------
 */

moire_status moire__clinear_scan_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  for (int i = 1; i < 4; i++) MOIRE__TRY(moire__infer_alike(c, 0, i));
  MOIRE__TRY(scan_infer(c, 0));
  for (int r = 0; r < 2; r++) moire__infer_result(c, r, MOIRE_F32, c->operands[0]->shape);
  return MOIRE_OK;
}

void moire__clinear_scan_reference(moire__reference *c) {
  const moire__tensor *const *x = c->operands;
  scan_reference(c->node, x[0]->dims,
                 (scanned){x[0]->re, x[1]->re, x[2]->re, x[3]->re, c->results[0]->re, c->results[1]->re});
}

bool moire__clinear_scan_sample(moire__sampler *s) {
  return scan_sample(s, s->index, MOIRE__OP_clinear_scan, MOIRE_F32, 2);
}
