/* The depthwise convolution of packed samples at their tokens, and the gradient of its weights: channels are
 * the vector lanes.
 *
 * Tokens may stand anywhere among their sample's positions, so which taps are live is no longer a matter of the
 * loop's bounds. Instead a sample's x is copied behind as many rows of zeros as the largest shift needs,
 *
 *   xs[S + t] = x[b, t]      y[tau] = sum over shifts s of w_s xs[S + t - s],  t = tokens[tau] - b L
 *
 * where no tap needs a test. Shifts of L and more meet nothing and are left out. More taps than registers hold
 * are taken a chunk at a time. The gradient of the weights goes from sample to sample of a piece of the batch
 * and keeps its sums in memory meanwhile, so that a sample is copied once.
 *
 * requires: moire__packed_filter_fits, by inference
 */
#include "ops/sequence/lower_conv.h"

enum { CHUNK = MOIRE__CONV_CHUNK, TOKENS = 2, SLOTS = 3 }; /* the operands; slots only if there are 6 */

typedef struct tokens_conv {
  moire__conv c;
  int live;                    /* distinct shifts that meet anything */
  int64_t most;                /* S, the largest of them */
  int64_t length, width, row;  /* row: of xs, an odd number of vectors, so that rows meet all sets of a cache */
  moire__loop_buffer xs, sums; /* sums: [live][row] */
  moire__loop_value sample, low, high; /* its tokens */
} tokens_conv;

static moire__loop_value constant(const tokens_conv *k, int64_t i) {
  return moire__loop_index(&k->c.l->builder, i);
}

static tokens_conv describe(moire__lowering *l) {
  tokens_conv k = {.c = moire__conv_describe(l)};
  k.length = moire__dim_factor(k.c.x.dims[1]);
  k.width = moire__dim_factor(k.c.x.dims[2]);
  int64_t vectors = (k.width + l->target.lanes - 1) / l->target.lanes;
  k.row = (vectors + 1 - vectors % 2) * l->target.lanes;
  while (k.live < k.c.n_distinct && k.c.distinct[k.live] < k.length) k.most = k.c.distinct[k.live++];
  return k;
}

static void add_reads(moire__lowering *l) {
  for (int i = 0; i < l->node->n_operands; i++) {
    bool slots = i == SLOTS && l->node->n_operands == 6;
    if (!slots) moire__lower_add_reads(l, l->node->operands[i]);
  }
}

static void add_xs(tokens_conv *k) {
  k->xs = moire__loop_add_local(k->c.l->kernel, "xs", MOIRE__LOOP_F32, (k->most + k->length) * k->row);
}

/* Opens the loop over channels. */
static void open_channels(tokens_conv *k) {
  k->c.channel =
      moire__loop_for(&k->c.l->builder, constant(k, 0), constant(k, k->width), 1, k->c.l->target.lanes);
}

static void fill_zeros(tokens_conv *k, moire__loop_buffer buffer, int64_t n) {
  moire__loop_builder *b = &k->c.l->builder;
  moire__loop_value at = moire__loop_for(b, constant(k, 0), constant(k, n), 1, k->c.l->target.lanes);
  moire__loop_store(b, buffer, at, moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_end(b);
}

/* Offset of row `row` and the current channel in xs and sums. */
static moire__loop_value row_at(const tokens_conv *k, moire__loop_value row) {
  moire__lowering *l = k->c.l;
  return moire__lower_add(l, moire__lower_mul(l, row, constant(k, k->row)), k->c.channel);
}

static moire__loop_value load_index(const tokens_conv *k, int operand, moire__loop_value at) {
  moire__view view = moire__lower_view(k->c.l, k->c.l->node->operands[operand]);
  return moire__loop_cast(&k->c.l->builder, moire__conv_load(k->c.l, &view, 0, 0, at), MOIRE__LOOP_I64);
}

/* Copies the sample's x, and finds its tokens. */
static void take_sample(tokens_conv *k, moire__loop_value sample) {
  moire__lowering *l = k->c.l;
  moire__loop_builder *b = &l->builder;
  int n = l->node->n_operands;
  k->sample = sample;
  k->low = load_index(k, n - 2, sample);
  k->high = moire__lower_add(l, k->low, load_index(k, n - 1, sample));
  moire__loop_value t = moire__loop_for(b, constant(k, 0), constant(k, k->length), 1, 1);
  open_channels(k);
  moire__loop_value to = row_at(k, moire__lower_add(l, t, constant(k, k->most)));
  moire__loop_store(b, k->xs, to, moire__conv_load(l, &k->c.x, sample, t, k->c.channel));
  moire__loop_end(b);
  moire__loop_end(b);
}

/* Opens the loop over the sample's tokens; *at is where the token stands in xs. */
static moire__loop_value open_tokens(tokens_conv *k, moire__loop_value *at) {
  moire__lowering *l = k->c.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value token = moire__loop_for(b, k->low, k->high, 1, 1);
  moire__loop_value before = moire__lower_mul(l, k->sample, constant(k, k->length));
  moire__loop_value t = moire__loop_binary(b, MOIRE__LOOP_sub, load_index(k, TOKENS, token), before);
  *at = row_at(k, moire__lower_add(l, t, constant(k, k->most)));
  return token;
}

static moire__loop_value load_tap(tokens_conv *k, moire__loop_value at, int tap) {
  moire__loop_value back = constant(k, -k->c.distinct[tap] * k->row);
  return moire__loop_load(&k->c.l->builder, k->xs, moire__lower_add(k->c.l, at, back));
}

static int chunk_of(const tokens_conv *k, int first) {
  return k->live - first < CHUNK ? k->live - first : CHUNK;
}

/* Adds the taps [first, first + n) to what the chunks before left behind. */
static void convolve_chunk(tokens_conv *k, int first, int n, moire__loop_buffer y) {
  moire__lowering *l = k->c.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value weights[CHUNK], at = 0;
  for (int i = 0; i < n; i++) weights[i] = moire__conv_load_weight(&k->c, k->c.distinct[first + i]);
  moire__loop_value token = open_tokens(k, &at);
  moire__loop_value to = moire__lower_add(l, moire__lower_mul(l, token, constant(k, k->width)), k->c.channel);
  moire__loop_value sum = first ? moire__loop_load(b, y, to) : moire__loop_const(b, MOIRE__LOOP_F32, 0);
  for (int i = 0; i < n; i++)
    sum = moire__loop_ternary(b, MOIRE__LOOP_fma, weights[i], load_tap(k, at, first + i), sum);
  moire__lower_write(l, l->node->first_result, to, sum);
  moire__loop_end(b);
}

void moire__conv_lower_tokens(moire__lowering *l) {
  add_reads(l);
  moire__loop_buffer y = moire__lower_add_write(l, l->node->first_result);
  tokens_conv k = describe(l);
  add_xs(&k);
  moire__lower_body(l, k.c.x.dims[0], 1);
  fill_zeros(&k, k.xs, k.most * k.row);
  take_sample(&k, l->kernel->parallel);
  open_channels(&k);
  for (int first = 0; first == 0 || first < k.live; first += CHUNK)
    convolve_chunk(&k, first, chunk_of(&k, first), y);
  moire__loop_end(&l->builder);
  moire__lower_finish(l);
}

/* ---- the gradient of the weights ------------------------------------------------------------------------- */

/* sums[shift] += sum over the sample's tokens of y[tau] xs[S + t - shift] */
static void correlate_chunk(tokens_conv *k, int first, int n) {
  moire__lowering *l = k->c.l;
  moire__loop_builder *b = &l->builder;
  moire__loop_var sums[CHUNK];
  for (int i = 0; i < n; i++)
    sums[i] = moire__loop_declare(b, moire__loop_load(b, k->sums, row_at(k, constant(k, first + i))));
  moire__loop_value at = 0, token = open_tokens(k, &at);
  moire__loop_value y = moire__conv_load(l, &k->c.other, 0, token, k->c.channel);
  for (int i = 0; i < n; i++) {
    moire__loop_value x = load_tap(k, at, first + i);
    moire__loop_set(b, sums[i], moire__loop_ternary(b, MOIRE__LOOP_fma, y, x, moire__loop_get(b, sums[i])));
  }
  moire__loop_end(b);
  for (int i = 0; i < n; i++)
    moire__loop_store(b, k->sums, row_at(k, constant(k, first + i)), moire__loop_get(b, sums[i]));
}

void moire__conv_weight_lower_tokens(moire__lowering *l) {
  add_reads(l);
  tokens_conv k = describe(l);
  moire__conv_parts p = moire__conv_add_parts(&k.c);
  add_xs(&k);
  k.sums = moire__loop_add_local(l->kernel, "sums", MOIRE__LOOP_F32, (k.live + 1) * k.row);
  moire__conv_open_parts(&k.c, &p);
  moire__loop_builder *b = &l->builder;
  fill_zeros(&k, k.xs, k.most * k.row);
  fill_zeros(&k, k.sums, k.live * k.row);
  take_sample(&k, moire__loop_for(b, p.low, p.high, 1, 1));
  open_channels(&k);
  for (int first = 0; first < k.live; first += CHUNK) correlate_chunk(&k, first, chunk_of(&k, first));
  moire__loop_end(b);
  moire__loop_end(b);
  open_channels(&k);
  for (int i = 0; i < k.c.n_distinct; i++) {
    moire__loop_value sum = moire__loop_const(b, MOIRE__LOOP_F32, 0);
    if (i < k.live) sum = moire__loop_load(b, k.sums, row_at(&k, constant(&k, i)));
    moire__conv_store_part(&k.c, &p, k.c.distinct[i], sum);
  }
  moire__loop_end(b);
  moire__lower_finish(l);
  moire__lower_sum_pieces(l, p.extra, l->node->first_result);
}
