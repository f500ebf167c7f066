/* scatter_add, scatter_max and concat: loop nests that move elements. */
#include "compiler/ir/loop/lower.h"
#include "ops/parts.h"

static moire_dim product_of(const moire_shape *shape, int begin, int end) {
  moire_dim product = 1;
  for (int d = begin; d < end; d++) moire__dim_multiply(product, shape->dims[d], &product);
  return product;
}

static moire__loop_value load_at(moire__lowering *l, int32_t value, moire__loop_value address) {
  moire__view view = moire__lower_view(l, value);
  return moire__loop_load(&l->builder, moire__lower_buffer(l, view.base), address);
}

/* A NaN is larger than everything. */
static moire__loop_value larger(moire__loop_builder *b, moire__loop_value x, moire__loop_value y) {
  moire__loop_value x_wins = moire__loop_binary(b, MOIRE__LOOP_le, y, x);
  moire__loop_value is_number = moire__loop_binary(b, MOIRE__LOOP_eq, x, x);
  moire__loop_value is_nan = moire__loop_unary(b, MOIRE__LOOP_not, is_number);
  return moire__loop_ternary(b, MOIRE__LOOP_select, moire__loop_binary(b, MOIRE__LOOP_or, x_wins, is_nan), x,
                             y);
}

typedef struct scatter {
  int32_t base, rows, updates; /* values; base 0: zeros */
  bool largest;                /* rather than the sum */
  int64_t padding;
} scatter;

/* Looking for its rows costs a piece as much as adding some numbers, so that narrow rows make fewer pieces. */
static int64_t scatter_pieces(moire_dim width) {
  enum { NUMBERS = 8, FEWEST = 2 };
  if (!moire__dim_is_static(width) || width >= NUMBERS * MOIRE__REDUCTION_PIECES)
    return MOIRE__REDUCTION_PIECES;
  return width < NUMBERS * FEWEST ? FEWEST : width / NUMBERS;
}

/* Every piece owns a range of rows of the result, fills it and looks through all updates for its own, in order:
 * no two pieces write one row, and the order of the sum is that of the updates. */
static void scatter_lower(moire__lowering *l, scatter s) {
  const moire__node *node = l->node;
  int32_t rows = s.rows, updates = s.updates;
  moire__lower_add_reads_of(l, node);
  moire__loop_buffer out = moire__lower_add_write(l, node->first_result);
  const moire_shape *row_shape = &l->g->values[rows].shape, *shape = &l->g->values[node->first_result].shape;
  moire_dim count = product_of(row_shape, 0, row_shape->rank), width = product_of(shape, 1, shape->rank);
  moire__lower_body(l, scatter_pieces(width), 1);
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0), columns = moire__loop_extent(b, width), low, high;
  moire__lower_piece_of(l, shape->dims[0], scatter_pieces(width), l->kernel->parallel, &low, &high);
  moire__loop_type type = moire__loop_type_from_dtype(l->g->values[updates].dtype);
  moire__loop_value e = moire__loop_for(b, moire__lower_mul(l, low, columns),
                                        moire__lower_mul(l, high, columns), 1, l->target.lanes * 2);
  moire__loop_store(b, out, e, s.base ? load_at(l, s.base, e) : moire__loop_const(b, type, 0));
  moire__loop_end(b);
  moire__loop_value i = moire__loop_for(b, zero, moire__loop_extent(b, count), 1, 1);
  moire__loop_value row = moire__loop_cast(b, load_at(l, rows, i), MOIRE__LOOP_I64);
  moire__loop_value mine =
      moire__loop_binary(b, MOIRE__LOOP_and, moire__loop_binary(b, MOIRE__LOOP_le, low, row),
                         moire__loop_binary(b, MOIRE__LOOP_lt, row, high));
  moire__loop_value padding = moire__loop_index(b, s.padding);
  moire__loop_value real =
      moire__loop_unary(b, MOIRE__LOOP_not, moire__loop_binary(b, MOIRE__LOOP_eq, row, padding));
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_and, mine, real));
  moire__loop_value c = moire__loop_for(b, zero, columns, 1, l->target.lanes * 2);
  moire__loop_value to = moire__lower_add(l, moire__lower_mul(l, row, columns), c);
  moire__loop_value update = load_at(l, updates, moire__lower_add(l, moire__lower_mul(l, i, columns), c));
  moire__loop_value before = moire__loop_load(b, out, to);
  moire__loop_store(b, out, to,
                    s.largest ? larger(b, before, update)
                              : moire__loop_binary(b, MOIRE__LOOP_add, before, update));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_end(b);
  moire__lower_finish(l);
}

void moire__scatter_add_lower(moire__lowering *l) {
  const int32_t *operands = l->node->operands;
  scatter_lower(l, (scatter){0, operands[0], operands[1], false, moire__node_int(l->node, "padding")});
}

void moire__scatter_max_lower(moire__lowering *l) {
  const int32_t *operands = l->node->operands;
  scatter_lower(l, (scatter){operands[0], operands[1], operands[2], true, -1});
}

/* Where row o of a part begins, of as many elements as `size`: one after the other, or by strides where only
 * the last axis runs along memory. */
static moire__loop_value part_of_row(moire__lowering *l, int32_t part, moire__loop_value o,
                                     moire__loop_value size) {
  moire__view view = moire__lower_view(l, part);
  if (moire__view_is_contiguous(&view)) return moire__lower_mul(l, o, size);
  moire__index outer = {.rank = view.rank - 1, .linear = o};
  for (int d = 0; d < outer.rank; d++) outer.dims[d] = view.dims[d];
  moire__loop_value at[MOIRE_MAX_RANK] = {0};
  for (int d = 0; d < outer.rank; d++) at[d] = moire__lower_index_at(l, &outer, d);
  return moire__lower_address(l, &view, at);
}

void moire__concat_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  const moire_shape *shape = &l->g->values[node->first_result].shape;
  int axis = (int)moire__node_int(node, "axis");
  for (int i = 0; i < node->n_operands; i++) moire__lower_add_reads(l, node->operands[i]);
  moire__loop_buffer out = moire__lower_add_write(l, node->first_result);
  moire_dim outer = product_of(shape, 0, axis), inner = product_of(shape, axis + 1, shape->rank), whole = 0;
  moire__dim_multiply(inner, shape->dims[axis], &whole);
  moire__lower_body(l, outer, 16);
  moire__loop_builder *b = &l->builder;
  moire__loop_value low = moire__lower_mul(l, l->kernel->parallel, moire__loop_index(b, 16));
  moire__loop_value high = moire__loop_binary(
      b, MOIRE__LOOP_min, moire__lower_add(l, low, moire__loop_index(b, 16)), moire__loop_extent(b, outer));
  moire__loop_value o = moire__loop_for(b, low, high, 1, 1);
  moire__loop_value base = moire__lower_mul(l, o, moire__loop_extent(b, whole));
  for (int i = 0; i < node->n_operands; i++) {
    moire_dim part = 0;
    moire__dim_multiply(inner, l->g->values[node->operands[i]].shape.dims[axis], &part);
    moire__loop_value size = moire__loop_extent(b, part);
    moire__loop_value first = part_of_row(l, node->operands[i], o, size);
    moire__loop_value e = moire__loop_for(b, moire__loop_index(b, 0), size, 1, l->target.lanes * 2);
    moire__loop_store(b, out, moire__lower_add(l, base, e),
                      load_at(l, node->operands[i], moire__lower_add(l, first, e)));
    moire__loop_end(b);
    base = moire__lower_add(l, base, size);
  }
  moire__loop_end(b);
  moire__lower_finish(l);
}
