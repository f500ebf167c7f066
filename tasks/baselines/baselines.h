/* What a recommender has to beat, from which user had which items in training alone, and nothing else.
 *
 *   popularity  how many users had an item
 *   item-kNN    cosines of items by their users, each item with its 200 nearest
 *   EASE        ridge regression of items on items in closed form, lambda 300 (Steck, "Embarrassingly shallow
 *               autoencoders for sparse data", WWW 2019): B = I - P diag(P)^-1, P = (X^T X + lambda I)^-1
 *
 * The last two hold matrices of items by items in float64, and what the machine has no room for is refused with
 * both sizes. Results are the same bits for any number of threads.
 */
#ifndef MOIRE_TASKS_BASELINES_BASELINES_H
#define MOIRE_TASKS_BASELINES_BASELINES_H

#include "moire/run.h"
#include "runtime/measure/measures.h"

enum { MOIRE__BASELINES = 3 };

extern const char *const moire__baseline_names[MOIRE__BASELINES];

/* The measures of each, by its name. Zero-initialise. */
typedef struct moire__baselines {
  int n;
  const char *names[MOIRE__BASELINES];
  moire__measures measures[MOIRE__BASELINES];
} moire__baselines;

/* The distinct items of each user, rising: items[first[u] .. first[u + 1]). Zero-initialise. */
typedef struct moire__item_sets {
  int64_t n_users, n_items, capacity;
  int64_t *first;
  int32_t *items;
} moire__item_sets;
/* Adds a user, who had these items in any order and number, each in [0, n_items). */
void moire__item_sets_add(moire__item_sets *sets, const int32_t *items, int64_t n);
void moire__item_sets_free(moire__item_sets *sets);

/* One baseline, ready to score. Zero-initialise; free with moire__baseline_free. */
typedef struct moire__baseline {
  int64_t n_items;
  double *counts;  /* [n_items], of popularity; else NULL */
  double *weights; /* [n_items, n_items]: what having i says of j; or NULL */
} moire__baseline;
moire_status moire__baseline_make(moire__baseline *baseline, int which, const moire__item_sets *sets,
                                  moire_threads *threads, moire_error *error);
void moire__baseline_free(moire__baseline *baseline);
/* scores[n_items] for somebody who has these distinct items; sums is room for n_items numbers. */
void moire__baseline_score(const moire__baseline *baseline, const int32_t *items, int64_t n, double *sums,
                           float *scores);

/* a[n, n], symmetric and positive definite, lower triangle: -inverse, in its place, lower triangle. */
void moire__sweep(double *a, int64_t n, moire_threads *threads);

#endif
