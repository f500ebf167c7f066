/* Rows of the head that comes next, fetched while one is computed (ops/attention/attend.h).
 *
 * Rows of one head lie apart from each other, with those of the other heads between, or begin anew with a
 * sample, so the processor does not foresee them, and a tile of queries would wait for as many lines at once as
 * it has rows. Rows of results are fetched like those of operands: a line is brought into the cache before a
 * part of it is stored. Pieces are heads of samples in order, so what is fetched is nearly always used.
 */
#include "ops/attention/attend.h"

enum { LINE = 16 /* elements */ };

/* How many rows of an operand, or of the result like it, are of the sample. */
static moire__loop_value rows_of_sample(const moire__attend_kernel *k, int operand) {
  const moire_dim *dims = k->l->g->values[k->l->node->operands[operand]].shape.dims;
  return k->packed && dims[2] != 1 ? k->all_keys : moire__loop_extent(&k->l->builder, dims[2]);
}

/* How much further on the next head's rows lie, if the sample's next head is `head` further on, and the next
 * sample `sample`, which is taken to be as long as this one where they stand one after the other. */
static moire__loop_value to_next(const moire__attend_kernel *k, moire__loop_value head,
                                 moire__loop_value sample) {
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value last = moire__loop_index(b, k->heads - 1);
  moire__loop_value back = moire__lower_mul(k->l, last, head);
  return moire__loop_ternary(b, MOIRE__LOOP_select, moire__loop_binary(b, MOIRE__LOOP_lt, k->head, last), head,
                             moire__loop_binary(b, MOIRE__LOOP_sub, sample, back));
}

/* Rows [low, high) of `width` elements each, `on` further than x says. */
static void fetch_rows(const moire__attend_kernel *k, const moire__tile_matrix *x, int64_t width,
                       moire__loop_value on, moire__loop_value low, moire__loop_value high) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value row = moire__loop_for(b, low, high, 1, 1);
  moire__loop_value c = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, width), LINE, 1);
  for (int p = 0; p < x->planes; p++)
    moire__loop_fetch(b, x->buffer[p], moire__lower_add(l, moire__tile_address(l, x, p, row, c), on));
  moire__loop_end(b);
  moire__loop_end(b);
}

static void fetch_operand(const moire__attend_kernel *k, int operand, int64_t width, moire__loop_value low,
                          moire__loop_value high) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__view view = moire__lower_view(l, l->node->operands[operand]);
  if (view.strides[3] != 1) return;
  moire__tile_matrix x = moire__attend_rows(k, operand, moire__loop_index(b, 0));
  moire__loop_value sample = moire__loop_extent(b, view.strides[0]);
  if (k->packed && view.dims[2] != 1) sample = moire__lower_mul(l, rows_of_sample(k, operand), x.row[0]);
  moire__loop_value on = to_next(k, moire__loop_extent(b, view.strides[1]), sample);
  fetch_rows(k, &x, width, on, low, high);
}

/* Of the result whose rows are those of `operand`, its first plane at `result`. */
static void fetch_result(const moire__attend_kernel *k, int result, int operand, int64_t width,
                         moire__loop_value low, moire__loop_value high) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value head = moire__loop_index(b, width), row = moire__loop_index(b, k->heads * width);
  moire__loop_value first = moire__attend_result_row(k, operand, moire__loop_index(b, 0));
  moire__tile_matrix x = {.planes = k->layout.planes};
  for (int p = 0; p < x.planes; p++) {
    x.buffer[p] = moire__lower_buffer(l, l->node->first_result + result + p);
    x.base[p] = moire__lower_mul(l, first, head);
    x.row[p] = row;
    x.column[p] = moire__loop_index(b, 1);
  }
  moire__loop_value on = to_next(k, head, moire__lower_mul(l, rows_of_sample(k, operand), row));
  fetch_rows(k, &x, width, on, low, high);
}

void moire__attend_fetch_next(const moire__attend_kernel *k, bool backward, moire__loop_value low,
                              moire__loop_value queries, moire__loop_value keys) {
  const moire__attend_layout *at = &k->layout;
  fetch_operand(k, 0, k->d, low, queries);
  fetch_operand(k, at->k, k->d, low, keys);
  fetch_operand(k, at->v, k->e, low, keys);
  if (!backward) {
    fetch_result(k, 0, 0, k->e, low, queries);
    return;
  }
  fetch_operand(k, at->g, k->e, low, queries);
  fetch_result(k, 0, 0, k->d, low, queries);
  fetch_result(k, at->k, at->k, k->d, low, keys);
  fetch_result(k, at->v, at->v, k->e, low, keys);
}
