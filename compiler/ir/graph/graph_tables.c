/* The tables beside the nodes: extents, states, inputs, outputs and updates, and the streams of random masks.
 *
 * Names are unique in their table. Mistakes are recorded in the graph, like those of any other call.
 */
#include "compiler/ir/op.h"
#include "runtime/base/planes.h"

#include <ctype.h>
#include <string.h>

static const moire_source nowhere = {NULL, 0};

/* ---- extents --------------------------------------------------------------------------------------------- */

int moire__graph_find_extent(const moire_graph *g, const char *name, size_t length) {
  for (int i = 1; i <= g->n_extents; i++) {
    if (strlen(g->extents[i]) == length && memcmp(g->extents[i], name, length) == 0) return i;
  }
  return 0;
}

static bool is_identifier(const char *name, size_t length) {
  if (length == 0 || isdigit((unsigned char)name[0])) return false;
  for (size_t i = 0; i < length; i++) {
    if (!isalnum((unsigned char)name[i]) && name[i] != '_') return false;
  }
  return true;
}

int moire__graph_declare_extent(moire_graph *g, const char *name, size_t length) {
  int found = moire__graph_find_extent(g, name, length);
  if (found) return found;
  if (!is_identifier(name, length)) {
    moire__graph_fail_at(g, nowhere, "extent", MOIRE_ERROR_ARGUMENT, "the name %.*s is not an identifier",
                         (int)length, name);
    return 0;
  }
  if (g->n_extents == MOIRE_MAX_EXTENTS) {
    moire__graph_fail_at(g, nowhere, "extent", MOIRE_ERROR_ARGUMENT,
                         "%.*s would be one more than the %d that a graph can have", (int)length, name,
                         MOIRE_MAX_EXTENTS);
    return 0;
  }
  g->extents[++g->n_extents] = moire__arena_printf(&g->arena, "%.*s", (int)length, name);
  return g->n_extents;
}

moire_dim moire_extent(moire_graph *g, const char *name) {
  MOIRE__NEED_GRAPH(g);
  return moire__dim_make(1, moire__graph_declare_extent(g, name, strlen(name)));
}

/* ---- states ---------------------------------------------------------------------------------------------- */

int moire__graph_find_state(const moire_graph *g, const char *full_name) {
  return moire__names_find(&g->state_names, full_name);
}

static bool same_stream(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

static bool same_init(const moire_init *a, const moire_init *b) {
  return a->kind == b->kind && memcmp(&a->a, &b->a, sizeof a->a) == 0 &&
         memcmp(&a->b, &b->b, sizeof a->b) == 0 && same_stream(a->stream, b->stream) &&
         a->n_values == b->n_values &&
         (a->n_values == 0 || memcmp(a->values, b->values, (size_t)a->n_values * sizeof *a->values) == 0);
}

static moire_status state_mistake(moire_graph *g, const char *name, moire_status status, const char *sentence) {
  moire__graph_fail_at(g, nowhere, "state", status, "%s: %s", name, sentence);
  return status;
}

moire_status moire__graph_declare_state(moire_graph *g, const moire__state_info *state) {
  if (g->error.status) return g->error.status;
  const char *name = state->name;
  int found = moire__graph_find_state(g, name);
  if (found >= 0) {
    const moire__state_info *before = &g->states[found];
    if (before->dtype == state->dtype && moire__shape_equal(&before->shape, &state->shape) &&
        before->trained == state->trained && same_init(&before->init, &state->init)) {
      return MOIRE_OK;
    }
    return state_mistake(g, name, MOIRE_ERROR_ARGUMENT,
                         "it was declared before with another type or initial value");
  }
  if (!name[0]) return state_mistake(g, name, MOIRE_ERROR_ARGUMENT, "the name is empty");
  if (moire__dtype_name(state->dtype)[0] == '?') {
    return state_mistake(g, name, MOIRE_ERROR_TYPE, "it has no element type");
  }
  moire_error cause = {0};
  if (moire__shape_check(g, &state->shape, &cause)) {
    return state_mistake(g, name, cause.status, cause.message);
  }
  for (int i = 0; i < state->shape.rank; i++) {
    if (!moire__dim_is_static(state->shape.dims[i])) {
      return state_mistake(g, name, MOIRE_ERROR_SHAPE, "the extents of a state are static");
    }
  }
  if ((state->init.kind == MOIRE_INIT_LIST) != (state->init.n_values > 0)) {
    return state_mistake(g, name, MOIRE_ERROR_ARGUMENT, "a list of initial values has at least one");
  }
  moire__state_info kept = *state;
  kept.name = moire__arena_copy_string(&g->arena, name);
  if (kept.init.stream) kept.init.stream = moire__arena_copy_string(&g->arena, kept.init.stream);
  if (kept.init.n_values > 0) {
    double *values = moire__arena_array(&g->arena, (size_t)kept.init.n_values, sizeof *values);
    kept.init.values = memcpy(values, state->init.values, (size_t)kept.init.n_values * sizeof *values);
  }
  MOIRE__PUSH(&g->arena, g->states, g->n_states, g->state_capacity, kept);
  moire__names_add(&g->state_names, &g->arena, kept.name);
  return MOIRE_OK;
}

/* ---- inputs, outputs, updates ---------------------------------------------------------------------------- */

bool moire__planes_meet(const char *a, moire_dtype dtype_a, const char *b, moire_dtype dtype_b) {
  return (dtype_a == MOIRE_C64 && moire__plane_of(b, a) >= 0) ||
         (dtype_b == MOIRE_C64 && moire__plane_of(a, b) >= 0);
}

int32_t moire__graph_find_input(const moire_graph *g, const char *name) {
  int found = moire__names_find(&g->input_names, name);
  return found < 0 ? 0 : g->inputs[found];
}

int32_t moire__graph_find_output(const moire_graph *g, const char *name) {
  int found = moire__names_find(&g->output_names, name);
  return found < 0 ? 0 : g->outputs[found].value;
}

/* Is `value` one that can be handed out? A null value passes only in silence after an earlier mistake. */
static bool is_sound(moire_graph *g, moire_source at, const char *what, const char *name, moire_value value) {
  if (g->error.status) return false;
  if (!name[0]) {
    moire__graph_fail_at(g, at, what, MOIRE_ERROR_ARGUMENT, "the name is empty");
  } else if (moire_value_is_null(value)) {
    moire__graph_fail_at(g, at, what, MOIRE_ERROR_ARGUMENT, "%s: the value is null", name);
  } else if (value.graph != g) {
    moire__graph_fail_at(g, at, what, MOIRE_ERROR_ARGUMENT, "%s: the value belongs to another graph", name);
  }
  return g->error.status == MOIRE_OK;
}

const char *moire__metric_name(const char *name) {
  size_t length = strlen(MOIRE__METRIC_PREFIX);
  return strncmp(name, MOIRE__METRIC_PREFIX, length) == 0 && name[length] ? name + length : NULL;
}

/* f32[], or f32[B] of a named extent B. */
static bool is_metric(const moire__value_info *info) {
  if (info->dtype != MOIRE_F32 || info->shape.rank > 1) return false;
  moire_dim d = info->shape.dims[0];
  return info->shape.rank == 0 ||
         (moire__dim_factor(d) == 1 && moire__dim_extent(d, 0) && !moire__dim_extent(d, 1));
}

static void refuse_metric(moire_graph *g, moire_source at, const char *name, const moire__value_info *info) {
  moire__text type = {0};
  moire__text_add_type(&type, g, info->dtype, &info->shape);
  moire__graph_fail_at(g, at, "metric", info->dtype != MOIRE_F32 ? MOIRE_ERROR_TYPE : MOIRE_ERROR_SHAPE,
                       "%s is %s, wanted f32[], a mean, or one f32 a sample: f32[B] of a named extent B", name,
                       moire__text_string(&type));
  moire__text_free(&type);
}

void moire__graph_add_output(moire_graph *g, moire_source at, const char *name, moire_value value) {
  const char *metric = moire__metric_name(name), *what = metric ? "metric" : "output";
  if (!is_sound(g, at, what, name, value)) return;
  if (moire__graph_find_output(g, name)) {
    moire__graph_fail_at(g, at, what, MOIRE_ERROR_ARGUMENT, "there is %s %s already",
                         metric ? "a metric" : "an output", metric ? metric : name);
    return;
  }
  if (metric && !is_metric(moire__info(value))) {
    refuse_metric(g, at, metric, moire__info(value));
    return;
  }
  moire_dtype dtype = moire__info(value)->dtype;
  for (int i = 0; i < g->n_outputs; i++) {
    const moire__named_value *other = &g->outputs[i];
    if (!moire__planes_meet(name, dtype, other->name, g->values[other->value].dtype)) continue;
    moire__graph_fail_at(g, at, "output", MOIRE_ERROR_ARGUMENT,
                         "%s and %s: one is complex, the other has the name of its plane", other->name, name);
    return;
  }
  moire__named_value output = {moire__arena_copy_string(&g->arena, name), value.id};
  MOIRE__PUSH(&g->arena, g->outputs, g->n_outputs, g->output_capacity, output);
  moire__names_add(&g->output_names, &g->arena, output.name);
}

void moire__graph_add_update(moire_graph *g, moire_source at, const char *full_name, moire_value value) {
  if (!is_sound(g, at, "update", full_name, value)) return;
  int index = moire__graph_find_state(g, full_name);
  if (index < 0) {
    moire__graph_fail_at(g, at, "update", MOIRE_ERROR_ARGUMENT, "there is no state %s", full_name);
    return;
  }
  const moire__state_info *state = &g->states[index];
  const moire__value_info *info = moire__info(value);
  if (info->dtype != state->dtype || !moire__shape_equal(&info->shape, &state->shape)) {
    moire__text text = {0};
    moire__text_add(&text, "the state %s is ", full_name);
    moire__text_add_type(&text, g, state->dtype, &state->shape);
    moire__text_add(&text, ", the value ");
    moire__text_add_type(&text, g, info->dtype, &info->shape);
    moire__graph_fail_at(g, at, "update", info->dtype != state->dtype ? MOIRE_ERROR_TYPE : MOIRE_ERROR_SHAPE,
                         "%s", moire__text_string(&text));
    moire__text_free(&text);
    return;
  }
  if (moire__names_find(&g->update_names, full_name) >= 0) {
    moire__graph_fail_at(g, at, "update", MOIRE_ERROR_ARGUMENT, "the state %s is updated twice", full_name);
    return;
  }
  moire__named_value update = {state->name, value.id};
  MOIRE__PUSH(&g->arena, g->updates, g->n_updates, g->update_capacity, update);
  moire__names_add(&g->update_names, &g->arena, update.name);
}

/* ---- random masks ---------------------------------------------------------------------------------------- */

int64_t moire__graph_fresh_stream(const moire_graph *g) { return g->next_stream; }

void moire__graph_note_node(moire_graph *g, const moire__node *node) {
  const moire__attr *stream = moire__node_attr(node, "stream");
  bool taken = stream && stream->kind == MOIRE__ATTR_INT && stream->integer >= g->next_stream;
  if (taken && stream->integer < INT32_MAX) g->next_stream = stream->integer + 1;
  if (node->op != MOIRE__OP_input) return;
  MOIRE__PUSH(&g->arena, g->inputs, g->n_inputs, g->input_capacity, node->first_result);
  moire__names_add(&g->input_names, &g->arena, moire__node_text(node, "name"));
}
