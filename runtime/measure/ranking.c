/* Ranks and lists of the best. See ranking.h. */
#include "runtime/measure/ranking.h"

#include <math.h>
#include <stdbool.h>

void moire__mask_history(float *scores, int64_t item_size, const int32_t *history, int64_t n_history) {
  for (int64_t i = 0; i < n_history; i++) {
    if (history[i] >= 0 && history[i] < item_size) scores[history[i]] = 0;
  }
}

int64_t moire__rank_target(const float *scores, int64_t item_size, int32_t target) {
  float score = scores[target];
  if (isnan(score)) return MOIRE__RANK_NONE;
  int64_t rank = 1;
  /* Written so that a NaN, for which every comparison is false, counts as ahead. */
  for (int64_t i = 0; i < target; i++) rank += !(scores[i] < score);
  for (int64_t i = target + (int64_t)1; i < item_size; i++) rank += !(scores[i] <= score);
  return rank;
}

/* Whether item a ranks before item b, both with numbers for scores. */
static bool ahead(const float *scores, int32_t a, int32_t b) {
  return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
}

/* Keeps heap[0..n) a heap with the worst item at its root, after the root was replaced. */
static void sift_down(const float *scores, int32_t *heap, int n) {
  int parent = 0;
  for (;;) {
    int child = 2 * parent + 1;
    if (child >= n) return;
    if (child + 1 < n && ahead(scores, heap[child], heap[child + 1])) child++;
    if (!ahead(scores, heap[parent], heap[child])) return;
    int32_t kept = heap[parent];
    heap[parent] = heap[child];
    heap[child] = kept;
    parent = child;
  }
}

static void sift_up(const float *scores, int32_t *heap, int child) {
  while (child > 0) {
    int parent = (child - 1) / 2;
    if (!ahead(scores, heap[parent], heap[child])) return;
    int32_t kept = heap[parent];
    heap[parent] = heap[child];
    heap[child] = kept;
    child = parent;
  }
}

int moire__top_k(const float *scores, int64_t item_size, int k, int32_t *items) {
  int n = 0;
  int64_t i = 0;
  for (; i < item_size && n < k; i++) {
    if (isnan(scores[i])) continue;
    items[n] = (int32_t)i;
    sift_up(scores, items, n++);
  }
  /* Of equal scores those that are listed have the lower numbers, and a NaN is above none. */
  float lowest = n ? scores[items[0]] : 0;
  for (; i < item_size && n; i++) {
    if (!(scores[i] > lowest)) continue;
    items[0] = (int32_t)i;
    sift_down(scores, items, n);
    lowest = scores[items[0]];
  }
  /* The worst of what is left goes to the end of it, over and over. */
  for (int left = n; left > 1; left--) {
    int32_t worst = items[0];
    items[0] = items[left - 1];
    items[left - 1] = worst;
    sift_down(scores, items, left - 1);
  }
  return n;
}
