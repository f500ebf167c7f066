/* Random graphs: chance, the pool of values, and the sources that fill it. */
#include "tests/support/graphs/random_graph_private.h"

#include <math.h>
#include <stdio.h>

/* ---- chance ---------------------------------------------------------------------------------------------- */

int random_below(maker *m, int n) { return (int)moire__random_below(&m->random, (uint64_t)n); }

bool random_chance(maker *m, int percent) { return random_below(m, 100) < percent; }

double random_between(maker *m, double low, double high) {
  return low + (high - low) * moire__random_real(&m->random);
}

/* ---- choosing -------------------------------------------------------------------------------------------- */

static moire_dtype dtype_of(const pooled *p) { return moire_value_dtype(p->v); }

bool random_is_f32(const pooled *p) { return dtype_of(p) == MOIRE_F32; }
bool random_is_complex(const pooled *p) { return dtype_of(p) == MOIRE_C64; }
bool random_is_number(const pooled *p) { return random_is_f32(p) || random_is_complex(p); }
bool random_is_bool(const pooled *p) { return dtype_of(p) == MOIRE_BOOL; }
bool random_is_int(const pooled *p) { return dtype_of(p) == MOIRE_I32; }
bool random_is_positive(const pooled *p) { return random_is_f32(p) && p->low > 0.05; }

const pooled *random_pick(maker *m, random_filter *filter, int rank) {
  for (int i = 0; i < 25 && m->n; i++) {
    double u = moire__random_real(&m->random);
    const pooled *p = &m->pool[m->n - 1 - (int)(u * u * m->n)];
    if (filter(p) && random_rank(p) >= rank) return p;
  }
  return NULL;
}

double random_size(const pooled *p) { return fmax(fabs(p->low), fabs(p->high)); }
int random_rank(const pooled *p) { return moire_value_shape(p->v).rank; }
moire_dim random_dim(const pooled *p, int axis) { return moire_value_dim(p->v, axis); }
int64_t random_static(moire_dim d) { return moire__dim_is_static(d) ? d : 0; }

bool random_fits(const moire_shape *shape) {
  moire_dim all = 1;
  double elements = 1;
  for (int i = 0; i < shape->rank; i++) {
    elements *= (double)moire__dim_factor(shape->dims[i]);
    if (!moire__dim_multiply(all, shape->dims[i], &all)) return false;
  }
  bool squared =
      moire__dim_extent(all, 0) == 1 && moire__dim_extent(all, 1) == 1; /* the batch, which may be large */
  for (int i = 0; moire__dim_extent(all, i); i++) elements *= squared ? 20 : 3;
  return shape->rank <= 5 && elements <= RANDOM_ELEMENTS;
}

void random_put(maker *m, moire_value v, double low, double high) {
  if (moire_value_is_null(v) || m->n == RANDOM_POOL) return;
  moire_shape shape = moire_value_shape(v);
  pooled p = {v, low, high};
  double size = random_size(&p);
  if (!random_fits(&shape)) return;
  if (size > 20 && random_is_number(&p)) {
    double factor = 4 / size;
    p = (pooled){moire_scale(v, factor), low * factor, high * factor};
  }
  m->pool[m->n++] = p;
}

void random_put_symmetric(maker *m, moire_value v, double high) { random_put(m, v, -high, high); }

/* ---- sources --------------------------------------------------------------------------------------------- */

moire_value random_parameter(maker *m, moire_shape shape) {
  char name[16];
  snprintf(name, sizeof name, "w%d", m->n_parameters++);
  return moire_parameter(m->g, name, shape, moire_init_normal(0, 1));
}

moire_value random_complex_parameter(maker *m, moire_shape shape) {
  moire_value re = random_parameter(m, shape);
  return moire_complex(re, random_parameter(m, shape));
}

moire_value random_input(maker *m, moire_dtype dtype, moire_shape shape, double low, double high) {
  char name[16];
  snprintf(name, sizeof name, "x%d", m->n_inputs++);
  moire_value x = moire_input(m->g, name, dtype, shape);
  random_graph *out = m->out;
  if (out->n_ranges < RANDOM_GRAPH_RANGES - 4)
    out->ranges[out->n_ranges++] = (test_range){moire__arena_copy_string(&m->g->arena, name), low, high};
  return x;
}

moire_value random_rows(maker *m, moire_shape shape) {
  return random_input(m, MOIRE_I32, shape, 0, (double)m->rows);
}

static moire_shape usual_shape(maker *m) {
  moire_dim b = m->batch, l = m->time && random_chance(m, 60) ? m->time : m->length, d = m->width;
  switch (random_below(m, 9)) {
    case 0:
    case 1:
    case 2: return MOIRE_SHAPE(b, l, d);
    case 3: return MOIRE_SHAPE(b, d);
    case 4: return MOIRE_SHAPE(l, d);
    case 5: return MOIRE_SHAPE(d);
    case 6: return MOIRE_SHAPE(b, 2, l, d);
    case 7: return MOIRE_SHAPE(b, l);
    default: return MOIRE_SHAPE(l, l);
  }
}

static moire_shape static_shape(maker *m) {
  moire_shape shape = usual_shape(m);
  for (int i = 0; i < shape.rank; i++) {
    if (!moire__dim_is_static(shape.dims[i])) shape.dims[i] = 1;
  }
  return shape;
}

void random_source(maker *m) {
  moire_shape shape = usual_shape(m);
  switch (random_below(m, 10)) {
    case 0: random_put(m, random_input(m, MOIRE_F32, shape, -2, 2), -2, 2); return;
    case 1: random_put(m, random_input(m, MOIRE_F32, shape, 0.1, 1.5), 0.1, 1.5); return;
    case 2: random_put(m, random_input(m, MOIRE_BOOL, shape, 0, 2), 0, 1); return;
    case 3: random_put(m, random_rows(m, shape), 0, (double)m->rows); return;
    case 4: random_put(m, random_parameter(m, static_shape(m)), -1, 1); return;
    case 5: random_put(m, random_complex_parameter(m, static_shape(m)), -1, 1); return;
    case 6: {
      double value = random_between(m, -1.5, 1.5);
      random_put(m, moire_constant(m->g, MOIRE_F32, shape, value), value, value);
      return;
    }
    case 7: {
      int axis = random_below(m, shape.rank);
      random_put(m, moire_iota(m->g, shape, axis), 0, 70);
      return;
    }
    case 8: random_put(m, random_input(m, MOIRE_C64, shape, -1, 1), -1, 1); return;
    default: {
      moire_value re = random_input(m, MOIRE_F32, shape, -1, 1), im = random_input(m, MOIRE_F32, shape, -1, 1);
      random_put(m, moire_complex(re, im), -1, 1);
    }
  }
}
