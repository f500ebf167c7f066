/* take_rows and add_rows: rows of each of many tables.
 *
 *   take_rows   y[l.., i.., j..] = x[l.., rows[l.., i..], j..]                 operands x, rows
 *   add_rows    t[l.., r, j..] = sum of u[l.., i.., j..] where rows[l.., i..] = r    operands rows, u
 *
 * Attribute lead: the number of axes l, which both operands begin with; of add_rows also size, one dim: the
 * extent of r. Each is the other's gradient, but that of a single table is a scatter_add, which spreads its
 * rows over threads. Extents may be named, that of r too, which is what gather does not take. A row that is not
 * there has no meaning: the reference refuses it, compiled code reads the nearest, 0 of an empty table, and
 * adds nothing.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

/* Do both begin with the same `lead` extents, and has rows no other axes than these and its own? */
static bool same_lead(const moire_shape *a, const moire_shape *b, int64_t lead) {
  bool same = a->rank >= lead && b->rank >= lead;
  for (int i = 0; i < lead && same; i++) same = a->dims[i] == b->dims[i];
  return same;
}

static moire_status infer_lead(moire__infer *c, int rows, int values, int64_t *lead) {
  MOIRE__TRY(moire__infer_dtype(c, rows, MOIRE__SET_INT));
  MOIRE__TRY(moire__infer_int(c, "lead", 0, MOIRE_MAX_RANK, lead));
  if (same_lead(&c->operands[rows]->shape, &c->operands[values]->shape, *lead)) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "%d extents must be the same: rows are %s, the values %s",
                    (int)*lead, moire__operand_type(c, rows).text, moire__operand_type(c, values).text);
}

/* The extents around the rows of a node: its tables, their rows and the size of a row; rows that are looked up
 * for each table. */
typedef struct around {
  int64_t tables, size, width, looked_up;
} around;

static around extents_of(const moire__node *node, const moire__tensor *table, const moire__tensor *rows) {
  int lead = (int)moire__node_int(node, "lead");
  around a = {1, table->dims[lead], 1, 1};
  for (int i = 0; i < table->rank; i++) {
    if (i < lead) a.tables *= table->dims[i];
    if (i > lead) a.width *= table->dims[i];
  }
  for (int i = lead; i < rows->rank; i++) a.looked_up *= rows->dims[i];
  return a;
}

static bool has_row(moire__reference *c, int64_t row, int64_t size) {
  if (row >= 0 && row < size) return true;
  moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "row %lld is not in a table of %lld rows", (long long)row,
             (long long)size);
  return false;
}

/* ---- take_rows ------------------------------------------------------------------------------------------- */

moire_status moire__take_rows_infer(moire__infer *c) {
  int64_t lead;
  MOIRE__TRY(moire__infer_rank(c, 0, 1, MOIRE_MAX_RANK));
  MOIRE__TRY(infer_lead(c, 1, 0, &lead));
  const moire_shape *x = &c->operands[0]->shape, *rows = &c->operands[1]->shape;
  int rank = rows->rank + x->rank - (int)lead - 1;
  if (x->rank <= lead || rank > MOIRE_MAX_RANK)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "rows %s of %s behind %d axes: wanted 1 to %d axes in all",
                      moire__operand_type(c, 1).text, moire__operand_type(c, 0).text, (int)lead,
                      MOIRE_MAX_RANK);
  moire_shape shape = *rows;
  for (int i = (int)lead + 1; i < x->rank; i++) shape.dims[shape.rank++] = x->dims[i];
  return moire__infer_result(c, 0, c->operands[0]->dtype, shape);
}

void moire__take_rows_gradient(moire__gradient *c) {
  if (!c->wanted[0]) return;
  int lead = (int)moire__node_int(c->node, "lead");
  moire_shape size = MOIRE_SHAPE(moire_value_dim(c->operands[0], lead));
  moire__attr attrs[] = {moire__attr_make_dims("size", &size),
                         lead ? moire__attr_make_int("lead", lead) : moire__attr_make_int("padding", -1)};
  moire_value operands[] = {c->operands[1], c->result_gradients[0]};
  moire__op op = lead ? MOIRE__OP_add_rows : MOIRE__OP_scatter_add;
  c->operand_gradients[0] = moire__graph_emit(c->g, MOIRE_HERE, op, operands, 2, attrs, 2);
}

void moire__take_rows_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0], *rows = c->operands[1];
  around a = extents_of(c->node, x, rows);
  for (int64_t i = 0; i < rows->elements; i++) {
    int64_t row = (int64_t)rows->re[i], table = i / a.looked_up;
    if (!has_row(c, row, a.size)) return;
    for (int64_t j = 0; j < a.width; j++)
      moire__tensor_copy(c->results[0], i * a.width + j, x, (table * a.size + row) * a.width + j);
  }
}

bool moire__take_rows_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype, row_type;
    int64_t lead;
    moire_shape x, rows;
    int64_t drawn;
    moire_status expected;
  } cases[] = {
      {GOOD, F32, I32, 1, S(4, 7), S(4, 3), 7, ACCEPTED},
      {GOOD, C64, I32, 1, S(b, 5, 16), S(b, 3), 5, ACCEPTED},
      {GOOD, F32, I64, 0, S(moire_dim_times(b, 5), 4), S(b, 6), 5, ACCEPTED},
      {GOOD, F32, I32, 2, S(b, 3, 17), S(b, 3, 40), 17, ACCEPTED},
      {HARD, F32, I32, 0, S(7), SCALAR, 7, ACCEPTED},
      {HARD, I32, I32, 1, S(3, moire_dim_times(b, 2), 2), S(3, 2, b), 2, ACCEPTED},
      {HARD, F32, I32, 1, S(0, 3), S(0, 2), 3, ACCEPTED},
      {HARD, F32, I32, 1, S(3, 0), S(3, 0), 1, ACCEPTED},
      {HARD, F32, I32, 1, S(3, 1, 67), S(3, 1), 1, ACCEPTED},
      {WRONG, F32, F32, 1, S(4, 7), S(4, 3), 7, BAD_TYPE},
      {WRONG, F32, I32, 1, S(4, 7), S(3, 3), 7, BAD_SHAPE},
      {WRONG, F32, I32, 2, S(4, 7), S(4, 7), 7, BAD_SHAPE},
      {WRONG, F32, I32, 1, SCALAR, S(4), 7, BAD_SHAPE},
      {WRONG, F32, I32, -1, S(4, 7), S(4), 7, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value operands[] = {
      moire__sample_input(s, cases[i].dtype, cases[i].x, -3, 3),
      moire__sample_input(s, cases[i].row_type, cases[i].rows, 0, (double)cases[i].drawn)};
  moire__attr lead = moire__attr_make_int("lead", cases[i].lead);
  s->no_gradient_check = cases[i].dtype == I32;
  moire_value y = moire__sample_emit(s, MOIRE__OP_take_rows, operands, 2, &lead, 1);
  return s->kind == WRONG ? moire__sample_refuse(s, cases[i].expected) : moire__sample_finish(s, y);
}

/* ---- add_rows -------------------------------------------------------------------------------------------- */

moire_status moire__add_rows_infer(moire__infer *c) {
  int64_t lead;
  moire_shape size;
  MOIRE__TRY(moire__infer_dtype(c, 1, MOIRE__SET_REAL | MOIRE__SET_COMPLEX));
  MOIRE__TRY(infer_lead(c, 0, 1, &lead));
  MOIRE__TRY(moire__infer_shape(c, "size", &size));
  const moire_shape *rows = &c->operands[0]->shape, *u = &c->operands[1]->shape;
  if (!same_lead(rows, u, rows->rank) || u->rank - rows->rank + lead >= MOIRE_MAX_RANK || size.rank != 1)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                      "u must begin with the extents of rows, and size be one: rows are %s, u is %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  moire_shape shape = {.rank = (int)lead + 1};
  for (int i = 0; i < lead; i++) shape.dims[i] = u->dims[i];
  shape.dims[lead] = size.dims[0];
  for (int i = rows->rank; i < u->rank; i++) shape.dims[shape.rank++] = u->dims[i];
  return moire__infer_result(c, 0, c->operands[1]->dtype, shape);
}

void moire__add_rows_gradient(moire__gradient *c) {
  moire__attr lead = moire__attr_make_int("lead", moire__node_int(c->node, "lead"));
  moire_value operands[] = {c->result_gradients[0], c->operands[0]};
  c->operand_gradients[1] = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_take_rows, operands, 2, &lead, 1);
}

void moire__add_rows_reference(moire__reference *c) {
  const moire__tensor *rows = c->operands[0], *u = c->operands[1];
  moire__tensor *t = c->results[0];
  around a = extents_of(c->node, t, rows);
  for (int64_t i = 0; i < rows->elements; i++) {
    int64_t row = (int64_t)rows->re[i], table = i / a.looked_up;
    if (!has_row(c, row, a.size)) return;
    for (int64_t j = 0; j < a.width; j++) {
      int64_t at = (table * a.size + row) * a.width + j;
      t->re[at] += u->re[i * a.width + j];
      if (t->im) t->im[at] += u->im[i * a.width + j];
    }
  }
}

bool moire__add_rows_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    int64_t lead;
    moire_shape rows, u, size;
    int64_t drawn;
    moire_status expected;
  } cases[] = {
      {GOOD, F32, 1, S(4, 3), S(4, 3), S(7), 7, ACCEPTED},
      {GOOD, C64, 1, S(b, 6), S(b, 6, 16), S(5), 5, ACCEPTED},
      {GOOD, F32, 2, S(b, 3, 40), S(b, 3, 40), S(17), 17, ACCEPTED},
      {HARD, F32, 1, S(3, b), S(3, b, 5), S(moire_dim_times(b, 3)), 3, ACCEPTED},
      {HARD, F32, 0, S(9), S(9, 3), S(4), 4, ACCEPTED},
      {HARD, F32, 1, S(0, 2), S(0, 2), S(3), 3, ACCEPTED},
      {HARD, F32, 1, S(3, 0), S(3, 0), S(3), 3, ACCEPTED},
      {HARD, F32, 1, S(2, 33), S(2, 33, 67), S(1), 1, ACCEPTED},
      {WRONG, BOOL, 1, S(4, 3), S(4, 3), S(7), 7, BAD_TYPE},
      {WRONG, F32, 1, S(4, 3), S(4, 2), S(7), 7, BAD_SHAPE},
      {WRONG, F32, 1, S(4, 3), S(5, 3), S(7), 7, BAD_SHAPE},
      {WRONG, F32, 1, S(4, 3), S(4, 3), S(7, 7), 7, BAD_SHAPE},
      {WRONG, F32, 9, S(4, 3), S(4, 3), S(7), 7, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value operands[] = {moire__sample_input(s, I32, cases[i].rows, 0, (double)cases[i].drawn),
                            moire__sample_input(s, cases[i].dtype, cases[i].u, -3, 3)};
  moire__attr attrs[] = {moire__attr_make_dims("size", &cases[i].size),
                         moire__attr_make_int("lead", cases[i].lead)};
  moire_value y = moire__sample_emit(s, MOIRE__OP_add_rows, operands, 2, attrs, 2);
  return s->kind == WRONG ? moire__sample_refuse(s, cases[i].expected) : moire__sample_finish(s, y);
}
