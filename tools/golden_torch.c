/* Goldens of programs of torch.export, of format golden/pt2/1: what PyTorch computed in double.
 *
 * input/<name or number>, output/<number>, and of a program that gives a loss: loss, grad/<parameter>,
 * trained/<parameter> and loss_after, after one step of the optimizer. Complex tensors are two, <key>.re and
 * <key>.im. Initial parameters are the program's own. What was exported with its loss by a module that holds
 * the model calls a parameter model.<parameter>. */
#include "tools/golden.h"

#include "runtime/base/planes.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

static const char *const suffixes[] = {".re", ".im"};

static bool begins(const char *text, const char *prefix) { return !strncmp(text, prefix, strlen(prefix)); }

/* The tensor of a plane, or of what is real; NULL if there is none. */
static const moire__st_tensor *find(tool_golden *g, const char *kind, const char *name, int plane) {
  const char *suffix = plane < 0 ? "" : suffixes[plane];
  return moire__safetensors_find(g->file, moire__arena_printf(&g->arena, "%s%s%s", kind, name, suffix));
}

/* ---- reading ----------------------------------------------------------------------------------------------
 */

static moire_status read_optimizer(tool_golden *g, moire_error *error) {
  const char *text = moire__safetensors_metadata(g->file, "optimizer");
  g->optimizer = moire_compile_defaults();
  if (!text) return MOIRE_OK;
  json_t *root = json_loads(text, 0, NULL);
  const char *name = json_string_value(json_object_get(root, "name"));
  double lr = json_number_value(json_object_get(root, "lr"));
  moire_status status = MOIRE_OK;
  if (!name || strcmp(name, "adam") != 0 || !(lr > 0))
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata optimizer: wanted adam and its lr", g->path);
  g->optimizer.training.optimizer = MOIRE_OPTIMIZER_ADAM;
  g->optimizer.training.lr = lr;
  json_decref(root);
  return status;
}

static moire_status note_extents(tool_golden *g, const moire_graph *graph, const moire_port *port,
                                 const moire__st_tensor *t, moire_error *error) {
  bool fits = t->rank == port->shape.rank;
  for (int i = 0; fits && i < t->rank; i++) {
    const char *name = moire_dim_extent_name(graph, port->shape.dims[i], 0);
    int known = 0;
    while (name && known < g->n_extents && strcmp(g->extents[known].name, name) != 0) known++;
    if (name && known == g->n_extents && known < 16)
      g->extents[g->n_extents++] = (tool_golden_extent){moire__arena_copy_string(&g->arena, name), t->shape[i]};
    int64_t wanted = moire_dim_factor(port->shape.dims[i]);
    fits = t->shape[i] == (name ? wanted * g->extents[known].size : wanted);
  }
  if (fits) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: %s: has not the shape that the program's input %s wants",
                    g->path, t->name, port->name);
}

static void add_input(tool_golden *g, const char *name, const moire__st_tensor *t) {
  tool_golden_input input = {.name = name, .n = t->count};
  input.values = moire__arena_array(&g->arena, (size_t)t->count + 1, sizeof *input.values);
  moire__st_to_double(t, input.values);
  MOIRE__PUSH(&g->arena, g->inputs, g->n_inputs, g->input_capacity, input);
}

/* The golden's name of the program's input i: its own, its number, or that of the golden's i-th input. */
static const char *name_of_input(tool_golden *g, const moire_port *port, int i) {
  int plane = port->dtype == MOIRE_C64 ? 0 : -1;
  if (find(g, "input/", port->name, plane)) return port->name;
  const char *number = moire__arena_printf(&g->arena, "%d", i);
  if (find(g, "input/", number, plane)) return number;
  int k = 0;
  for (int t = 0; t < moire__safetensors_count(g->file); t++) {
    const char *name = moire__safetensors_at(g->file, t)->name;
    size_t n = strlen(name);
    if (!begins(name, "input/") || (n > 3 && !strcmp(name + n - 3, ".im"))) continue;
    if (k++ < i) continue;
    bool complex = n > 3 && !strcmp(name + n - 3, ".re");
    return moire__arena_printf(&g->arena, "%.*s", (int)(n - 6 - (complex ? 3 : 0)), name + 6);
  }
  return port->name;
}

static moire_status read_input(tool_golden *g, const moire_graph *graph, int i, moire_error *error) {
  moire_port port = moire_graph_input(graph, i);
  bool complex = port.dtype == MOIRE_C64;
  const char *name = name_of_input(g, &port, i);
  for (int p = 0; p < (complex ? 2 : 1); p++) {
    const moire__st_tensor *t = find(g, "input/", name, complex ? p : -1);
    if (!t)
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: input/%s%s: is missing", g->path, name,
                        complex ? suffixes[p] : "");
    moire_status status = note_extents(g, graph, &port, t, error);
    if (status) return status;
    add_input(g, moire__arena_printf(&g->arena, "%s%s", port.name, complex ? moire__plane_suffix(p) : ""), t);
  }
  return MOIRE_OK;
}

moire_status tool_golden_open_torch(tool_golden *g, const char *path, const char *model, moire_error *error) {
  g->path = path;
  g->from_torch = true;
  moire_status status = moire__safetensors_open(path, &g->file, error);
  const char *format = status ? NULL : moire__safetensors_metadata(g->file, "format");
  if (!status && (!format || strcmp(format, "golden/pt2/1") != 0))
    status =
        moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata format: wanted golden/pt2/1 for a program", path);
  if (!status) status = tool_golden_assign(g, error);
  if (!status) status = moire__setup_find(&g->setup, model, path, error);
  if (!status) status = moire__setup_build(&g->setup, path, error);
  if (!status) status = read_optimizer(g, error);
  moire_graph *graph = status ? NULL : moire__setup_graph(&g->setup, MOIRE_TRAINING, error);
  if (!graph) return status ? status : MOIRE_ERROR_ARGUMENT;
  for (int i = 0; i < moire_graph_input_count(graph) && !status; i++) {
    if (strcmp(moire_graph_input(graph, i).name, "rng") != 0) status = read_input(g, graph, i, error);
  }
  moire_graph_destroy(graph);
  return status;
}

/* ---- running ----------------------------------------------------------------------------------------------
 */

static void set_states(const tool_golden *g, tool_session *s) {
  for (int i = 0; i < tool_session_state_count(s); i++) {
    moire_plan_state state = tool_session_state(s, i);
    const char *name = state.name;
    int64_t n = moire_import_state(g->setup.imported, name, NULL);
    if (n < 0 || n != tool_session_state_elements(s, name)) continue;
    double *values = moire__allocate_array((size_t)n + 1, sizeof *values);
    moire_import_state(g->setup.imported, name, values);
    tool_golden_shift(g, &state, values, n);
    tool_session_set_state(s, name, values);
    moire__release(values);
  }
}

static moire_status set_inputs(tool_golden *g, tool_session *s, int64_t step, moire_error *error) {
  double scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
  const moire_training_options *o = &g->optimizer.training;
  moire_batch_place place = moire_batch_place_at(step, 1);
  moire_optimizer_scalars(o, &place, scalars);
  moire_status status = MOIRE_OK;
  for (int i = 0; i < g->n_extents && !status; i++)
    status = tool_session_set_extent(s, g->extents[i].name, g->extents[i].size, error);
  for (int i = 0; i < g->n_inputs && !status; i++)
    status = tool_session_set_input(s, g->inputs[i].name, g->inputs[i].values, g->inputs[i].n, error);
  if (!status) status = tool_session_set_input(s, "rng", (const double[]){0, 0, (double)step}, 3, error);
  int n_scalars = moire_optimizer_scalar_count(o);
  return status ? status : tool_session_set_input(s, "optimizer.scalars", scalars, n_scalars, error);
}

static tool_session *start(tool_golden *g, tool_engine engine, moire_mode mode, moire_compile_options options,
                           moire_threads *threads, moire_error *error) {
  tool_session *s = tool_golden_session(g, engine, mode, options, threads, error);
  if (!s) return NULL;
  set_states(g, s);
  if (!set_inputs(g, s, 0, error)) return s;
  tool_session_destroy(s);
  return NULL;
}

/* ---- outputs ----------------------------------------------------------------------------------------------
 */

/* Compares output i of the graph, or only asks whether the golden has it, without a session. */
static moire_status compare_output(tool_golden *g, tool_engine engine, const tool_session *s,
                                   const moire_port *port, int i, bool *there, moire_error *error) {
  char number[16];
  snprintf(number, sizeof number, "%d", i);
  bool complex = port->dtype == MOIRE_C64;
  moire_status status = MOIRE_OK;
  *there = find(g, "output/", number, complex ? 0 : -1) != NULL;
  for (int p = 0; s && *there && p < (complex ? 2 : 1) && !status; p++) {
    const moire__st_tensor *want = find(g, "output/", number, complex ? p : -1);
    const char *name =
        moire__arena_printf(&g->arena, "%s%s", port->name, complex ? moire__plane_suffix(p) : "");
    if (!want) return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: output/%s.im: is missing", g->path, number);
    status = tool_golden_compare_output(g, TOOL_OUTPUTS, engine, s, name, want, error);
  }
  return status;
}

/* The loss of a golden that has one is not output/0, which is the model's. */
static bool is_loss(const tool_golden *g, const moire_port *port) {
  return !strcmp(port->name, "loss") && moire__safetensors_find(g->file, "loss");
}

/* What is drawn is drawn otherwise than PyTorch's, and in inference not at all. */
static moire_status refuse_draws(tool_golden *g, moire_error *error) {
  moire_graph *graph = moire__setup_graph(&g->setup, MOIRE_TRAINING, error);
  if (!graph) return MOIRE_ERROR_ARGUMENT;
  bool draws = moire_graph_find_input(graph, "rng").name != NULL;
  moire_graph_destroy(graph);
  if (!draws) return MOIRE_OK;
  return moire_fail(
      error, MOIRE_ERROR_UNSUPPORTED,
      "%s: the program draws random numbers, which PyTorch draws otherwise: wanted --set dropout=0 "
      "and a golden without",
      g->path);
}

static moire_status check_outputs(tool_golden *g, tool_engine engine, moire_threads *threads, int *n_judged,
                                  moire_error *error) {
  moire_graph *graph = moire__setup_graph(&g->setup, MOIRE_INFERENCE, error);
  if (!graph) return MOIRE_ERROR_ARGUMENT;
  int n = moire_graph_output_count(graph), wanted = 0;
  const char **names = moire__arena_array(&g->arena, (size_t)n + 1, sizeof *names);
  moire_status status = MOIRE_OK;
  for (int i = 0; i < n && !status; i++) {
    moire_port port = moire_graph_output(graph, i);
    bool there = false;
    if (!is_loss(g, &port)) status = compare_output(g, engine, NULL, &port, i, &there, error);
    if (there) names[wanted++] = port.name;
  }
  if (!status && wanted) status = refuse_draws(g, error);
  *n_judged += wanted;
  moire_compile_options options = moire_compile_defaults();
  options.outputs = names;
  options.n_outputs = wanted;
  tool_session *s = !status && wanted ? start(g, engine, MOIRE_INFERENCE, options, threads, error) : NULL;
  if (wanted && !s) status = MOIRE_ERROR_ARGUMENT;
  if (s) status = tool_session_run(s, error);
  for (int i = 0; s && i < n && !status; i++) {
    moire_port port = moire_graph_output(graph, i);
    bool there = false;
    if (!is_loss(g, &port)) status = compare_output(g, engine, s, &port, i, &there, error);
  }
  tool_session_destroy(s);
  moire_graph_destroy(graph);
  return status;
}

/* ---- training ---------------------------------------------------------------------------------------------
 */

/* The tensor of a state's plane, by its name, or by what it is called within the module that adds the loss. */
static const moire__st_tensor *tensor_of(tool_golden *g, const char *kind, const char *state) {
  for (const char *name = state; name; name = name == state ? strchr(state, '.') : NULL) {
    if (*name == '.') name++;
    const moire__st_tensor *t = find(g, kind, name, -1);
    for (int p = 0; p < 2 && !t; p++) {
      size_t n = strlen(name), suffix = strlen(moire__plane_suffix(p));
      if (n <= suffix || strcmp(name + n - suffix, moire__plane_suffix(p)) != 0) continue;
      t = find(g, kind, moire__arena_printf(&g->arena, "%.*s", (int)(n - suffix), name), p);
    }
    if (t) return t;
    if (name != state) return NULL;
  }
  return NULL;
}

static moire_status need(tool_golden *g, const char *kind, const tool_session *s, int i,
                         const moire__st_tensor **out, moire_error *error) {
  moire_plan_state state = tool_session_state(s, i);
  *out = tensor_of(g, kind, state.name);
  bool fits = *out && (*out)->count == tool_session_state_elements(s, state.name);
  return fits ? MOIRE_OK
              : moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s%s: is missing, or of another size", g->path, kind,
                           state.name);
}

static moire_compile_options loss_options(void) {
  static const char *const outputs[] = {"loss"};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 1;
  options.loss = "loss";
  return options;
}

static void find_largest_gradient(tool_golden *g) {
  for (int i = 0; i < moire__safetensors_count(g->file); i++) {
    const moire__st_tensor *t = moire__safetensors_at(g->file, i);
    if (!begins(t->name, "grad/")) continue;
    double *values = moire__arena_array(&g->arena, (size_t)t->count + 1, sizeof *values), sum = 0;
    moire__st_to_double(t, values);
    for (int64_t k = 0; k < t->count; k++) sum += values[k] * values[k];
    if (!(sqrt(sum) <= g->largest_gradient)) g->largest_gradient = sqrt(sum);
  }
}

static moire_status check_gradients(tool_golden *g, tool_engine engine, moire_threads *threads,
                                    moire_error *error) {
  moire_compile_options options = loss_options();
  options.keep_gradients = true;
  find_largest_gradient(g);
  tool_session *s = start(g, engine, MOIRE_TRAINING, options, threads, error);
  if (!s) return MOIRE_ERROR_ARGUMENT;
  moire_status status = tool_session_run(s, error);
  if (!status)
    status = tool_golden_compare_output(g, TOOL_LOSSES, engine, s, "loss",
                                        moire__safetensors_find(g->file, "loss"), error);
  for (int i = 0; i < tool_session_state_count(s) && !status; i++) {
    const moire__st_tensor *want = NULL;
    moire_plan_state state = tool_session_state(s, i);
    if (!state.trained) continue;
    status = need(g, "grad/", s, i, &want, error);
    const char *output = moire__arena_printf(&g->arena, "grad.%s", state.name);
    if (!status) status = tool_golden_compare_output(g, TOOL_GRADIENTS, engine, s, output, want, error);
  }
  tool_session_destroy(s);
  return status;
}

static moire_status check_step(tool_golden *g, tool_engine engine, moire_threads *threads, moire_error *error) {
  const moire__st_tensor *after = moire__safetensors_find(g->file, "loss_after");
  if (!after || g->optimizer.training.optimizer != MOIRE_OPTIMIZER_ADAM) return MOIRE_OK;
  moire_compile_options options = loss_options();
  options.training = g->optimizer.training;
  tool_session *s = start(g, engine, MOIRE_TRAINING, options, threads, error);
  if (!s) return MOIRE_ERROR_ARGUMENT;
  moire_status status = tool_session_run(s, error);
  for (int i = 0; i < tool_session_state_count(s) && !status; i++) {
    moire_plan_state state = tool_session_state(s, i);
    const moire__st_tensor *want = NULL;
    if (!state.trained || moire_optimizer_owns(state.name)) continue;
    status = need(g, "trained/", s, i, &want, error);
    if (status) break;
    double *got = moire__arena_array(&g->arena, (size_t)want->count + 1, sizeof *got);
    tool_session_get_state(s, state.name, got);
    tool_golden_compare(g, TOOL_TRAINED, engine, want, got);
  }
  if (!status) status = set_inputs(g, s, 1, error);
  if (!status) status = tool_session_run(s, error);
  if (!status) status = tool_golden_compare_output(g, TOOL_LOSSES, engine, s, "loss", after, error);
  tool_session_destroy(s);
  return status;
}

moire_status tool_golden_torch(tool_golden *g, tool_engine engine, moire_threads *threads, moire_error *error) {
  moire_graph *graph = moire__setup_graph(&g->setup, MOIRE_TRAINING, error);
  if (!graph) return MOIRE_ERROR_ARGUMENT;
  bool trains = moire_graph_find_output(graph, "loss").name && moire__safetensors_find(g->file, "loss");
  moire_graph_destroy(graph);
  int n_judged = trains;
  moire_status status = check_outputs(g, engine, threads, &n_judged, error);
  if (!status && trains) status = check_gradients(g, engine, threads, error);
  if (!status && trains) status = check_step(g, engine, threads, error);
  if (!status && !n_judged)
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has nothing that the program gives", g->path);
  return status;
}
