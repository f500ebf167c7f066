/* linear_log_softmax_joint, what its files share: the loss and its gradients from scores that are computed
 * once.
 *
 * The rows that count are cut into chunks, MOIRE__HEAD_CHUNKS of about the same number. One chunk after the
 * other goes through
 *
 *   rows        x of the chunk as tiles read it: [blocks of rows][D, rows], and [rows, D]
 *   scores      z = x w^T + bias, a piece a block of words; and of every row the largest of the block, in
 * powers of two, and the sum of 2^(z scale - it), for each softmax finish      these together: power and sum of
 * the row, y and lse gradients   g = d z, a piece some blocks of words: dw = dw + g^T x, dbias; and g w, summed
 * up over the words of the piece sum         dx, the sum over the pieces
 *
 * All scores of a chunk stand in memory, an eighth of the logits. So there are three products, where gradients
 * that do not know the scores take a fourth (lower_head_forward.c, lower_head_backward.c).
 *
 * Rows come in units of 16, lines of a cache: z [unit][word][16], what is kept of softmaxes [unit][..][16]. */
#ifndef MOIRE_OPS_HEAD_JOINT_H
#define MOIRE_OPS_HEAD_JOINT_H

#include "ops/head/head.h"

typedef struct moire__joint {
  moire__head h;
  double per_temperature[MOIRE__HEAD_SOFTMAXES];
  int64_t chunks, blocks; /* of rows; of words */
  int64_t width_pitch;    /* D and so much more that columns meet all sets of a cache */
  int64_t piece, pieces;  /* of the gradients: blocks of words of one, and how many there are */
  int chunk;              /* at hand */
  bool wants_dx, wants_dw, wants_dbias;
  /* Extra buffers. */
  int bounds;          /* i32: the first row of each chunk, in the order, the end, rows of a whole chunk */
  int across, along;   /* x: [block][D][rows], [rows][D] */
  int scores;          /* z */
  int peaks, sums;     /* [unit][softmax][block of words][16] */
  int powers, factors; /* [unit][softmax][16]: the row's power; -share / temperature / its sum */
  int parts;           /* of dx: [piece][rows][D] */
  /* In the kernel at hand. */
  moire__loop_value begin, end, most; /* rows of the chunk, and of a whole one */
} moire__joint;

/* ops/head/joint.c */
moire__loop_buffer moire__joint_extra(const moire__joint *f, int extra, moire__buffer_role role);
/* Adds the bounds of chunks to the kernel's parameters; and reads those of the chunk at hand. */
moire__loop_buffer moire__joint_add_bounds(const moire__joint *f);
void moire__joint_read_bounds(moire__joint *f, moire__loop_buffer bounds);
/* As many as there are, at most, of what comes `each` in a unit of rows of a chunk. */
moire_dim moire__joint_capacity(const moire__joint *f, int64_t each);
/* Units of n rows. */
moire__loop_value moire__joint_units(const moire__joint *f, moire__loop_value n);
/* ((unit * middle + at) * 16 + lane) */
moire__loop_value moire__joint_at(const moire__joint *f, moire__loop_value unit, int64_t middle,
                                  moire__loop_value at, moire__loop_value lane);
/* Opens the loop over the 16 rows of a unit. */
moire__loop_value moire__joint_lanes(const moire__joint *f);

/* ops/head/lower_joint_scores.c: the kernels of the chunk at hand, each begun with its name. */
void moire__joint_rows(moire__joint *f, const char *name);
void moire__joint_scores(moire__joint *f, const char *name);
void moire__joint_finish(moire__joint *f, const char *name);
/* ops/head/lower_joint_gradients.c */
void moire__joint_gradients(moire__joint *f, const char *name);
void moire__joint_sum(moire__joint *f, const char *name);

#endif
