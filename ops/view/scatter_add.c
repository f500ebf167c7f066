/* scatter_add: t[r, j..] = sum of u[i.., j..] over the i where rows[i..] = r; operands rows, u; attributes size
 * (one dim: the extent of r) and padding (rows that are equal to it are skipped; -1: none).
 *
 * The gradient of a gather, whose own is a gather. A row outside 0 .. size-1 has no meaning: the reference
 * refuses it, compiled code adds it nowhere.
 */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

moire_status moire__scatter_add_infer(moire__infer *c) {
  moire_shape size;
  int64_t padding;
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_INT));
  MOIRE__TRY(moire__infer_dtype(c, 1, MOIRE__SET_REAL | MOIRE__SET_COMPLEX));
  MOIRE__TRY(moire__infer_shape(c, "size", &size));
  if (size.rank != 1 || moire__dim_factor(size.dims[0]) > INT32_MAX)
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "size is one extent, of less than 2^31 rows");
  MOIRE__TRY(moire__infer_int(c, "padding", -1, INT32_MAX, &padding));
  const moire_shape *rows = &c->operands[0]->shape, *u = &c->operands[1]->shape;
  bool fits = u->rank >= rows->rank && u->rank - rows->rank < MOIRE_MAX_RANK;
  for (int i = 0; i < rows->rank && fits; i++) fits = rows->dims[i] == u->dims[i];
  if (!fits)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                      "u must begin with the extents of rows: rows are %s, u is %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  moire_shape shape = size;
  for (int i = rows->rank; i < u->rank; i++) shape.dims[shape.rank++] = u->dims[i];
  return moire__infer_result(c, 0, c->operands[1]->dtype, shape);
}

void moire__scatter_add_gradient(moire__gradient *c) {
  moire_value rows = c->operands[0], dy = c->result_gradients[0];
  if (!c->wanted[1] || moire_value_dim(c->results[0], 0) == 0) return;
  moire_value du = moire_gather(dy, rows);
  int64_t padding = moire__node_int(c->node, "padding");
  if (padding >= 0) {
    moire_shape column = moire_value_shape(rows);
    int inner = moire_value_shape(du).rank - column.rank;
    for (int i = 0; i < inner; i++) column.dims[column.rank++] = 1;
    moire_value skipped = moire_constant(c->g, moire_value_dtype(rows), MOIRE_SCALAR, (double)padding);
    moire_value zero = moire_constant(
        c->g, moire_value_dtype(du) == MOIRE_C64 ? MOIRE_F32 : moire_value_dtype(du), MOIRE_SCALAR, 0);
    du = moire_where(moire_reshape(moire_equal(rows, skipped), column), zero, du);
  }
  c->operand_gradients[1] = du;
}

void moire__scatter_add_reference(moire__reference *c) {
  const moire__tensor *rows = c->operands[0], *u = c->operands[1];
  moire__tensor *t = c->results[0];
  int64_t padding = moire__node_int(c->node, "padding"), width = 1;
  for (int i = 1; i < t->rank; i++) width *= t->dims[i];
  for (int64_t i = 0; i < rows->elements; i++) {
    int64_t row = (int64_t)rows->re[i];
    if (padding >= 0 && row == padding) continue;
    if (row < 0 || row >= t->dims[0]) {
      moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "row %lld is not among the %lld rows", (long long)row,
                 (long long)t->dims[0]);
      return;
    }
    for (int64_t j = 0; j < width; j++) {
      t->re[row * width + j] += u->re[i * width + j];
      if (t->im) t->im[row * width + j] += u->im[i * width + j];
    }
  }
}

bool moire__scatter_add_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype row_type, u_type;
    moire_shape rows, u;
    moire_dim size;
    int64_t padding, drawn; /* rows are drawn from 0 .. drawn-1 */
    moire_status expected;
  } cases[] = {
      {GOOD, I32, F32, S(6), S(6, 4), 5, -1, 5, ACCEPTED},
      {GOOD, I32, F32, S(b, 7), S(b, 7, 16), 9, 0, 9, ACCEPTED},
      {GOOD, I64, C64, S(b), S(b, 2, 3), 4, -1, 4, ACCEPTED},
      {GOOD, I32, F32, S(b, 5), S(b, 5, 3), moire_dim_times(b, 3), -1, 3, ACCEPTED},
      {HARD, I32, F32, S(33), S(33, 17), 2, -1, 2, ACCEPTED},
      {HARD, I32, C64, S(b, 5), S(b, 5), moire_dim_times(b, 7), 0, 7, ACCEPTED},
      {HARD, I32, F32, S(13), S(13), 7, 3, 7, ACCEPTED},
      {HARD, I32, F32, SCALAR, S(5), 3, -1, 3, ACCEPTED},
      {HARD, I32, F32, S(0), S(0, 4), 3, -1, 3, ACCEPTED},
      {HARD, I32, F32, S(4), S(4, 0), 3, -1, 3, ACCEPTED},
      {HARD, I32, F32, S(4), S(4, 3), 0, 0, 1, ACCEPTED},
      {HARD, I32, F32, S(4), S(4, 3), 1, 0, 1, ACCEPTED},
      {WRONG, F32, F32, S(6), S(6, 4), 5, -1, 5, BAD_TYPE},
      {WRONG, I32, BOOL, S(6), S(6, 4), 5, -1, 5, BAD_TYPE},
      {WRONG, I32, F32, S(6), S(5, 4), 5, -1, 5, BAD_SHAPE},
      {WRONG, I32, F32, S(6, 4), S(6), 5, -1, 5, BAD_SHAPE},
      {WRONG, I32, F32, S(6), S(6), -5, -1, 5, BAD_SHAPE},
      {WRONG, I32, F32, S(6), S(6), (moire_dim)1 << 31, -1, 5, BAD_ARGUMENT},
      {WRONG, I32, F32, S(6), S(6), 5, -2, 5, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value operands[] = {moire__sample_input(s, cases[i].row_type, cases[i].rows, 0, (double)cases[i].drawn),
                            moire__sample_input(s, cases[i].u_type, cases[i].u, -1, 1)};
  moire_shape size = MOIRE_SHAPE(cases[i].size);
  moire__attr attrs[] = {moire__attr_make_dims("size", &size),
                         moire__attr_make_int("padding", cases[i].padding)};
  moire_value y = moire__sample_emit(s, MOIRE__OP_scatter_add, operands, 2, attrs, 2);
  return s->kind == MOIRE__SAMPLE_WRONG ? moire__sample_refuse(s, cases[i].expected)
                                        : moire__sample_finish(s, y);
}
