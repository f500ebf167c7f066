/* Ranking quality: the rank of a target among all items, hit rate and NDCG, top-K lists.
 *
 * All item_size items are ranked, item 0 included, by falling score; the scores of the items in the user's
 * history are set to 0 first (so they may still rank, as in the published evaluations). Items with equal scores
 * rank by rising index. A NaN ranks ahead of every number, but never hits: a NaN elsewhere can only push a
 * target down, and a target that scores NaN itself has rank MOIRE__RANK_NONE.
 */
#ifndef MOIRE_RUNTIME_METRICS_H
#define MOIRE_RUNTIME_METRICS_H

#include "runtime/dataset.h"

#include <stdint.h>

#define MOIRE__RANK_NONE INT64_MAX

/* Sets scores[item] = 0 for each item of the history; items outside [0, item_size) are passed over. */
void moire__mask_history(float *scores /*[item_size]*/, int64_t item_size, const int32_t *history,
                         int64_t n_history);

/* 1 + the number of items ahead of `target`, which is in [0, item_size). Scores are masked already. */
int64_t moire__rank_target(const float *scores /*[item_size]*/, int64_t item_size, int32_t target);

/* items[0..r) = the r = min(k, items with a number for a score) best items, best first. Returns r. */
int moire__top_k(const float *scores /*[item_size]*/, int64_t item_size, int k, int32_t *items);

/* Sums over users. Zero-initialise. Adding in one order gives one result, bit for bit. */
enum { MOIRE__N_METRICS = 6 };
typedef struct moire__metrics {
  int64_t n;
  double sum[MOIRE__N_METRICS];
} moire__metrics;

void moire__metrics_add(moire__metrics *metrics, int64_t rank);       /* rank >= 1 */
double moire__metrics_mean(const moire__metrics *metrics, int which); /* 0 over no users */
const char *moire__metrics_name(int which); /* HR@5 NDCG@5 HR@10 NDCG@10 HR@20 NDCG@20, for 0..5 */
int moire__metrics_index(const char *name); /* the inverse; -1 for any other name */

/* scores[i] = how often item i stands in the training sequences seq[:-2]. */
void moire__popularity_scores(const moire__dataset *dataset, float *scores /*[item_size]*/);

/* The metrics of ranking by popularity on MOIRE__SPLIT_VALID or _TEST: what a model has to beat. */
void moire__popularity_evaluate(const moire__dataset *dataset, moire__split split, moire__metrics *metrics);

#endif
