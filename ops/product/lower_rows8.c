/* quantise_rows and linear_rows8 as loop nests (ops/product/rows8.c).
 *
 * Rows of a weight are pieces; lanes run along them. Bytes become floats as they are read, once for a few rows
 * of x, each of which has a sum for each byte of a word: sums that wait for each other would take longer than
 * memory. */
#include "compiler/ir/loop/lower.h"
#include "ops/parts.h"
#include "ops/product/rows8.h"

typedef moire__loop_value value;

enum { ROWS_AT_ONCE = 4, OUTPUTS_OF_A_PIECE = 16, LANES = MOIRE__ROWS8_LANES, BYTES = MOIRE__ROWS8_BYTES };

typedef struct rows8 {
  moire__lowering *l;
  moire__loop_builder *b;
  int64_t k, groups;
  moire__view x, w, scale; /* of quantise_rows w alone, as x */
} rows8;

static value number(const rows8 *s, int64_t x) { return moire__loop_index(s->b, x); }
static value real(const rows8 *s, double x) { return moire__loop_const(s->b, MOIRE__LOOP_F32, x); }
static value two(const rows8 *s, moire__loop_op op, value x, value y) {
  return moire__loop_binary(s->b, op, x, y);
}
static value choose(const rows8 *s, value c, value x, value y) {
  return moire__loop_ternary(s->b, MOIRE__LOOP_select, c, x, y);
}

static value load(const rows8 *s, const moire__view *view, value row, value column) {
  const value at[MOIRE_MAX_RANK] = {row, column};
  return moire__loop_load(s->b, moire__lower_buffer(s->l, view->base), moire__lower_address(s->l, view, at));
}

/* Column 64 g + 16 b + lane; where that may be past the end, the last one that is there. */
static value column(const rows8 *s, value group, int byte, value lane, bool whole) {
  value c = moire__lower_add(s->l, moire__lower_mul(s->l, group, number(s, MOIRE__ROWS8_GROUP)),
                             moire__lower_add(s->l, lane, number(s, (int64_t)byte * LANES)));
  return whole ? c : two(s, MOIRE__LOOP_min, c, number(s, s->k - 1));
}

static value open_lanes(const rows8 *s) {
  return moire__loop_for(s->b, number(s, 0), number(s, LANES), 1, LANES);
}

/* ---- quantise_rows ---- */

static value largest(const rows8 *s, value row) {
  moire__loop_var most = moire__loop_declare(s->b, real(s, 0));
  value c = moire__loop_for(s->b, number(s, 0), number(s, s->k), 1, s->l->target.lanes);
  moire__loop_reduce(s->b, most, MOIRE__LOOP_max,
                     moire__loop_unary(s->b, MOIRE__LOOP_abs, load(s, &s->x, row, c)));
  moire__loop_end(s->b);
  return moire__loop_get(s->b, most);
}

/* i32: the number of 8 bits that w becomes. */
static value rounded(const rows8 *s, value w, value scale) {
  value none = two(s, MOIRE__LOOP_eq, scale, real(s, 0));
  value ratio = two(s, MOIRE__LOOP_div, w, choose(s, none, real(s, 1), scale));
  value q = moire__loop_unary(s->b, MOIRE__LOOP_floor, two(s, MOIRE__LOOP_add, ratio, real(s, 0.5)));
  return moire__loop_cast(s->b, q, MOIRE__LOOP_I32);
}

void moire__quantise_rows_lower(moire__lowering *l) {
  rows8 s = {.l = l, .b = &l->builder};
  const moire_dim *w = l->g->values[l->node->operands[0]].shape.dims;
  s.k = w[1];
  s.groups = moire__rows8_words(s.k) / LANES;
  moire__lower_add_reads(l, l->node->operands[0]);
  for (int i = 0; i < 2; i++) moire__lower_add_write(l, l->node->first_result + i);
  moire__lower_body(l, w[0], 1);
  s.x = moire__lower_view(l, l->node->operands[0]);
  value row = l->kernel->parallel, scale = two(&s, MOIRE__LOOP_div, largest(&s, row), real(&s, 127));
  moire__lower_write(l, l->node->first_result + 1, row, scale);
  value group = moire__loop_for(s.b, number(&s, 0), number(&s, s.groups), 1, 1), lane = open_lanes(&s);
  value word = 0;
  for (int byte = 0; byte < BYTES; byte++) {
    value c = column(&s, group, byte, lane, true), there = two(&s, MOIRE__LOOP_lt, c, number(&s, s.k));
    value q = rounded(&s, load(&s, &s.x, row, column(&s, group, byte, lane, false)), scale);
    value zero = moire__loop_const(s.b, MOIRE__LOOP_I32, 0), all = moire__loop_const(s.b, MOIRE__LOOP_I32, 256);
    q = choose(&s, there, q, zero);
    if (byte < BYTES - 1) q = choose(&s, two(&s, MOIRE__LOOP_lt, q, zero), two(&s, MOIRE__LOOP_add, q, all), q);
    if (byte) q = two(&s, MOIRE__LOOP_mul, q, moire__loop_const(s.b, MOIRE__LOOP_I32, 1 << 8 * byte));
    word = byte ? two(&s, MOIRE__LOOP_add, word, q) : q;
  }
  value at = moire__lower_mul(l, moire__lower_add(l, moire__lower_mul(l, row, number(&s, s.groups)), group),
                              number(&s, LANES));
  moire__lower_write(l, l->node->first_result, moire__lower_add(l, at, lane), word);
  moire__loop_end(s.b);
  moire__loop_end(s.b);
  moire__lower_finish(l);
}

/* ---- linear_rows8 ---- */

/* Adds a word's four numbers, times those of `rows` rows of x. */
static void add_word(const rows8 *s, value output, value m, int rows, value group, value lane, bool whole,
                     const moire__loop_var *sum) {
  value at = moire__lower_add(s->l, moire__lower_mul(s->l, group, number(s, LANES)), lane);
  value word = load(s, &s->w, output, at);
  for (int byte = 0; byte < BYTES; byte++) {
    value which = moire__loop_const(s->b, MOIRE__LOOP_I32, byte);
    value q = moire__loop_cast(s->b, two(s, MOIRE__LOOP_byte, word, which), MOIRE__LOOP_F32);
    value c = column(s, group, byte, lane, whole);
    if (!whole) {
      value there = two(s, MOIRE__LOOP_lt, column(s, group, byte, lane, true), number(s, s->k));
      q = choose(s, there, q, real(s, 0));
    }
    for (int r = 0; r < rows; r++) {
      moire__loop_var to = sum[r * BYTES + byte];
      value x = load(s, &s->x, moire__lower_add(s->l, m, number(s, r)), c);
      moire__loop_set(s->b, to, moire__loop_ternary(s->b, MOIRE__LOOP_fma, q, x, moire__loop_get(s->b, to)));
    }
  }
}

/* y of an output and of `rows` rows of x from m on. */
static void some_rows(const rows8 *s, value output, value m, int rows, int64_t outputs) {
  moire__loop_var total[ROWS_AT_ONCE], sum[ROWS_AT_ONCE * BYTES];
  for (int r = 0; r < rows; r++) total[r] = moire__loop_declare(s->b, real(s, 0));
  value lane = open_lanes(s);
  for (int i = 0; i < rows * BYTES; i++) sum[i] = moire__loop_declare(s->b, real(s, 0));
  value whole = number(s, s->k / MOIRE__ROWS8_GROUP);
  value group = moire__loop_for(s->b, number(s, 0), whole, 1, 1);
  add_word(s, output, m, rows, group, lane, true, sum);
  moire__loop_end(s->b);
  if (s->k % MOIRE__ROWS8_GROUP) add_word(s, output, m, rows, whole, lane, false, sum);
  for (int r = 0; r < rows; r++) {
    value parts[BYTES];
    for (int b = 0; b < BYTES; b++) parts[b] = moire__loop_get(s->b, sum[r * BYTES + b]);
    value low = two(s, MOIRE__LOOP_add, parts[0], parts[1]), high = two(s, MOIRE__LOOP_add, parts[2], parts[3]);
    moire__loop_reduce(s->b, total[r], MOIRE__LOOP_add, two(s, MOIRE__LOOP_add, low, high));
  }
  moire__loop_end(s->b);
  const value at[MOIRE_MAX_RANK] = {output};
  value scale = moire__loop_load(s->b, moire__lower_buffer(s->l, s->scale.base),
                                 moire__lower_address(s->l, &s->scale, at));
  for (int r = 0; r < rows; r++) {
    value row = moire__lower_mul(s->l, moire__lower_add(s->l, m, number(s, r)), number(s, outputs));
    moire__lower_write(s->l, s->l->node->first_result, moire__lower_add(s->l, row, output),
                       two(s, MOIRE__LOOP_mul, moire__loop_get(s->b, total[r]), scale));
  }
}

void moire__linear_rows8_lower(moire__lowering *l) {
  rows8 s = {.l = l, .b = &l->builder};
  const moire_dim *x = l->g->values[l->node->operands[0]].shape.dims;
  int64_t n = l->g->values[l->node->operands[1]].shape.dims[0];
  s.k = x[1];
  for (int i = 0; i < 3; i++) moire__lower_add_reads(l, l->node->operands[i]);
  moire__lower_add_write(l, l->node->first_result);
  moire__lower_body(l, n, OUTPUTS_OF_A_PIECE);
  s.x = moire__lower_view(l, l->node->operands[0]);
  s.w = moire__lower_view(l, l->node->operands[1]);
  s.scale = moire__lower_view(l, l->node->operands[2]);
  value low = moire__lower_mul(l, l->kernel->parallel, number(&s, OUTPUTS_OF_A_PIECE));
  value high =
      two(&s, MOIRE__LOOP_min, moire__lower_add(l, low, number(&s, OUTPUTS_OF_A_PIECE)), number(&s, n));
  value output = moire__loop_for(s.b, low, high, 1, 1);
  int most = moire__dim_is_static(x[0]) && x[0] < ROWS_AT_ONCE ? (int)x[0] : ROWS_AT_ONCE;
  if (most > 1) {
    value all = moire__loop_extent(s.b, x[0]), size = number(&s, most);
    value end = moire__lower_mul(l, two(&s, MOIRE__LOOP_div, all, size), size);
    some_rows(&s, output, moire__loop_for(s.b, number(&s, 0), end, most, 1), most, n);
    moire__loop_end(s.b);
    some_rows(&s, output, moire__loop_for(s.b, end, all, 1, 1), 1, n);
    moire__loop_end(s.b);
  } else if (most == 1) {
    some_rows(&s, output, number(&s, 0), 1, n);
  }
  moire__loop_end(s.b);
  moire__lower_finish(l);
}
