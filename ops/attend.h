/* Interference attention as one kernel: what its forward and backward op share.
 *
 *   s = q k^H,  p = softmax(|s|^2 scale + mask),  y = (p drop) v
 *
 * where mask adds mask_value to the keys that a query may not see; a query that may see none attends to all by
 * their raw scores. By head; q [B,H,Lq,d], k [B,H,Lk,d], v [B,H,Lk,e], each as two f32 planes. No array of Lq x
 * Lk elements is kept: the forward pass leaves the largest score and sum_j exp(score - largest) of every row,
 * f32[B,H,Lq], from which the backward pass recomputes p. (Their logarithm alone would do, but p would lose the
 * digits that make the gradient of a row's scores sum to zero.)
 */
#ifndef MOIRE_OPS_ATTEND_H
#define MOIRE_OPS_ATTEND_H

#include "compiler/ir/lower.h"

enum {
  MOIRE__ATTEND_QR,
  MOIRE__ATTEND_QI,
  MOIRE__ATTEND_KR,
  MOIRE__ATTEND_KI,
  MOIRE__ATTEND_VR,
  MOIRE__ATTEND_VI,
  MOIRE__ATTEND_FORWARD, /* operands of attend before valid and rng */
  MOIRE__ATTEND_YR = MOIRE__ATTEND_FORWARD,
  MOIRE__ATTEND_YI,
  MOIRE__ATTEND_LARGEST,
  MOIRE__ATTEND_SUM,
  MOIRE__ATTEND_GR,
  MOIRE__ATTEND_GI,
  MOIRE__ATTEND_BACKWARD,
};

/* A packed batch (attribute packed = 1) leaves out padding: T tokens of B samples stand one after the other,
 * and operands are [1,H,T,d]. Sample b has counts[b] tokens from starts[b] on; tokens[t] = b * length +
 * position says where token t stood, which its random numbers depend on; valid is bool[T]. With last = 1 the
 * only query of a sample is its last position, and q is [B,H,1,d]. */

/* Where the operands are that need not be there; -1: not there. */
typedef struct moire__attend_layout {
  int valid, rng;
  int tokens, starts, counts; /* of a packed batch */
  int n;
} moire__attend_layout;
moire__attend_layout moire__attend_layout_of(const moire__node *node, int first);

/* ---- lowering: blocks of queries against blocks of keys ---- */

typedef struct moire__attend_kernel {
  moire__lowering *l;
  moire__attend_layout layout;
  int64_t heads, queries, keys, d, e, query_block, key_block;
  double scale, mask_value, dropout;
  bool causal, packed;
  moire__loop_value first_token;           /* of the sample, where packed */
  moire__loop_value all_queries, all_keys; /* of the sample: queries and keys, or what a packed sample has */
  moire__loop_value sample, head, first_query, n_queries, first_key, n_keys; /* of the blocks at hand */
  moire__loop_buffer shift; /* of every query of the block: mask_value, or 0 if it may see no key at all */
  moire__loop_buffer packed_k[2]; /* k^T of the block: [d, key_block] */
} moire__attend_kernel;

moire__attend_kernel moire__attend_describe(moire__lowering *l, int first_optional);
/* Samples: the parallel extent is this times heads. */
moire_dim moire__attend_samples(const moire__attend_kernel *k);
/* In the body: takes apart the number of a head of a sample, and finds the sample's tokens. */
void moire__attend_place(moire__attend_kernel *k, moire__loop_value number);
/* How many from `first` on, of at most `block`. */
moire__loop_value moire__attend_block(const moire__attend_kernel *k, moire__loop_value all,
                                      moire__loop_value first, int64_t block);
/* Row `row` of the sample's in a result, counted over the whole result; operand: whose rows they are. */
moire__loop_value moire__attend_row(const moire__attend_kernel *k, int operand, moire__loop_value row);
/* Element offset of (sample, head, row, 0) in an operand's view. */
moire__loop_value moire__attend_base(const moire__attend_kernel *k, const moire__view *view,
                                     moire__loop_value row);
/* packed[c * key_block + j] = x[first_key + j, c] */
void moire__attend_pack(const moire__attend_kernel *k, int32_t value, int64_t width, moire__loop_buffer packed);
/* Fills shift for the block of queries; once, before scores. Its buffer is added by moire__attend_add_shift. */
void moire__attend_add_shift(moire__attend_kernel *k);
void moire__attend_find_shifts(const moire__attend_kernel *k);
/* |s|^2 scale + mask for row m of the query block and key n of the key block (a vector). */
moire__loop_value moire__attend_score(const moire__attend_kernel *k, moire__loop_value m, moire__loop_value n,
                                      moire__loop_value re, moire__loop_value im);
/* The random mask's element there; call only where layout.rng >= 0. */
moire__loop_value moire__attend_drop(const moire__attend_kernel *k, moire__loop_value m, moire__loop_value n);

/* ops/lower_source.c: an element of a random mask, 0 or 1 / (1 - p). */
moire__loop_value moire__lower_mask_element(moire__lowering *l, int32_t rng, double p, int64_t stream,
                                            moire__loop_value element);

#endif
