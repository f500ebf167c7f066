/* A step of training: the batch, the scalars of the optimizer, the counters of random masks, and the run. All
 * of it is a function of (seed, number of the step, samples). */
#include "runtime/train/train_step.h"

/* ---- Steps of several batches -------------------------------------------------------------------------------
 */

static int64_t divide_up(int64_t n, int64_t by) { return n / by + (n % by != 0); }

static int64_t batches_of_epoch(const moire__train_step *t) {
  int64_t n = divide_up(t->samples.n, t->batch);
  return n > 1 ? n : 1;
}

static int64_t steps_of_epoch(const moire__train_step *t) {
  return divide_up(batches_of_epoch(t), t->optimizer.options.accumulate);
}

/* Batch number `number`, of n samples. No step reaches into the next epoch: its last has what batches there
 * are. A batch counts by its samples. */
static moire_batch_place find_place(const moire__train_step *t, int64_t number, int64_t n) {
  int64_t per_step = t->optimizer.options.accumulate, batches = batches_of_epoch(t), i = number % batches;
  int64_t first = i / per_step * per_step, left = t->samples.n - first * t->batch, all = per_step * t->batch;
  return (moire_batch_place){.step = number / batches * steps_of_epoch(t) + i / per_step,
                             .first = i == first,
                             .last = i == first + per_step - 1 || i == batches - 1,
                             .weight = (double)n / (double)t->batch,
                             .scale = (double)t->batch / (double)(left < all ? left : all)};
}

/* The same for samples that weigh by themselves: the batches of a step come one after the other, and the scale
 * is read with the last of them. */
static void weigh(moire__train_step *t, moire_batch_place *place, const int64_t *samples, int64_t n) {
  if (!t->samples.weigh) return;
  double weight = t->samples.weigh(t->samples.context, samples, n);
  t->weight = place->first ? weight : t->weight + weight;
  if (place->first && place->last) weight = t->weight = 1; /* the only one: even if nothing in it counts */
  place->weight = weight;
  place->scale = t->weight > 0 ? 1 / t->weight : 0;
}

/* ---- Steps --------------------------------------------------------------------------------------------------
 */

static moire_status set_if_there(moire_runner *runner, const char *name, const void *data, int64_t n,
                                 moire_error *error) {
  return moire_runner_has_input(runner, name) ? moire_runner_set_input(runner, name, data, n, error) : MOIRE_OK;
}

/* What does not come from samples. */
static moire_status set_own(moire__train_step *t, moire_runner *runner, moire_error *error) {
  moire_status status = set_if_there(runner, "rng", t->rng, 3, error);
  if (!status) status = set_if_there(runner, "progress", &t->progress, 1, error);
  int n_scalars = moire_optimizer_scalar_count(&t->optimizer.options);
  return status ? status : set_if_there(runner, "optimizer.scalars", t->scalars, n_scalars, error);
}

moire_status moire__train_step_open(moire__train_step *t, moire_runner *runner, moire__samples samples,
                                    const moire_config *training, moire_error *error) {
  uint64_t seed = (uint64_t)moire_config_int(training, "seed");
  *t = (moire__train_step){.runner = runner,
                           .samples = samples,
                           .training = training,
                           .batch = moire_config_int(training, "batch_size"),
                           .rng = {(int32_t)(uint32_t)seed, (int32_t)(uint32_t)(seed >> 32), 0}};
  t->optimizer.options.accumulate = (int)moire_config_int(training, "accumulate");
  int64_t steps = moire_config_int(training, "epochs") * steps_of_epoch(t);
  moire_status status = moire__training_read(&t->optimizer, training, steps, error);
  t->steps = t->optimizer.options.schedule.total_steps ? t->optimizer.options.schedule.total_steps : steps;
  return status ? status : set_own(t, runner, error);
}

moire_status moire__train_step_divide(moire__train_step *t, const moire__division *division,
                                      const moire_plan *sums, moire_store *store, moire_threads *threads,
                                      moire_error *error) {
  t->groups = moire__groups_create(division, sums, t->runner, store, threads, error);
  return t->groups ? set_own(t, moire__groups_step_runner(t->groups), error) : MOIRE_ERROR_ARGUMENT;
}

void moire__train_step_free(moire__train_step *t) {
  moire__groups_destroy(t->groups);
  moire__history_free(&t->history);
  moire__samples_free(&t->samples);
  *t = (moire__train_step){0};
}

moire_status moire__train_step_prepare(moire__train_step *t, const int64_t *samples, int64_t n, int64_t number,
                                       moire_error *error) {
  moire_batch_place place = find_place(t, number, n);
  weigh(t, &place, samples, n);
  t->progress = place.step < t->steps ? (float)((double)place.step / (double)t->steps) : 1;
  moire_optimizer_scalars_f32(&t->optimizer.options, &place, t->scalars);
  t->rng[2] = (int32_t)(uint32_t)number;
  t->chosen = samples;
  t->n_chosen = n;
  moire_status status = moire_runner_set_extent(t->runner, "B", n, error);
  if (!status) status = moire__history_give(&t->history, &t->optimizer.options, place.step, t->runner, error);
  if (t->samples.begin_step) t->samples.begin_step(t->samples.context, number, samples, n);
  if (t->groups) return moire__groups_give_one(t->groups, &t->samples, samples, n, error);
  return status ? status : t->samples.give(t->samples.context, t->runner, samples, n, error);
}

moire_status moire__train_step_run(moire__train_step *t, double *loss, moire_error *error) {
  moire_status status = t->groups
                            ? moire__groups_run(t->groups, &t->samples, t->chosen, t->n_chosen, t->stop, error)
                            : moire_runner_run(t->runner, error);
  if (status) return status;
  const float *value = moire__train_step_output(t, "loss", NULL);
  if (!value) return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the program of the step has no output loss");
  *loss = (double)*value;
  return MOIRE_OK;
}

const void *moire__train_step_output(const moire__train_step *t, const char *name, int64_t *elements) {
  return t->groups ? moire__groups_output(t->groups, name, elements)
                   : moire_runner_output(t->runner, name, elements);
}
