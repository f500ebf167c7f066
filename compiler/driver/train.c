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
  int32_t rng[3]; /* seed low, seed high, batch */
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

static const moire_plan_buffer *find_input(const moire_plan *plan, const char *name) {
  for (int i = 0; i < plan->n_buffers; i++) {
    const moire_plan_buffer *b = &plan->buffers[i];
    if (b->role == MOIRE_PLAN_INPUT && !strcmp(b->name, name)) return b;
  }
  return NULL;
}

/* Sets the extent that the input's size tells; `told` has for each extent the input that told it before. */
static moire_status tell_extent(moire_train *t, const moire_train_input *input, const moire_train_input **told,
                                int64_t *sizes, moire_error *error) {
  const moire_plan_buffer *b = find_input(t->plan, input->name);
  int extent = b ? (int)(b->elements >> 48) : 0;
  int64_t factor = b ? b->elements & (((int64_t)1 << 48) - 1) : 0;
  if (!extent || factor < 1) return MOIRE_OK;
  const char *name = t->plan->extents[extent];
  if (input->elements < 0 || input->elements % factor)
    return moire_fail(error, MOIRE_ERROR_SHAPE,
                      "input \"%s\" has %" PRId64 " elements, wanted a multiple of %" PRId64
                      " for the extent %s",
                      input->name, input->elements, factor, name);
  int64_t size = input->elements / factor;
  if (told[extent] && sizes[extent] != size)
    return moire_fail(error, MOIRE_ERROR_SHAPE,
                      "the extent %s is %" PRId64 " by input \"%s\", but %" PRId64 " by input \"%s\"", name,
                      sizes[extent], told[extent]->name, size, input->name);
  told[extent] = input;
  sizes[extent] = size;
  return moire_runner_set_extent(t->runner, name, size, error);
}

static moire_status set_inputs(moire_train *t, const moire_train_input *inputs, int n, moire_error *error) {
  const moire_train_input *told[MOIRE_MAX_EXTENTS + 1] = {NULL};
  int64_t sizes[MOIRE_MAX_EXTENTS + 1] = {0};
  moire_status status = MOIRE_OK;
  for (int i = 0; i < n && !status; i++) {
    status = tell_extent(t, &inputs[i], told, sizes, error);
    if (!status)
      status = moire_runner_set_input(t->runner, inputs[i].name, inputs[i].data, inputs[i].elements, error);
  }
  return status;
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
