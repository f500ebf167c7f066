/* The band bank and its two gradients: channels are the vector lanes.
 *
 * A tap that only meets the zeros before the start is outside of the loop over taps, and a band's taps beyond
 * the length of the sequence are never reached. The bands are written out one after the other, since each has
 * its own numbers of taps and dilation. The gradient of the weights is cut along the batch into a fixed number
 * of pieces (see moire__lower_sum_pieces), each of which keeps its sums in a block that stays in cache.
 */
#include "compiler/ir/loop/lower.h"
#include "ops/parts.h"

enum { TIME_BLOCK = 64 }; /* positions of one parallel piece */

typedef struct bank {
  moire__lowering *l;
  moire__view a, b; /* operands */
  const int64_t *taps, *dilations;
  int n;
  moire_dim batch, length, width;
  int lanes;
} bank;

static bank describe(moire__lowering *l, moire_dim batch, moire_dim length, moire_dim width) {
  const moire__node *node = l->node;
  bank k = {.l = l, .batch = batch, .length = length, .width = width, .lanes = l->target.lanes * 4};
  k.a = moire__lower_view(l, node->operands[0]);
  k.b = moire__lower_view(l, node->operands[1]);
  k.taps = moire__node_ints(node, "taps", &k.n);
  k.dilations = moire__node_ints(node, "dilations", &k.n);
  return k;
}

static const moire_shape *shape_of(const moire__lowering *l, int32_t value) {
  return &l->g->values[value].shape;
}

static moire__loop_value load(bank *k, const moire__view *view, moire__loop_value i, moire__loop_value j,
                              moire__loop_value c) {
  moire__loop_value at[MOIRE_MAX_RANK] = {0};
  int d = 0;
  if (view->rank == 3) at[d++] = i;
  at[d++] = j;
  at[d] = c;
  moire__lowering *l = k->l;
  return moire__loop_load(&l->builder, moire__lower_buffer(l, view->base), moire__lower_address(l, view, at));
}

static void accumulate(moire__loop_builder *b, moire__loop_var sum, moire__loop_value x, moire__loop_value y) {
  moire__loop_set(b, sum, moire__loop_ternary(b, MOIRE__LOOP_fma, x, y, moire__loop_get(b, sum)));
}

static moire__loop_var zero(moire__loop_builder *b) {
  return moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, 0));
}

static moire__loop_value binary(bank *k, moire__loop_op op, moire__loop_value x, moire__loop_value y) {
  return moire__loop_binary(&k->l->builder, op, x, y);
}

static moire__loop_value plus(bank *k, moire__loop_value x, int64_t y) {
  return moire__lower_add(k->l, x, moire__loop_index(&k->l->builder, y));
}

/* Taps of band s that `room` positions before (or behind) leave: min(k_s, room / dilation + 1). */
static moire__loop_value live_taps(bank *k, int s, moire__loop_value room) {
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value reached = binary(k, MOIRE__LOOP_div, room, moire__loop_index(b, k->dilations[s]));
  return binary(k, MOIRE__LOOP_min, moire__loop_index(b, k->taps[s]), plus(k, reached, 1));
}

static moire__loop_value shift_of(bank *k, int s, moire__loop_value j) {
  return moire__lower_mul(k->l, j, moire__loop_index(&k->l->builder, k->dilations[s]));
}

/* The row of w that holds tap j of the band whose rows end before `end`. */
static moire__loop_value tap_row(bank *k, int64_t end, moire__loop_value j) {
  return binary(k, MOIRE__LOOP_sub, moire__loop_index(&k->l->builder, end - 1), j);
}

/* Opens the kernel's body and the loop over t of a piece: a block of positions of one sample. */
static moire__loop_value each_position(bank *k, moire__loop_value *sample) {
  moire__lowering *l = k->l;
  int64_t size = moire__lower_block(l, TIME_BLOCK), blocks = (moire__dim_factor(k->length) + size - 1) / size;
  bool cut = moire__dim_is_static(k->length) && blocks > 1;
  moire_dim count = k->batch;
  if (cut) moire__dim_multiply(k->batch, blocks, &count);
  moire__lower_body(l, count, 1);
  moire__loop_builder *b = &l->builder;
  moire__loop_value piece = l->kernel->parallel, length = moire__loop_extent(b, k->length);
  *sample = piece;
  if (!cut) return moire__loop_for(b, moire__loop_index(b, 0), length, 1, 1);
  moire__loop_value per_sample = moire__loop_index(b, blocks);
  *sample = binary(k, MOIRE__LOOP_div, piece, per_sample);
  moire__loop_value block = binary(k, MOIRE__LOOP_mod, piece, per_sample);
  moire__loop_value low = moire__lower_mul(l, block, moire__loop_index(b, size));
  return moire__loop_for(b, low, binary(k, MOIRE__LOOP_min, plus(k, low, size), length), 1, 1);
}

static moire__loop_value row_of(bank *k, moire__loop_value sample, moire__loop_value t) {
  return moire__lower_add(k->l, moire__lower_mul(k->l, sample, moire__loop_extent(&k->l->builder, k->length)),
                          t);
}

void moire__band_bank_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  moire__lower_add_reads_of(l, node);
  moire__lower_add_write(l, node->first_result);
  const moire_shape *x = shape_of(l, node->operands[0]);
  bank k = describe(l, x->dims[0], x->dims[1], x->dims[2]);
  moire__loop_value sample = 0, t = each_position(&k, &sample);
  moire__loop_builder *b = &l->builder;
  moire__loop_value nought = moire__loop_index(b, 0);
  moire__loop_value to = moire__lower_mul(l, row_of(&k, sample, t), moire__loop_index(b, k.n));
  int64_t end = 0;
  for (int s = 0; s < k.n; s++) {
    end += k.taps[s];
    moire__loop_value live = live_taps(&k, s, t);
    moire__loop_var sum = zero(b);
    moire__loop_value d = moire__loop_for(b, nought, moire__loop_extent(b, k.width), 1, k.lanes);
    moire__loop_var channel = zero(b);
    moire__loop_value j = moire__loop_for(b, nought, live, 1, 1);
    moire__loop_value from = binary(&k, MOIRE__LOOP_sub, t, shift_of(&k, s, j));
    accumulate(b, channel, load(&k, &k.b, 0, tap_row(&k, end, j), d), load(&k, &k.a, sample, from, d));
    moire__loop_end(b);
    moire__loop_reduce(b, sum, MOIRE__LOOP_add, moire__loop_get(b, channel));
    moire__loop_end(b);
    moire__lower_write(l, node->first_result, plus(&k, to, s), moire__loop_get(b, sum));
  }
  moire__loop_end(b);
  moire__lower_finish(l);
}

void moire__band_bank_input_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  moire__lower_add_reads_of(l, node);
  moire__lower_add_write(l, node->first_result);
  const moire_shape *x = shape_of(l, node->first_result);
  bank k = describe(l, x->dims[0], x->dims[1], x->dims[2]);
  moire__loop_value sample = 0, t = each_position(&k, &sample);
  moire__loop_builder *b = &l->builder;
  moire__loop_value nought = moire__loop_index(b, 0), width = moire__loop_extent(b, k.width);
  moire__loop_value room = binary(&k, MOIRE__LOOP_sub, moire__loop_extent(b, k.length), plus(&k, t, 1));
  moire__loop_value d = moire__loop_for(b, nought, width, 1, k.lanes);
  moire__loop_var sum = zero(b);
  int64_t end = 0;
  for (int s = 0; s < k.n; s++) {
    end += k.taps[s];
    moire__loop_value j = moire__loop_for(b, nought, live_taps(&k, s, room), 1, 1);
    moire__loop_value from = moire__lower_add(l, t, shift_of(&k, s, j));
    moire__loop_value dy = load(&k, &k.a, sample, from, moire__loop_index(b, s));
    accumulate(b, sum, dy, load(&k, &k.b, 0, tap_row(&k, end, j), d));
    moire__loop_end(b);
  }
  moire__loop_value at = moire__lower_add(l, moire__lower_mul(l, row_of(&k, sample, t), width), d);
  moire__lower_write(l, node->first_result, at, moire__loop_get(b, sum));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__lower_finish(l);
}

/* Adds the terms of one sample to `parts`, at `base`. */
static void add_sample(bank *k, moire__loop_buffer parts, moire__loop_value base, moire__loop_value sample) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value nought = moire__loop_index(b, 0), width = moire__loop_extent(b, k->width);
  moire__loop_value length = moire__loop_extent(b, k->length);
  int64_t end = 0;
  for (int s = 0; s < k->n; s++) {
    end += k->taps[s];
    moire__loop_value d = moire__loop_for(b, nought, width, 1, k->lanes);
    moire__loop_value j = moire__loop_for(b, nought, moire__loop_index(b, k->taps[s]), 1, 1);
    moire__loop_value shift = shift_of(k, s, j);
    moire__loop_value row = moire__lower_mul(l, tap_row(k, end, j), width);
    moire__loop_value at = moire__lower_add(l, moire__lower_add(l, base, row), d);
    moire__loop_var sum = moire__loop_declare(b, moire__loop_load(b, parts, at));
    moire__loop_value t = moire__loop_for(b, shift, length, 1, 1);
    moire__loop_value from = binary(k, MOIRE__LOOP_sub, t, shift);
    accumulate(b, sum, load(k, &k->b, sample, t, moire__loop_index(b, s)), load(k, &k->a, sample, from, d));
    moire__loop_end(b);
    moire__loop_store(b, parts, at, moire__loop_get(b, sum));
    moire__loop_end(b);
    moire__loop_end(b);
  }
}

void moire__band_bank_weight_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  moire__lower_add_reads_of(l, node);
  const moire_shape *x = shape_of(l, node->operands[0]), *w = shape_of(l, node->first_result);
  bank k = describe(l, x->dims[0], x->dims[1], x->dims[2]);
  moire_dim elements = 0, all = 0;
  moire__dim_multiply(w->dims[0], w->dims[1], &elements);
  moire__dim_multiply(elements, moire__lower_pieces(l), &all);
  int extra = moire__lower_new_extra(l, all);
  moire__loop_buffer parts = moire__lower_add_extra(l, extra, MOIRE__BUFFER_OUT);
  moire__lower_body(l, moire__lower_pieces(l), 1);
  moire__loop_builder *b = &l->builder;
  moire__loop_value low = 0, high = 0, piece = l->kernel->parallel;
  moire__lower_piece(l, k.batch, piece, &low, &high);
  moire__loop_value size = moire__loop_extent(b, elements), base = moire__lower_mul(l, piece, size);
  moire__loop_value i = moire__loop_for(b, moire__loop_index(b, 0), size, 1, k.lanes);
  moire__loop_store(b, parts, moire__lower_add(l, base, i), moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_end(b);
  moire__loop_value sample = moire__loop_for(b, low, high, 1, 1);
  add_sample(&k, parts, base, sample);
  moire__loop_end(b);
  moire__lower_finish(l);
  moire__lower_sum_pieces(l, extra, node->first_result);
}
