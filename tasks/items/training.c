/* Training on items: the start of the codebooks, dead codes, and the measures of an epoch. */
#include "tasks/items/items.h"

#include "runtime/base/memory.h"
#include "tasks/items/kmeans.h"
#include "tasks/items/codes.h"
#include "runtime/train/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct items {
  const moire__features *features;
  const moire_config *config, *training;
  moire_program *encoder; /* "codes", "loss", "reconstruction", "commitment" */
  moire_program **level;  /* [levels]: "codes.<l>" and "residuals.<l>" of level l alone; NULL without k-means */
  uint64_t seed;
  int levels;
  const int64_t *sizes; /* [levels] */
  int64_t restart_after, batch, step_batch;
  moire_store *store;
  moire_threads *threads;
  moire_runner *encode;
} items;

static moire_status open_task(void *context, moire_store *store, moire_threads *threads, moire_error *error) {
  items *t = context;
  moire_status status = moire_store_declare(store, moire_program_plan(t->encoder), t->seed, error);
  if (status) return status;
  t->store = store;
  t->threads = threads;
  t->encode = moire_runner_create(moire_program_plan(t->encoder), store, threads, error);
  return t->encode ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- The start --------------------------------------------------------------------------------------------
 */

static moire_status start_level(items *t, int l, const volatile sig_atomic_t *stop, moire_error *error) {
  moire__codebook book;
  const moire_plan *plan = moire_program_plan(t->level[l]);
  moire_status status = moire__codebook_find(t->store, l, t->sizes[l], &book, error);
  if (!status) status = moire_store_declare(t->store, plan, t->seed, error);
  if (status) return status;
  moire_runner *runner = moire_runner_create(plan, t->store, t->threads, error);
  if (!runner) return MOIRE_ERROR_ARGUMENT;
  const moire__features *f = t->features;
  moire__kmeans k = {.runner = runner,
                     .values = f->values,
                     .n = f->n,
                     .features = f->width,
                     .samples = moire_config_int(t->training, "kmeans_samples"),
                     .iterations = moire_config_int(t->training, "kmeans_iterations"),
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
  for (int l = 0; t->level && l < t->levels && !status && !(stop && *stop); l++)
    status = start_level(t, l, stop, error);
  return status;
}

/* ---- After a step -----------------------------------------------------------------------------------------
 */

static moire_status restart_dead(void *context, const moire__train_step *step, int64_t number, int64_t n,
                                 moire_error *error) {
  items *t = context;
  for (int l = 0; l < t->levels; l++) {
    char output[32];
    snprintf(output, sizeof output, "residuals.%d", l);
    moire__codebook book;
    int64_t elements = 0;
    const float *rows = moire__train_step_output(step, output, &elements);
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

static moire_status validate(void *context, moire__team *team, moire__measures *measures, moire_error *error) {
  items *t = context;
  return moire__items_measure(t->encode, t->config, t->features, t->batch, "validation", team, measures, error);
}

static moire_status test(void *context, moire__team *team, const char *directory, moire__measures *measures,
                         moire__measures *baseline, moire_error *error) {
  (void)directory;
  (void)baseline;
  return validate(context, team, measures, error);
}

static void describe(const moire__measures *m, const char *monitored, moire__text *out) {
  (void)monitored;
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
  moire_program_destroy(t->encoder);
  for (int l = 0; t->level && l < t->levels; l++) moire_program_destroy(t->level[l]);
  moire__release(t->level);
  moire__release(t);
}

/* ---- Making it --------------------------------------------------------------------------------------------
 */

static moire_status check_sizes(const moire__features *f, const int64_t *sizes, int levels,
                                moire_error *error) {
  for (int l = 0; l < levels; l++) {
    if (sizes[l] <= f->n) continue;
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "codebook_sizes: level %d has %" PRId64 " codes, but %s has only %" PRId64 " rows", l,
                      sizes[l], f->path, f->n);
  }
  return MOIRE_OK;
}

static moire_status compile_all(items *t, const moire__setup *setup, int threads, moire_error *error) {
  t->encoder = moire__setup_compile(setup, moire__items_measured, MOIRE__ITEMS_MEASURED, threads, error);
  if (!t->encoder) return MOIRE_ERROR_ARGUMENT;
  if (strcmp(moire_config_string(setup->config, "initialisation"), "kmeans") != 0) return MOIRE_OK;
  t->level = moire__allocate_array((size_t)t->levels + 1, sizeof *t->level);
  for (int l = 0; l < t->levels; l++) {
    char codes[32], residuals[32];
    snprintf(codes, sizeof codes, "codes.%d", l);
    snprintf(residuals, sizeof residuals, "residuals.%d", l);
    t->level[l] = moire__setup_compile(setup, (const char *const[]){codes, residuals}, 2, threads, error);
    if (!t->level[l]) return MOIRE_ERROR_ARGUMENT;
  }
  return MOIRE_OK;
}

moire_status moire__items_train(const moire__setup *setup, int threads, moire__trainer_task *task,
                                moire_error *error) {
  const moire__features *f = setup->data;
  const moire_config *training = setup->training;
  const int64_t *sizes = NULL;
  int levels = moire_config_ints(setup->config, "codebook_sizes", &sizes);
  moire_status status = check_sizes(f, sizes, levels, error);
  if (status) return status;
  items *t = moire__allocate(sizeof *t);
  int64_t batch = moire_config_int(training, "batch_size");
  *t = (items){.features = f,
               .config = setup->config,
               .training = training,
               .seed = (uint64_t)moire_config_int(training, "seed"),
               .levels = levels,
               .sizes = sizes,
               .restart_after = moire_config_int(setup->config, "restart_after"),
               .batch = smaller(moire_config_int(training, "eval_batch_size"), f->n),
               .step_batch = smaller(batch, f->n)};
  status = compile_all(t, setup, threads, error);
  if (status) {
    close_task(t);
    return status;
  }
  *task = (moire__trainer_task){.context = t,
                                .samples = moire__samples_of_rows("features", f->values, f->n, f->width, batch),
                                .data = f->path,
                                .fingerprint = f->fingerprint,
                                .n_tested = f->n,
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
