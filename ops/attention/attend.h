/* Attention as one kernel: what its ops share.
 *
 *   attend        s = q k^H,  p = softmax(|s|^2 scale + mask),  y = (p drop) v      two planes each
 *   attend_real   s = q k^T,  p = softmax(s scale + mask),      y = (p drop) v      real
 *
 * where mask adds mask_value to the keys that a query may not see; a query that may see none attends to all by
 * their raw scores. By head; q [B,H,Lq,d], k [B,H,Lk,d], v [B,H,Lk,e], each as f32 planes. Results have their
 * positions before the heads, y [B,Lq,H,e] and likewise the gradients, since what follows puts a position's
 * heads side by side. No array of Lq x Lk
 * elements is kept: the forward pass leaves the largest score and sum_j exp(score - largest) of every row,
 * f32[B,H,Lq], from which the backward pass recomputes p. (Their logarithm alone would do, but p would lose the
 * digits that make the gradient of a row's scores sum to zero.)
 *
 * With the attribute bf16 = 1 products multiply numbers rounded to bf16 and add up in float32:
 *
 *   s of q and k,   y = (sum_j round(2^(t_j - n) drop_j) round(v_j)) / sum_j 2^(t_j - n),   t = (s scale +
 * mask) / ln 2
 *
 * with n = ceil(max_j t_j), though any integer gives the same: the rounding of a number does not depend on its
 * power of two. So weights may be rounded before the largest score of all is known. The backward pass rounds
 * q, k, v, y's gradient, p drop (for the gradient of v) and ds (for those of q and k); what is not multiplied
 * is not rounded.
 */
#ifndef MOIRE_OPS_ATTENTION_ATTEND_H
#define MOIRE_OPS_ATTENTION_ATTEND_H

#include "compiler/ir/loop/lower.h"
#include "ops/product/tiles.h"

/* Where the operands are: the planes of q, k and v; of a backward op those of y, largest, sum, and the planes
 * of y's gradient; then what need not be there, -1: not there. Results are y's planes, largest and sum; of a
 * backward op the gradients of q, k and v, at the places of their operands.
 *
 * A packed batch (attribute packed = 1) leaves out padding: T tokens of B samples stand one after the other,
 * and operands are [1,H,T,d]. Sample b has counts[b] tokens from starts[b] on; tokens[t] = b * length +
 * position says where token t stood, which its random numbers depend on; valid is bool[T]. With last = 1 the
 * only query of a sample is its last position, and q is [B,H,1,d]. */
typedef struct moire__attend_layout {
  int planes;
  bool bf16;
  int k, v, y, largest, sum, g;
  int valid, rng;
  int tokens, starts, counts; /* of a packed batch */
  int n;
} moire__attend_layout;

enum { MOIRE__ATTEND_OPTIONAL = 5, MOIRE__ATTEND_OPERANDS = 5 * 2 + 2 + MOIRE__ATTEND_OPTIONAL };

moire__attend_layout moire__attend_layout_of(const moire__node *node);

/* ---- lowering: blocks of queries against blocks of keys -------------------------------------------------- */

/* Queries are the vector lanes: a block is taken in parts of as many queries as there are lanes, scores of a
 * part are held transposed ([key][query]), and what is needed once for a query is a vector. Only queries need
 * be transposed for it, once a block; keys and values are read where they are, an element for all lanes. */
typedef struct moire__attend_kernel {
  moire__lowering *l;
  moire__attend_layout layout;
  int64_t heads, queries, keys, d, e, query_block, key_block;
  int64_t stride; /* of rows of queries: an odd number of vectors, so that columns meet all sets of a cache */
  int lanes;
  double scale, mask_value, dropout;
  bool causal, packed;
  bool bf16;                               /* products multiply bf16; scores are exponents of 2 */
  double per_unit;                         /* what scores are multiplied by beside scale: 1, or 1 / ln 2 */
  moire__loop_value first_token;           /* of the sample, where packed */
  moire__loop_value all_queries, all_keys; /* of the sample: queries and keys, or what a packed sample has */
  moire__loop_value first_seen;            /* the first key that is valid; 2^30 if none is */
  moire__loop_value sample, head, first_query, n_queries, first_key, n_keys; /* of the blocks at hand */
  moire__loop_value part, n_part,
      part_keys;                 /* of the part: first query in the block, queries, keys to look at */
  moire__loop_value last, shift; /* of its queries: the last key that causality allows (i32), and what is added
                                    to the score of a masked key: mask_value, or 0 if all are */
  moire__loop_value mask_row;    /* of its queries: offset of the first element in the random mask */
} moire__attend_kernel;

moire__attend_kernel moire__attend_describe(moire__lowering *l);
/* Samples: the parallel extent is this times heads. */
moire_dim moire__attend_samples(const moire__attend_kernel *k);
/* In the body: takes apart the number of a head of a sample, and finds the sample's tokens. */
void moire__attend_place(moire__attend_kernel *k, moire__loop_value number);
/* The body of a forward kernel: one piece is a block of queries of a head, whose first is first_query; of a
 * packed sample all blocks, one by one. Closing finishes the kernel. */
void moire__attend_open_queries(moire__attend_kernel *k);
void moire__attend_close_queries(moire__attend_kernel *k);
/* Opens the loop over blocks of the keys that the block of queries looks at; ended by one end. */
void moire__attend_open_keys(moire__attend_kernel *k);
/* How many from `first` on, below `end`, of at most `block`. */
moire__loop_value moire__attend_block(const moire__attend_kernel *k, moire__loop_value end,
                                      moire__loop_value first, int64_t block);
/* Row `row` of the sample's among the rows' scalars of an operand, which stand by head; counted over all. */
moire__loop_value moire__attend_row(const moire__attend_kernel *k, int operand, moire__loop_value row);
/* The same in a result, whose rows are those of an operand, by position. */
moire__loop_value moire__attend_result_row(const moire__attend_kernel *k, int operand, moire__loop_value row);
/* The sample's rows of an operand's planes from `row` on. */
moire__tile_matrix moire__attend_rows(const moire__attend_kernel *k, int operand, moire__loop_value row);
/* transposed[p][c * stride + i] = plane p of x[first + i, c], for `n` rows; 0 in the lanes after the last. */
void moire__attend_transpose(const moire__attend_kernel *k, int operand, int64_t width, moire__loop_value first,
                             moire__loop_value n, const moire__loop_buffer *transposed);
/* bool: is key `key` of the sample valid? Only where layout.valid >= 0. */
moire__loop_value moire__attend_is_valid(const moire__attend_kernel *k, moire__loop_value key);
/* The last key that causality allows query m of the block, counted from the sample's first key. */
moire__loop_value moire__attend_last_key(const moire__attend_kernel *k, moire__loop_value m);
/* One more than the last key that the queries before query `end` of the block look at. */
moire__loop_value moire__attend_end(const moire__attend_kernel *k, moire__loop_value end);
/* Which keys the block of queries has to look at: those before and after them have no weight. */
void moire__attend_range(const moire__attend_kernel *k, moire__loop_value *low, moire__loop_value *high);
/* Opens the loop over the parts of the block of queries, and sets what is of the part. */
void moire__attend_open_part(moire__attend_kernel *k);
/* Opens the vector loop over the part's queries; returns the query's number in the block. */
moire__loop_value moire__attend_open_lanes(moire__attend_kernel *k);
/* Sets `last` and `shift` of the block's query m: in a vector loop over queries, or of one of them. */
void moire__attend_of_query(moire__attend_kernel *k, moire__loop_value m);
/* Tiles of the part's scores, and their like: rows are its keys, columns the block's queries. */
moire__tiles moire__attend_tiles(const moire__attend_kernel *k, int operand, int64_t width,
                                 const moire__loop_buffer *transposed, moire__tile_finish *finish,
                                 void *context);
/* e^x of a score less another: 2^x where scores are exponents of 2. */
moire__loop_value moire__attend_power(const moire__attend_kernel *k, moire__loop_value x);
/* What is subtracted of a score before: the largest so far, as an integer where scores are exponents of 2. */
moire__loop_value moire__attend_base(const moire__attend_kernel *k, moire__loop_value largest);
/* |s|^2, or s of real scores; and scaled, before masks. */
moire__loop_value moire__attend_strength(const moire__attend_kernel *k, const moire__loop_value s[2]);
moire__loop_value moire__attend_scaled(const moire__attend_kernel *k, const moire__loop_value s[2]);
/* The score of key n of the block (for the part's queries), s scaled and masked. */
moire__loop_value moire__attend_score(const moire__attend_kernel *k, moire__loop_value n,
                                      const moire__loop_value s[2]);
/* The random mask's element of key n of the block (for the part's queries); call only where layout.rng >= 0. */
moire__loop_value moire__attend_drop(const moire__attend_kernel *k, moire__loop_value n);

/* Of the whole random mask: offset of the block's query m, width of a row, place of a key in it, an element. */
moire__loop_value moire__attend_mask_row(const moire__attend_kernel *k, moire__loop_value m);
moire_dim moire__attend_mask_width(const moire__attend_kernel *k);
moire__loop_value moire__attend_mask_column(const moire__attend_kernel *k, moire__loop_value key);
moire__loop_value moire__attend_mask_element(const moire__attend_kernel *k, moire__loop_value element);
/* Position of token `row` of a packed sample, which stands at tokens[first_token + row]. */
moire__loop_value moire__attend_position(const moire__attend_kernel *k, moire__loop_value row);

/* ---- lowering: rows of queries, and results that are added up (ops/attention/lower_attend_rows.c) ---------
 */

/* Stores both results of the block's queries: sum[m] is that of powers of scores less the base of largest[m].
 */
void moire__attend_store_statistics(const moire__attend_kernel *k, moire__loop_buffer largest,
                                    moire__loop_buffer sum);
/* Of the block's queries, in the backward pass: what is subtracted of the scores of a row, 1 / sum, and Re(g
 * conj y). Lanes after the last have zeros. */
typedef struct moire__attend_rows_of {
  moire__loop_buffer largest, per_sum, dot;
} moire__attend_rows_of;
moire__attend_rows_of moire__attend_add_rows(const moire__attend_kernel *k); /* locals */
void moire__attend_load_rows(const moire__attend_kernel *k, const moire__attend_rows_of *to);
/* The sample's rows of the gradients of q, k and v. */
void moire__attend_zero_results(const moire__attend_kernel *k);

/* ---- lowering: fetching (ops/attention/lower_attend_fetch.c) ----------------------------------------------
 */

/* Fetches of the piece after this one, the next head of the sample or the first of the next sample: rows [low,
 * queries) of q and of y, rows [low, keys) of k and v; `backward`: of y's gradient and the gradients of all
 * three. They may lie outside of the operands. */
void moire__attend_fetch_next(const moire__attend_kernel *k, bool backward, moire__loop_value low,
                              moire__loop_value queries, moire__loop_value keys);

/* ---- lowering: short sequences (ops/attention/lower_attend_short.c)
 * -------------------------------------------------
 *
 * Where all keys are one block, keys are the lanes and queries come a few at a time: a row of a random mask
 * lies in memory as its lanes do, and is drawn a run of Philox's blocks at a time. */
typedef struct moire__attend_short {
  moire__attend_kernel k;      /* first_query 0, all queries; first_key 0 */
  int64_t width;               /* of rows of keys: an odd number of vectors */
  moire__loop_buffer ordinal;  /* where a query may not see a key. i32: its number if it is valid, else one that
                                  no  query sees */
  moire__loop_buffer beyond;   /* f32: 0, in lanes after the last key -inf */
  moire__loop_buffer drawn;    /* where layout.rng >= 0: the random mask, */
  moire__loop_value drawn_at;  /* from here on: */
  int height;                  /* queries of a part, and rows of a tile */
  bool two_vectors;            /* of keys at a time in real products: few registers */
  int64_t drawn_width;         /* the element of query m and key n at drawn_at + m drawn_width + n */
  moire__loop_value low, high; /* keys that some query looks at; low begins a vector */
  moire__loop_value first, rows; /* of the part: its first query, how many, */
  moire__loop_value end, lanes;  /* and keys that it looks at: before end; whole vectors before lanes */
} moire__attend_short;

bool moire__attend_is_short(const moire__attend_kernel *k);
moire__attend_short moire__attend_short_begin(const moire__attend_kernel *k);
/* After the node's buffers, opens the body; afterwards finds the keys, and draws. */
void moire__attend_short_open(moire__attend_short *f);
/* Opens the loop over parts. */
void moire__attend_short_part(moire__attend_short *f);
/* In a part: fetches as many rows of the next piece, of keys as of queries. */
void moire__attend_short_fetch(const moire__attend_short *f, bool backward);
/* Element (m, n) of an array of rows of keys, m counted from its first row. */
moire__loop_value moire__attend_short_at(const moire__attend_short *f, moire__loop_value m,
                                         moire__loop_value n);
/* Opens the vector loop over the part's keys. */
moire__loop_value moire__attend_short_keys(const moire__attend_short *f);
/* Products of the part's rows of an operand with transposed keys (or values): rows count from 0, columns are
 * keys; and their emission. */
void moire__attend_short_pairs(const moire__attend_short *f, int operand, int64_t width,
                               const moire__loop_buffer *transposed, bool real_only, moire__tile_finish *finish,
                               void *context);
/* How large tiles are whose columns are channels. */
void moire__attend_short_size(const moire__attend_short *f, moire__tiles *t);
/* The score of the part's row m and key n, whose s is given; and their element of the random mask. */
moire__loop_value moire__attend_short_score(moire__attend_short *f, moire__loop_value m, moire__loop_value n,
                                            const moire__loop_value s[2]);
moire__loop_value moire__attend_short_drop(const moire__attend_short *f, moire__loop_value m,
                                           moire__loop_value n);
void moire__attend_lower_short(const moire__attend_kernel *k);
void moire__attend_lower_short_backward(const moire__attend_kernel *k);

/* ---- lowering: a single query (ops/attention/lower_attend_single.c)
 * ------------------------------------------------ */

bool moire__attend_is_single(const moire__attend_kernel *k);
void moire__attend_lower_single(const moire__attend_kernel *k);
void moire__attend_lower_single_backward(const moire__attend_kernel *k);

/* ops/source/lower_source.c: an element of a random mask (moire__mask_threshold). */
moire__loop_value moire__lower_mask_element(moire__lowering *l, int32_t rng, double p, int64_t stream,
                                            moire__loop_value element);
/* The attribute `first` of a node that draws (ops/source/mask.h); 0 without. */
moire__loop_value moire__lower_mask_first(moire__lowering *l, const moire__node *node);

#endif
