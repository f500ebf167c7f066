/* moire recommend: the best items for each user, what they had excluded. */
#include "tasks/sequences/sequences.h"

#include "runtime/base/memory.h"

#include <inttypes.h>

enum { SHOWN_HISTORY = 5, BATCH = 256 };

static void print_user(FILE *out, int64_t user, const int32_t *history, int64_t n, const int32_t *items,
                       int k) {
  fprintf(out, "user %" PRId64 ":", user + 1);
  if (n > SHOWN_HISTORY) fprintf(out, " ...");
  for (int64_t i = n > SHOWN_HISTORY ? n - SHOWN_HISTORY : 0; i < n; i++) fprintf(out, " %d", (int)history[i]);
  fprintf(out, "  ->");
  for (int i = 0; i < k && items[i]; i++) fprintf(out, " %d", (int)items[i]);
  fprintf(out, "\n");
}

static void print_user_json(FILE *out, int64_t user, const int32_t *items, const float *scores, int k) {
  moire__text text = {0};
  moire__text_add(&text, "{\"user\":%" PRId64 ",\"items\":[", user + 1);
  for (int i = 0; i < k && items[i]; i++) moire__text_add(&text, i ? ",%d" : "%d", (int)items[i]);
  moire__text_add(&text, "],\"scores\":[");
  for (int i = 0; i < k && items[i]; i++) {
    if (i) moire__text_add_char(&text, ',');
    moire__config_add_real(&text, (double)scores[i]);
  }
  fprintf(out, "%s]}\n", text.data);
  moire__text_free(&text);
}

moire_status moire__sequences_recommend(moire__predictor *p, const moire__recommend_job *job,
                                        moire_error *error) {
  moire_status status = moire__sequences_open(p, &job->files, error);
  if (status) return status;
  const moire__dataset *data = p->setup.data;
  int64_t n = job->users && job->users < data->n_users ? job->users : data->n_users;
  size_t places = (size_t)n * (size_t)job->top;
  int32_t *items = moire__allocate_array(places, sizeof *items);
  float *scores = moire__allocate_array(places, sizeof *scores);
  moire__scoring scoring = {p->runner, p->threads, data, moire_config_int(p->setup.config, "item_size"),
                            BATCH,     "users"};
  status = moire__scoring_top(&scoring, n, job->top, items, scores, error);
  for (int64_t user = 0; user < n && !status; user++) {
    int64_t n_history = 0, first = user * job->top;
    const int32_t *history = moire__dataset_history(data, MOIRE__SPLIT_NEXT, user, &n_history);
    if (job->json) print_user_json(job->out, user, items + first, scores + first, job->top);
    if (!job->json) print_user(job->out, user, history, n_history, items + first, job->top);
  }
  moire__release(items);
  moire__release(scores);
  return status;
}
