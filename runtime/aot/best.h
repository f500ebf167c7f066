/* The best of all items. */
#ifndef MOIRE_RUNTIME_AOT_BEST_H
#define MOIRE_RUNTIME_AOT_BEST_H

#include "runtime/aot/tables.h"

/* items[0 .. k) = the best items by scores[LIBRARY_ITEM_SIZE], best first, where what is not a number is not
 * listed; behind the last one -1. best[0 .. k) = their scores, 0 behind the last; NULL: not wanted. */
static void moire__aot_best(const float *scores, int k, int32_t *items, float *best);

#endif
