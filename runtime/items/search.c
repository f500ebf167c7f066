/* The best rows for queries. Every group keeps for each query the k best of the rows that it has visited,
 * scored in float32, as a heap with the worst at its root; once it is full, that score is the floor below which
 * no bound may lie. Rows are visited in their order, so one with an equal score comes too late. See panels.h
 * for the bound. */
#include "runtime/base/memory.h"
#include "runtime/items/panels.h"
#include "runtime/items/table.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PANEL = MOIRE__ITEMS_PANEL, GROUP = MOIRE__ITEMS_GROUP };

typedef struct found {
  float score;
  int64_t row;
} found;

/* A query on its way. */
typedef struct query {
  const float *x;   /* [stride], zeros behind the width */
  int64_t *banned;  /* [n_banned], ascending */
  int64_t *allowed; /* [n_allowed], ascending; NULL: all */
  int64_t n_banned, n_allowed;
  found *heap; /* [k] */
  int n;
  double slack; /* what of a score may be lost below the normal range */
} query;

typedef struct search {
  const moire_items *t;
  moire__items_walk *walk;
  moire__items_dot *dot;
  const float *queries;
  const moire_items_filter *filters;
  int64_t n;
  int k;
  int64_t *rows;
  float *scores;
  /* A group is walked in so many runs of panels, each with lists of its own, where there are fewer groups than
   * threads; lists [n, runs, k] and their lengths. */
  int64_t runs;
  found *lists;
  int *lengths;
} search;

typedef struct group {
  moire__items_group panels; /* the first: visits get its address */
  const search *s;
  int64_t begin, end; /* of the panels */
  query queries[GROUP];
} group;

/* ---- Heaps --------------------------------------------------------------------------------------------------
 */

static bool ahead(found a, found b) { return a.score > b.score || (a.score == b.score && a.row < b.row); }

static void sift_down(found *heap, int n, int at) {
  for (int child = 2 * at + 1; child < n; child = 2 * at + 1) {
    if (child + 1 < n && ahead(heap[child], heap[child + 1])) child++;
    if (!ahead(heap[at], heap[child])) return;
    found kept = heap[at];
    heap[at] = heap[child];
    heap[child] = kept;
    at = child;
  }
}

static void push(found *heap, int *n, int k, found new) {
  if (*n < k) {
    int at = (*n)++;
    for (; at && ahead(heap[(at - 1) / 2], new); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = new;
  } else if (ahead(new, heap[0])) {
    heap[0] = new;
    sift_down(heap, *n, 0);
  }
}

static int best_first(const void *a, const void *b) {
  const found *x = a, *y = b;
  return ahead(*y, *x) - ahead(*x, *y);
}

/* ---- Rows ---------------------------------------------------------------------------------------------------
 */

static bool is_among(const int64_t *list, int64_t n, int64_t row) {
  int64_t low = 0;
  while (n > 0) {
    int64_t half = n / 2;
    bool below = list[low + half] < row;
    low = below ? low + half + 1 : low;
    n = below ? n - half - 1 : half;
  }
  return list && list[low] == row; /* the list ends with one that is no row */
}

/* A row that may be listed is scored, and listed if it is among the best so far. */
static void consider(const search *s, query *q, int64_t row) {
  if (row >= s->t->head.rows || moire__items_retired(s->t, row) || is_among(q->banned, q->n_banned, row))
    return;
  float score = s->dot(q->x, s->t->rows + row * s->t->head.stride, s->t->head.stride);
  if (!isnan(score)) push(q->heap, &q->n, s->k, (found){score, row});
}

static void visit(moire__items_group *panels, int i, int64_t panel, unsigned rows) {
  group *g = (group *)panels;
  query *q = &g->queries[i];
  if (!q->x) return; /* of no use: a NaN is not below infinity */
  for (; rows; rows &= rows - 1) consider(g->s, q, (g->begin + panel) * PANEL + __builtin_ctz(rows));
  if (q->n < g->s->k) return;
  double worst = (double)q->heap[0].score;
  panels->floor[i] = nextafterf((float)(worst - q->slack - fabs(worst) * 8 * FLT_EPSILON), -INFINITY);
}

/* Rows begin ... end - 1, or those of them that are allowed. */
static void scan(const search *s, query *q, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end && !q->allowed; row++) consider(s, q, row);
  for (int64_t i = 0; i < q->n_allowed && q->allowed; i++) {
    int64_t row = q->allowed[i];
    if (row >= begin && row < end && (!i || row != q->allowed[i - 1])) consider(s, q, row);
  }
}

/* ---- A group ------------------------------------------------------------------------------------------------
 */

static int by_number(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* A sorted copy that ends with what is no row; NULL where there is no list. */
static int64_t *sorted(const int64_t *list, int64_t n) {
  if (!list) return NULL;
  int64_t *copy = moire__allocate_array((size_t)n + 1, sizeof *copy);
  if (n) memcpy(copy, list, (size_t)n * sizeof *copy);
  qsort(copy, (size_t)n, sizeof *copy, by_number);
  copy[n] = -1;
  return copy;
}

static void open_query(const search *s, int64_t at, query *q) {
  int64_t width = s->t->head.width;
  float *x = moire__allocate_array((size_t)s->t->head.stride, sizeof *x);
  memcpy(x, s->queries + at * width, (size_t)width * sizeof *x);
  *q = (query){.x = x, .heap = moire__allocate_array((size_t)s->k, sizeof *q->heap)};
  if (!s->filters) return;
  const moire_items_filter *f = &s->filters[at];
  q->n_banned = f->banned ? f->n_banned : 0;
  q->n_allowed = f->n_allowed;
  q->banned = sorted(f->banned, q->n_banned);
  q->allowed = sorted(f->allowed, f->n_allowed);
}

static void write_list(const search *s, int64_t at, found *heap, int n) {
  qsort(heap, (size_t)n, sizeof *heap, best_first);
  for (int j = 0; j < s->k; j++) {
    s->rows[at * s->k + j] = j < n ? heap[j].row : -1;
    s->scores[at * s->k + j] = j < n ? heap[j].score : 0;
  }
}

static void close_query(const search *s, int64_t at, int64_t run, query *q) {
  if (s->runs == 1) {
    write_list(s, at, q->heap, q->n);
  } else {
    int64_t place = at * s->runs + run;
    memcpy(s->lists + place * s->k, q->heap, (size_t)q->n * sizeof *q->heap);
    s->lengths[place] = q->n;
  }
  moire__release((void *)q->x);
  moire__release(q->heap);
  moire__release(q->banned);
  moire__release(q->allowed);
}

/* The step of a query's eight bits and its norm; false where eight bits would say nothing: it is too large or
 * too small for scores in float32 to be near what they stand for. */
static bool measure(const moire_items *t, const float *x, float *step, double *norm) {
  double most = 0, squares = 0;
  for (int64_t k = 0; k < t->head.width; k++) {
    most = fmax(most, fabs((double)x[k]));
    squares += (double)x[k] * (double)x[k];
  }
  *norm = sqrt(squares);
  *step = (float)(most / 127);
  return *step > FLT_MIN * 1024 && *norm < FLT_MAX / 4 && *norm * t->head.most_norm < FLT_MAX / 4;
}

/* The eight bits of query i and its bounds. */
static void code_query(const moire_items *t, query *q, moire__items_group *g, int i) {
  int64_t stride = t->head.stride;
  float step = 0;
  double norm = 0, off = 0;
  int32_t sum = 0;
  measure(t, q->x, &step, &norm);
  for (int64_t k = 0; k < stride; k++) {
    double x = (double)q->x[k], y = fmax(-127, fmin(127, rint(x / (double)step))), left = x - (double)step * y;
    ((int8_t *)(g->query + k / 4 * g->n + i))[k % 4] = (int8_t)y;
    sum += (int32_t)y;
    off += left * left;
  }
  double unit = FLT_EPSILON / 2, rounding = ((double)stride / MOIRE__ITEMS_LANES + 18) * unit * 1.01;
  g->start[i] = -MOIRE__ITEMS_OFFSET * sum;
  g->t[i] = step;
  g->a[i] = (float)((sqrt(off) + rounding * norm) * (1 + 1e-5));
  g->b[i] = (float)((1 + rounding) * norm * (1 + 1e-5));
  g->floor[i] = -INFINITY;
  q->slack = (double)stride * 4 * (double)FLT_MIN;
}

/* The n queries of the group that are walked[0 .. n), through its panels. */
static void walk(const search *s, group *g, const int *walked, int n) {
  const moire__items_head *h = &s->t->head;
  int width = n == 1 ? 1 : GROUP;
  group now = {.s = s,
               .begin = g->begin,
               .panels = {.codes = s->t->codes + g->begin * PANEL * h->stride,
                          .scales = s->t->scales + g->begin * PANEL,
                          .bounds = s->t->bounds + g->begin * 2,
                          .panels = g->end - g->begin,
                          .words = h->stride / 4,
                          .n = width,
                          .query = moire__allocate_array((size_t)(h->stride / 4 * width), sizeof(int32_t)),
                          .visit = visit}};
  for (int i = 0; i < n; i++) {
    now.queries[i] = g->queries[walked[i]];
    code_query(s->t, &now.queries[i], &now.panels, i);
  }
  for (int i = n; i < width; i++) now.panels.floor[i] = INFINITY;
  s->walk(&now.panels);
  for (int i = 0; i < n; i++) g->queries[walked[i]] = now.queries[i];
  moire__release(now.panels.query);
}

static void search_groups(void *context, int64_t begin, int64_t end) {
  const search *s = context;
  for (int64_t job = begin; job < end; job++) {
    int64_t run = job % s->runs, first = job / s->runs * GROUP, panels = s->t->head.panels;
    group g = {.s = s, .begin = panels * run / s->runs, .end = panels * (run + 1) / s->runs};
    int n = (int)(s->n - first < GROUP ? s->n - first : GROUP), walked[GROUP], n_walked = 0;
    for (int i = 0; i < n; i++) {
      float step;
      double norm;
      open_query(s, first + i, &g.queries[i]);
      if (s->walk && !g.queries[i].allowed && measure(s->t, g.queries[i].x, &step, &norm))
        walked[n_walked++] = i;
      else
        scan(s, &g.queries[i], g.begin * PANEL, g.end * PANEL);
    }
    if (n_walked) walk(s, &g, walked, n_walked);
    for (int i = 0; i < n; i++) close_query(s, first + i, run, &g.queries[i]);
  }
}

/* The best of the lists of all runs: each has the best of its own rows. */
static void merge(const search *s) {
  found *heap = moire__allocate_array((size_t)s->k, sizeof *heap);
  for (int64_t at = 0; at < s->n; at++) {
    int n = 0;
    for (int64_t place = at * s->runs; place < (at + 1) * s->runs; place++)
      for (int j = 0; j < s->lengths[place]; j++) push(heap, &n, s->k, s->lists[place * s->k + j]);
    write_list(s, at, heap, n);
  }
  moire__release(heap);
}

/* Enough runs for all threads, of some thousand rows at least. */
static int64_t count_runs(const moire_items *t, int64_t groups, const moire_threads *threads) {
  enum { LEAST = 256 };
  int64_t wanted = threads && groups ? moire_threads_count(threads) / groups : 1, most = t->head.panels / LEAST;
  int64_t runs = wanted < most ? wanted : most;
  return runs > 1 ? runs : 1;
}

static moire_status run(const moire_items *t, bool coded, const float *queries, int64_t n,
                        const moire_items_filter *filters, int k, int64_t *rows, float *scores,
                        moire_threads *threads, moire_error *error) {
  if (k < 1) return moire_fail(error, MOIRE_ERROR_ARGUMENT, "wanted the best 1 or more items, but %d came", k);
  for (int64_t i = 0; i < n * t->head.width; i++) {
    if (!isfinite(queries[i]))
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "query %" PRId64 " holds %s at %" PRId64,
                        i / t->head.width, isnan(queries[i]) ? "a NaN" : "an infinity", i % t->head.width);
  }
  search s = {.t = t,
              .walk = coded ? moire__items_find_walk() : NULL,
              .dot = moire__items_find_dot(),
              .queries = queries,
              .filters = filters,
              .n = n,
              .k = k,
              .rows = rows,
              .scores = scores};
  int64_t groups = (n + GROUP - 1) / GROUP;
  s.runs = count_runs(t, groups, threads);
  if (s.runs > 1) {
    s.lists = moire__allocate_array((size_t)(n * s.runs * k), sizeof *s.lists);
    s.lengths = moire__allocate_array((size_t)(n * s.runs), sizeof *s.lengths);
  }
  if (threads)
    moire_threads_run(threads, groups * s.runs, search_groups, &s);
  else
    search_groups(&s, 0, groups);
  if (s.runs > 1) merge(&s);
  moire__release(s.lists);
  moire__release(s.lengths);
  return MOIRE_OK;
}

moire_status moire_items_search(const moire_items *t, const float *queries, int64_t n,
                                const moire_items_filter *filters, int k, int64_t *rows, float *scores,
                                moire_threads *threads, moire_error *error) {
  return run(t, true, queries, n, filters, k, rows, scores, threads, error);
}

moire_status moire_items_scan(const moire_items *t, const float *queries, int64_t n,
                              const moire_items_filter *filters, int k, int64_t *rows, float *scores,
                              moire_threads *threads, moire_error *error) {
  return run(t, false, queries, n, filters, k, rows, scores, threads, error);
}
