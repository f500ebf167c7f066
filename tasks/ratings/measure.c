/* What lists of recommended items are worth. See measure.h. */
#include "tasks/ratings/measure.h"

#include "runtime/base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const int cuts[MOIRE__RATINGS_CUTS] = {5, 10, 20, 50};

static bool is_ahead(const float *scores, int32_t a, int32_t b) {
  if (scores[a] == scores[b] || (isnan(scores[a]) && isnan(scores[b]))) return a < b;
  return isnan(scores[b]) || scores[a] > scores[b];
}

void moire__list_best(const float *scores, const uint8_t *seen, int64_t n_items, int n, int32_t *items) {
  int found = 0;
  for (int32_t i = 0; i < (int32_t)n_items; i++) {
    if (seen && seen[i]) continue;
    if (found == n && !is_ahead(scores, i, items[n - 1])) continue;
    int at = found < n ? found++ : n - 1;
    for (; at > 0 && is_ahead(scores, i, items[at - 1]); at--) items[at] = items[at - 1];
    items[at] = i;
  }
  for (; found < n; found++) items[found] = -1;
}

static double pair_distance(const moire__lists *l, int32_t a, int32_t b) {
  const uint8_t *x = l->genres + a * l->n_genres, *y = l->genres + b * l->n_genres;
  int both = 0, either = 0;
  for (int64_t g = 0; g < l->n_genres; g++) {
    both += x[g] && y[g];
    either += x[g] || y[g];
  }
  return either ? 1 - (double)both / either : 0;
}

/* What one user's list adds, at one cut. A row of the column "users" has them cut by cut. */
typedef struct sums {
  double precision, recall, hit, ndcg, map, novelty, diversity;
} sums;

static void add_pairs(const moire__lists *l, const int32_t *list, sums *out) {
  double distance = 0;
  for (int j = 0, cut = 0; j < MOIRE__RATINGS_TOP; j++) {
    for (int i = 0; i < j && list[j] >= 0; i++) distance += pair_distance(l, list[i], list[j]);
    if (j + 1 != cuts[cut]) continue;
    out[cut].diversity += distance / (cuts[cut] * (cuts[cut] - 1) / 2.0);
    cut++;
  }
}

static void add_user(const moire__lists *l, int64_t user, sums *out) {
  const int32_t *list = l->items + user * MOIRE__RATINGS_TOP;
  const uint8_t *relevant = l->relevant + user * l->n_items;
  double total = 0, gain = 0, ideal = 0, average = 0, surprise = 0;
  int hits = 0;
  for (int64_t i = 0; i < l->n_items; i++) total += relevant[i];
  for (int j = 0, cut = 0; j < MOIRE__RATINGS_TOP; j++) {
    double discount = 1 / log2(j + 2.0);
    if (j < total) ideal += discount;
    if (list[j] >= 0) {
      int32_t count = l->popularity[list[j]];
      surprise -= log2((count > 1 ? count : 1) / (double)l->n_trained);
    }
    if (list[j] >= 0 && relevant[list[j]]) {
      hits++;
      gain += discount;
      average += (double)hits / (j + 1);
    }
    if (j + 1 != cuts[cut]) continue;
    int k = cuts[cut];
    out[cut].precision += (double)hits / k;
    out[cut].recall += hits / total;
    out[cut].hit += hits > 0;
    out[cut].ndcg += gain / ideal;
    out[cut].map += average / (total < k ? total : k);
    out[cut].novelty += surprise / k;
    cut++;
  }
}

static const char users_column[] = "users", lists_column[] = "lists", items_column[] = "all.items",
                  genres_column[] = "all.genres";
enum { FIELDS = (int)(sizeof(sums) / sizeof(double)) };

void moire__lists_collect(const moire__lists *l, moire__terms *terms) {
  sums *users = moire__terms_add(terms, users_column, MOIRE__ST_F64, l->n_users, MOIRE__RATINGS_CUTS * FIELDS);
  int32_t *lists = moire__terms_add(terms, lists_column, MOIRE__ST_I32, l->n_users, MOIRE__RATINGS_TOP);
  int64_t *items = moire__terms_add(terms, items_column, MOIRE__ST_I64, 1, 1);
  int64_t *genres = moire__terms_add(terms, genres_column, MOIRE__ST_I64, 1, 1);
  *items = l->n_items;
  *genres = l->genres != NULL;
  if (l->n_users) memcpy(lists, l->items, (size_t)(l->n_users * MOIRE__RATINGS_TOP) * sizeof *lists);
  for (int64_t u = 0; u < l->n_users; u++) {
    sums *own = users + u * MOIRE__RATINGS_CUTS;
    add_user(l, u, own);
    if (l->genres) add_pairs(l, l->items + u * MOIRE__RATINGS_TOP, own);
  }
}

static int64_t count_distinct(const moire__st_tensor *lists, int64_t n_items, int k) {
  bool *there = moire__allocate_array((size_t)n_items + 1, sizeof *there);
  int64_t n = 0;
  for (int64_t u = 0; u < lists->shape[0]; u++)
    for (int j = 0; j < k; j++) {
      int32_t item = ((const int32_t *)lists->data)[u * MOIRE__RATINGS_TOP + j];
      if (item < 0 || item >= n_items || there[item]) continue;
      there[item] = true;
      n++;
    }
  moire__release(there);
  return n;
}

moire_status moire__lists_measured_of(const moire__terms *terms, moire__measures *out, moire_error *error) {
  const moire__st_tensor *users =
      moire__terms_need(terms, users_column, MOIRE__ST_F64, MOIRE__RATINGS_CUTS * FIELDS, error);
  const moire__st_tensor *lists =
      users ? moire__terms_need(terms, lists_column, MOIRE__ST_I32, MOIRE__RATINGS_TOP, error) : NULL;
  const moire__st_tensor *items =
      lists ? moire__terms_need(terms, items_column, MOIRE__ST_I64, 1, error) : NULL;
  const moire__st_tensor *genres =
      items ? moire__terms_need(terms, genres_column, MOIRE__ST_I64, 1, error) : NULL;
  if (!genres) return MOIRE_ERROR_FORMAT;
  int64_t n_items = *(const int64_t *)items->data;
  sums all[MOIRE__RATINGS_CUTS] = {{0}};
  double *total = &all[0].precision;
  for (int64_t i = 0; i < users->count; i++)
    total[i % (MOIRE__RATINGS_CUTS * FIELDS)] += ((const double *)users->data)[i];
  double n = (double)users->shape[0];
  for (int c = 0; c < MOIRE__RATINGS_CUTS; c++) {
    int k = cuts[c];
    moire__measures_add(out, all[c].precision / n, "P@%d", k);
    moire__measures_add(out, all[c].recall / n, "R@%d", k);
    moire__measures_add(out, all[c].ndcg / n, "NDCG@%d", k);
    moire__measures_add(out, all[c].hit / n, "Hit@%d", k);
    moire__measures_add(out, all[c].map / n, "MAP@%d", k);
    moire__measures_add(out, all[c].novelty / n, "Novelty@%d", k);
    if (*(const int64_t *)genres->data) moire__measures_add(out, all[c].diversity / n, "Diversity@%d", k);
    moire__measures_add(out, (double)count_distinct(lists, n_items, k) / (double)n_items, "Coverage@%d", k);
  }
  return MOIRE_OK;
}

moire_status moire__lists_leave(const moire__terms *terms, const char *path, moire_error *error) {
  static const char *const names[FIELDS] = {"P", "R", "Hit", "NDCG", "MAP", "Novelty", "Diversity"};
  const moire__st_tensor *users =
      moire__terms_need(terms, users_column, MOIRE__ST_F64, MOIRE__RATINGS_CUTS * FIELDS, error);
  const moire__st_tensor *genres =
      users ? moire__terms_need(terms, genres_column, MOIRE__ST_I64, 1, error) : NULL;
  if (!genres) return MOIRE_ERROR_FORMAT;
  enum { VECTORS = MOIRE__RATINGS_CUTS * FIELDS };
  int64_t n = users->shape[0];
  int kept = 0;
  moire__st_tensor vectors[VECTORS];
  char labels[VECTORS][24];
  double *values = moire__allocate_array((size_t)(n * VECTORS) + 1, sizeof *values);
  for (int v = 0; v < VECTORS; v++) {
    if (v % FIELDS == FIELDS - 1 && !*(const int64_t *)genres->data) continue; /* diversity is of genres */
    double *vector = values + n * kept;
    snprintf(labels[v], sizeof labels[v], "%s@%d", names[v % FIELDS], cuts[v / FIELDS]);
    for (int64_t u = 0; u < n; u++) vector[u] = ((const double *)users->data)[u * VECTORS + v];
    vectors[kept++] = (moire__st_tensor){
        .name = labels[v], .dtype = MOIRE__ST_F64, .rank = 1, .shape = {n}, .count = n, .data = vector};
  }
  moire_status status = moire__safetensors_write(path, vectors, kept, NULL, 0, error);
  moire__release(values);
  return status;
}

void moire__lists_measure(const moire__lists *l, moire__measures *out) {
  moire__terms terms = {0};
  moire_error error = {0};
  moire__lists_collect(l, &terms);
  moire__lists_measured_of(&terms, out, &error); /* it has what collect made */
  moire__terms_free(&terms);
}
