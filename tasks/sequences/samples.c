/* Prefixes of sequences as samples, gathered into memory of their own. */
#include "tasks/sequences/samples.h"

#include "runtime/base/memory.h"

static moire_status set_if_there(moire_runner *runner, const char *name, const void *data, int64_t n,
                                 moire_error *error) {
  return moire_runner_has_input(runner, name) ? moire_runner_set_input(runner, name, data, n, error) : MOIRE_OK;
}

typedef struct sequences {
  const moire__dataset *dataset;
  int32_t *ids, *answers; /* [batch, L], [batch] */
  int32_t *ends;          /* [item_size]: "answer_ends" */
  int64_t item_size;
} sequences;

/* What an item weighs where targets are drawn: how often it is one, plus 1, for all to come. Sums are halved
 * until they fit. */
static void count_answers(sequences *s) {
  int64_t *counts = moire__allocate_array((size_t)s->item_size, sizeof *counts), all = INT64_MAX;
  for (int64_t user = 0; user < s->dataset->n_users; user++)
    moire__dataset_count_answers(s->dataset, user, counts);
  for (int shift = 0; all > INT32_MAX; shift++) {
    all = 0;
    for (int64_t i = 0; i < s->item_size; i++) {
      all += (counts[i] >> shift) + 1;
      s->ends[i] = (int32_t)all;
    }
  }
  moire__release(counts);
}

static moire_status give_sequences(void *context, moire_runner *runner, const int64_t *samples, int64_t n,
                                   moire_error *error) {
  const sequences *s = context;
  moire__dataset_train_batch(s->dataset, samples, n, s->ids, s->answers);
  moire_status status = set_if_there(runner, "input_ids", s->ids, n * s->dataset->max_length, error);
  if (!status) status = set_if_there(runner, "answers", s->answers, n, error);
  return status ? status : set_if_there(runner, "answer_ends", s->ends, s->item_size, error);
}

static void release_sequences(void *context) {
  sequences *s = context;
  moire__release(s->ids);
  moire__release(s->answers);
  moire__release(s->ends);
  moire__release(s);
}

moire__samples moire__samples_of_sequences(const moire__dataset *dataset, int64_t item_size, int64_t batch) {
  sequences *s = moire__allocate(sizeof *s);
  size_t rows = (size_t)(batch < dataset->n_samples ? batch : dataset->n_samples);
  *s = (sequences){.dataset = dataset, .item_size = item_size};
  s->ids = moire__allocate_array(rows * (size_t)dataset->max_length, sizeof *s->ids);
  s->answers = moire__allocate_array(rows, sizeof *s->answers);
  s->ends = moire__allocate_array((size_t)item_size, sizeof *s->ends);
  count_answers(s);
  return (moire__samples){
      .context = s, .n = dataset->n_samples, .give = give_sequences, .release = release_sequences};
}

/* ---- Users ------------------------------------------------------------------------------------------------
 */

typedef struct users {
  const moire__dataset *dataset;
  moire__split split;
  int32_t *ids; /* [batch, L] */
} users;

static moire_status give_users(void *context, moire_runner *runner, const int64_t *samples, int64_t n,
                               moire_error *error) {
  const users *u = context;
  int64_t length = u->dataset->max_length;
  for (int64_t i = 0; i < n; i++)
    moire__dataset_eval_batch(u->dataset, u->split, samples[i], 1, u->ids + i * length, NULL);
  return set_if_there(runner, "input_ids", u->ids, n * length, error);
}

static void release_users(void *context) {
  users *u = context;
  moire__release(u->ids);
  moire__release(u);
}

moire__samples moire__samples_of_users(const moire__dataset *dataset, moire__split split, int64_t batch) {
  users *u = moire__allocate(sizeof *u);
  *u = (users){.dataset = dataset, .split = split};
  size_t rows = (size_t)(batch < dataset->n_users ? batch : dataset->n_users);
  u->ids = moire__allocate_array(rows * (size_t)dataset->max_length, sizeof *u->ids);
  return (moire__samples){.context = u, .n = dataset->n_users, .give = give_users, .release = release_users};
}
