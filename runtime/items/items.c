/* Tables of items as moire/items.h has them: files by their paths, and searches on its memory and threads. */
#include "runtime/items/items.h"

#include "runtime/base/memory.h"
#include "runtime/items/search.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static moire_status tell(const moire_items *t, moire__items_fault fault, moire_error *error) {
  switch (fault) {
    case MOIRE__ITEMS_SOUND: return MOIRE_OK;
    case MOIRE__ITEMS_NO_TABLE:
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is no table of items, as `moire items` makes them",
                        t->path);
    case MOIRE__ITEMS_HEAD_CHANGED:
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: its head was changed: another checksum than it says",
                        t->path);
    case MOIRE__ITEMS_HEAD_WRONG:
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: its head claims what no table has", t->path);
    case MOIRE__ITEMS_CUT_SHORT:
      return moire_fail(error, MOIRE_ERROR_FORMAT,
                        "%s: has %zu bytes, but its head says %" PRIu64 ": it was cut short", t->path,
                        t->file.n, moire__items_end(&t->table.head));
    case MOIRE__ITEMS_NAMES_WRONG:
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: the name of a row is not among its names", t->path);
  }
  return MOIRE_OK;
}

moire_items *moire_items_open(const char *path, moire_error *error) {
  moire_items *t = moire__allocate(sizeof *t);
  t->path = moire__allocate(strlen(path) + 1);
  memcpy(t->path, path, strlen(path) + 1);
  moire_status status = moire__file_map(path, &t->file, error);
  if (!status) status = tell(t, moire__items_read(t->file.bytes, t->file.n, &t->table), error);
  if (!status) return t;
  moire_items_close(t);
  return NULL;
}

void moire_items_close(moire_items *t) {
  if (!t) return;
  moire__file_unmap(&t->file);
  moire__release(t->path);
  moire__release(t);
}

moire_status moire_items_check(const moire_items *t, moire_error *error) {
  static const char *const names[MOIRE__ITEMS_SECTIONS] = {"codes",   "scales",    "bounds", "rows",
                                                           "retired", "name_ends", "names"};
  moire__items_section changed = moire__items_changed(&t->table);
  if (changed == MOIRE__ITEMS_SECTIONS) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: its %s were changed: another checksum than it says",
                    t->path, names[changed]);
}

int64_t moire_items_count(const moire_items *t) { return t->table.head.rows; }
int64_t moire_items_live(const moire_items *t) { return t->table.head.live; }
int64_t moire_items_width(const moire_items *t) { return t->table.head.width; }

bool moire_items_is_retired(const moire_items *t, int64_t row) {
  return !moire__items_has(&t->table, row) || moire__items_retired(&t->table, row);
}

const float *moire_items_row(const moire_items *t, int64_t row) {
  return moire__items_has(&t->table, row) ? t->table.rows + row * t->table.head.stride : NULL;
}

const char *moire_items_name(const moire_items *t, int64_t row, int *n) {
  return moire__items_name(&t->table, row, n);
}

/* ---- Searching ---------------------------------------------------------------------------------------- */

typedef struct stage {
  const moire__items_search *search;
  int round;
} stage;

static void do_pieces(void *context, int64_t begin, int64_t end) {
  const stage *now = context;
  for (int64_t i = begin; i < end; i++) moire__items_do(now->search, now->round, i);
}

static moire_status search(const moire__items_request *r, moire_threads *threads, moire_error *error) {
  int64_t width = r->table->head.width, bad = moire__items_find_infinite(r->queries, r->n * width);
  if (r->k < 1)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "wanted the best 1 or more items, but %d came", r->k);
  if (bad < r->n * width)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "query %" PRId64 " holds %s at %" PRId64, bad / width,
                      isnan(r->queries[bad]) ? "a NaN" : "an infinity", bad % width);
  void *memory = moire__allocate_aligned_unset(moire__items_search_bytes(r), 64);
  stage now = {moire__items_begin(r, memory), 0};
  for (; now.round < MOIRE__ITEMS_ROUNDS; now.round++) {
    int64_t pieces = moire__items_pieces(now.search, now.round);
    if (threads)
      moire_threads_run(threads, pieces, do_pieces, &now);
    else
      do_pieces(&now, 0, pieces);
  }
  moire__release_aligned(memory);
  return MOIRE_OK;
}

static moire__items_request request_of(const moire_items *t, const float *queries, int64_t n,
                                       const moire_items_filter *filters, int k, int64_t *rows, float *scores,
                                       const moire_threads *threads) {
  return (moire__items_request){.table = &t->table,
                                .queries = queries,
                                .filters = filters,
                                .listed = moire__items_count_listed(filters, n),
                                .n = n,
                                .k = k,
                                .threads = threads ? moire_threads_count(threads) : 1,
                                .rows = rows,
                                .scores = scores};
}

moire_status moire_items_search(const moire_items *t, const float *queries, int64_t n,
                                const moire_items_filter *filters, int k, int64_t *rows, float *scores,
                                moire_threads *threads, moire_error *error) {
  moire__items_request r = request_of(t, queries, n, filters, k, rows, scores, threads);
  return search(&r, threads, error);
}

moire_status moire_items_scan(const moire_items *t, const float *queries, int64_t n,
                              const moire_items_filter *filters, int k, int64_t *rows, float *scores,
                              moire_threads *threads, moire_error *error) {
  moire__items_request r = request_of(t, queries, n, filters, k, rows, scores, threads);
  r.scan = true;
  return search(&r, threads, error);
}
