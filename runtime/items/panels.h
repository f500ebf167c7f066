/* Walking over the panels of a table for a group of queries: which rows could still be among the best, by eight
 * bits; and the scores of rows in float32. Stands on the C library alone, as table.h.
 *
 * Of a row w = s c + r and a query x = t y + d, c and y whole numbers, the score differs from s t (c . y) by at
 * most
 *
 *   |d| s |c| + |x| |r| + what float32 rounds = s (a |c| + b |r| / s)
 *
 * with a = |d| + g |x|, b = (1 + g) |x| and g for the rounding of the score and of this bound. With the largest
 * |c| and |r| / s of the panel, E = a |c| + b |r| / s is one number for 16 rows, and s (t (c . y) + E) an upper
 * bound of the score. A row whose bound is below `floor` cannot be listed; what is not below (a NaN is not) is
 * visited.
 */
#ifndef MOIRE_RUNTIME_ITEMS_PANELS_H
#define MOIRE_RUNTIME_ITEMS_PANELS_H

#include <stdint.h>

enum { MOIRE__ITEMS_GROUP = 16 }; /* queries at once */

typedef struct moire__items_group moire__items_group;
struct moire__items_group {
  const uint8_t *codes;
  const float *scales, *bounds;
  int64_t panels, words; /* words: 4 numbers each, of a row */
  int n; /* queries: 1, or MOIRE__ITEMS_GROUP, of which some may be of no use: their floor is infinite */
  int32_t *query;                    /* [words, n]: 4 numbers y, from -127 to 127, in each */
  int32_t start[MOIRE__ITEMS_GROUP]; /* -128 times the sum of y, what the codes' offset adds */
  float t[MOIRE__ITEMS_GROUP], a[MOIRE__ITEMS_GROUP], b[MOIRE__ITEMS_GROUP], floor[MOIRE__ITEMS_GROUP];
  /* Bit i of `rows`: row 16 panel + i. May raise the query's floor. */
  void (*visit)(moire__items_group *group, int query, int64_t panel, unsigned rows);
};

typedef void moire__items_walk(moire__items_group *group);
moire__items_walk *moire__items_find_walk(void);

/* scores[i] = the score of row w[i * stride ...), as moire/items.h says, of n rows, 16 at most; x is [stride].
 * Returns bit i where that is not below `floor`. */
typedef unsigned moire__items_score(const float *x, const float *w, int64_t stride, int n, float floor,
                                    float *scores);
moire__items_score *moire__items_find_score(void);

#endif
