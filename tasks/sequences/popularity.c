/* The ranking of all items by how often they were consumed. */
#include "tasks/sequences/popularity.h"

#include "runtime/base/memory.h"

#include <string.h>

void moire__popularity_scores(const moire__dataset *dataset, float *scores) {
  for (int64_t i = 0; i < dataset->item_size; i++) scores[i] = 0;
  for (int64_t user = 0; user < dataset->n_users; user++) {
    int64_t n = 0;
    const int32_t *seen = moire__dataset_history(dataset, MOIRE__SPLIT_VALID, user, &n);
    for (int64_t i = 0; i < n; i++) scores[seen[i]] += 1;
  }
}

void moire__popularity_evaluate(const moire__dataset *dataset, moire__split split, moire__metrics *metrics) {
  size_t size = (size_t)dataset->item_size;
  float *popularity = moire__allocate_array(size, sizeof *popularity);
  float *scores = moire__allocate_array(size, sizeof *scores);
  moire__popularity_scores(dataset, popularity);
  for (int64_t user = 0; user < dataset->n_users; user++) {
    int64_t n = 0;
    const int32_t *history = moire__dataset_history(dataset, split, user, &n);
    memcpy(scores, popularity, size * sizeof *scores);
    moire__mask_history(scores, dataset->item_size, history, n);
    int32_t target = moire__dataset_target(dataset, split, user);
    moire__metrics_add(metrics, moire__rank_target(scores, dataset->item_size, target));
  }
  moire__release(popularity);
  moire__release(scores);
}
