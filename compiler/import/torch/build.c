/* From the nodes of a program to a graph. See program.h. */
#include "compiler/import/torch/program.h"

#include "compiler/import/torch/extents.h"
#include "compiler/import/refusals.h"
#include "compiler/import/torch/rows.h"
#include "compiler/ir/graph/graph.h"
#include "compiler/ir/names.h"
#include "runtime/files/file.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A name of the program stands for a slot; one that is changed in place and its result share theirs. */
typedef struct builder {
  const moire__torch_program *program;
  moire_graph *g;
  moire__arena arena;
  moire__names names;
  int *slot_of; /* by the number of a name */
  int n_bound, bound_capacity;
  moire__argument *slots;
  int n_slots, slot_capacity;
  double dropout;
  moire__refusals refusals;
} builder;

static const char *text_at(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

/* ---- names ------------------------------------------------------------------------------------------------
 */

static void bind_slot(builder *b, const char *name, int slot) {
  MOIRE__PUSH(&b->arena, b->slot_of, b->n_bound, b->bound_capacity, slot);
  moire__names_add(&b->names, &b->arena, moire__arena_copy_string(&b->arena, name));
}

static void bind(builder *b, const char *name, moire__argument value) {
  MOIRE__PUSH(&b->arena, b->slots, b->n_slots, b->slot_capacity, value);
  bind_slot(b, name, b->n_slots - 1);
}

static int find_slot(const builder *b, const char *name) {
  int i = name ? moire__names_find(&b->names, name) : -1;
  return i < 0 ? -1 : b->slot_of[i];
}

/* ---- where a node stands in the Python file ----------------------------------------------------------------
 */

static bool is_torch_file(const char *path, size_t n) {
  static const char *const places[] = {"site-packages/torch/", "dist-packages/torch/", "torch/nn/modules/"};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    if (memmem(path, n, places[i], strlen(places[i]))) return true;
  }
  return false;
}

/* The innermost line of a stack trace that is not PyTorch's own. */
static moire_source source_of(builder *b, const json_t *metadata) {
  const char *at = text_at(metadata, "stack_trace");
  moire_source found = {"", 0};
  while (at && (at = strstr(at, "File \""))) {
    at += 6;
    size_t n = strcspn(at, "\"\n");
    const char *number = at[n] == '"' && !strncmp(at + n, "\", line ", 8) ? at + n + 8 : NULL;
    if (number && !is_torch_file(at, n)) {
      char *file = moire__arena_printf(&b->arena, "%.*s", n > 400 ? 400 : (int)n, at);
      found = (moire_source){file, atoi(number)};
    }
    at += n;
  }
  return found.line > 0 ? found : (moire_source){moire__pt2_path(b->program->file), 0};
}

/* "L__self__,,M;L__self___norm,norm,LayerNorm": the path of the innermost module. */
static const char *scope_of(builder *b, const json_t *metadata) {
  const char *stack = text_at(metadata, "nn_module_stack");
  const char *last = stack ? strrchr(stack, ';') : NULL;
  const char *comma = stack ? strchr(last ? last : stack, ',') : NULL;
  if (!comma || !strncmp(comma + 1, "_empty_nn_module_stack", 22)) return "";
  size_t n = strcspn(comma + 1, ",");
  for (size_t i = 1; i <= n; i++) {
    if ((unsigned char)comma[i] <= ' ' || comma[i] == '"' || (unsigned char)comma[i] > '~') return "";
  }
  return moire__arena_printf(&b->arena, "%.*s", n > 200 ? 200 : (int)n, comma + 1);
}

/* ---- refusals ---------------------------------------------------------------------------------------------
 */

static void refuse(builder *b, const char *op, moire_source at, const char *why, const char *hint) {
  moire__refusals_add(&b->refusals, op, at, why, hint);
}

/* ---- arguments --------------------------------------------------------------------------------------------
 */

static moire__argument number(moire__argument_kind kind, double real) {
  return (moire__argument){.kind = kind, .real = real, .integer = (int64_t)real};
}

static moire__argument whole(const json_t *value) {
  moire__argument a = {.kind = MOIRE__ARGUMENT_INT, .integer = json_integer_value(value)};
  a.real = (double)a.integer;
  return a;
}

/* Infinities and NaN are texts in JSON. */
static double real_of(const json_t *value) {
  const char *text = json_string_value(value);
  if (!text) return json_number_value(value);
  return !strcmp(text, "Infinity") ? INFINITY : !strcmp(text, "-Infinity") ? -INFINITY : (double)NAN;
}

static moire__argument named(const builder *b, const json_t *object) {
  int slot = find_slot(b, text_at(object, "name"));
  return slot < 0 ? (moire__argument){.unbound = true} : b->slots[slot];
}

static moire__argument symbolic(const builder *b, const json_t *object) {
  const json_t *value = json_object_get(object, "as_int");
  if (value) return whole(value);
  int slot = find_slot(b, text_at(object, "as_name"));
  return slot < 0 ? (moire__argument){.unbound = true} : b->slots[slot];
}

typedef enum form {
  FORM_NONE,
  FORM_TENSOR,
  FORM_OPTIONAL,
  FORM_INT,
  FORM_SYMBOL,
  FORM_REAL,
  FORM_BOOL,
  FORM_TEXT,
  FORM_TYPE,
  FORM_COMPLEX,
  FORM_PLACE
} form;

static moire__argument read_one(builder *b, form is, const json_t *v) {
  switch (is) {
    case FORM_NONE: return (moire__argument){.kind = MOIRE__ARGUMENT_NOTHING};
    case FORM_TENSOR: return named(b, v);
    case FORM_OPTIONAL:
      return json_object_get(v, "as_tensor") ? named(b, json_object_get(v, "as_tensor"))
                                             : (moire__argument){.kind = MOIRE__ARGUMENT_NOTHING};
    case FORM_INT: return whole(v);
    case FORM_SYMBOL: return symbolic(b, v);
    case FORM_REAL: return (moire__argument){.kind = MOIRE__ARGUMENT_REAL, .real = real_of(v)};
    case FORM_BOOL:
      return json_is_boolean(v) ? number(MOIRE__ARGUMENT_BOOL, json_is_true(v))
             : json_object_get(v, "as_bool")
                 ? number(MOIRE__ARGUMENT_BOOL, json_is_true(json_object_get(v, "as_bool")))
                 : (moire__argument){0};
    case FORM_TEXT:
      return (moire__argument){.kind = MOIRE__ARGUMENT_TEXT,
                               .text = json_is_string(v) ? json_string_value(v) : ""};
    case FORM_TYPE:
      return (moire__argument){.kind = MOIRE__ARGUMENT_TYPE, .type = (moire__torch_type)json_integer_value(v)};
    case FORM_COMPLEX:
      return (moire__argument){.kind = MOIRE__ARGUMENT_COMPLEX,
                               .real = real_of(json_object_get(v, "real")),
                               .imaginary = real_of(json_object_get(v, "imag"))};
    case FORM_PLACE: break;
  }
  return (moire__argument){.kind = MOIRE__ARGUMENT_PLACE};
}

static moire__argument read_list(builder *b, form is, const json_t *list) {
  int n = (int)json_array_size(list);
  moire__argument *items = moire__arena_array(&b->arena, (size_t)n + 1, sizeof *items);
  for (int i = 0; i < n; i++) items[i] = read_one(b, is, json_array_get(list, (size_t)i));
  return (moire__argument){.kind = MOIRE__ARGUMENT_LIST, .items = items, .n = n};
}

/* {"as_int": 3} and its like; of a form that is not known: UNKNOWN. */
static moire__argument read_argument(builder *b, const json_t *argument) {
  static const struct {
    const char *key;
    form form;
    bool list;
  } forms[] = {{"as_none", FORM_NONE, false},
               {"as_tensor", FORM_TENSOR, false},
               {"as_tensors", FORM_TENSOR, true},
               {"as_int", FORM_INT, false},
               {"as_ints", FORM_INT, true},
               {"as_float", FORM_REAL, false},
               {"as_floats", FORM_REAL, true},
               {"as_string", FORM_TEXT, false},
               {"as_sym_int", FORM_SYMBOL, false},
               {"as_sym_ints", FORM_SYMBOL, true},
               {"as_scalar_type", FORM_TYPE, false},
               {"as_bool", FORM_BOOL, false},
               {"as_sym_bool", FORM_BOOL, false},
               {"as_complex", FORM_COMPLEX, false},
               {"as_optional_tensors", FORM_OPTIONAL, true},
               {"as_optional_tensor", FORM_OPTIONAL, false},
               {"as_memory_format", FORM_PLACE, false},
               {"as_layout", FORM_PLACE, false},
               {"as_device", FORM_PLACE, false}};
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    const json_t *value = json_object_get(argument, forms[i].key);
    if (value) return forms[i].list ? read_list(b, forms[i].form, value) : read_one(b, forms[i].form, value);
  }
  return (moire__argument){0};
}

static bool is_unbound(const moire__argument *a) {
  bool unbound = a->unbound;
  for (int i = 0; i < a->n && a->kind == MOIRE__ARGUMENT_LIST; i++) unbound = unbound || a->items[i].unbound;
  return unbound;
}

static bool is_unknown(const moire__argument *a) {
  bool unknown = a->kind == MOIRE__ARGUMENT_UNKNOWN;
  for (int i = 0; i < a->n && a->kind == MOIRE__ARGUMENT_LIST; i++)
    unknown = unknown || a->items[i].kind == MOIRE__ARGUMENT_UNKNOWN;
  return unknown;
}

static void read_arguments(builder *b, moire__call *c, const json_t *inputs) {
  for (size_t i = 0; i < json_array_size(inputs); i++) {
    const json_t *input = json_array_get(inputs, i);
    const char *name = text_at(input, "name");
    if (c->n_arguments == MOIRE__MOST_ARGUMENTS) moire__refuse(c, "has more arguments than any operation");
    if (c->n_arguments == MOIRE__MOST_ARGUMENTS) return;
    moire__named_argument *a = &c->arguments[c->n_arguments++];
    *a = (moire__named_argument){name ? name : "", read_argument(b, json_object_get(input, "arg")), false};
    if (is_unbound(&a->argument))
      moire__refuse(c, "%s: is a value that no node before this one makes", a->name);
    if (is_unknown(&a->argument)) c->unknown = true;
  }
}

/* ---- results ----------------------------------------------------------------------------------------------
 */

/* Does the value have the type and the shape that the file claims? Whole numbers of ours take the file's width.
 */
static moire_value check_result(builder *b, moire__call *c, const char *name, moire_value value) {
  const json_t *meta = json_object_get(json_object_get(b->program->graph, "tensor_values"), name);
  const json_t *sizes = json_object_get(meta, "sizes");
  moire__torch_type type = (moire__torch_type)json_integer_value(json_object_get(meta, "dtype"));
  moire_shape shape = moire_value_shape(value);
  if (!meta) moire__refuse(c, "gives a value that the file does not describe");
  if (!moire__torch_dtype(type))
    moire__refuse(c, "gives %s, which Moire does not compute with", moire__torch_type_name(type));
  bool ours = moire_value_dtype(value) == MOIRE_I32, theirs = type == MOIRE__TORCH_I64;
  if (ours && theirs) value = moire_cast_at(c->at, value, MOIRE_I64);
  if (moire__type_of(value) != type)
    moire__refuse(c, "gives %s here, but the file says %s", moire__torch_type_name(moire__type_of(value)),
                  moire__torch_type_name(type));
  bool equal = json_array_size(sizes) == (size_t)shape.rank;
  for (int i = 0; i < shape.rank && equal; i++) {
    moire_dim dim;
    const json_t *size = json_array_get(sizes, (size_t)i);
    bool readable = moire__extent_read(b->g, b->program->batch, size, &dim);
    if (!readable) moire__refuse(c, "gives a size that is no product of numbers and sizes of the inputs");
    equal = readable && dim == shape.dims[i];
  }
  if (!equal) moire__refuse(c, "gives another shape here than the file says");
  return value;
}

static void bind_result(builder *b, moire__call *c, const json_t *output, moire__argument result) {
  const char *name = text_at(json_object_get(output, "as_tensor"), "name");
  if (!name) name = text_at(output, "name"); /* of a list */
  if (name && result.kind == MOIRE__ARGUMENT_TENSOR && !moire_value_is_null(result.value) && !c->why)
    result.value = check_result(b, c, name, result.value);
  if (!name) name = text_at(json_object_get(output, "as_sym_int"), "as_name");
  if (!name) name = text_at(json_object_get(output, "as_sym_bool"), "as_name");
  if (!name) return;
  bool good =
      !c->why && !c->unknown && (result.kind != MOIRE__ARGUMENT_TENSOR || !moire_value_is_null(result.value));
  bind(b, name, good ? result : (moire__argument){0});
}

static void bind_results(builder *b, moire__call *c, const json_t *outputs) {
  size_t n = json_array_size(outputs);
  const json_t *list = n == 1 ? json_object_get(json_array_get(outputs, 0), "as_tensors") : NULL;
  if (list) outputs = list;
  n = json_array_size(outputs);
  bool several = c->result.kind == MOIRE__ARGUMENT_LIST;
  if (!c->why && !c->unknown && n > 0 && (several ? (size_t)c->result.n != n : n != 1))
    moire__refuse(c, "gives %d results here, but the file says %zu", several ? c->result.n : 1, n);
  for (size_t i = 0; i < n; i++) {
    bool there = several ? (int)i < c->result.n : i == 0;
    moire__argument result = !there ? (moire__argument){0} : several ? c->result.items[i] : c->result;
    bind_result(b, c, json_array_get(outputs, i), result);
  }
}

/* ---- in place ---------------------------------------------------------------------------------------------
 */

/* "aten.add_.Tensor" -> "aten.add.Tensor"; NULL: it changes nothing in place. */
static const char *without_underscore(builder *b, const char *op) {
  const char *dot = strrchr(op, '.');
  const char *first = strchr(op, '.');
  if (!dot || dot == first || dot[-1] != '_' || dot[-2] == '_') return NULL;
  return moire__arena_printf(&b->arena, "%.*s%s", (int)(dot - op) - 1, op, dot);
}

/* The result is what the first argument is from here on, under all of its names. */
static void change_in_place(builder *b, moire__call *c, const json_t *node) {
  const json_t *input = json_array_get(json_object_get(node, "inputs"), 0);
  const char *name = text_at(json_object_get(json_object_get(input, "arg"), "as_tensor"), "name");
  const json_t *output = json_array_get(json_object_get(node, "outputs"), 0);
  const char *result = text_at(json_object_get(output, "as_tensor"), "name");
  int slot = find_slot(b, name);
  if (slot < 0 || !result || c->result.kind != MOIRE__ARGUMENT_TENSOR || moire_value_is_null(c->result.value))
    return;
  moire__argument *there = &b->slots[slot];
  if (there->aliased)
    moire__refuse(c, "changes a tensor in place that another one shares its elements with; write x = x.op(..), "
                     "or torch.where");
  moire_value value = c->why ? c->result.value : check_result(b, c, result, c->result.value);
  if (there->state && !c->why) moire_update_at(c->at, b->g, there->state, value);
  const char *state = there->state;
  *there = c->why ? (moire__argument){0} : c->result;
  there->value = value;
  there->state = state;
  bind_slot(b, result, slot);
}

/* ---- nodes ------------------------------------------------------------------------------------------------
 */

static void mark_views(builder *b, moire__call *c, const json_t *node) {
  const json_t *input = json_array_get(json_object_get(node, "inputs"), 0);
  const json_t *argument = json_object_get(input, "arg");
  int slot = find_slot(b, text_at(json_object_get(argument, "as_tensor"), "name"));
  if (slot >= 0) b->slots[slot].aliased = true;
  c->result.aliased = true;
}

static void build_node(builder *b, const json_t *node) {
  const char *target = text_at(node, "target");
  const char *op = target ? target : "";
  if (!strncmp(op, "torch.ops.", 10)) op += 10;
  const json_t *metadata = json_object_get(node, "metadata");
  moire__call c = {
      .arena = &b->arena, .graph = b->g, .at = source_of(b, metadata), .op = op, .dropout = b->dropout};
  const moire__aten_row *row = moire__aten_find(op);
  const char *plain = row ? NULL : without_underscore(b, op);
  const char *hint = "";
  if (plain) row = moire__aten_find(plain);
  read_arguments(b, &c, json_object_get(node, "inputs"));
  if (!row) {
    moire__refuse(&c, "is an operation that Moire does not import");
    hint = moire__aten_hint(op);
  } else if (!c.unknown && !c.why) {
    const char *scope = scope_of(b, metadata);
    if (*scope) moire_scope_push(b->g, "%s", scope);
    row->build(&c);
    if (*scope) moire_scope_pop(b->g);
    moire__check_arguments(&c);
    moire__take_mistake(&c);
    if (row->is_view) mark_views(b, &c, node);
  }
  if (plain && row && !c.unknown) change_in_place(b, &c, node);
  if (!plain || !row || c.why || c.unknown) bind_results(b, &c, json_object_get(node, "outputs"));
  moire__take_mistake(&c);
  if (c.why) refuse(b, op, c.at, c.why, hint);
}

/* ---- inputs and outputs -----------------------------------------------------------------------------------
 */

static const moire__program_state *state_of(const builder *b, const char *name, bool kept) {
  size_t skipped = kept ? 0 : strlen(MOIRE__CONSTANT_PREFIX);
  for (int i = 0; i < b->program->base.n_states; i++) {
    const moire__program_state *s = &b->program->base.states[i];
    if (s->kept == kept && !strcmp(s->name + skipped, name)) return s;
  }
  return NULL;
}

static moire_value declare(builder *b, const moire__program_state *s, moire_source at) {
  const char *name = s->as ? s->as : s->name;
  moire_init zero = moire_init_constant(0);
  if (!s->trained) return moire_state_at(at, b->g, name, s->dtype, s->shape, zero);
  if (s->dtype == MOIRE_C64) return moire_complex_parameter_at(at, b->g, name, s->shape, zero);
  return moire_parameter_at(at, b->g, name, s->shape, zero);
}

static void build_state(builder *b, const json_t *spec, const char *key, bool kept, moire_source at) {
  const char *placeholder = text_at(json_object_get(spec, "arg"), "name");
  const char *name = text_at(spec, key);
  const moire__program_state *s = name ? state_of(b, name, kept) : NULL;
  if (!placeholder || !s) return;
  moire__argument a = {
      .kind = MOIRE__ARGUMENT_TENSOR, .value = declare(b, s, at), .state = s->trained ? NULL : s->name};
  a.aliased = s->trained; /* a parameter is changed by the optimizer alone */
  bind(b, placeholder, a);
}

static void build_user_input(builder *b, const json_t *spec, moire_source at) {
  const char *name = text_at(json_object_get(json_object_get(spec, "arg"), "as_tensor"), "name");
  if (!name) return; /* a number: it is written into the nodes */
  const json_t *meta = json_object_get(json_object_get(b->program->graph, "tensor_values"), name);
  const json_t *sizes = json_object_get(meta, "sizes");
  moire__torch_type type = (moire__torch_type)json_integer_value(json_object_get(meta, "dtype"));
  moire_shape shape = {.rank = (int)json_array_size(sizes)};
  bool good = json_is_array(sizes) && json_array_size(sizes) <= MOIRE_MAX_RANK && moire__torch_dtype(type);
  for (int i = 0; good && i < shape.rank; i++)
    good = moire__extent_read(b->g, b->program->batch, json_array_get(sizes, (size_t)i), &shape.dims[i]);
  moire__argument a = {.kind = MOIRE__ARGUMENT_TENSOR, .aliased = true};
  if (good) a.value = moire_input_at(at, b->g, name, moire__torch_dtype(type), shape);
  if (!good) {
    refuse(b, name, at, "an input of this type or shape is not taken",
           "wanted float32, complex64, int64, int32 or bool, of at most 8 axes, each a number or a named size");
    a = (moire__argument){0};
  }
  bind(b, name, a);
}

static void build_inputs(builder *b) {
  const json_t *specs = json_object_get(b->program->signature, "input_specs");
  moire_source at = {moire__pt2_path(b->program->file), 0};
  for (size_t i = 0; i < json_array_size(specs); i++) {
    const json_t *spec = json_array_get(specs, i);
    const json_t *parameter = json_object_get(spec, "parameter"), *buffer = json_object_get(spec, "buffer"),
                 *constant = json_object_get(spec, "tensor_constant"),
                 *user = json_object_get(spec, "user_input");
    if (parameter) build_state(b, parameter, "parameter_name", true, at);
    if (buffer) build_state(b, buffer, "buffer_name", json_is_true(json_object_get(buffer, "persistent")), at);
    if (constant) build_state(b, constant, "tensor_constant_name", false, at);
    if (user) build_user_input(b, user, at);
  }
}

static void build_outputs(builder *b) {
  const json_t *specs = json_object_get(b->program->signature, "output_specs");
  moire_source at = {moire__pt2_path(b->program->file), 0};
  for (int i = 0; i < b->program->n_outputs; i++) {
    const json_t *spec = json_array_get(specs, (size_t)i);
    const json_t *user = json_object_get(spec, "user_output");
    if (!user) user = json_object_get(spec, "loss_output");
    const char *name = text_at(json_object_get(json_object_get(user, "arg"), "as_tensor"), "name");
    int slot = find_slot(b, name);
    if (!name && !user) refuse(b, "an output", at, "of this kind is not taken", "return tensors");
    if (!name || !b->program->outputs[i]) continue;
    bool tensor = slot >= 0 && b->slots[slot].kind == MOIRE__ARGUMENT_TENSOR;
    if (slot < 0) refuse(b, name, at, "is returned, but nothing makes it", "");
    if (slot >= 0 && !tensor && !b->refusals.n) refuse(b, name, at, "is returned, but is no tensor", "");
    if (tensor) moire_output_at(at, b->g, b->program->outputs[i], b->slots[slot].value);
  }
}

void moire__torch_program_build(const moire__torch_program *program, moire_graph *g, double dropout,
                                moire__text *refusals) {
  builder b = {.program = program, .g = g, .dropout = dropout};
  b.refusals = (moire__refusals){.arena = &b.arena, .lines = refusals};
  build_inputs(&b);
  const json_t *nodes = json_object_get(program->graph, "nodes");
  for (size_t i = 0; i < json_array_size(nodes); i++) build_node(&b, json_array_get(nodes, i));
  build_outputs(&b);
  if (!b.refusals.n && !moire_graph_output_count(g) && !moire_graph_status(g, NULL))
    refuse(&b, "the program", (moire_source){moire__pt2_path(program->file), 0}, "returns no tensor", "");
  moire__refusals_finish(&b.refusals, g);
  moire__arena_free(&b.arena);
}
