/* Loops over edges: what the lowerings share. See edges.h. */
#include "ops/segment/edges.h"

moire__loop_value moire__edge_index(const moire__edge_loops *k, int64_t value) {
  return moire__loop_index(k->b, value);
}

moire__loop_value moire__edge_binary(const moire__edge_loops *k, moire__loop_op op, moire__loop_value x,
                                     moire__loop_value y) {
  return moire__loop_binary(k->b, op, x, y);
}

moire__loop_value moire__edge_load(const moire__edge_loops *k, int operand, moire__loop_value i,
                                   moire__loop_value j, moire__loop_value c) {
  moire__view view = moire__lower_view(k->l, k->l->node->operands[operand]);
  const moire__loop_value at[MOIRE_MAX_RANK] = {i, j, c};
  moire__loop_value address = moire__lower_address(k->l, &view, at);
  return moire__loop_load(k->b, moire__lower_buffer(k->l, view.base), address);
}

moire__loop_value moire__edge_row(const moire__edge_loops *k, int operand, moire__loop_value i) {
  return moire__loop_cast(k->b, moire__edge_load(k, operand, i, 0, 0), MOIRE__LOOP_I64);
}

moire__loop_value moire__edge_inside(const moire__edge_loops *k, moire__loop_value row, moire_dim n) {
  moire__loop_value low = moire__edge_binary(k, MOIRE__LOOP_le, moire__edge_index(k, 0), row);
  moire__loop_value high = moire__edge_binary(k, MOIRE__LOOP_lt, row, moire__loop_extent(k->b, n));
  return moire__edge_binary(k, MOIRE__LOOP_and, low, high);
}

moire__loop_value moire__edge_rows_of_piece(const moire__edge_loops *k, moire_dim n, int64_t block) {
  moire__loop_value size = moire__edge_index(k, block);
  moire__loop_value low = moire__lower_mul(k->l, k->l->kernel->parallel, size);
  moire__loop_value high =
      moire__edge_binary(k, MOIRE__LOOP_min, moire__lower_add(k->l, low, size), moire__loop_extent(k->b, n));
  return moire__loop_for(k->b, low, high, 1, 1);
}

moire__loop_value moire__edge_loop(const moire__edge_loops *k, int first, moire__loop_value row) {
  moire__loop_value low = moire__edge_row(k, first + 1, row), high = moire__edge_row(k, first + 2, row);
  moire__loop_value i = moire__loop_for(k->b, low, high, 1, 1);
  return moire__edge_row(k, first, i);
}
