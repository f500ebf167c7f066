/* Samples of ops: see op_samples.h. */
#include "tests/support/op_samples.h"

#include "runtime/base/philox.h"
#include "runtime/base/planes.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const int64_t op_sample_extents[MOIRE_MAX_EXTENTS + 1] = {
    0, OP_SAMPLE_EXTENT, OP_SAMPLE_EXTENT, OP_SAMPLE_EXTENT, OP_SAMPLE_EXTENT,
};

const char *op_sample_kind(moire__sample_kind kind) {
  static const char *const names[] = {"good", "hard", "wrong"};
  return names[kind];
}

bool op_sample_make(moire__op op, moire__sample_kind kind, int index, op_sample *t) {
  *t = (op_sample){.op = moire__op_get(op)};
  t->s = (moire__sampler){.g = moire_graph_create("sample", MOIRE_TRAINING), .kind = kind, .index = index};
  if (!t->op->sample(&t->s)) {
    moire_graph_destroy(t->s.g);
    return false;
  }
  int found = 0;
  for (int i = 0; i < t->s.g->n_nodes; i++) {
    if (t->s.g->nodes[i].op != op) continue;
    t->node = t->s.g->nodes[i];
    found++;
  }
  t->single = found == 1;
  return true;
}

void op_sample_each(void (*each)(op_sample *t)) {
  for (int op = 1; op < MOIRE__OP_COUNT; op++)
    for (int kind = MOIRE__SAMPLE_GOOD; kind <= MOIRE__SAMPLE_WRONG; kind++) {
      op_sample t;
      for (int i = 0; op_sample_make((moire__op)op, (moire__sample_kind)kind, i, &t); i++) each(&t);
    }
}

static double draw(moire__random *random, moire_dtype dtype, double low, double high) {
  double x = low + (high - low) * moire__random_real(random);
  if (dtype == MOIRE_BOOL) return (double)moire__random_below(random, 2);
  if (moire__dtype_is_int(dtype)) return floor(x);
  return dtype == MOIRE_F64 ? x : (double)(float)x;
}

static moire__tensor *draw_tensor(moire__random *random, moire_dtype dtype, const moire_shape *shape,
                                  double low, double high) {
  moire__tensor *x = moire__tensor_create(dtype, shape, op_sample_extents);
  for (int64_t e = 0; e < x->elements; e++) {
    x->re[e] = draw(random, dtype, low, high);
    if (x->im) x->im[e] = draw(random, dtype, low, high);
  }
  return x;
}

/* The planes of a complex input behind it; names are kept by the graph. */
static int add_planes(const op_sample *t, moire__named_tensor *input, const moire_shape *shape) {
  const moire__tensor *whole = input->tensor;
  for (int plane = 0; plane < 2; plane++) {
    moire__tensor *x = moire__tensor_create(MOIRE_F32, shape, op_sample_extents);
    if (x->elements) memcpy(x->re, plane ? whole->im : whole->re, (size_t)x->elements * sizeof *x->re);
    const char *suffix = moire__plane_suffix(plane);
    input[1 + plane] =
        (moire__named_tensor){moire__arena_printf(&t->s.g->arena, "%s%s", input->name, suffix), x};
  }
  return 2;
}

int op_sample_inputs(const op_sample *t, moire__named_tensor inputs[OP_SAMPLE_MAX_INPUTS]) {
  moire__random random = moire__random_start(7, (uint64_t)t->s.index);
  int n = 0;
  const moire_graph *g = t->s.g;
  for (int i = 0; i < g->n_nodes; i++) {
    if (g->nodes[i].op != MOIRE__OP_input) continue;
    const moire__value_info *info = &g->values[g->nodes[i].first_result];
    const char *name = moire__node_text(&g->nodes[i], "name");
    double low = -1, high = 1;
    for (int r = 0; r < t->s.n_ranges; r++) {
      if (strcmp(t->s.ranges[r].name, name) != 0) continue;
      low = t->s.ranges[r].low;
      high = t->s.ranges[r].high;
    }
    assert(n < OP_SAMPLE_MAX_INPUTS - 2);
    inputs[n++] = (moire__named_tensor){name, draw_tensor(&random, info->dtype, &info->shape, low, high)};
    if (info->dtype == MOIRE_C64) n += add_planes(t, inputs + n - 1, &info->shape);
  }
  return n;
}

int op_sample_states(const op_sample *t, moire__named_tensor states[OP_SAMPLE_MAX_INPUTS]) {
  moire__random random = moire__random_start(8, (uint64_t)t->s.index);
  const moire_graph *g = t->s.g;
  assert(g->n_states <= OP_SAMPLE_MAX_INPUTS);
  for (int i = 0; i < g->n_states; i++) {
    const moire__state_info *state = &g->states[i];
    states[i] = (moire__named_tensor){state->name, draw_tensor(&random, state->dtype, &state->shape, -1, 1)};
  }
  return g->n_states;
}

void op_sample_release(moire__named_tensor *tensors, int n) {
  for (int i = 0; i < n; i++) moire__tensor_destroy(tensors[i].tensor);
}
