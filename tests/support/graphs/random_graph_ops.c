/* Random steps: element-wise ops, complex numbers, rows, products and sequences. */
#include "tests/support/graphs/random_graph_private.h"

#include <math.h>

/* ---- element-wise ---------------------------------------------------------------------------------------- */

static void positive_unary(maker *m, const pooled *p) {
  double low = p->low, high = p->high;
  switch (random_below(m, 4)) {
    case 0: random_put(m, moire_log(p->v), log(low), log(high)); return;
    case 1: random_put(m, moire_sqrt(p->v), sqrt(low), sqrt(high)); return;
    case 2: random_put(m, moire_rsqrt(p->v), 1 / sqrt(high), 1 / sqrt(low)); return;
    default: {
      double e = random_between(m, -2, 2), a = pow(low, e), b = pow(high, e);
      moire_value exponent = moire_constant(m->g, MOIRE_F32, moire_value_shape(p->v), e);
      random_put(m, moire_pow(p->v, exponent), fmin(a, b), fmax(a, b));
    }
  }
}

/* Makes a positive value of any. */
static void make_positive(maker *m, const pooled *p) {
  double size = random_size(p);
  switch (random_below(m, 3)) {
    case 0: random_put(m, moire_add_scalar(moire_mul(p->v, p->v), 0.25), 0.25, 0.25 + size * size); return;
    case 1: random_put(m, moire_add_scalar(moire_abs(p->v), 0.5), 0.5, 0.5 + size); return;
    default: {
      double factor = 2 / fmax(size, 1);
      random_put(m, moire_exp(moire_scale(p->v, factor)), 0.13, 7.4);
    }
  }
}

void random_unary(maker *m) {
  const pooled *p = random_pick(m, random_is_f32, 0);
  if (!p) return;
  moire_value x = p->v;
  double low = p->low, high = p->high, size = random_size(p);
  switch (random_below(m, 24)) {
    case 0: random_put(m, moire_neg(x), -high, -low); return;
    case 1: random_put(m, moire_abs(x), low > 0 ? low : 0, size); return;
    case 2: random_put(m, moire_relu(x), fmax(low, 0), fmax(high, 0)); return;
    case 3: random_put(m, moire_tanh(x), tanh(low), tanh(high)); return;
    case 4: random_put(m, moire_sigmoid(x), 1 / (1 + exp(-low)), 1 / (1 + exp(-high))); return;
    case 5: random_put_symmetric(m, moire_sin(x), 1); return;
    case 6: random_put_symmetric(m, moire_cos(x), 1); return;
    case 7: random_put(m, moire_erf(x), erf(low), erf(high)); return;
    case 8: random_put(m, moire_gelu(x), -0.2, fmax(high, 0.1)); return;
    case 9: random_put(m, moire_silu(x), -0.3, fmax(high, 0.1)); return;
    case 10: random_put(m, moire_softplus(x), log1p(exp(low)), log1p(exp(high))); return;
    case 11:
      if (high < 4) random_put(m, moire_exp(x), exp(low), exp(high));
      return;
    case 12: random_put(m, moire_stop_gradient(x), low, high); return;
    case 13: {
      double factor = random_between(m, -2, 2);
      random_put(m, moire_scale(x, factor), fmin(low * factor, high * factor),
                 fmax(low * factor, high * factor));
      return;
    }
    case 14: {
      double term = random_between(m, -2, 2);
      random_put(m, moire_add_scalar(x, term), low + term, high + term);
      return;
    }
    case 15:
      random_put(m, moire_cast(moire_cast(x, MOIRE_BF16), MOIRE_F32), low - size / 100, high + size / 100);
      return;
    case 16: random_put(m, moire_mul(x, x), 0, size * size); return;
    case 17: random_put(m, moire_dropout(x, 0.25), fmin(low * 1.4, 0), fmax(high * 1.4, 0)); return;
    case 18:
    case 19: make_positive(m, p); return;
    default: {
      const pooled *q = random_pick(m, random_is_positive, 0);
      if (q) positive_unary(m, q);
    }
  }
}

static bool broadcasts(const pooled *a, const pooled *b) {
  moire_shape x = moire_value_shape(a->v), y = moire_value_shape(b->v), all = x.rank > y.rank ? x : y;
  for (int i = 1; i <= x.rank && i <= y.rank; i++) {
    moire_dim p = x.dims[x.rank - i], q = y.dims[y.rank - i];
    if (p != q && p != 1 && q != 1) return false;
    all.dims[all.rank - i] = p == 1 ? q : p;
  }
  return random_fits(&all);
}

/* Another value that broadcasts with p; NULL if there is none at hand. */
static const pooled *partner(maker *m, const pooled *p, random_filter *filter) {
  for (int i = 0; i < 12; i++) {
    const pooled *q = random_pick(m, filter, 0);
    if (q && broadcasts(p, q)) return q;
  }
  return NULL;
}

static void complex_binary(maker *m, const pooled *p, const pooled *q) {
  double a = random_size(p), b = random_size(q);
  switch (random_below(m, 3)) {
    case 0: random_put_symmetric(m, moire_add(p->v, q->v), a + b); return;
    case 1: random_put_symmetric(m, moire_sub(p->v, q->v), a + b); return;
    default: random_put_symmetric(m, moire_mul(p->v, q->v), 2 * a * b);
  }
}

void random_binary(maker *m) {
  const pooled *p = random_pick(m, random_is_number, 0);
  const pooled *q = p ? partner(m, p, random_is_number) : NULL;
  if (!q) return;
  if (random_is_complex(p) || random_is_complex(q)) {
    complex_binary(m, p, q);
    return;
  }
  double a = p->low, b = p->high, c = q->low, d = q->high;
  switch (random_below(m, 9)) {
    case 0:
    case 1: random_put(m, moire_add(p->v, q->v), a + c, b + d); return;
    case 2: random_put(m, moire_sub(p->v, q->v), a - d, b - c); return;
    case 3:
    case 4: {
      double products[] = {a * c, a * d, b * c, b * d};
      double low = fmin(fmin(products[0], products[1]), fmin(products[2], products[3]));
      double high = fmax(fmax(products[0], products[1]), fmax(products[2], products[3]));
      random_put(m, moire_mul(p->v, q->v), low, high);
      return;
    }
    case 5: random_put(m, moire_max_of(p->v, q->v), fmax(a, c), fmax(b, d)); return;
    case 6: random_put(m, moire_min_of(p->v, q->v), fmin(a, c), fmin(b, d)); return;
    case 7: random_put_symmetric(m, moire_atan2(p->v, moire_add_scalar(moire_abs(q->v), 0.25)), 3.2); return;
    default:
      q = partner(m, p, random_is_positive);
      if (q) random_put_symmetric(m, moire_div(p->v, q->v), random_size(p) / q->low);
  }
}

static void random_choice(maker *m) {
  const pooled *p = random_pick(m, random_is_f32, 0), *q = p ? partner(m, p, random_is_f32) : NULL;
  const pooled *yes = p ? partner(m, p, random_is_number) : NULL,
               *no = yes ? partner(m, yes, random_is_number) : NULL;
  if (!q || !no || !broadcasts(p, no) || !broadcasts(q, yes) || !broadcasts(q, no)) return;
  if (random_rank(p) + random_rank(q) + random_rank(yes) + random_rank(no) > 12) return;
  const pooled *c = random_pick(m, random_is_bool, 0);
  bool given = c && random_chance(m, 60) && broadcasts(c, yes) && broadcasts(c, no);
  moire_value condition = given                  ? c->v
                          : random_chance(m, 50) ? moire_less(p->v, q->v)
                                                 : moire_less_equal(p->v, q->v);
  moire_value y = moire_where(condition, yes->v, no->v);
  random_put(m, y, fmin(yes->low, no->low), fmax(yes->high, no->high));
}

void random_compare(maker *m) {
  const pooled *p = random_pick(m, random_is_f32, 0);
  const pooled *q = p ? partner(m, p, random_is_f32) : NULL;
  const pooled *c = random_pick(m, random_is_bool, 0);
  switch (random_below(m, 6)) {
    case 0:
      if (q) random_put(m, moire_less(p->v, q->v), 0, 1);
      return;
    case 1:
      if (q) random_put(m, moire_less_equal(p->v, q->v), 0, 1);
      return;
    case 2: {
      const pooled *i = random_pick(m, random_is_int, 0), *j = i ? partner(m, i, random_is_int) : NULL;
      if (j) random_put(m, random_chance(m, 50) ? moire_equal(i->v, j->v) : moire_less(i->v, j->v), 0, 1);
      return;
    }
    case 3: {
      const pooled *d = c ? partner(m, c, random_is_bool) : NULL;
      if (d) random_put(m, moire_and(c->v, d->v), 0, 1);
      return;
    }
    case 4:
      if (c) random_put(m, moire_not(c->v), 0, 1);
      return;
    default: random_choice(m);
  }
}

void random_integer(maker *m) {
  const pooled *p = random_pick(m, random_is_int, 0), *q = p ? partner(m, p, random_is_int) : NULL;
  const pooled *c = random_pick(m, random_is_bool, 0), *x = random_pick(m, random_is_f32, 0);
  switch (random_below(m, 5)) {
    case 0:
      if (q && random_size(p) + random_size(q) < 1e6)
        random_put(m, moire_add(p->v, q->v), p->low + q->low, p->high + q->high);
      return;
    case 1:
      if (q && random_size(p) * random_size(q) < 1e6)
        random_put_symmetric(m, moire_mul(p->v, q->v), random_size(p) * random_size(q));
      return;
    case 2:
      if (p) random_put(m, moire_scale(moire_cast(p->v, MOIRE_F32), 0.125), p->low / 8, p->high / 8);
      return;
    case 3:
      if (c) random_put(m, moire_cast(c->v, random_chance(m, 50) ? MOIRE_F32 : MOIRE_I32), 0, 1);
      return;
    default:
      if (x) random_put(m, moire_cast(moire_scale(x->v, 3), MOIRE_I32), 3 * x->low - 1, 3 * x->high + 1);
  }
}

/* ---- complex --------------------------------------------------------------------------------------------- */

static void join_planes(maker *m) {
  const pooled *p = random_pick(m, random_is_f32, 0), *q = random_pick(m, random_is_f32, 0);
  if (!p || !q) return;
  double size = fmax(random_size(p), random_size(q));
  moire_shape a = moire_value_shape(p->v), b = moire_value_shape(q->v);
  if (moire__shape_equal(&a, &b)) {
    random_put_symmetric(m, moire_complex(p->v, q->v), size);
  } else {
    moire_value im = random_chance(m, 50) ? moire_sin(p->v) : moire_scale(p->v, -0.5);
    random_put_symmetric(m, moire_complex(p->v, im), fmax(random_size(p), 1));
  }
}

void random_complex_step(maker *m) {
  const pooled *z = random_pick(m, random_is_complex, 0);
  if (!z || random_chance(m, 25)) {
    join_planes(m);
    return;
  }
  double size = random_size(z);
  switch (random_below(m, 10)) {
    case 0: random_put(m, moire_real(z->v), z->low, z->high); return;
    case 1: random_put(m, moire_imag(z->v), z->low, z->high); return;
    case 2: random_put_symmetric(m, moire_conj(z->v), size); return;
    case 3: random_put(m, moire_abs2(z->v), 0, 2 * size * size); return;
    case 4: random_put(m, moire_sqrt(moire_add_scalar(moire_abs2(z->v), 0.1)), 0.3, 1 + 2 * size); return;
    case 5: random_put_symmetric(m, moire_gelu(z->v), size); return;
    case 6: random_put_symmetric(m, moire_mul(z->v, moire_conj(z->v)), 2 * size * size); return;
    case 7: {
      const pooled *p = random_pick(m, random_is_f32, 0);
      if (p) random_put_symmetric(m, moire_polar(p->v, moire_sin(p->v)), random_size(p));
      return;
    }
    case 8: random_put_symmetric(m, moire_dropout(z->v, 0.5), 2 * size); return;
    default: random_put_symmetric(m, random_chance(m, 50) ? moire_neg(z->v) : moire_scale(z->v, -0.75), size);
  }
}

/* ---- rows and sequences ---------------------------------------------------------------------------------- */

void random_row(maker *m) {
  const pooled *p = random_pick(m, random_is_f32, 1);
  if (!p) return;
  moire_shape shape = moire_value_shape(p->v);
  moire_dim last = shape.dims[shape.rank - 1];
  double size = random_size(p);
  switch (random_below(m, 4)) {
    case 0: random_put(m, moire_softmax(p->v), 0, 1); return;
    case 1: random_put(m, moire_log_softmax(p->v), -2 * size - 6, 0); return;
    case 2: {
      if (!random_static(last)) return;
      moire_value w = random_parameter(m, MOIRE_SHAPE(last)), b = random_parameter(m, MOIRE_SHAPE(last));
      random_put_symmetric(m, moire_layer_norm(p->v, w, b, random_chance(m, 50) ? 0.1 : 0.01), 4);
      return;
    }
    default: {
      if (shape.rank < 2 || shape.rank > 3 || !random_static(last)) return;
      moire_value x = shape.rank == 3 ? moire_mean(p->v, 1, false) : p->v, none = {m->g, 0};
      x = moire_linear(x, random_parameter(m, MOIRE_SHAPE(m->rows, last)), none);
      moire_value targets = random_rows(m, MOIRE_SHAPE(shape.dims[0]));
      random_put(m, moire_cross_entropy(x, targets), 0, 2 * size * (double)last + 6);
    }
  }
}

void random_sequence(maker *m) {
  const pooled *p = random_pick(m, random_is_number, 3);
  if (!p || random_rank(p) != 3 || !random_static(random_dim(p, 1)) || !random_static(random_dim(p, 2))) return;
  moire_dim channels = random_dim(p, 2);
  int64_t taps = 1 + random_below(m, 5), dilation = 1 + random_below(m, 3);
  double size = 4 * random_size(p);
  if (random_is_f32(p) && random_chance(m, 50)) {
    moire_value weights[3];
    int64_t dilations[3];
    int n = 1 + random_below(m, 3);
    for (int i = 0; i < n; i++) {
      weights[i] = random_complex_parameter(m, MOIRE_SHAPE(channels, 1, 1 + random_below(m, 4)));
      dilations[i] = 1 + random_below(m, 3);
    }
    bool together = random_chance(m, 40);
    moire_value y = together ? moire_band_bank(p->v, weights, dilations, n)
                             : moire_filter_bank(p->v, weights, dilations, n);
    random_put_symmetric(m, y, 2 * size);
    return;
  }
  moire_shape shape = MOIRE_SHAPE(channels, 1, taps);
  bool complex = random_is_complex(p) || random_chance(m, 30);
  moire_value w = complex ? random_complex_parameter(m, shape) : random_parameter(m, shape);
  if (complex && !random_is_complex(p)) {
    random_put_symmetric(m, moire_filter_bank(p->v, &w, &dilation, 1), size);
    return;
  }
  random_put_symmetric(m, moire_depthwise_conv(p->v, w, dilation), size);
}

/* Of any length, in any direction; now and then of a real value. */
static void complex_transform(maker *m) {
  const pooled *p = random_pick(m, random_is_number, 1);
  if (!p || random_rank(p) < 1) return;
  int axis = random_below(m, random_rank(p));
  int64_t n = random_static(random_dim(p, axis));
  if (n < 1 || n > 200) return;
  static const moire_norm norms[] = {MOIRE_NORM_BACKWARD, MOIRE_NORM_ORTHO, MOIRE_NORM_FORWARD};
  moire_norm norm = norms[random_below(m, 3)];
  bool inverse = random_chance(m, 50);
  moire_value y = inverse ? moire_ifft(p->v, axis, norm) : moire_fft(p->v, axis, norm);
  random_put_symmetric(m, y, random_size(p) * 2 * (double)n);
}

void random_transform(maker *m) {
  if (random_chance(m, 50)) {
    complex_transform(m);
    return;
  }
  bool back = random_chance(m, 50);
  const pooled *p = random_pick(m, back ? random_is_complex : random_is_f32, 1);
  if (!p) return;
  int axis = random_below(m, random_rank(p));
  int64_t n = random_static(random_dim(p, axis));
  if (n < 1 || n > 100) return;
  double size = random_size(p) * 2 * sqrt((double)n);
  if (!back) {
    random_put_symmetric(m, moire_rfft(p->v, axis), size);
    return;
  }
  int64_t length = 2 * (n - 1) + random_below(m, 2);
  if (length > 0) random_put_symmetric(m, moire_irfft(p->v, axis, length), size);
}

/* h_t = a_t h_{t-1} + b_t with |a| < 1/2, given per step or fixed; real, complex, or one of each. */
static void linear_scan(maker *m, const pooled *p) {
  moire_dim width = random_dim(p, 2);
  bool complex = random_chance(m, 40);
  moire_value a = random_chance(m, 50) ? p->v : random_parameter(m, MOIRE_SHAPE(width));
  if (moire_value_dtype(a) != MOIRE_C64)
    a = moire_scale(moire_tanh(a), 0.4);
  else
    a = moire_scale(moire_polar(moire_tanh(moire_real(a)), moire_imag(a)), 0.4);
  if (complex && moire_value_dtype(a) != MOIRE_C64) a = moire_polar(a, random_parameter(m, MOIRE_SHAPE(width)));
  random_put_symmetric(m, moire_linear_scan(a, p->v), 3 * random_size(p));
}

void random_scan(maker *m) {
  const pooled *any = random_pick(m, random_is_number, 3);
  bool fits = any && random_rank(any) == 3 && random_static(random_dim(any, 2));
  if (fits && random_chance(m, 50)) {
    linear_scan(m, any);
    return;
  }
  const pooled *p = random_pick(m, random_is_f32, 3);
  if (!p || random_rank(p) != 3 || !random_static(random_dim(p, 1)) || !random_static(random_dim(p, 2))) return;
  moire_dim width = random_dim(p, 2);
  int64_t n = 1 + random_below(m, 5);
  double size = random_size(p);
  moire_value none = {m->g, 0};
  moire_value a = random_parameter(m, MOIRE_SHAPE(width, n));
  a = moire_neg(moire_add_scalar(moire_mul(a, a), 0.2));
  moire_value dt = moire_sigmoid(moire_linear(p->v, random_parameter(m, MOIRE_SHAPE(width, width)), none));
  moire_value b = moire_tanh(moire_linear(p->v, random_parameter(m, MOIRE_SHAPE(n, width)), none));
  moire_value c = moire_tanh(moire_linear(p->v, random_parameter(m, MOIRE_SHAPE(n, width)), none));
  random_put_symmetric(m, moire_selective_scan(p->v, dt, a, b, c), 4 * (double)n * size);
}
