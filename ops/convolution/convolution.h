/* Convolutions over one and two axes as PyTorch has them: geometry, and the ways in which they are computed.
 *
 *   conv             y[b, g out + o, i] = bias + sum_{c, r} w[g out + o, c, r] x[b, g in + c, i stride + r
 * dilation - padding] conv_transpose   y[b, g out + o, i stride + r dilation - padding] += w[g in + c, o, r]
 * x[b, g in + c, i]
 *
 * conv1d, conv2d, conv_transpose1d and conv_transpose2d are composites; docs/products.md says which way each
 * takes.
 */
#ifndef MOIRE_OPS_CONVOLUTION_CONVOLUTION_H
#define MOIRE_OPS_CONVOLUTION_CONVOLUTION_H

#include "compiler/ir/op.h"

/* One axis; x has `size` places and y `places`. */
typedef struct moire__conv_axis {
  int64_t size, taps, stride, padding, dilation, places;
} moire__conv_axis;

typedef struct moire__conv {
  int axes;
  moire__conv_axis axis[2];
  int64_t groups, in, out; /* channels of a group */
  bool transposed;
} moire__conv;

/* Of a node that inference has accepted, with operands of these shapes. */
moire__conv moire__conv_of(const moire__node *node, const moire_shape *x, const moire_shape *w);

/* Inference's part: checks operands and attributes, and gives the geometry. */
moire_status moire__conv_infer(moire__infer *c, moire__conv *k);

/* x [B, C, S..], w as the op's -> y without the bias, one of the ways each.
 *   unfolded   the taps of all places beside each other, and one product (of groups: a batched one)
 *   folded     transposed: one product, whose taps are added up
 *   spectral   one axis, complex: a product for each frequency of overlapping windows
 *   direct     correlate (correlate.h): the window is read where it lies; complex ones as three real ones or
 * four */
moire_value moire__conv_unfolded(const moire__conv *k, moire_value x, moire_value w);
moire_value moire__conv_folded(const moire__conv *k, moire_value x, moire_value w);
moire_value moire__conv_spectral(const moire__conv *k, moire_value x, moire_value w);
moire_value moire__conv_direct(const moire__conv *k, bool three, moire_value x, moire_value w);

/* Numbers that are multiplied for each place and channel of x, as multiply-adds that vectors make; less is
 * better; 0 where it is not possible. */
double moire__conv_spectral_cost(const moire__conv *k, moire_dim batch);

#endif
