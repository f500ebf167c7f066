/* filter_bank: y = sum over bands s of depthwise_conv(x, w_s, dilations[s]); operands x f32[B,L,D], then a
 * weight c64[k_s, D] for each band, tap-major; the result is c64[B,L,D]. With the attribute packed = 1 the last
 * operands are those of a packed batch, and the result is c64[T,D] (ops/sequence/depthwise_conv.c). */
#include "ops/sequence/packed.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

enum { PACKED_OPERANDS = 4 };

static bool is_packed(const moire__node *node) { return moire__node_int_or(node, "packed", 0) != 0; }

moire_status moire__filter_bank_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  MOIRE__TRY(moire__infer_rank(c, 0, 3, 3));
  int n = 0;
  const int64_t *dilations = NULL;
  int64_t packed = 0, taps = 0;
  MOIRE__TRY(moire__infer_ints(c, "dilations", &dilations, &n));
  MOIRE__TRY(moire__infer_int_or(c, "packed", 0, 0, 1, &packed));
  const int n_weights = c->n_operands - 1 - (packed ? PACKED_OPERANDS : 0);
  if (n < 1 || n != n_weights)
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "there are %d dilations for %d weights", n, n_weights);
  for (int i = 0; i < n; i++) {
    if (dilations[i] < 1 || dilations[i] > INT32_MAX)
      return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "dilation %d is %lld, wanted 1 to %d", i,
                        (long long)dilations[i], INT32_MAX);
    MOIRE__TRY(moire__infer_dtype(c, i + 1, MOIRE__SET_COMPLEX));
    MOIRE__TRY(moire__infer_rank(c, i + 1, 2, 2));
    const moire_shape *w = &c->operands[i + 1]->shape;
    if (!moire__dim_is_static(w->dims[0]) || w->dims[0] < 1 || w->dims[0] > MOIRE__MOST_TAPS - taps ||
        w->dims[1] != c->operands[0]->shape.dims[2])
      return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                        "weight %d is %s, wanted taps, at most %d in all, and the channels of x, %s", i,
                        moire__operand_type(c, i + 1).text, MOIRE__MOST_TAPS, moire__operand_type(c, 0).text);
    taps += w->dims[0];
  }
  const moire_shape *x = &c->operands[0]->shape;
  if (!packed) return moire__infer_result(c, 0, MOIRE_C64, *x);
  MOIRE__TRY(moire__infer_packed(c, n + 1, PACKED_OPERANDS));
  return moire__infer_result(c, 0, MOIRE_C64, MOIRE_SHAPE(c->operands[n + 1]->shape.dims[0], x->dims[2]));
}

/* One filter with the taps of all bands. */
void moire__filter_bank_expand(moire__expand *c) {
  int n = 0, taps = 0;
  const int64_t *dilations = moire__node_ints(c->node, "dilations", &n);
  for (int i = 0; i < n; i++) taps += (int)moire_value_dim(c->operands[i + 1], 0);
  int64_t *shifts = moire__arena_array(&c->g->arena, (size_t)taps, sizeof *shifts), *next = shifts;
  for (int i = 0; i < n; i++) {
    for (int64_t j = moire_value_dim(c->operands[i + 1], 0); j-- > 0;) *next++ = j * dilations[i];
  }
  moire__attr attr = moire__attr_make_ints("shifts", shifts, taps);
  moire_value x[2 + PACKED_OPERANDS] = {c->operands[0], moire_concat(c->operands + 1, n, 0)};
  if (is_packed(c->node)) {
    for (int i = 0; i < PACKED_OPERANDS; i++) x[2 + i] = c->operands[n + 1 + i];
    c->results[0] = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_depthwise_conv, x, 6, &attr, 1);
    return;
  }
  int64_t zeros = 0; /* written in front of x, for a filter that must not know where it begins */
  for (int i = 0; i < taps && c->off >> MOIRE_OPTIMIZATION_taps & 1; i++)
    zeros = shifts[i] > zeros ? shifts[i] : zeros;
  moire_dim length = moire_value_dim(x[0], 1);
  if (zeros) x[0] = moire_pad(x[0], 1, zeros, 0);
  c->results[0] = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_depthwise_conv, x, 2, &attr, 1);
  if (zeros) c->results[0] = moire_slice(c->results[0], 1, zeros, length);
}

/* As depthwise_conv: samples, channels, and a beginning of the sequence; not of tokens. */
bool moire__filter_bank_demand(moire__demand *c) {
  if (is_packed(c->node) || (c->axis == 1 && c->start != 0)) return false;
  moire__demand_slice(c, 0, c->axis, c->start, c->length);
  for (int i = 1; i < c->n_operands && c->axis == 2; i++) moire__demand_slice(c, i, 1, c->start, c->length);
  return true;
}

void moire__filter_bank_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  moire__tensor *y = c->results[0];
  int n = 0;
  const int64_t *dilations = moire__node_ints(c->node, "dilations", &n);
  int64_t length = x->dims[1], width = x->dims[2];
  const moire__tensor *tokens = is_packed(c->node) ? c->operands[n + 1] : NULL;
  if (tokens && !moire__packed_is_sound(c, n + 1, n + 3, n + 4, length)) return;
  for (int s = 0; s < n; s++) {
    const moire__tensor *w = c->operands[s + 1];
    for (int64_t i = 0; i < y->elements; i++)
      for (int64_t j = 0; j < w->dims[0]; j++) {
        int64_t place = tokens ? (int64_t)tokens->re[i / width] : i / width;
        if (place % length < j * dilations[s]) break;
        int64_t d = i % width, tap = (w->dims[0] - 1 - j) * width + d;
        double from = x->re[(place - j * dilations[s]) * width + d];
        y->re[i] += w->re[tap] * from;
        y->im[i] += w->im[tap] * from;
      }
  }
}

/* Two bands over the tokens of packed samples; a wrong one has too few operands. */
static bool packed_sample(moire__sampler *s) {
  bool wrong = s->kind == MOIRE__SAMPLE_WRONG;
  moire_value x = moire__sample_input(s, F32, S(3, 9, 5), -1, 1);
  moire_value first = moire__sample_input(s, C64, S(3, 5), -1, 1);
  moire_value second = moire__sample_input(s, C64, S(5, 5), -1, 1);
  moire__sample_packing p = moire__sample_pack(s, 9);
  moire_value operands[] = {x, first, second, p.tokens, p.slots, p.starts, p.counts};
  moire__attr attrs[] = {moire__attr_make_ints("dilations", (const int64_t[]){1, 3}, 2),
                         moire__attr_make_int("packed", 1)};
  moire_value y = moire__sample_emit(s, MOIRE__OP_filter_bank, operands, wrong ? 6 : 7, attrs, 2);
  return wrong ? moire__sample_refuse(s, BAD_ARGUMENT) : moire__sample_finish(s, y);
}

bool moire__filter_bank_sample(moire__sampler *s) {
  enum { GOOD_ROWS = 2, WRONG_ROWS = 7 };
  if (s->index == GOOD_ROWS && s->kind == MOIRE__SAMPLE_GOOD) return packed_sample(s);
  if (s->index == WRONG_ROWS && s->kind == MOIRE__SAMPLE_WRONG) return packed_sample(s);
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype x_type, w_type;
    moire_shape x;
    moire_dim width; /* of the weights */
    int n, n_dilations;
    int64_t taps[4], dilations[4];
    moire_status expected;
  } cases[] = {
      {GOOD, F32, C64, S(2, 9, 4), 4, 1, 1, {3}, {1}, ACCEPTED},
      {GOOD, F32, C64, S(b, 20, 16), 16, 4, 4, {3, 7, 15, 31}, {1, 2, 4, 8}, ACCEPTED},
      {HARD, F32, C64, S(1, 1, 1), 1, 2, 2, {1, 7}, {1, 3}, ACCEPTED},
      {HARD, F32, C64, S(3, 13, 17), 17, 3, 3, {2, 2, 3}, {13, 12, 6}, ACCEPTED},
      {HARD, F32, C64, S(0, 5, 3), 3, 2, 2, {1, 3}, {1, 1}, ACCEPTED},
      {HARD, F32, C64, S(2, 0, 3), 3, 2, 2, {1, 3}, {1, 1}, ACCEPTED},
      {HARD, F32, C64, S(2, 3, 0), 0, 2, 2, {1, 3}, {1, 1}, ACCEPTED},
      {WRONG, F32, C64, S(2, 9, 4), 5, 1, 1, {3}, {1}, BAD_SHAPE},
      {WRONG, F32, C64, S(9, 4), 4, 1, 1, {3}, {1}, BAD_SHAPE},
      {WRONG, F32, C64, S(2, 9, 4), 4, 1, 1, {0}, {1}, BAD_SHAPE},
      {WRONG, F32, C64, S(2, 9, 4), 4, 1, 1, {3}, {0}, BAD_ARGUMENT},
      {WRONG, F32, C64, S(2, 9, 4), 4, 2, 1, {3, 3}, {1}, BAD_ARGUMENT},
      {WRONG, C64, C64, S(2, 9, 4), 4, 1, 1, {3}, {1}, BAD_TYPE},
      {WRONG, F32, F32, S(2, 9, 4), 4, 1, 1, {3}, {1}, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value operands[5] = {moire__sample_input(s, cases[i].x_type, cases[i].x, -1, 1)};
  for (int j = 0; j < cases[i].n; j++)
    operands[j + 1] =
        moire__sample_input(s, cases[i].w_type, MOIRE_SHAPE(cases[i].taps[j], cases[i].width), -1, 1);
  moire__attr attr = moire__attr_make_ints("dilations", cases[i].dilations, cases[i].n_dilations);
  moire_value y = moire__sample_emit(s, MOIRE__OP_filter_bank, operands, cases[i].n + 1, &attr, 1);
  return s->kind == MOIRE__SAMPLE_WRONG ? moire__sample_refuse(s, cases[i].expected)
                                        : moire__sample_finish(s, y);
}
