/* selective_scan and selective_scan_gradient: a linear recurrence whose coefficients depend on the position.
 *
 * Operands x, dt [B, L, D], a [N, D], b, c [B, L, N]; for every sample and channel d there is a state h of N:
 *
 *   h_t[n] = p_t[n] + dt_t x_t b_t[n],   p_t[n] = exp(dt_t a[n,d]) h_{t-1}[n],   h_{-1} = 0
 *   y_t    = sum_n c_t[n] h_t[n]
 *
 * With g the gradient of the state, g_t[n] = c_t[n] dy_t + exp(dt_{t+1} a[d,n]) g_{t+1}[n]:
 *
 *   dx_t = sum_n g_t[n] dt_t b_t[n]            ddt_t = sum_n g_t[n] (a[n,d] p_t[n] + x_t b_t[n])
 *   da[n,d] = sum_{B,t} g_t[n] dt_t p_t[n]     db_t[n] = sum_d g_t[n] dt_t x_t     dc_t[n] = sum_d dy_t h_t[n]
 *
 * The gradient recomputes the states: between forward and backward pass nothing of size L D N is kept.
 *
 * Source: Gu and Dao, "Mamba: Linear-time sequence modeling with selective state spaces", 2023.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <math.h>
#include <string.h>

enum { X, DT, A, B, C, DY };

/* The operands of either op. */
static moire_status scan_infer(moire__infer *c) {
  static const int ranks[] = {3, 3, 2, 3, 3, 3};
  for (int i = 0; i < c->n_operands; i++) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << MOIRE_F32));
    MOIRE__TRY(moire__infer_rank(c, i, ranks[i], ranks[i]));
  }
  const moire_shape *x = &c->operands[X]->shape, *a = &c->operands[A]->shape, *b = &c->operands[B]->shape;
  MOIRE__TRY(moire__infer_alike(c, X, DT));
  MOIRE__TRY(moire__infer_alike(c, B, C));
  if (c->n_operands > DY) MOIRE__TRY(moire__infer_alike(c, X, DY));
  if (x->dims[0] != b->dims[0] || x->dims[1] != b->dims[1] || x->dims[2] != a->dims[1] ||
      b->dims[2] != a->dims[0])
    return moire_fail(
        c->error, MOIRE_ERROR_SHAPE, "x [B, L, D], a [N, D] and b [B, L, N] do not fit: they are %s, %s and %s",
        moire__operand_type(c, X).text, moire__operand_type(c, A).text, moire__operand_type(c, B).text);
  for (int i = 1; i < 3; i++) {
    if (!moire__dim_is_static(x->dims[i]) || !moire__dim_is_static(b->dims[i]))
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "length, channels and states are fixed: x is %s, b is %s",
                        moire__operand_type(c, X).text, moire__operand_type(c, B).text);
  }
  return MOIRE_OK;
}

/* ---- reference ------------------------------------------------------------------------------------------- */

typedef struct extents {
  int64_t batch, length, channels, states;
} extents;

static extents extents_of(const moire__reference *c) {
  const int64_t *x = c->operands[X]->dims;
  return (extents){x[0], x[1], x[2], c->operands[B]->dims[2]};
}

/* p and h, [L], of one sample, channel and state. */
static void run_state(const moire__reference *c, int64_t sample, int64_t d, int64_t n, double *p, double *h) {
  extents e = extents_of(c);
  double a = c->operands[A]->re[n * e.channels + d], before = 0;
  for (int64_t t = 0; t < e.length; t++) {
    int64_t at = (sample * e.length + t) * e.channels + d, row = (sample * e.length + t) * e.states + n;
    double dt = c->operands[DT]->re[at];
    p[t] = exp(dt * a) * before;
    before = h[t] = p[t] + dt * c->operands[X]->re[at] * c->operands[B]->re[row];
  }
}

typedef void state_visitor(moire__reference *c, int64_t sample, int64_t d, int64_t n, const double *p,
                           const double *h);

static void each_state(moire__reference *c, state_visitor *visit) {
  extents e = extents_of(c);
  double *p = moire__arena_array(c->scratch, (size_t)e.length + 1, sizeof *p);
  double *h = moire__arena_array(c->scratch, (size_t)e.length + 1, sizeof *h);
  for (int64_t sample = 0; sample < e.batch; sample++)
    for (int64_t d = 0; d < e.channels; d++)
      for (int64_t n = 0; n < e.states; n++) {
        run_state(c, sample, d, n, p, h);
        visit(c, sample, d, n, p, h);
      }
}

/* ---- samples: rows for both -------------------------------------------------------------------------------
 */

static bool scan_sample(moire__sampler *s, moire__op op) {
  moire_dim batch = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype; /* of a */
    moire_shape x, a;
    moire_dim states; /* of b and c */
    double slowest, fastest, step;
    moire_status expected;
  } cases[] = {
      {GOOD, F32, S(2, 5, 4), S(3, 4), 3, -0.1, -2, 1, ACCEPTED},
      {GOOD, F32, S(batch, 12, 8), S(16, 8), 16, -0.5, -1, 0.5, ACCEPTED},
      {HARD, F32, S(1, 1, 1), S(1, 1), 1, -1, -2, 1, ACCEPTED},
      {HARD, F32, S(2, 131, 33), S(2, 33), 2, -0.01, -0.1, 0.1, ACCEPTED},
      {HARD, F32, S(batch, 65, 17), S(3, 17), 3, -20, -90, 3, ACCEPTED},
      {HARD, F32, S(0, 3, 2), S(2, 2), 2, -1, -2, 1, ACCEPTED},
      {HARD, F32, S(2, 0, 2), S(2, 2), 2, -1, -2, 1, ACCEPTED},
      {HARD, F32, S(2, 3, 0), S(2, 0), 2, -1, -2, 1, ACCEPTED},
      {HARD, F32, S(2, 3, 2), S(0, 2), 0, -1, -2, 1, ACCEPTED},
      {WRONG, F32, S(2, 5, 4), S(4, 3), 3, -1, -2, 1, BAD_SHAPE},
      {WRONG, F32, S(2, 5, 4), S(3, 4), 2, -1, -2, 1, BAD_SHAPE},
      {WRONG, F32, S(5, 4), S(3, 4), 3, -1, -2, 1, BAD_SHAPE},
      {WRONG, F32, S(2, batch, 4), S(3, 4), 3, -1, -2, 1, BAD_SHAPE},
      {WRONG, C64, S(2, 5, 4), S(3, 4), 3, -1, -2, 1, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_shape b = cases[i].x;
  b.dims[b.rank - 1] = cases[i].states;
  moire_value operands[] = {
      moire__sample_input(s, MOIRE_F32, cases[i].x, -1, 1),
      moire__sample_input(s, MOIRE_F32, cases[i].x, 0.01, cases[i].step),
      moire__sample_input(s, cases[i].dtype, cases[i].a, cases[i].fastest, cases[i].slowest),
      moire__sample_input(s, MOIRE_F32, b, -1, 1),
      moire__sample_input(s, MOIRE_F32, b, -1, 1),
      op == MOIRE__OP_selective_scan ? (moire_value){0} : moire__sample_input(s, MOIRE_F32, cases[i].x, -1, 1),
  };
  int n = op == MOIRE__OP_selective_scan ? 5 : 6;
  moire_value y = moire__sample_emit(s, op, operands, n, NULL, 0);
  if (s->kind == MOIRE__SAMPLE_WRONG) return moire__sample_refuse(s, cases[i].expected);
  static const char *const names[] = {"y1", "y2", "y3", "y4"};
  int n_results = moire_value_is_null(y) ? 0 : moire__node_of(s->g, y.id)->n_results;
  for (int r = 1; r < n_results; r++) moire_output(s->g, names[r - 1], moire__value(s->g, y.id + r));
  return moire__sample_finish(s, y);
}

/* ---- selective_scan ---------------------------------------------------------------------------------------
 */

moire_status moire__selective_scan_infer(moire__infer *c) {
  MOIRE__TRY(scan_infer(c));
  return moire__infer_as_operand(c, X);
}

void moire__selective_scan_gradient(moire__gradient *c) {
  moire_value operands[6];
  memcpy(operands, c->operands, 5 * sizeof *operands);
  operands[DY] = c->result_gradients[0];
  moire_value first =
      moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_selective_scan_gradient, operands, 6, NULL, 0);
  for (int i = 0; i < 5 && !moire_value_is_null(first); i++)
    c->operand_gradients[i] = moire__value(c->g, first.id + i);
}

/* Samples and channels are independent; a beginning of the sequence needs no more than itself. */
bool moire__selective_scan_demand(moire__demand *c) {
  if (c->axis == 1 && c->start != 0) return false;
  for (int i = 0; i < 5; i++) {
    bool per_channel = i == X || i == DT;
    if (i == A && c->axis == 2) moire__demand_slice(c, A, 1, c->start, c->length);
    if (per_channel || (i != A && c->axis < 2)) moire__demand_slice(c, i, c->axis, c->start, c->length);
  }
  return true;
}

static void add_output(moire__reference *c, int64_t sample, int64_t d, int64_t n, const double *p,
                       const double *h) {
  (void)p;
  extents e = extents_of(c);
  for (int64_t t = 0; t < e.length; t++) {
    int64_t row = sample * e.length + t;
    c->results[0]->re[row * e.channels + d] += c->operands[C]->re[row * e.states + n] * h[t];
  }
}

void moire__selective_scan_reference(moire__reference *c) { each_state(c, add_output); }

bool moire__selective_scan_sample(moire__sampler *s) { return scan_sample(s, MOIRE__OP_selective_scan); }

/* ---- selective_scan_gradient ------------------------------------------------------------------------------
 */

moire_status moire__selective_scan_gradient_infer(moire__infer *c) {
  MOIRE__TRY(scan_infer(c));
  for (int i = 0; i < 5; i++) moire__infer_result(c, i, MOIRE_F32, c->operands[i]->shape);
  return MOIRE_OK;
}

static void add_gradients(moire__reference *c, int64_t sample, int64_t d, int64_t n, const double *p,
                          const double *h) {
  extents e = extents_of(c);
  double a = c->operands[A]->re[n * e.channels + d], from_next = 0;
  for (int64_t t = e.length - 1; t >= 0; t--) {
    int64_t at = (sample * e.length + t) * e.channels + d, row = (sample * e.length + t) * e.states + n;
    double x = c->operands[X]->re[at], dt = c->operands[DT]->re[at], dy = c->operands[DY]->re[at];
    double b = c->operands[B]->re[row];
    double g = c->operands[C]->re[row] * dy + from_next;
    c->results[X]->re[at] += g * dt * b;
    c->results[DT]->re[at] += g * (a * p[t] + x * b);
    c->results[A]->re[n * e.channels + d] += g * dt * p[t];
    c->results[B]->re[row] += g * dt * x;
    c->results[C]->re[row] += dy * h[t];
    from_next = exp(dt * a) * g;
  }
}

void moire__selective_scan_gradient_reference(moire__reference *c) { each_state(c, add_gradients); }

bool moire__selective_scan_gradient_sample(moire__sampler *s) {
  return scan_sample(s, MOIRE__OP_selective_scan_gradient);
}
