/* adam_catch_up: the steps of Adam or AdamW that rows of a table have missed. See lookup.h.
 *
 * Operands p, m, v f32[N, D], since i32[N], history f64[S, C] (moire_optimizer_history, moire/optimizer.h),
 * step i32[], and lists of rows; without lists it is all rows. A row that stands after step t gets the steps k
 * = t + 1 .. step that it would have made with a gradient of zero, in results that take the places of p, m, v
 * and since:
 *
 *   m_k = b1 m_(k-1),  v_k = b2 v_(k-1),  p_k = d_k p_(k-1) - s_k m_k / (sqrt(v_k) / c_k + eps)
 *
 * with s, c and d as adam has them, d alone where the attribute `decays` is 1. From p_t on that is
 *
 *   p_step = (d_(t+1) .. d_step) p_t - sum over k of (d_(k+1) .. d_step) s_k m_k / (sqrt(v_k) / c_k + eps)
 *
 * The sum ends after moment_lasts(b1, b2) steps, where what is left of m counts as nothing and becomes 0: the
 * moves that are left out are together at most 2^-25 of the largest s |m| / sqrt(v). Products of d over many
 * steps are taken from the sums of its logarithms that history has. Rows without moments, which had no gradient
 * yet or none for long, are not walked over. Attribute group: the columns of history.
 */
#include "ops/lookup/lookup.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <inttypes.h>
#include <math.h>

enum { P, M, V, SINCE, HISTORY, STEP, LISTS };

moire_status moire__adam_catch_up_infer(moire__infer *c) {
  int64_t group = 0, decays = 0;
  MOIRE__TRY(moire__infer_moments(c));
  MOIRE__TRY(moire__infer_dtype(c, HISTORY, 1u << MOIRE_F64));
  MOIRE__TRY(moire__infer_rank(c, HISTORY, 2, 2));
  MOIRE__TRY(moire__infer_scalar(c, STEP, MOIRE_I32));
  if (c->n_operands > LISTS) MOIRE__TRY(moire__infer_lookups(c, LISTS, c->n_operands - LISTS, false));
  MOIRE__TRY(moire__infer_int(c, "decays", 0, 1, &decays));
  MOIRE__TRY(moire__infer_int(c, "group", 0, MOIRE_MOST_GROUPS, &group));
  moire_dim columns = c->operands[HISTORY]->shape.dims[1];
  if (!moire__dim_is_static(columns) || columns < (group + 1) * MOIRE_OPTIMIZER_HISTORY_COLUMNS)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "history is %s, wanted %d numbers for each group",
                      moire__operand_type(c, HISTORY).text, (int)MOIRE_OPTIMIZER_HISTORY_COLUMNS);
  MOIRE__TRY(moire__infer_below_one(c, "b1", 0));
  MOIRE__TRY(moire__infer_below_one(c, "b2", 1e-6)); /* v is divided by powers of it */
  MOIRE__TRY(moire__infer_not_negative(c, "eps"));
  for (int i = P; i <= SINCE; i++) moire__infer_result(c, i, c->operands[i]->dtype, c->operands[i]->shape);
  return MOIRE_OK;
}

static double past(const moire__reference *c, int64_t step, int column) {
  const moire__tensor *history = c->operands[HISTORY];
  int64_t group = moire__node_int(c->node, "group");
  return history->re[step * history->dims[1] + group * MOIRE_OPTIMIZER_HISTORY_COLUMNS + column];
}

/* How many steps from `since` on have moves. */
static int64_t moves_of(const moire__reference *c, int64_t since, int64_t now) {
  int64_t lasts = moire__moment_lasts(moire__node_real(c->node, "b1"), moire__node_real(c->node, "b2"));
  return now - since < lasts ? now - since : lasts;
}

/* Element i from step `since` on. */
static void catch_up(moire__reference *c, int64_t i, int64_t since, int64_t now) {
  double b1 = moire__node_real(c->node, "b1"), b2 = moire__node_real(c->node, "b2");
  double eps = moire__node_real(c->node, "eps"), m = c->results[M]->re[i], v = c->results[V]->re[i], move = 0;
  bool decays = moire__node_int(c->node, "decays") != 0;
  int64_t end = since + moves_of(c, since, now);
  for (int64_t k = since + 1; k <= end; k++) {
    m *= b1;
    v *= b2;
    if (decays) move *= past(c, k, MOIRE_OPTIMIZER_HISTORY_DECAY);
    move += past(c, k, MOIRE_OPTIMIZER_HISTORY_RATE) * m /
            (sqrt(v) * past(c, k, MOIRE_OPTIMIZER_HISTORY_INVERSE) + eps);
  }
  double log_now = past(c, now, MOIRE_OPTIMIZER_HISTORY_LOG);
  double all = decays ? exp(log_now - past(c, since, MOIRE_OPTIMIZER_HISTORY_LOG)) : 1;
  double later = decays ? exp(log_now - past(c, end, MOIRE_OPTIMIZER_HISTORY_LOG)) : 1;
  c->results[P]->re[i] = c->results[P]->re[i] * all - move * later;
  c->results[M]->re[i] = end < now ? 0 : m;
  c->results[V]->re[i] *= pow(b2, (double)(now - since));
}

static void catch_up_row(moire__reference *c, int64_t row) {
  int64_t since = (int64_t)c->results[SINCE]->re[row], now = (int64_t)c->operands[STEP]->re[0];
  int64_t width = c->results[P]->dims[1];
  if (since >= now) return;
  if (now >= c->operands[HISTORY]->dims[0]) {
    moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "step %" PRId64 " is not in a history of %" PRId64, now,
               c->operands[HISTORY]->dims[0]);
    return;
  }
  for (int64_t j = 0; j < width; j++) catch_up(c, row * width + j, since, now);
  c->results[SINCE]->re[row] = (double)now;
}

void moire__adam_catch_up_reference(moire__reference *c) {
  int64_t rows = c->results[SINCE]->elements;
  for (int r = P; r <= SINCE; r++) {
    for (int64_t i = 0; i < c->results[r]->elements; i++) c->results[r]->re[i] = c->operands[r]->re[i];
  }
  for (int64_t row = 0; row < rows && c->n_operands == LISTS; row++) catch_up_row(c, row);
  moire__lookup_walk w = {.c = c, .first = LISTS, .n = c->n_operands - LISTS, .rows = rows};
  while (moire__lookup_next(&w)) catch_up_row(c, w.row);
}

bool moire__adam_catch_up_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype; /* of history */
    moire_shape table, rows, history;
    double since, low, high; /* [0, since), [low, high) */
    double b1, b2, eps;
    int64_t decays, group, listed;
    moire_status expected;
  } cases[] = {
      {GOOD, F64, S(20, 16), S(b, 7), S(12, 4), 9, 9, 12, 0.9, 0.999, 1e-8, 0, 0, 1, ACCEPTED},
      {GOOD, F64, S(50, 33), S(9), S(300, 8), 9, 290, 300, 0.9, 0.999, 1e-8, 1, 1, 1, ACCEPTED},
      {GOOD, F64, S(50, 3), S(9), S(30, 4), 20, 20, 30, 0.9, 0.99, 1e-8, 1, 0, 0, ACCEPTED},
      {HARD, F64, S(1, 1), SCALAR, S(2, 4), 2, 0, 2, 0, 0.5, 1, 1, 0, 1, ACCEPTED},
      {HARD, F64, S(70, 67), S(0), S(20, 4), 9, 3, 9, 0.5, 0.999, 1e-8, 1, 0, 1, ACCEPTED},
      {HARD, F64, S(5, 17), S(40), S(60, 4), 2, 50, 60, 0.8, 0.6, 1e-3, 0, 0, 1, ACCEPTED},
      {WRONG, F32, S(9, 4), S(4), S(12, 4), 9, 9, 12, 0.9, 0.999, 0, 0, 0, 1, BAD_TYPE},
      {WRONG, F64, S(9, 4), S(4), S(12, 4), 9, 9, 12, 0.9, 0.999, 0, 0, 1, 1, BAD_SHAPE},
      {WRONG, F64, S(9, 4, 2), S(4), S(12, 4), 9, 9, 12, 0.9, 0.999, 0, 0, 0, 1, BAD_SHAPE},
      {WRONG, F64, S(9, 4), S(4), S(12, 4), 9, 9, 12, 0.9, 0, 0, 0, 0, 1, BAD_ARGUMENT},
      {WRONG, F64, S(9, 4), S(4), S(12, 4), 9, 9, 12, 0.9, 0.999, 0, 2, 0, 1, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value operands[] = {moire__sample_input(s, F32, cases[i].table, -1, 1),
                            moire__sample_input(s, F32, cases[i].table, -1, 1),
                            moire__sample_input(s, F32, cases[i].table, 0.01, 1),
                            moire__sample_input(s, I32, S(cases[i].table.dims[0]), 0, cases[i].since),
                            moire__sample_input(s, cases[i].dtype, cases[i].history, 0.9, 1),
                            moire__sample_input(s, I32, SCALAR, cases[i].low, cases[i].high),
                            moire__sample_input(s, I32, cases[i].rows, 0, (double)cases[i].table.dims[0])};
  moire__attr attrs[] = {moire__attr_make_real("b1", cases[i].b1), moire__attr_make_real("b2", cases[i].b2),
                         moire__attr_make_real("eps", cases[i].eps),
                         moire__attr_make_int("decays", cases[i].decays),
                         moire__attr_make_int("group", cases[i].group)};
  s->no_gradient_check = true;
  int n = cases[i].listed ? 7 : 6;
  moire_value y = moire__sample_emit(s, MOIRE__OP_adam_catch_up, operands, n, attrs, 5);
  if (s->kind == WRONG) return moire__sample_refuse(s, cases[i].expected);
  for (int r = 1; r < 4 && !moire_value_is_null(y); r++) {
    static const char *const names[] = {"", "y1", "y2", "y3"};
    moire_output(s->g, names[r], moire__value(s->g, y.id + r));
  }
  return moire__sample_finish(s, y);
}
