/* Running the model of a golden, and comparing. See golden.h.
 *
 * The graphs are run that are compiled in different ways: inference with all outputs, inference of each that
 * the trained model is asked for alone (of a recommender's last layer only the last position is computed), the
 * loss with its gradients, and steps of training. What a model calls by a whole number, such as a code, must be
 * equal. */
#include "tools/golden.h"

#include "compiler/ir/graph/graph.h"
#include "runtime/base/planes.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static bool begins(const char *text, const char *prefix) { return !strncmp(text, prefix, strlen(prefix)); }

/* ---- Comparing --------------------------------------------------------------------------------------------
 */

double tool_class_limit(tool_class class, tool_engine engine) {
  static const double single[] = {
      [TOOL_OUTPUTS] = 2e-4, [TOOL_LOSSES] = 2e-4, [TOOL_GRADIENTS] = 5e-4, [TOOL_TRAINED] = 8e-3};
  return engine == TOOL_ENGINE_INTERPRETER ? 1e-9 : single[class];
}

/* Gradients below this part of the largest carry no information, and must stay below `small_enough` of it. */
static const double noise_floor = 1e-6, small_enough = 1e-4;

/* What a program of torch.export is judged by. */
static const double torch_limit = 1e-5;

static double norm(const double *x, const double *y, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (x[i] - (y ? y[i] : 0)) * (x[i] - (y ? y[i] : 0));
  return sqrt(sum);
}

static double *golden_values(tool_golden *g, const moire__st_tensor *t) {
  double *values = moire__arena_array(&g->arena, (size_t)t->count + 1, sizeof *values);
  moire__st_to_double(t, values);
  return values;
}

/* Infinities and NaN that are wanted and come are no difference: 0 stands for them on both sides, in a copy of
 * what came. */
static const double *without_infinities(tool_golden *g, double *want, const double *got, int64_t n) {
  double *copy = moire__arena_array(&g->arena, (size_t)n + 1, sizeof *copy);
  for (int64_t i = 0; i < n; i++) {
    bool same = isnan(want[i]) ? isnan(got[i]) : isinf(want[i]) && got[i] == want[i];
    copy[i] = same ? 0 : got[i];
    if (same) want[i] = 0;
  }
  return copy;
}

/* The same angles, in a copy: each by so many turns that it is the nearest to what is wanted. */
static const double *turned(tool_golden *g, const double *want, const double *got, int64_t n) {
  double *copy = moire__arena_array(&g->arena, (size_t)n + 1, sizeof *copy);
  for (int64_t i = 0; i < n; i++) copy[i] = want[i] + remainder(got[i] - want[i], 2 * M_PI);
  return copy;
}

static bool is_angle(const tool_golden *g, const moire__st_tensor *want) {
  for (int i = 0; i < g->n_angles; i++) {
    if (begins(want->name, "output/") && !strcmp(want->name + strlen("output/"), g->angles[i])) return true;
  }
  return false;
}

void tool_golden_find(tool_golden *g, tool_finding f) {
  if (g->precision == MOIRE_PRECISION_BF16 && !f.noise && f.limit > 0)
    f.limit = tool_golden_reach_limit(g, f.class);
  f.good = f.error <= f.limit;
  MOIRE__PUSH(&g->arena, g->findings, g->n, g->capacity, f);
}

void tool_golden_compare(tool_golden *g, tool_class class, tool_engine engine,
                         const moire__st_tensor *want_tensor, const double *got) {
  double *want = golden_values(g, want_tensor);
  if (g->from_torch) got = without_infinities(g, want, got, want_tensor->count);
  if (is_angle(g, want_tensor)) got = turned(g, want, got, want_tensor->count);
  const double *origin = tool_golden_origin(g, want, got, want_tensor->count);
  double size = norm(want, NULL, want_tensor->count), off = norm(got, origin, want_tensor->count);
  tool_finding f = {.class = class,
                    .name = want_tensor->name,
                    .error = size > 0 ? off / size : off,
                    .limit = tool_class_limit(class, engine)};
  bool single = want_tensor->dtype == MOIRE__ST_F32; /* PyTorch's own float32: no more can be asked of double */
  if (g->from_torch && (f.limit > torch_limit || single)) f.limit = torch_limit;
  if (want_tensor->dtype == MOIRE__ST_I64) f.limit = 0;
  if (class == TOOL_GRADIENTS && size < noise_floor * g->largest_gradient) {
    f.noise = true;
    f.error = norm(got, NULL, want_tensor->count) / g->largest_gradient;
    f.limit = small_enough;
  }
  tool_golden_find(g, f);
}

/* Sums of thousands of doubles are all that these have. */
void tool_golden_add(void *golden, const moire__st_tensor *want, double off) {
  static const double limit = 1e-9;
  tool_golden *g = golden;
  tool_finding f = {
      .class = TOOL_OUTPUTS, .name = want->name, .error = off, .limit = limit, .good = off <= limit};
  MOIRE__PUSH(&g->arena, g->findings, g->n, g->capacity, f);
}

static bool is_noise(const tool_golden *g, const char *parameter) {
  for (int i = 0; i < g->n; i++) {
    const tool_finding *f = &g->findings[i];
    if (f->class == TOOL_GRADIENTS && !strcmp(f->name + strlen("grad/"), parameter)) return f->noise;
  }
  return false;
}

moire_status tool_golden_assign(tool_golden *g, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < g->n_assignments && !status; i++)
    status = moire__config_table_set(&g->setup.table, "--set", g->assignments[i], error);
  return status;
}

/* ---- Sessions ---------------------------------------------------------------------------------------------
 */

static const moire__st_tensor *find(const tool_golden *g, const char *prefix, const char *name) {
  char full[512];
  snprintf(full, sizeof full, "%s%s", prefix, name);
  return moire__safetensors_find(g->file, full);
}

/* The tensor of a parameter, with the parameter's shape. */
static moire_status need_like(const tool_golden *g, const char *prefix, const moire_plan_state *state,
                              const moire__st_tensor **out, moire_error *error) {
  const moire__st_tensor *t = *out = find(g, prefix, state->name);
  if (!t) return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s%s: is missing", g->path, prefix, state->name);
  bool same = t->rank == state->shape.rank;
  for (int i = 0; same && i < t->rank; i++) same = t->shape[i] == state->shape.dims[i];
  if (same) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: %s: has another shape than the model's parameter", g->path,
                    t->name);
}

/* Are the state's values the golden's? All of the model's are, those of the optimizer are not. */
static bool is_given(const moire_plan_state *state) { return !moire_optimizer_owns(state->name); }

static moire_status set_states(tool_golden *g, tool_session *s, moire_error *error) {
  for (int i = 0; i < tool_session_state_count(s); i++) {
    moire_plan_state state = tool_session_state(s, i);
    if (!is_given(&state)) continue;
    const moire__st_tensor *t = NULL;
    moire_status status = need_like(g, "param/", &state, &t, error);
    if (status) return status;
    double *values = golden_values(g, t);
    tool_golden_shift(g, &state, values, t->count);
    tool_session_set_state(s, state.name, values);
  }
  return MOIRE_OK;
}

static moire_status set_inputs(tool_golden *g, tool_session *s, int64_t step, moire_error *error) {
  double scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
  const moire_training_options *o = &g->optimizer.training;
  moire_batch_place place = moire_batch_place_at(step, 1);
  moire_optimizer_scalars(o, &place, scalars);
  moire_status status = MOIRE_OK;
  for (int i = 0; i < g->n_extents && !status; i++)
    status = tool_session_set_extent(s, g->extents[i].name, g->extents[i].size, error);
  for (int i = 0; i < g->n_inputs && !status; i++) {
    const tool_golden_input *input = &g->inputs[i];
    const double *values = input->values + (input->each_step ? step * input->n : 0);
    status = tool_session_set_input(s, input->name, values, input->n, error);
  }
  if (!status) status = tool_session_set_input(s, "rng", (const double[]){0, 0, (double)step}, 3, error);
  double progress = (double)step / (double)(o->schedule.total_steps ? o->schedule.total_steps : 1);
  if (!status) status = tool_session_set_input(s, "progress", &progress, 1, error);
  int n_scalars = moire_optimizer_scalar_count(o);
  if (!status) status = tool_session_set_input(s, "optimizer.scalars", scalars, n_scalars, error);
  return status;
}

tool_session *tool_golden_session(const tool_golden *g, tool_engine engine, moire_mode mode,
                                  moire_compile_options options, moire_threads *threads, moire_error *error) {
  moire_graph *graph = moire__setup_graph(&g->setup, mode, error);
  if (!graph) return NULL;
  options.precision = g->precision;
  options.off = g->off;
  options.threads = moire_threads_count(threads);
  tool_session *s = tool_session_create(engine, graph, &options, threads, error);
  moire_graph_destroy(graph);
  return s;
}

/* The outputs `names`, run once: a session whose states and inputs are the golden's. NULL with a sentence. */
static tool_session *start(tool_golden *g, tool_engine engine, moire_mode mode, moire_compile_options options,
                           moire_threads *threads, moire_error *error) {
  tool_session *s = tool_golden_session(g, engine, mode, options, threads, error);
  if (s && !set_states(g, s, error) && !set_inputs(g, s, 0, error)) return s;
  tool_session_destroy(s);
  return NULL;
}

moire_status tool_golden_compare_output(tool_golden *g, tool_class class, tool_engine engine,
                                        const tool_session *s, const char *output, const moire__st_tensor *want,
                                        moire_error *error) {
  double *got = moire__arena_array(&g->arena, (size_t)want->count + 1, sizeof *got);
  moire_error reason = {0};
  moire_status status = tool_session_output(s, output, got, want->count, &reason);
  if (status) return moire_fail(error, status, "%s: %s: %s", g->path, want->name, reason.message);
  tool_golden_compare(g, class, engine, want, got);
  return MOIRE_OK;
}

/* Whether each element is an angle, or a constant in place of one. */
static bool gives_angles(const moire_graph *graph, int32_t value) {
  const moire__node *node = moire__node_of(graph, value);
  if (node->op == MOIRE__OP_where) {
    bool angles[2], constant[2];
    for (int i = 0; i < 2; i++) {
      angles[i] = gives_angles(graph, node->operands[1 + i]);
      constant[i] = moire__node_of(graph, node->operands[1 + i])->op == MOIRE__OP_constant;
    }
    return (angles[0] && (angles[1] || constant[1])) || (angles[1] && constant[0]);
  }
  return node->op == MOIRE__OP_atan2;
}

static void note_angle(tool_golden *g, const moire_graph *graph, const char *name) {
  int32_t value = moire__graph_find_output(graph, name);
  if (value && gives_angles(graph, value))
    MOIRE__PUSH(&g->arena, g->angles, g->n_angles, g->angle_capacity, name);
}

/* The outputs of the model that the file has tensors of: of a complex one, of a plane or of both. */
static int named_outputs(tool_golden *g, const char *only, const char **names, moire_error *error) {
  moire_graph *graph = moire__setup_graph(&g->setup, MOIRE_INFERENCE, error);
  int n = 0;
  for (int i = 0; graph && i < moire__safetensors_count(g->file); i++) {
    const char *name = moire__safetensors_at(g->file, i)->name;
    if (!begins(name, "output/")) continue;
    name += strlen("output/");
    size_t length = strlen(name), suffix = strlen(moire__plane_suffix(0));
    if (!moire_graph_find_output(graph, name).name && length > suffix) {
      const char *whole = moire__arena_printf(&g->arena, "%.*s", (int)(length - suffix), name);
      bool complex = moire_graph_find_output(graph, whole).dtype == MOIRE_C64;
      if (complex && moire__plane_of(name, whole) >= 0) name = whole;
    }
    bool known = only && strcmp(name, only) != 0;
    for (int k = 0; k < n; k++) known = known || !strcmp(names[k], name);
    if (known) continue;
    names[n++] = name;
    note_angle(g, graph, name);
  }
  moire_graph_destroy(graph);
  return graph ? n : -1;
}

static moire_status compare_outputs(tool_golden *g, tool_engine engine, const tool_session *s, const char *only,
                                    moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < moire__safetensors_count(g->file) && !status; i++) {
    const moire__st_tensor *t = moire__safetensors_at(g->file, i);
    if (!begins(t->name, "output/")) continue;
    const char *name = t->name + strlen("output/");
    if (!only || !strcmp(name, only) || moire__plane_of(name, only) >= 0)
      status = tool_golden_compare_output(g, TOOL_OUTPUTS, engine, s, name, t, error);
  }
  return status;
}

/* All outputs at once, or one alone, if the file has it. */
static moire_status check_outputs(tool_golden *g, tool_engine engine, moire_threads *threads, const char *only,
                                  moire_error *error) {
  const char **names =
      moire__arena_array(&g->arena, (size_t)moire__safetensors_count(g->file) + 1, sizeof *names);
  moire_compile_options options = moire_compile_defaults();
  int n = named_outputs(g, only, names, error);
  if (n < 0) return MOIRE_ERROR_ARGUMENT;
  if (!n && only) return MOIRE_OK;
  if (!n) return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: output/*: is missing", g->path);
  options.outputs = names;
  options.n_outputs = n;
  tool_session *s = start(g, engine, MOIRE_INFERENCE, options, threads, error);
  if (!s) return MOIRE_ERROR_ARGUMENT;
  moire_status status = tool_session_run(s, error);
  if (!status) status = compare_outputs(g, engine, s, only, error);
  tool_session_destroy(s);
  return status;
}

static moire_compile_options loss_options(void) {
  static const char *const outputs[] = {"loss"};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 1;
  options.loss = "loss";
  return options;
}

static moire_status compare_gradients(tool_golden *g, tool_engine engine, const tool_session *s,
                                      moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < tool_session_state_count(s) && !status; i++) {
    moire_plan_state state = tool_session_state(s, i);
    if (!state.trained) continue;
    const moire__st_tensor *want = NULL;
    status = need_like(g, "grad/", &state, &want, error);
    char output[512];
    snprintf(output, sizeof output, "grad.%s", state.name);
    if (!status) status = tool_golden_compare_output(g, TOOL_GRADIENTS, engine, s, output, want, error);
  }
  return status;
}

static moire_status check_gradients(tool_golden *g, tool_engine engine, moire_threads *threads,
                                    moire_error *error) {
  for (int i = 0; i < moire__safetensors_count(g->file); i++) {
    const moire__st_tensor *t = moire__safetensors_at(g->file, i);
    if (!begins(t->name, "grad/")) continue;
    double size = norm(golden_values(g, t), NULL, t->count);
    if (!(size <= g->largest_gradient)) g->largest_gradient = size;
  }
  const moire__st_tensor *loss = NULL;
  moire_status status = moire__safetensors_need(g->file, "loss", &loss, error);
  if (status) return status;
  moire_compile_options options = loss_options();
  options.keep_gradients = true;
  tool_session *s = start(g, engine, MOIRE_TRAINING, options, threads, error);
  if (!s) return MOIRE_ERROR_ARGUMENT;
  status = tool_session_run(s, error);
  if (!status) status = tool_golden_compare_output(g, TOOL_LOSSES, engine, s, "loss", loss, error);
  if (!status) status = compare_gradients(g, engine, s, error);
  tool_session_destroy(s);
  return status;
}

static moire_status compare_trained(tool_golden *g, tool_engine engine, const tool_session *s,
                                    moire_error *error) {
  for (int i = 0; i < tool_session_state_count(s); i++) {
    moire_plan_state state = tool_session_state(s, i);
    if (!is_given(&state)) continue;
    const moire__st_tensor *want = NULL;
    moire_status status = need_like(g, "trained/", &state, &want, error);
    if (status) return status;
    double *got = moire__arena_array(&g->arena, (size_t)want->count + 1, sizeof *got);
    tool_session_get_state(s, state.name, got);
    if (!is_noise(g, state.name)) tool_golden_compare(g, TOOL_TRAINED, engine, want, got);
  }
  return MOIRE_OK;
}

/* Every tensor that stands for a parameter is one's. */
static moire_status check_parameters(const tool_golden *g, const tool_session *s, moire_error *error) {
  for (int i = 0; i < moire__safetensors_count(g->file); i++) {
    const char *name = moire__safetensors_at(g->file, i)->name;
    const char *slash = strchr(name, '/');
    if (!slash || begins(name, "input/") || begins(name, "output/")) continue;
    if (tool_session_state_elements(s, slash + 1) >= 0) continue;
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s: the model has no such parameter", g->path, name);
  }
  return MOIRE_OK;
}

/* What a golden holds of every step: the tensor NAME_losses is the output NAME, train_losses the loss, and some
 * have a column for each of several outputs. */
typedef struct series {
  const moire__st_tensor *want;
  const char *outputs[4]; /* NULL: the learning rate */
  int columns;
  int64_t rows; /* steps, or one more with what is after the last */
  double *got;  /* [rows, columns] */
} series;

typedef struct all_series {
  series *at;
  int n;
  const char **outputs; /* of all of them */
  int n_outputs;
} all_series;

static const struct {
  const char *tensor;
  int columns, more; /* more: rows beside one a step */
  const char *outputs[4];
} columns_of[] = {{"train_losses", 1, 1, {"loss"}},
                  {"train_terms", 4, 1, {"ce", "kd", "phase_loss", "mag_loss"}},
                  {"train_weights", 2, 1, {"kd_weight", "aux_weight"}},
                  {"grad_norms", 1, 0, {MOIRE_GRADIENT_NORM}},
                  {"learning_rates", 1, 0, {NULL}}};

static bool describe_series(tool_golden *g, const moire__st_tensor *t, series *s) {
  *s = (series){.want = t};
  for (size_t i = 0; i < sizeof columns_of / sizeof *columns_of; i++) {
    if (strcmp(columns_of[i].tensor, t->name) != 0) continue;
    s->columns = columns_of[i].columns;
    s->rows = g->steps + columns_of[i].more;
    memcpy(s->outputs, columns_of[i].outputs, sizeof s->outputs);
    return true;
  }
  const char *suffix = strstr(t->name, "_losses");
  if (!suffix || strchr(t->name, '/')) return false;
  s->columns = 1;
  s->rows = g->steps + 1;
  s->outputs[0] = moire__arena_printf(&g->arena, "%.*s", (int)(suffix - t->name), t->name);
  return true;
}

static void want_output(all_series *all, const char *output) {
  for (int i = 0; i < all->n_outputs; i++) {
    if (!strcmp(all->outputs[i], output)) return;
  }
  all->outputs[all->n_outputs++] = output;
}

static moire_status find_series(tool_golden *g, all_series *all, moire_error *error) {
  size_t most = (size_t)moire__safetensors_count(g->file) + 1;
  all->at = moire__arena_array(&g->arena, most, sizeof *all->at);
  all->outputs = moire__arena_array(&g->arena, 4 * most, sizeof *all->outputs);
  for (int i = 0; i < moire__safetensors_count(g->file); i++) {
    const moire__st_tensor *t = moire__safetensors_at(g->file, i);
    series *s = &all->at[all->n];
    if (!describe_series(g, t, s)) continue;
    for (int c = 0; c < s->columns; c++) {
      if (s->outputs[c]) want_output(all, s->outputs[c]);
    }
    s->got = moire__arena_array(&g->arena, (size_t)(s->rows * s->columns) + 1, sizeof *s->got);
    all->n++;
    if (t->count == s->rows * s->columns) continue;
    return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: %s: wanted %" PRId64 " of them, %s steps", g->path,
                      t->name, s->rows * s->columns, s->rows > g->steps ? "one more than" : "as many as");
  }
  return MOIRE_OK;
}

static moire_status read_step(const tool_golden *g, const tool_session *session, const series *s, int64_t step,
                              moire_error *error) {
  const moire_training_options *o = &g->optimizer.training;
  moire_status status = MOIRE_OK;
  for (int c = 0; c < s->columns && step < s->rows && !status; c++) {
    double *got = &s->got[step * s->columns + c];
    if (s->outputs[c])
      status = tool_session_output(session, s->outputs[c], got, 1, error);
    else
      *got = moire_schedule_lr(&o->schedule, o->lr, step);
  }
  return status;
}

static moire_status train(tool_golden *g, tool_engine engine, tool_session *s, const all_series *all,
                          moire_error *error) {
  moire_status status = check_parameters(g, s, error);
  for (int64_t step = 0; step <= g->steps && !status; step++) {
    if (step == g->steps) status = compare_trained(g, engine, s, error);
    if (!status) status = set_inputs(g, s, step, error);
    if (!status) status = tool_session_run(s, error);
    for (int i = 0; i < all->n && !status; i++) status = read_step(g, s, &all->at[i], step, error);
  }
  for (int i = 0; i < all->n && !status; i++)
    tool_golden_compare(g, TOOL_LOSSES, engine, all->at[i].want, all->at[i].got);
  return status;
}

static moire_status check_training(tool_golden *g, tool_engine engine, moire_threads *threads,
                                   moire_error *error) {
  all_series all = {0};
  moire_compile_options options = g->optimizer;
  moire_status status = find_series(g, &all, error);
  if (status || !all.n) return status;
  options.outputs = all.outputs;
  options.n_outputs = all.n_outputs;
  options.loss = "loss";
  tool_session *s = start(g, engine, MOIRE_TRAINING, options, threads, error);
  if (!s) return MOIRE_ERROR_ARGUMENT;
  status = train(g, engine, s, &all, error);
  tool_session_destroy(s);
  return status;
}

moire_status tool_golden_check(tool_golden *g, tool_engine engine, moire_threads *threads, moire_error *error) {
  if (g->compared) return MOIRE_OK;
  moire_status status = check_outputs(g, engine, threads, NULL, error);
  int n = 0;
  const char *const *served = status ? NULL : g->setup.task->served(&g->setup, &g->arena, &n, error);
  if (!status && !served) status = MOIRE_ERROR_ARGUMENT;
  for (int i = 0; i < n && !status; i++) status = check_outputs(g, engine, threads, served[i], error);
  bool has_loss = moire__safetensors_find(g->file, "loss") != NULL;
  if (!status && has_loss) status = check_gradients(g, engine, threads, error);
  if (!status) status = check_training(g, engine, threads, error);
  return status;
}
