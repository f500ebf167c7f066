/* Attention on whole tiles of bf16 (attend with bf16 = 1, ops/attention/attend.h).
 *
 * As elsewhere queries are the lanes, here 32 of them, two tiles side by side, which are a part; arrays of
 * pairs are [key][query]. All products are of 2 x 2 tiles, sum = a b along k:
 *
 *   scores         keys x queries       a: rows of k             b: words of q       along d
 *   values         channels x queries   a: v turned              b: words of p       along keys
 *   gradients of q channels x queries   a: k turned              b: words of ds      along keys
 *   of p           keys x queries       a: rows of v             b: words of g       along e
 *   of k, v        keys x channels      a: rows of ds, p drop    b: pairs of q, g    along queries
 *
 * and so every operand is packed once for a block, never inside of it:
 *
 *   rows     bf16 [row][width]            a, along the width
 *   turned   bf16 [column][rows]          a, along the rows
 *   words    i32 [part][width / 2][32]    b, along the width: pairs of columns, rows of a part are the lanes
 *   pairs    i32 [rows / 2][width]        b, along the rows: pairs of rows
 *
 * What is packed ends in zeros up to 32 along k. Along the others nothing is written after the last: what tiles
 * hold of it is multiplied, too, and read by nobody.
 */
#ifndef MOIRE_OPS_ATTENTION_ATTEND_TILES_H
#define MOIRE_OPS_ATTENTION_ATTEND_TILES_H

#include "ops/attention/attend.h"

enum {
  MOIRE__ATTEND_SIDE = MOIRE__LOOP_TILE_SIDE,
  MOIRE__ATTEND_PART = 2 * MOIRE__ATTEND_SIDE, /* queries of a part, and numbers along k of a tile */
};

/* Whether the kernel shall be made of tiles, and the same kernel with their lanes and blocks. */
bool moire__attend_is_tiled(const moire__attend_kernel *k);
moire__attend_kernel moire__attend_tiled(const moire__attend_kernel *k, int64_t query_block);

/* n rounded up to whole parts. */
moire__loop_value moire__attend_whole_parts(const moire__attend_kernel *k, moire__loop_value n);

/* Sums of rows x columns tiles (1 or 2 each), stored to `to` from to_at on: for each term and each step along k
 * one tile a row and one a column. */
typedef struct moire__attend_term {
  moire__loop_buffer a, b; /* bf16, i32 */
  moire__loop_value a_at, b_at;
} moire__attend_term;

typedef struct moire__attend_product {
  moire__attend_term terms[2];
  int n_terms, rows, columns;
  int64_t a_pitch, b_pitch, to_pitch; /* elements from row to row */
  int64_t a_step;                     /* of a from step to step; 0: it lies along rows */
  moire__loop_value steps;
  moire__loop_buffer to;
  moire__loop_value to_at;
} moire__attend_product;

void moire__attend_multiply(const moire__attend_kernel *k, const moire__attend_product *p);
/* Opens a loop over keys that the part looks at, 32 at a time: their products with the part's queries, keys x
 * queries, along rows `width` wide. Of its terms the buffers are missing, and `to`. */
moire__attend_product moire__attend_open_products(const moire__attend_kernel *k, int64_t width);

/* Packs `n` rows of an operand, `width` wide, from row `first` of the sample on; planes apart. `turned`: f32
 * [width][32], a local. */
void moire__attend_pack_rows(const moire__attend_kernel *k, int operand, int64_t width, moire__loop_value first,
                             moire__loop_value n, const moire__loop_buffer *rows);
/* [plane][columns rounded up to 16][pitch] in one buffer. */
void moire__attend_pack_turned(const moire__attend_kernel *k, int operand, int64_t width,
                               moire__loop_value first, moire__loop_value n, const moire__loop_buffer *turned,
                               moire__loop_buffer to, int64_t pitch);
/* Of complex operands words[2] is the negated real plane. */
void moire__attend_pack_words(const moire__attend_kernel *k, int operand, int64_t width,
                              moire__loop_value first, moire__loop_value n, const moire__loop_buffer *turned,
                              const moire__loop_buffer *words);

/* [plane][rows / 2][width rounded up to 16]; the third plane of complex operands as above. Pairs end in zeros,
 * too. */
void moire__attend_pack_pairs(const moire__attend_kernel *k, int operand, int64_t width,
                              moire__loop_value first, moire__loop_value n, const moire__loop_buffer *pairs);

/* Into scores: s of the part's queries and the keys of the block that it looks at, from what was packed. */
void moire__attend_tile_scores(const moire__attend_kernel *k, const moire__loop_buffer *rows,
                               const moire__loop_buffer *words, const moire__loop_buffer *scores);

/* Results of a block of queries that are summed up turned: y f32 [part][channels][32], of `planes` times a
 * width rounded up to 16 channels. */
typedef struct moire__attend_sums {
  moire__loop_buffer y, sums, by_query; /* all; of one part and block of keys; of a part: [query][channels] */
  int64_t width, channels;
} moire__attend_sums;
moire__attend_sums moire__attend_add_sums(const moire__attend_kernel *k, int64_t width);
void moire__attend_start_sums(const moire__attend_kernel *k, const moire__attend_sums *s);
/* y of the part times fade[query], or without a factor (0), plus s->sums. */
void moire__attend_add_up(const moire__attend_kernel *k, const moire__attend_sums *s, moire__loop_buffer fade);
/* Stores rows of the block to the node's results `result` and, of two planes, the next; divided by
 * divisor[query] (0: not). */
void moire__attend_store_sums(moire__attend_kernel *k, const moire__attend_sums *s, int result,
                              moire__loop_buffer divisor);

void moire__attend_lower_tiled(const moire__attend_kernel *k);
void moire__attend_lower_tiled_backward(const moire__attend_kernel *k);

#endif
