/* Codes of items: a few whole numbers an item, one a level; what can be said of them, and their file.
 *
 * The file is text, one item a line: the item's name or number, a tab, and its codes with tabs between. A last
 * digit may tell items with equal codes apart.
 */
#ifndef MOIRE_TASKS_ITEMS_CODES_H
#define MOIRE_TASKS_ITEMS_CODES_H

#include "moire/status.h"
#include "runtime/base/memory.h"

#include <stdint.h>

/* digits[i] = how many rows before i have the codes of row i. Returns how many different rows there are. */
int64_t moire__codes_digits(const int32_t *codes /*[n, levels]*/, int64_t n, int levels, int32_t *digits);

typedef struct moire__usage {
  double utilisation; /* share of the codes that some item has */
  double perplexity; /* e to the entropy of how often they are had: as many codes, evenly used, are as varied */
} moire__usage;

/* Of one column of the codes, whose entries are below `size`. */
moire__usage moire__codes_usage(const int32_t *codes, int64_t n, int levels, int level, int64_t size);

/* Zero-initialise; free with moire__codes_free. */
typedef struct moire__codes {
  int64_t n;
  int columns;
  int32_t *values; /* [n, columns] */
  moire__arena arena;
} moire__codes;

/* Reads a file of codes: `columns` numbers a line, from 0 to below limits[j] (0: any). */
moire_status moire__codes_read(const char *path, int columns, const int64_t *limits, moire__codes *out,
                               moire_error *error);
void moire__codes_free(moire__codes *codes);

#endif
