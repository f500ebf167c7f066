/* Tables of items, and the best of millions of them for a query: exactly those that a scan in float32 finds.
 *
 *   moire_items *items = moire_items_open("films.items", &error);
 *   moire_items_search(items, queries, n, NULL, 20, rows, scores, NULL, &error);     // [n, width] -> [n, 20]
 *   moire_items_close(items);
 *
 * A table holds rows of float32, and beside them the same rows in eight bits with a scale, and how far they are
 * off. A search reads the eight bits, leaves out what by its bound cannot be among the best, and computes the
 * scores of the rest from the float32: so the list and its scores are those of the scan of all rows, bit by
 * bit.
 *
 * The score of a row is the float32 sum of x[k] w[k]: products are rounded, lane l of 16 adds those of k = l, l
 * + 16,
 * ... in order, and lanes are added in halves (l and l + 8, then l + 4, l + 2, l + 1). It depends on no
 * processor. Of equal scores the lower row comes first. A score that is no number is not listed.
 *
 * Files are mapped, and replaced at once: who has one open goes on with what it was. They must not be written
 * into.
 */
#ifndef MOIRE_ITEMS_H
#define MOIRE_ITEMS_H

#include <stdbool.h>
#include <stdint.h>

#include "moire/run.h"
#include "moire/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct moire_items moire_items;

enum { MOIRE_ITEMS_MOST_WIDTH = 65536 }; /* numbers of a row */

/* Maps the table. What it says of itself is checked; `moire_items_check` reads all of it against its checksums.
 * Returns owned, NULL on error. */
moire_items *moire_items_open(const char *path, moire_error *error);
void moire_items_close(moire_items *items); /* NULL is fine */
moire_status moire_items_check(const moire_items *items, moire_error *error);

int64_t moire_items_count(const moire_items *items); /* rows, with those that are retired */
int64_t moire_items_live(const moire_items *items);  /* without them */
int64_t moire_items_width(const moire_items *items);
bool moire_items_is_retired(const moire_items *items, int64_t row);
const float *moire_items_row(const moire_items *items, int64_t row); /* [width]; borrowed */
const char *moire_items_name(const moire_items *items, int64_t row,
                             int *n); /* its n bytes; NULL: rows have no names */

/* Which rows one query may find. */
typedef struct moire_items_filter {
  const int64_t *banned; /* [n_banned], in any order; what is no row is passed over */
  int64_t n_banned;
  const int64_t *allowed; /* [n_allowed]: no others; NULL: all */
  int64_t n_allowed;
} moire_items_filter;

/* rows[q * k ...], scores[q * k ...] = the best k live rows of each of n queries f32[n, width], best first; -1
 * and 0 behind the last. `filters` is [n], or NULL: none. Queries are searched in groups of 16; threads share
 * these, and the rows where there are more threads (NULL: this one alone); results depend on neither. A query
 * that is not finite is refused. */
moire_status moire_items_search(const moire_items *items, const float *queries, int64_t n,
                                const moire_items_filter *filters, int k, int64_t *rows, float *scores,
                                moire_threads *threads, moire_error *error);
/* The same by reading all rows in float32. */
moire_status moire_items_scan(const moire_items *items, const float *queries, int64_t n,
                              const moire_items_filter *filters, int k, int64_t *rows, float *scores,
                              moire_threads *threads, moire_error *error);

/* What a new table has: first the rows of `old` (NULL: none), then n rows of `width` numbers, which are finite,
 * with names, one for each or NULL: their numbers. Rows `retired` (of both, in any order) are never found;
 * those of `old` that were stay so. */
typedef struct moire_items_contents {
  const moire_items *old;
  const float *rows;
  int64_t n, width;
  const char *const *names;
  const int64_t *retired;
  int64_t n_retired;
} moire_items_contents;
/* Writes it; a file of that name is replaced at once when all is written. */
moire_status moire_items_write(const char *path, const moire_items_contents *contents, moire_error *error);

#ifdef __cplusplus
}
#endif
#endif
