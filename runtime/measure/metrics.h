/* Ranking quality: hit rate and NDCG over users, from the ranks of their targets (runtime/measure/ranking.h).
 */
#ifndef MOIRE_RUNTIME_MEASURE_METRICS_H
#define MOIRE_RUNTIME_MEASURE_METRICS_H

#include "runtime/measure/measures.h"
#include "runtime/measure/ranking.h"

#include <stdint.h>

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

/* The means by their names. */
moire__measures moire__metrics_measures(const moire__metrics *metrics);

#endif
