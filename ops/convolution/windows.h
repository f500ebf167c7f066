/* Windows of a sequence in the frequency domain: what windows_fft and windows_ifft share.
 *
 *   window i of channel c holds x[b, c, i step + t - start], t < kept, zero outside of x, and zeros up to
 *   `points`. Neighbours share kept - step places, so step <= kept <= 2 step, kept <= points.
 */
#ifndef MOIRE_OPS_CONVOLUTION_WINDOWS_H
#define MOIRE_OPS_CONVOLUTION_WINDOWS_H

#include "compiler/ir/op.h"

typedef struct moire__windows {
  int64_t points, step, kept, start, n; /* n windows */
  int64_t channels, length;             /* of x [B, channels, length] */
  double scale;
} moire__windows;

/* Planes re and im of x [B, C, L] as [points, B, n, C], and back; attributes of `w`, channels and length those
 * of the operand or, going back, `length`. */
void moire__windows_transform(moire_value re, moire_value im, const moire__windows *w, moire_value y[2]);
void moire__windows_join(moire_value re, moire_value im, const moire__windows *w, moire_value x[2]);

/* Of a node of either op, whose x and y have these shapes. */
moire__windows moire__windows_of(const moire__node *node, const moire_shape *x, const moire_shape *y);
/* Where both are values of g. */
moire__windows moire__windows_in(const moire_graph *g, const moire__node *node);

#endif
