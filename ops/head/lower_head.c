/* The head without its logits: what the forward and the backward loop nests share (ops/head/head.h). */
#include "ops/head/head.h"
#include "ops/product/narrow.h"

#include <math.h>

/* Blocks are smaller where rows are so long that local memory would grow beyond this. */
enum { ROW_BLOCK = 64, WORD_BLOCK = 64, PACKED_WORDS = 128, LOCAL_BYTES = 600 << 10 };

/* An odd number of vectors: columns meet all sets of a cache. */
static int64_t odd_vectors(int64_t n, int lanes) { return n / lanes % 2 ? n : n + lanes; }

/* What a line of D numbers takes, in blocks of so many rows and words: x and the means; or w and x. */
static int64_t local_bytes(const moire__head *h, int64_t rows, int64_t words, bool backward) {
  int lanes = h->l->target.lanes;
  int64_t lines = backward ? odd_vectors(moire__lower_round_up(words, lanes), lanes) + rows
                           : (1 + h->softmaxes.n) * odd_vectors(rows, lanes);
  return lines * h->width * 4;
}

static void choose_blocks(moire__head *h, bool backward) {
  int lanes = h->l->target.lanes;
  int64_t rows = ROW_BLOCK, words = h->bf16 ? PACKED_WORDS : WORD_BLOCK;
  while (rows > lanes && local_bytes(h, rows, words, backward) > LOCAL_BYTES) {
    rows /= 2;
    if (words > rows) words = rows;
  }
  h->row_block = moire__lower_round_up(moire__lower_block(h->l, rows), lanes);
  h->word_block = moire__lower_block(h->l, words);
  h->row_stride = odd_vectors(h->row_block, lanes);
  h->word_stride = odd_vectors(moire__lower_round_up(h->word_block, lanes), lanes);
}

moire__head moire__head_describe(moire__lowering *l, int bias) {
  const moire__node *node = l->node;
  moire__head h = {.l = l, .node = node, .bias = bias, .order = -1, .count = -1};
  h.x = moire__lower_view(l, node->operands[MOIRE__HEAD_X]);
  h.w = moire__lower_view(l, node->operands[MOIRE__HEAD_W]);
  h.rows = h.x.dims[0];
  h.width = h.x.dims[1];
  h.words = h.w.dims[0];
  h.ids = l->g->values[node->operands[MOIRE__HEAD_IDS]].shape.dims[1];
  h.bf16 = moire__node_int_or(node, "bf16", 0) != 0;
  h.ignores = moire__node_int(node, "ignores") != 0;
  h.softmaxes = moire__head_softmaxes_of(node, h.ids);
  for (int s = 0; s < h.softmaxes.n; s++) h.scale[s] = M_LOG2E / h.softmaxes.temperature[s];
  choose_blocks(&h, node->n_operands >= MOIRE__HEAD_BACKWARD_OPERANDS);
  return h;
}

/* ---- the order of rows ----------------------------------------------------------------------------------- */

/* bool: does any id of the row count? */
static moire__loop_value row_counts(const moire__head *h, moire__loop_value row) {
  moire__loop_builder *b = &h->l->builder;
  moire__loop_value none = moire__loop_const(b, MOIRE__LOOP_I32, -1), zero = moire__head_index(h, 0);
  moire__loop_var most = moire__loop_declare(b, none);
  moire__loop_value k = moire__loop_for(b, zero, moire__head_index(h, h->ids), 1, 1);
  moire__loop_value at = moire__head_at(h, row, h->ids, k);
  moire__loop_value id = moire__head_load(h, MOIRE__HEAD_IDS, at);
  moire__loop_set(b, most, moire__loop_binary(b, MOIRE__LOOP_max, moire__loop_get(b, most), id));
  moire__loop_end(b);
  return moire__loop_binary(b, MOIRE__LOOP_lt, none, moire__loop_get(b, most));
}

void moire__head_order(moire__head *h) {
  if (!h->ignores) return;
  moire__lowering *l = h->l;
  const char *name = l->kernel->name;
  h->order = moire__lower_new_extra_of(l, MOIRE_I32, h->rows);
  h->count = moire__lower_new_extra_of(l, MOIRE_I32, 1);
  moire__lower_begin(l, moire__arena_printf(l->arena, "%s.order", name));
  moire__lower_add_reads(l, h->node->operands[MOIRE__HEAD_IDS]);
  moire__loop_buffer order = moire__lower_add_extra(l, h->order, MOIRE__BUFFER_OUT);
  moire__loop_buffer count = moire__lower_add_extra(l, h->count, MOIRE__BUFFER_OUT);
  moire__lower_body(l, 1, 1);
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__head_index(h, 0), one = moire__head_index(h, 1);
  moire__loop_value all = moire__loop_extent(b, h->rows);
  moire__loop_var next = moire__loop_declare(b, zero);
  for (int out = 0; out < 2; out++) {
    moire__loop_value row = moire__loop_for(b, zero, all, 1, 1), counts = row_counts(h, row);
    if (out) counts = moire__loop_unary(b, MOIRE__LOOP_not, counts);
    moire__loop_if(b, counts);
    moire__loop_value at = moire__loop_get(b, next);
    moire__loop_store(b, order, at, moire__loop_cast(b, row, MOIRE__LOOP_I32));
    moire__loop_set(b, next, moire__lower_add(l, at, one));
    moire__loop_end(b);
    moire__loop_end(b);
    if (!out) moire__loop_store(b, count, zero, moire__loop_cast(b, moire__loop_get(b, next), MOIRE__LOOP_I32));
  }
  moire__lower_finish(l);
  moire__lower_begin(l, name);
}

void moire__head_add_order(moire__head *h) {
  if (!h->ignores) return;
  h->order_at = moire__lower_add_extra(h->l, h->order, MOIRE__BUFFER_IN);
  h->count_at = moire__lower_add_extra(h->l, h->count, MOIRE__BUFFER_IN);
}

static moire__loop_value load_index(const moire__head *h, moire__loop_buffer buffer, moire__loop_value at) {
  return moire__loop_cast(&h->l->builder, moire__loop_load(&h->l->builder, buffer, at), MOIRE__LOOP_I64);
}

moire__loop_value moire__head_count(const moire__head *h) {
  if (!h->ignores) return moire__loop_extent(&h->l->builder, h->rows);
  return load_index(h, h->count_at, moire__head_index(h, 0));
}

moire__loop_value moire__head_row(const moire__head *h, moire__loop_value at) {
  return h->ignores ? load_index(h, h->order_at, at) : at;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

moire__loop_value moire__head_index(const moire__head *h, int64_t value) {
  return moire__loop_index(&h->l->builder, value);
}

moire__loop_value moire__head_at(const moire__head *h, moire__loop_value row, int64_t stride,
                                 moire__loop_value column) {
  return moire__lower_add(h->l, moire__lower_mul(h->l, row, moire__head_index(h, stride)), column);
}

moire__loop_value moire__head_load(const moire__head *h, int operand, moire__loop_value at) {
  moire__view view = moire__lower_view(h->l, h->node->operands[operand]);
  return moire__loop_load(&h->l->builder, moire__lower_buffer(h->l, view.base), at);
}

moire__loop_value moire__head_id(const moire__head *h, moire__loop_value row, moire__loop_value k) {
  moire__loop_value id = moire__head_load(h, MOIRE__HEAD_IDS, moire__head_at(h, row, h->ids, k));
  return moire__loop_cast(&h->l->builder, id, MOIRE__LOOP_I64);
}

moire__loop_value moire__head_some_inside(const moire__head *h, moire__loop_value row,
                                          moire__loop_value first_word, moire__loop_value n_words) {
  moire__loop_builder *b = &h->l->builder;
  moire__loop_value zero = moire__head_index(h, 0), none = moire__loop_const(b, MOIRE__LOOP_I32, 0);
  moire__loop_value one = moire__loop_const(b, MOIRE__LOOP_I32, 1);
  moire__loop_value low = moire__loop_cast(b, first_word, MOIRE__LOOP_I32);
  moire__loop_value high = moire__loop_cast(b, moire__lower_add(h->l, first_word, n_words), MOIRE__LOOP_I32);
  moire__loop_var some = moire__loop_declare(b, none);
  moire__loop_value k = moire__loop_for(b, zero, moire__head_index(h, h->ids), 1, h->l->target.lanes);
  moire__loop_value id = moire__head_load(h, MOIRE__HEAD_IDS, moire__head_at(h, row, h->ids, k));
  moire__loop_value inside =
      moire__loop_binary(b, MOIRE__LOOP_and, moire__loop_binary(b, MOIRE__LOOP_le, low, id),
                         moire__loop_binary(b, MOIRE__LOOP_lt, id, high));
  moire__loop_reduce(b, some, MOIRE__LOOP_max, moire__loop_ternary(b, MOIRE__LOOP_select, inside, one, none));
  moire__loop_end(b);
  return moire__loop_binary(b, MOIRE__LOOP_lt, none, moire__loop_get(b, some));
}

moire__loop_value moire__head_left(const moire__head *h, moire__loop_value all, moire__loop_value first,
                                   int64_t size) {
  moire__loop_builder *b = &h->l->builder;
  moire__loop_value left = moire__loop_binary(b, MOIRE__LOOP_sub, all, first);
  return moire__loop_binary(b, MOIRE__LOOP_min, left, moire__head_index(h, size));
}

moire__loop_value moire__head_vectors(const moire__head *h, int64_t n) {
  int lanes = h->l->target.lanes, wide = n % (2 * lanes) == 0 ? 2 * lanes : lanes;
  return moire__loop_for(&h->l->builder, moire__head_index(h, 0), moire__head_index(h, n), 1, wide);
}

/* ---- products -------------------------------------------------------------------------------------------- */

moire__tile_matrix moire__head_matrix(const moire__head *h, moire__loop_buffer buffer, int64_t row,
                                      int64_t column) {
  moire__tile_matrix x = {.planes = 1};
  x.buffer[0] = buffer;
  x.base[0] = moire__head_index(h, 0);
  x.row[0] = moire__head_index(h, row);
  x.column[0] = moire__head_index(h, column);
  return x;
}

moire__tile_matrix moire__head_words(const moire__head *h, moire__loop_value first) {
  moire__lowering *l = h->l;
  moire__tile_matrix w = {.planes = 1};
  w.buffer[0] = moire__lower_buffer(l, h->w.base);
  w.base[0] = moire__lower_address(l, &h->w, (const moire__loop_value[MOIRE_MAX_RANK]){first, 0});
  w.row[0] = moire__loop_extent(&l->builder, h->w.strides[0]);
  w.column[0] = moire__loop_extent(&l->builder, h->w.strides[1]);
  return w;
}

void moire__head_multiply(const moire__head *h, moire__tiles *t, moire__loop_value m, int64_t most, int64_t n,
                          moire__loop_value k, int64_t most_k) {
  t->m_low = t->n_low = t->k_low = moire__head_index(h, 0);
  t->m_high = m;
  t->n_high = moire__head_index(h, n);
  t->k_high = k;
  t->n_extent = n;
  t->type = MOIRE__LOOP_F32;
  if (!h->bf16) {
    t->rows = moire__tiles_even_rows(h->l, 1, 1, 2);
    moire__tiles_emit(h->l, t);
    return;
  }
  bool along_k = t->a.column[0] == moire__head_index(h, 1);
  moire__narrow narrow = moire__narrow_choose(h->l, t, most, most_k, most, along_k);
  moire__narrow_emit(h->l, t, &narrow);
}
