/* Scoring users. The model runs on a batch; then the threads take the users of the batch one by one, each with
 * a copy of its row of scores, and write what they find to that user's place. Nothing depends on which thread
 * took whom. */
#include "tasks/sequences/scoring.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "runtime/files/file.h"
#include "runtime/train/progress.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct job job;

/* What is done with the scores of one user; they may be overwritten. */
typedef void visit_function(const job *j, int64_t user, float *scores /*[item_size]*/);

struct job {
  const moire__scoring *scoring;
  moire__split split;
  visit_function *visit;
  int64_t begin; /* the first user, whose place is 0 in what is found */
  int64_t first; /* user of row 0 */
  const float *logits;
  float *rows; /* [batch, item_size] */
  int64_t *ranks;
  int k;
  int32_t *items;
  float *scores;
};

static void visit_rows(void *context, int64_t begin, int64_t end) {
  const job *j = context;
  int64_t width = j->scoring->item_size;
  for (int64_t i = begin; i < end; i++) {
    float *row = j->rows + i * width;
    memcpy(row, j->logits + i * width, (size_t)width * sizeof *row);
    j->visit(j, j->first + i, row);
  }
}

static moire_status run_batch(job *j, int64_t n, int32_t *ids, moire_error *error) {
  const moire__scoring *s = j->scoring;
  const moire__dataset *data = s->dataset;
  moire__dataset_eval_batch(data, j->split, j->first, n, ids, NULL);
  moire_status status = moire_runner_set_extent(s->runner, "B", n, error);
  if (!status) status = moire_runner_set_input(s->runner, "input_ids", ids, n * data->max_length, error);
  if (!status) status = moire_runner_run(s->runner, error);
  if (status) return status;
  int64_t elements = 0;
  j->logits = moire_runner_output(s->runner, "logits", &elements);
  if (!j->logits || elements != n * s->item_size) {
    return moire_fail(error, MOIRE_ERROR_SHAPE,
                      "output logits: wanted %" PRId64 " scores for %" PRId64 " users, but %" PRId64 " came",
                      n * s->item_size, n, elements);
  }
  moire_threads_run(s->threads, n, visit_rows, j);
  return MOIRE_OK;
}

/* The users j->begin, ... n_users of them. */
static moire_status run_users(job *j, int64_t n_users, moire_error *error) {
  const moire__scoring *s = j->scoring;
  int64_t batch = s->batch < n_users ? s->batch : n_users;
  int32_t *ids = moire__allocate_array((size_t)(batch * s->dataset->max_length), sizeof *ids);
  j->rows = moire__allocate_array((size_t)(batch * s->item_size), sizeof *j->rows);
  moire__progress bar = moire__progress_start(s->label, "user", n_users);
  moire_status status = MOIRE_OK;
  for (int64_t done = 0; done < n_users && !status; done += batch) {
    int64_t left = n_users - done;
    j->first = j->begin + done;
    status = run_batch(j, left < batch ? left : batch, ids, error);
    moire__progress_update(&bar, done, "%s", "");
  }
  moire__progress_finish(&bar);
  moire__release(ids);
  moire__release(j->rows);
  return status;
}

static void rank_target(const job *j, int64_t user, float *scores) {
  int64_t n = 0, width = j->scoring->item_size;
  const int32_t *history = moire__dataset_history(j->scoring->dataset, j->split, user, &n);
  moire__mask_history(scores, width, history, n);
  j->ranks[user - j->begin] =
      moire__rank_target(scores, width, moire__dataset_target(j->scoring->dataset, j->split, user));
}

moire_status moire__scoring_ranks(const moire__scoring *scoring, moire__split split, int64_t first, int64_t n,
                                  int64_t *ranks, moire_error *error) {
  job j = {.scoring = scoring, .split = split, .visit = rank_target, .begin = first, .ranks = ranks};
  return run_users(&j, n, error);
}

/* What is not a number is not listed. */
static void list_best(const job *j, int64_t user, float *scores) {
  int64_t n = 0;
  const int32_t *history = moire__dataset_history(j->scoring->dataset, j->split, user, &n);
  scores[0] = NAN;
  for (int64_t i = 0; i < n; i++) scores[history[i]] = NAN;
  int64_t place = user - j->begin;
  int32_t *items = j->items + place * j->k;
  int listed = moire__top_k(scores, j->scoring->item_size, j->k, items);
  for (int i = 0; i < j->k; i++) {
    if (i >= listed) items[i] = 0;
    j->scores[place * j->k + i] = i < listed ? scores[items[i]] : 0;
  }
}

moire_status moire__scoring_top(const moire__scoring *scoring, int64_t first, int64_t n_users, int k,
                                int32_t *items, float *scores, moire_error *error) {
  job j = {.scoring = scoring,
           .split = MOIRE__SPLIT_NEXT,
           .visit = list_best,
           .begin = first,
           .k = k,
           .items = items,
           .scores = scores};
  return run_users(&j, n_users, error);
}

moire__metrics moire__scoring_metrics(const int64_t *ranks, int64_t n) {
  moire__metrics metrics = {0};
  for (int64_t i = 0; i < n; i++) moire__metrics_add(&metrics, ranks[i]);
  return metrics;
}

moire_status moire__scoring_write_ranks(const char *path, const int64_t *ranks, int64_t n, moire_error *error) {
  moire__text text = {0};
  for (int64_t i = 0; i < n; i++) {
    moire__text_add(&text, "%" PRId64 "\n", ranks[i] == MOIRE__RANK_NONE ? 0 : ranks[i]);
  }
  moire_status status = moire__file_write_atomic(path, moire__text_string(&text), text.length, error);
  moire__text_free(&text);
  return status;
}
