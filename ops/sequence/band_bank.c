/* band_bank, band_bank_input and band_bank_weight: causal filters that look at all channels at once.
 *
 *   y[b,t,s] = sum_d sum_j w[first_s + k_s - 1 - j, d] x[b, t - j dilation_s, d]          x is 0 before the
 * start dx[b,t,d] = sum_s sum_j w[first_s + k_s - 1 - j, d] dy[b, t + j dilation_s, s]        (band_bank_input)
 *   dw[first_s + k_s - 1 - j, d] = sum_{b,t} dy[b,t,s] x[b, t - j dilation_s, d]          (band_bank_weight)
 *
 * A depthwise convolution for each band s, summed over its channels: what the sum would throw away is never
 * stored. The k_s taps of the bands lie behind each other in w [sum of k_s, D], newest tap last, so that
 * first_s = k_0 + ... + k_{s-1}. Attributes: taps (k_s) and dilations, one of each for a band.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

/* The attributes, and the sum of the taps. */
typedef struct bank {
  const int64_t *taps, *dilations;
  int n;
  int64_t all_taps;
} bank;

static bank bank_of(const moire__node *node) {
  bank k = {.taps = moire__node_ints(node, "taps", &k.n)};
  k.dilations = moire__node_ints(node, "dilations", &k.n);
  for (int s = 0; s < k.n; s++) k.all_taps += k.taps[s];
  return k;
}

static moire_status bank_infer(moire__infer *c, bank *k) {
  int n = 0;
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  MOIRE__TRY(moire__infer_dtype(c, 1, 1u << MOIRE_F32));
  MOIRE__TRY(moire__infer_rank(c, 0, 3, 3));
  MOIRE__TRY(moire__infer_ints(c, "taps", &k->taps, &k->n));
  MOIRE__TRY(moire__infer_ints(c, "dilations", &k->dilations, &n));
  if (k->n < 1 || k->n != n)
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT,
                      "there are %d taps and %d dilations, wanted one or more of each", k->n, n);
  for (int s = 0; s < n; s++) {
    if (k->taps[s] < 1 || k->taps[s] > UINT16_MAX || k->dilations[s] < 1 || k->dilations[s] > INT32_MAX)
      return moire_fail(c->error, MOIRE_ERROR_ARGUMENT,
                        "band %d has %lld taps and dilation %lld, wanted 1 to %d and 1 to %d", s,
                        (long long)k->taps[s], (long long)k->dilations[s], UINT16_MAX, INT32_MAX);
    k->all_taps += k->taps[s];
  }
  return MOIRE_OK;
}

static moire_status fits(moire__infer *c, bool good) {
  if (good) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "operands %s and %s do not fit each other and the bands",
                    moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
}

/* The three ops share their attributes. */
static moire_value emit(moire__gradient *c, moire__op op, moire_value a, moire_value b) {
  return moire__graph_emit(c->g, MOIRE_HERE, op, (moire_value[]){a, b}, 2, c->node->attrs, c->node->n_attrs);
}

/* Calls visit(context, at x, at w, at y) for every term of the sums; x is [B, L, D], w [taps, D], y [B, L, S].
 */
typedef struct terms {
  const double *x, *w, *y; /* what is read: two of them */
  double *to;              /* what is summed into */
} terms;
typedef void visit_term(const terms *t, int64_t x, int64_t w, int64_t y);

static void each_term(const moire__node *node, const terms *t, const int64_t dims[3], visit_term *visit) {
  bank k = bank_of(node);
  int64_t length = dims[1], width = dims[2];
  for (int64_t i = 0; i < dims[0] * length; i++) {
    int64_t next = 0;
    for (int s = 0; s < k.n; s++) {
      next += k.taps[s];
      for (int64_t j = 0; j < k.taps[s] && j * k.dilations[s] <= i % length; j++)
        for (int64_t d = 0; d < width; d++)
          visit(t, (i - j * k.dilations[s]) * width + d, (next - 1 - j) * width + d, i * k.n + s);
    }
  }
}

/* Rows for all three ops. */
typedef struct bank_case {
  moire__sample_kind kind;
  moire_dtype dtype; /* of the weights */
  moire_shape x;
  moire_dim all_taps, width; /* of the weights */
  int bands;                 /* of y */
  int n, n_dilations;
  int64_t taps[4], dilations[4];
  moire_status expected;
} bank_case;

static bool bank_row(moire__sampler *s, bank_case *found) {
  moire_dim b = moire__sample_batch(s);
  const bank_case cases[] = {
      {GOOD, F32, S(2, 9, 4), 3, 4, 1, 1, 1, {3}, {1}, ACCEPTED},
      {GOOD, F32, S(b, 20, 16), 56, 16, 4, 4, 4, {3, 7, 15, 31}, {1, 2, 4, 8}, ACCEPTED},
      {GOOD, F32, S(b, 7, 5), 6, 5, 3, 3, 3, {3, 1, 2}, {2, 1, 3}, ACCEPTED},
      {HARD, F32, S(1, 1, 1), 8, 1, 2, 2, 2, {1, 7}, {1, 3}, ACCEPTED},
      {HARD, F32, S(3, 13, 17), 7, 17, 3, 3, 3, {2, 2, 3}, {13, 12, 6}, ACCEPTED},
      {HARD, F32, S(2, 131, 33), 4, 33, 2, 2, 2, {2, 2}, {130, 64}, ACCEPTED},
      {HARD, F32, S(0, 5, 3), 4, 3, 2, 2, 2, {1, 3}, {1, 1}, ACCEPTED},
      {HARD, F32, S(2, 0, 3), 4, 3, 2, 2, 2, {1, 3}, {1, 1}, ACCEPTED},
      {HARD, F32, S(2, 3, 0), 4, 0, 2, 2, 2, {1, 3}, {1, 1}, ACCEPTED},
      {HARD, F32, S(b, 5, 3), 2, 3, 1, 1, 1, {2}, {INT32_MAX}, ACCEPTED},
      {WRONG, F32, S(2, 9, 4), 4, 4, 2, 1, 1, {3}, {1}, BAD_SHAPE},
      {WRONG, F32, S(9, 4), 3, 4, 1, 1, 1, {3}, {1}, BAD_SHAPE},
      {WRONG, F32, S(2, 9, 4), 3, 4, 1, 1, 1, {0}, {1}, BAD_ARGUMENT},
      {WRONG, F32, S(2, 9, 4), 3, 4, 1, 1, 1, {3}, {0}, BAD_ARGUMENT},
      {WRONG, F32, S(2, 9, 4), 3, 4, 2, 2, 1, {2, 1}, {1}, BAD_ARGUMENT},
      {WRONG, F32, S(2, 9, 4), 3, 4, 0, 0, 0, {0}, {0}, BAD_ARGUMENT},
      {WRONG, C64, S(2, 9, 4), 3, 4, 1, 1, 1, {3}, {1}, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i >= 0) *found = cases[i];
  return i >= 0;
}

/* The op on two of x, w and y, by their letters. */
static bool bank_sample(moire__sampler *s, moire__op op, const char *letters) {
  bank_case row;
  if (!bank_row(s, &row)) return false;
  moire_shape y = row.x;
  y.dims[y.rank - 1] = row.bands;
  moire_value operands[2];
  for (int i = 0; i < 2; i++) {
    moire_dtype dtype = letters[i] == 'x' ? MOIRE_F32 : row.dtype;
    moire_shape w = MOIRE_SHAPE(row.all_taps, row.width);
    operands[i] = moire__sample_input(s, dtype, letters[i] == 'x' ? row.x : letters[i] == 'w' ? w : y, -1, 1);
  }
  moire__attr attrs[] = {moire__attr_make_ints("taps", row.taps, row.n),
                         moire__attr_make_ints("dilations", row.dilations, row.n_dilations)};
  moire_value z = moire__sample_emit(s, op, operands, 2, attrs, 2);
  return s->kind == MOIRE__SAMPLE_WRONG ? moire__sample_refuse(s, row.expected) : moire__sample_finish(s, z);
}

/* ---- band_bank ------------------------------------------------------------------------------------------- */

moire_status moire__band_bank_infer(moire__infer *c) {
  bank k = {0};
  MOIRE__TRY(bank_infer(c, &k));
  MOIRE__TRY(moire__infer_rank(c, 1, 2, 2));
  const moire_shape *x = &c->operands[0]->shape, *w = &c->operands[1]->shape;
  MOIRE__TRY(fits(c, w->dims[0] == k.all_taps && w->dims[1] == x->dims[2]));
  return moire__infer_result(c, 0, MOIRE_F32, MOIRE_SHAPE(x->dims[0], x->dims[1], k.n));
}

void moire__band_bank_gradient(moire__gradient *c) {
  moire_value x = c->operands[0], w = c->operands[1], dy = c->result_gradients[0];
  if (c->wanted[0]) c->operand_gradients[0] = emit(c, MOIRE__OP_band_bank_input, dy, w);
  if (c->wanted[1]) c->operand_gradients[1] = emit(c, MOIRE__OP_band_bank_weight, x, dy);
}

/* Samples are independent; a beginning of the sequence needs no more than itself. */
bool moire__band_bank_demand(moire__demand *c) {
  if (c->axis == 2 || (c->axis == 1 && c->start != 0)) return false;
  moire__demand_slice(c, 0, c->axis, c->start, c->length);
  return true;
}

static void add_to_y(const terms *t, int64_t x, int64_t w, int64_t y) { t->to[y] += t->x[x] * t->w[w]; }

void moire__band_bank_reference(moire__reference *c) {
  terms t = {.x = c->operands[0]->re, .w = c->operands[1]->re, .to = c->results[0]->re};
  each_term(c->node, &t, c->operands[0]->dims, add_to_y);
}

bool moire__band_bank_sample(moire__sampler *s) { return bank_sample(s, MOIRE__OP_band_bank, "xw"); }

/* ---- band_bank_input ------------------------------------------------------------------------------------- */

moire_status moire__band_bank_input_infer(moire__infer *c) {
  bank k = {0};
  MOIRE__TRY(bank_infer(c, &k));
  MOIRE__TRY(moire__infer_rank(c, 1, 2, 2));
  const moire_shape *y = &c->operands[0]->shape, *w = &c->operands[1]->shape;
  MOIRE__TRY(fits(c, w->dims[0] == k.all_taps && y->dims[2] == k.n));
  return moire__infer_result(c, 0, MOIRE_F32, MOIRE_SHAPE(y->dims[0], y->dims[1], w->dims[1]));
}

static void add_to_x(const terms *t, int64_t x, int64_t w, int64_t y) { t->to[x] += t->w[w] * t->y[y]; }

void moire__band_bank_input_reference(moire__reference *c) {
  terms t = {.y = c->operands[0]->re, .w = c->operands[1]->re, .to = c->results[0]->re};
  each_term(c->node, &t, c->results[0]->dims, add_to_x);
}

bool moire__band_bank_input_sample(moire__sampler *s) {
  return bank_sample(s, MOIRE__OP_band_bank_input, "yw");
}

/* ---- band_bank_weight ------------------------------------------------------------------------------------ */

moire_status moire__band_bank_weight_infer(moire__infer *c) {
  bank k = {0};
  MOIRE__TRY(bank_infer(c, &k));
  MOIRE__TRY(moire__infer_rank(c, 1, 3, 3));
  const moire_shape *x = &c->operands[0]->shape, *y = &c->operands[1]->shape;
  MOIRE__TRY(fits(c, x->dims[0] == y->dims[0] && x->dims[1] == y->dims[1] && y->dims[2] == k.n));
  return moire__infer_result(c, 0, MOIRE_F32, MOIRE_SHAPE(k.all_taps, x->dims[2]));
}

static void add_to_w(const terms *t, int64_t x, int64_t w, int64_t y) { t->to[w] += t->x[x] * t->y[y]; }

void moire__band_bank_weight_reference(moire__reference *c) {
  terms t = {.x = c->operands[0]->re, .y = c->operands[1]->re, .to = c->results[0]->re};
  each_term(c->node, &t, c->operands[0]->dims, add_to_w);
}

bool moire__band_bank_weight_sample(moire__sampler *s) {
  return bank_sample(s, MOIRE__OP_band_bank_weight, "xy");
}
