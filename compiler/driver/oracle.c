/* The oracle: a graph with its gradients and optimizer steps, run by the interpreter in double.
 *
 * It takes the passes that change what is asked (select, demand, expand, autodiff, optimize, narrow) and none
 * of those that change how it is computed, so it shares no rewriting, fusion or code with what it is compared
 * to.
 */
#include "compiler/driver/compile.h"
#include "compiler/driver/driver.h"
#include "compiler/ir/graph/interpret.h"
#include "runtime/base/planes.h"

#include <string.h>

/* An input of the graph or, where that is complex, a plane of it. */
typedef struct place {
  int input; /* -1: there is none */
  int plane; /* 0, or 1: the imaginary one */
} place;

struct moire_oracle {
  moire_graph *g;
  int64_t extents[MOIRE_MAX_EXTENTS + 1];
  moire__named_tensor *states, *inputs;
  bool (*given)[2]; /* [n_inputs]: the planes that have been set */
  int n_states, n_inputs;
  moire__graph_results results;
};

static void make_states(moire_oracle *o) {
  o->states = moire__allocate_array((size_t)o->g->n_states + 1, sizeof *o->states);
  for (int i = 0; i < o->g->n_states; i++) {
    const moire__state_info *state = &o->g->states[i];
    o->states[o->n_states++] =
        (moire__named_tensor){state->name, moire__tensor_create(state->dtype, &state->shape, NULL)};
  }
}

static void make_inputs(moire_oracle *o) {
  o->inputs = moire__allocate_array((size_t)o->g->n_nodes + 1, sizeof *o->inputs);
  o->given = moire__allocate_array((size_t)o->g->n_nodes + 1, sizeof *o->given);
  for (int i = 0; i < o->g->n_nodes; i++) {
    const moire__node *node = &o->g->nodes[i];
    if (node->op == MOIRE__OP_input) o->inputs[o->n_inputs++].name = moire__node_text(node, "name");
  }
}

moire_oracle *moire_oracle_create(const moire_graph *graph, const moire_compile_options *options,
                                  moire_error *error) {
  if (moire_graph_status(graph, error) != MOIRE_OK) return NULL;
  moire__goal goal = moire__goal_from_options(options);
  goal.pack = false;
  moire_graph *g = moire__driver_run_passes(graph, &goal, "narrow", NULL, error);
  if (!g) return NULL;
  moire_oracle *o = moire__allocate(sizeof *o);
  o->g = g;
  make_states(o);
  make_inputs(o);
  return o;
}

void moire_oracle_destroy(moire_oracle *o) {
  if (!o) return;
  for (int i = 0; i < o->n_states; i++) moire__tensor_destroy(o->states[i].tensor);
  for (int i = 0; i < o->n_inputs; i++) moire__tensor_destroy(o->inputs[i].tensor);
  moire__release(o->states);
  moire__release(o->inputs);
  moire__release(o->given);
  moire__graph_results_free(&o->results);
  moire_graph_destroy(o->g);
  moire__release(o);
}

int moire_oracle_state_count(const moire_oracle *o) { return o->n_states; }

moire_plan_state moire_oracle_state(const moire_oracle *o, int i) {
  const moire__state_info *from = &o->g->states[i];
  return (moire_plan_state){from->name, from->dtype, from->shape, from->init, from->trained};
}

double *moire_oracle_state_data(moire_oracle *o, const char *name, int64_t *elements) {
  moire__tensor *t = moire__named_tensor_find(o->states, o->n_states, name);
  if (!t) return NULL;
  if (elements) *elements = t->elements;
  return t->re;
}

moire_status moire_oracle_set_extent(moire_oracle *o, const char *name, int64_t size, moire_error *error) {
  if (size < 0) return moire_fail(error, MOIRE_ERROR_ARGUMENT, "extent %s is %lld", name, (long long)size);
  for (int i = 1; i <= o->g->n_extents; i++) {
    if (strcmp(o->g->extents[i], name) == 0) o->extents[i] = size;
  }
  return MOIRE_OK;
}

static const moire__value_info *input_info(const moire_oracle *o, int input) {
  return &o->g->values[moire__graph_find_input(o->g, o->inputs[input].name)];
}

static place find_input(const moire_oracle *o, const char *name) {
  for (int i = 0; i < o->n_inputs; i++) {
    bool complex = input_info(o, i)->dtype == MOIRE_C64;
    int plane = complex ? moire__plane_of(name, o->inputs[i].name) : 0;
    if (complex ? plane >= 0 : strcmp(o->inputs[i].name, name) == 0) return (place){i, plane};
  }
  return (place){-1, 0};
}

bool moire_oracle_has_input(const moire_oracle *o, const char *name) { return find_input(o, name).input >= 0; }

static bool same_dims(const moire__tensor *a, const moire__tensor *b) {
  return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

moire_status moire_oracle_set_input(moire_oracle *o, const char *name, const double *data, int64_t elements,
                                    moire_error *error) {
  place at = find_input(o, name);
  if (at.input < 0 && moire__graph_find_input(o->g, name))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "input \"%s\" is complex: set its planes %s.real and %s.imag", name, name, name);
  if (at.input < 0) return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the graph has no input \"%s\"", name);
  moire__tensor **kept = &o->inputs[at.input].tensor;
  const moire__value_info *info = input_info(o, at.input);
  moire__tensor *t = moire__tensor_create(info->dtype, &info->shape, o->extents);
  if (t->elements != elements) {
    moire_fail(error, MOIRE_ERROR_SHAPE, "input \"%s\" has %lld elements, wanted %lld", name,
               (long long)elements, (long long)t->elements);
    moire__tensor_destroy(t);
    return MOIRE_ERROR_SHAPE;
  }
  if (*kept && same_dims(*kept, t)) { /* of a complex one, the other plane stays */
    moire__tensor_destroy(t);
  } else {
    moire__tensor_destroy(*kept);
    *kept = t;
    o->given[at.input][1 - at.plane] = false;
  }
  if (elements) memcpy(at.plane ? (*kept)->im : (*kept)->re, data, (size_t)elements * sizeof *data);
  o->given[at.input][at.plane] = true;
  return MOIRE_OK;
}

static void store_updates(moire_oracle *o) {
  for (int i = 0; i < o->results.n_updates; i++) {
    for (int s = 0; s < o->n_states; s++) {
      if (strcmp(o->states[s].name, o->results.updates[i].name) != 0) continue;
      moire__tensor *to = o->states[s].tensor;
      memcpy(to->re, o->results.updates[i].tensor->re, (size_t)to->elements * sizeof *to->re);
    }
  }
}

moire_status moire_oracle_run(moire_oracle *o, moire_error *error) {
  for (int i = 0; i < o->n_inputs; i++) {
    bool complex = input_info(o, i)->dtype == MOIRE_C64;
    for (int plane = 0; plane < (complex ? 2 : 1); plane++) {
      if (!o->given[i][plane])
        return moire_fail(error, MOIRE_ERROR_ARGUMENT, "input \"%s%s\" is not set", o->inputs[i].name,
                          complex ? moire__plane_suffix(plane) : "");
    }
  }
  moire__graph_feed feed = {.extents = o->extents,
                            .inputs = o->inputs,
                            .n_inputs = o->n_inputs,
                            .states = o->states,
                            .n_states = o->n_states};
  moire__graph_results_free(&o->results);
  o->results = (moire__graph_results){0};
  moire_status status = moire__graph_interpret(o->g, &feed, &o->results, error);
  if (status == MOIRE_OK) store_updates(o);
  return status;
}

const double *moire_oracle_output(const moire_oracle *o, const char *name, int64_t *elements) {
  for (int i = 0; i < o->results.n_outputs; i++) {
    const moire__tensor *t = o->results.outputs[i].tensor;
    const char *whole = o->results.outputs[i].name;
    int plane = t->im ? moire__plane_of(name, whole) : strcmp(name, whole) == 0 ? 0 : -1;
    if (plane < 0) continue;
    if (elements) *elements = t->elements;
    return plane ? t->im : t->re;
  }
  return NULL;
}
