/* The graph interpreter: see interpret.h.
 *
 * A run marks what is needed (backwards from what is wanted), counts the uses of each value among that, and
 * then walks the nodes in order. Inputs and states are the caller's tensors, borrowed; every other value is
 * owned by the run until its count falls to zero.
 */
#include "compiler/ir/graph/interpret.h"

#include <inttypes.h>
#include <string.h>

/* ---- tensors --------------------------------------------------------------------------------------------- */

moire__tensor *moire__tensor_create(moire_dtype dtype, const moire_shape *shape, const int64_t *extents) {
  moire__tensor *t = moire__allocate(sizeof *t);
  t->dtype = dtype;
  t->rank = shape->rank;
  size_t elements = 1;
  bool is_empty = false;
  for (int i = 0; i < shape->rank; i++) {
    t->dims[i] = moire__dim_size(shape->dims[i], extents);
    if (t->dims[i] <= 0) is_empty = true;
  }
  for (int i = 0; i < shape->rank && !is_empty; i++) {
    if (__builtin_mul_overflow(elements, (size_t)t->dims[i], &elements)) elements = SIZE_MAX;
  }
  if (is_empty) elements = 0;
  t->re = moire__allocate_array(elements, sizeof *t->re);
  if (dtype == MOIRE_C64) t->im = moire__allocate_array(elements, sizeof *t->im);
  t->elements = (int64_t)elements;
  return t;
}

void moire__tensor_destroy(moire__tensor *t) {
  if (!t) return;
  moire__release(t->re);
  moire__release(t->im);
  moire__release(t);
}

static moire__tensor *copy_tensor(const moire__tensor *t) {
  moire_shape shape = {.rank = t->rank};
  memcpy(shape.dims, t->dims, sizeof shape.dims);
  moire__tensor *copy = moire__tensor_create(t->dtype, &shape, NULL);
  size_t bytes = (size_t)t->elements * sizeof *t->re;
  if (bytes) memcpy(copy->re, t->re, bytes);
  if (bytes && copy->im) memcpy(copy->im, t->im, bytes);
  return copy;
}

moire__tensor *moire__named_tensor_find(const moire__named_tensor *table, int n, const char *name) {
  for (int i = 0; i < n; i++) {
    if (strcmp(table[i].name, name) == 0) return table[i].tensor;
  }
  return NULL;
}

/* ---- a run ----------------------------------------------------------------------------------------------- */

typedef struct run {
  const moire_graph *g;
  const moire__graph_feed *feed;
  moire__arena arena;     /* the tables below */
  moire__tensor **values; /* by value id; NULL: not evaluated, or freed */
  bool *borrowed;         /* by value id: the tensor is the caller's */
  int *uses;              /* by value id: operands of needed nodes to come, and results */
  bool *needed;           /* by node */
  moire_error *error;
} run;

/* Wants a value: it will be handed out once more. */
static void want(run *r, int32_t value) {
  r->uses[value]++;
  r->needed[r->g->values[value].node] = true;
}

static moire_status want_results(run *r) {
  const moire_graph *g = r->g;
  for (int i = 0; i < r->feed->n_only && r->feed->only; i++) {
    int32_t value = moire__graph_find_output(g, r->feed->only[i]);
    if (!value) {
      return moire_fail(r->error, MOIRE_ERROR_ARGUMENT, "graph @%s has no output %s", g->name,
                        r->feed->only[i]);
    }
    want(r, value);
  }
  if (r->feed->only) return MOIRE_OK;
  for (int i = 0; i < g->n_outputs; i++) want(r, g->outputs[i].value);
  for (int i = 0; i < g->n_updates; i++) want(r, g->updates[i].value);
  return MOIRE_OK;
}

static void mark_needed(run *r) {
  for (int i = r->g->n_nodes - 1; i >= 0; i--) {
    const moire__node *node = &r->g->nodes[i];
    for (int j = 0; r->needed[i] && j < node->n_operands; j++) want(r, node->operands[j]);
  }
}

static void release_use(run *r, int32_t value) {
  if (--r->uses[value] > 0) return;
  if (!r->borrowed[value]) moire__tensor_destroy(r->values[value]);
  r->values[value] = NULL;
}

/* ---- what is given --------------------------------------------------------------------------------------- */

static moire_status wrong_tensor(run *r, const char *what, const char *name, const moire__tensor *got,
                                 const moire__value_info *info) {
  moire__text text = {0};
  moire_shape shape = {.rank = got->rank};
  memcpy(shape.dims, got->dims, sizeof shape.dims);
  moire__text_add_type(&text, r->g, got->dtype, &shape);
  moire__text_add(&text, " was given for ");
  moire__text_add_type(&text, r->g, info->dtype, &info->shape);
  for (int i = 1; i <= r->g->n_extents; i++) {
    moire__text_add(&text, ", %s = %" PRId64, r->g->extents[i], r->feed->extents[i]);
  }
  moire_status status =
      moire_fail(r->error, MOIRE_ERROR_SHAPE, "%s %s: %s", what, name, moire__text_string(&text));
  moire__text_free(&text);
  return status;
}

static bool fits(const run *r, const moire__tensor *t, const moire__value_info *info) {
  if (t->dtype != info->dtype || t->rank != info->shape.rank) return false;
  for (int i = 0; i < t->rank; i++) {
    if (t->dims[i] != moire__dim_size(info->shape.dims[i], r->feed->extents)) return false;
  }
  return true;
}

static moire_status take_given(run *r, const moire__node *node) {
  bool is_input = node->op == MOIRE__OP_input;
  const char *what = is_input ? "input" : "state", *name = moire__node_text(node, "name");
  const moire__value_info *info = &r->g->values[node->first_result];
  moire__tensor *given = is_input ? moire__named_tensor_find(r->feed->inputs, r->feed->n_inputs, name)
                                  : moire__named_tensor_find(r->feed->states, r->feed->n_states, name);
  if (!given) return moire_fail(r->error, MOIRE_ERROR_ARGUMENT, "%s %s was not given", what, name);
  if (!fits(r, given, info)) return wrong_tensor(r, what, name, given, info);
  r->values[node->first_result] = given;
  r->borrowed[node->first_result] = true;
  return MOIRE_OK;
}

/* ---- evaluation ------------------------------------------------------------------------------------------ */

static moire_status evaluate(run *r, const moire__node *node) {
  if (node->op == MOIRE__OP_input || node->op == MOIRE__OP_state) return take_given(r, node);
  const moire__op_info *info = moire__op_get(node->op);
  moire__arena scratch = {0};
  moire_error cause = {0};
  moire__reference c = {.g = r->g,
                        .node = node,
                        .extents = r->feed->extents,
                        .n_operands = node->n_operands,
                        .scratch = &scratch,
                        .error = &cause};
  for (int i = 0; i < node->n_operands; i++) c.operands[i] = r->values[node->operands[i]];
  for (int i = 0; i < node->n_results; i++) {
    const moire__value_info *value = &r->g->values[node->first_result + i];
    c.results[i] = moire__tensor_create(value->dtype, &value->shape, r->feed->extents);
    r->values[node->first_result + i] = c.results[i];
  }
  info->reference(&c);
  moire__arena_free(&scratch);
  if (cause.status == MOIRE_OK) return MOIRE_OK;
  return moire_fail(r->error, cause.status, "%s: %s (%s:%d)", info->name, cause.message,
                    node->source.file ? node->source.file : "?", node->source.line);
}

static moire_status evaluate_all(run *r) {
  for (int i = 0; i < r->g->n_nodes; i++) {
    const moire__node *node = &r->g->nodes[i];
    if (!r->needed[i]) continue;
    moire_status status = evaluate(r, node);
    if (status) return status;
    for (int j = 0; j < node->n_operands; j++) release_use(r, node->operands[j]);
    for (int j = 0; j < node->n_results; j++) {
      r->uses[node->first_result + j]++; /* a result that nobody uses goes at once */
      release_use(r, node->first_result + j);
    }
  }
  return MOIRE_OK;
}

/* One use of a value as a tensor of the caller's own. */
static moire__named_tensor hand_out(run *r, const char *name, int32_t value) {
  size_t bytes = strlen(name) + 1;
  char *copy = memcpy(moire__allocate(bytes), name, bytes);
  moire__tensor *tensor = r->values[value];
  if (r->uses[value] > 1 || r->borrowed[value]) {
    tensor = copy_tensor(tensor);
    release_use(r, value);
  } else {
    r->uses[value] = 0;
    r->values[value] = NULL;
  }
  return (moire__named_tensor){copy, tensor};
}

static void hand_out_results(run *r, moire__graph_results *results) {
  const moire_graph *g = r->g;
  const bool all = !r->feed->only;
  results->n_outputs = all ? g->n_outputs : r->feed->n_only;
  results->n_updates = all ? g->n_updates : 0;
  results->outputs = moire__allocate_array((size_t)results->n_outputs, sizeof *results->outputs);
  results->updates = moire__allocate_array((size_t)results->n_updates, sizeof *results->updates);
  for (int i = 0; i < results->n_outputs; i++) {
    const char *name = all ? g->outputs[i].name : r->feed->only[i];
    results->outputs[i] = hand_out(r, name, moire__graph_find_output(g, name));
  }
  for (int i = 0; i < results->n_updates; i++) {
    results->updates[i] = hand_out(r, g->updates[i].name, g->updates[i].value);
  }
}

void moire__graph_results_free(moire__graph_results *results) {
  for (int i = 0; i < results->n_outputs + results->n_updates; i++) {
    moire__named_tensor *entry =
        i < results->n_outputs ? &results->outputs[i] : &results->updates[i - results->n_outputs];
    moire__tensor_destroy(entry->tensor);
    moire__release((char *)(uintptr_t)entry->name);
  }
  moire__release(results->outputs);
  moire__release(results->updates);
  *results = (moire__graph_results){0};
}

moire_status moire__graph_interpret(const moire_graph *g, const moire__graph_feed *feed,
                                    moire__graph_results *results, moire_error *error) {
  *results = (moire__graph_results){0};
  moire_status status = moire_graph_status(g, error);
  if (status) return status;
  for (int i = 1; i <= g->n_extents; i++) {
    if (!feed->extents || feed->extents[i] < 0) {
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "extent %s was not given a size", g->extents[i]);
    }
  }
  run r = {.g = g, .feed = feed, .error = error};
  r.values = moire__arena_array(&r.arena, (size_t)g->n_values, sizeof *r.values);
  r.borrowed = moire__arena_array(&r.arena, (size_t)g->n_values, sizeof *r.borrowed);
  r.uses = moire__arena_array(&r.arena, (size_t)g->n_values, sizeof *r.uses);
  r.needed = moire__arena_array(&r.arena, (size_t)g->n_nodes, sizeof *r.needed);
  status = want_results(&r);
  if (status == MOIRE_OK) {
    mark_needed(&r);
    status = evaluate_all(&r);
  }
  if (status == MOIRE_OK) hand_out_results(&r, results);
  for (int32_t i = 1; i < g->n_values; i++) {
    if (!r.borrowed[i]) moire__tensor_destroy(r.values[i]);
  }
  moire__arena_free(&r.arena);
  return status;
}
