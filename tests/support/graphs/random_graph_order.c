/* Random steps: order, running sums, rows, sums of products by the names of axes, and random values. */
#include "tests/support/graphs/random_graph_private.h"

/* Something to be sorted: what is given and not computed, since of two that are nearly equal either may come
 * first. Whole numbers have ties. */
static moire_value given(maker *m, moire_shape shape) {
  if (random_chance(m, 30)) return moire_cast(random_input(m, MOIRE_I32, shape, -4, 5), MOIRE_F32);
  bool fixed = true;
  for (int i = 0; i < shape.rank; i++) fixed = fixed && moire__dim_is_static(shape.dims[i]);
  return fixed ? random_parameter(m, shape) : random_input(m, MOIRE_F32, shape, -1, 1);
}

static void sort_step(maker *m, const pooled *p) {
  moire_shape shape = moire_value_shape(p->v);
  int axis = random_below(m, shape.rank);
  int64_t n = random_static(shape.dims[axis]);
  bool flag = random_chance(m, 50);
  moire_value x = given(m, shape);
  moire_sorted y = n && random_chance(m, 60) ? moire_top_k(x, 1 + random_below(m, (int)n), axis, flag)
                                             : moire_sort(x, axis, flag);
  random_put(m, y.values, -4, 5);
  if (random_chance(m, 60)) random_put(m, moire_take_along(p->v, y.indices, axis), p->low, p->high);
  if (n) random_put(m, y.indices, 0, (double)n);
}

static void rows_step(maker *m, const pooled *p) {
  moire_shape shape = moire_value_shape(p->v), table = shape;
  if (!random_static(shape.dims[0]) && random_chance(m, 50)) { /* a table with a row for every sample */
    moire_value first = random_input(m, MOIRE_I32, MOIRE_SHAPE(shape.dims[0]), 0, 1);
    random_put(m, moire_gather(p->v, first), p->low, p->high);
    return;
  }
  table.dims[0] = m->rows;
  moire_value rows = random_rows(m, MOIRE_SHAPE(shape.dims[0]));
  moire_value x = given(m, table);
  double size = random_size(p) + 4;
  if (random_is_f32(p) && random_chance(m, 50))
    random_put_symmetric(m, moire_scatter_max(x, rows, given(m, shape)), size);
  else if (moire__dim_factor(shape.dims[0]) < 40)
    random_put_symmetric(m, moire_scatter_add(x, rows, p->v), 40 * size);
}

static void einsum_step(maker *m, const pooled *p) {
  if (random_rank(p) != 3) return;
  moire_dim k = random_dim(p, 2), n = random_static(k), l = random_static(random_dim(p, 1));
  if (!n || !l) return;
  double size = random_size(p);
  moire_value w = random_chance(m, 30) ? random_complex_parameter(m, MOIRE_SHAPE(5, k))
                                       : random_parameter(m, MOIRE_SHAPE(5, k));
  switch (random_below(m, 4)) {
    case 0:
      random_put_symmetric(m, moire_einsum("blk,nk->nbl", (moire_value[]){p->v, w}, 2), size * (double)n);
      return;
    case 1:
      random_put_symmetric(m, moire_einsum("...k,nk->...n", (moire_value[]){p->v, w}, 2), size * (double)n);
      return;
    case 2:
      random_put_symmetric(m, moire_einsum("blk,nk->kb", (moire_value[]){p->v, w}, 2), size * 5 * (double)l);
      return;
    default:
      random_put_symmetric(m, moire_einsum("bik,bjk->bij", (moire_value[]){p->v, p->v}, 2),
                           2 * size * size * (double)n);
  }
}

static void draw_step(maker *m, const pooled *p) {
  moire_shape shape = moire_value_shape(p->v);
  switch (random_below(m, 5)) {
    case 0: random_put(m, moire_uniform(m->g, shape, -1, 2), -1, 2); return;
    case 1: random_put_symmetric(m, moire_normal(m->g, shape, 0.5, 2), 13); return;
    case 2: random_put(m, moire_random_integers(m->g, shape, -3, 9), -3, 8); return;
    case 3:
      if (random_is_f32(p)) random_put(m, moire_bernoulli(moire_sigmoid(p->v)), 0, 1);
      return;
    default: {
      moire_negative_options options = {.low = 1, .high = 12};
      moire_value row = random_rows(m, MOIRE_SHAPE(random_dim(p, 0), 3));
      if (random_chance(m, 60)) options.exclude = row;
      if (random_chance(m, 50)) options.weights = moire_abs(random_parameter(m, MOIRE_SHAPE(11)));
      options.redraws = 2;
      random_put(m, moire_negative_samples(m->g, MOIRE_SHAPE(random_dim(p, 0), 5), options), 1, 11);
    }
  }
}

void random_order(maker *m) {
  const pooled *p = random_pick(m, random_is_number, 1);
  if (!p) return;
  switch (random_below(m, 5)) {
    case 4: draw_step(m, p); return;
    case 0: sort_step(m, p); return;
    case 1: rows_step(m, p); return;
    case 2: einsum_step(m, p); return;
    default: {
      int axis = random_below(m, random_rank(p));
      moire_dim n = random_static(random_dim(p, axis));
      if (random_is_f32(p) && random_chance(m, 40))
        random_put_symmetric(m, moire_cumprod(moire_tanh(p->v), axis), 1);
      else if (n)
        random_put_symmetric(m, moire_cumsum(p->v, axis), (double)n * random_size(p));
    }
  }
}
