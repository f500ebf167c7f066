/* What a model of sequences has to beat: see baselines.h. */
#include "tasks/sequences/baselines.h"

#include "runtime/base/memory.h"
#include "runtime/measure/metrics.h"
#include "tasks/sequences/popularity.h"
#include "tasks/sequences/scoring.h"

typedef struct ranking {
  const moire__dataset *data;
  const moire__baseline *baseline;
  const moire__item_sets *histories;
  moire__split split;
  int64_t *ranks;
} ranking;

/* The distinct items that each user had before the split's target. */
static moire__item_sets histories_of(const moire__dataset *data, moire__split split) {
  moire__item_sets sets = {.n_items = data->item_size};
  for (int64_t u = 0; u < data->n_users; u++) {
    int64_t n = 0;
    const int32_t *items = moire__dataset_history(data, split, u, &n);
    moire__item_sets_add(&sets, items, n);
  }
  return sets;
}

static void rank_users(void *context, int64_t begin, int64_t end) {
  const ranking *r = context;
  int64_t width = r->data->item_size;
  double *sums = moire__allocate_array((size_t)width, sizeof *sums);
  float *scores = moire__allocate_array((size_t)width, sizeof *scores);
  for (int64_t u = begin; u < end; u++) {
    const int32_t *items = r->histories->items + r->histories->first[u];
    int64_t n = r->histories->first[u + 1] - r->histories->first[u];
    moire__baseline_score(r->baseline, items, n, sums, scores);
    moire__mask_history(scores, width, items, n);
    r->ranks[u] = moire__rank_target(scores, width, moire__dataset_target(r->data, r->split, u));
  }
  moire__release(sums);
  moire__release(scores);
}

moire_status moire__sequences_baselines(const moire__dataset *data, moire__split split, moire_threads *threads,
                                        moire__baselines *out, moire_error *error) {
  moire__metrics popular = {0};
  moire__popularity_evaluate(data, split, &popular);
  out->names[0] = moire__baseline_names[0];
  out->measures[0] = moire__metrics_measures(&popular);
  out->n = 1;
  moire__item_sets training = histories_of(data, MOIRE__SPLIT_VALID), histories = histories_of(data, split);
  int64_t *ranks = moire__allocate_array((size_t)data->n_users + 1, sizeof *ranks);
  moire_status status = MOIRE_OK;
  for (int which = 1; which < MOIRE__BASELINES && !status; which++) {
    moire__baseline baseline = {0};
    status = moire__baseline_make(&baseline, which, &training, threads, error);
    if (!status) {
      moire_threads_run(threads, data->n_users, rank_users,
                        &(ranking){data, &baseline, &histories, split, ranks});
      moire__metrics metrics = moire__scoring_metrics(ranks, data->n_users);
      out->names[which] = moire__baseline_names[which];
      out->measures[which] = moire__metrics_measures(&metrics);
      out->n++;
    }
    moire__baseline_free(&baseline);
  }
  moire__release(ranks);
  moire__item_sets_free(&training);
  moire__item_sets_free(&histories);
  return status;
}
