/* Random graphs: the pool, sources, and what is handed out. */
#include "tests/support/graphs/random_graph_private.h"

#include "compiler/ir/graph/rewrite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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
  double elements = 1;
  bool named = false;
  for (int i = 0; i < shape->rank; i++) {
    elements *= (double)moire__dim_factor(shape->dims[i]);
    if (named && !moire__dim_is_static(shape->dims[i])) return false;
    named = named || !moire__dim_is_static(shape->dims[i]);
  }
  return shape->rank <= 5 && elements * (named ? 3 : 1) <= RANDOM_ELEMENTS;
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
  moire_dim b = m->batch, l = m->length, d = m->width;
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
  switch (random_below(m, 9)) {
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
    default: {
      moire_value re = random_input(m, MOIRE_F32, shape, -1, 1), im = random_input(m, MOIRE_F32, shape, -1, 1);
      random_put(m, moire_complex(re, im), -1, 1);
    }
  }
}

/* ---- what is handed out ---------------------------------------------------------------------------------- */

static moire_value as_scalar(maker *m, const pooled *p) {
  moire_value x = p->v;
  if (random_is_complex(p)) x = random_chance(m, 50) ? moire_abs2(x) : moire_add(moire_real(x), moire_imag(x));
  return random_chance(m, 70) ? moire_mean_all(moire_mul(x, moire_tanh(x))) : moire_mean_all(x);
}

static void add_loss(maker *m) {
  moire_value loss = {m->g, 0};
  for (int i = 0; i < 1 + random_below(m, 3); i++) {
    const pooled *p = random_pick(m, random_is_number, 0);
    if (!p) continue;
    moire_value term = as_scalar(m, p);
    loss = moire_value_is_null(loss) ? term : moire_add(loss, term);
  }
  if (moire_value_is_null(loss)) return;
  moire_output(m->g, "loss", loss);
  m->out->options.loss = "loss";
  m->out->options.keep_gradients = true;
  if (random_chance(m, 60)) return;
  m->out->options.optimizer = random_chance(m, 50) ? MOIRE_OPTIMIZER_ADAM : MOIRE_OPTIMIZER_ADAMW;
  m->out->options.weight_decay = random_chance(m, 50) ? 0.05 : 0;
  m->out->options.keep_gradients = random_chance(m, 50);
}

/* Values that nothing uses come first, so that little of the graph is for nothing. */
static const pooled *pick_output(maker *m, const int *uses) {
  for (int i = 0; i < 20; i++) {
    const pooled *p = &m->pool[random_below(m, m->n)];
    if (uses[p->v.id] == 0) return p;
  }
  return &m->pool[random_below(m, m->n)];
}

static void add_outputs(maker *m) {
  moire_compile_options *o = &m->out->options;
  moire__arena arena = {0};
  const int *uses = moire__graph_count_uses(m->g, &arena);
  int wanted = 1 + random_below(m, RANDOM_GRAPH_OUTPUTS - 1);
  for (int i = 0; i < wanted && m->n; i++) {
    const pooled *p = pick_output(m, uses);
    snprintf(m->out->names[i], sizeof m->out->names[i], "y%d", i);
    m->out->outputs[o->n_outputs++] = m->out->names[i];
    moire_output(m->g, m->out->names[i], p->v);
  }
  moire__arena_free(&arena);
  if (o->loss && o->n_outputs < RANDOM_GRAPH_OUTPUTS) m->out->outputs[o->n_outputs++] = "loss";
}

/* x with its elements moved by one along the last axis. */
static moire_value moved(moire_value x) {
  int64_t n = random_static(moire_value_dim(x, -1));
  return n > 1 ? moire_pad(moire_slice(x, -1, 0, n - 1), -1, 1, 0) : x;
}

/* A state that is read, and gets a new value of its shape. */
static void random_state(maker *m) {
  const pooled *p = random_pick(m, random_is_f32, 0);
  if (!p || m->g->n_updates >= 3) return;
  moire_shape shape = moire_value_shape(p->v);
  for (int i = 0; i < shape.rank; i++) {
    if (!moire__dim_is_static(shape.dims[i])) return;
  }
  char name[16];
  snprintf(name, sizeof name, "s%d", m->n_inputs++);
  moire_value old = moire_state(m->g, name, MOIRE_F32, shape, moire_init_constant(0));
  moire_value kept = moire_scale(old, 0.75);
  if (shape.rank && random_chance(m, 30)) kept = moire_add(kept, moire_scale(moved(old), 0.25));
  moire_update(m->g, name, random_chance(m, 80) ? moire_add(kept, moire_scale(p->v, 0.25)) : p->v);
  if (random_chance(m, 80)) random_put(m, random_chance(m, 70) ? old : kept, -1, 1);
}

/* ---- the graph ------------------------------------------------------------------------------------------- */

static const struct {
  random_step *step;
  int weight;
} steps[] = {
    {random_unary, 16},        {random_binary, 18}, {random_compare, 6},   {random_integer, 3},
    {random_complex_step, 10}, {random_view, 12},   {random_look_up, 4},   {random_pad_or_concat, 6},
    {random_reduce, 8},        {random_product, 9}, {random_row, 6},       {random_sequence, 4},
    {random_attention, 3},     {random_source, 5},  {random_transform, 3}, {random_scan, 2},
    {random_state, 3},
};

static void take_step(maker *m) {
  int total = 0;
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) total += steps[i].weight;
  int at = random_below(m, total);
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    if (at < steps[i].weight) {
      steps[i].step(m);
      return;
    }
    at -= steps[i].weight;
  }
}

static void choose_extents(maker *m) {
  static const int64_t lengths[] = {1, 2, 3, 4, 5, 7, 8, 13}, widths[] = {1, 2, 3, 4, 6, 8, 16, 17, 24, 33};
  m->batch = moire_extent(m->g, "B");
  m->length = lengths[random_below(m, sizeof lengths / sizeof *lengths)];
  m->width = widths[random_below(m, sizeof widths / sizeof *widths)];
  m->rows = 2 + random_below(m, 9);
  if (random_chance(m, 5)) m->width = 50 + random_below(m, 40);
}

void random_graph_make(random_graph *r, uint64_t seed, int limit) {
  *r = (random_graph){.options = moire_compile_defaults()};
  maker *m = moire__allocate(sizeof *m);
  m->out = r;
  m->random = moire__random_start(seed, 0);
  m->g = r->g = moire_graph_create("random", random_chance(m, 70) ? MOIRE_TRAINING : MOIRE_INFERENCE);
  choose_extents(m);
  int n = 4 + random_below(m, random_chance(m, 70) ? 25 : 57);
  r->steps = n < limit ? n : limit;
  random_put(m, random_input(m, MOIRE_F32, MOIRE_SHAPE(m->batch, m->length, m->width), -2, 2), -2, 2);
  random_put(m, random_parameter(m, MOIRE_SHAPE(m->width)), -1, 1);
  for (int i = 0; i < r->steps; i++) take_step(m);
  if (random_chance(m, 65)) add_loss(m);
  add_outputs(m);
  r->options.outputs = r->outputs;
  static const test_range others[] = {
      {"adam.v.*", 0.1, 1}, {"adam.bias2", 0.2, 1}, {"adam.step_size", 0.001, 0.01}, {"rng", 0, 1000}};
  for (int i = 0; i < 4; i++) r->ranges[r->n_ranges++] = others[i];
  moire__release(m);
}

void random_graph_free(random_graph *r) {
  moire_graph_destroy(r->g);
  *r = (random_graph){0};
}
