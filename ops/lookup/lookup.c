/* What the ops over rows that are looked up share. See lookup.h. */
#include "ops/lookup/lookup.h"

#include "ops/support.h"

#include <math.h>

/* ---- infer -------------------------------------------------------------------------------------------------
 */

moire_status moire__infer_lookups(moire__infer *c, int first, int n, bool padding) {
  if (n < 1 || n > MOIRE__MOST_LOOKUPS)
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "there are %d lists of rows, wanted 1 to %d", n,
                      (int)MOIRE__MOST_LOOKUPS);
  for (int i = 0; i < n; i++) MOIRE__TRY(moire__infer_dtype(c, first + i, MOIRE__SET_INT));
  if (!padding) return MOIRE_OK;
  const int64_t *values = NULL;
  int count = 0;
  MOIRE__TRY(moire__infer_ints(c, "padding", &values, &count));
  if (count == n) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "padding has %d numbers, wanted one for each of %d lists",
                    count, n);
}

moire_status moire__infer_moments(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  MOIRE__TRY(moire__infer_rank(c, 0, 2, 2));
  for (int i = 1; i < 3; i++) MOIRE__TRY(moire__infer_alike(c, 0, i));
  MOIRE__TRY(moire__infer_dtype(c, 3, 1u << MOIRE_I32));
  MOIRE__TRY(moire__infer_rank(c, 3, 1, 1));
  const moire_shape *table = &c->operands[0]->shape;
  bool fixed = moire__dim_is_static(table->dims[0]) && moire__dim_is_static(table->dims[1]);
  if (fixed && c->operands[3]->shape.dims[0] == table->dims[0]) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                    "wanted a table of fixed size and a number for each of its rows, but they are %s and %s",
                    moire__operand_type(c, 0).text, moire__operand_type(c, 3).text);
}

moire_status moire__infer_looked_up(moire__infer *c, int list, int operand, moire_dim width) {
  MOIRE__TRY(moire__infer_dtype(c, operand, 1u << MOIRE_F32));
  const moire_shape *rows = &c->operands[list]->shape, *u = &c->operands[operand]->shape;
  bool fits = u->rank == rows->rank + 1 && u->dims[rows->rank] == width;
  for (int i = 0; i < rows->rank && fits; i++) fits = rows->dims[i] == u->dims[i];
  if (fits) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                    "operand %d has a row for each of operand %d, but they are %s and %s", operand, list,
                    moire__operand_type(c, operand).text, moire__operand_type(c, list).text);
}

/* ---- reference ---------------------------------------------------------------------------------------------
 */

static int64_t padding_of(const moire__node *node, int list) {
  int n = 0;
  const moire__attr *attr = moire__node_attr(node, "padding");
  return attr ? moire__node_ints(node, "padding", &n)[list] : -1;
}

bool moire__lookup_next(moire__lookup_walk *w) {
  for (; w->list < w->n; w->list++, w->next = 0) {
    const moire__tensor *rows = w->c->operands[w->first + w->list];
    while (w->next < rows->elements) {
      w->number += w->begun;
      w->begun = true;
      w->index = w->next++;
      w->row = (int64_t)rows->re[w->index];
      if (w->row == padding_of(w->c->node, w->list)) continue;
      if (w->row >= 0 && w->row < w->rows) return true;
      moire_fail(w->c->error, MOIRE_ERROR_ARGUMENT, "row %lld is not in a table of %lld rows",
                 (long long)w->row, (long long)w->rows);
      return false;
    }
  }
  return false;
}

/* ---- loops -------------------------------------------------------------------------------------------------
 */

moire__loop_value moire__lookup_load(const moire__lookups *k, int operand, moire__loop_value at) {
  moire__view view = moire__lower_view(k->l, k->l->node->operands[operand]);
  return moire__loop_load(k->b, moire__lower_buffer(k->l, view.base), at);
}

moire_dim moire__lookup_count(const moire__lookups *k, int list) {
  moire_dim n = 0;
  moire__shape_elements(&k->l->g->values[k->l->node->operands[k->first + list]].shape, &n);
  return n;
}

moire__loop_value moire__lookup_before(const moire__lookups *k, int list) {
  moire__loop_value sum = moire__loop_index(k->b, 0);
  for (int i = 0; i < list; i++)
    sum = moire__lower_add(k->l, sum, moire__loop_extent(k->b, moire__lookup_count(k, i)));
  return sum;
}

moire__loop_value moire__lookup_claim(const moire__lookups *k, int list, moire__loop_value index) {
  moire__loop_value number = moire__lower_add(k->l, moire__lookup_before(k, list), index);
  return moire__loop_binary(k->b, MOIRE__LOOP_sub, moire__loop_index(k->b, -1), number);
}

moire__loop_value moire__lookup_place(const moire__lookups *k, moire__loop_value row, int64_t width,
                                      moire__loop_value column) {
  return moire__lower_add(k->l, moire__lower_mul(k->l, row, moire__loop_index(k->b, width)), column);
}

moire__loop_value moire__lookup_open(const moire__lookups *k, int list, moire__loop_value *index) {
  moire__loop_builder *b = k->b;
  moire__loop_value zero = moire__loop_index(b, 0), all = moire__loop_extent(b, moire__lookup_count(k, list));
  moire__loop_value i = moire__loop_for(b, zero, all, 1, 1);
  moire__loop_value row = moire__loop_cast(b, moire__lookup_load(k, k->first + list, i), MOIRE__LOOP_I64);
  moire__loop_value last = moire__loop_index(b, MOIRE__LOOKUP_PIECES - 1);
  moire__loop_value piece = moire__loop_binary(b, MOIRE__LOOP_and, row, last);
  moire__loop_value mine = moire__loop_binary(b, MOIRE__LOOP_eq, piece, k->l->kernel->parallel);
  moire__loop_value low = moire__loop_binary(b, MOIRE__LOOP_le, zero, row);
  moire__loop_value high = moire__loop_binary(b, MOIRE__LOOP_lt, row, moire__loop_extent(b, k->rows));
  moire__loop_value inside = moire__loop_binary(b, MOIRE__LOOP_and, low, high);
  moire__loop_value counts = moire__loop_binary(b, MOIRE__LOOP_and, mine, inside);
  int64_t padding = k->padding ? padding_of(k->l->node, list) : -1;
  if (padding >= 0) {
    moire__loop_value is = moire__loop_binary(b, MOIRE__LOOP_eq, row, moire__loop_index(b, padding));
    counts = moire__loop_binary(b, MOIRE__LOOP_and, counts, moire__loop_unary(b, MOIRE__LOOP_not, is));
  }
  moire__loop_if(b, counts);
  *index = i;
  return row;
}

void moire__lookup_close(const moire__lookups *k) {
  moire__loop_end(k->b);
  moire__loop_end(k->b);
}

moire__loop_value moire__lookup_columns(const moire__lookups *k, int64_t width) {
  int lanes = width < k->l->target.lanes ? 1 : k->l->target.lanes * (width < 2 * k->l->target.lanes ? 1 : 2);
  return moire__loop_for(k->b, moire__loop_index(k->b, 0), moire__loop_index(k->b, width), 1, lanes);
}

/* ---- moments -----------------------------------------------------------------------------------------------
 */

int64_t moire__moment_lasts(double b1, double b2) {
  const double rest = ldexp(1, -25);
  if (!(b1 > 0)) return 0;
  double r = b1 / sqrt(b2);
  double gone = ceil(126 * log(2) / -log(b1)); /* b1^n < 2^-126 */
  if (!(r < 1)) return (int64_t)gone;
  double steps = ceil(log(rest * (1 - r)) / log(r)); /* r^n / (1 - r) <= rest */
  return (int64_t)(steps < gone ? steps : gone);
}
