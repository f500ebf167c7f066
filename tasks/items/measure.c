/* What there is to know about a coder: how well it restores, and how its codes are used. */
#include "tasks/items/items.h"

#include "runtime/base/memory.h"
#include "runtime/train/progress.h"
#include "tasks/gather.h"
#include "tasks/items/codes.h"

#include <string.h>

const char *const moire__items_measured[MOIRE__ITEMS_MEASURED] = {"codes", "reconstruction", "commitment",
                                                                  "loss"};

static const char codes_column[] = "codes", losses_column[] = "losses", sizes_column[] = "all.sizes";
enum { LOSSES = MOIRE__ITEMS_MEASURED - 1 };

/* The codes of items from `first` on, and each loss's mean times their number. */
static moire_status encode_batch(moire_runner *runner, const moire__features *f, int64_t first, int64_t n,
                                 int32_t *codes, int levels, double *losses, moire_error *error) {
  moire_status status = moire_runner_set_extent(runner, "B", n, error);
  if (!status)
    status = moire_runner_set_input(runner, "features", f->values + first * f->width, n * f->width, error);
  if (!status) status = moire_runner_run(runner, error);
  if (status) return status;
  int64_t elements = 0;
  const int32_t *found = moire_runner_output(runner, moire__items_measured[0], &elements);
  if (!found || elements != n * levels)
    return moire_fail(error, MOIRE_ERROR_SHAPE, "the model has no output codes of %d levels", levels);
  memcpy(codes, found, (size_t)elements * sizeof *codes);
  for (int i = 1; i < MOIRE__ITEMS_MEASURED; i++) {
    const float *loss = moire_runner_output(runner, moire__items_measured[i], NULL);
    if (!loss)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the model has no output %s", moire__items_measured[i]);
    losses[i - 1] = (double)*loss * (double)n;
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

/* The terms of items first ... first + count: their codes, and a row of losses for each batch. */
static moire_status collect(moire_runner *runner, const moire_config *config, const moire__features *f,
                            int64_t first, int64_t count, int64_t batch, const char *label, moire__terms *terms,
                            moire_error *error) {
  const int64_t *sizes = NULL;
  int levels = moire_config_ints(config, "codebook_sizes", &sizes);
  int64_t batches = count / batch + (count % batch != 0);
  int32_t *codes = moire__terms_add(terms, codes_column, MOIRE__ST_I32, count, levels);
  double *losses = moire__terms_add(terms, losses_column, MOIRE__ST_F64, batches, LOSSES);
  int64_t *all = moire__terms_add(terms, sizes_column, MOIRE__ST_I64, 1, levels);
  memcpy(all, sizes, (size_t)levels * sizeof *all);
  moire_status status = MOIRE_OK;
  moire__progress bar = moire__progress_start(label, "item", count);
  for (int64_t done = 0; done < count && !status; done += batch, losses += LOSSES) {
    int64_t n = count - done < batch ? count - done : batch;
    status = encode_batch(runner, f, first + done, n, codes + done * levels, levels, losses, error);
    moire__progress_update(&bar, done, "%d levels", levels);
  }
  moire__progress_finish(&bar);
  return status;
}

moire_status moire__items_measured_of(const moire__terms *terms, moire__measures *measures,
                                      moire_error *error) {
  const moire__st_tensor *codes = moire__terms_need(terms, codes_column, MOIRE__ST_I32, 0, error);
  const moire__st_tensor *losses =
      codes ? moire__terms_need(terms, losses_column, MOIRE__ST_F64, LOSSES, error) : NULL;
  const moire__st_tensor *sizes =
      losses ? moire__terms_need(terms, sizes_column, MOIRE__ST_I64, codes->shape[1], error) : NULL;
  if (!sizes) return MOIRE_ERROR_FORMAT;
  int64_t n = codes->shape[0];
  double sums[LOSSES] = {0};
  for (int64_t i = 0; i < losses->count; i++) sums[i % LOSSES] += ((const double *)losses->data)[i];
  *measures = (moire__measures){0};
  for (int i = 0; i < LOSSES; i++)
    moire__measures_add(measures, sums[i] / (double)n, "%s", moire__items_measured[1 + i]);
  add_usage(codes->data, n, (int)codes->shape[1], sizes->data, measures);
  return MOIRE_OK;
}

moire_status moire__items_measure(moire_runner *runner, const moire_config *config, const moire__features *f,
                                  int64_t batch, const char *label, moire__team *team,
                                  moire__measures *measures, moire_error *error) {
  moire__terms terms = {0};
  moire__part part;
  int64_t first = 0, n = 0;
  moire__part_take(moire__gather_part(team, &part), MOIRE__PART_TERMS, "item", f->n, batch, &first, &n);
  moire_status status = collect(runner, config, f, first, n, batch, label, &terms, error);
  if (!status) status = moire__gather_measures(team, &terms, moire__items_measured_of, measures, error);
  moire__terms_free(&terms);
  return status;
}

moire_status moire__items_eval(moire__predictor *p, const moire__eval_job *job, moire__terms *terms,
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
  int64_t batch = job->batch ? job->batch : BATCH, first = 0, n = 0;
  if (batch > f->n) batch = f->n;
  moire__part_take(job->part, MOIRE__PART_TERMS, "item", f->n, batch, &first, &n);
  return collect(p->runner, p->setup.config, f, first, n, batch, "items", terms, error);
}

moire_status moire__items_leave(const moire__terms *terms, const char *path, moire_error *error) {
  (void)terms;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: a coder's items have no measures of their own", path);
}
