/* A convolution as correlations of real numbers, which read the window where it lies.
 *
 * A complex one is three real ones, or four where that is turned off:
 *
 *   (x + iy)(u + iv) = (p - q) + i (r - p - q)        p = x u,   q = y v,   r = (x + y)(u + v)
 */
#include "ops/convolution/convolution.h"

#include "ops/convolution/correlate.h"

static moire__correlation geometry(const moire__conv *k, moire_dim batch) {
  moire__correlation c = {.axes = k->axes, .groups = k->groups, .in = k->in, .out = k->out, .batch = batch};
  c.axis[0] = (moire__correlate_axis){1, 1, 1, 1, 0, 1};
  for (int i = 0; i < k->axes; i++) {
    const moire__conv_axis *a = &k->axis[i];
    c.axis[2 - k->axes + i] =
        (moire__correlate_axis){a->size, a->taps, a->stride, a->dilation, a->padding, a->places};
  }
  if (!k->transposed) return c;
  for (int d = 0; d < 2; d++) { /* of the convolution whose adjoint it is */
    int64_t size = c.axis[d].size;
    c.axis[d].size = c.axis[d].places;
    c.axis[d].places = size;
  }
  c.in = k->out;
  c.out = k->in;
  return c;
}

static moire_value real_one(const moire__conv *k, moire_value x, moire_value w) {
  moire__correlation c = geometry(k, moire_value_dim(x, 0));
  return k->transposed ? moire__correlate_adjoint(&c, x, w) : moire__emit_correlate(&c, x, w);
}

moire_value moire__conv_direct(const moire__conv *k, bool three, moire_value x, moire_value w) {
  bool x_complex = moire_value_dtype(x) == MOIRE_C64, w_complex = moire_value_dtype(w) == MOIRE_C64;
  if (!x_complex && !w_complex) return real_one(k, x, w);
  if (!x_complex) return moire_complex(real_one(k, x, moire_real(w)), real_one(k, x, moire_imag(w)));
  if (!w_complex) return moire_complex(real_one(k, moire_real(x), w), real_one(k, moire_imag(x), w));
  moire_value re = moire_real(x), im = moire_imag(x), u = moire_real(w), v = moire_imag(w);
  moire_value p = real_one(k, re, u), q = real_one(k, im, v);
  if (!three) return moire_complex(moire_sub(p, q), moire_add(real_one(k, re, v), real_one(k, im, u)));
  moire_value r = real_one(k, moire_add(re, im), moire_add(u, v));
  return moire_complex(moire_sub(p, q), moire_sub(r, moire_add(p, q)));
}
