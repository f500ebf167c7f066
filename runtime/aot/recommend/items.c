/* Tables of items: opening them, and the best rows for histories. Searching is runtime/items/search.h. */
#include "runtime/aot/recommend/lists.h"
#include "runtime/aot/mapped.h"
#include "runtime/aot/model.h"
#include "runtime/aot/recommend/recommend.h"

#if MOIRE__AOT_ITEMS
#include "runtime/items/search.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct library_items {
  char *path;
  moire__aot_mapped file;
  moire__items_table table;
};

/* ---- Files ------------------------------------------------------------------------------------------ */

static library_status read_table(library_items *t) {
  switch (moire__items_read(t->file.bytes, t->file.n, &t->table)) {
    case MOIRE__ITEMS_SOUND: break;
    case MOIRE__ITEMS_HEAD_CHANGED: return LIBRARY_ERROR_CHANGED;
    default: return LIBRARY_ERROR_FORMAT;
  }
  const moire__items_head *h = &t->table.head;
  return h->width == LIBRARY_WIDTH && h->rows >= LIBRARY_ITEM_SIZE ? LIBRARY_OK : LIBRARY_ERROR_OTHER;
}

library_status library_items_open(const char *path, library_items **items) {
  if (items) *items = NULL;
  if (!path || !items) return LIBRARY_ERROR_NULL;
  library_items *made = calloc(1, sizeof *made);
  if (made) made->path = strdup(path);
  library_status status = made && made->path ? LIBRARY_OK : LIBRARY_ERROR_MEMORY;
  if (!status) status = moire__aot_map(path, 1, &made->file);
  if (!status) status = read_table(made);
  if (status) {
    library_items_close(made);
    return status;
  }
  *items = made;
  return LIBRARY_OK;
}

library_status library_items_refresh(library_items **items) {
  if (!items || !*items) return LIBRARY_ERROR_NULL;
  struct stat info;
  if (stat((*items)->path, &info)) return LIBRARY_ERROR_FILE;
  if (info.st_dev == (*items)->file.device && info.st_ino == (*items)->file.number) return LIBRARY_OK;
  library_items *now = NULL;
  library_status status = library_items_open((*items)->path, &now);
  if (status) return status;
  library_items_close(*items);
  *items = now;
  return LIBRARY_OK;
}

void library_items_close(library_items *items) {
  if (!items) return;
  moire__aot_unmap(&items->file);
  free(items->path);
  free(items);
}

library_status library_items_check(const library_items *items) {
  if (!items) return LIBRARY_ERROR_NULL;
  return moire__items_changed(&items->table) == MOIRE__ITEMS_SECTIONS ? LIBRARY_OK : LIBRARY_ERROR_CHANGED;
}

int64_t library_items_count(const library_items *items) { return items ? items->table.head.rows : 0; }
int64_t library_items_live(const library_items *items) { return items ? items->table.head.live : 0; }

library_status library_items_name(const library_items *items, int64_t row, const char **name, size_t *n) {
  if (!items || !name || !n) return LIBRARY_ERROR_NULL;
  int length = 0;
  *name = moire__items_name(&items->table, row, &length);
  *n = (size_t)length;
  return LIBRARY_OK;
}

/* ---- Memory ----------------------------------------------------------------------------------------- */

/* Of the workspace: what goes to the search, then regions in which queries are made, or the search. */
typedef struct found_layout {
  size_t queries, filters, banned, rest, bytes;
} found_layout;

static size_t behind(size_t at, size_t n, size_t size) {
  return (moire__aot_add_bytes(at, n, size) + 63) / 64 * 64;
}

/* `banned` numbers that are left out; the request has table, listed, n, k and threads. */
static found_layout lay_out_found(const moire__aot_level *level, const moire__items_request *r, size_t banned) {
  found_layout l = {0};
  size_t n = (size_t)r->n, regions = moire__aot_queries_bytes(level, r->n, r->threads);
  size_t search = moire__items_search_bytes(r);
  l.filters = behind(0, n, LIBRARY_WIDTH * sizeof(float));
  l.banned = behind(l.filters, n, sizeof(moire_items_filter));
  l.rest = behind(l.banned, banned, sizeof(int64_t));
  l.bytes = moire__aot_add_bytes(l.rest, 1, search > regions ? search : regions) + 63;
  return l;
}

static bool k_is_good(const library_items *items, int k) { return k >= 1 && k <= items->table.head.rows; }

size_t library_find_bytes(const library_items *items, int64_t batch, int threads, int k, int64_t listed) {
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level || !items || !moire__aot_batch_is_good(batch) || threads < 0 || threads > LIBRARY_MAX_THREADS ||
      !k_is_good(items, k) || listed < 0 || listed > INT64_MAX / 16)
    return 0;
  /* Row 0 is banned for everybody, and both lists of a filter have an end. */
  moire__items_request r = {.table = &items->table,
                            .listed = (size_t)(3 * batch + listed),
                            .n = batch,
                            .k = k,
                            .threads = threads > 1 ? threads : 1};
  return lay_out_found(level, &r, (size_t)(batch + listed)).bytes;
}

/* ---- Filters ---------------------------------------------------------------------------------------- */

typedef struct wanted {
  const library_lists *histories;
  library_seen rule;
  const library_filter *filters;
} wanted;

static int64_t count_seen(const wanted *w, int64_t i) {
  return w->rule == LIBRARY_SEEN_EXCLUDE ? w->histories->offsets[i + 1] - w->histories->offsets[i] : 0;
}

static library_status check_filters(const library_filter *filters, int64_t n) {
  for (int64_t i = 0; i < n && filters; i++) {
    const library_filter *f = &filters[i];
    if (f->n_banned < 0 || f->n_allowed < 0 || (f->n_banned && !f->banned) || (f->n_allowed && !f->allowed))
      return LIBRARY_ERROR_FILTER;
  }
  return LIBRARY_OK;
}

static size_t count_banned(const wanted *w, int64_t n) {
  size_t all = (size_t)n;
  for (int64_t i = 0; i < n; i++)
    all += (size_t)count_seen(w, i) + (w->filters ? (size_t)w->filters[i].n_banned : 0);
  return all;
}

/* With the end of each list. */
static size_t count_allowed(const wanted *w, int64_t n) {
  size_t all = 0;
  for (int64_t i = 0; i < n && w->filters; i++)
    all += w->filters[i].allowed ? (size_t)w->filters[i].n_allowed + 1 : 0;
  return all;
}

/* Of history i: row 0, what the rule leaves out and what the filter does; the numbers go to `banned`. */
static moire_items_filter join(const wanted *w, int64_t i, int64_t *banned) {
  moire_items_filter f = {.banned = banned};
  const int32_t *seen = w->histories->items ? w->histories->items + w->histories->offsets[i] : NULL;
  banned[f.n_banned++] = 0;
  for (int64_t j = 0; j < count_seen(w, i); j++) banned[f.n_banned++] = seen[j];
  if (!w->filters) return f;
  const library_filter *own = &w->filters[i];
  if (own->n_banned) memcpy(banned + f.n_banned, own->banned, (size_t)own->n_banned * sizeof *banned);
  f.n_banned += own->n_banned;
  f.allowed = own->allowed;
  f.n_allowed = own->n_allowed;
  return f;
}

/* ---- The search ------------------------------------------------------------------------------------- */

typedef struct pieces {
  const moire__items_search *search;
  int round;
  _Atomic int64_t next;
} pieces;

static void search_pieces(void *job, int thread) {
  pieces *p = job;
  (void)thread;
  for (;;) {
    int64_t piece = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
    if (piece >= moire__items_pieces(p->search, p->round)) return;
    moire__items_do(p->search, p->round, piece);
  }
}

static void search_table(const moire__items_request *r, const library_workspace *workspace, void *memory) {
  const moire__items_search *search = moire__items_begin(r, memory);
  for (int round = 0; round < MOIRE__ITEMS_ROUNDS; round++) {
    pieces p = {.search = search, .round = round};
    int64_t n = moire__items_pieces(search, round);
    int threads = n < r->threads ? (int)n : r->threads;
    if (threads < 2)
      search_pieces(&p, 0);
    else
      workspace->run(workspace->context, threads, search_pieces, &p);
  }
}

/* The queries of the histories, then the search, in the memory of the layout. */
static library_status find_rows(const moire__aot_level *level, const void *block, library_workspace *workspace,
                                const wanted *w, moire__items_request *r, size_t banned) {
  unsigned char *memory = NULL;
  r->listed = banned + (size_t)r->n + count_allowed(w, r->n);
  found_layout l = lay_out_found(level, r, banned);
  library_status status = moire__aot_reserve(workspace, l.bytes, &memory);
  if (status) return status;
  float *queries = (float *)(void *)memory;
  moire_items_filter *filters = (moire_items_filter *)(void *)(memory + l.filters);
  int64_t *numbers = (int64_t *)(void *)(memory + l.banned);
  for (int64_t i = 0; i < r->n; i++) {
    filters[i] = join(w, i, numbers);
    numbers += filters[i].n_banned;
  }
  moire__aot_make_queries(level, block, workspace, r->n, w->histories, queries, memory + l.rest);
  if (moire__items_find_infinite(queries, r->n * LIBRARY_WIDTH) < r->n * LIBRARY_WIDTH)
    return LIBRARY_ERROR_QUERY;
  r->queries = queries;
  r->filters = filters;
  search_table(r, workspace, memory + l.rest);
  return LIBRARY_OK;
}

library_status library_find(const library_model *model, library_workspace *workspace,
                            const library_items *items, int64_t batch, const library_lists *histories,
                            library_seen rule, const library_filter *filters, int k, int64_t *rows,
                            float *scores) {
  const moire__aot_level *level = NULL;
  const void *block = NULL;
  const wanted w = {histories, rule, filters};
  if (!workspace || !items || !rows) return LIBRARY_ERROR_NULL;
  if (!moire__aot_batch_is_good(batch)) return LIBRARY_ERROR_BATCH;
  if (!k_is_good(items, k)) return LIBRARY_ERROR_TOP;
  if (rule != LIBRARY_SEEN_RANK && rule != LIBRARY_SEEN_EXCLUDE) return LIBRARY_ERROR_SEEN;
  library_status status = moire__aot_check_lists(histories, batch);
  if (!status) status = check_filters(filters, batch);
  if (!status) status = moire__aot_check_threads(workspace);
  if (!status) status = moire__aot_find_block(model, &level, &block);
  if (status) return status;
  moire__items_request r = {.table = &items->table,
                            .n = batch,
                            .k = k,
                            .threads = workspace->threads > 1 ? workspace->threads : 1,
                            .rows = rows,
                            .scores = scores};
  return find_rows(level, block, workspace, &w, &r, count_banned(&w, batch));
}
#endif
