/* The depthwise convolution and the gradient of its weights: channels are the vector lanes.
 *
 * Taps are sorted by their shift, and taps of one shift are one tap whose weights are added up. Positions
 * between two shifts meet the same taps, all others only zeros: so the sequence is cut at the shifts, and what
 * is live in a stretch is written out without a test,
 *
 *   for t in [s0, s1): y[t] = w0 x[t - s0]      for t in [s1, s2): y[t] = w0 x[t - s0] + w1 x[t - s1]    ...
 *
 * with the weights in registers. More taps than registers hold are taken a chunk at a time. The gradient of the
 * weights keeps one sum a tap instead, and is cut along the batch into a fixed number of pieces (see
 * moire__lower_sum_pieces). Tokens of packed samples are another matter: ops/sequence/lower_conv_tokens.c.
 */
#include "ops/sequence/lower_conv.h"
#include "ops/parts.h"

enum { CHUNK = MOIRE__CONV_CHUNK };

/* x where the tap of `shift` finds it for position t; `reverse` looks ahead. */
static moire__loop_value load_shifted(moire__conv *c, moire__loop_value batch, moire__loop_value t,
                                      int64_t shift) {
  moire__loop_builder *b = &c->l->builder;
  moire__loop_value by = moire__loop_index(b, c->reverse ? shift : -shift);
  return moire__conv_load(c->l, &c->x, batch, moire__lower_add(c->l, t, by), c->channel);
}

/* Opens the loop over the positions whose live taps are those of shifts below `end`, from `begin` on. A
 * sequence may be shorter than any shift. */
static moire__loop_value open_stretch(moire__conv *c, int64_t begin, int64_t end, bool last) {
  moire__loop_builder *b = &c->l->builder;
  moire__loop_value zero = moire__loop_index(b, 0);
  moire__loop_value from = moire__loop_binary(b, MOIRE__LOOP_min, moire__loop_index(b, begin), c->length);
  moire__loop_value to = c->length;
  if (!last) to = moire__loop_binary(b, MOIRE__LOOP_min, moire__loop_index(b, end), c->length);
  if (!c->reverse) return moire__loop_for(b, from, to, 1, 1);
  moire__loop_value low = last ? zero : moire__loop_binary(b, MOIRE__LOOP_sub, c->length, to);
  return moire__loop_for(b, low, moire__loop_binary(b, MOIRE__LOOP_sub, c->length, from), 1, 1);
}

static moire__loop_value fma_of(moire__conv *c, moire__loop_value x, moire__loop_value y,
                                moire__loop_value sum) {
  return moire__loop_ternary(&c->l->builder, MOIRE__LOOP_fma, x, y, sum);
}

static moire__loop_value result_offset(moire__conv *c, moire__loop_value batch, moire__loop_value t) {
  moire__loop_value width = moire__loop_extent(&c->l->builder, c->x.dims[2]);
  moire__loop_value row = moire__lower_add(c->l, moire__lower_mul(c->l, batch, c->length), t);
  return moire__lower_add(c->l, moire__lower_mul(c->l, row, width), c->channel);
}

/* The taps of distinct shifts [first, first + n): adds to what the chunks before left behind. */
static void convolve_chunk(moire__conv *c, int first, int n, moire__loop_value batch, moire__loop_buffer y) {
  moire__lowering *l = c->l;
  moire__loop_builder *b = &l->builder;
  int32_t result = l->node->first_result;
  moire__loop_type type = moire__loop_type_from_dtype(l->g->values[result].dtype);
  moire__loop_value weights[CHUNK];
  for (int i = 0; i < n; i++) weights[i] = moire__conv_load_weight(c, c->distinct[first + i]);
  for (int live = 0; live <= n; live++) {
    bool reads_before = first > 0;
    if (live == 0 && (reads_before || c->distinct[0] == 0)) continue;
    int64_t begin = live == 0 ? 0 : c->distinct[first + live - 1];
    int64_t end = live < n ? c->distinct[first + live] : 0;
    moire__loop_value t = open_stretch(c, begin, end, live == n);
    moire__loop_value at = result_offset(c, batch, t);
    moire__loop_value sum = reads_before ? moire__loop_load(b, y, at) : moire__loop_const(b, type, 0);
    for (int i = 0; i < live; i++)
      sum = fma_of(c, weights[i], load_shifted(c, batch, t, c->distinct[first + i]), sum);
    moire__lower_write(l, result, at, sum);
    moire__loop_end(b);
  }
}

/* Fetches the next sample at the current channels: of every row a line, while the rows of this one are walked
 * in the same way. Rows lie apart, so the processor would not foresee them. */
static void fetch_next(moire__conv *c) {
  moire__lowering *l = c->l;
  moire__loop_builder *b = &l->builder;
  if (c->x.strides[2] != 1) return;
  moire__loop_value next = moire__lower_add(l, l->kernel->parallel, moire__loop_index(b, 1));
  moire__loop_value t = moire__loop_for(b, moire__loop_index(b, 0), c->length, 1, 1);
  moire__loop_value at[MOIRE_MAX_RANK] = {next, t, c->channel};
  moire__loop_fetch(b, moire__lower_buffer(l, c->x.base), moire__lower_address(l, &c->x, at));
  moire__loop_end(b);
}

void moire__depthwise_conv_lower(moire__lowering *l) {
  if (l->node->n_operands > 2) {
    moire__conv_lower_tokens(l);
    return;
  }
  for (int i = 0; i < 2; i++) moire__lower_add_reads(l, l->node->operands[i]);
  moire__loop_buffer y = moire__lower_add_write(l, l->node->first_result);
  moire__conv c = moire__conv_describe(l);
  moire__lower_body(l, c.x.dims[0], 1);
  moire__loop_builder *b = &l->builder;
  c.length = moire__loop_extent(b, c.x.dims[1]);
  moire__loop_value width = moire__loop_extent(b, c.x.dims[2]);
  c.channel = moire__loop_for(b, moire__loop_index(b, 0), width, 1, l->target.lanes);
  fetch_next(&c);
  for (int first = 0; first < c.n_distinct; first += CHUNK) {
    int n = c.n_distinct - first < CHUNK ? c.n_distinct - first : CHUNK;
    convolve_chunk(&c, first, n, l->kernel->parallel, y);
  }
  moire__loop_end(b);
  moire__lower_finish(l);
}

/* ---- the gradient of the weights ------------------------------------------------------------------------- */

/* dw[shift] = sum over the samples and t of y[t] x[t - shift]. */
static void correlate_chunk(moire__conv *c, int first, int n, const moire__conv_parts *p) {
  moire__lowering *l = c->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_var sums[CHUNK];
  for (int i = 0; i < n; i++) sums[i] = moire__loop_declare(b, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_value batch = moire__loop_for(b, p->low, p->high, 1, 1);
  for (int live = 1; live <= n; live++) {
    int64_t end = live < n ? c->distinct[first + live] : 0;
    moire__loop_value t = open_stretch(c, c->distinct[first + live - 1], end, live == n);
    moire__loop_value y = moire__conv_load(l, &c->other, batch, t, c->channel);
    for (int i = 0; i < live; i++) {
      moire__loop_value x = load_shifted(c, batch, t, c->distinct[first + i]);
      moire__loop_set(b, sums[i], fma_of(c, y, x, moire__loop_get(b, sums[i])));
    }
    moire__loop_end(b);
  }
  moire__loop_end(b);
  for (int i = 0; i < n; i++) moire__conv_store_part(c, p, c->distinct[first + i], moire__loop_get(b, sums[i]));
}

void moire__depthwise_conv_weight_lower(moire__lowering *l) {
  if (l->node->n_operands > 2) {
    moire__conv_weight_lower_tokens(l);
    return;
  }
  for (int i = 0; i < 2; i++) moire__lower_add_reads(l, l->node->operands[i]);
  moire__conv c = moire__conv_describe(l);
  moire__conv_parts p = moire__conv_add_parts(&c);
  moire__conv_open_parts(&c, &p);
  moire__loop_builder *b = &l->builder;
  c.length = moire__loop_extent(b, c.x.dims[1]);
  moire__loop_value width = moire__loop_extent(b, c.x.dims[2]);
  c.channel = moire__loop_for(b, moire__loop_index(b, 0), width, 1, l->target.lanes);
  for (int first = 0; first < c.n_distinct; first += CHUNK) {
    int n = c.n_distinct - first < CHUNK ? c.n_distinct - first : CHUNK;
    correlate_chunk(&c, first, n, &p);
  }
  moire__loop_end(b);
  moire__lower_finish(l);
  moire__lower_sum_pieces(l, p.extra, l->node->first_result);
}
