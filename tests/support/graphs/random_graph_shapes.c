/* Random steps: views, look-ups, reductions, products, attention. */
#include "tests/support/graphs/random_graph_private.h"

#include <math.h>

/* ---- views ----------------------------------------------------------------------------------------------- */

static bool any(const pooled *p) { return p != NULL; }

static void random_reshape(maker *m, const pooled *p) {
  moire_shape shape = moire_value_shape(p->v), to = {0};
  int at = shape.rank ? random_below(m, shape.rank) : 0;
  switch (random_below(m, 4)) {
    case 0: /* merge an axis with the next */
      for (int i = 0; i < shape.rank; i++) {
        moire_dim merged = 0;
        bool joins =
            i == at && i + 1 < shape.rank && moire__dim_multiply(shape.dims[i], shape.dims[i + 1], &merged);
        to.dims[to.rank++] = joins ? merged : shape.dims[i];
        i += joins;
      }
      break;
    case 1: /* a new axis of 1 */
      if (shape.rank > 4) return;
      for (int i = 0; i <= shape.rank; i++) {
        if (i == at) to.dims[to.rank++] = 1;
        if (i < shape.rank) to.dims[to.rank++] = shape.dims[i];
      }
      break;
    case 2: /* drop axes of 1 */
      for (int i = 0; i < shape.rank; i++) {
        if (shape.dims[i] != 1) to.dims[to.rank++] = shape.dims[i];
      }
      break;
    default: /* cut an axis in two */
      if (shape.rank > 4) return;
      for (int i = 0; i < shape.rank; i++) {
        int64_t factor = moire__dim_factor(shape.dims[i]), part = factor % 2 == 0 ? 2 : factor % 3 == 0 ? 3 : 1;
        moire_dim rest = moire__dim_make(factor / part, moire__dim_extents(shape.dims[i])), cut = part;
        if (moire__dim_extent(rest, 1) && random_chance(m, 60)) {
          cut = moire__dim_make(part, moire__dim_extent(rest, 0));
          rest = moire__dim_make(factor / part, moire__dim_extents(rest) >> 4);
        }
        if (i == at) to.dims[to.rank++] = rest;
        to.dims[to.rank++] = i == at ? cut : shape.dims[i];
      }
  }
  random_put(m, moire_reshape(p->v, to), p->low, p->high);
}

static void random_permute(maker *m, const pooled *p) {
  int rank = random_rank(p), axes[MOIRE_MAX_RANK];
  for (int i = 0; i < rank; i++) axes[i] = i;
  for (int i = rank - 1; i > 0; i--) {
    int j = random_below(m, i + 1), kept = axes[i];
    axes[i] = axes[j];
    axes[j] = kept;
  }
  random_put(m, moire_permute(p->v, rank, axes), p->low, p->high);
}

static void random_broadcast(maker *m, const pooled *p) {
  moire_shape shape = moire_value_shape(p->v), to = shape;
  for (int i = 0; i < shape.rank; i++) {
    if (shape.dims[i] == 1 && random_chance(m, 70)) to.dims[i] = random_chance(m, 50) ? m->length : m->width;
  }
  for (int i = 0; m->time && i < shape.rank; i++) {
    if (shape.dims[i] == 1 && random_chance(m, 30)) to.dims[i] = m->time;
  }
  if (to.rank < 4 && random_chance(m, 60)) {
    for (int i = to.rank; i > 0; i--) to.dims[i] = to.dims[i - 1];
    to.dims[0] = random_chance(m, 50) ? m->batch : 2;
    to.rank++;
  }
  if (random_fits(&to)) random_put(m, moire_broadcast(p->v, to), p->low, p->high);
}

static void random_slice(maker *m, const pooled *p) {
  if (random_rank(p) == 0) return;
  int axis = random_below(m, random_rank(p));
  int64_t n = random_static(random_dim(p, axis));
  if (n < 1) return;
  int64_t length = 1 + random_below(m, (int)n), start = random_below(m, (int)(n - length + 1));
  if (random_chance(m, 30)) {
    length = 1;
    start = n - 1;
  }
  random_put(m, moire_slice(p->v, axis, start, length), p->low, p->high);
}

static void random_one_view(maker *m, const pooled *p) {
  switch (random_below(m, 6)) {
    case 0: random_reshape(m, p); return;
    case 1: random_permute(m, p); return;
    case 2: random_broadcast(m, p); return;
    case 3:
    case 4: random_slice(m, p); return;
    default:
      if (random_rank(p) >= 2) random_put(m, moire_swap_axes(p->v, -1, -2), p->low, p->high);
  }
}

/* Often a view of a view. */
void random_view(maker *m) {
  const pooled *p = random_pick(m, any, 0);
  for (int i = 0; p && i < 3; i++) {
    int n = m->n;
    random_one_view(m, p);
    if (m->n > n) p = &m->pool[m->n - 1];
    if (random_chance(m, 40)) return;
  }
}

void random_pad_or_concat(maker *m) {
  const pooled *p = random_pick(m, random_is_number, 1);
  if (!p) return;
  int axis = random_below(m, random_rank(p));
  if (!random_static(random_dim(p, axis))) return;
  if (random_chance(m, 50)) {
    int64_t before = random_below(m, 3), after = random_below(m, 3);
    random_put(m, moire_pad(p->v, axis, before, after), fmin(p->low, 0), fmax(p->high, 0));
    return;
  }
  moire_value parts[3] = {p->v};
  double low = p->low, high = p->high;
  int n = 1;
  moire_shape shape = moire_value_shape(p->v);
  for (int i = 0; i < 8 && n < 3; i++) {
    const pooled *q = random_pick(m, random_is_complex(p) ? random_is_complex : random_is_f32, 1);
    if (!q || random_rank(q) != shape.rank) continue;
    bool fits = random_static(random_dim(q, axis)) != 0;
    for (int d = 0; d < shape.rank && fits; d++) fits = d == axis || random_dim(q, d) == shape.dims[d];
    if (!fits) continue;
    parts[n++] = q->v;
    low = fmin(low, q->low);
    high = fmax(high, q->high);
  }
  random_put(m, moire_concat(parts, n, axis), low, high);
}

void random_look_up(maker *m) {
  moire_shape shape = random_chance(m, 60) ? MOIRE_SHAPE(m->batch, m->length) : MOIRE_SHAPE(m->batch);
  if (random_chance(m, 20)) shape = MOIRE_SHAPE(m->length);
  moire_value rows = random_rows(m, shape);
  const pooled *p = random_pick(m, random_is_number, 1);
  bool usable = p && random_static(random_dim(p, 0)) >= m->rows && random_rank(p) <= 2;
  if (usable && random_chance(m, 60)) {
    random_put(m, moire_gather(p->v, rows), p->low, p->high);
    return;
  }
  bool complex = random_chance(m, 25);
  moire_shape table_shape = MOIRE_SHAPE(m->rows, m->width);
  moire_value table = complex ? random_complex_parameter(m, table_shape) : random_parameter(m, table_shape);
  random_put(m, moire_embedding(table, rows, random_chance(m, 50) ? 0 : -1), -1, 1);
}

/* ---- reductions ------------------------------------------------------------------------------------------ */

void random_reduce(maker *m) {
  const pooled *p = random_pick(m, random_is_number, 1);
  if (!p) return;
  int axis = random_below(m, random_rank(p));
  moire_dim d = random_dim(p, axis);
  double n = fmax(1, (double)(moire__dim_factor(d) * (moire__dim_is_static(d) ? 1 : 3)));
  bool keep = random_chance(m, 50), complex = random_is_complex(p);
  switch (random_below(m, complex ? 3 : 5)) {
    case 0:
      random_put(m, moire_sum(p->v, axis, keep), fmin(p->low, n * p->low), fmax(p->high, n * p->high));
      return;
    case 1: random_put(m, moire_mean(p->v, axis, keep), p->low, p->high); return;
    case 2: random_put(m, moire_mean_all(p->v), p->low, p->high); return;
    case 3:
      if (random_static(d)) random_put(m, moire_max(p->v, axis, keep), p->low, p->high);
      return;
    default: random_put(m, moire_softmax(moire_mul(p->v, p->v)), 0, 1);
  }
}

/* ---- products -------------------------------------------------------------------------------------------- */

static double product_size(moire_dim k, double a, double b) {
  return 2 * sqrt((double)moire__dim_factor(k) + 1) * a * b;
}

static void random_linear(maker *m, const pooled *p) {
  moire_dim in = random_dim(p, -1);
  int64_t out = random_chance(m, 60) ? m->width : 1 + random_below(m, 20);
  if (!random_static(in)) return;
  bool complex = random_is_complex(p) || random_chance(m, 15);
  moire_value none = {m->g, 0}, w, b = none;
  if (complex) {
    w = random_complex_parameter(m, MOIRE_SHAPE(out, in));
    if (random_chance(m, 60)) b = random_complex_parameter(m, MOIRE_SHAPE(out));
  } else {
    w = random_parameter(m, MOIRE_SHAPE(out, in));
    if (random_chance(m, 60)) b = random_parameter(m, MOIRE_SHAPE(out));
  }
  moire_shape shape = moire_value_shape(p->v);
  shape.dims[shape.rank - 1] = out;
  if (random_fits(&shape))
    random_put_symmetric(m, moire_linear(p->v, w, b), 1 + product_size(in, random_size(p), 1));
}

static bool leading_axes_fit(const pooled *p, const pooled *q) {
  moire_shape a = moire_value_shape(p->v), b = moire_value_shape(q->v);
  for (int i = 3; i <= a.rank && i <= b.rank; i++) {
    moire_dim x = a.dims[a.rank - i], y = b.dims[b.rank - i];
    if (x != y && x != 1 && y != 1) return false;
  }
  return true;
}

static void random_matmul(maker *m, const pooled *p) {
  for (int i = 0; i < 10; i++) {
    const pooled *q = random_pick(m, random_is_number, 2);
    if (!q || !leading_axes_fit(p, q)) continue;
    moire_value a = p->v, b = q->v;
    if (random_chance(m, 25)) a = moire_swap_axes(a, -1, -2);
    if (moire_value_dim(b, -2) != moire_value_dim(a, -1)) {
      if (moire_value_dim(b, -1) != moire_value_dim(a, -1)) continue;
      b = random_is_complex(q) ? moire_hermitian(b) : moire_swap_axes(b, -1, -2);
    }
    moire_shape x = moire_value_shape(a), y = moire_value_shape(b), all = x.rank > y.rank ? x : y;
    all.dims[all.rank - 2] = x.dims[x.rank - 2];
    all.dims[all.rank - 1] = y.dims[y.rank - 1];
    if (!random_fits(&all)) continue;
    double size = product_size(moire_value_dim(a, -1), random_size(p), random_size(q));
    random_put_symmetric(m, moire_matmul(a, b), size * (random_is_complex(p) ? 2 : 1));
    return;
  }
}

void random_product(maker *m) {
  const pooled *p = random_pick(m, random_is_number, 2);
  if (!p) return;
  if (random_chance(m, 50)) {
    random_linear(m, p);
  } else {
    random_matmul(m, p);
  }
}

/* ---- attention ------------------------------------------------------------------------------------------- */

/* [B, L, D] -> [B, 1 or 2, L, D or D / 2] */
static moire_value heads_of(moire_value x, int heads) {
  moire_shape s = moire_value_shape(x);
  x = moire_reshape(x, MOIRE_SHAPE(s.dims[0], s.dims[1], heads, s.dims[2] / heads));
  return moire_swap_axes(x, 1, 2);
}

static const pooled *pick_sequence(maker *m, random_filter *filter) {
  for (int i = 0; i < 10; i++) {
    const pooled *p = random_pick(m, filter, 3);
    bool has_length = p && random_rank(p) == 3 &&
                      (random_static(random_dim(p, 1)) || (m->time && random_dim(p, 1) == m->time));
    if (has_length && random_dim(p, 0) == m->batch && random_dim(p, 2) == m->width) return p;
  }
  return NULL;
}

/* As many keys as queries, or of fixed numbers more. */
static bool sees_itself(const pooled *q, const pooled *k) {
  int64_t queries = random_static(random_dim(q, 1)), keys = random_static(random_dim(k, 1));
  return random_dim(q, 1) == random_dim(k, 1) || (queries && keys >= queries);
}

void random_attention(maker *m) {
  bool interference = random_chance(m, 50);
  const pooled *q = pick_sequence(m, interference ? random_is_complex : random_is_f32);
  const pooled *k = pick_sequence(m, interference ? random_is_complex : random_is_f32);
  const pooled *v = pick_sequence(m, random_is_number);
  if (!q || !k || !v || random_dim(k, 1) != random_dim(v, 1)) return;
  int heads = m->width % 2 == 0 ? 2 : 1;
  moire_attention_options o = {.score = interference ? MOIRE_SCORE_INTERFERENCE : MOIRE_SCORE_DOT,
                               .scale = 0.5 / (random_size(q) * random_size(k) + 1),
                               .mask_value = random_chance(m, 50) ? -10000 : -5,
                               .causal = random_chance(m, 50) && sees_itself(q, k),
                               .key_valid = {m->g, 0},
                               .bias = {m->g, 0},
                               .dropout = random_chance(m, 30) ? 0.25 : 0};
  moire_dim queries = random_dim(q, 1), keys = random_dim(k, 1);
  if (random_chance(m, 50)) o.key_valid = random_input(m, MOIRE_BOOL, MOIRE_SHAPE(m->batch, keys), 0, 2);
  bool fixed = random_static(queries) && random_static(keys);
  if (fixed && random_chance(m, 30)) o.bias = random_parameter(m, MOIRE_SHAPE(heads, queries, keys));
  moire_value y = moire_attention(heads_of(q->v, heads), heads_of(k->v, heads), heads_of(v->v, heads), o);
  if (random_chance(m, 70))
    y = moire_reshape(moire_swap_axes(y, 1, 2), MOIRE_SHAPE(m->batch, queries, m->width));
  random_put_symmetric(m, y, 1.5 * random_size(v));
}
