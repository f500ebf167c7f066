/* The rank of a target among all items, and the best items.
 *
 * All item_size items are ranked, item 0 included, by falling score; the scores of the items in the user's
 * history are set to 0 first (so they may still rank, as in the published evaluations). Items with equal scores
 * rank by rising index. A NaN ranks ahead of every number, but never hits: a NaN elsewhere can only push a
 * target down, and a target that scores NaN itself has rank MOIRE__RANK_NONE.
 */
#ifndef MOIRE_RUNTIME_MEASURE_RANKING_H
#define MOIRE_RUNTIME_MEASURE_RANKING_H

#include <stdint.h>

#define MOIRE__RANK_NONE INT64_MAX

/* Sets scores[item] = 0 for each item of the history; items outside [0, item_size) are passed over. */
void moire__mask_history(float *scores /*[item_size]*/, int64_t item_size, const int32_t *history,
                         int64_t n_history);

/* 1 + the number of items ahead of `target`, which is in [0, item_size). Scores are masked already. */
int64_t moire__rank_target(const float *scores /*[item_size]*/, int64_t item_size, int32_t target);

/* items[0..r) = the r = min(k, items with a number for a score) best items, best first. Returns r. */
int moire__top_k(const float *scores /*[item_size]*/, int64_t item_size, int k, int32_t *items);

#endif
