/* moire eval of a sequential model: ranks each user's target among all items. */
#include "tasks/sequences/sequences.h"

#include "tasks/sequences/baselines.h"

enum { BATCH = 256 };

static const char rank_column[] = "rank";

moire_status moire__sequences_open(moire__predictor *p, const moire__data_files *files, const char *output,
                                   moire_error *error) {
  moire_status status = p->setup.task->read(&p->setup, files, moire__predictor_where(p), error);
  return status ? status : moire__predictor_compile(p, &output, 1, error);
}

moire_status moire__sequences_collect(const moire__scoring *scoring, moire__split split, moire__part *part,
                                      moire__terms *terms, moire_error *error) {
  int64_t first = 0, n = 0;
  moire__part_take(part, MOIRE__PART_TERMS, "user", scoring->dataset->n_users, 1, &first, &n);
  int64_t *ranks = moire__terms_add(terms, rank_column, MOIRE__ST_I64, n, 1);
  return moire__scoring_ranks(scoring, split, first, n, ranks, error);
}

moire_status moire__sequences_eval(moire__predictor *p, const moire__eval_job *job, moire__terms *terms,
                                   moire_error *error) {
  if (job->values)
    return moire_fail(
        error, MOIRE_ERROR_ARGUMENT,
        "--values: the ranks of users say every measure of a sequential model: wanted --ranks FILE");
  moire_status status = moire__sequences_open(p, &job->files, "logits", error);
  if (status) return status;
  const moire__dataset *data = p->setup.data;
  moire__scoring scoring = {.runner = p->runner,
                            .threads = p->threads,
                            .dataset = data,
                            .item_size = moire_config_int(p->setup.config, "item_size"),
                            .batch = job->batch ? job->batch : BATCH,
                            .label = "users"};
  moire__split split = job->valid ? MOIRE__SPLIT_VALID : MOIRE__SPLIT_TEST;
  status = moire__sequences_collect(&scoring, split, job->part, terms, error);
  if (!status && job->baselines)
    status = moire__sequences_baselines(data, split, p->threads, job->baselines, error);
  return status;
}

moire_status moire__sequences_measured(const moire__terms *terms, moire__measures *measures,
                                       moire_error *error) {
  const moire__st_tensor *ranks = moire__terms_need(terms, rank_column, MOIRE__ST_I64, 1, error);
  if (!ranks) return MOIRE_ERROR_FORMAT;
  moire__metrics metrics = moire__scoring_metrics(ranks->data, ranks->count);
  *measures = moire__metrics_measures(&metrics);
  return MOIRE_OK;
}

moire_status moire__sequences_leave(const moire__terms *terms, const char *path, moire_error *error) {
  const moire__st_tensor *ranks = moire__terms_need(terms, rank_column, MOIRE__ST_I64, 1, error);
  return ranks ? moire__scoring_write_ranks(path, ranks->data, ranks->count, error) : MOIRE_ERROR_FORMAT;
}
