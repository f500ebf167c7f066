/* Random steps: functions, places, rows and losses that are written in terms of others, and the ops below them.
 */
#include "tests/support/graphs/random_graph_private.h"

#include <math.h>

static void random_real_function(maker *m, const pooled *p) {
  moire_value x = p->v;
  double low = p->low, high = p->high, size = random_size(p);
  switch (random_below(m, 8)) {
    case 0: random_put(m, moire_leaky_relu(x, 0.2), fmin(low, 0), fmax(high, 0)); return;
    case 1: random_put(m, moire_elu(x, 1), -1, fmax(high, 0)); return;
    case 2:
      if (high < 4) random_put(m, moire_expm1(x), expm1(low), expm1(high));
      return;
    case 3: random_put(m, moire_log_sigmoid(x), -log1p(exp(-low)), 0); return;
    case 4: random_put(m, moire_clamp(x, -0.5, 0.75), -0.5, 0.75); return;
    case 5: random_put(m, moire_hypot(x, moire_add_scalar(moire_abs(x), 0.5)), 0.5, 1 + 2 * size); return;
    case 6: {
      const pooled *q = random_pick(m, random_is_int, 0); /* whole numbers and quarters: far from every jump */
      if (!q || random_size(q) > 1e4) return;
      moire_value quarters = moire_add_scalar(moire_scale(moire_cast(q->v, MOIRE_F32), 0.5), 0.125);
      random_put(m, random_chance(m, 50) ? moire_floor(quarters) : moire_round(quarters), q->low - 1,
                 q->high + 1);
      return;
    }
    default: {
      const pooled *q = random_pick(m, random_is_int, 0);
      moire_value seven = {0};
      if (q)
        seven = moire_constant(m->g, moire_value_dtype(q->v), moire_value_shape(q->v),
                               random_chance(m, 50) ? 7 : -3);
      if (q) random_put(m, moire_remainder(q->v, seven), -3, 7);
    }
  }
}

static void random_complex_function(maker *m, const pooled *p) {
  double size = random_size(p);
  moire_value z = moire_scale(p->v, 1 / fmax(size, 1)); /* |Re z| and |Im z| at most 1 */
  moire_value away = moire_add(z, moire_constant(m->g, MOIRE_F32, MOIRE_SCALAR, 2));
  switch (random_below(m, 9)) {
    case 0: random_put_symmetric(m, moire_exp(z), 3); return;
    case 1: random_put_symmetric(m, moire_log(away), 2); return;
    case 2: random_put_symmetric(m, moire_sqrt(away), 2); return;
    case 3: random_put_symmetric(m, moire_tanh(moire_scale(z, 0.9)), 2); return;
    case 4: random_put_symmetric(m, moire_div(z, away), 2); return;
    case 5: random_put_symmetric(m, moire_relu(z), 1); return;
    case 6: random_put(m, moire_abs(away), 1, 4); return;
    case 7: random_put_symmetric(m, moire_angle(away), 1); return;
    default: {
      moire_value bias = moire_constant(m->g, MOIRE_F32, MOIRE_SCALAR, -1.5);
      random_put_symmetric(m, moire_modrelu(away, bias), 4);
    }
  }
}

void random_function(maker *m) {
  const pooled *p = random_pick(m, random_is_number, 0);
  if (!p) return;
  if (random_is_complex(p)) {
    random_complex_function(m, p);
  } else {
    random_real_function(m, p);
  }
}

void random_place(maker *m) {
  const pooled *p = random_pick(m, random_is_number, 1);
  if (!p) return;
  int axis = random_below(m, random_rank(p));
  int64_t n = random_static(random_dim(p, axis));
  int choice = random_below(m, 3);
  if (choice == 0) random_put(m, moire_flip(p->v, axis), p->low, p->high);
  if (n < 1) return;
  if (choice == 1) random_put(m, moire_roll(p->v, random_below(m, 9) - 4, axis), p->low, p->high);
  if (choice != 2 || random_rank(p) == MOIRE_MAX_RANK) return;
  int64_t start = random_below(m, (int)n), step = 1 + random_below(m, 3), most = (n - 1 - start) / step + 1;
  random_put(m, moire_slice_by(p->v, axis, start, 1 + random_below(m, (int)most), step), p->low, p->high);
}

/* By statistics of the batch, or whitened row by row. */
static void normalise(maker *m) {
  const pooled *p = random_pick(m, random_is_number, 2);
  if (!p) return;
  moire_value none = {0}, y = none;
  int64_t width = random_static(random_dim(p, -1)), channels = random_static(random_dim(p, 1));
  if (random_is_complex(p) && width > 0 && random_chance(m, 50)) {
    moire_value w = random_parameter(m, MOIRE_SHAPE(width, 3));
    y = moire_complex_layer_norm(p->v, w, random_complex_parameter(m, MOIRE_SHAPE(width)), 0.1);
  } else if (channels > 0) {
    moire_value w = random_parameter(m, MOIRE_SHAPE(channels));
    y = random_is_complex(p) ? moire_complex_batch_norm(p->v, none, none, none, none, 0.1, 0.1)
                             : moire_batch_norm(p->v, none, none, w, none, 0.1, 0.1);
  }
  random_put_symmetric(m, y, 20);
}

void random_row_function(maker *m) {
  if (random_chance(m, 20)) {
    normalise(m);
    return;
  }
  const pooled *p = random_pick(m, random_is_f32, 1);
  if (!p) return;
  int axis = random_below(m, random_rank(p)), last = -1;
  int64_t n = random_static(random_dim(p, axis)), width = random_static(random_dim(p, -1));
  double size = random_size(p);
  moire_value x = p->v, target = moire_sin(x), none = {0};
  moire_reduction reduction = (moire_reduction)random_below(m, 3);
  switch (random_below(m, 8)) {
    case 0:
      if (n > 0) random_put(m, moire_min(x, axis, random_chance(m, 50)), p->low, p->high);
      return;
    case 1:
      if (n > 0 && n < 12) random_put_symmetric(m, moire_prod(moire_tanh(x), axis, true), 1);
      return;
    case 2:
      if (n > 0) random_put(m, moire_logsumexp(x, axis, false), p->low, p->high + log((double)n));
      return;
    case 3:
      if (width > 0) random_put_symmetric(m, moire_rms_norm(x, none, 0.1), sqrt((double)width));
      return;
    case 4:
      if (width > 0) random_put_symmetric(m, moire_layer_norm(x, none, none, 0.1), sqrt((double)width));
      return;
    case 5: random_put(m, moire_mean_axes(x, 1, &last, true), p->low, p->high); return;
    case 6:
      if (reduction != MOIRE_REDUCE_SUM)
        random_put(m, moire_mse_loss(x, target, reduction), 0, (size + 1) * (size + 1));
      return;
    default:
      if (reduction != MOIRE_REDUCE_SUM)
        random_put(m, moire_binary_cross_entropy_with_logits(x, target, none, none, reduction), -size - 1,
                   2 * size + 2);
  }
}
