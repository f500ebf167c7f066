/* Baselines of ratings. See baselines.h. */
#include "tasks/ratings/baselines.h"

#include "runtime/base/memory.h"
#include "tasks/ratings/measure.h"
#include "tasks/ratings/ratings.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

const char *const moire__ratings_baselines[MOIRE__RATINGS_BASELINES] = {"popularity", "item-kNN", "EASE"};

enum { MOST_ITEMS = 20000, NEIGHBOURS = 200 };
static const double ridge = 300;

/* How many users like both, [items, items]. */
static double *count_pairs(const moire__ratings *d) {
  int64_t n = d->items.ids.n;
  double *pairs = moire__allocate_array((size_t)(n * n), sizeof *pairs);
  for (int64_t u = 0; u < d->train.n_users; u++) {
    const uint8_t *liked = d->liked + u * n;
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; liked[i] && j < n; j++) pairs[i * n + j] += liked[j];
  }
  return pairs;
}

/* Symmetric and positive definite, so that no row is exchanged: Gauss and Jordan, in place. */
static void invert(double *a, int64_t n) {
  for (int64_t k = 0; k < n; k++) {
    double *pivot = a + k * n, one = 1 / pivot[k];
    pivot[k] = 1;
    for (int64_t j = 0; j < n; j++) pivot[j] *= one;
    for (int64_t i = 0; i < n; i++) {
      double *row = a + i * n, factor = row[k];
      if (i == k || factor == 0) continue;
      row[k] = 0;
      for (int64_t j = 0; j < n; j++) row[j] -= factor * pivot[j];
    }
  }
}

/* weights[i][j]: what liking i says of j. */
static void ease_weights(double *a, int64_t n) {
  for (int64_t i = 0; i < n; i++) a[i * n + i] += ridge;
  invert(a, n);
  double *diagonal = moire__allocate_array((size_t)n, sizeof *diagonal);
  for (int64_t i = 0; i < n; i++) diagonal[i] = a[i * n + i];
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) a[i * n + j] = i == j ? 0 : -a[i * n + j] / diagonal[j];
  moire__release(diagonal);
}

/* Keeps the nearest of each item, in its row. */
static void neighbour_weights(double *a, int64_t n) {
  double *size = moire__allocate_array((size_t)n, sizeof *size);
  float *near = moire__allocate_array((size_t)n, sizeof *near);
  int32_t *list = moire__allocate_array(NEIGHBOURS, sizeof *list);
  double *kept = moire__allocate_array((size_t)(n * n), sizeof *kept);
  for (int64_t i = 0; i < n; i++) size[i] = sqrt(a[i * n + i]);
  for (int64_t j = 0; j < n; j++) {
    for (int64_t i = 0; i < n; i++)
      near[i] = i != j && size[i] > 0 && size[j] > 0 ? (float)(a[j * n + i] / (size[i] * size[j])) : 0;
    moire__list_best(near, NULL, n, NEIGHBOURS, list);
    for (int k = 0; k < NEIGHBOURS && list[k] >= 0; k++) kept[j * n + list[k]] = (double)near[list[k]];
  }
  memcpy(a, kept, (size_t)(n * n) * sizeof *a);
  moire__release(size);
  moire__release(near);
  moire__release(list);
  moire__release(kept);
}

static void score_user(const moire__ratings *d, const double *weights, int32_t user, double *sums,
                       float *scores) {
  int64_t n = d->items.ids.n;
  memset(sums, 0, (size_t)n * sizeof *sums);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; d->liked[user * n + i] && j < n; j++) sums[j] += weights[i * n + j];
  for (int64_t j = 0; j < n; j++) scores[j] = (float)sums[j];
}

static void score_likes(const moire__ratings *d, float *scores) {
  int64_t n = d->items.ids.n;
  for (int64_t u = 0; u < d->train.n_users; u++)
    for (int64_t i = 0; i < n; i++) scores[i] += (float)d->liked[u * n + i];
}

moire_status moire__ratings_baseline(const moire__ratings *d, const moire__ratings_events *events, int which,
                                     moire__measures *out, moire_error *error) {
  int64_t n = d->items.ids.n, tested = 0;
  if (which && n > MOST_ITEMS)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: wanted at most %d items, but there are %" PRId64,
                      moire__ratings_baselines[which], MOST_ITEMS, n);
  int32_t *rows = NULL;
  uint8_t *relevant = NULL;
  moire__ratings_tested(d, events, &rows, &relevant, &tested);
  double *weights = which ? count_pairs(d) : NULL, *sums = moire__allocate_array((size_t)n, sizeof *sums);
  float *scores = moire__allocate_array((size_t)n, sizeof *scores);
  int32_t *items = moire__allocate_array((size_t)(tested * MOIRE__RATINGS_TOP) + 1, sizeof *items);
  if (which == 1) neighbour_weights(weights, n);
  if (which == 2) ease_weights(weights, n);
  if (!which) score_likes(d, scores);
  for (int64_t i = 0; i < tested; i++) {
    if (which) score_user(d, weights, rows[i], sums, scores);
    moire__list_best(scores, d->seen + rows[i] * n, n, MOIRE__RATINGS_TOP, items + i * MOIRE__RATINGS_TOP);
  }
  const moire__lists lists = {tested, n,        d->items.n_genres, d->train.n_users,
                              items,  relevant, d->popularity,     d->items.n_genres ? d->items.genres : NULL};
  moire__lists_measure(&lists, out);
  moire__release(rows);
  moire__release(relevant);
  moire__release(weights);
  moire__release(sums);
  moire__release(scores);
  moire__release(items);
  return MOIRE_OK;
}
