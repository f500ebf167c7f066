/* Baselines of ratings. See baselines.h. */
#include "tasks/ratings/baselines.h"

#include "runtime/base/memory.h"
#include "tasks/ratings/measure.h"
#include "tasks/ratings/ratings.h"

/* What each user likes in training: positives stand user after user. */
static moire__item_sets likes_of(const moire__ratings *d) {
  moire__item_sets sets = {.n_items = d->items.ids.n};
  int32_t *own = moire__allocate_array((size_t)d->n_positives + 1, sizeof *own);
  for (int64_t u = 0, i = 0; u < d->train.n_users; u++) {
    int64_t n = 0;
    for (; i < d->n_positives && d->positives[2 * i] == u; i++) own[n++] = d->positives[2 * i + 1];
    moire__item_sets_add(&sets, own, n);
  }
  moire__release(own);
  return sets;
}

typedef struct listing {
  const moire__ratings *data;
  const moire__baseline *baseline;
  const moire__item_sets *likes;
  const int32_t *rows;
  int32_t *items;
} listing;

static void list_users(void *context, int64_t begin, int64_t end) {
  const listing *l = context;
  int64_t n = l->data->items.ids.n;
  double *sums = moire__allocate_array((size_t)n + 1, sizeof *sums);
  float *scores = moire__allocate_array((size_t)n + 1, sizeof *scores);
  for (int64_t i = begin; i < end; i++) {
    int64_t user = l->rows[i], first = l->likes->first[user];
    moire__baseline_score(l->baseline, l->likes->items + first, l->likes->first[user + 1] - first, sums,
                          scores);
    moire__list_best(scores, l->data->seen + user * n, n, MOIRE__RATINGS_TOP,
                     l->items + i * MOIRE__RATINGS_TOP);
  }
  moire__release(sums);
  moire__release(scores);
}

moire_status moire__ratings_baselines(const moire__ratings *d, const moire__ratings_events *events,
                                      moire_threads *threads, moire__baselines *out, moire_error *error) {
  int64_t tested = 0;
  int32_t *rows = NULL;
  uint8_t *relevant = NULL;
  moire__ratings_tested(d, events, &rows, &relevant, &tested);
  moire__item_sets likes = likes_of(d);
  int32_t *items = moire__allocate_array((size_t)(tested * MOIRE__RATINGS_TOP) + 1, sizeof *items);
  moire_status status = MOIRE_OK;
  for (int which = 0; which < MOIRE__BASELINES && !status; which++) {
    moire__baseline baseline = {0};
    status = moire__baseline_make(&baseline, which, &likes, threads, error);
    if (!status) {
      moire_threads_run(threads, tested, list_users, &(listing){d, &baseline, &likes, rows, items});
      const moire__lists lists = {
          tested, d->items.ids.n, d->items.n_genres, d->train.n_users,
          items,  relevant,       d->popularity,     d->items.n_genres ? d->items.genres : NULL};
      moire__lists_measure(&lists, &out->measures[which]);
      out->names[which] = moire__baseline_names[which];
      out->n++;
    }
    moire__baseline_free(&baseline);
  }
  moire__release(rows);
  moire__release(relevant);
  moire__release(items);
  moire__item_sets_free(&likes);
  return status;
}
