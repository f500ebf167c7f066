/* Random graphs: their steps, and what is handed out. */
#include "tests/support/graphs/random_graph_private.h"

#include "compiler/ir/graph/rewrite.h"

#include <stdio.h>

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
  static const moire_optimizer kinds[] = {MOIRE_OPTIMIZER_ADAM, MOIRE_OPTIMIZER_ADAMW, MOIRE_OPTIMIZER_SGD};
  moire_training_options *o = &m->out->options.training;
  o->optimizer = kinds[random_below(m, 3)];
  o->weight_decay = random_chance(m, 50) ? 0.05 : 0;
  o->momentum = random_chance(m, 50) ? 0.9 : 0;
  o->nesterov = o->momentum > 0 && random_chance(m, 50);
  o->clip_norm = random_chance(m, 30) ? 0.5 : 0;
  o->clip_value = random_chance(m, 30) ? 0.1 : 0;
  o->accumulate = random_chance(m, 30) ? 3 : 1;
  o->ema = random_chance(m, 30) ? 0.99 : 0;
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
    {random_attention, 3},     {random_source, 5},  {random_transform, 4}, {random_scan, 4},
    {random_convolution, 4},   {random_state, 3},   {random_function, 8},  {random_place, 4},
    {random_row_function, 5},  {random_order, 6},
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
  if (random_chance(m, 25)) m->time = moire_extent(m->g, "T");
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
  static const test_range others[] = {{"adam.v.*", 0.1, 1}, {"optimizer.scalars", 0.1, 1}, {"rng", 0, 1000}};
  for (int i = 0; i < 3; i++) r->ranges[r->n_ranges++] = others[i];
  moire__release(m);
}

void random_graph_free(random_graph *r) {
  moire_graph_destroy(r->g);
  *r = (random_graph){0};
}
