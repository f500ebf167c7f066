/* What a recommender has to beat. See baselines.h. */
#include "tasks/baselines/baselines.h"

#include "runtime/base/memory.h"
#include "runtime/machine/memory_room.h"
#include "runtime/measure/ranking.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POPULARITY, ITEM_KNN, EASE, NEIGHBOURS = 200 };
static const double ridge = 300;

const char *const moire__baseline_names[MOIRE__BASELINES] = {"popularity", "item-kNN", "EASE"};

/* ---- who had what ---------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

void moire__item_sets_add(moire__item_sets *s, const int32_t *items, int64_t n) {
  int64_t used = s->n_users ? s->first[s->n_users] : 0;
  if (used + n > s->capacity) {
    s->capacity = 2 * (used + n);
    s->items = moire__resize(s->items, (size_t)s->capacity * sizeof *s->items);
  }
  s->first = moire__resize(s->first, (size_t)(s->n_users + 2) * sizeof *s->first);
  s->first[s->n_users] = used;
  int32_t *own = s->items + used;
  int64_t distinct = 0;
  if (n) {
    memcpy(own, items, (size_t)n * sizeof *own);
    qsort(own, (size_t)n, sizeof *own, by_number);
  }
  for (int64_t i = 0; i < n; i++)
    if (!i || own[i] != own[i - 1]) own[distinct++] = own[i];
  s->first[++s->n_users] = used + distinct;
}

void moire__item_sets_free(moire__item_sets *s) {
  moire__release(s->first);
  moire__release(s->items);
  *s = (moire__item_sets){0};
}

/* ---- items by items -------------------------------------------------------------------------------------- */

/* The lower triangle of how many users had both. */
static void count_pairs(const moire__item_sets *s, double *pairs) {
  for (int64_t u = 0; u < s->n_users; u++)
    for (int64_t i = s->first[u]; i < s->first[u + 1]; i++)
      for (int64_t j = s->first[u]; j <= i; j++) pairs[s->items[i] * s->n_items + s->items[j]]++;
}

static void mirror(double *a, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < i; j++) a[j * n + i] = a[i * n + j];
}

static void make_ease(double *a, int64_t n, moire_threads *threads) {
  for (int64_t i = 0; i < n; i++) a[i * n + i] += ridge;
  moire__sweep(a, n, threads);
  mirror(a, n);
  double *diagonal = moire__allocate_array((size_t)n, sizeof *diagonal);
  for (int64_t i = 0; i < n; i++) diagonal[i] = a[i * n + i];
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) a[i * n + j] = i == j ? 0 : -a[i * n + j] / diagonal[j];
  moire__release(diagonal);
}

typedef struct nearest {
  double *weights;
  const double *lengths; /* roots of how many users had an item */
  int64_t n;
} nearest;

/* Of each row the cosines, and of these the largest. */
static void keep_nearest(void *context, int64_t begin, int64_t end) {
  const nearest *s = context;
  float *cosines = moire__allocate_array((size_t)s->n, sizeof *cosines);
  int32_t *list = moire__allocate_array(NEIGHBOURS, sizeof *list);
  for (int64_t j = begin; j < end; j++) {
    double *row = s->weights + j * s->n;
    for (int64_t i = 0; i < s->n; i++)
      cosines[i] = i != j && row[i] > 0 ? (float)(row[i] / (s->lengths[i] * s->lengths[j])) : 0;
    int kept = moire__top_k(cosines, s->n, NEIGHBOURS, list);
    memset(row, 0, (size_t)s->n * sizeof *row);
    for (int k = 0; k < kept; k++) row[list[k]] = (double)cosines[list[k]];
  }
  moire__release(cosines);
  moire__release(list);
}

static void make_neighbours(double *a, int64_t n, moire_threads *threads) {
  double *lengths = moire__allocate_array((size_t)n, sizeof *lengths);
  for (int64_t i = 0; i < n; i++) lengths[i] = sqrt(a[i * n + i]);
  mirror(a, n);
  moire_threads_run(threads, n, keep_nearest, &(nearest){a, lengths, n});
  moire__release(lengths);
}

/* ---- scores ---------------------------------------------------------------------------------------------- */

static moire_status check_room(int which, int64_t n, moire_error *error) {
  moire__memory_room room = moire__memory_room_now();
  int64_t most = (INT64_MAX / (int64_t)sizeof(double)) / (n ? n : 1);
  if (n <= most && (room.bytes < 0 || n * n * (int64_t)sizeof(double) <= room.bytes)) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_MEMORY,
                    "%s: a matrix of %" PRId64 " items by as many takes %.1f GB, but %s has room for %.1f GB",
                    moire__baseline_names[which], n, (double)n * (double)n * 8e-9,
                    room.bytes < 0 ? "memory" : room.bound, (double)room.bytes * 1e-9);
}

moire_status moire__baseline_make(moire__baseline *b, int which, const moire__item_sets *s,
                                  moire_threads *threads, moire_error *error) {
  int64_t n = s->n_items;
  b->n_items = n;
  if (which == POPULARITY) {
    b->counts = moire__allocate_array((size_t)n + 1, sizeof *b->counts);
    int64_t all = s->n_users ? s->first[s->n_users] : 0;
    for (int64_t i = 0; i < all; i++) b->counts[s->items[i]]++;
    return MOIRE_OK;
  }
  moire_status status = check_room(which, n, error);
  if (status) return status;
  b->weights = moire__allocate_array((size_t)(n * n) + 1, sizeof *b->weights);
  count_pairs(s, b->weights);
  if (which == EASE)
    make_ease(b->weights, n, threads);
  else
    make_neighbours(b->weights, n, threads);
  return MOIRE_OK;
}

void moire__baseline_free(moire__baseline *b) {
  moire__release(b->counts);
  moire__release(b->weights);
  *b = (moire__baseline){0};
}

void moire__baseline_score(const moire__baseline *b, const int32_t *items, int64_t n, double *sums,
                           float *scores) {
  memset(sums, 0, (size_t)b->n_items * sizeof *sums);
  for (int64_t i = 0; i < n && b->weights; i++) {
    const double *row = b->weights + items[i] * b->n_items;
    for (int64_t j = 0; j < b->n_items; j++) sums[j] += row[j];
  }
  for (int64_t j = 0; j < b->n_items; j++) scores[j] = (float)(b->counts ? b->counts[j] : sums[j]);
}
