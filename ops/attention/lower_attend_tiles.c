/* Attention on tiles: packing, and products of tiles (ops/attention/attend_tiles.h). */
#include "ops/attention/attend_tiles.h"

enum { SIDE = MOIRE__ATTEND_SIDE, PART = MOIRE__ATTEND_PART, DEPTH = MOIRE__ATTEND_PART };
enum { KEY_BLOCK = 192 };

bool moire__attend_is_tiled(const moire__attend_kernel *k) {
  return k->layout.bf16 && k->l->target.tiles && k->lanes == SIDE;
}

static int64_t block_of(const moire__attend_kernel *k, int64_t usual, int64_t all) {
  int64_t block = moire__lower_block(k->l, usual);
  return moire__lower_round_up(block < all ? block : all > 0 ? all : 1, PART);
}

/* The scores of a part and a block of keys, with their weights, stay in the first cache; what is packed
 * of a block of keys serves many parts. */
moire__attend_kernel moire__attend_tiled(const moire__attend_kernel *k, int64_t query_block) {
  moire__attend_kernel tiled = *k;
  tiled.lanes = PART;
  tiled.stride = PART;
  tiled.query_block = block_of(k, query_block, k->queries);
  tiled.key_block = block_of(k, KEY_BLOCK, k->keys);
  return tiled;
}

moire__loop_value moire__attend_whole_parts(const moire__attend_kernel *k, moire__loop_value n) {
  moire__loop_builder *b = &k->l->builder;
  moire__loop_value part = moire__loop_index(b, PART);
  n = moire__lower_add(k->l, n, moire__loop_index(b, PART - 1));
  return moire__lower_mul(k->l, moire__loop_binary(b, MOIRE__LOOP_div, n, part), part);
}

/* ---- products ---- */

enum { FIRST_A = 4, FIRST_B = 6 };

static void multiply_term(const moire__attend_kernel *k, const moire__attend_product *p,
                          const moire__attend_term *term) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value step = moire__loop_for(b, moire__loop_index(b, 0), p->steps, 1, 1);
  moire__loop_value a = moire__lower_mul(l, step, moire__loop_index(b, p->a_step ? p->a_step : DEPTH));
  moire__loop_value right = moire__lower_mul(l, step, moire__loop_index(b, SIDE * p->b_pitch));
  a = moire__lower_add(l, term->a_at, a);
  right = moire__lower_add(l, term->b_at, right);
  for (int c = 0; c < p->columns; c++) {
    moire__loop_value at = moire__lower_add(l, right, moire__loop_index(b, c * SIDE));
    moire__loop_tile_load(b, FIRST_B + c, term->b, at, p->b_pitch);
  }
  for (int r = 0; r < p->rows; r++) {
    moire__loop_value at = moire__lower_add(l, a, moire__loop_index(b, r * SIDE * p->a_pitch));
    moire__loop_tile_load(b, FIRST_A + r, term->a, at, p->a_pitch);
    for (int c = 0; c < p->columns; c++) moire__loop_tile_dot(b, 2 * r + c, FIRST_A + r, FIRST_B + c);
  }
  moire__loop_end(b);
}

void moire__attend_multiply(const moire__attend_kernel *k, const moire__attend_product *p) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  for (int i = 0; i < p->rows * p->columns; i++)
    moire__loop_tile_zero(b, 2 * (i / p->columns) + i % p->columns);
  for (int i = 0; i < p->n_terms; i++) multiply_term(k, p, &p->terms[i]);
  for (int i = 0; i < p->rows * p->columns; i++) {
    int r = i / p->columns, c = i % p->columns;
    moire__loop_value at =
        moire__lower_add(l, p->to_at, moire__loop_index(b, r * SIDE * p->to_pitch + c * SIDE));
    moire__loop_tile_store(b, 2 * r + c, p->to, at, p->to_pitch);
  }
}

/* ---- packing ---- */

void moire__attend_pack_rows(const moire__attend_kernel *k, int operand, int64_t width, moire__loop_value first,
                             moire__loop_value n, const moire__loop_buffer *rows) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__tile_matrix x = moire__attend_rows(k, operand, first);
  int64_t depth = moire__lower_round_up(width, DEPTH);
  x.narrow = false; /* by storing it in a buffer of bf16 */
  moire__loop_value row = moire__loop_for(b, moire__loop_index(b, 0), n, 1, 1);
  moire__loop_value to = moire__lower_mul(l, row, moire__loop_index(b, depth));
  moire__loop_value c = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, width), 1, DEPTH);
  for (int p = 0; p < x.planes; p++)
    moire__loop_store(b, rows[p], moire__lower_add(l, to, c), moire__tile_element(l, &x, p, row, c));
  moire__loop_end(b);
  if (width < depth) {
    c = moire__loop_for(b, moire__loop_index(b, width), moire__loop_index(b, depth), 1, DEPTH);
    for (int p = 0; p < x.planes; p++)
      moire__loop_store(b, rows[p], moire__lower_add(l, to, c), moire__loop_const(b, MOIRE__LOOP_F32, 0));
    moire__loop_end(b);
  }
  moire__loop_end(b);
}

/* Opens the loop over parts of n rows, and turns one: turned[p][c * 32 + i], 0 in the lanes after the last. */
static moire__loop_value turn_part(const moire__attend_kernel *k, int operand, int64_t width,
                                   moire__loop_value first, moire__loop_value n,
                                   const moire__loop_buffer *turned) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value part = moire__loop_for(b, moire__loop_index(b, 0), n, PART, 1);
  moire__attend_transpose(k, operand, width, moire__lower_add(l, first, part),
                          moire__attend_block(k, n, part, PART), turned);
  return part;
}

void moire__attend_pack_turned(const moire__attend_kernel *k, int operand, int64_t width,
                               moire__loop_value first, moire__loop_value n, const moire__loop_buffer *turned,
                               moire__loop_buffer to, int64_t pitch) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  int64_t rows = moire__lower_round_up(width, SIDE);
  moire__loop_value part = turn_part(k, operand, width, first, n, turned);
  moire__loop_value c = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, width), 1, 1);
  moire__loop_value from = moire__lower_mul(l, c, moire__loop_index(b, PART));
  moire__loop_value at = moire__lower_add(l, moire__lower_mul(l, c, moire__loop_index(b, pitch)), part);
  moire__loop_value i = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, PART), 1, PART);
  for (int p = 0; p < k->layout.planes; p++) {
    moire__loop_value plane = moire__lower_add(l, at, moire__loop_index(b, p * rows * pitch));
    moire__loop_store(b, to, moire__lower_add(l, plane, i),
                      moire__loop_load(b, turned[p], moire__lower_add(l, from, i)));
  }
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_end(b);
}

/* A pair of a plane at `at`, and of a complex operand's real plane the negated one. */
static void store_pair(const moire__attend_kernel *k, const moire__loop_buffer *to, int plane,
                       moire__loop_value at, const moire__loop_value x[2]) {
  moire__loop_builder *b = &k->l->builder;
  moire__loop_store(b, to[plane], at, moire__loop_binary(b, MOIRE__LOOP_pair, x[0], x[1]));
  if (plane || k->layout.planes == 1) return;
  moire__loop_value minus[2];
  for (int i = 0; i < 2; i++) minus[i] = moire__loop_unary(b, MOIRE__LOOP_neg, x[i]);
  moire__loop_store(b, to[2], at, moire__loop_binary(b, MOIRE__LOOP_pair, minus[0], minus[1]));
}

/* One line of words: columns 2 c and 2 c + 1, as far as they exist. */
static void words_of(const moire__attend_kernel *k, const moire__loop_buffer *turned,
                     const moire__loop_buffer *words, moire__loop_value at, moire__loop_value c, int exist) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value part = moire__loop_index(b, PART);
  moire__loop_value from = moire__lower_mul(l, c, moire__loop_index(b, 2 * PART));
  moire__loop_value to = moire__lower_add(l, at, moire__lower_mul(l, c, part));
  moire__loop_value i = moire__loop_for(b, moire__loop_index(b, 0), part, 1, PART);
  for (int p = 0; p < k->layout.planes; p++) {
    moire__loop_value x[2], zero = moire__loop_const(b, MOIRE__LOOP_F32, 0), here = moire__lower_add(l, to, i);
    for (int j = 0; j < 2; j++) {
      moire__loop_value column = moire__lower_add(l, from, moire__loop_index(b, j * PART));
      x[j] = j < exist ? moire__loop_load(b, turned[p], moire__lower_add(l, column, i)) : zero;
    }
    store_pair(k, words, p, here, x);
  }
  moire__loop_end(b);
}

void moire__attend_pack_words(const moire__attend_kernel *k, int operand, int64_t width,
                              moire__loop_value first, moire__loop_value n, const moire__loop_buffer *turned,
                              const moire__loop_buffer *words) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  int64_t depth = moire__lower_round_up(width, DEPTH);
  moire__loop_value at = turn_part(k, operand, width, first, n, turned);
  at = moire__lower_mul(l, at, moire__loop_index(b, depth / 2));
  moire__loop_value whole = moire__loop_index(b, width / 2), end = moire__loop_index(b, (width + 1) / 2);
  words_of(k, turned, words, at, moire__loop_for(b, moire__loop_index(b, 0), whole, 1, 1), 2);
  moire__loop_end(b);
  if (width % 2) words_of(k, turned, words, at, whole, 1);
  if (width < depth) {
    words_of(k, turned, words, at, moire__loop_for(b, end, moire__loop_index(b, depth / 2), 1, 1), 0);
    moire__loop_end(b);
  }
  moire__loop_end(b);
}

/* Rows 2 r and 2 r + 1, as far as they exist. */
static void pairs_of(const moire__attend_kernel *k, const moire__tile_matrix *x, int64_t width,
                     const moire__loop_buffer *pairs, moire__loop_value r, int exist) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value row = moire__lower_mul(l, r, moire__loop_index(b, 2));
  moire__loop_value to = moire__lower_mul(l, r, moire__loop_index(b, moire__lower_round_up(width, SIDE)));
  moire__loop_value c = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, width), 1, PART);
  for (int p = 0; p < x->planes; p++) {
    moire__loop_value pair[2], at = moire__lower_add(l, to, c);
    for (int j = 0; j < 2; j++)
      pair[j] = j < exist ? moire__tile_element(l, x, p, moire__lower_add(l, row, moire__loop_index(b, j)), c)
                          : moire__loop_const(b, MOIRE__LOOP_F32, 0);
    store_pair(k, pairs, p, at, pair);
  }
  moire__loop_end(b);
}

void moire__attend_pack_pairs(const moire__attend_kernel *k, int operand, int64_t width,
                              moire__loop_value first, moire__loop_value n, const moire__loop_buffer *pairs) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__tile_matrix x = moire__attend_rows(k, operand, first);
  x.narrow = false; /* by making a pair of it */
  moire__loop_value two = moire__loop_index(b, 2), whole = moire__loop_binary(b, MOIRE__LOOP_div, n, two);
  pairs_of(k, &x, width, pairs, moire__loop_for(b, moire__loop_index(b, 0), whole, 1, 1), 2);
  moire__loop_end(b);
  moire__loop_value rest = moire__loop_binary(b, MOIRE__LOOP_mod, n, two);
  moire__loop_if(b, moire__loop_binary(b, MOIRE__LOOP_lt, moire__loop_index(b, 0), rest));
  pairs_of(k, &x, width, pairs, whole, 1);
  moire__loop_end(b);
  moire__loop_value end = moire__loop_binary(b, MOIRE__LOOP_div, moire__attend_whole_parts(k, n), two);
  pairs_of(k, &x, width, pairs, moire__loop_for(b, moire__lower_add(l, whole, rest), end, 1, 1), 0);
  moire__loop_end(b);
}

/* ---- scores ---- */

moire__attend_product moire__attend_open_products(const moire__attend_kernel *k, int64_t width) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  int64_t depth = moire__lower_round_up(width, DEPTH);
  moire__loop_value key = moire__loop_for(b, moire__loop_index(b, 0), k->part_keys, PART, 1);
  moire__attend_product p = {.n_terms = k->layout.planes,
                             .rows = 2,
                             .columns = 2,
                             .a_pitch = depth,
                             .b_pitch = PART,
                             .to_pitch = PART,
                             .steps = moire__loop_index(b, depth / DEPTH),
                             .to_at = moire__lower_mul(l, key, moire__loop_index(b, PART))};
  for (int i = 0; i < p.n_terms; i++) {
    p.terms[i].a_at = moire__lower_mul(l, key, moire__loop_index(b, depth));
    p.terms[i].b_at = moire__lower_mul(l, k->part, moire__loop_index(b, depth / 2));
  }
  return p;
}

/* re = kr qr + ki qi, im = kr qi - ki qr */
void moire__attend_tile_scores(const moire__attend_kernel *k, const moire__loop_buffer *rows,
                               const moire__loop_buffer *words, const moire__loop_buffer *scores) {
  moire__attend_product p = moire__attend_open_products(k, k->d);
  for (int plane = 0; plane < k->layout.planes; plane++) {
    p.to = scores[plane];
    for (int i = 0; i < p.n_terms; i++) {
      int of_q = plane ? 1 + i : i; /* qi and -qr; qr and qi */
      p.terms[i].a = rows[i];
      p.terms[i].b = words[of_q];
    }
    moire__attend_multiply(k, &p);
  }
  moire__loop_end(&k->l->builder);
}

/* ---- sums of a block of queries ---- */

moire__attend_sums moire__attend_add_sums(const moire__attend_kernel *k, int64_t width) {
  moire__loop_kernel *kernel = k->l->kernel;
  moire__attend_sums s = {.width = width, .channels = k->layout.planes * moire__lower_round_up(width, SIDE)};
  s.y = moire__loop_add_local(kernel, "y", MOIRE__LOOP_F32, k->query_block * s.channels);
  s.sums = moire__loop_add_local(kernel, "sums", MOIRE__LOOP_F32, s.channels * PART);
  s.by_query = moire__loop_add_local(kernel, "by_query", MOIRE__LOOP_F32, s.channels * PART);
  return s;
}

void moire__attend_start_sums(const moire__attend_kernel *k, const moire__attend_sums *s) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value all = moire__attend_whole_parts(k, k->n_queries);
  all = moire__lower_mul(l, all, moire__loop_index(b, s->channels));
  moire__loop_store(b, s->y, moire__loop_for(b, moire__loop_index(b, 0), all, 1, PART),
                    moire__loop_const(b, MOIRE__LOOP_F32, 0));
  moire__loop_end(b);
}

void moire__attend_add_up(const moire__attend_kernel *k, const moire__attend_sums *s, moire__loop_buffer fade) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0), part = moire__loop_index(b, PART);
  moire__loop_value before = moire__lower_mul(l, k->part, moire__loop_index(b, s->channels));
  moire__loop_value lane = moire__loop_for(b, zero, part, 1, PART), factor = 0;
  if (fade) factor = moire__loop_load(b, fade, moire__lower_add(l, k->part, lane));
  moire__loop_value channel = moire__loop_for(b, zero, moire__loop_index(b, s->channels), 1, 1);
  moire__loop_value from = moire__lower_add(l, moire__lower_mul(l, channel, part), lane);
  moire__loop_value at = moire__lower_add(l, before, from);
  moire__loop_value y = moire__loop_load(b, s->y, at), more = moire__loop_load(b, s->sums, from);
  more = fade ? moire__loop_ternary(b, MOIRE__LOOP_fma, y, factor, more) : moire__lower_add(l, y, more);
  moire__loop_store(b, s->y, at, more);
  moire__loop_end(b);
  moire__loop_end(b);
}

/* The part's sums by queries. */
static void turn_sums(const moire__attend_kernel *k, const moire__attend_sums *s) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value part = moire__loop_index(b, PART);
  moire__loop_value at = moire__lower_mul(l, k->part, moire__loop_index(b, s->channels));
  moire__loop_value c = moire__loop_for(b, moire__loop_index(b, 0), moire__loop_index(b, s->channels), SIDE, 1);
  at = moire__lower_add(l, at, moire__lower_mul(l, c, part));
  for (int half = 0; half < PART; half += SIDE) {
    moire__loop_value to = moire__lower_add(l, moire__loop_index(b, half * s->channels), c);
    moire__loop_turn(b, s->by_query, to, s->channels, s->y, moire__lower_add(l, at, moire__loop_index(b, half)),
                     part, SIDE);
  }
  moire__loop_end(b);
}

void moire__attend_store_sums(moire__attend_kernel *k, const moire__attend_sums *s, int result,
                              moire__loop_buffer divisor) {
  moire__lowering *l = k->l;
  moire__loop_builder *b = &l->builder;
  moire__loop_value zero = moire__loop_index(b, 0), width = moire__loop_index(b, s->width), per = 0;
  k->part = moire__loop_for(b, zero, k->n_queries, PART, 1);
  turn_sums(k, s);
  moire__loop_value i = moire__loop_for(b, zero, moire__attend_block(k, k->n_queries, k->part, PART), 1, 1);
  moire__loop_value m = moire__lower_add(l, k->part, i);
  if (divisor)
    per = moire__loop_binary(b, MOIRE__LOOP_div, moire__loop_const(b, MOIRE__LOOP_F32, 1),
                             moire__loop_load(b, divisor, m));
  moire__loop_value row = moire__attend_result_row(k, 0, moire__lower_add(l, k->first_query, m));
  moire__loop_value from = moire__lower_mul(l, i, moire__loop_index(b, s->channels));
  moire__loop_value c = moire__loop_for(b, zero, width, 1, PART);
  for (int p = 0; p < k->layout.planes; p++) {
    moire__loop_value plane = moire__loop_index(b, p * s->channels / k->layout.planes);
    moire__loop_value at = moire__lower_add(l, moire__lower_add(l, from, plane), c);
    moire__loop_value y = moire__loop_load(b, s->by_query, at);
    if (divisor) y = moire__loop_binary(b, MOIRE__LOOP_mul, y, per);
    moire__lower_write(l, l->node->first_result + result + p,
                       moire__lower_add(l, moire__lower_mul(l, row, width), c), y);
  }
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_end(b);
}
