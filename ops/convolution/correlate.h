/* correlate and correlate_weight: the products of a window that moves over one or two axes, for real numbers,
 * with the window read where it lies.
 *
 *   correlate          y[b, g N + n, i, j] = sum_{c, r, s} w[g N + n, c, r, s]
 *                                            x[b, g C + c, i stride + r dilation - start, ..]
 *   correlate_weight   v[g, c, r, s, n] = sum_{b, i, j} x[b, g C + c, ..] y[b, g N + n, i, j]
 *
 * x is zero outside; how many places i, j there are is free, and a start may be negative. With `flipped`, w[g C
 * + c, n, last - r, last - s] stands for w[g N + n, c, r, s]: so the gradient of x is a correlation, too.
 */
#ifndef MOIRE_OPS_CONVOLUTION_CORRELATE_H
#define MOIRE_OPS_CONVOLUTION_CORRELATE_H

#include "compiler/ir/loop/lower.h"
#include "compiler/ir/op.h"

typedef struct moire__correlate_axis {
  int64_t size, taps, stride, dilation, start, places;
} moire__correlate_axis;

typedef struct moire__correlation {
  int axes;
  moire__correlate_axis axis[2]; /* of one axis: the second; the first has one place, one tap */
  int64_t groups, in, out;       /* channels of a group */
  bool flipped;
  moire_dim batch;
} moire__correlation;

/* Of a node of either op, whose operands have these shapes. */
moire__correlation moire__correlate_of(const moire__node *node, const moire_shape *x, const moire_shape *other);
/* Where they are values of g. */
moire__correlation moire__correlate_in(const moire_graph *g, const moire__node *node);

/* Makes the nodes: x, w and the places, taps and sizes are those of `k`. */
moire_value moire__emit_correlate(const moire__correlation *k, moire_value x, moire_value w);
moire_value moire__emit_correlate_weight(const moire__correlation *k, moire_value x, moire_value y);

/* y [B, groups in, places..] spread to where `k` found the numbers of a place: the adjoint of correlate by its
 * first operand, [B, groups in, sizes..]; w is the same. */
moire_value moire__correlate_adjoint(const moire__correlation *k, moire_value y, moire_value w);

/* ---- bands: what a piece keeps in local memory ----------------------------------------------------------- */

/* Places of y that are computed at once: whole rows, or a part of one. */
typedef struct moire__band {
  int64_t rows, columns;                     /* places */
  int64_t n_rows, n_columns;                 /* bands that y is made of */
  int64_t x_rows, x_columns;                 /* of the local copy of x */
  int64_t plane;                             /* from a channel of the copy to the next */
  moire__loop_buffer x;                      /* local */
  moire__loop_value row, column;             /* where the band begins in y */
  moire__loop_value rows_here, columns_here; /* of which y has so many */
} moire__band;

/* The sizes; `channels` of x are copied, and `width` numbers are kept for a place. */
moire__band moire__band_choose(const moire__lowering *l, const moire__correlation *k, int64_t channels,
                               int64_t width);
/* Band `number` of a sample. */
void moire__band_place(moire__lowering *l, const moire__correlation *k, moire__band *band,
                       moire__loop_value number);
/* Copies the channels [low, high) of `x`, whose element 0 of channel 0 is at `base`, with zeros around. */
void moire__band_copy(moire__lowering *l, const moire__correlation *k, const moire__band *band,
                      moire__loop_buffer x, moire__loop_value base, moire__loop_value low,
                      moire__loop_value high);
/* Element (i, j) of the copy's window at tap (r, s); indices may be 0 for index 0. */
moire__loop_value moire__band_address(moire__lowering *l, const moire__correlation *k, const moire__band *band,
                                      moire__loop_value channel, const moire__loop_value place[2],
                                      const moire__loop_value tap[2]);

#endif
