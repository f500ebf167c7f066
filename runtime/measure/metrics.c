/* Hit rates and NDCG. */
#include "runtime/measure/metrics.h"

#include <math.h>
#include <string.h>

/* HR and NDCG alternate; the cutoff of metric i is cutoffs[i / 2]. */
static const char *const names[MOIRE__N_METRICS] = {"HR@5", "NDCG@5", "HR@10", "NDCG@10", "HR@20", "NDCG@20"};
static const int cutoffs[MOIRE__N_METRICS / 2] = {5, 10, 20};

void moire__metrics_add(moire__metrics *metrics, int64_t rank) {
  metrics->n++;
  for (int i = 0; i < MOIRE__N_METRICS; i += 2) {
    if (rank > cutoffs[i / 2]) continue;
    metrics->sum[i] += 1;
    metrics->sum[i + 1] += 1 / log2((double)rank + 1);
  }
}

double moire__metrics_mean(const moire__metrics *metrics, int which) {
  return metrics->n ? metrics->sum[which] / (double)metrics->n : 0;
}

const char *moire__metrics_name(int which) { return names[which]; }

int moire__metrics_index(const char *name) {
  for (int i = 0; i < MOIRE__N_METRICS; i++) {
    if (!strcmp(names[i], name)) return i;
  }
  return -1;
}

moire__measures moire__metrics_measures(const moire__metrics *metrics) {
  moire__measures measures = {0};
  for (int i = 0; i < MOIRE__N_METRICS; i++)
    moire__measures_add(&measures, moire__metrics_mean(metrics, i), "%s", names[i]);
  return measures;
}
