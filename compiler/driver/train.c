/* A trainer of a graph: program, states and runner, and what a step needs beside its inputs. See moire/train.h.
 */
#include "moire/train.h"

#include "runtime/base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct moire_train {
  moire_program *program;
  const moire_plan *plan;
  moire_store *store;
  moire_threads *threads;
  moire_runner *runner;
  moire__arena arena; /* of the options' arrays, as far as scalars need them, and names */
  moire_training_options options;
  const char *loss;
  int64_t batches;
  int64_t given[MOIRE_MAX_EXTENTS + 1]; /* by moire_train_set_extent, and 1; 0: not */
  int32_t rng[3];                       /* seed low, seed high, batch */
  float scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
};

/* ---- Making -------------------------------------------------------------------------------------------------
 */

/* The options with the loss among the outputs. */
static moire_compile_options with_loss(const moire_compile_options *options, moire__arena *arena) {
  moire_compile_options o = *options;
  const char **outputs = moire__arena_array(arena, (size_t)o.n_outputs + 1, sizeof *outputs);
  bool found = false;
  for (int i = 0; i < o.n_outputs; i++) {
    outputs[i] = o.outputs[i];
    found = found || !strcmp(outputs[i], o.loss);
  }
  outputs[o.n_outputs] = o.loss;
  o.outputs = outputs;
  o.n_outputs += !found;
  return o;
}

/* What is borrowed for the call alone is copied, or, where it is compiled in, forgotten. */
static void keep_options(moire_train *t, const moire_training_options *options) {
  t->options = *options;
  t->options.freeze = NULL;
  t->options.n_freeze = 0;
  moire_parameter_group *groups = moire__arena_array(&t->arena, (size_t)options->n_groups + 1, sizeof *groups);
  for (int i = 0; i < options->n_groups; i++) {
    groups[i] = options->groups[i];
    groups[i].match = NULL;
    groups[i].n_match = 0;
  }
  t->options.groups = groups;
}

static moire_status check(const moire_compile_options *options, moire_error *error) {
  if (!options->loss)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "training wants options.loss, the name of the output to minimise");
  if (options->training.optimizer == MOIRE_OPTIMIZER_NONE)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "training wants options.training.optimizer");
  if (options->training.sparse != MOIRE_SPARSE_OFF)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                      "sparse: rows are stepped alone by the command moire train: wanted sparse: off");
  return moire_schedule_check(&options->training.schedule, error);
}

static moire_status set_if_there(moire_train *t, const char *name, const void *data, int64_t n,
                                 moire_error *error) {
  return moire_runner_has_input(t->runner, name) ? moire_runner_set_input(t->runner, name, data, n, error)
                                                 : MOIRE_OK;
}

static moire_status make(moire_train *t, const moire_graph *graph, const moire_compile_options *options,
                         uint64_t seed, int threads, moire_error *error) {
  moire_compile_options wanted = with_loss(options, &t->arena);
  wanted.threads = threads;
  t->program = moire_compile(graph, &wanted, error);
  if (!t->program) return MOIRE_ERROR_ARGUMENT;
  keep_options(t, &options->training);
  t->loss = moire__arena_copy_string(&t->arena, options->loss);
  t->plan = moire_program_plan(t->program);
  t->store = moire_store_create();
  t->rng[0] = (int32_t)(uint32_t)seed;
  t->rng[1] = (int32_t)(uint32_t)(seed >> 32);
  t->threads = moire_threads_create(threads, error);
  if (!t->threads) return MOIRE_ERROR_ARGUMENT;
  moire_status status = moire_store_declare(t->store, t->plan, seed, error);
  if (status) return status;
  t->runner = moire_runner_create(t->plan, t->store, t->threads, error);
  if (!t->runner) return MOIRE_ERROR_ARGUMENT;
  status = set_if_there(t, "rng", t->rng, 3, error);
  int n = moire_optimizer_scalar_count(&t->options);
  return status ? status : set_if_there(t, "optimizer.scalars", t->scalars, n, error);
}

moire_train *moire_train_create(const moire_graph *graph, const moire_compile_options *options, uint64_t seed,
                                int threads, moire_error *error) {
  if (check(options, error)) return NULL;
  moire_train *t = moire__allocate(sizeof *t);
  if (make(t, graph, options, seed, threads, error) == MOIRE_OK) return t;
  moire_train_destroy(t);
  return NULL;
}

void moire_train_destroy(moire_train *t) {
  if (!t) return;
  moire_runner_destroy(t->runner);
  moire_store_destroy(t->store);
  moire_threads_destroy(t->threads);
  moire_program_destroy(t->program);
  moire__arena_free(&t->arena);
  moire__release(t);
}

/* ---- Steps --------------------------------------------------------------------------------------------------
 */

/* The input's buffer, or one of both planes of a complex one. */
static const moire_plan_buffer *find_input(const moire_plan *plan, const char *name, bool *is_complex) {
  size_t length = strlen(name);
  for (int i = 0; i < plan->n_buffers; i++) {
    const moire_plan_buffer *b = &plan->buffers[i];
    if (b->role != MOIRE_PLAN_INPUT || strncmp(b->name, name, length) != 0) continue;
    *is_complex = !strcmp(b->name + length, ".real") || !strcmp(b->name + length, ".imag");
    if (!b->name[length] || *is_complex) return b;
  }
  return NULL;
}

/* Sizes of the named extents, and the input that told each. */
typedef struct sizes {
  int64_t size[MOIRE_MAX_EXTENTS + 1];
  const char *told[MOIRE_MAX_EXTENTS + 1]; /* NULL: none has yet */
} sizes;

static sizes known_sizes(const moire_train *t) {
  sizes s = {{0}, {NULL}};
  for (int e = 1; e <= t->plan->n_extents; e++) {
    s.size[e] = t->given[e] - 1;
    if (t->given[e]) s.told[e] = "moire_train_set_extent";
  }
  return s;
}

/* Where all but one of the extents of the input are known, its size tells that one. *more: it did. */
static moire_status tell_extent(moire_train *t, const moire_train_input *input, sizes *s, bool *more,
                                moire_error *error) {
  bool is_complex = false;
  const moire_plan_buffer *b = find_input(t->plan, input->name, &is_complex);
  if (!b)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the step of %s reads no input \"%s\"", t->plan->name,
                      input->name);
  int64_t factor = b->elements & (((int64_t)1 << 48) - 1);
  int unknown = 0;
  for (int k = 0; k < MOIRE_MAX_FACTORS; k++) {
    int extent = (int)((b->elements >> (48 + 4 * k)) & 15);
    if (extent && s->told[extent] && __builtin_mul_overflow(factor, s->size[extent], &factor)) return MOIRE_OK;
    if (!extent || s->told[extent]) continue;
    if (unknown) return MOIRE_OK;
    unknown = extent;
  }
  if (!unknown && factor != input->elements)
    return moire_fail(error, MOIRE_ERROR_SHAPE,
                      "input \"%s\" has %" PRId64 " elements, wanted %" PRId64 " by the sizes of the others",
                      input->name, input->elements, factor);
  if (!unknown || factor < 1) return MOIRE_OK;
  const char *name = t->plan->extents[unknown];
  if (input->elements < 0 || input->elements % factor)
    return moire_fail(error, MOIRE_ERROR_SHAPE,
                      "input \"%s\" has %" PRId64 " elements, wanted a multiple of %" PRId64
                      " for the extent %s",
                      input->name, input->elements, factor, name);
  s->told[unknown] = input->name;
  s->size[unknown] = input->elements / factor;
  *more = true;
  return moire_runner_set_extent(t->runner, name, s->size[unknown], error);
}

static moire_status tell_extents(moire_train *t, const moire_train_input *inputs, int n, moire_error *error) {
  sizes s = known_sizes(t);
  moire_status status = MOIRE_OK;
  for (bool more = true; more && !status;) {
    more = false;
    for (int i = 0; i < n && !status; i++) status = tell_extent(t, &inputs[i], &s, &more, error);
  }
  for (int e = 1; e <= t->plan->n_extents && !status; e++) {
    if (!s.told[e] && e != t->plan->packing.extent)
      status = moire_fail(error, MOIRE_ERROR_ARGUMENT,
                          "no input tells the extent %s: wanted moire_train_set_extent", t->plan->extents[e]);
  }
  return status;
}

static moire_status set_inputs(moire_train *t, const moire_train_input *inputs, int n, moire_error *error) {
  moire_status status = tell_extents(t, inputs, n, error);
  for (int i = 0; i < n && !status; i++) {
    const moire_train_input *x = &inputs[i];
    bool is_complex = false;
    if (find_input(t->plan, x->name, &is_complex) && is_complex)
      status = moire_runner_set_complex_input(t->runner, x->name, x->data, x->elements, error);
    else
      status = moire_runner_set_input(t->runner, x->name, x->data, x->elements, error);
  }
  return status;
}

moire_status moire_train_set_extent(moire_train *t, const char *name, int64_t size, moire_error *error) {
  for (int e = 1; e <= t->plan->n_extents; e++) {
    if (!strcmp(t->plan->extents[e], name)) t->given[e] = size + 1;
  }
  return moire_runner_set_extent(t->runner, name, size, error);
}

moire_status moire_train_step(moire_train *t, const moire_train_input *inputs, int n, double *loss,
                              moire_error *error) {
  moire_status status = set_inputs(t, inputs, n, error);
  if (status) return status;
  moire_batch_place place = moire_batch_place_at(t->batches, t->options.accumulate);
  moire_optimizer_scalars_f32(&t->options, &place, t->scalars);
  t->rng[2] = (int32_t)(uint32_t)t->batches;
  status = moire_runner_run(t->runner, error);
  if (status) return status;
  t->batches++;
  if (loss) *loss = (double)*(const float *)moire_runner_output(t->runner, t->loss, NULL);
  return MOIRE_OK;
}

int64_t moire_train_batches(const moire_train *t) { return t->batches; }

void moire_train_set_batches(moire_train *t, int64_t batches) { t->batches = batches; }

moire_store *moire_train_store(moire_train *t) { return t->store; }

moire_runner *moire_train_runner(moire_train *t) { return t->runner; }
