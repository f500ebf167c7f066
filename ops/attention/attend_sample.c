/* attend, attend_real and their backward ops: samples for the tests (ops/attention/attend.h). */
#include "ops/attention/attend.h"
#include "ops/sequence/packed.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <string.h>

typedef struct attend_case {
  moire__sample_kind kind;
  moire_dim samples, heads, queries, keys, d, e;
  int causal, has_valid, has_rng, bf16;
  bool part;
  double range;
  moire_status expected;
} attend_case;

static bool attend_row(moire__sampler *s, attend_case *found) {
  moire_dim b = moire__sample_batch(s);
  const attend_case cases[] = {
      {GOOD, 2, 2, 5, 5, 4, 4, 0, 0, 0, 0, false, 1, ACCEPTED},
      {GOOD, b, 2, 7, 7, 8, 8, 1, 1, 0, 0, false, 1, ACCEPTED},
      {GOOD, b, 2, 7, 7, 8, 8, 1, 1, 1, 0, false, 1, ACCEPTED},
      {GOOD, b, 1, 1, 7, 8, 8, 1, 1, 1, 0, true, 1, ACCEPTED},
      {HARD, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, false, 1, ACCEPTED},
      {HARD, 3, 1, 13, 17, 3, 5, 1, 1, 1, 0, false, 1, ACCEPTED},
      {HARD, 1, 3, 5, 3, 7, 7, 1, 0, 0, 0, false, 1, ACCEPTED},
      {HARD, b, 1, 2, 33, 3, 3, 1, 0, 0, 0, false, 3, ACCEPTED},
      {HARD, 1, 1, 70, 130, 17, 33, 1, 1, 1, 0, false, 0.3, ACCEPTED},
      {HARD, 1, 1, 65, 65, 3, 2, 1, 1, 0, 0, false, 0.5, ACCEPTED},
      {HARD, b, 2, 1, 65, 17, 5, 0, 1, 1, 0, false, 0.5, ACCEPTED},
      {HARD, 2, 1, 1, 13, 1, 33, 1, 0, 0, 0, false, 1, ACCEPTED},
      {HARD, 2, 2, 70, 130, 17, 33, 1, 1, 1, 1, false, 0.3, ACCEPTED},
      {HARD, 1, 3, 33, 65, 7, 5, 0, 0, 0, 1, false, 0.5, ACCEPTED},
      {HARD, b, 2, 17, 63, 2, 3, 0, 1, 1, 0, false, 0.5, ACCEPTED},
      {HARD, 0, 2, 3, 3, 4, 4, 1, 1, 0, 0, false, 1, ACCEPTED},
      {HARD, 2, 1, 0, 3, 4, 4, 1, 1, 0, 0, false, 1, ACCEPTED},
      {WRONG, 2, 1, 3, 0, 4, 4, 0, 0, 0, 0, false, 1, BAD_SHAPE},
      {WRONG, 2, 1, b, 3, 4, 4, 0, 0, 0, 0, false, 1, BAD_SHAPE},
      {WRONG, 2, 2, 5, 5, 4, 4, 0, 2, 0, 0, false, 1, BAD_ARGUMENT},
      {WRONG, 2, 2, 5, 5, 4, 4, 0, 0, 0, 2, false, 1, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i >= 0) *found = cases[i];
  return i >= 0;
}

static int planes_of(moire__op op) { return op == MOIRE__OP_attend ? 2 : 1; }

/* The backward op of a forward one's operands and results, with sampled gradients of its output. */
static moire_value sample_backward(moire__sampler *s, moire__op forward, const moire_value *x, int n,
                                   moire_value y, const moire__attr *attrs, int n_attrs) {
  moire_value operands[MOIRE__ATTEND_OPERANDS];
  int planes = planes_of(forward), count = 3 * planes;
  if (moire_value_is_null(y)) return y;
  memcpy(operands, x, (size_t)count * sizeof *operands);
  for (int i = 0; i < planes + 2; i++) {
    moire_value result = moire__value(s->g, y.id + i);
    operands[count++] = i < planes ? moire_swap_axes(result, 1, 2) : result;
  }
  for (int p = 0; p < planes; p++)
    operands[count++] = moire__sample_input(s, MOIRE_F32, moire_value_shape(operands[3 * planes]), -1, 1);
  for (int i = 3 * planes; i < n; i++) operands[count++] = x[i];
  moire__op op = planes == 2 ? MOIRE__OP_attend_backward : MOIRE__OP_attend_real_backward;
  return moire__sample_emit(s, op, operands, count, attrs, n_attrs);
}

/* A forward op over sampled inputs; its results are outputs; the gradient's op where `backward`. */
static bool sample(moire__sampler *s, moire__op op, bool backward) {
  attend_case row;
  if (!attend_row(s, &row)) return false;
  moire_shape shapes[] = {
      S(row.samples, row.heads, row.queries, row.d), S(row.samples, row.heads, row.keys, row.d),
      S(row.samples, row.heads, row.keys, row.e), S(row.samples, row.heads, row.queries, row.e)};
  s->no_gradient_check = row.bf16 != 0; /* steps of rounding */
  moire_value x[MOIRE__ATTEND_OPERANDS];
  int n = 0, planes = planes_of(op);
  for (; n < 3 * planes; n++)
    x[n] = moire__sample_input(s, MOIRE_F32, shapes[n / planes], -row.range, row.range);
  moire_shape whole = S(row.samples, row.heads, row.keys, row.keys);
  int64_t start[] = {0, 0, 0, 0};
  if (row.part) start[2] = row.keys - row.queries;
  if (row.has_valid == 1) x[n++] = moire__sample_input(s, MOIRE_BOOL, S(row.samples, row.keys), 0, 2);
  if (row.has_rng) x[n++] = moire__sample_input(s, MOIRE_I32, S(3), -1000, 1000);
  moire__attr attrs[] = {
      moire__attr_make_real("scale", 0.5),          moire__attr_make_real("mask_value", -10000),
      moire__attr_make_int("causal", row.causal),   moire__attr_make_int("has_valid", row.has_valid),
      moire__attr_make_int("has_rng", row.has_rng), moire__attr_make_real("dropout", row.has_rng ? 0.3 : 0),
      moire__attr_make_int("stream", s->index),     moire__attr_make_int("bf16", row.bf16),
      moire__attr_make_dims("mask_shape", &whole),  moire__attr_make_ints("mask_start", start, 4)};
  moire_value y = moire__sample_emit(s, op, x, n, attrs, row.part ? 10 : 8);
  if (s->kind == WRONG && !backward) return moire__sample_refuse(s, row.expected);
  if (backward) y = sample_backward(s, op, x, n, y, attrs, row.part ? 10 : 8);
  if (s->kind == WRONG) return moire__sample_refuse(s, row.expected);
  for (int i = 1; i < (backward ? 3 * planes : planes) && !moire_value_is_null(y); i++) {
    char name[8] = {'y', (char)('0' + i), 0};
    moire_output(s->g, name, moire__value(s->g, y.id + i));
  }
  return moire__sample_finish(s, y);
}

/* A packed batch of 3 samples with 4, 1 and 5 tokens of 6 positions; the last has a gap before its fourth. */
static bool packed_sample(moire__sampler *s, moire__op op, bool last) {
  enum { SAMPLES = 3, TOKENS = 10, LENGTH = 6 };
  moire_value x[MOIRE__ATTEND_OPERANDS];
  int n = 0, planes = planes_of(op);
  moire_shape rows = S(1, 2, TOKENS, 4), q = last ? S(SAMPLES, 2, 1, 4) : rows;
  for (; n < 3 * planes; n++) x[n] = moire__sample_input(s, MOIRE_F32, n < planes ? q : rows, -1, 1);
  x[n++] = moire__sample_input(s, MOIRE_BOOL, S(TOKENS), 0, 2);
  x[n++] = moire__sample_input(s, MOIRE_I32, S(3), -1000, 1000);
  moire__sample_packing packing = moire__sample_pack(s, LENGTH);
  x[n++] = packing.tokens;
  x[n++] = packing.starts;
  x[n++] = packing.counts;
  moire__attr attrs[] = {moire__attr_make_real("scale", 0.5), moire__attr_make_real("mask_value", -10000),
                         moire__attr_make_int("causal", 1),   moire__attr_make_int("has_valid", 1),
                         moire__attr_make_int("has_rng", 1),  moire__attr_make_real("dropout", 0.3),
                         moire__attr_make_int("stream", 2),   moire__attr_make_int("packed", 1),
                         moire__attr_make_int("last", last),  moire__attr_make_int("length", LENGTH)};
  return moire__sample_finish(s, moire__sample_emit(s, op, x, n, attrs, 10));
}

static bool sample_forward(moire__sampler *s, moire__op op) {
  int after = s->index - 4;
  if (s->kind == MOIRE__SAMPLE_GOOD && (after == 0 || after == 1)) return packed_sample(s, op, after == 1);
  return sample(s, op, false);
}

bool moire__attend_sample(moire__sampler *s) { return sample_forward(s, MOIRE__OP_attend); }
bool moire__attend_real_sample(moire__sampler *s) { return sample_forward(s, MOIRE__OP_attend_real); }
bool moire__attend_backward_sample(moire__sampler *s) { return sample(s, MOIRE__OP_attend, true); }
bool moire__attend_real_backward_sample(moire__sampler *s) { return sample(s, MOIRE__OP_attend_real, true); }
