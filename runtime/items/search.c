/* The best rows for queries. A group of queries keeps for each the k best of the rows that it has visited,
 * scored in float32, as a heap with the worst at its root; once it is full, that score is the floor below which
 * no bound may lie. Rows are visited in their order, so one with an equal score comes too late. See panels.h
 * for the bound.
 *
 * Where eight bits leave out next to nothing, as of rows that differ in the last digits of float32, a query
 * rests from them: it scores all rows of some blocks, and tries again. Blocks are short enough for the queries
 * of a group to find them in the cache. */
#include "runtime/items/search.h"

#include "runtime/items/panels.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PANEL = MOIRE__ITEMS_PANEL, GROUP = MOIRE__ITEMS_GROUP };
enum { BLOCK_BYTES = 1 << 19 }; /* of rows in float32 */
enum { LEAST_PANELS = 256 };    /* of a run */
enum { MANY = PANEL / 2 };      /* rows of a panel that are better scored with all of it */
enum { LONGEST_REST = 16 };     /* blocks */

typedef struct found {
  float score;
  int64_t row;
} found;

typedef struct query {
  float *x;         /* [stride], zeros behind the width */
  int64_t *banned;  /* [n_banned], ascending, and one that is no row */
  int64_t *allowed; /* [n_allowed], likewise; NULL: all */
  int64_t n_banned, n_allowed;
  int column;   /* of its group's eight bits; -1: it is not searched by them */
  double slack; /* what of a score may be lost below the normal range */
} query;

struct moire__items_search {
  moire__items_request of;
  moire__items_walk *walk;
  moire__items_score *score;
  int64_t groups, runs; /* a group is searched in so many runs of panels, each with lists of its own */
  int64_t block;        /* panels */
  query *queries;
  moire__items_group *coded; /* [groups]: the eight bits of their queries */
  found *lists;              /* [n, runs, k] */
  int *lengths;              /* [n, runs] */
};

/* ---- Heaps -------------------------------------------------------------------------------------------- */

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

/* ---- Memory ------------------------------------------------------------------------------------------- */

typedef struct layout {
  size_t bytes;
  size_t queries, coded, x, listed, words, lists, lengths;
} layout;

/* The offset of n times `size` bytes behind the others. */
static size_t take(layout *l, size_t n, size_t size) {
  size_t at = l->bytes, sum = 0;
  bool good = !__builtin_mul_overflow(n, size, &sum) && !__builtin_add_overflow(at, sum, &sum);
  l->bytes = good && sum < MOIRE__ITEMS_NO_MEMORY ? (sum + 63) / 64 * 64 : MOIRE__ITEMS_NO_MEMORY;
  return at;
}

static int64_t count_groups(const moire__items_request *r) { return (r->n + GROUP - 1) / GROUP; }

/* Enough runs for all threads, of some thousand rows at least. */
static int64_t count_runs(const moire__items_request *r) {
  int64_t groups = count_groups(r), most = r->table->head.panels / LEAST_PANELS;
  int64_t wanted = groups ? r->threads / groups : 1, runs = wanted < most ? wanted : most;
  return runs > 1 ? runs : 1;
}

size_t moire__items_count_listed(const moire_items_filter *filters, int64_t n) {
  size_t all = 0;
  for (int64_t i = 0; i < n && filters; i++) {
    const moire_items_filter *f = &filters[i];
    all += (f->banned ? (size_t)f->n_banned + 1 : 0) + (f->allowed ? (size_t)f->n_allowed + 1 : 0);
  }
  return all;
}

static layout lay_out(const moire__items_request *r) {
  size_t n = (size_t)r->n, groups = (size_t)count_groups(r), stride = (size_t)r->table->head.stride;
  layout l = {0};
  take(&l, 1, sizeof(moire__items_search));
  l.queries = take(&l, n, sizeof(query));
  l.coded = take(&l, groups, sizeof(moire__items_group));
  l.x = take(&l, n, stride * sizeof(float));
  l.listed = take(&l, r->listed, sizeof(int64_t));
  l.words = take(&l, groups, stride / 4 * GROUP * sizeof(int32_t));
  l.lists = take(&l, n * (size_t)count_runs(r), (size_t)r->k * sizeof(found));
  l.lengths = take(&l, n * (size_t)count_runs(r), sizeof(int));
  return l;
}

size_t moire__items_search_bytes(const moire__items_request *request) { return lay_out(request).bytes; }

moire__items_search *moire__items_begin(const moire__items_request *r, void *memory) {
  layout l = lay_out(r);
  char *at = memory;
  moire__items_search *s = memory;
  const moire__items_head *h = &r->table->head;
  int64_t block = BLOCK_BYTES / (h->stride * PANEL * (int64_t)sizeof(float));
  *s = (moire__items_search){.of = *r,
                             .walk = moire__items_find_walk(),
                             .score = moire__items_find_score(),
                             .groups = count_groups(r),
                             .runs = count_runs(r),
                             .block = block + !block,
                             .queries = (void *)(at + l.queries),
                             .coded = (void *)(at + l.coded),
                             .lists = (void *)(at + l.lists),
                             .lengths = (void *)(at + l.lengths)};
  int64_t *listed = (void *)(at + l.listed);
  for (int64_t i = 0; i < r->n; i++) {
    query *q = &s->queries[i];
    *q = (query){.x = (float *)(void *)(at + l.x) + i * h->stride, .column = -1};
    const moire_items_filter *f = r->filters ? &r->filters[i] : NULL;
    if (f && f->banned) {
      q->banned = listed;
      q->n_banned = f->n_banned;
      listed += f->n_banned + 1;
    }
    if (f && f->allowed) {
      q->allowed = listed;
      q->n_allowed = f->n_allowed;
      listed += f->n_allowed + 1;
    }
  }
  for (int64_t g = 0; g < s->groups; g++)
    s->coded[g] =
        (moire__items_group){.query = (int32_t *)(void *)(at + l.words) + g * (h->stride / 4 * GROUP)};
  return s;
}

int64_t moire__items_find_infinite(const float *x, int64_t n) {
  int64_t i = 0;
  while (i < n && isfinite(x[i])) i++;
  return i;
}

/* ---- Round 0: queries ----------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void sort_into(int64_t *copy, const int64_t *list, int64_t n) {
  if (!copy) return;
  if (n) memcpy(copy, list, (size_t)n * sizeof *copy);
  qsort(copy, (size_t)n, sizeof *copy, by_number);
  copy[n] = -1;
}

/* The step of a query's eight bits and its norm; false where eight bits would say nothing: it is too large or
 * too small for scores in float32 to be near what they stand for. */
static bool measure(const moire__items_head *h, const float *x, float *step, double *norm) {
  double most = 0, squares = 0;
  for (int64_t k = 0; k < h->width; k++) {
    most = fmax(most, fabs((double)x[k]));
    squares += (double)x[k] * (double)x[k];
  }
  *norm = sqrt(squares);
  *step = (float)(most / 127);
  return *step > FLT_MIN * 1024 && *norm < FLT_MAX / 4 && *norm * h->most_norm < FLT_MAX / 4;
}

/* The eight bits of a query and its bounds. */
static void code_query(const moire__items_head *h, query *q, moire__items_group *g) {
  int64_t stride = h->stride;
  float step = 0;
  double norm = 0, off = 0;
  int32_t sum = 0;
  const int i = q->column;
  measure(h, q->x, &step, &norm);
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
  q->slack = (double)stride * 4 * (double)FLT_MIN;
}

static int size_of_group(const moire__items_search *s, int64_t group) {
  int64_t left = s->of.n - group * GROUP;
  return (int)(left < GROUP ? left : GROUP);
}

static void prepare_group(const moire__items_search *s, int64_t group) {
  const moire__items_head *h = &s->of.table->head;
  moire__items_group *g = &s->coded[group];
  int n = 0;
  for (int64_t i = group * GROUP; i < group * GROUP + size_of_group(s, group); i++) {
    query *q = &s->queries[i];
    float step;
    double norm;
    memset(q->x, 0, (size_t)h->stride * sizeof *q->x);
    memcpy(q->x, s->of.queries + i * h->width, (size_t)h->width * sizeof *q->x);
    if (q->banned) sort_into(q->banned, s->of.filters[i].banned, q->n_banned);
    if (q->allowed) sort_into(q->allowed, s->of.filters[i].allowed, q->n_allowed);
    if (!s->of.scan && !q->allowed && measure(h, q->x, &step, &norm)) q->column = n++;
  }
  g->n = n > 1 ? GROUP : n;
  g->words = h->stride / 4;
  memset(g->query, 0, (size_t)(g->words * g->n) * sizeof *g->query);
  for (int64_t i = group * GROUP; i < group * GROUP + size_of_group(s, group); i++)
    if (s->queries[i].column >= 0) code_query(h, &s->queries[i], g);
}

/* ---- Round 1: rows -------------------------------------------------------------------------------------- */

/* A query on its way through a run. */
typedef struct lister {
  const query *q;
  found *heap;
  int n;
  int64_t visited;    /* rows of the block */
  int64_t wait, rest; /* blocks until eight bits are tried again, and when they are of no use once more */
} lister;

typedef struct walker {
  moire__items_group panels; /* the first: visits get its address */
  const moire__items_search *s;
  int64_t begin; /* the panel that panels begin with */
  lister listers[GROUP];
  int n;
  lister *columns[GROUP]; /* NULL: of no use */
} walker;

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

/* A row that may be listed is, if it is among the best so far. */
static void list_row(const moire__items_search *s, lister *l, int64_t row, float score) {
  if (isnan(score) || moire__items_retired(s->of.table, row) || is_among(l->q->banned, l->q->n_banned, row))
    return;
  push(l->heap, &l->n, s->of.k, (found){score, row});
}

/* n rows, 16 at most; of those that `wanted` has a bit of. */
static void score_rows(const moire__items_search *s, lister *l, int64_t row, int n, unsigned wanted) {
  float scores[PANEL], worst = l->n < s->of.k ? -INFINITY : l->heap[0].score;
  int64_t stride = s->of.table->head.stride;
  unsigned rows = s->score(l->q->x, s->of.table->rows + row * stride, stride, n, worst, scores) & wanted;
  for (; rows; rows &= rows - 1) list_row(s, l, row + __builtin_ctz(rows), scores[__builtin_ctz(rows)]);
}

/* All rows from `begin` to below `end`, in float32. */
static void scan_rows(const moire__items_search *s, lister *l, int64_t begin, int64_t end) {
  if (end > s->of.table->head.rows) end = s->of.table->head.rows;
  for (int64_t row = begin; row < end; row += PANEL)
    score_rows(s, l, row, (int)(end - row < PANEL ? end - row : PANEL), ~0u);
}

static void scan_allowed(const moire__items_search *s, lister *l, int64_t begin, int64_t end) {
  const query *q = l->q;
  if (end > s->of.table->head.rows) end = s->of.table->head.rows;
  for (int64_t i = 0; i < q->n_allowed; i++) {
    int64_t row = q->allowed[i];
    if (row >= begin && row < end && (!i || row != q->allowed[i - 1])) score_rows(s, l, row, 1, 1);
  }
}

/* What a bound must not lie below. */
static float floor_of(const moire__items_search *s, const lister *l) {
  if (l->n < s->of.k) return -INFINITY;
  double worst = (double)l->heap[0].score;
  return nextafterf((float)(worst - l->q->slack - fabs(worst) * 8 * FLT_EPSILON), -INFINITY);
}

static void visit(moire__items_group *panels, int column, int64_t panel, unsigned rows) {
  walker *w = (walker *)panels;
  lister *l = w->columns[column];
  int64_t first = (w->begin + panel) * PANEL, left = w->s->of.table->head.rows - first;
  if (!l || l->wait) return; /* a NaN is not below infinity */
  if (left < PANEL) rows &= (1u << left) - 1;
  int many = __builtin_popcount(rows);
  l->visited += many;
  if (many > MANY && left >= PANEL) {
    score_rows(w->s, l, first, PANEL, rows);
  } else {
    for (; rows; rows &= rows - 1) score_rows(w->s, l, first + __builtin_ctz(rows), 1, 1);
  }
  panels->floor[column] = floor_of(w->s, l);
}

/* Whether a query rests from eight bits, of whose last block `rows` rows were visited. */
static void judge(lister *l, int64_t rows) {
  bool useless = 2 * l->visited > rows;
  l->wait = useless ? l->rest : 0;
  l->rest = !useless ? 1 : l->rest < LONGEST_REST ? 2 * l->rest : LONGEST_REST;
  l->visited = 0;
}

/* Panels begin ... end - 1. */
static void search_block(walker *w, int64_t begin, int64_t end) {
  const moire__items_table *t = w->s->of.table;
  bool any = false;
  for (int i = 0; i < w->n; i++)
    if (w->listers[i].wait) scan_rows(w->s, &w->listers[i], begin * PANEL, end * PANEL);
  for (int i = 0; i < w->panels.n; i++) {
    const lister *l = w->columns[i];
    bool walks = l && !l->wait;
    w->panels.floor[i] = walks ? floor_of(w->s, l) : INFINITY;
    any = any || walks;
  }
  w->begin = begin;
  w->panels.codes = t->codes + begin * PANEL * t->head.stride;
  w->panels.scales = t->scales + begin * PANEL;
  w->panels.bounds = t->bounds + begin * 2;
  w->panels.panels = end - begin;
  if (any) w->s->walk(&w->panels);
  for (int i = 0; i < w->n; i++) {
    lister *l = &w->listers[i];
    if (l->wait)
      l->wait--;
    else
      judge(l, (end - begin) * PANEL);
  }
}

static void search_run(const moire__items_search *s, int64_t group, int64_t run) {
  int64_t panels = s->of.table->head.panels, begin = panels * run / s->runs, end = panels * (run + 1) / s->runs;
  walker w = {.s = s, .panels = s->coded[group]};
  w.panels.visit = visit;
  for (int i = 0; i < size_of_group(s, group); i++) {
    int64_t place = (group * GROUP + i) * s->runs + run;
    lister l = {.q = &s->queries[group * GROUP + i], .heap = s->lists + place * s->of.k, .rest = 1};
    if (l.q->allowed) {
      scan_allowed(s, &l, begin * PANEL, end * PANEL);
      s->lengths[place] = l.n;
      continue;
    }
    if (l.q->column < 0) l.wait = INT64_MAX;
    w.listers[w.n] = l;
    if (l.q->column >= 0) w.columns[l.q->column] = &w.listers[w.n];
    w.n++;
  }
  for (int64_t at = begin; at < end && w.n; at += s->block)
    search_block(&w, at, at + s->block < end ? at + s->block : end);
  for (int i = 0; i < w.n; i++) s->lengths[(w.listers[i].q - s->queries) * s->runs + run] = w.listers[i].n;
}

/* ---- Round 2: lists ------------------------------------------------------------------------------------- */

/* The best of the lists of all runs, each of which has the best of its own rows; best first. */
static void write_list(const moire__items_search *s, int64_t at) {
  int k = s->of.k, n = s->lengths[at * s->runs];
  found *heap = s->lists + at * s->runs * k;
  for (int64_t place = at * s->runs + 1; place < (at + 1) * s->runs; place++)
    for (int j = 0; j < s->lengths[place]; j++) push(heap, &n, k, s->lists[place * k + j]);
  qsort(heap, (size_t)n, sizeof *heap, best_first);
  for (int j = 0; j < k; j++) {
    s->of.rows[at * k + j] = j < n ? heap[j].row : -1;
    if (s->of.scores) s->of.scores[at * k + j] = j < n ? heap[j].score : 0;
  }
}

/* ---- All of it ------------------------------------------------------------------------------------------ */

int64_t moire__items_pieces(const moire__items_search *s, int round) {
  return round == 1 ? s->groups * s->runs : s->groups;
}

void moire__items_do(const moire__items_search *s, int round, int64_t piece) {
  if (round == 0) prepare_group(s, piece);
  if (round == 1) search_run(s, piece / s->runs, piece % s->runs);
  if (round == 2)
    for (int i = 0; i < size_of_group(s, piece); i++) write_list(s, piece * GROUP + i);
}
