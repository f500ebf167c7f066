/* attend: interference attention by planes, the op that `attention` expands to where it can (ops/attend.h).
 *
 * Attributes are attention's: scale, mask_value, causal, has_valid, has_rng, dropout, stream and, of a part of
 * the random mask, mask_shape and mask_start. Lengths and widths are static, and there is at least one key.
 */
#include "ops/attend.h"
#include "ops/mask.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <math.h>
#include <string.h>

moire__attend_layout moire__attend_layout_of(const moire__node *node, int first) {
  moire__attend_layout at = {-1, -1, first};
  if (moire__node_int(node, "has_valid")) at.valid = at.n++;
  if (moire__node_int(node, "has_rng")) at.rng = at.n++;
  return at;
}

/* ---- infer ---- */

static moire_status infer_attributes(moire__infer *c, int first) {
  static const char *const flags[] = {"causal", "has_valid", "has_rng"};
  static const char *const reals[] = {"scale", "mask_value", "dropout"};
  int64_t value = 0;
  for (int i = 0; i < 3; i++) MOIRE__TRY(moire__infer_int(c, flags[i], 0, 1, &value));
  for (int i = 0; i < 3; i++) {
    double real = 0;
    MOIRE__TRY(moire__infer_real(c, reals[i], &real));
    if (!isfinite(real))
      return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "%s is %g, wanted a finite number", reals[i], real);
  }
  MOIRE__TRY(moire__infer_int_or(c, "stream", 0, 0, UINT32_MAX, &value));
  int wanted = moire__attend_layout_of(c->node, first).n;
  if (c->n_operands == wanted) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "%d operands, but has_valid and has_rng want %d",
                    c->n_operands, wanted);
}

static moire_status wanted_shape(moire__infer *c, int operand, moire_dtype dtype, moire_shape shape) {
  MOIRE__TRY(moire__infer_dtype(c, operand, 1u << dtype));
  if (moire__shape_equal(&c->operands[operand]->shape, &shape)) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "operand %d is %s, wanted %s", operand,
                    moire__operand_type(c, operand).text, moire__type_print(c->g, dtype, &shape).text);
}

static moire_status infer_planes(moire__infer *c, int first) {
  MOIRE__TRY(infer_attributes(c, first));
  for (int i = 0; i < MOIRE__ATTEND_FORWARD; i += 2) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << MOIRE_F32));
    MOIRE__TRY(moire__infer_rank(c, i, 4, 4));
    MOIRE__TRY(moire__infer_alike(c, i, i + 1));
    for (int d = 1; d < 4; d++) {
      if (moire__dim_is_static(c->operands[i]->shape.dims[d])) continue;
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "operand %d is %s, wanted fixed heads, length and width",
                        i, moire__operand_type(c, i).text);
    }
  }
  const moire_dim *q = c->operands[0]->shape.dims, *k = c->operands[2]->shape.dims,
                  *v = c->operands[4]->shape.dims;
  bool fit = q[0] == k[0] && q[1] == k[1] && q[3] == k[3] && k[0] == v[0] && k[1] == v[1] && k[2] == v[2];
  if (!fit || k[2] == 0) {
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "q, k and v do not fit: %s, %s, %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 2).text,
                      moire__operand_type(c, 4).text);
  }
  moire__attend_layout at = moire__attend_layout_of(c->node, first);
  if (at.valid >= 0) MOIRE__TRY(wanted_shape(c, at.valid, MOIRE_BOOL, MOIRE_SHAPE(k[0], k[2])));
  moire_shape scores = MOIRE_SHAPE(q[0], q[1], q[2], k[2]);
  return at.rng >= 0 ? moire__mask_infer(c, at.rng, "dropout", &scores) : MOIRE_OK;
}

static moire_shape output_shape(const moire__infer *c) {
  moire_shape y = c->operands[0]->shape;
  y.dims[3] = c->operands[4]->shape.dims[3];
  return y;
}

static moire_shape row_shape(const moire__infer *c) {
  moire_shape rows = c->operands[0]->shape;
  rows.rank = 3;
  rows.dims[3] = 0;
  return rows;
}

moire_status moire__attend_infer(moire__infer *c) {
  MOIRE__TRY(infer_planes(c, MOIRE__ATTEND_FORWARD));
  MOIRE__TRY(moire__infer_result(c, 0, MOIRE_F32, output_shape(c)));
  MOIRE__TRY(moire__infer_result(c, 1, MOIRE_F32, output_shape(c)));
  MOIRE__TRY(moire__infer_result(c, 2, MOIRE_F32, row_shape(c)));
  return moire__infer_result(c, 3, MOIRE_F32, row_shape(c));
}

moire_status moire__attend_backward_infer(moire__infer *c) {
  MOIRE__TRY(infer_planes(c, MOIRE__ATTEND_BACKWARD));
  MOIRE__TRY(wanted_shape(c, MOIRE__ATTEND_LARGEST, MOIRE_F32, row_shape(c)));
  MOIRE__TRY(wanted_shape(c, MOIRE__ATTEND_SUM, MOIRE_F32, row_shape(c)));
  static const int like_y[] = {MOIRE__ATTEND_YR, MOIRE__ATTEND_YI, MOIRE__ATTEND_GR, MOIRE__ATTEND_GI};
  for (int i = 0; i < 4; i++) MOIRE__TRY(wanted_shape(c, like_y[i], MOIRE_F32, output_shape(c)));
  for (int i = 0; i < MOIRE__ATTEND_FORWARD; i++) {
    MOIRE__TRY(moire__infer_result(c, i, MOIRE_F32, c->operands[i]->shape));
  }
  return MOIRE_OK;
}

/* ---- gradient ---- */

static moire_value or_zeros(moire_value x, moire_value like) {
  if (!moire_value_is_null(x)) return x;
  return moire_constant(like.graph, MOIRE_F32, moire_value_shape(like), 0);
}

/* No gradient flows through the last two results: only the backward op reads them. */
void moire__attend_gradient(moire__gradient *c) {
  moire_value operands[MOIRE__ATTEND_BACKWARD + 2];
  memcpy(operands, c->operands, MOIRE__ATTEND_FORWARD * sizeof *operands);
  memcpy(operands + MOIRE__ATTEND_YR, c->results, 4 * sizeof *operands);
  operands[MOIRE__ATTEND_GR] = or_zeros(c->result_gradients[0], c->results[0]);
  operands[MOIRE__ATTEND_GI] = or_zeros(c->result_gradients[1], c->results[1]);
  int n = MOIRE__ATTEND_BACKWARD;
  for (int i = MOIRE__ATTEND_FORWARD; i < c->node->n_operands; i++) operands[n++] = c->operands[i];
  moire_value first = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_attend_backward, operands, n,
                                        c->node->attrs, c->node->n_attrs);
  for (int i = 0; i < MOIRE__ATTEND_FORWARD; i++) {
    c->operand_gradients[i] = moire_value_is_null(first) ? first : moire__value(c->g, first.id + i);
  }
}

/* ---- reference ---- */

/* One row: s by planes, p (first its scores, then its weights) and the random mask. */
typedef struct row_values {
  double *re, *im, *p, *drop;
} row_values;

/* Fills re, im, drop and leaves the scores in p. */
static void reference_scores(moire__reference *c, int first, int64_t row, row_values v) {
  const moire__tensor *const *x = c->operands;
  moire__attend_layout at = moire__attend_layout_of(c->node, first);
  int64_t heads = x[0]->dims[1], queries = x[0]->dims[2], d = x[0]->dims[3], keys = x[2]->dims[2];
  int64_t used[] = {x[0]->dims[0], heads, queries, keys};
  int64_t index[] = {row / queries / heads, row / queries % heads, row % queries, 0};
  for (int64_t j = 0; j < keys; j++) {
    v.re[j] = v.im[j] = 0;
    for (int64_t i = 0; i < d; i++) {
      int64_t q = row * d + i, k = (row / queries * keys + j) * d + i;
      v.re[j] += x[0]->re[q] * x[2]->re[k] + x[1]->re[q] * x[3]->re[k];
      v.im[j] += x[1]->re[q] * x[2]->re[k] - x[0]->re[q] * x[3]->re[k];
    }
    bool allowed = at.valid < 0 || x[at.valid]->re[index[0] * keys + j] != 0;
    if (moire__node_int(c->node, "causal")) allowed = allowed && j <= index[2] + keys - queries;
    v.p[j] = (v.re[j] * v.re[j] + v.im[j] * v.im[j]) * moire__node_real(c->node, "scale");
    if (!allowed) v.p[j] += moire__node_real(c->node, "mask_value");
    index[3] = j;
    v.drop[j] = at.rng < 0 ? 1 : moire__mask_element(c, x[at.rng], "dropout", 4, used, index);
  }
}

static double largest_of(const double *x, int64_t n) {
  double largest = -INFINITY;
  for (int64_t j = 0; j < n; j++) largest = fmax(largest, x[j]);
  return largest;
}

static row_values row_scratch(moire__reference *c) {
  size_t keys = (size_t)c->operands[2]->dims[2] + 1;
  double *all = moire__arena_array(c->scratch, 4 * keys, sizeof *all);
  return (row_values){all, all + keys, all + 2 * keys, all + 3 * keys};
}

void moire__attend_reference(moire__reference *c) {
  const moire__tensor *q = c->operands[0], *v = c->operands[4];
  int64_t queries = q->dims[2], keys = v->dims[2], e = v->dims[3];
  row_values row = row_scratch(c);
  for (int64_t r = 0; r < c->results[2]->elements; r++) {
    reference_scores(c, MOIRE__ATTEND_FORWARD, r, row);
    double largest = c->results[2]->re[r] = largest_of(row.p, keys), sum = 0;
    for (int64_t j = 0; j < keys; j++) sum += row.p[j] = exp(row.p[j] - largest);
    c->results[3]->re[r] = sum;
    for (int64_t j = 0; j < keys; j++) {
      for (int64_t i = 0; i < 2 * e; i++) {
        double weight = row.p[j] / sum * row.drop[j];
        int64_t from = (r / queries * keys + j) * e + i % e;
        c->results[i / e]->re[r * e + i % e] += weight * c->operands[4 + i / e]->re[from];
      }
    }
  }
}

/* One query row's share of all gradients. */
static void reference_backward_row(moire__reference *c, int64_t r, row_values row) {
  const moire__tensor *const *x = c->operands;
  int64_t queries = x[0]->dims[2], d = x[0]->dims[3], keys = x[2]->dims[2], e = x[4]->dims[3];
  reference_scores(c, MOIRE__ATTEND_BACKWARD, r, row);
  double largest = x[MOIRE__ATTEND_LARGEST]->re[r], sum = x[MOIRE__ATTEND_SUM]->re[r];
  for (int64_t j = 0; j < keys; j++) row.p[j] = exp(row.p[j] - largest) / sum;
  double dot = 0;
  for (int64_t i = 0; i < e; i++) {
    dot += x[MOIRE__ATTEND_GR]->re[r * e + i] * x[MOIRE__ATTEND_YR]->re[r * e + i];
    dot += x[MOIRE__ATTEND_GI]->re[r * e + i] * x[MOIRE__ATTEND_YI]->re[r * e + i];
  }
  for (int64_t j = 0; j < keys; j++) {
    int64_t vj = (r / queries * keys + j) * e, kj = (r / queries * keys + j) * d;
    double dp = 0;
    for (int64_t i = 0; i < e; i++) {
      double gr = x[MOIRE__ATTEND_GR]->re[r * e + i], gi = x[MOIRE__ATTEND_GI]->re[r * e + i];
      dp += gr * x[4]->re[vj + i] + gi * x[5]->re[vj + i];
      c->results[4]->re[vj + i] += row.p[j] * row.drop[j] * gr;
      c->results[5]->re[vj + i] += row.p[j] * row.drop[j] * gi;
    }
    double ds = 2 * moire__node_real(c->node, "scale") * row.p[j] * (dp * row.drop[j] - dot);
    double re = ds * row.re[j], im = ds * row.im[j];
    for (int64_t i = 0; i < d; i++) {
      double qr = x[0]->re[r * d + i], qi = x[1]->re[r * d + i], kr = x[2]->re[kj + i], ki = x[3]->re[kj + i];
      c->results[0]->re[r * d + i] += re * kr - im * ki;
      c->results[1]->re[r * d + i] += re * ki + im * kr;
      c->results[2]->re[kj + i] += re * qr + im * qi;
      c->results[3]->re[kj + i] += re * qi - im * qr;
    }
  }
}

void moire__attend_backward_reference(moire__reference *c) {
  row_values row = row_scratch(c);
  for (int64_t r = 0; r < c->operands[MOIRE__ATTEND_SUM]->elements; r++) reference_backward_row(c, r, row);
}

/* ---- sample ---- */

typedef struct attend_case {
  moire__sample_kind kind;
  moire_dim samples, heads, queries, keys, d, e;
  int causal, has_valid, has_rng;
  bool part;
  double range;
  moire_status expected;
} attend_case;

static bool attend_row(moire__sampler *s, attend_case *found) {
  moire_dim b = moire__sample_batch(s);
  const attend_case cases[] = {
      {GOOD, 2, 2, 5, 5, 4, 4, 0, 0, 0, false, 1, ACCEPTED},
      {GOOD, b, 2, 7, 7, 8, 8, 1, 1, 0, false, 1, ACCEPTED},
      {GOOD, b, 2, 7, 7, 8, 8, 1, 1, 1, false, 1, ACCEPTED},
      {GOOD, b, 1, 1, 7, 8, 8, 1, 1, 1, true, 1, ACCEPTED},
      {HARD, 1, 1, 1, 1, 1, 1, 1, 1, 1, false, 1, ACCEPTED},
      {HARD, 3, 1, 13, 17, 3, 5, 1, 1, 1, false, 1, ACCEPTED},
      {HARD, 1, 3, 5, 3, 7, 7, 1, 0, 0, false, 1, ACCEPTED},
      {HARD, b, 1, 2, 33, 3, 3, 1, 0, 0, false, 3, ACCEPTED},
      {HARD, 1, 1, 70, 130, 17, 33, 1, 1, 1, false, 0.3, ACCEPTED},
      {HARD, 0, 2, 3, 3, 4, 4, 1, 1, 0, false, 1, ACCEPTED},
      {HARD, 2, 1, 0, 3, 4, 4, 1, 1, 0, false, 1, ACCEPTED},
      {WRONG, 2, 1, 3, 0, 4, 4, 0, 0, 0, false, 1, BAD_SHAPE},
      {WRONG, 2, 1, b, 3, 4, 4, 0, 0, 0, false, 1, BAD_SHAPE},
      {WRONG, 2, 2, 5, 5, 4, 4, 0, 2, 0, false, 1, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i >= 0) *found = cases[i];
  return i >= 0;
}

/* attend over sampled inputs; its results are outputs; the gradient's op where `backward`. */
static bool sample(moire__sampler *s, bool backward) {
  attend_case row;
  if (!attend_row(s, &row)) return false;
  moire_shape shapes[] = {
      S(row.samples, row.heads, row.queries, row.d), S(row.samples, row.heads, row.keys, row.d),
      S(row.samples, row.heads, row.keys, row.e), S(row.samples, row.heads, row.queries, row.e)};
  moire_value x[MOIRE__ATTEND_BACKWARD + 2];
  int n = 0;
  for (; n < MOIRE__ATTEND_FORWARD; n++) {
    x[n] = moire__sample_input(s, MOIRE_F32, shapes[n / 2], -row.range, row.range);
  }
  if (backward) {
    for (; n < MOIRE__ATTEND_LARGEST; n++) x[n] = moire__sample_input(s, MOIRE_F32, shapes[3], -1, 1);
    for (int i = 0; i < 2; i++)
      x[n++] = moire__sample_input(s, MOIRE_F32, S(row.samples, row.heads, row.queries), 4, 5);
    for (; n < MOIRE__ATTEND_BACKWARD; n++) x[n] = moire__sample_input(s, MOIRE_F32, shapes[3], -1, 1);
  }
  moire_shape whole = S(row.samples, row.heads, row.keys, row.keys);
  int64_t start[] = {0, 0, 0, 0};
  if (row.part) start[2] = row.keys - row.queries;
  if (row.has_valid == 1) x[n++] = moire__sample_input(s, MOIRE_BOOL, S(row.samples, row.keys), 0, 2);
  if (row.has_rng) x[n++] = moire__sample_input(s, MOIRE_I32, S(3), -1000, 1000);
  moire__attr attrs[] = {
      moire__attr_make_real("scale", 0.5),          moire__attr_make_real("mask_value", -10000),
      moire__attr_make_int("causal", row.causal),   moire__attr_make_int("has_valid", row.has_valid),
      moire__attr_make_int("has_rng", row.has_rng), moire__attr_make_real("dropout", row.has_rng ? 0.3 : 0),
      moire__attr_make_int("stream", s->index),     moire__attr_make_dims("mask_shape", &whole),
      moire__attr_make_ints("mask_start", start, 4)};
  moire__op op = backward ? MOIRE__OP_attend_backward : MOIRE__OP_attend;
  moire_value y = moire__sample_emit(s, op, x, n, attrs, row.part ? 9 : 7);
  if (s->kind == WRONG) return moire__sample_refuse(s, row.expected);
  for (int i = 1; i < (backward ? MOIRE__ATTEND_FORWARD : 4) && !moire_value_is_null(y); i++) {
    char name[8] = {'y', (char)('0' + i), 0};
    moire_output(s->g, name, moire__value(s->g, y.id + i));
  }
  return moire__sample_finish(s, y);
}

bool moire__attend_sample(moire__sampler *s) { return sample(s, false); }

bool moire__attend_backward_sample(moire__sampler *s) { return sample(s, true); }
