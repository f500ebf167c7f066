/* The best of all items. See best.h. */
#include "runtime/aot/best.h"

#include "runtime/measure/ranking.h"

static void moire__aot_best(const float *scores, int k, int32_t *items, float *best) {
  int listed = moire__top_k(scores, LIBRARY_ITEM_SIZE, k, items);
  for (int i = listed; i < k; i++) items[i] = -1;
  for (int i = 0; i < k && best; i++) best[i] = i < listed ? scores[items[i]] : 0;
}
