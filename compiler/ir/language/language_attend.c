/* Attention in the planes that its kernels take. See language_attend.h. */
#include "compiler/ir/language/language_attend.h"

/* A complex value's planes side by side, as a real one of twice the width. */
static moire_value side_by_side(moire_value x) {
  moire_value planes[] = {moire_real(x), moire_imag(x)};
  return moire_concat(planes, 2, 3);
}

int moire__attend_planes(const moire_value qkv[3], bool waves, moire_value *x) {
  int n = 0;
  for (int i = 0; i < 3; i++) {
    bool own = moire__is_complex(qkv[i]);
    bool both = i == 2 ? own : moire__is_complex(qkv[0]) && moire__is_complex(qkv[1]);
    if (waves) {
      x[n++] = moire_real(qkv[i]);
      x[n++] = moire_imag(qkv[i]);
    } else {
      x[n++] = both ? side_by_side(qkv[i]) : own ? moire_real(qkv[i]) : qkv[i];
    }
  }
  return n;
}

moire_value moire__attend_by_head(moire_value v, bool waves, moire_value re, moire_value im) {
  if (waves) im = moire_swap_axes(im, 1, 2);
  re = moire_swap_axes(re, 1, 2);
  if (!moire__is_complex(v)) return re;
  if (waves) return moire_complex(re, im);
  int64_t e = moire_value_dim(v, 3);
  return moire_complex(moire_slice(re, 3, 0, e), moire_slice(re, 3, e, e));
}
