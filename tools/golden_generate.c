/* Goldens of kind `generate`: what a language model goes on with, word by word. See golden.h.
 *
 * Rows are continued one at a time with a cache, as moire generate does it, by either engine: the words must be
 * those of the file, with the logits that each was chosen from, the distribution of the first under `sampling`,
 * and what is drawn under it with given uniform numbers. Of two words that are nearly as good bf16 may choose
 * the other: there, and where its limits are measured, rows go on with the file's words, whose logits alone are
 * compared. */
#include "tools/golden.h"

#include "runtime/base/planes.h"
#include "runtime/text/sampling.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct plane {
  const char *past, *present;
  int64_t heads, width;
  double *data; /* [heads, capacity, width] */
} plane;

typedef struct generation {
  tool_golden *g;
  tool_engine engine;
  tool_session *session;
  plane *planes;
  int n, plane_capacity;
  const char **outputs;
  int n_outputs, output_capacity;
  int64_t capacity, position, words, most, eos; /* most: positions */
  int64_t prompts, longest, count;              /* P, columns of the prompts, n */
  moire__sampling sampling;
  bool samples, follows; /* follows: rows go on with the file's words */
  double *logits, *scratch, *p;
  int32_t *order;
} generation;

/* ---- The file -----------------------------------------------------------------------------------------------
 */

static double *values_of(generation *f, const char *name, int64_t *rows, int64_t *columns) {
  const moire__st_tensor *t = moire__safetensors_find(f->g->file, name);
  if (!t || t->rank < 1) return NULL;
  double *values = moire__arena_array(&f->g->arena, (size_t)t->count + 1, sizeof *values);
  moire__st_to_double(t, values);
  *rows = t->shape[0];
  *columns = t->count / (t->shape[0] ? t->shape[0] : 1);
  return values;
}

static void read_sampling(generation *f) {
  const char *text = moire__safetensors_metadata(f->g->file, "sampling");
  json_t *root = text ? json_loads(text, 0, NULL) : NULL;
  const json_t *temperature = json_object_get(root, "temperature"), *top_k = json_object_get(root, "top_k");
  const json_t *top_p = json_object_get(root, "top_p"), *penalty = json_object_get(root, "repetition_penalty");
  f->sampling =
      (moire__sampling){json_is_number(temperature) ? json_number_value(temperature) : 1,
                        json_integer_value(top_k), json_is_number(top_p) ? json_number_value(top_p) : 1,
                        json_is_number(penalty) ? json_number_value(penalty) : 1};
  f->samples = json_is_object(root);
  json_decref(root);
}

/* The weights: of the file, or of the checkpoint that it names, which lies in ../checkpoints from it, beside
 * it, or in the folder $MOIRE_CHECKPOINTS. */
static moire_status open_weights(const tool_golden *g, moire__safetensors **out, moire_error *error) {
  const char *name = moire__safetensors_metadata(g->file, "checkpoint"), *slash = strrchr(g->path, '/');
  if (!name) return MOIRE_OK;
  const char *folder = getenv("MOIRE_CHECKPOINTS");
  int length = slash ? (int)(slash - g->path) : 1;
  const char *from = slash ? g->path : ".";
  char path[4096];
  for (int i = 0; i < 3; i++) {
    if (i == 0 && !folder) continue;
    if (i == 0) snprintf(path, sizeof path, "%s/%s", folder, name);
    if (i == 1) snprintf(path, sizeof path, "%.*s/../checkpoints/%s", length, from, name);
    if (i == 2) snprintf(path, sizeof path, "%.*s/%s", length, from, name);
    if (!access(path, R_OK)) return moire__safetensors_open(path, out, error);
  }
  return moire_fail(error, MOIRE_ERROR_IO,
                    "%s: its checkpoint %.80s is neither in ../checkpoints, nor beside it, nor in "
                    "$MOIRE_CHECKPOINTS",
                    g->path, name);
}

static moire_status set_states(generation *f, moire_error *error) {
  moire__safetensors *weights = NULL;
  moire_status status = open_weights(f->g, &weights, error);
  for (int i = 0; i < tool_session_state_count(f->session) && !status; i++) {
    moire_plan_state state = tool_session_state(f->session, i);
    char name[512];
    snprintf(name, sizeof name, "%s%s", weights ? "" : "param/", state.name);
    const moire__st_tensor *t = moire__safetensors_find(weights ? weights : f->g->file, name);
    if (!t || t->count != tool_session_state_elements(f->session, state.name)) {
      status = moire_fail(error, MOIRE_ERROR_FORMAT,
                          "%s: %s: is missing, or has another shape than the model's", f->g->path, name);
      break;
    }
    double *values = moire__allocate_array((size_t)t->count + 1, sizeof *values);
    moire__st_to_double(t, values);
    tool_golden_shift(f->g, &state, values, t->count);
    tool_session_set_state(f->session, state.name, values);
    moire__release(values);
  }
  moire__safetensors_close(weights);
  return status;
}

/* ---- The program --------------------------------------------------------------------------------------------
 */

static void add_planes(generation *f, const moire_port *port) {
  moire__arena *arena = &f->g->arena;
  const char *name = port->name + strlen("past.");
  const char *output = moire__arena_printf(arena, "present.%s", name);
  MOIRE__PUSH(arena, f->outputs, f->n_outputs, f->output_capacity, output);
  bool complex = port->dtype == MOIRE_C64;
  for (int p = 0; p <= complex; p++) {
    const char *suffix = complex ? moire__plane_suffix(p) : "";
    plane one = {.past = moire__arena_printf(arena, "past.%s%s", name, suffix),
                 .present = moire__arena_printf(arena, "%s%s", output, suffix),
                 .heads = moire_dim_factor(port->shape.dims[1]),
                 .width = moire_dim_factor(port->shape.dims[3])};
    one.data = moire__arena_array(arena, (size_t)(one.heads * f->capacity * one.width), sizeof *one.data);
    MOIRE__PUSH(arena, f->planes, f->n, f->plane_capacity, one);
  }
}

static moire_status make_session(generation *f, moire_threads *threads, moire_error *error) {
  moire_graph *graph = moire__setup_graph(&f->g->setup, MOIRE_INFERENCE, error);
  if (!graph) return MOIRE_ERROR_ARGUMENT;
  MOIRE__PUSH(&f->g->arena, f->outputs, f->n_outputs, f->output_capacity, "next");
  for (int i = 0; i < moire_graph_input_count(graph); i++) {
    moire_port port = moire_graph_input(graph, i);
    if (!strncmp(port.name, "past.", 5) && port.shape.rank == 4) add_planes(f, &port);
  }
  moire_compile_options options = moire_compile_defaults();
  options.outputs = f->outputs;
  options.n_outputs = f->n_outputs;
  options.precision = f->g->precision;
  options.off = f->g->off;
  options.threads = moire_threads_count(threads);
  f->session = tool_session_create(f->engine, graph, &options, threads, error);
  moire_graph_destroy(graph);
  return f->session ? set_states(f, error) : MOIRE_ERROR_ARGUMENT;
}

static moire_status keep(generation *f, int64_t n, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < f->n && !status; i++) {
    plane *p = &f->planes[i];
    int64_t size = n * p->width;
    double *fresh = moire__allocate_array((size_t)(p->heads * size) + 1, sizeof *fresh);
    status = tool_session_output(f->session, p->present, fresh, p->heads * size, error);
    for (int64_t h = 0; h < p->heads && !status; h++)
      memcpy(p->data + (h * f->capacity + f->position) * p->width, fresh + h * size,
             (size_t)size * sizeof *fresh);
    moire__release(fresh);
  }
  f->position += n;
  return status;
}

/* Appends n words to the row; f->logits are those of the next. */
static moire_status append(generation *f, const double *ids, int64_t n, moire_error *error) {
  tool_session *s = f->session;
  const double count = (double)n, position = (double)f->position;
  moire_status status = tool_session_set_extent(s, "B", 1, error);
  if (!status) status = tool_session_set_extent(s, "T", n, error);
  if (!status) status = tool_session_set_extent(s, "S", f->capacity, error);
  if (!status) status = tool_session_set_input(s, "tokens", ids, n, error);
  if (!status) status = tool_session_set_input(s, "counts", &count, 1, error);
  if (!status) status = tool_session_set_input(s, "positions", &position, 1, error);
  for (int i = 0; i < f->n && !status; i++) {
    const plane *p = &f->planes[i];
    status = tool_session_set_input(s, p->past, p->data, p->heads * f->capacity * p->width, error);
  }
  if (!status) status = tool_session_run(s, error);
  if (!status) status = tool_session_output(s, "next", f->logits, f->words, error);
  return status ? status : keep(f, n, error);
}

/* ---- Rows ---------------------------------------------------------------------------------------------------
 */

/* What a file may hold of the rows, and what came instead; NULL: it does not. */
typedef struct expected {
  double *greedy_ids, *greedy_logits, *first, *sampled_ids, *top_values, *top_ids, *logsumexp;
} expected;

static void note_logits(generation *f, expected *got, int64_t at) {
  if (got->greedy_logits)
    memcpy(got->greedy_logits + at * f->words, f->logits, (size_t)f->words * sizeof *f->logits);
  double largest = f->logits[moire__sampling_best(f->logits, f->words)], sum = 0;
  for (int64_t v = 0; v < f->words; v++) sum += exp(f->logits[v] - largest);
  if (got->logsumexp) got->logsumexp[at] = largest + log(sum);
}

/* The k largest logits at the ids that the file lists. */
static void note_top(generation *f, const expected *want, expected *got, int64_t at, int64_t k) {
  if (!want->top_ids || !got->top_values) return;
  for (int64_t i = 0; i < k; i++) {
    int64_t id = (int64_t)want->top_ids[at * k + i];
    got->top_values[at * k + i] = id >= 0 && id < f->words ? f->logits[id] : NAN;
  }
}

static int64_t choose(generation *f, const double *row, int64_t n, const double *uniform) {
  if (!uniform) return moire__sampling_best(f->logits, f->words);
  int32_t *seen = moire__allocate_array((size_t)n + 1, sizeof *seen);
  for (int64_t i = 0; i < n; i++) seen[i] = (int32_t)row[i];
  moire__sampling_probabilities(&f->sampling, f->logits, f->words, seen, n, f->scratch, f->order, f->p);
  moire__release(seen);
  return moire__sampling_draw(f->p, f->words, *uniform);
}

static moire_status continue_row(generation *f, int64_t prompt, int64_t r, double *row, const double *uniform,
                                 const expected *want, expected *got, int64_t top, moire_error *error) {
  double *ids = uniform ? got->sampled_ids : got->greedy_ids;
  const double *wanted = uniform ? want->sampled_ids : want->greedy_ids;
  f->position = 0;
  moire_status status = append(f, row, prompt, error);
  for (int64_t i = 0, n = prompt; i < f->count && !status; i++) {
    int64_t at = r * f->count + i;
    if (!uniform) note_logits(f, got, at);
    if (!uniform) note_top(f, want, got, at, top);
    int64_t id = choose(f, row, n, uniform ? &uniform[at] : NULL);
    if (uniform && !i && got->first) memcpy(got->first + r * f->words, f->p, (size_t)f->words * sizeof *f->p);
    ids[at] = (double)id;
    if (f->follows) id = (int64_t)wanted[at];
    row[n++] = (double)id;
    if (id < 0 || id == f->eos || n > f->most || i + 1 == f->count) break;
    status = append(f, row + n - 1, 1, error);
  }
  return status;
}

static double *like(generation *f, const double *want, int64_t n, double fill) {
  if (!want) return NULL;
  double *got = moire__arena_array(&f->g->arena, (size_t)n + 1, sizeof *got);
  for (int64_t i = 0; i < n; i++) got[i] = fill;
  return got;
}

static void judge(generation *f, const char *name, const double *got) {
  const moire__st_tensor *t = moire__safetensors_find(f->g->file, name);
  if (!t || !got) return;
  tool_golden_compare(f->g, TOOL_OUTPUTS, f->engine, t, got);
  tool_finding *found = &f->g->findings[f->g->n - 1];
  if (found->limit > 1e-5 && f->g->precision == MOIRE_PRECISION_F32) found->limit = 1e-5;
  found->good = found->error <= found->limit;
}

static moire_status run_rows(generation *f, moire_error *error) {
  int64_t rows = 0, columns = 0, top = 0, ignored = 0;
  const double *prompts = values_of(f, "input/prompt_ids", &f->prompts, &f->longest);
  const double *lengths = values_of(f, "input/prompt_lengths", &rows, &columns);
  expected want = {.greedy_ids = values_of(f, "output/greedy_ids", &rows, &f->count)};
  if (!prompts || !lengths || !want.greedy_ids || rows != f->prompts)
    return moire_fail(error, MOIRE_ERROR_FORMAT,
                      "%s: wanted input/prompt_ids, input/prompt_lengths and output/greedy_ids, a row a prompt",
                      f->g->path);
  want.greedy_logits = values_of(f, "output/greedy_logits", &rows, &ignored);
  want.first = values_of(f, "output/first_probabilities", &rows, &ignored);
  want.sampled_ids = values_of(f, "output/sampled_ids", &rows, &ignored);
  want.logsumexp = values_of(f, "output/greedy_logsumexp", &rows, &ignored);
  want.top_values = values_of(f, "output/greedy_top_values", &rows, &top);
  want.top_ids = values_of(f, "output/greedy_top_ids", &rows, &top);
  const double *uniform = values_of(f, "input/uniform", &rows, &ignored);
  top /= f->count ? f->count : 1;
  int64_t n = f->prompts * f->count;
  expected got = {.greedy_ids = like(f, want.greedy_ids, n, -1),
                  .greedy_logits = like(f, want.greedy_logits, n * f->words, 0),
                  .first = like(f, want.first, f->prompts * f->words, 0),
                  .sampled_ids = like(f, want.sampled_ids, n, -1),
                  .logsumexp = like(f, want.logsumexp, n, 0),
                  .top_values = like(f, want.top_values, n * top, 0)};
  double *row = moire__arena_array(&f->g->arena, (size_t)(f->longest + f->count) + 1, sizeof *row);
  moire_status status = MOIRE_OK;
  for (int64_t r = 0; r < f->prompts && !status; r++) {
    int64_t length = (int64_t)lengths[r];
    if (length < 1 || length > f->longest || length > f->most)
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: input/prompt_lengths: row %" PRId64 " has %" PRId64,
                        f->g->path, r, length);
    for (int draws = 0; draws <= (uniform && got.sampled_ids && f->samples) && !status; draws++) {
      memcpy(row, prompts + r * f->longest, (size_t)length * sizeof *row);
      status = continue_row(f, length, r, row, draws ? uniform : NULL, &want, &got, top, error);
    }
  }
  if (status) return status;
  if (!f->follows) judge(f, "output/greedy_ids", got.greedy_ids);
  judge(f, "output/greedy_logits", got.greedy_logits);
  judge(f, "output/first_probabilities", got.first);
  if (!f->follows) judge(f, "output/sampled_ids", got.sampled_ids);
  judge(f, "output/greedy_logsumexp", got.logsumexp);
  judge(f, "output/greedy_top_values", got.top_values);
  return MOIRE_OK;
}

moire_status tool_golden_generate(tool_golden *g, tool_engine engine, moire_threads *threads,
                                  moire_error *error) {
  const moire__st_tensor *ids = moire__safetensors_find(g->file, "output/greedy_ids");
  const moire__st_tensor *prompts = moire__safetensors_find(g->file, "input/prompt_ids");
  const char *eos = moire__safetensors_metadata(g->file, "eos");
  const moire__setup *setup = &g->setup;
  if (!setup->task->positions || !ids || ids->rank != 2 || !prompts || prompts->rank != 2)
    return moire_fail(error, MOIRE_ERROR_FORMAT,
                      "%s: is of kind generate: wanted a language model, and output/greedy_ids and "
                      "input/prompt_ids of two axes",
                      g->path);
  generation f = {.g = g,
                  .engine = engine,
                  .follows = g->measures || g->precision == MOIRE_PRECISION_BF16,
                  .capacity = ids->shape[1] + prompts->shape[1],
                  .words = moire_config_int(setup->config, setup->task->size_key),
                  .most = setup->task->positions(setup),
                  .eos = eos ? strtoll(eos, NULL, 10) : -1};
  size_t n = (size_t)f.words + 1;
  f.logits = moire__arena_array(&g->arena, n, sizeof *f.logits);
  f.scratch = moire__arena_array(&g->arena, n, sizeof *f.scratch);
  f.p = moire__arena_array(&g->arena, n, sizeof *f.p);
  f.order = moire__arena_array(&g->arena, n, sizeof *f.order);
  read_sampling(&f);
  moire_status status = make_session(&f, threads, error);
  if (!status) status = run_rows(&f, error);
  tool_session_destroy(f.session);
  return status;
}
