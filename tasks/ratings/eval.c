/* moire eval and moire recommend of a model of ratings. */
#include "tasks/ratings/ratings.h"

#include "runtime/base/memory.h"
#include "runtime/files/checkpoint.h"
#include "runtime/train/log.h"
#include "tasks/ratings/baselines.h"

enum { BATCH = 16 };

moire_status moire__ratings_open(moire__predictor *p, const moire__data_files *files,
                                 moire__ratings_scoring *scoring, int64_t batch, moire_error *error) {
  moire_status status = p->setup.task->read(&p->setup, files, moire__predictor_where(p), error);
  if (!status) status = moire__predictor_check(p, error);
  if (!status) status = moire__ratings_scoring_compile(scoring, &p->setup, batch, p->sources->threads, error);
  if (status) return status;
  p->threads = moire_threads_create(p->sources->threads, error);
  if (!p->threads) return MOIRE_ERROR_ARGUMENT;
  p->store = moire_store_create();
  status = moire__ratings_scoring_open(scoring, p->setup.data, p->store, 0, p->threads, error);
  return status ? status : moire__checkpoint_load(p->file, p->store, MOIRE__CHECKPOINT_MODEL, error);
}

moire_status moire__ratings_eval(moire__predictor *p, const moire__eval_job *job, moire__terms *terms,
                                 moire_error *error) {
  if (job->ranks)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "--ranks: a user of a model of ratings has no one rank: wanted --values");
  moire__ratings_scoring scoring = {0};
  moire_status status = moire__ratings_open(p, &job->files, &scoring, job->batch ? job->batch : BATCH, error);
  const moire__ratings *data = p->setup.data;
  if (!status && job->valid && !data->valid.n)
    status = moire_fail(
        error, MOIRE_ERROR_ARGUMENT,
        "--split valid: nothing is held out of the training's ratings: wanted --set valid_per_user=N");
  if (!status)
    status = moire__ratings_collect(&scoring, job->valid ? &data->valid : &data->test, job->part, terms, error);
  if (!status && job->baselines)
    status = moire__ratings_baselines(data, job->valid ? &data->valid : &data->test, p->threads, job->baselines,
                                      error);
  moire__ratings_scoring_free(&scoring);
  return status;
}

/* Own ids, as text or as JSON's strings. */
static void add_name(moire__text *text, const char *name, bool json) {
  if (json)
    moire__log_add_string(text, name);
  else
    moire__text_add(text, "%s", name);
}

static void print_user(const moire__ratings *data, int64_t user, const int32_t *items, const float *scores,
                       const moire__recommend_job *job) {
  moire__text text = {0};
  moire__text_add(&text, job->json ? "{\"user\":" : "user ");
  add_name(&text, moire__id_names_at(&data->users, user), job->json);
  moire__text_add(&text, job->json ? ",\"items\":[" : "  ->");
  for (int i = 0; i < job->top && items[i] >= 0; i++) {
    moire__text_add(&text, !job->json ? " " : i ? "," : "");
    add_name(&text, moire__id_names_at(&data->items.ids, items[i]), job->json);
  }
  if (job->json) moire__text_add(&text, "],\"scores\":[");
  for (int i = 0; i < job->top && items[i] >= 0 && job->json; i++) {
    if (i) moire__text_add_char(&text, ',');
    moire__config_add_real(&text, (double)scores[i]);
  }
  fprintf(job->out, "%s%s\n", text.data, job->json ? "]}" : "");
  moire__text_free(&text);
}

moire_status moire__ratings_recommend(moire__predictor *p, const moire__recommend_job *job,
                                      moire_error *error) {
  moire__ratings_scoring scoring = {0};
  moire__data_files files = job->files;
  files.unmeasured = true;
  if (job->items)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                      "--items: scores of %s are no products of a query and items, as a table has them",
                      p->setup.model->name);
  moire_status status = moire__ratings_open(p, &files, &scoring, BATCH, error);
  const moire__ratings *data = p->setup.data;
  if (!status) {
    int64_t all = job->users && job->users < data->users.n ? job->users : data->users.n, first = 0, n = 0;
    moire__part_take(job->part, MOIRE__PART_LINES, "user", all, 1, &first, &n);
    int32_t *rows = moire__allocate_array((size_t)n + 1, sizeof *rows);
    int32_t *items = moire__allocate_array((size_t)(n * job->top) + 1, sizeof *items);
    float *scores = moire__allocate_array((size_t)(n * job->top) + 1, sizeof *scores);
    for (int64_t i = 0; i < n; i++) rows[i] = (int32_t)(first + i);
    status = moire__ratings_lists(&scoring, rows, n, job->top, items, scores, error);
    for (int64_t i = 0; i < n && !status; i++)
      print_user(data, first + i, items + i * job->top, scores + i * job->top, job);
    moire__release(rows);
    moire__release(items);
    moire__release(scores);
  }
  moire__ratings_scoring_free(&scoring);
  return status;
}
