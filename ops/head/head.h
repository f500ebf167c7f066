/* The head of a model of many words (items, classes) without its logits: what the files of linear_log_softmax
 * share.
 *
 *   a_s = (x w^T + bias) / temperature_s                   [N, V], never stored; one softmax or two (s)
 *   y[n, k] = ln softmax(a_s[n])[ids[n, k]]                0 where the id is below 0; the first `first` ids are
 * of the first softmax, the others of the second lse[n, s] = ln sum_v exp(a_s[n, v]) mean[n, s] = sum_v
 * softmax(a_s[n])_v w_v               [N, S D], what the gradient of x needs of all words
 *
 * x [N, D], w [V, D], ids i32[N, K], bias [V] or none. With attribute `ignores`, rows of which every id is
 * below 0 are left out: their results are 0, and no time is spent on them.
 *
 * Exponentials are powers of two, 2^(a log2(e) - power) with a whole number `power` in each row: then a block
 * of words that brings a larger one rescales what was summed up before without rounding it, and what a row gets
 * does not depend on how the words were cut into blocks. `power` and `sum`, of the powers of two, [N, S],
 * are results for the backward op, in which softmax(a)_v = 2^(a_v log2(e) - power) / sum.
 */
#ifndef MOIRE_OPS_HEAD_HEAD_H
#define MOIRE_OPS_HEAD_HEAD_H

#include "compiler/ir/loop/lower.h"
#include "ops/product/tiles.h"

/* Where operands stand. The bias is the last, if there is one. Backward: `gradient` is that of y, [N, K], 0
 * where the id is below 0, and `share` [N, S] the sum of it over the ids of a
 * softmax, less the gradient of lse. */
enum { MOIRE__HEAD_X, MOIRE__HEAD_W, MOIRE__HEAD_IDS };
enum { MOIRE__HEAD_POWER = 3, MOIRE__HEAD_SUM, MOIRE__HEAD_MEAN, MOIRE__HEAD_GRADIENT, MOIRE__HEAD_SHARE };
enum { MOIRE__HEAD_OPERANDS = 3, MOIRE__HEAD_BACKWARD_OPERANDS = 8 }; /* without the bias */
/* Results of the forward op, and of the backward op. */
enum { MOIRE__HEAD_Y, MOIRE__HEAD_LSE, MOIRE__HEAD_OF_POWER, MOIRE__HEAD_OF_SUM, MOIRE__HEAD_OF_MEAN };
enum { MOIRE__HEAD_DX, MOIRE__HEAD_DW, MOIRE__HEAD_DBIAS };
/* Of linear_log_softmax_joint, which gives y and lse and, of the same products, the gradients: operands behind
 * ids, and results behind lse. */
enum { MOIRE__HEAD_JOINT_GRADIENT = 3, MOIRE__HEAD_JOINT_SHARE, MOIRE__HEAD_JOINT_OPERANDS };
enum { MOIRE__HEAD_JOINT_DX = 2, MOIRE__HEAD_JOINT_DW, MOIRE__HEAD_JOINT_DBIAS };
enum { MOIRE__HEAD_SOFTMAXES = 2 };

/* The least `power`, of rows whose every word has -infinity; and that of a row: at least `a`, in powers of two.
 */
#define MOIRE__HEAD_LEAST (-0x1p100)
#define MOIRE__HEAD_LN_2 0.6931471805599453

/* The number of the operand that is the bias, or -1. */
static inline int moire__head_bias(const moire__node *node, int without) {
  return node->n_operands > without ? without : -1;
}

/* The softmaxes of a node: how many, their temperatures, and how many ids are of the first. */
typedef struct moire__head_softmaxes {
  int n;
  double temperature[MOIRE__HEAD_SOFTMAXES];
  int64_t first;
} moire__head_softmaxes;

static inline moire__head_softmaxes moire__head_softmaxes_of(const moire__node *node, int64_t ids) {
  moire__head_softmaxes s = {.n = 1, .temperature = {moire__node_real(node, "temperature")}, .first = ids};
  if (!moire__node_attr(node, "second_temperature")) return s;
  s.n = 2;
  s.temperature[1] = moire__node_real(node, "second_temperature");
  s.first = moire__node_int(node, "first");
  return s;
}

/* ---- lowering (ops/head/lower_head.c) -------------------------------------------------------------------- */

typedef struct moire__head {
  moire__lowering *l;
  const moire__node *node;
  moire__view x, w;
  moire_dim rows;            /* N */
  int64_t words, width, ids; /* V, D, K */
  int bias;                  /* operand, -1: none */
  bool bf16, ignores;
  moire__head_softmaxes softmaxes;
  double scale[MOIRE__HEAD_SOFTMAXES];   /* log2(e) / temperature */
  int64_t row_block, word_block;         /* rows of a piece, and of a block; words of one */
  int64_t row_stride, word_stride;       /* of arrays of so many in local memory: an odd number of vectors */
  int order, count;                      /* extra buffers: rows, those that count first, and how many; -1 */
  moire__loop_buffer order_at, count_at; /* in the kernel at hand */
} moire__head;

/* The scores of so many chunks of the rows, one after the other, are kept by linear_log_softmax_joint; rows are
 * in units of a line of a cache (ops/head/joint.h). */
enum { MOIRE__HEAD_CHUNKS = 8, MOIRE__HEAD_UNIT = 16 };

moire__head moire__head_describe(moire__lowering *l, int bias);
/* The kernel that finds the order of rows, if rows may be left out. It ends with the op's own kernel begun. */
void moire__head_order(moire__head *h);
/* Adds what tells the order to the kernel's parameters. */
void moire__head_add_order(moire__head *h);
/* How many rows count; the row that stands at place `at` of the order. */
moire__loop_value moire__head_count(const moire__head *h);
moire__loop_value moire__head_row(const moire__head *h, moire__loop_value at);

moire__loop_value moire__head_index(const moire__head *h, int64_t value);
/* row * stride + column. */
moire__loop_value moire__head_at(const moire__head *h, moire__loop_value row, int64_t stride,
                                 moire__loop_value column);
/* Element `at` of an operand that lies as it is. */
moire__loop_value moire__head_load(const moire__head *h, int operand, moire__loop_value at);
/* The id of row `row` and number `k`, i64. */
moire__loop_value moire__head_id(const moire__head *h, moire__loop_value row, moire__loop_value k);
/* bool: is any of the row's ids among the words from `first_word` on? Looked for a vector at a time. */
moire__loop_value moire__head_some_inside(const moire__head *h, moire__loop_value row,
                                          moire__loop_value first_word, moire__loop_value n_words);
/* A matrix of one plane in a buffer, or words of w from `first` on. */
moire__tile_matrix moire__head_matrix(const moire__head *h, moire__loop_buffer buffer, int64_t row,
                                      int64_t column);
moire__tile_matrix moire__head_words(const moire__head *h, moire__loop_value first);
/* Tiles of `m` rows, at most `most`, and all of n and k, which have these extents. */
void moire__head_multiply(const moire__head *h, moire__tiles *t, moire__loop_value m, int64_t most, int64_t n,
                          moire__loop_value k, int64_t most_k);
/* How many of `size` are left from `first` on. */
moire__loop_value moire__head_left(const moire__head *h, moire__loop_value all, moire__loop_value first,
                                   int64_t size);
/* The loop over vectors of [0, n). */
moire__loop_value moire__head_vectors(const moire__head *h, int64_t n);

#endif
