/* take_rows and add_rows as loop nests. Tables are independent, so those of add_rows are its pieces, and the
 * order of a sum is that of the updates; what take_rows looks up is independent row by row. */
#include "compiler/ir/loop/lower.h"
#include "ops/parts.h"

typedef moire__loop_value value;

static moire_dim product_of(const moire_shape *shape, int begin, int end) {
  moire_dim product = 1;
  for (int d = begin; d < end; d++) moire__dim_multiply(product, shape->dims[d], &product);
  return product;
}

static value load_at(moire__lowering *l, int32_t of, value address) {
  moire__view view = moire__lower_view(l, of);
  return moire__loop_load(&l->builder, moire__lower_buffer(l, view.base), address);
}

/* Rows that are shorter than a vector are walked one by one. */
static int lanes_for(const moire__lowering *l, moire_dim width) {
  bool is_short = moire__dim_is_static(width) && width < l->target.lanes;
  return is_short ? 1 : l->target.lanes * 2;
}

/* i in [p block, min((p + 1) block, count)) */
static value for_block(moire__lowering *l, moire_dim count, int64_t block) {
  moire__loop_builder *b = &l->builder;
  value low = moire__lower_mul(l, l->kernel->parallel, moire__loop_index(b, block));
  value past = moire__lower_add(l, low, moire__loop_index(b, block));
  value high = moire__loop_binary(b, MOIRE__LOOP_min, past, moire__loop_extent(b, count));
  return moire__loop_for(b, low, high, 1, 1);
}

static value for_columns(moire__lowering *l, moire_dim width) {
  moire__loop_builder *b = &l->builder;
  return moire__loop_for(b, moire__loop_index(b, 0), moire__loop_extent(b, width), 1, lanes_for(l, width));
}

static value place(moire__lowering *l, value row, moire_dim width, value column) {
  return moire__lower_add(l, moire__lower_mul(l, row, moire__loop_extent(&l->builder, width)), column);
}

void moire__take_rows_lower(moire__lowering *l) {
  enum { BLOCK = 64 };
  const moire__node *node = l->node;
  int32_t x = node->operands[0], rows = node->operands[1];
  moire__lower_add_reads_of(l, node);
  moire__loop_buffer out = moire__lower_add_write(l, node->first_result);
  int lead = (int)moire__node_int(node, "lead");
  const moire_shape *table = &l->g->values[x].shape, *at = &l->g->values[rows].shape;
  moire_dim count = product_of(at, 0, at->rank), width = product_of(table, lead + 1, table->rank);
  moire__lower_body(l, count, BLOCK);
  moire__loop_builder *b = &l->builder;
  value zero = moire__loop_index(b, 0), size = moire__loop_extent(b, table->dims[lead]);
  value i = for_block(l, count, BLOCK);
  value row = moire__loop_cast(b, load_at(l, rows, i), MOIRE__LOOP_I64);
  row = moire__loop_binary(b, MOIRE__LOOP_min, row, moire__lower_add(l, size, moire__loop_index(b, -1)));
  row = moire__loop_binary(b, MOIRE__LOOP_max, row, zero);
  if (lead) {
    value each = moire__loop_extent(b, product_of(at, lead, at->rank));
    value which = moire__loop_binary(b, MOIRE__LOOP_div, i, each);
    row = moire__lower_add(l, moire__lower_mul(l, which, size), row);
  }
  value some = moire__loop_binary(b, MOIRE__LOOP_lt, zero, size);
  moire__loop_if(b, some);
  value column = for_columns(l, width);
  value element = load_at(l, x, place(l, row, width, column));
  moire__loop_store(b, out, place(l, i, width, column), element);
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_if(b, moire__loop_unary(b, MOIRE__LOOP_not, some));
  column = for_columns(l, width);
  moire__loop_type type = moire__loop_type_of(b, element);
  moire__loop_store(b, out, place(l, i, width, column), moire__loop_const(b, type, 0));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_end(b);
  moire__lower_finish(l);
}

void moire__add_rows_lower(moire__lowering *l) {
  enum { BLOCK = 4 };
  const moire__node *node = l->node;
  int32_t rows = node->operands[0], u = node->operands[1];
  moire__lower_add_reads_of(l, node);
  moire__loop_buffer out = moire__lower_add_write(l, node->first_result);
  int lead = (int)moire__node_int(node, "lead");
  const moire_shape *table = &l->g->values[node->first_result].shape, *at = &l->g->values[rows].shape;
  moire_dim count = product_of(table, 0, lead), width = product_of(table, lead + 1, table->rank);
  moire_dim whole = product_of(table, lead, table->rank), each = product_of(at, lead, at->rank);
  moire__lower_body(l, count, BLOCK);
  moire__loop_builder *b = &l->builder;
  value zero = moire__loop_index(b, 0), size = moire__loop_extent(b, table->dims[lead]);
  value which = for_block(l, count, BLOCK);
  moire__loop_type type = moire__loop_type_from_dtype(l->g->values[u].dtype);
  value e = moire__loop_for(b, zero, moire__loop_extent(b, whole), 1, l->target.lanes * 2);
  moire__loop_store(b, out, place(l, which, whole, e), moire__loop_const(b, type, 0));
  moire__loop_end(b);
  value i = moire__loop_for(b, zero, moire__loop_extent(b, each), 1, 1), from = place(l, which, each, i);
  value row = moire__loop_cast(b, load_at(l, rows, from), MOIRE__LOOP_I64);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_and, moire__loop_binary(b, MOIRE__LOOP_le, zero, row),
                                       moire__loop_binary(b, MOIRE__LOOP_lt, row, size)));
  value to = moire__lower_add(l, moire__lower_mul(l, which, size), row);
  value column = for_columns(l, width);
  value address = place(l, to, width, column), update = load_at(l, u, place(l, from, width, column));
  value sum = moire__loop_binary(b, MOIRE__LOOP_add, moire__loop_load(b, out, address), update);
  moire__loop_store(b, out, address, sum);
  for (int open = 0; open < 4; open++) moire__loop_end(b);
  moire__lower_finish(l);
}
