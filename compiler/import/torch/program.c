/* The signature of a program: what it is given, keeps and returns. See program.h. */
#include "compiler/import/torch/program.h"

#include "compiler/import/torch/extents.h"
#include "runtime/files/file.h"

#include <string.h>

static const char *text_at(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

static moire_status malformed(const moire__torch_program *p, const char *what, moire_error *error) {
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: the program: wanted %s", moire__pt2_path(p->file), what);
}

/* ---- states -----------------------------------------------------------------------------------------------
 */

static bool same_view(const moire__pt2_tensor *a, const moire__pt2_tensor *b) {
  size_t bytes = (size_t)a->rank * sizeof *a->sizes;
  return a->storage == b->storage && a->type == b->type && a->offset == b->offset && a->rank == b->rank &&
         !memcmp(a->sizes, b->sizes, bytes) && !memcmp(a->strides, b->strides, bytes);
}

/* The state that is the same tensor under another name; NULL: none. */
static const char *twin_of(const moire__torch_program *p, const moire__program_state *state) {
  for (int i = 0; i < p->base.n_states && state->trained; i++) {
    const moire__program_state *other = &p->base.states[i];
    if (!other->as && other->trained && same_view(other->tensor, state->tensor)) return other->name;
  }
  return NULL;
}

/* Two trained views of the same bytes that are not equal cannot be two states. */
static moire_status check_overlap(const moire__torch_program *p, const moire__program_state *state,
                                  moire_error *error) {
  for (int i = 0; i < p->base.n_states && state->trained && !state->as; i++) {
    const moire__program_state *other = &p->base.states[i];
    const moire__pt2_tensor *tensor = state->tensor, *there = other->tensor;
    if (!other->trained || there->storage != tensor->storage) continue;
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                      "%s: the parameters %s and %s are different parts of one tensor: make them one parameter "
                      "and slice it, or two",
                      moire__pt2_path(p->file), other->name, state->name);
  }
  return MOIRE_OK;
}

static moire_status check_type(const moire__torch_program *p, const moire__program_state *state,
                               moire_error *error) {
  const moire__pt2_tensor *tensor = state->tensor;
  bool weight = state->dtype == MOIRE_F32 || state->dtype == MOIRE_C64;
  if (state->dtype && (weight || !state->trained)) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                    "%s: %s is of %s: wanted float32 or complex64 (model.float() before the export)",
                    moire__pt2_path(p->file), state->name, moire__torch_type_name(tensor->type));
}

static moire_status add_state(moire__torch_program *p, const char *name, const moire__pt2_tensor *tensor,
                              bool kept, moire_error *error) {
  moire__program_state state = {.tensor = tensor, .kept = kept};
  moire__printable_buffer shown;
  if (!tensor)
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: the tensor %s is not in the file",
                      moire__pt2_path(p->file), moire__printable(name, strlen(name), shown));
  state.name = kept ? moire__arena_copy_string(&p->base.arena, name)
                    : moire__arena_printf(&p->base.arena, "%s%s", MOIRE__CONSTANT_PREFIX, name);
  if (kept && !strncmp(name, MOIRE__CONSTANT_PREFIX, strlen(MOIRE__CONSTANT_PREFIX)))
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: no parameter may be called %s*",
                      moire__pt2_path(p->file), MOIRE__CONSTANT_PREFIX);
  state.dtype = moire__torch_dtype(tensor->type);
  state.shape.rank = tensor->rank;
  for (int i = 0; i < tensor->rank; i++) state.shape.dims[i] = tensor->sizes[i];
  state.count = tensor->count;
  state.trained = kept && tensor->needs_gradient;
  state.as = twin_of(p, &state);
  moire_status status = check_type(p, &state, error);
  if (!status) status = check_overlap(p, &state, error);
  if (!status) MOIRE__PUSH(&p->base.arena, p->base.states, p->base.n_states, p->base.state_capacity, state);
  return status;
}

/* ---- inputs -----------------------------------------------------------------------------------------------
 */

static void note_batch(moire__torch_program *p, const json_t *argument) {
  const char *name = text_at(json_object_get(argument, "as_tensor"), "name");
  const json_t *values = json_object_get(p->graph, "tensor_values");
  const json_t *sizes = name ? json_object_get(json_object_get(values, name), "sizes") : NULL;
  char symbol[64];
  if (!p->batch && moire__extent_symbol(json_array_get(sizes, 0), symbol, sizeof symbol))
    p->batch = moire__arena_copy_string(&p->base.arena, symbol);
}

static moire_status read_input(moire__torch_program *p, const json_t *spec, moire_error *error) {
  const json_t *parameter = json_object_get(spec, "parameter"), *buffer = json_object_get(spec, "buffer"),
               *constant = json_object_get(spec, "tensor_constant"),
               *user = json_object_get(spec, "user_input");
  if (user) {
    note_batch(p, json_object_get(user, "arg"));
    return MOIRE_OK;
  }
  const char *name = parameter ? text_at(parameter, "parameter_name")
                     : buffer  ? text_at(buffer, "buffer_name")
                               : text_at(constant, "tensor_constant_name");
  bool kept = parameter || (buffer && json_is_true(json_object_get(buffer, "persistent")));
  if (!name && json_object_get(spec, "constant_input")) return MOIRE_OK;
  if (!name) return malformed(p, "inputs that are tensors: objects and tokens are not read", error);
  return add_state(p, name, kept ? moire__pt2_weight(p->file, name) : moire__pt2_constant(p->file, name), kept,
                   error);
}

/* ---- outputs ----------------------------------------------------------------------------------------------
 */

/* Appends a name for each leaf of the tree of what is returned: a key of a dict, or a number behind the name
 * of what holds it. */
static void name_leaves(moire__torch_program *p, const json_t *spec, const char *name, int depth, int most) {
  enum { DEEPEST = 64 };
  const json_t *children = json_object_get(spec, "children_spec");
  if (json_is_null(json_object_get(spec, "type")) || !spec || depth > DEEPEST) {
    if (p->n_outputs < most) p->outputs[p->n_outputs] = name;
    p->n_outputs++;
    return;
  }
  const char *context = text_at(spec, "context");
  json_t *keys = context ? json_loads(context, JSON_DECODE_ANY, NULL) : NULL;
  for (size_t i = 0; i < json_array_size(children); i++) {
    const char *key = json_string_value(json_array_get(keys, i));
    char number[24];
    snprintf(number, sizeof number, "%zu", i);
    const char *part = key ? key : number;
    const char *whole = *name ? moire__arena_printf(&p->base.arena, "%s%s%s", name, key ? "." : "_", part)
                        : key ? moire__arena_copy_string(&p->base.arena, key)
                              : moire__arena_printf(&p->base.arena, "output_%s", number);
    name_leaves(p, json_array_get(children, i), whole, depth + 1, most);
  }
  json_decref(keys);
}

static const json_t *tensor_meta(const moire__torch_program *p, const json_t *argument) {
  const char *name = text_at(json_object_get(argument, "as_tensor"), "name");
  return name ? json_object_get(json_object_get(p->graph, "tensor_values"), name) : NULL;
}

static bool is_scalar(const moire__torch_program *p, const json_t *argument) {
  const json_t *meta = tensor_meta(p, argument);
  return meta && json_integer_value(json_object_get(meta, "dtype")) == MOIRE__TORCH_F32 &&
         json_array_size(json_object_get(meta, "sizes")) == 0;
}

static const json_t *output_at(const moire__torch_program *p, int i) {
  const json_t *spec = json_array_get(json_object_get(p->signature, "output_specs"), (size_t)i);
  const json_t *user = json_object_get(spec, "user_output");
  return json_object_get(user ? user : json_object_get(spec, "loss_output"), "arg");
}

/* The first real scalar is the loss, unless a dict says which; the others are metrics. */
static void name_scalars(moire__torch_program *p) {
  int loss = -1;
  for (int i = 0; i < p->n_outputs; i++) {
    if (is_scalar(p, output_at(p, i)) && (loss < 0 || !strcmp(p->outputs[i], "loss"))) loss = i;
  }
  for (int i = 0; i < p->n_outputs; i++) {
    if (!is_scalar(p, output_at(p, i))) continue;
    p->outputs[i] = i == loss ? "loss" : moire__arena_printf(&p->base.arena, "metric.%s", p->outputs[i]);
  }
}

static void name_outputs(moire__torch_program *p, const json_t *module) {
  const json_t *calls = json_object_get(module, "module_call_graph");
  const json_t *signature = json_object_get(json_array_get(calls, 0), "signature");
  const char *text = text_at(signature, "out_spec");
  json_t *tree = text ? json_loads(text, 0, NULL) : NULL;
  int n = (int)json_array_size(json_object_get(p->signature, "output_specs"));
  p->outputs = moire__arena_array(&p->base.arena, (size_t)n + 1, sizeof *p->outputs);
  const json_t *spec = json_array_get(tree, 1);
  if (spec) name_leaves(p, spec, "", 0, n);
  bool plain = p->n_outputs != n; /* the tree is of something else: numbers alone */
  for (int i = 0; i < n; i++) {
    if (plain) p->outputs[i] = moire__arena_printf(&p->base.arena, "output_%d", i);
    if (!*p->outputs[i]) p->outputs[i] = "output";
  }
  p->n_outputs = n;
  json_decref(tree);
  name_scalars(p);
  for (int i = 0; i < n; i++) {
    if (!tensor_meta(p, output_at(p, i))) p->outputs[i] = NULL;
  }
}

/* ---- all of it --------------------------------------------------------------------------------------------
 */

moire_status moire__torch_program_read(moire__torch_program *p, const moire__pt2 *file, moire_error *error) {
  p->file = file;
  const json_t *module = json_object_get(moire__pt2_program(file), "graph_module");
  p->graph = json_object_get(module, "graph");
  p->signature = json_object_get(module, "signature");
  const json_t *inputs = json_object_get(p->signature, "input_specs");
  const json_t *outputs = json_object_get(p->signature, "output_specs");
  const json_t *nodes = json_object_get(p->graph, "nodes");
  if (!json_is_array(nodes) || !json_is_array(inputs) || !json_is_array(outputs) ||
      !json_is_object(json_object_get(p->graph, "tensor_values")))
    return malformed(p, "graph_module with a graph of nodes and a signature", error);
  p->n_nodes = (int)json_array_size(nodes);
  moire_status status = MOIRE_OK;
  for (size_t i = 0; i < json_array_size(inputs) && !status; i++)
    status = read_input(p, json_array_get(inputs, i), error);
  if (!status) name_outputs(p, module);
  return status;
}

void moire__torch_program_free(moire__torch_program *p) { moire__arena_free(&p->base.arena); }

/* ---- as a kind of program ---------------------------------------------------------------------------------
 */

static void close_program(moire__program *base) {
  moire__torch_program *p = (moire__torch_program *)base;
  moire__pt2 *file = (moire__pt2 *)(uintptr_t)p->file;
  moire__torch_program_free(p);
  moire__pt2_close(file);
  moire__release(p);
}

static moire__program *open_program(const char *path, moire_error *error) {
  moire__pt2 *file = NULL;
  if (moire__pt2_open(path, &file, error)) return NULL;
  moire__torch_program *p = moire__allocate(sizeof *p);
  p->base.kind = &moire__torch_programs;
  if (!moire__torch_program_read(p, file, error)) return &p->base;
  close_program(&p->base);
  return NULL;
}

static void build_program(const moire__program *base, moire_graph *g, double dropout, moire__text *refusals) {
  moire__torch_program_build((const moire__torch_program *)base, g, dropout, refusals);
}

static void read_state(const moire__program_state *state, int plane, double *out) {
  moire__pt2_read(state->tensor, plane, out);
}

static const moire_config_field fields[] = {
    {"dropout", MOIRE_CONFIG_REAL, "null", 0, 0.99, NULL,
     "probability of every dropout of the program, instead of its own; 0: none"}};

const moire__program_kind moire__torch_programs = {.ending = ".pt2",
                                                   .summary = "a program of torch.export",
                                                   .fields = fields,
                                                   .n_fields = (int)(sizeof fields / sizeof *fields),
                                                   .open = open_program,
                                                   .close = close_program,
                                                   .build = build_program,
                                                   .read = read_state};
