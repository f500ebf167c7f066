/* Rows of words with a cache. See generator.h.
 *
 * There are two programs: one for any number of tokens, and one for a token a row, in which that number and the
 * rows are known: a product of few rows reads weights as they lie, at the speed of memory. */
#include "tasks/tokens/generator.h"

#include "runtime/base/memory.h"
#include "runtime/base/planes.h"
#include "runtime/run/runner.h"

#include <string.h>

/* One plane of an input past.NAME and of the output present.NAME. */
typedef struct cache {
  const char *past, *present; /* the arena's */
  int64_t heads, width;
  float *data; /* [rows, heads, capacity, width], aligned; owned */
} cache;

struct moire__generator {
  moire_runner *runner; /* borrowed: runs of any number of tokens */
  moire_program *step;  /* of a token a row */
  moire_runner *steps;
  int64_t rows, capacity;
  int32_t *positions, *counts, *tokens; /* [rows], [rows], [rows, PIECE]; aligned */
  cache *caches;
  int n, n_capacity;
  const char **outputs;
  int n_outputs, output_capacity;
  moire__arena arena;
};

enum { PIECE = 128, STEP = 64 }; /* tokens of a run; positions by which the cache grows at first */

static const char past_prefix[] = "past.", present_prefix[] = "present.";

static void add_cache(moire__generator *g, const moire_port *port) {
  const char *name = port->name + sizeof past_prefix - 1;
  const char *output = moire__arena_printf(&g->arena, "%s%s", present_prefix, name);
  MOIRE__PUSH(&g->arena, g->outputs, g->n_outputs, g->output_capacity, output);
  bool complex = port->dtype == MOIRE_C64;
  for (int p = 0; p <= complex; p++) {
    const char *suffix = complex ? moire__plane_suffix(p) : "";
    cache c = {.past = moire__arena_printf(&g->arena, "%s%s%s", past_prefix, name, suffix),
               .present = moire__arena_printf(&g->arena, "%s%s", output, suffix),
               .heads = moire_dim_factor(port->shape.dims[1]),
               .width = moire_dim_factor(port->shape.dims[3])};
    MOIRE__PUSH(&g->arena, g->caches, g->n, g->n_capacity, c);
  }
}

static moire_status find_caches(moire__generator *g, const moire__setup *setup, moire_error *error) {
  moire_graph *graph = moire__setup_graph(setup, MOIRE_INFERENCE, error);
  if (!graph) return MOIRE_ERROR_ARGUMENT;
  bool generates = moire_graph_find_output(graph, "next").name != NULL;
  MOIRE__PUSH(&g->arena, g->outputs, g->n_outputs, g->output_capacity, "next");
  for (int i = 0; i < moire_graph_input_count(graph); i++) {
    moire_port port = moire_graph_input(graph, i);
    if (!strncmp(port.name, past_prefix, sizeof past_prefix - 1) && port.shape.rank == 4) add_cache(g, &port);
  }
  moire_graph_destroy(graph);
  return generates ? MOIRE_OK
                   : moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                                "%s: has no output next, so it cannot continue rows", setup->model->name);
}

/* The program for a token a row, on the predictor's weights. */
static moire_status make_step(moire__generator *g, moire__predictor *p, moire_error *error) {
  const moire_fixed_extent fixed[] = {{"B", g->rows}, {"T", 1}};
  g->step =
      moire__setup_compile_fixed(&p->setup, g->outputs, g->n_outputs, fixed, 2, p->sources->threads, error);
  if (!g->step) return MOIRE_ERROR_ARGUMENT;
  g->steps = moire_runner_create(moire_program_plan(g->step), p->store, p->threads, error);
  if (!g->steps) return MOIRE_ERROR_ARGUMENT;
  moire__runner_settle(g->runner);
  moire__runner_settle(g->steps);
  return MOIRE_OK;
}

moire__generator *moire__generator_create(moire__predictor *predictor, int64_t rows, moire_error *error) {
  moire__generator *g = moire__allocate(sizeof *g);
  *g = (moire__generator){.rows = rows};
  size_t n = (size_t)rows;
  g->positions = moire__allocate_aligned(n * sizeof *g->positions, 64);
  g->counts = moire__allocate_aligned(n * sizeof *g->counts, 64);
  g->tokens = moire__allocate_aligned(n * PIECE * sizeof *g->tokens, 64);
  memset(g->positions, 0, n * sizeof *g->positions);
  moire_status status = find_caches(g, &predictor->setup, error);
  if (!status) status = moire__predictor_compile(predictor, g->outputs, g->n_outputs, error);
  g->runner = predictor->runner;
  if (!status) status = make_step(g, predictor, error);
  if (!status) return g;
  moire__generator_destroy(g);
  return NULL;
}

void moire__generator_destroy(moire__generator *g) {
  if (!g) return;
  moire_runner_destroy(g->steps);
  moire_program_destroy(g->step);
  for (int i = 0; i < g->n; i++) moire__release_aligned(g->caches[i].data);
  moire__release_aligned(g->positions);
  moire__release_aligned(g->counts);
  moire__release_aligned(g->tokens);
  moire__arena_free(&g->arena);
  moire__release(g);
}

void moire__generator_clear(moire__generator *g) {
  memset(g->positions, 0, (size_t)g->rows * sizeof *g->positions);
}

int64_t moire__generator_length(const moire__generator *g, int64_t row) { return g->positions[row]; }

/* ---- The cache
 * ------------------------------------------------------------------------------------------------ */

/* Room for `most` positions of each row: half as many again as before, so that moving is rare. */
static void grow(moire__generator *g, int64_t most) {
  if (most <= g->capacity) return;
  int64_t capacity = g->capacity + g->capacity / 2 > most ? g->capacity + g->capacity / 2 : most;
  capacity = (capacity + STEP - 1) / STEP * STEP;
  for (int i = 0; i < g->n; i++) {
    cache *c = &g->caches[i];
    int64_t blocks = g->rows * c->heads, old = g->capacity * c->width, size = capacity * c->width;
    float *data = moire__allocate_aligned((size_t)(blocks * size) * sizeof *data, 64);
    memset(data, 0, (size_t)(blocks * size) * sizeof *data);
    for (int64_t b = 0; b < blocks && old; b++)
      memcpy(data + b * size, c->data + b * old, (size_t)old * sizeof *data);
    moire__release_aligned(c->data);
    c->data = data;
  }
  g->capacity = capacity;
}

static moire_status give_caches(moire__generator *g, moire_runner *runner, moire_error *error) {
  moire_status status = moire_runner_set_extent(runner, "S", g->capacity, error);
  for (int i = 0; i < g->n && !status; i++) {
    const cache *c = &g->caches[i];
    int64_t elements = g->rows * c->heads * g->capacity * c->width;
    if (moire_runner_has_input(runner, c->past))
      status = moire_runner_set_input(runner, c->past, c->data, elements, error);
  }
  return status;
}

/* What the run has made of n tokens a row goes behind what was there. */
static moire_status keep(moire__generator *g, const moire_runner *runner, int64_t n, moire_error *error) {
  for (int i = 0; i < g->n; i++) {
    cache *c = &g->caches[i];
    int64_t elements = 0;
    const float *fresh = moire_runner_output(runner, c->present, &elements);
    if (!fresh || elements != g->rows * c->heads * n * c->width)
      return moire_fail(error, MOIRE_ERROR_SHAPE, "the model has no output %s like its input %s", c->present,
                        c->past);
    for (int64_t b = 0; b < g->rows; b++) {
      size_t bytes = (size_t)(g->counts[b] * c->width) * sizeof *fresh;
      for (int64_t h = b * c->heads; h < (b + 1) * c->heads; h++)
        memcpy(c->data + (h * g->capacity + g->positions[b]) * c->width, fresh + h * n * c->width, bytes);
    }
  }
  for (int64_t b = 0; b < g->rows; b++) g->positions[b] += g->counts[b];
  return MOIRE_OK;
}

/* ---- Runs
 * ----------------------------------------------------------------------------------------------------- */

/* At most PIECE tokens a row, n of them where a row has as many. */
static moire_status run(moire__generator *g, moire_runner *runner, int64_t n, moire_error *error) {
  int64_t most = 1;
  for (int64_t b = 0; b < g->rows; b++) {
    int64_t end = g->positions[b] + g->counts[b];
    most = end > most ? end : most;
  }
  grow(g, most);
  moire_status status = moire_runner_set_extent(runner, "B", g->rows, error);
  if (!status) status = moire_runner_set_extent(runner, "T", n, error);
  if (!status) status = give_caches(g, runner, error);
  if (!status) status = moire_runner_set_input(runner, "tokens", g->tokens, g->rows * n, error);
  if (!status) status = moire_runner_set_input(runner, "counts", g->counts, g->rows, error);
  if (!status && moire_runner_has_input(runner, "positions"))
    status = moire_runner_set_input(runner, "positions", g->positions, g->rows, error);
  if (!status) status = moire_runner_run(runner, error);
  return status;
}

/* Rows end at different tokens, but logits are wanted behind the last of each: all but the last piece of a row
 * come first, so that the last run holds the end of every row. */
moire_status moire__generator_append(moire__generator *g, const int32_t *tokens, const int32_t *counts,
                                     int64_t n, const float **logits, moire_error *error) {
  int64_t longest = 0, done = 0;
  for (int64_t b = 0; b < g->rows; b++) longest = counts[b] > longest ? counts[b] : longest;
  moire_status status = MOIRE_OK;
  moire_runner *runner = g->runner;
  *logits = NULL;
  for (int64_t width; done < longest && !status; done += width) {
    int64_t left = longest - done;
    width = left % PIECE ? left % PIECE : PIECE;
    for (int64_t b = 0; b < g->rows; b++) { /* a row is right-aligned in what is left */
      int64_t skip = longest - counts[b], from = done > skip ? done - skip : 0, to = done + width - skip;
      g->counts[b] = (int32_t)(to > from ? to - from : 0);
      for (int64_t i = 0; i < width; i++)
        g->tokens[b * width + i] = i < g->counts[b] ? tokens[b * n + from + i] : 0;
    }
    runner = width == 1 ? g->steps : g->runner;
    status = run(g, runner, width, error);
    if (!status) status = keep(g, runner, width, error);
  }
  if (!status && longest) *logits = moire_runner_output(runner, "next", NULL);
  return status;
}
