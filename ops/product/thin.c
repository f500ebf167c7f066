/* Products of a few columns or rows: see ops/product/thin.h. */
#include "ops/product/thin.h"

enum { LANES = 32, MOST_SUMS = 32 };

static moire__loop_value plus(moire__lowering *l, moire__loop_value a, int64_t b) {
  return moire__lower_add(l, a, moire__loop_index(&l->builder, b));
}

/* ---- dots -------------------------------------------------------------------------------------------------
 */

typedef struct dots {
  const moire__tiles *t;
  int rows, columns; /* of outputs at once */
  moire__loop_value m, n;
} dots;

/* The numbers of k of each row, and then of each column. */
static void load_both(moire__lowering *l, const dots *d, moire__loop_value k, moire__loop_value *x) {
  for (int r = 0; r < d->rows; r++) x[r] = moire__tile_element(l, &d->t->a, 0, plus(l, d->m, r), k);
  for (int c = 0; c < d->columns; c++)
    x[d->rows + c] = moire__tile_element(l, &d->t->b, 0, k, plus(l, d->n, c));
}

/* All of k that fills vectors: 32 sums for each output, which are then added up. */
static void whole_vectors(moire__lowering *l, const dots *d, moire__loop_value end,
                          const moire__loop_var *total) {
  moire__loop_builder *b = &l->builder;
  moire__loop_var sum[MOST_SUMS];
  moire__loop_value x[MOST_SUMS + 1];
  moire__loop_value lane = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, LANES), 1, LANES);
  for (int i = 0; i < d->rows * d->columns; i++)
    sum[i] = moire__loop_declare(b, moire__loop_const(b, d->t->type, 0));
  moire__loop_value k = moire__loop_for(b, d->t->k_low, end, LANES, 1);
  load_both(l, d, moire__lower_add(l, k, lane), x);
  for (int i = 0; i < d->rows * d->columns; i++) {
    moire__loop_value before = moire__loop_get(b, sum[i]);
    moire__loop_set(
        b, sum[i],
        moire__loop_ternary(b, MOIRE__LOOP_fma, x[i / d->columns], x[d->rows + i % d->columns], before));
  }
  moire__loop_end(b);
  for (int i = 0; i < d->rows * d->columns; i++)
    moire__loop_reduce(b, total[i], MOIRE__LOOP_add, moire__loop_get(b, sum[i]));
  moire__loop_end(b);
}

static void rest_of_k(moire__lowering *l, const dots *d, moire__loop_value from, const moire__loop_var *total) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value x[MOST_SUMS + 1];
  load_both(l, d, moire__loop_for(b, from, d->t->k_high, 1, LANES), x);
  for (int i = 0; i < d->rows * d->columns; i++)
    moire__loop_reduce(b, total[i], MOIRE__LOOP_add,
                       moire__lower_mul(l, x[i / d->columns], x[d->rows + i % d->columns]));
  moire__loop_end(b);
}

static void outputs(moire__lowering *l, const dots *d) {
  moire__loop_builder *b = &l->builder;
  const moire__tiles *t = d->t;
  moire__loop_var total[MOST_SUMS];
  for (int i = 0; i < d->rows * d->columns; i++)
    total[i] = moire__loop_declare(b, moire__loop_const(b, t->type, 0));
  moire__loop_value lanes = moire__loop_index(b, LANES);
  moire__loop_value all = moire__loop_binary(b, MOIRE__LOOP_sub, t->k_high, t->k_low);
  moire__loop_value whole = moire__lower_mul(l, moire__loop_binary(b, MOIRE__LOOP_div, all, lanes), lanes);
  moire__loop_value end = moire__lower_add(l, t->k_low, whole);
  whole_vectors(l, d, end, total);
  if (end != t->k_high) rest_of_k(l, d, end, total);
  for (int i = 0; i < d->rows * d->columns; i++)
    t->finish(t->context, plus(l, d->m, i / d->columns), plus(l, d->n, i % d->columns),
              (const moire__loop_value[2]){moire__loop_get(b, total[i]), 0});
}

/* `step` rows or columns at a time from *at on, as many as fit below `high`; *at becomes what comes after them.
 */
static void some(moire__lowering *l, dots *d, bool of_rows, int step, moire__loop_value *at,
                 moire__loop_value high) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value size = moire__loop_index(b, step);
  moire__loop_value fit =
      moire__loop_binary(b, MOIRE__LOOP_div, moire__loop_binary(b, MOIRE__LOOP_sub, high, *at), size);
  moire__loop_value end = moire__lower_add(l, *at, moire__lower_mul(l, fit, size));
  moire__loop_value i = moire__loop_for(b, *at, end, step, 1);
  *(of_rows ? &d->m : &d->n) = i;
  *(of_rows ? &d->rows : &d->columns) = step;
  outputs(l, d);
  moire__loop_end(b);
  *at = end;
}

/* As many of the others as leave sums in registers beside what is loaded. */
static int others_beside(const moire__lowering *l, int few) {
  int vectors = LANES / l->target.lanes < 1 ? 1 : LANES / l->target.lanes;
  int most = (l->target.registers / vectors - few) / (few + 1);
  if (most > 8) most = 8;
  return most < 1 ? 1 : most;
}

/* Rows of less than a page, one after the other, are one stream of memory; several at once are streams that end
 * before a prefetcher has found them. */
static bool are_one_stream(const moire__tiles *t) {
  enum { PAGE = 4096 / sizeof(float) };
  return t->k_extent && moire__dim_is_static(t->k_extent) && moire__dim_factor(t->k_extent) <= PAGE;
}

void moire__thin_dots(moire__lowering *l, const moire__tiles *t, int rows, int columns) {
  bool few_rows = rows && rows <= MOIRE__THIN_DOTS;
  int few = few_rows ? rows : columns, step = few == 1 && are_one_stream(t) ? 1 : others_beside(l, few);
  dots d = {.t = t, .m = t->m_low, .n = t->n_low, .rows = few, .columns = few};
  moire__loop_value at = few_rows ? t->n_low : t->m_low, high = few_rows ? t->n_high : t->m_high;
  some(l, &d, !few_rows, step, &at, high);
  if (step > 1) some(l, &d, !few_rows, 1, &at, high);
}

/* ---- across -----------------------------------------------------------------------------------------------
 */

void moire__thin_across(moire__lowering *l, const moire__tiles *t, int columns) {
  moire__loop_builder *b = &l->builder;
  moire__loop_var sum[MOIRE__THIN_ACROSS];
  int width = columns <= 4 ? 4 : 2;
  if (moire__lower_few_registers(l) && width > 1) width /= 2;
  moire__loop_value m = moire__loop_for(b, t->m_low, t->m_high, 1, width * l->target.lanes);
  for (int c = 0; c < columns; c++) {
    moire__loop_value first = moire__loop_const(b, t->type, 0);
    if (t->is_first)
      first = moire__loop_ternary(b, MOIRE__LOOP_select, t->is_first, first,
                                  t->resume(t->context, 0, m, plus(l, t->n_low, c)));
    sum[c] = moire__loop_declare(b, first);
  }
  moire__loop_value k = moire__loop_for(b, t->k_low, t->k_high, 1, 1);
  moire__loop_value x = moire__tile_element(l, &t->a, 0, m, k);
  for (int c = 0; c < columns; c++) {
    moire__loop_value y = moire__tile_element(l, &t->b, 0, k, plus(l, t->n_low, c));
    moire__loop_set(b, sum[c], moire__loop_ternary(b, MOIRE__LOOP_fma, x, y, moire__loop_get(b, sum[c])));
  }
  moire__loop_end(b);
  for (int c = 0; c < columns; c++)
    t->finish(t->context, m, plus(l, t->n_low, c), (const moire__loop_value[2]){moire__loop_get(b, sum[c]), 0});
  moire__loop_end(b);
}
