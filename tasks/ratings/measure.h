/* What lists of recommended items are worth. Hits are the user's relevant items; users without any are left out
 * by the caller.
 *
 *   P@k precision, R@k recall, Hit@k any, NDCG@k, MAP@k: means over users, those of the published reading
 *   Novelty@k   mean of -log2(max(count, 1) / U) over users and ranks: count ratings in training, of U users
 *   Diversity@k mean over users of the mean over pairs of 1 - |A and B| / |A or B| of genres, 0 if both have
 * none Coverage@k  distinct items in all lists, as a part of all items
 */
#ifndef MOIRE_TASKS_RATINGS_MEASURE_H
#define MOIRE_TASKS_RATINGS_MEASURE_H

#include "runtime/measure/measures.h"
#include "tasks/terms.h"

#include <stdbool.h>
#include <stdint.h>

enum { MOIRE__RATINGS_TOP = 50, MOIRE__RATINGS_CUTS = 4 };

typedef struct moire__lists {
  int64_t n_users, n_items, n_genres, n_trained; /* n_trained: users of the training */
  const int32_t *items;      /* [n_users, MOIRE__RATINGS_TOP], best first; -1 ends a list that is shorter */
  const uint8_t *relevant;   /* [n_users, n_items] */
  const int32_t *popularity; /* [n_items] */
  const uint8_t *genres;     /* [n_items, n_genres], or NULL: no diversity */
} moire__lists;

/* At 5, 10, 20 and 50. */
void moire__lists_measure(const moire__lists *lists, moire__measures *out);
/* The same in two steps: what each user adds, and the measures of all. */
void moire__lists_collect(const moire__lists *lists, moire__terms *terms);
moire_status moire__lists_measured_of(const moire__terms *terms, moire__measures *measures, moire_error *error);
/* Writes what each user adds: a vector f64[users] of each measure but Coverage. */
moire_status moire__lists_leave(const moire__terms *terms, const char *path, moire_error *error);

/* items[0 .. n) = the best items that were not seen, by falling score, then by row; -1 behind the last. A score
 * that is no number is the least. */
void moire__list_best(const float *scores, const uint8_t *seen, int64_t n_items, int n, int32_t *items);

#endif
