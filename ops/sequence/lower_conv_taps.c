/* What both ways of a depthwise convolution stand on: its taps by shift, and the pieces of the weights'
 * gradient. */
#include "ops/sequence/lower_conv.h"

#include <stdlib.h>

static int by_size(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

moire__conv moire__conv_describe(moire__lowering *l) {
  moire__conv c = {.l = l};
  c.x = moire__lower_view(l, l->node->operands[0]);
  c.other = moire__lower_view(l, l->node->operands[1]);
  c.reverse = moire__node_int_or(l->node, "reverse", 0) != 0;
  c.shifts = moire__node_ints(l->node, "shifts", &c.n_taps);
  c.distinct = moire__arena_array(l->arena, (size_t)c.n_taps, sizeof *c.distinct);
  for (int i = 0; i < c.n_taps; i++) c.distinct[i] = c.shifts[i];
  qsort(c.distinct, (size_t)c.n_taps, sizeof *c.distinct, by_size);
  for (int i = 0; i < c.n_taps; i++) {
    if (i == 0 || c.distinct[i] != c.distinct[c.n_distinct - 1]) c.distinct[c.n_distinct++] = c.distinct[i];
  }
  return c;
}

moire__loop_value moire__conv_load(moire__lowering *l, const moire__view *view, moire__loop_value i,
                                   moire__loop_value j, moire__loop_value k) {
  moire__loop_value at[MOIRE_MAX_RANK] = {0};
  int d = 0;
  if (view->rank == 3) at[d++] = i;
  if (view->rank >= 2) at[d++] = j;
  at[d] = k;
  return moire__loop_load(&l->builder, moire__lower_buffer(l, view->base), moire__lower_address(l, view, at));
}

static moire__loop_value plus(moire__lowering *l, moire__loop_value sum, moire__loop_value x) {
  return sum ? moire__loop_binary(&l->builder, MOIRE__LOOP_add, sum, x) : x;
}

moire__loop_value moire__conv_load_weight(moire__conv *c, int64_t shift) {
  moire__loop_value sum = 0;
  for (int r = 0; r < c->n_taps; r++) {
    if (c->shifts[r] != shift) continue;
    moire__loop_value row = moire__loop_index(&c->l->builder, r);
    sum = plus(c->l, sum, moire__conv_load(c->l, &c->other, 0, row, c->channel));
  }
  return sum;
}

/* ---- the gradient of the weights ------------------------------------------------------------------------- */

moire__conv_parts moire__conv_add_parts(moire__conv *c) {
  moire__conv_parts p = {0};
  moire__dim_multiply(c->x.dims[2], c->n_taps, &p.elements);
  moire_dim all = moire__dim_make(moire__dim_factor(p.elements) * moire__lower_pieces(c->l),
                                  moire__dim_extents(p.elements));
  p.extra = moire__lower_new_extra(c->l, all);
  p.buffer = moire__lower_add_extra(c->l, p.extra, MOIRE__BUFFER_OUT);
  return p;
}

void moire__conv_open_parts(moire__conv *c, moire__conv_parts *p) {
  moire__lowering *l = c->l;
  moire__lower_body(l, moire__lower_pieces(l), 1);
  moire__lower_piece(l, c->x.dims[0], l->kernel->parallel, &p->low, &p->high);
  p->base = moire__lower_mul(l, l->kernel->parallel, moire__loop_extent(&l->builder, p->elements));
}

void moire__conv_store_part(moire__conv *c, const moire__conv_parts *p, int64_t shift, moire__loop_value sum) {
  moire__lowering *l = c->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value width = moire__loop_extent(b, c->x.dims[2]);
  for (int r = 0; r < c->n_taps; r++) {
    if (c->shifts[r] != shift) continue;
    moire__loop_value at = moire__lower_add(l, moire__lower_mul(l, moire__loop_index(b, r), width), c->channel);
    moire__loop_store(b, p->buffer, moire__lower_add(l, p->base, at), sum);
  }
}
