/* Training on items: the start of the codebooks, dead codes, and the measures of an epoch. */
#include "tasks/items/training.h"

#include "runtime/base/memory.h"
#include "tasks/items/kmeans.h"
#include "tasks/items/codes.h"
#include "runtime/train/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct items {
  moire__items_job job;
  uint64_t seed;
  int levels;
  const int64_t *sizes; /* [levels] */
  int64_t restart_after, batch, step_batch;
  moire_store *store;
  moire_threads *threads;
  moire_runner *encode;
  int32_t *codes, *digits; /* [n, levels], [n] */
} items;

static moire_status open_task(void *context, moire_store *store, moire_threads *threads, moire_error *error) {
  items *t = context;
  moire_status status = moire_store_declare(store, t->job.encode, t->seed, error);
  if (status) return status;
  t->store = store;
  t->threads = threads;
  t->encode = moire_runner_create(t->job.encode, store, threads, error);
  return t->encode ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- The start --------------------------------------------------------------------------------------------
 */

static moire_status start_level(items *t, int l, const volatile sig_atomic_t *stop, moire_error *error) {
  moire__codebook book;
  moire_status status = moire__codebook_find(t->store, l, t->sizes[l], &book, error);
  if (!status) status = moire_store_declare(t->store, t->job.level[l], t->seed, error);
  if (status) return status;
  moire_runner *runner = moire_runner_create(t->job.level[l], t->store, t->threads, error);
  if (!runner) return MOIRE_ERROR_ARGUMENT;
  const moire__features *f = t->job.features;
  moire__kmeans k = {.runner = runner,
                     .values = f->values,
                     .n = f->n,
                     .features = f->width,
                     .samples = moire_config_int(t->job.training, "kmeans_samples"),
                     .iterations = moire_config_int(t->job.training, "kmeans_iterations"),
                     .batch = t->batch,
                     .step_batch = t->step_batch,
                     .seed = t->seed,
                     .stop = stop};
  status = moire__kmeans_run(&book, &k, error);
  moire_runner_destroy(runner);
  return status;
}

static moire_status begin(void *context, const volatile sig_atomic_t *stop, moire_error *error) {
  items *t = context;
  moire_status status = MOIRE_OK;
  if (strcmp(moire_config_string(t->job.config, "initialisation"), "kmeans") != 0) return MOIRE_OK;
  for (int l = 0; l < t->levels && !status && !(stop && *stop); l++) status = start_level(t, l, stop, error);
  return status;
}

/* ---- After a step -----------------------------------------------------------------------------------------
 */

static moire_status restart_dead(void *context, const moire_runner *runner, int64_t number, int64_t n,
                                 moire_error *error) {
  items *t = context;
  for (int l = 0; l < t->levels; l++) {
    char output[32];
    snprintf(output, sizeof output, "residuals.%d", l);
    moire__codebook book;
    int64_t elements = 0;
    const float *rows = moire_runner_output(runner, output, &elements);
    moire_status status = moire__codebook_find(t->store, l, t->sizes[l], &book, error);
    if (status) return status;
    if (!rows || elements != n * book.width || !book.unused)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "the model has no output %s or no state quantizers.%d.unused", output, l);
    moire__codebook_restart(&book, t->restart_after, rows, n, t->seed, number);
  }
  return MOIRE_OK;
}

/* ---- Measures ---------------------------------------------------------------------------------------------
 */

static const char *const losses[] = {"reconstruction", "commitment", "loss"};
enum { N_LOSSES = 3 };

static moire_status encode_batch(items *t, int64_t first, int64_t n, double sums[N_LOSSES],
                                 moire_error *error) {
  const moire__features *f = t->job.features;
  moire_status status = moire_runner_set_extent(t->encode, "B", n, error);
  if (!status)
    status = moire_runner_set_input(t->encode, "features", f->values + first * f->width, n * f->width, error);
  if (!status) status = moire_runner_run(t->encode, error);
  if (status) return status;
  int64_t elements = 0;
  const int32_t *codes = moire_runner_output(t->encode, "codes", &elements);
  if (!codes || elements != n * t->levels)
    return moire_fail(error, MOIRE_ERROR_SHAPE, "the model has no output codes of %d levels", t->levels);
  memcpy(t->codes + first * t->levels, codes, (size_t)elements * sizeof *codes);
  for (int i = 0; i < N_LOSSES; i++) {
    const float *loss = moire_runner_output(t->encode, losses[i], NULL);
    if (!loss) return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the model has no output %s", losses[i]);
    sums[i] += (double)*loss * (double)n;
  }
  return MOIRE_OK;
}

static moire_status validate(void *context, moire__measures *measures, moire_error *error) {
  items *t = context;
  int64_t n = t->job.features->n;
  double sums[N_LOSSES] = {0};
  moire_status status = MOIRE_OK;
  moire__progress bar = moire__progress_start("validation", "item", n);
  for (int64_t first = 0; first < n && !status; first += t->batch) {
    status = encode_batch(t, first, smaller(t->batch, n - first), sums, error);
    moire__progress_update(&bar, first, "%d levels", t->levels);
  }
  moire__progress_finish(&bar);
  if (status) return status;
  *measures = (moire__measures){0};
  for (int i = 0; i < N_LOSSES; i++) moire__measures_add(measures, sums[i] / (double)n, "%s", losses[i]);
  int64_t kinds = moire__codes_digits(t->codes, n, t->levels, t->digits);
  moire__measures_add(measures, 1 - (double)kinds / (double)n, "collisions");
  for (int l = 0; l < t->levels; l++) {
    moire__usage usage = moire__codes_usage(t->codes, n, t->levels, l, t->sizes[l]);
    moire__measures_add(measures, usage.utilisation, "utilisation.%d", l);
    moire__measures_add(measures, usage.perplexity, "perplexity.%d", l);
  }
  return MOIRE_OK;
}

static moire_status test(void *context, const char *directory, moire__measures *measures,
                         moire__measures *baseline, moire_error *error) {
  (void)directory;
  (void)baseline;
  return validate(context, measures, error);
}

static void describe(const moire__measures *m, moire__text *out) {
  moire__text_add(out, ", commitment %.4f, collisions %.2f %%, used", moire__measures_value(m, "commitment"),
                  100 * moire__measures_value(m, "collisions"));
  for (int i = 0; i < m->n; i++) {
    if (strncmp(m->at[i].name, "utilisation.", 12) != 0) continue;
    moire__text_add(out, " %.1f %%", 100 * m->at[i].value);
  }
}

static void close_task(void *context) {
  items *t = context;
  moire_runner_destroy(t->encode);
  moire__release(t->codes);
  moire__release(t->digits);
  moire__release(t);
}

moire_status moire__trainer_on_items(const moire__items_job *job, moire__trainer_task *task,
                                     moire_error *error) {
  const moire__features *f = job->features;
  const int64_t *sizes = NULL;
  int levels = moire_config_ints(job->config, "codebook_sizes", &sizes);
  for (int l = 0; l < levels; l++) {
    if (sizes[l] <= f->n) continue;
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "codebook_sizes: level %d has %" PRId64 " codes, but %s has only %" PRId64 " rows", l,
                      sizes[l], f->path, f->n);
  }
  items *t = moire__allocate(sizeof *t);
  int64_t batch = moire_config_int(job->training, "batch_size");
  *t = (items){.job = *job,
               .seed = (uint64_t)moire_config_int(job->training, "seed"),
               .levels = levels,
               .sizes = sizes,
               .restart_after = moire_config_int(job->config, "restart_after"),
               .batch = smaller(moire_config_int(job->training, "eval_batch_size"), f->n),
               .step_batch = smaller(batch, f->n)};
  t->codes = moire__allocate_array((size_t)(f->n * levels), sizeof *t->codes);
  t->digits = moire__allocate_array((size_t)f->n, sizeof *t->digits);
  *task = (moire__trainer_task){.context = t,
                                .samples = moire__samples_of_rows("features", f->values, f->n, f->width, batch),
                                .data = f->path,
                                .fingerprint = f->fingerprint,
                                .monitored = "reconstruction",
                                .least = true,
                                .open = open_task,
                                .begin = begin,
                                .after_step = t->restart_after ? restart_dead : NULL,
                                .validate = validate,
                                .test = test,
                                .describe = describe,
                                .close = close_task};
  return MOIRE_OK;
}
