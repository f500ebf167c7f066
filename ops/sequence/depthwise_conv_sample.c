/* depthwise_conv and depthwise_conv_weight: samples for the tests (ops/sequence/depthwise_conv.c). */
#include "ops/sequence/packed.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

/* Rows for both ops: x (and y) [B, L, D], w [taps, D]; types are those of the operands. */
typedef struct conv_case {
  moire__sample_kind kind;
  moire_dtype a, b;
  moire_shape x;
  int64_t taps, dilation, again; /* the tap before the newest has this shift, if it is positive */
} conv_case;

typedef struct tap_shifts {
  int64_t of[64];
  int n;
} tap_shifts;

static tap_shifts shifts_of(const conv_case *row) {
  tap_shifts s = {.n = (int)row->taps};
  for (int r = 0; r < s.n; r++) s.of[r] = (s.n - 1 - r) * row->dilation;
  if (row->again) s.of[s.n - 2] = row->again;
  return s;
}

static bool conv_sample_row(moire__sampler *s, conv_case *found) {
  moire_dim b = moire__sample_batch(s);
  const conv_case cases[] = {
      {GOOD, F32, F32, S(2, 8, 4), 3, 1, 0},    {GOOD, F32, C64, S(b, 12, 16), 3, 2, 0},
      {GOOD, C64, F32, S(2, 9, 8), 2, 3, 0},    {GOOD, C64, C64, S(b, 7, 5), 4, 1, 0},
      {GOOD, F32, C64, S(b, 40, 16), 40, 1, 4}, {HARD, F32, F32, S(1, 1, 1), 1, 1, 0},
      {HARD, C64, C64, S(3, 13, 17), 7, 5, 0},  {HARD, F32, C64, S(1, 5, 33), 31, 8, 0},
      {HARD, F32, F32, S(2, 0, 3), 3, 1, 0},    {HARD, F32, C64, S(0, 4, 3), 3, 1, 0},
      {HARD, F32, F32, S(2, 4, 0), 3, 1, 0},    {HARD, F32, F32, S(b, 7, 3), 2, 2147483647, 0},
      {HARD, F32, F32, S(b, 33, 7), 13, 1, 12}, {HARD, F32, F32, S(b, 9, 7), 2, 5, 5},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i >= 0) *found = cases[i];
  return i >= 0;
}

/* The same of packed samples, and all shifts by `more`; x has 3 samples. */
typedef struct packed_case {
  conv_case row;
  int64_t more;
} packed_case;

enum { PACKED_ROWS = 3 }; /* of either kind; they come first */

static tap_shifts packed_row(const moire__sampler *s, conv_case *row) {
  const packed_case cases[] = {
      {{GOOD, F32, C64, S(3, 6, 16), 3, 1, 0}, 0},  {{GOOD, C64, F32, S(3, 9, 5), 4, 3, 6}, 0},
      {{GOOD, C64, C64, S(3, 33, 8), 30, 1, 0}, 1}, {{HARD, F32, C64, S(3, 40, 17), 50, 1, 48}, 0},
      {{HARD, C64, C64, S(3, 1, 33), 2, 1, 0}, 0},  {{HARD, F32, F32, S(3, 6, 7), 2, 2147483647, 0}, 6},
  };
  *row = cases[MOIRE__SAMPLE_ROW(s, cases)].row;
  tap_shifts shifts = shifts_of(row);
  for (int r = 0; r < shifts.n; r++) shifts.of[r] += cases[MOIRE__SAMPLE_ROW(s, cases)].more;
  return shifts;
}

static bool depthwise_conv_packed(moire__sampler *s) {
  conv_case row;
  tap_shifts shifts = packed_row(s, &row);
  moire_value x = moire__sample_input(s, row.a, row.x, -1, 1);
  moire_value w = moire__sample_input(s, row.b, S(row.taps, row.x.dims[2]), -1, 1);
  moire__sample_packing p = moire__sample_pack(s, row.x.dims[1]);
  moire_value operands[] = {x, w, p.tokens, p.slots, p.starts, p.counts};
  moire__attr attr = moire__attr_make_ints("shifts", shifts.of, shifts.n);
  return moire__sample_finish(s, moire__sample_emit(s, MOIRE__OP_depthwise_conv, operands, 6, &attr, 1));
}

/* Packed, with one mistake each. */
static bool depthwise_conv_packed_wrong(moire__sampler *s, int i) {
  const struct {
    moire_shape x;
    int64_t counts, reverse;
    moire_dtype slots;
    int n_operands;
    moire_status expected;
  } cases[] = {
      {S(3, 6, 4), 3, 1, I32, 6, BAD_ARGUMENT},
      {S(3, 6, 4), 3, 0, I32, 5, BAD_ARGUMENT},
      {S(3, 6, 4), 2, 0, I32, 6, BAD_SHAPE},
      {S(3, 7, 4), 3, 0, I32, 6, BAD_SHAPE},
      {S(3, moire__sample_batch(s), 4), 3, 0, I32, 6, BAD_SHAPE},
      {S(3, 6, 65536), 3, 0, I32, 6, BAD_SHAPE},
      {S(3, 0, 4), 3, 0, I32, 6, BAD_SHAPE},
      {S(3, 6, 4), 3, 0, I64, 6, BAD_TYPE},
  };
  if (i >= (int)(sizeof cases / sizeof *cases)) return false;
  moire_value x = moire__sample_input(s, F32, cases[i].x, -1, 1);
  moire_value w = moire__sample_input(s, F32, S(3, cases[i].x.dims[2]), -1, 1);
  moire_value tokens = moire__sample_input(s, I32, S(10), 0, 1);
  moire_value slots = moire__sample_input(s, cases[i].slots, S(18), 0, 1);
  moire_value starts = moire__sample_input(s, I32, S(3), 0, 1);
  moire_value counts = moire__sample_input(s, I32, S(cases[i].counts), 0, 1);
  moire_value operands[] = {x, w, tokens, slots, starts, counts};
  moire__attr attrs[] = {moire__attr_make_ints("shifts", (const int64_t[]){0, 1, 2}, 3),
                         moire__attr_make_int("reverse", cases[i].reverse)};
  moire__sample_emit(s, MOIRE__OP_depthwise_conv, operands, cases[i].n_operands, attrs, 2);
  return moire__sample_refuse(s, cases[i].expected);
}

static bool depthwise_conv_wrong(moire__sampler *s) {
  const struct {
    moire_dtype a, b;
    moire_shape x, w;
    int64_t shift, reverse;
    moire_status expected;
  } cases[] = {
      {F32, F32, S(2, 8, 4), S(3, 5), 1, 0, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(4, 1, 3), 1, 0, BAD_SHAPE},
      {F32, F32, S(8, 4), S(3, 4), 1, 0, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(2, 4), 1, 0, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(moire__sample_batch(s), 4), 1, 0, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(3, 4), -1, 0, BAD_ARGUMENT},
      {F32, F32, S(2, 8, 4), S(3, 4), 1, 2, BAD_ARGUMENT},
      {I32, F32, S(2, 8, 4), S(3, 4), 1, 0, BAD_TYPE},
      {F64, C64, S(2, 8, 4), S(3, 4), 1, 0, BAD_TYPE},
  };
  const int n = (int)(sizeof cases / sizeof *cases), i = s->index;
  if (i >= n) return depthwise_conv_packed_wrong(s, i - n);
  moire_value operands[] = {moire__sample_input(s, cases[i].a, cases[i].x, -1, 1),
                            moire__sample_input(s, cases[i].b, cases[i].w, -1, 1)};
  const int64_t shifts[] = {0, 3, cases[i].shift};
  moire__attr attrs[] = {moire__attr_make_ints("shifts", shifts, 3),
                         moire__attr_make_int("reverse", cases[i].reverse)};
  moire__sample_emit(s, MOIRE__OP_depthwise_conv, operands, 2, attrs, 2);
  return moire__sample_refuse(s, cases[i].expected);
}

/* Packed rows; then each of the others forwards and in reverse. */
bool moire__depthwise_conv_sample(moire__sampler *s) {
  if (s->kind == MOIRE__SAMPLE_WRONG) return depthwise_conv_wrong(s);
  if (s->index < PACKED_ROWS) return depthwise_conv_packed(s);
  conv_case row;
  moire__sampler at = *s;
  at.index = (s->index - PACKED_ROWS) / 2;
  if (!conv_sample_row(&at, &row)) return false;
  moire_value x = moire__sample_input(s, row.a, row.x, -1, 1);
  moire_value w = moire__sample_input(s, row.b, MOIRE_SHAPE(row.taps, row.x.dims[2]), -1, 1);
  tap_shifts shifts = shifts_of(&row);
  moire__attr attrs[] = {moire__attr_make_ints("shifts", shifts.of, shifts.n),
                         moire__attr_make_int("reverse", (s->index - PACKED_ROWS) % 2)};
  return moire__sample_finish(
      s, moire__sample_emit(s, MOIRE__OP_depthwise_conv, (moire_value[]){x, w}, 2, attrs, 2));
}

/* ---- depthwise_conv_weight ------------------------------------------------------------------------------- */

static moire_value sample_weight(moire__sampler *s, moire_value x, moire_value y, const tap_shifts *shifts) {
  moire__attr attr = moire__attr_make_ints("shifts", shifts->of, shifts->n);
  return moire__sample_emit(s, MOIRE__OP_depthwise_conv_weight, (moire_value[]){x, y}, 2, &attr, 1);
}

/* Packed, with a y of all positions, and without counts. */
static bool weight_packed_wrong(moire__sampler *s, int i) {
  const moire_shape shapes[] = {S(3, 6, 4), S(10, 4)};
  const int n_operands[] = {5, 4};
  const moire_status expected[] = {BAD_SHAPE, BAD_ARGUMENT};
  if (i >= 2) return false;
  moire_value x = moire__sample_input(s, F32, S(3, 6, 4), -1, 1);
  moire_value y = moire__sample_input(s, F32, shapes[i], -1, 1);
  moire__sample_packing p = moire__sample_pack(s, 6);
  moire_value operands[] = {x, y, p.tokens, p.starts, p.counts};
  moire__attr attr = moire__attr_make_ints("shifts", (const int64_t[]){0, 1}, 2);
  moire__sample_emit(s, MOIRE__OP_depthwise_conv_weight, operands, n_operands[i], &attr, 1);
  return moire__sample_refuse(s, expected[i]);
}

static bool depthwise_conv_weight_wrong(moire__sampler *s) {
  const struct {
    moire_dtype a, b;
    moire_shape x, y;
    tap_shifts shifts;
    moire_status expected;
  } cases[] = {
      {F32, F32, S(2, 8, 4), S(2, 7, 4), {{0, 1}, 2}, BAD_SHAPE},
      {F32, F32, S(8, 4), S(8, 4), {{0, 1}, 2}, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(2, 8, 4), {{0}, 0}, BAD_SHAPE},
      {F32, F32, S(2, 8, 4), S(2, 8, 4), {{0, -1}, 2}, BAD_ARGUMENT},
      {F32, BOOL, S(2, 8, 4), S(2, 8, 4), {{0, 1}, 2}, BAD_TYPE},
  };
  const int n = (int)(sizeof cases / sizeof *cases), i = s->index;
  if (i >= n) return weight_packed_wrong(s, i - n);
  moire_value x = moire__sample_input(s, cases[i].a, cases[i].x, -1, 1);
  moire_value y = moire__sample_input(s, cases[i].b, cases[i].y, -1, 1);
  sample_weight(s, x, y, &cases[i].shifts);
  return moire__sample_refuse(s, cases[i].expected);
}

static bool weight_packed(moire__sampler *s) {
  conv_case row;
  tap_shifts shifts = packed_row(s, &row);
  moire__sample_packing p = moire__sample_pack(s, row.x.dims[1]);
  moire_value x = moire__sample_input(s, row.a, row.x, -1, 1);
  moire_value y = moire__sample_input(s, row.b, S(p.n_tokens, row.x.dims[2]), -1, 1);
  moire_value operands[] = {x, y, p.tokens, p.starts, p.counts};
  moire__attr attr = moire__attr_make_ints("shifts", shifts.of, shifts.n);
  return moire__sample_finish(s, moire__sample_emit(s, MOIRE__OP_depthwise_conv_weight, operands, 5, &attr, 1));
}

bool moire__depthwise_conv_weight_sample(moire__sampler *s) {
  if (s->kind == MOIRE__SAMPLE_WRONG) return depthwise_conv_weight_wrong(s);
  if (s->index < PACKED_ROWS) return weight_packed(s);
  conv_case row;
  moire__sampler at = *s;
  at.index -= PACKED_ROWS;
  if (!conv_sample_row(&at, &row)) return false;
  moire_value x = moire__sample_input(s, row.a, row.x, -1, 1);
  moire_value y = moire__sample_input(s, row.b, row.x, -1, 1);
  tap_shifts shifts = shifts_of(&row);
  return moire__sample_finish(s, sample_weight(s, x, y, &shifts));
}
