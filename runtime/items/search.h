/* Searching a table of items: the best rows for queries, exactly. Stands on the C library alone, as table.h,
 * and on memory and threads that the caller has. */
#ifndef MOIRE_RUNTIME_ITEMS_SEARCH_H
#define MOIRE_RUNTIME_ITEMS_SEARCH_H

#include "moire/items.h"
#include "runtime/items/table.h"

/* What is asked, as of moire_items_search; it is borrowed until the last round is done. */
typedef struct moire__items_request {
  const moire__items_table *table;
  const float *queries;              /* [n, width], finite */
  const moire_items_filter *filters; /* [n]; NULL: none */
  size_t listed;                     /* moire__items_count_listed(filters, n) */
  int64_t n;
  int k;
  bool scan;   /* all rows in float32 */
  int threads; /* that will share the rounds */
  int64_t *rows;
  float *scores; /* NULL: not wanted */
} moire__items_request;

/* Numbers of all filters, with one that ends each list. */
size_t moire__items_count_listed(const moire_items_filter *filters, int64_t n);

typedef struct moire__items_search moire__items_search;

/* Bytes of the memory for it, which go by the table, and by listed, n, k and threads, and grow with each of
 * these. */
#define MOIRE__ITEMS_NO_MEMORY (SIZE_MAX / 4) /* more than there can be */
size_t moire__items_search_bytes(const moire__items_request *request);
/* Lies at the start of the memory, which is aligned to 64 bytes. */
moire__items_search *moire__items_begin(const moire__items_request *request, void *memory);

/* Then the rounds, one after the other; the pieces of a round may be done at once and in any order. After the
 * last one the lists are there. */
enum { MOIRE__ITEMS_ROUNDS = 3 };
int64_t moire__items_pieces(const moire__items_search *search, int round);
void moire__items_do(const moire__items_search *search, int round, int64_t piece);

/* The place of the first number of n that is not finite; n: all are. */
int64_t moire__items_find_infinite(const float *x, int64_t n);

#endif
