/* What there is to know about a coder: how well it restores, and how its codes are used. */
#include "tasks/items/items.h"

#include "runtime/base/memory.h"
#include "runtime/train/progress.h"
#include "tasks/items/codes.h"

#include <string.h>

const char *const moire__items_measured[MOIRE__ITEMS_MEASURED] = {"codes", "reconstruction", "commitment",
                                                                  "loss"};

/* The first of them, and means over the batch. */
static moire_status encode_batch(moire_runner *runner, const moire__features *f, int64_t first, int64_t n,
                                 int32_t *codes, int levels, double *sums, moire_error *error) {
  moire_status status = moire_runner_set_extent(runner, "B", n, error);
  if (!status)
    status = moire_runner_set_input(runner, "features", f->values + first * f->width, n * f->width, error);
  if (!status) status = moire_runner_run(runner, error);
  if (status) return status;
  int64_t elements = 0;
  const int32_t *found = moire_runner_output(runner, moire__items_measured[0], &elements);
  if (!found || elements != n * levels)
    return moire_fail(error, MOIRE_ERROR_SHAPE, "the model has no output codes of %d levels", levels);
  memcpy(codes + first * levels, found, (size_t)elements * sizeof *codes);
  for (int i = 1; i < MOIRE__ITEMS_MEASURED; i++) {
    const float *loss = moire_runner_output(runner, moire__items_measured[i], NULL);
    if (!loss)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the model has no output %s", moire__items_measured[i]);
    sums[i] += (double)*loss * (double)n;
  }
  return MOIRE_OK;
}

static void add_usage(const int32_t *codes, int64_t n, int levels, const int64_t *sizes,
                      moire__measures *measures) {
  int32_t *digits = moire__allocate_array((size_t)n, sizeof *digits);
  int64_t kinds = moire__codes_digits(codes, n, levels, digits);
  moire__release(digits);
  moire__measures_add(measures, 1 - (double)kinds / (double)n, "collisions");
  for (int l = 0; l < levels; l++) {
    moire__usage usage = moire__codes_usage(codes, n, levels, l, sizes[l]);
    moire__measures_add(measures, usage.utilisation, "utilisation.%d", l);
    moire__measures_add(measures, usage.perplexity, "perplexity.%d", l);
  }
}

moire_status moire__items_measure(moire_runner *runner, const moire_config *config, const moire__features *f,
                                  int64_t batch, const char *label, moire__measures *measures,
                                  moire_error *error) {
  const int64_t *sizes = NULL;
  int levels = moire_config_ints(config, "codebook_sizes", &sizes);
  int32_t *codes = moire__allocate_array((size_t)(f->n * levels), sizeof *codes);
  double sums[MOIRE__ITEMS_MEASURED] = {0};
  moire_status status = MOIRE_OK;
  moire__progress bar = moire__progress_start(label, "item", f->n);
  for (int64_t first = 0; first < f->n && !status; first += batch) {
    int64_t n = f->n - first < batch ? f->n - first : batch;
    status = encode_batch(runner, f, first, n, codes, levels, sums, error);
    moire__progress_update(&bar, first, "%d levels", levels);
  }
  moire__progress_finish(&bar);
  if (!status) {
    *measures = (moire__measures){0};
    for (int i = 1; i < MOIRE__ITEMS_MEASURED; i++)
      moire__measures_add(measures, sums[i] / (double)f->n, "%s", moire__items_measured[i]);
    add_usage(codes, f->n, levels, sizes, measures);
  }
  moire__release(codes);
  return status;
}

moire_status moire__items_eval(moire__predictor *p, const moire__eval_job *job, moire__measures *measures,
                               moire_error *error) {
  enum { BATCH = 4096 };
  if (job->ranks || job->values || job->split)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "%s: a coder is measured on all items: --split, --ranks and --values do not go with it",
                      p->setup.model->name);
  moire_status status = p->setup.task->read(&p->setup, &job->files, moire__predictor_where(p), error);
  if (!status) status = moire__predictor_compile(p, moire__items_measured, MOIRE__ITEMS_MEASURED, error);
  if (status) return status;
  const moire__features *f = p->setup.data;
  int64_t batch = job->batch ? job->batch : BATCH;
  return moire__items_measure(p->runner, p->setup.config, f, batch < f->n ? batch : f->n, "items", measures,
                              error);
}
