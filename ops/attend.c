/* attend: interference attention by planes, the op that `attention` expands to where it can (ops/attend.h).
 *
 * Attributes are attention's: scale, mask_value, causal, has_valid, has_rng, dropout, stream and, of a part of
 * the random mask, mask_shape and mask_start; of a packed batch also packed, last and length (ops/attend.h).
 * Heads and widths are static, lengths too unless packed, and there is at least one key.
 */
#include "ops/attend.h"
#include "ops/mask.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <math.h>
#include <string.h>

moire__attend_layout moire__attend_layout_of(const moire__node *node, int first) {
  moire__attend_layout at = {-1, -1, -1, -1, -1, first};
  if (moire__node_int(node, "has_valid")) at.valid = at.n++;
  if (moire__node_int(node, "has_rng")) at.rng = at.n++;
  if (!moire__node_int_or(node, "packed", 0)) return at;
  at.tokens = at.n++;
  at.starts = at.n++;
  at.counts = at.n++;
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
  MOIRE__TRY(moire__infer_int_or(c, "packed", 0, 0, 1, &value));
  MOIRE__TRY(moire__infer_int_or(c, "last", 0, 0, value, &value));
  if (moire__node_int_or(c->node, "packed", 0)) MOIRE__TRY(moire__infer_int(c, "length", 1, INT32_MAX, &value));
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

/* The operands that only a packed batch has, and its rng: the mask is over the whole batch. */
static moire_status infer_packed(moire__infer *c, int first, moire_dim tokens) {
  moire__attend_layout at = moire__attend_layout_of(c->node, first);
  MOIRE__TRY(moire__infer_rank(c, at.starts, 1, 1));
  moire_dim samples = c->operands[at.starts]->shape.dims[0];
  if (at.valid >= 0) MOIRE__TRY(wanted_shape(c, at.valid, MOIRE_BOOL, MOIRE_SHAPE(tokens)));
  MOIRE__TRY(wanted_shape(c, at.tokens, MOIRE_I32, MOIRE_SHAPE(tokens)));
  MOIRE__TRY(wanted_shape(c, at.starts, MOIRE_I32, MOIRE_SHAPE(samples)));
  MOIRE__TRY(wanted_shape(c, at.counts, MOIRE_I32, MOIRE_SHAPE(samples)));
  if (moire__node_int_or(c->node, "last", 0) && c->operands[0]->shape.dims[0] != samples) {
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "q is %s, but starts is %s", moire__operand_type(c, 0).text,
                      moire__operand_type(c, at.starts).text);
  }
  moire_dim length = moire__node_int(c->node, "length");
  moire_shape scores = MOIRE_SHAPE(samples, c->operands[0]->shape.dims[1], length, length);
  return at.rng >= 0 ? moire__mask_infer(c, at.rng, "dropout", &scores) : MOIRE_OK;
}

static moire_status infer_planes(moire__infer *c, int first) {
  MOIRE__TRY(infer_attributes(c, first));
  for (int i = 0; i < MOIRE__ATTEND_FORWARD; i += 2) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << MOIRE_F32));
    MOIRE__TRY(moire__infer_rank(c, i, 4, 4));
    MOIRE__TRY(moire__infer_alike(c, i, i + 1));
    bool packed = moire__node_int_or(c->node, "packed", 0) != 0;
    for (int d = 1; d < 4; d++) {
      if (moire__dim_is_static(c->operands[i]->shape.dims[d]) || (packed && d == 2)) continue;
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "operand %d is %s, wanted fixed heads, length and width",
                        i, moire__operand_type(c, i).text);
    }
  }
  const moire_dim *q = c->operands[0]->shape.dims, *k = c->operands[2]->shape.dims,
                  *v = c->operands[4]->shape.dims;
  bool fit = q[1] == k[1] && q[3] == k[3] && k[0] == v[0] && k[1] == v[1] && k[2] == v[2] && k[2] != 0;
  bool packed = moire__node_int_or(c->node, "packed", 0) != 0,
       last = moire__node_int_or(c->node, "last", 0) != 0;
  if (!packed) fit = fit && q[0] == k[0];
  if (packed) fit = fit && k[0] == 1 && (last ? q[2] == 1 : q[0] == 1 && q[2] == k[2]);
  if (!fit) {
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "q, k and v do not fit: %s, %s, %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 2).text,
                      moire__operand_type(c, 4).text);
  }
  if (packed) return infer_packed(c, first, k[2]);
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
  moire_value operands[MOIRE__ATTEND_BACKWARD + 5];
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
  double *re, *im, *p, *drop, *masked;
} row_values;

/* Where row `row` (of all query rows) stands, and its keys among all key rows of its head. */
typedef struct place {
  int64_t sample, head, query, queries, keys, first_key; /* query: among the sample's */
} place;

static place place_of(const moire__reference *c, moire__attend_layout at, int64_t row) {
  const moire__tensor *q = c->operands[0], *k = c->operands[2];
  int64_t heads = q->dims[1], rows = q->dims[2];
  place p = {row / rows / heads, row / rows % heads, row % rows, rows, k->dims[2], 0};
  p.first_key = (p.sample * heads + p.head) * p.keys;
  if (at.starts < 0) return p;
  const double *starts = c->operands[at.starts]->re, *counts = c->operands[at.counts]->re;
  bool last = moire__node_int_or(c->node, "last", 0) != 0;
  for (int64_t b = 0; b < c->operands[at.starts]->elements && !last; b++) {
    if (p.query < (int64_t)starts[b] || p.query >= (int64_t)(starts[b] + counts[b])) continue;
    p.sample = b;
    p.query -= (int64_t)starts[b];
    break;
  }
  p.keys = p.queries = (int64_t)counts[p.sample];
  if (last) p.query = p.keys - 1;
  p.first_key = p.head * k->dims[2] + (int64_t)starts[p.sample];
  return p;
}

static double drop_of(const moire__reference *c, moire__attend_layout at, place p, int64_t key) {
  if (at.rng < 0) return 1;
  const moire__tensor *q = c->operands[0];
  int64_t used[] = {q->dims[0], q->dims[1], q->dims[2], c->operands[2]->dims[2]};
  int64_t index[] = {p.sample, p.head, p.query, key};
  if (at.tokens >= 0) {
    int64_t length = moire__node_int(c->node, "length");
    const double *tokens = c->operands[at.tokens]->re + (int64_t)c->operands[at.starts]->re[p.sample];
    used[0] = c->operands[at.starts]->elements;
    used[2] = used[3] = length;
    index[2] = (int64_t)tokens[p.query] - p.sample * length;
    index[3] = (int64_t)tokens[key] - p.sample * length;
  }
  return moire__mask_element(c, c->operands[at.rng], "dropout", 4, used, index);
}

/* Do the samples of a packed batch lie among its tokens, one after the other, each token where it says it
 * stood? */
static bool is_packing_sound(moire__reference *c, moire__attend_layout at) {
  if (at.starts < 0) return true;
  const moire__tensor *starts = c->operands[at.starts], *counts = c->operands[at.counts];
  const double *tokens = c->operands[at.tokens]->re;
  int64_t all = c->operands[2]->dims[2], length = moire__node_int(c->node, "length"), next = 0;
  bool sound = true;
  for (int64_t b = 0; b < starts->elements && sound; b++) {
    int64_t start = (int64_t)starts->re[b], count = (int64_t)counts->re[b];
    sound = start == next && count >= 1 && count <= length && count <= all - start;
    for (int64_t t = start; sound && t < start + count; t++) {
      int64_t position = (int64_t)tokens[t] - b * length;
      sound = position >= 0 && position < length;
    }
    next = start + count;
  }
  if (sound && next == all) return true;
  moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "tokens, starts and counts are of no packed batch");
  return false;
}

/* Fills re, im, drop and leaves the scores in p. */
static place reference_scores(moire__reference *c, int first, int64_t row, row_values v) {
  const moire__tensor *const *x = c->operands;
  moire__attend_layout at = moire__attend_layout_of(c->node, first);
  place p = place_of(c, at, row);
  int64_t d = x[0]->dims[3], offset = p.keys - p.queries;
  bool any = false;
  for (int64_t j = 0; j < p.keys; j++) {
    v.re[j] = v.im[j] = 0;
    for (int64_t i = 0; i < d; i++) {
      int64_t q = row * d + i, k = (p.first_key + j) * d + i;
      v.re[j] += x[0]->re[q] * x[2]->re[k] + x[1]->re[q] * x[3]->re[k];
      v.im[j] += x[1]->re[q] * x[2]->re[k] - x[0]->re[q] * x[3]->re[k];
    }
    int64_t flag = at.starts < 0 ? p.sample * p.keys + j : p.first_key - p.head * x[2]->dims[2] + j;
    bool allowed = at.valid < 0 || x[at.valid]->re[flag] != 0;
    if (moire__node_int(c->node, "causal")) allowed = allowed && j <= p.query + offset;
    any = any || allowed;
    v.p[j] = (v.re[j] * v.re[j] + v.im[j] * v.im[j]) * moire__node_real(c->node, "scale");
    v.drop[j] = drop_of(c, at, p, j);
    v.masked[j] = allowed ? 0 : moire__node_real(c->node, "mask_value");
  }
  for (int64_t j = 0; j < p.keys && any; j++) v.p[j] += v.masked[j];
  return p;
}

static double largest_of(const double *x, int64_t n) {
  double largest = -INFINITY;
  for (int64_t j = 0; j < n; j++) largest = fmax(largest, x[j]);
  return largest;
}

static row_values row_scratch(moire__reference *c) {
  size_t keys = (size_t)c->operands[2]->dims[2] + 1;
  double *all = moire__arena_array(c->scratch, 5 * keys, sizeof *all);
  return (row_values){all, all + keys, all + 2 * keys, all + 3 * keys, all + 4 * keys};
}

void moire__attend_reference(moire__reference *c) {
  int64_t e = c->operands[4]->dims[3];
  if (!is_packing_sound(c, moire__attend_layout_of(c->node, MOIRE__ATTEND_FORWARD))) return;
  row_values row = row_scratch(c);
  for (int64_t r = 0; r < c->results[2]->elements; r++) {
    place at = reference_scores(c, MOIRE__ATTEND_FORWARD, r, row);
    double largest = c->results[2]->re[r] = largest_of(row.p, at.keys), sum = 0;
    for (int64_t j = 0; j < at.keys; j++) sum += row.p[j] = exp(row.p[j] - largest);
    c->results[3]->re[r] = sum;
    for (int64_t j = 0; j < at.keys; j++) {
      for (int64_t i = 0; i < 2 * e; i++) {
        double weight = row.p[j] / sum * row.drop[j];
        int64_t from = (at.first_key + j) * e + i % e;
        c->results[i / e]->re[r * e + i % e] += weight * c->operands[4 + i / e]->re[from];
      }
    }
  }
}

/* One query row's share of all gradients. */
static void reference_backward_row(moire__reference *c, int64_t r, row_values row) {
  const moire__tensor *const *x = c->operands;
  place at = reference_scores(c, MOIRE__ATTEND_BACKWARD, r, row);
  int64_t d = x[0]->dims[3], keys = at.keys, e = x[4]->dims[3];
  double largest = x[MOIRE__ATTEND_LARGEST]->re[r], sum = x[MOIRE__ATTEND_SUM]->re[r];
  for (int64_t j = 0; j < keys; j++) row.p[j] = exp(row.p[j] - largest) / sum;
  double dot = 0;
  for (int64_t i = 0; i < e; i++) {
    dot += x[MOIRE__ATTEND_GR]->re[r * e + i] * x[MOIRE__ATTEND_YR]->re[r * e + i];
    dot += x[MOIRE__ATTEND_GI]->re[r * e + i] * x[MOIRE__ATTEND_YI]->re[r * e + i];
  }
  for (int64_t j = 0; j < keys; j++) {
    int64_t vj = (at.first_key + j) * e, kj = (at.first_key + j) * d;
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
  if (!is_packing_sound(c, moire__attend_layout_of(c->node, MOIRE__ATTEND_BACKWARD))) return;
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

/* attend_backward of attend's own operands and results, with sampled gradients of its output. */
static moire_value sample_backward(moire__sampler *s, const moire_value *x, int n, moire_value y,
                                   const moire__attr *attrs, int n_attrs) {
  moire_value operands[MOIRE__ATTEND_BACKWARD + 5];
  if (moire_value_is_null(y)) return y;
  memcpy(operands, x, MOIRE__ATTEND_FORWARD * sizeof *operands);
  for (int i = 0; i < 4; i++) operands[MOIRE__ATTEND_YR + i] = moire__value(s->g, y.id + i);
  for (int i = 0; i < 2; i++)
    operands[MOIRE__ATTEND_GR + i] = moire__sample_input(s, MOIRE_F32, moire_value_shape(y), -1, 1);
  int count = MOIRE__ATTEND_BACKWARD;
  for (int i = MOIRE__ATTEND_FORWARD; i < n; i++) operands[count++] = x[i];
  return moire__sample_emit(s, MOIRE__OP_attend_backward, operands, count, attrs, n_attrs);
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
  moire_value y = moire__sample_emit(s, MOIRE__OP_attend, x, n, attrs, row.part ? 9 : 7);
  if (s->kind == WRONG && !backward) return moire__sample_refuse(s, row.expected);
  if (backward) y = sample_backward(s, x, n, y, attrs, row.part ? 9 : 7);
  if (s->kind == WRONG) return moire__sample_refuse(s, row.expected);
  for (int i = 1; i < (backward ? MOIRE__ATTEND_FORWARD : 2) && !moire_value_is_null(y); i++) {
    char name[8] = {'y', (char)('0' + i), 0};
    moire_output(s->g, name, moire__value(s->g, y.id + i));
  }
  return moire__sample_finish(s, y);
}

/* A packed batch of 3 samples with 4, 1 and 5 tokens of 6 positions. */
static bool packed_sample(moire__sampler *s, bool last) {
  enum { SAMPLES = 3, TOKENS = 10, LENGTH = 6 };
  moire_value x[MOIRE__ATTEND_FORWARD + 5];
  int n = 0;
  moire_shape rows = S(1, 2, TOKENS, 4), q = last ? S(SAMPLES, 2, 1, 4) : rows;
  for (; n < MOIRE__ATTEND_FORWARD; n++) x[n] = moire__sample_input(s, MOIRE_F32, n < 2 ? q : rows, -1, 1);
  x[n++] = moire__sample_input(s, MOIRE_BOOL, S(TOKENS), 0, 2);
  x[n++] = moire__sample_input(s, MOIRE_I32, S(3), -1000, 1000);
  moire_value number = moire_iota(s->g, S(TOKENS), 0), sample = moire_iota(s->g, S(SAMPLES), 0);
  moire_value zero = moire_constant(s->g, MOIRE_I32, MOIRE_SCALAR, 0),
              two = moire_constant(s->g, MOIRE_I32, MOIRE_SCALAR, 2);
  moire_value four = moire_constant(s->g, MOIRE_I32, MOIRE_SCALAR, 4),
              five = moire_constant(s->g, MOIRE_I32, MOIRE_SCALAR, 5);
  moire_value one = moire_constant(s->g, MOIRE_I32, MOIRE_SCALAR, 1);
  moire_value second = moire_where(moire_less(number, four), zero, two);
  x[n++] = moire_add(moire_add(number, second), moire_where(moire_less(number, five), zero, five));
  moire_value from = moire_where(moire_equal(sample, one), four, five);
  x[n++] = moire_where(moire_equal(sample, zero), zero, from);
  moire_value size = moire_where(moire_equal(sample, one), one, five);
  x[n++] = moire_where(moire_equal(sample, zero), four, size);
  moire__attr attrs[] = {moire__attr_make_real("scale", 0.5), moire__attr_make_real("mask_value", -10000),
                         moire__attr_make_int("causal", 1),   moire__attr_make_int("has_valid", 1),
                         moire__attr_make_int("has_rng", 1),  moire__attr_make_real("dropout", 0.3),
                         moire__attr_make_int("stream", 2),   moire__attr_make_int("packed", 1),
                         moire__attr_make_int("last", last),  moire__attr_make_int("length", LENGTH)};
  return moire__sample_finish(s, moire__sample_emit(s, MOIRE__OP_attend, x, n, attrs, 10));
}

bool moire__attend_sample(moire__sampler *s) {
  int after = s->index - 4;
  if (s->kind == MOIRE__SAMPLE_GOOD && (after == 0 || after == 1)) return packed_sample(s, after == 1);
  return sample(s, false);
}

bool moire__attend_backward_sample(moire__sampler *s) { return sample(s, true); }
