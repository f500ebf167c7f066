/* Which way a convolution takes: shapes, types and what is turned off decide, when composites are expanded. */
#include "ops/convolution/convolution.h"
#include "ops/parts.h"
#include "ops/support.h"

static bool is_complex(moire_value x) { return moire_value_dtype(x) == MOIRE_C64; }

/* y plus a number for each channel */
static moire_value add_bias(const moire__conv *k, moire_value y, moire_value bias) {
  moire_shape column = {.rank = k->axes + 1, .dims = {k->groups * k->out, 1, 1}};
  y = moire_add(y, moire_reshape(bias, column));
  moire__graph_name(y, "bias");
  return y;
}

/* Windows that do not overlap, without gaps: x is the product's operand as it lies. */
static bool is_tiled(const moire__conv *k) {
  for (int i = 0; i < k->axes; i++) {
    const moire__conv_axis *a = &k->axis[i];
    bool tiles =
        (a->dilation == 1 || a->taps == 1) && (a->stride == a->taps || (a->places == 1 && !k->transposed));
    if (!tiles) return false;
  }
  return true;
}

/* Do lanes, places of a tile and the local copy of a window have a good size, and is the gradient of x, or a
 * transposed convolution, made of few parts? */
static bool can_be_direct(const moire__conv *k) {
  enum { FEW_CHANNELS = 8, FEW_PLACES = 4, MOST_PHASES = 16, MOST_NUMBERS = 1 << 18 };
  int64_t phases = 1, taps = 1, window = k->in;
  for (int i = 0; i < k->axes; i++) {
    const moire__conv_axis *a = &k->axis[i];
    phases *= a->stride < MOST_PHASES ? a->stride : MOST_PHASES + 1;
    taps *= a->taps;
    int64_t places = i == k->axes - 1 ? a->places < 256 ? a->places : 256 : 1,
            step = k->transposed ? 1 : a->stride;
    int64_t reach = (places - 1) * step + (a->taps - 1) * a->dilation + 1;
    window = reach > MOST_NUMBERS || window > MOST_NUMBERS ? MOST_NUMBERS + 1 : window * reach;
  }
  const moire__conv_axis *last = &k->axis[k->axes - 1];
  int64_t places = last->places < last->size ? last->places : last->size;
  return phases <= MOST_PHASES && taps > 1 && window <= MOST_NUMBERS && k->out >= FEW_CHANNELS &&
         places >= FEW_PLACES;
}

static moire_value product(const moire__expand *c, const moire__conv *k, moire_value x, moire_value w) {
  bool both = is_complex(x) && is_complex(w), single = moire_value_dtype(x) != MOIRE_F64;
  bool off = c->off >> MOIRE_OPTIMIZATION_windows & 1;
  if (!off && single && !c->bf16 && !is_tiled(k)) {
    if (both && moire__conv_spectral_cost(k, moire_value_dim(x, 0)) > 0) return moire__conv_spectral(k, x, w);
    if (can_be_direct(k)) return moire__conv_direct(k, !(c->off >> MOIRE_OPTIMIZATION_triple & 1), x, w);
  }
  return k->transposed ? moire__conv_folded(k, x, w) : moire__conv_unfolded(k, x, w);
}

static void expand(moire__expand *c) {
  moire_shape x = moire_value_shape(c->operands[0]), w = moire_value_shape(c->operands[1]);
  moire__conv k = moire__conv_of(c->node, &x, &w);
  moire_value y = product(c, &k, c->operands[0], c->operands[1]);
  c->results[0] = c->n_operands == 3 ? add_bias(&k, y, c->operands[2]) : y;
}

void moire__conv1d_expand(moire__expand *c) { expand(c); }
void moire__conv2d_expand(moire__expand *c) { expand(c); }
void moire__conv_transpose1d_expand(moire__expand *c) { expand(c); }
void moire__conv_transpose2d_expand(moire__expand *c) { expand(c); }
