/* linear_log_softmax and its backward op (ops/head/head.h): the logarithms of the softmax of a linear map at
 * some of its words. The backward op's results are the gradients of x, w and the bias, zeros for that if there
 * is none. linear_log_softmax_joint is both at once, of a gradient of y that does not depend on y.
 *
 * Of the results only y and lse have gradients; the others are for the backward op.
 */
#include "ops/head/head.h"
#include "ops/product/product.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <math.h>

/* ---- infer ----------------------------------------------------------------------------------------------- */

static moire_status wanted(moire__infer *c, int operand, moire_dtype dtype, moire_shape shape) {
  MOIRE__TRY(moire__infer_dtype(c, operand, 1u << dtype));
  if (moire__shape_equal(&c->operands[operand]->shape, &shape)) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "operand %d is %s, wanted %s", operand,
                    moire__operand_type(c, operand).text, moire__type_print(c->g, dtype, &shape).text);
}

static moire_status check_temperature(moire__infer *c, double temperature) {
  if (temperature > 0 && isfinite(temperature)) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "temperature is %g, wanted a number above 0", temperature);
}

static moire_status infer_attributes(moire__infer *c) {
  double temperature = 0;
  int64_t flag = 0;
  MOIRE__TRY(moire__infer_real(c, "temperature", &temperature));
  MOIRE__TRY(check_temperature(c, temperature));
  MOIRE__TRY(moire__infer_int(c, "ignores", 0, 1, &flag));
  if (moire__node_attr(c->node, "second_temperature")) {
    MOIRE__TRY(moire__infer_real(c, "second_temperature", &temperature));
    MOIRE__TRY(check_temperature(c, temperature));
    MOIRE__TRY(moire__infer_int(c, "first", 0, INT32_MAX, &flag));
  }
  return moire__infer_int_or(c, "bf16", 0, 0, 1, &flag);
}

/* x, w, ids and the bias, if there is one. */
static moire_status infer_operands(moire__infer *c, int bias) {
  for (int i = 0; i < 2; i++) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << MOIRE_F32));
    MOIRE__TRY(moire__infer_rank(c, i, 2, 2));
  }
  MOIRE__TRY(moire__infer_dtype(c, MOIRE__HEAD_IDS, 1u << MOIRE_I32));
  MOIRE__TRY(moire__infer_rank(c, MOIRE__HEAD_IDS, 2, 2));
  const moire_dim *x = c->operands[MOIRE__HEAD_X]->shape.dims, *w = c->operands[MOIRE__HEAD_W]->shape.dims;
  const moire_dim *ids = c->operands[MOIRE__HEAD_IDS]->shape.dims;
  bool fixed = moire__dim_is_static(w[0]) && moire__dim_is_static(w[1]) && moire__dim_is_static(ids[1]);
  if (!fixed || w[0] < 1 || w[0] > INT32_MAX || w[1] > MOIRE__HEAD_WIDEST || ids[1] < 1)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                      "wanted a fixed number of words and ids, and at most %d columns: w is %s, ids are %s",
                      MOIRE__HEAD_WIDEST, moire__operand_type(c, MOIRE__HEAD_W).text,
                      moire__operand_type(c, MOIRE__HEAD_IDS).text);
  if (moire__node_attr(c->node, "first") && moire__node_int(c->node, "first") > ids[1])
    return moire_fail(
        c->error, MOIRE_ERROR_ARGUMENT, "the first %lld ids are of the first softmax, but ids are %s",
        (long long)moire__node_int(c->node, "first"), moire__operand_type(c, MOIRE__HEAD_IDS).text);
  if (x[1] != w[1] || ids[0] != x[0])
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "x, w and ids do not fit: %s, %s, %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text,
                      moire__operand_type(c, 2).text);
  return bias < 0 ? MOIRE_OK : wanted(c, bias, MOIRE_F32, MOIRE_SHAPE(w[0]));
}

static int softmaxes_of(const moire__infer *c) {
  return moire__node_attr(c->node, "second_temperature") ? 2 : 1;
}

/* [N, S], and [N, S D]. */
static moire_shape by_softmax(const moire__infer *c) {
  return MOIRE_SHAPE(c->operands[MOIRE__HEAD_X]->shape.dims[0], softmaxes_of(c));
}

static moire_shape mean_shape(const moire__infer *c) {
  moire_shape shape = c->operands[MOIRE__HEAD_X]->shape;
  shape.dims[1] *= softmaxes_of(c);
  return shape;
}

moire_status moire__linear_log_softmax_infer(moire__infer *c) {
  MOIRE__TRY(infer_attributes(c));
  MOIRE__TRY(infer_operands(c, moire__head_bias(c->node, MOIRE__HEAD_OPERANDS)));
  moire__infer_result(c, MOIRE__HEAD_Y, MOIRE_F32, c->operands[MOIRE__HEAD_IDS]->shape);
  for (int r = MOIRE__HEAD_LSE; r <= MOIRE__HEAD_OF_SUM; r++)
    moire__infer_result(c, r, MOIRE_F32, by_softmax(c));
  return moire__infer_result(c, MOIRE__HEAD_OF_MEAN, MOIRE_F32, mean_shape(c));
}

moire_status moire__linear_log_softmax_backward_infer(moire__infer *c) {
  MOIRE__TRY(infer_attributes(c));
  MOIRE__TRY(infer_operands(c, moire__head_bias(c->node, MOIRE__HEAD_BACKWARD_OPERANDS)));
  moire_shape x = c->operands[MOIRE__HEAD_X]->shape, w = c->operands[MOIRE__HEAD_W]->shape;
  MOIRE__TRY(wanted(c, MOIRE__HEAD_POWER, MOIRE_F32, by_softmax(c)));
  MOIRE__TRY(wanted(c, MOIRE__HEAD_SUM, MOIRE_F32, by_softmax(c)));
  MOIRE__TRY(wanted(c, MOIRE__HEAD_MEAN, MOIRE_F32, mean_shape(c)));
  MOIRE__TRY(wanted(c, MOIRE__HEAD_GRADIENT, MOIRE_F32, c->operands[MOIRE__HEAD_IDS]->shape));
  MOIRE__TRY(wanted(c, MOIRE__HEAD_SHARE, MOIRE_F32, by_softmax(c)));
  moire__infer_result(c, MOIRE__HEAD_DX, MOIRE_F32, x);
  moire__infer_result(c, MOIRE__HEAD_DW, MOIRE_F32, w);
  return moire__infer_result(c, MOIRE__HEAD_DBIAS, MOIRE_F32, MOIRE_SHAPE(w.dims[0]));
}

moire_status moire__linear_log_softmax_joint_infer(moire__infer *c) {
  MOIRE__TRY(infer_attributes(c));
  MOIRE__TRY(infer_operands(c, moire__head_bias(c->node, MOIRE__HEAD_JOINT_OPERANDS)));
  moire_shape x = c->operands[MOIRE__HEAD_X]->shape, w = c->operands[MOIRE__HEAD_W]->shape;
  moire_shape ids = c->operands[MOIRE__HEAD_IDS]->shape;
  MOIRE__TRY(wanted(c, MOIRE__HEAD_JOINT_GRADIENT, MOIRE_F32, ids));
  MOIRE__TRY(wanted(c, MOIRE__HEAD_JOINT_SHARE, MOIRE_F32, by_softmax(c)));
  if (!moire__head_joint_fits(x.dims[0]))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "wanted a fixed number of rows, or many: x is %s",
                      moire__operand_type(c, MOIRE__HEAD_X).text);
  moire__infer_result(c, MOIRE__HEAD_Y, MOIRE_F32, ids);
  moire__infer_result(c, MOIRE__HEAD_LSE, MOIRE_F32, by_softmax(c));
  moire__infer_result(c, MOIRE__HEAD_JOINT_DX, MOIRE_F32, x);
  moire__infer_result(c, MOIRE__HEAD_JOINT_DW, MOIRE_F32, w);
  return moire__infer_result(c, MOIRE__HEAD_JOINT_DBIAS, MOIRE_F32, MOIRE_SHAPE(w.dims[0]));
}

/* ---- gradient -------------------------------------------------------------------------------------------- */

/* [N, S]: the sums of dy [N, K] over the ids of each softmax. */
static moire_value sums_of(moire_value dy, moire__head_softmaxes softmaxes) {
  int64_t all = moire_value_dim(dy, 1), first = softmaxes.first;
  if (softmaxes.n == 1) return moire_sum(dy, 1, true);
  moire_value parts[] = {moire_sum(moire_slice(dy, 1, 0, first), 1, true),
                         moire_sum(moire_slice(dy, 1, first, all - first), 1, true)};
  return moire_concat(parts, 2, 1);
}

void moire__linear_log_softmax_gradient(moire__gradient *c) {
  int bias = moire__head_bias(c->node, MOIRE__HEAD_OPERANDS);
  moire_value ids = c->operands[MOIRE__HEAD_IDS], dy = c->result_gradients[MOIRE__HEAD_Y];
  moire_value dlse = c->result_gradients[MOIRE__HEAD_LSE];
  if (moire_value_is_null(dy) && moire_value_is_null(dlse)) return;
  moire_shape shape = moire_value_shape(ids);
  moire_value zero = moire_constant(c->g, MOIRE_F32, shape, 0);
  if (moire_value_is_null(dy)) dy = zero;
  if (moire__node_int(c->node, "ignores"))
    dy = moire_where(moire_less(ids, moire_constant(c->g, MOIRE_I32, shape, 0)), zero, dy);
  moire_value share = sums_of(dy, moire__head_softmaxes_of(c->node, shape.dims[1]));
  if (!moire_value_is_null(dlse)) share = moire_sub(share, dlse);
  moire_value operands[MOIRE__HEAD_BACKWARD_OPERANDS + 1] = {
      c->operands[MOIRE__HEAD_X],     c->operands[MOIRE__HEAD_W],      ids, c->results[MOIRE__HEAD_OF_POWER],
      c->results[MOIRE__HEAD_OF_SUM], c->results[MOIRE__HEAD_OF_MEAN], dy,  share};
  int n = MOIRE__HEAD_BACKWARD_OPERANDS;
  if (bias >= 0) operands[n++] = c->operands[bias];
  moire_value first = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_linear_log_softmax_backward, operands, n,
                                        c->node->attrs, c->node->n_attrs);
  if (moire_value_is_null(first)) return;
  c->operand_gradients[MOIRE__HEAD_X] = first;
  c->operand_gradients[MOIRE__HEAD_W] = moire__value(c->g, first.id + MOIRE__HEAD_DW);
  if (bias >= 0) c->operand_gradients[bias] = moire__value(c->g, first.id + MOIRE__HEAD_DBIAS);
}

/* ---- reference ------------------------------------------------------------------------------------------- */

static double rounded(bool bf16, double x) { return bf16 ? moire__product_narrowed(x) : x; }

/* What both references read. */
typedef struct row_scores {
  const moire__reference *c;
  int bias;
  bool bf16;
  moire__head_softmaxes softmaxes;
  int64_t words, width, ids;
  double *z, *a; /* [words]: scores; those of a softmax in powers of two */
} row_scores;

static row_scores scores_of(const moire__reference *c, int bias) {
  row_scores s = {.c = c, .bias = bias, .words = c->operands[MOIRE__HEAD_W]->dims[0]};
  s.width = c->operands[MOIRE__HEAD_W]->dims[1];
  s.ids = c->operands[MOIRE__HEAD_IDS]->dims[1];
  s.bf16 = moire__node_int_or(c->node, "bf16", 0) != 0;
  s.softmaxes = moire__head_softmaxes_of(c->node, s.ids);
  s.z = moire__arena_array(c->scratch, (size_t)s.words, sizeof *s.z);
  s.a = moire__arena_array(c->scratch, (size_t)s.words, sizeof *s.a);
  return s;
}

static void find_scores(const row_scores *s, int64_t row) {
  const double *x = s->c->operands[MOIRE__HEAD_X]->re + row * s->width;
  for (int64_t v = 0; v < s->words; v++) {
    const double *w = s->c->operands[MOIRE__HEAD_W]->re + v * s->width;
    double dot = 0;
    for (int64_t j = 0; j < s->width; j++) dot += rounded(s->bf16, x[j]) * rounded(s->bf16, w[j]);
    if (s->bias >= 0) dot += s->c->operands[s->bias]->re[v];
    s->z[v] = dot;
  }
}

/* Whether the row counts. An id that is none is a mistake. */
static bool row_counts(const row_scores *s, int64_t row) {
  bool ignores = moire__node_int(s->c->node, "ignores") != 0, some = false;
  for (int64_t k = 0; k < s->ids; k++) {
    double id = s->c->operands[MOIRE__HEAD_IDS]->re[row * s->ids + k];
    some = some || id >= 0;
    if ((id >= 0 || ignores) && id < (double)s->words) continue;
    moire_fail(s->c->error, MOIRE_ERROR_ARGUMENT, "id %.0f of row %lld is not among the %lld words", id,
               (long long)row, (long long)s->words);
    return false;
  }
  return some || !ignores;
}

/* Softmax s of row n, whose scores have been found. */
static void soften_row(const row_scores *s, int64_t n, int number) {
  moire__tensor *const *y = s->c->results;
  const double *w = s->c->operands[MOIRE__HEAD_W]->re, *ids = s->c->operands[MOIRE__HEAD_IDS]->re;
  int64_t at = n * s->softmaxes.n + number;
  double power = MOIRE__HEAD_LEAST, sum = 0, scale = M_LOG2E / s->softmaxes.temperature[number];
  for (int64_t v = 0; v < s->words; v++) power = fmax(power, ceil(s->z[v] * scale));
  double *mean = y[MOIRE__HEAD_OF_MEAN]->re + at * s->width;
  for (int64_t v = 0; v < s->words; v++) {
    double e = exp2(s->z[v] * scale - power);
    sum += e;
    for (int64_t j = 0; j < s->width; j++)
      mean[j] += rounded(s->bf16, e) * rounded(s->bf16, w[v * s->width + j]);
  }
  for (int64_t j = 0; j < s->width; j++) mean[j] /= sum;
  for (int64_t k = number ? s->softmaxes.first : 0; k < (number ? s->ids : s->softmaxes.first); k++) {
    int64_t id = (int64_t)ids[n * s->ids + k];
    if (id >= 0)
      y[MOIRE__HEAD_Y]->re[n * s->ids + k] = (s->z[id] * scale - power) * MOIRE__HEAD_LN_2 - log(sum);
  }
  y[MOIRE__HEAD_LSE]->re[at] = power * MOIRE__HEAD_LN_2 + log(sum);
  y[MOIRE__HEAD_OF_POWER]->re[at] = power;
  y[MOIRE__HEAD_OF_SUM]->re[at] = sum;
}

void moire__linear_log_softmax_reference(moire__reference *c) {
  row_scores s = scores_of(c, moire__head_bias(c->node, MOIRE__HEAD_OPERANDS));
  for (int64_t i = 0; i < c->results[MOIRE__HEAD_OF_SUM]->elements; i++)
    c->results[MOIRE__HEAD_OF_SUM]->re[i] = 1;
  for (int64_t n = 0; n < c->operands[MOIRE__HEAD_X]->dims[0]; n++) {
    if (!row_counts(&s, n)) continue;
    find_scores(&s, n);
    for (int i = 0; i < s.softmaxes.n; i++) soften_row(&s, n, i);
  }
}

/* 1 / temperature of the softmax that id k is of. */
static double per_temperature(const row_scores *s, int64_t k) {
  return 1 / s->softmaxes.temperature[k >= s->softmaxes.first];
}

/* a: the gradients of the row's scores. */
static void differentiate_scores(const row_scores *s, int64_t n) {
  const moire__tensor *const *x = s->c->operands;
  for (int64_t v = 0; v < s->words; v++) s->a[v] = 0;
  for (int i = 0; i < s->softmaxes.n; i++) {
    int64_t at = n * s->softmaxes.n + i;
    double t = s->softmaxes.temperature[i], power = x[MOIRE__HEAD_POWER]->re[at];
    double factor = -x[MOIRE__HEAD_SHARE]->re[at] / t / x[MOIRE__HEAD_SUM]->re[at];
    for (int64_t v = 0; v < s->words; v++) s->a[v] += exp2(s->z[v] * M_LOG2E / t - power) * factor;
  }
  for (int64_t k = 0; k < s->ids; k++) {
    int64_t id = (int64_t)x[MOIRE__HEAD_IDS]->re[n * s->ids + k];
    if (id >= 0) s->a[id] += x[MOIRE__HEAD_GRADIENT]->re[n * s->ids + k] * per_temperature(s, k);
  }
}

/* Element j of the gradient of row n of x. An id below 0 has gradient 0. */
static double gradient_of_x(const row_scores *s, int64_t n, int64_t j) {
  const moire__tensor *const *x = s->c->operands;
  double sum = 0;
  for (int i = 0; i < s->softmaxes.n; i++) {
    int64_t at = n * s->softmaxes.n + i;
    sum -=
        x[MOIRE__HEAD_SHARE]->re[at] * x[MOIRE__HEAD_MEAN]->re[at * s->width + j] / s->softmaxes.temperature[i];
  }
  for (int64_t k = 0; k < s->ids; k++) {
    int64_t id = (int64_t)x[MOIRE__HEAD_IDS]->re[n * s->ids + k];
    sum += x[MOIRE__HEAD_GRADIENT]->re[n * s->ids + k] * per_temperature(s, k) *
           x[MOIRE__HEAD_W]->re[(id < 0 ? 0 : id) * s->width + j];
  }
  return sum;
}

void moire__linear_log_softmax_backward_reference(moire__reference *c) {
  row_scores s = scores_of(c, moire__head_bias(c->node, MOIRE__HEAD_BACKWARD_OPERANDS));
  const double *x = c->operands[MOIRE__HEAD_X]->re;
  for (int64_t n = 0; n < c->operands[MOIRE__HEAD_X]->dims[0]; n++) {
    bool counts = row_counts(&s, n);
    for (int64_t j = 0; j < s.width; j++)
      c->results[MOIRE__HEAD_DX]->re[n * s.width + j] = gradient_of_x(&s, n, j);
    if (!counts) continue;
    find_scores(&s, n);
    differentiate_scores(&s, n);
    for (int64_t v = 0; v < s.words; v++) {
      c->results[MOIRE__HEAD_DBIAS]->re[v] += s.a[v];
      for (int64_t j = 0; j < s.width; j++)
        c->results[MOIRE__HEAD_DW]->re[v * s.width + j] +=
            rounded(s.bf16, s.a[v]) * rounded(s.bf16, x[n * s.width + j]);
    }
  }
}

/* y and lse of softmax `number` of row n, and its part of the gradients of the scores, added to `g` [words]. */
static void join_softmax(const row_scores *s, int64_t n, int number, double *g) {
  const moire__tensor *const *x = s->c->operands;
  moire__tensor *const *y = s->c->results;
  int64_t at = n * s->softmaxes.n + number, first = number ? s->softmaxes.first : 0;
  double power = MOIRE__HEAD_LEAST, sum = 0, per = 1 / s->softmaxes.temperature[number];
  for (int64_t v = 0; v < s->words; v++) {
    s->a[v] = s->z[v] * per * M_LOG2E;
    power = fmax(power, ceil(s->a[v]));
  }
  for (int64_t v = 0; v < s->words; v++) sum += exp2(s->a[v] - power);
  double factor = -x[MOIRE__HEAD_JOINT_SHARE]->re[at] * per / sum;
  for (int64_t v = 0; v < s->words; v++) g[v] += exp2(s->a[v] - power) * factor;
  for (int64_t k = first; k < (number ? s->ids : s->softmaxes.first); k++) {
    int64_t id = (int64_t)x[MOIRE__HEAD_IDS]->re[n * s->ids + k];
    if (id < 0) continue;
    y[MOIRE__HEAD_Y]->re[n * s->ids + k] = (s->a[id] - power) * MOIRE__HEAD_LN_2 - log(sum);
    g[id] += x[MOIRE__HEAD_JOINT_GRADIENT]->re[n * s->ids + k] * per;
  }
  y[MOIRE__HEAD_LSE]->re[at] = power * MOIRE__HEAD_LN_2 + log(sum);
}

void moire__linear_log_softmax_joint_reference(moire__reference *c) {
  row_scores s = scores_of(c, moire__head_bias(c->node, MOIRE__HEAD_JOINT_OPERANDS));
  const double *x = c->operands[MOIRE__HEAD_X]->re, *w = c->operands[MOIRE__HEAD_W]->re;
  double *g = moire__arena_array(c->scratch, (size_t)s.words, sizeof *g);
  for (int64_t n = 0; n < c->operands[MOIRE__HEAD_X]->dims[0]; n++) {
    if (!row_counts(&s, n)) continue;
    find_scores(&s, n);
    for (int64_t v = 0; v < s.words; v++) g[v] = 0;
    for (int i = 0; i < s.softmaxes.n; i++) join_softmax(&s, n, i, g);
    for (int64_t v = 0; v < s.words; v++) {
      c->results[MOIRE__HEAD_JOINT_DBIAS]->re[v] += g[v];
      for (int64_t j = 0; j < s.width; j++) {
        double share = rounded(s.bf16, g[v]);
        c->results[MOIRE__HEAD_JOINT_DX]->re[n * s.width + j] += share * rounded(s.bf16, w[v * s.width + j]);
        c->results[MOIRE__HEAD_JOINT_DW]->re[v * s.width + j] += share * rounded(s.bf16, x[n * s.width + j]);
      }
    }
  }
}

/* ---- samples ---------------------------------------------------------------------------------- */

typedef struct head_case {
  moire__sample_kind kind;
  moire_dim rows, width, words, ids;
  int64_t first; /* ids of the first of two softmaxes; -1: there is one */
  bool bias, ignores;
  double temperature, range;
  moire_status expected;
} head_case;

static bool head_row(moire__sampler *s, head_case *found) {
  moire_dim b = moire__sample_batch(s);
  const head_case cases[] = {
      {GOOD, 5, 7, 40, 4, 1, true, true, 1, 1, ACCEPTED},
      {HARD, 66, 18, 33, 20, 1, false, true, 1, 1, ACCEPTED},
      {HARD, b, 5, 70, 2, 2, true, false, 1, 1, ACCEPTED},
      {GOOD, 4, 8, 20, 1, -1, true, false, 1, 1, ACCEPTED},
      {GOOD, b, 5, 70, 1, -1, false, true, 1, 1, ACCEPTED},
      {GOOD, b, 6, 9, 3, -1, true, true, 2, 1, ACCEPTED},
      {HARD, 1, 1, 1, 1, -1, true, false, 1, 1, ACCEPTED},
      {HARD, 70, 3, 131, 1, -1, true, true, 1, 1, ACCEPTED},
      {HARD, 67, 17, 33, 5, -1, false, true, 2, 1, ACCEPTED},
      {HARD, 3, 33, 65, 17, -1, true, false, 0.5, 1, ACCEPTED},
      {HARD, 5, 4, 129, 1, -1, true, false, 1, 12, ACCEPTED},
      {HARD, 0, 3, 5, 1, -1, true, true, 1, 1, ACCEPTED},
      {HARD, 2, MOIRE__HEAD_WIDEST, 3, 2, 1, true, true, 1, 0.05, ACCEPTED},
      {HARD, 2, 0, 5, 1, -1, true, false, 1, 1, ACCEPTED},
      {WRONG, 4, 8, 0, 1, -1, true, false, 1, 1, BAD_SHAPE},
      {WRONG, 4, 8, 20, 0, -1, true, false, 1, 1, BAD_SHAPE},
      {WRONG, 4, 8, b, 1, -1, false, false, 1, 1, BAD_SHAPE},
      {WRONG, 4, 4097, 2, 1, -1, false, false, 1, 1, BAD_SHAPE},
      {WRONG, 4, 8, 20, 1, -1, true, false, 0, 1, BAD_ARGUMENT},
      {WRONG, 4, 8, 20, 1, -1, true, false, INFINITY, 1, BAD_ARGUMENT},
      {WRONG, 4, 8, 20, 2, 3, true, false, 1, 1, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i >= 0) *found = cases[i];
  return i >= 0;
}

static bool head_sample(moire__sampler *s, bool backward) {
  head_case row;
  if (!head_row(s, &row)) return false;
  moire_value x[MOIRE__HEAD_BACKWARD_OPERANDS + 1], bias = {0};
  x[0] = moire__sample_input(s, F32, S(row.rows, row.width), -row.range, row.range);
  x[1] = moire__sample_input(s, F32, S(row.words, row.width), -row.range, row.range);
  double classes = moire__dim_is_static(row.words) ? (double)row.words : 3;
  x[2] = moire__sample_input(s, I32, S(row.rows, row.ids), row.ignores ? -2 : 0, classes);
  if (row.bias) bias = moire__sample_input(s, F32, S(row.words), -1, 1);
  moire__attr attrs[] = {
      moire__attr_make_real("temperature", row.temperature), moire__attr_make_int("ignores", row.ignores),
      moire__attr_make_real("second_temperature", 2), moire__attr_make_int("first", row.first)};
  int n_attrs = row.first < 0 ? 2 : 4, softmaxes = row.first < 0 ? 1 : 2;
  x[3] = bias;
  moire_value y = moire__sample_emit(s, MOIRE__OP_linear_log_softmax, x, row.bias ? 4 : 3, attrs, n_attrs);
  if (s->kind == WRONG) return moire__sample_refuse(s, row.expected);
  if (!backward) {
    if (!moire_value_is_null(y)) moire_output(s->g, "y1", moire__value(s->g, y.id + MOIRE__HEAD_LSE));
    return moire__sample_finish(s, y);
  }
  if (moire_value_is_null(y)) return moire__sample_finish(s, y);
  for (int i = 0; i < 3; i++) x[MOIRE__HEAD_POWER + i] = moire__value(s->g, y.id + MOIRE__HEAD_OF_POWER + i);
  moire_value dy = moire__sample_input(s, F32, S(row.rows, row.ids), -1, 1);
  moire_value zero = moire_constant(s->g, F32, S(row.rows, row.ids), 0);
  moire_value none = moire_constant(s->g, I32, S(row.rows, row.ids), 0);
  x[MOIRE__HEAD_GRADIENT] = moire_where(moire_less(x[2], none), zero, dy);
  x[MOIRE__HEAD_SHARE] = moire__sample_input(s, F32, S(row.rows, softmaxes), -1, 1);
  int n = MOIRE__HEAD_BACKWARD_OPERANDS;
  if (row.bias) x[n++] = bias;
  moire_value dx = moire__sample_emit(s, MOIRE__OP_linear_log_softmax_backward, x, n, attrs, n_attrs);
  if (!moire_value_is_null(dx)) {
    moire_output(s->g, "y1", moire__value(s->g, dx.id + MOIRE__HEAD_DW));
    moire_output(s->g, "y2", moire__value(s->g, dx.id + MOIRE__HEAD_DBIAS));
  }
  return moire__sample_finish(s, dx);
}

bool moire__linear_log_softmax_sample(moire__sampler *s) { return head_sample(s, false); }
bool moire__linear_log_softmax_backward_sample(moire__sampler *s) { return head_sample(s, true); }

static moire_value joint_node(moire__sampler *s, const head_case *row, moire_dim rows) {
  moire_value x[MOIRE__HEAD_JOINT_OPERANDS + 1];
  x[0] = moire__sample_input(s, F32, S(rows, row->width), -row->range, row->range);
  x[1] = moire__sample_input(s, F32, S(row->words, row->width), -row->range, row->range);
  double classes = moire__dim_is_static(row->words) ? (double)row->words : 3;
  x[2] = moire__sample_input(s, I32, S(rows, row->ids), row->ignores ? -2 : 0, classes);
  moire_value dy = moire__sample_input(s, F32, S(rows, row->ids), -1, 1);
  moire_value zero = moire_constant(s->g, F32, S(rows, row->ids), 0);
  x[3] = moire_where(moire_less(x[2], moire_constant(s->g, I32, S(rows, row->ids), 0)), zero, dy);
  x[4] = moire__sample_input(s, F32, S(rows, row->first < 0 ? 1 : 2), -1, 1);
  if (row->bias) x[5] = moire__sample_input(s, F32, S(row->words), -1, 1);
  moire__attr attrs[] = {
      moire__attr_make_real("temperature", row->temperature), moire__attr_make_int("ignores", row->ignores),
      moire__attr_make_real("second_temperature", 2), moire__attr_make_int("first", row->first)};
  return moire__sample_emit(s, MOIRE__OP_linear_log_softmax_joint, x, row->bias ? 6 : 5, attrs,
                            row->first < 0 ? 2 : 4);
}

/* Rows of a named number are 64 times it, so that it is known that they are many. */
bool moire__linear_log_softmax_joint_sample(moire__sampler *s) {
  head_case row;
  if (!head_row(s, &row)) return false;
  bool named = !moire__dim_is_static(row.rows);
  moire_value y = joint_node(s, &row, named ? moire_dim_times(row.rows, 64) : row.rows);
  if (s->kind == WRONG) return moire__sample_refuse(s, row.expected);
  for (int i = MOIRE__HEAD_LSE; i <= MOIRE__HEAD_JOINT_DBIAS && !moire_value_is_null(y); i++) {
    static const char *const names[] = {"", "y1", "y2", "y3", "y4"};
    moire_output(s->g, names[i], moire__value(s->g, y.id + i));
  }
  return moire__sample_finish(s, y);
}
