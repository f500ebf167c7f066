/* Attention: what belongs to rows of queries, from pass to pass, and results that are added up
 * (ops/attention/attend.h). */
#include "ops/attention/attend.h"

void moire__attend_store_statistics(const moire__attend_kernel *k, moire__loop_buffer largest,
                                    moire__loop_buffer sum) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value first = moire__attend_row(k, 0, k->first_query);
  moire__loop_value m = moire__loop_for(b, moire__loop_index(b, 0), k->n_queries, 1, k->lanes);
  int32_t result = l->node->first_result + k->layout.planes;
  moire__loop_value row = moire__lower_add(l, first, m);
  moire__loop_value top = moire__loop_load(b, largest, m), all = moire__loop_load(b, sum, m);
  if (k->layout.bf16) {
    moire__loop_value more = moire__loop_binary(b, MOIRE__LOOP_sub, moire__attend_base(k, top), top);
    all = moire__loop_binary(b, MOIRE__LOOP_mul, all, moire__attend_power(k, more));
    top = moire__loop_binary(b, MOIRE__LOOP_mul, top, moire__loop_const(b, MOIRE__LOOP_F32, 1 / k->per_unit));
  }
  moire__lower_write(l, result, row, top);
  moire__lower_write(l, result + 1, row, all);
  moire__loop_end(b);
}

/* ---- of the backward pass ---- */

moire__attend_rows_of moire__attend_add_rows(const moire__attend_kernel *k) {
  moire__loop_kernel *kernel = k->l->kernel;
  return (moire__attend_rows_of){
      .largest = moire__loop_add_local(kernel, "largest", MOIRE__LOOP_F32, k->query_block),
      .per_sum = moire__loop_add_local(kernel, "per_sum", MOIRE__LOOP_F32, k->query_block),
      .dot = moire__loop_add_local(kernel, "dot", MOIRE__LOOP_F32, k->query_block)};
}

static moire__loop_value load_row_scalar(const moire__attend_kernel *k, int operand, moire__loop_value row) {
  moire__lowering *l = k->l;
  moire__loop_buffer from = moire__lower_buffer(l, moire__lower_view(l, l->node->operands[operand]).base);
  return moire__loop_load(&l->builder, from, row);
}

/* Lanes after the last have weights and slopes of 0. */
static void load_statistics(const moire__attend_kernel *k, const moire__attend_rows_of *to) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0), none = moire__loop_const(b, MOIRE__LOOP_F32, 0);
  moire__loop_value m = moire__loop_for(b, zero, moire__loop_index(b, k->query_block), 1, k->lanes);
  moire__loop_store(b, to->largest, m, none);
  moire__loop_store(b, to->per_sum, m, none);
  moire__loop_store(b, to->dot, m, none);
  moire__loop_end(b);
  moire__loop_value first = moire__attend_row(k, 0, k->first_query);
  m = moire__loop_for(b, zero, k->n_queries, 1, k->lanes);
  moire__loop_value row = moire__lower_add(l, first, m);
  moire__loop_value largest = load_row_scalar(k, k->layout.largest, row);
  if (k->layout.bf16)
    largest =
        moire__loop_binary(b, MOIRE__LOOP_mul, largest, moire__loop_const(b, MOIRE__LOOP_F32, k->per_unit));
  moire__loop_value per = moire__loop_binary(b, MOIRE__LOOP_div, moire__loop_const(b, MOIRE__LOOP_F32, 1),
                                             load_row_scalar(k, k->layout.sum, row));
  moire__loop_store(b, to->largest, m, largest);
  moire__loop_store(b, to->per_sum, m, per);
  moire__loop_end(b);
}

static void row_dots(const moire__attend_kernel *k, moire__loop_buffer dot) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__tile_matrix g = moire__attend_rows(k, k->layout.g, k->first_query),
                     y = moire__attend_rows(k, k->layout.y, k->first_query);
  moire__loop_value zero = moire__loop_index(b, 0), m = moire__loop_for(b, zero, k->n_queries, 1, 1);
  moire__loop_var sum = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_value i = moire__loop_for(b, zero, moire__loop_index(b, k->e), 1, l->target.lanes);
  for (int p = 0; p < g.planes; p++) {
    moire__loop_value a = moire__loop_load(b, g.buffer[p], moire__tile_address(l, &g, p, m, i));
    moire__loop_value c = moire__loop_load(b, y.buffer[p], moire__tile_address(l, &y, p, m, i));
    moire__loop_reduce(b, sum, MOIRE__LOOP_add, moire__loop_binary(b, MOIRE__LOOP_mul, a, c));
  }
  moire__loop_end(b);
  moire__loop_store(b, dot, m, moire__loop_get(b, sum));
  moire__loop_end(b);
}

void moire__attend_load_rows(const moire__attend_kernel *k, const moire__attend_rows_of *to) {
  load_statistics(k, to);
  row_dots(k, to->dot);
}

void moire__attend_zero_results(const moire__attend_kernel *k) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  const moire__attend_layout *at = &k->layout;
  for (int r = 0; r < at->y; r++) {
    moire__loop_value width = moire__loop_index(b, r < at->v ? k->d : k->e), zero = moire__loop_index(b, 0);
    moire__loop_value rows = r < at->k ? k->all_queries : k->all_keys;
    moire__loop_value row = moire__loop_for(b, zero, rows, 1, 1);
    moire__loop_value base = moire__lower_mul(l, moire__attend_result_row(k, r, row), width);
    moire__loop_value i = moire__loop_for(b, zero, width, 1, l->target.lanes);
    moire__lower_write(l, l->node->first_result + r, moire__lower_add(l, base, i),
                       moire__loop_const(b, MOIRE__LOOP_F32, 0));
    moire__loop_end(b);
    moire__loop_end(b);
  }
}
