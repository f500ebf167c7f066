/* Offsets for buffers that share one workspace: two buffers may lie in the same place if no step needs both.
 *
 * A pure function from sizes and lifetimes to offsets. It is a heuristic of the offset-assignment problem
 * (which is NP-hard): larger buffers are placed first, each into the smallest gap that holds it among those
 * placed before that live at the same time.
 */
#ifndef MOIRE_RUNTIME_BASE_LAYOUT_H
#define MOIRE_RUNTIME_BASE_LAYOUT_H

#include "moire/plan.h"
#include "runtime/base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOIRE__ALIGNMENT = 64 };

/* The name of temporaries that kernels of one operation hand each other. */
#define MOIRE__PLAN_PIECES "pieces"

typedef struct moire__layout_item {
  size_t bytes;
  int first, last; /* steps, inclusive; first <= last */
} moire__layout_item;

/* offsets[i] = a multiple of 64 for item i, such that items whose lifetimes meet do not overlap. Returns the
 * bytes of the whole. Scratch comes from `arena`. */
size_t moire__layout_assign(const moire__layout_item *items, int n, moire__arena *arena, size_t *offsets);

/* Bytes of one element, 0 for c64 and for what is no dtype. */
size_t moire__dtype_bytes(moire_dtype dtype);

/* The size of a dim; extents[0] is not read. False if it does not fit 47 bits: no buffer is that large. */
bool moire__extent_size(moire_dim dim, const int64_t *extents, int64_t *size);

/* What the step's kernel gets as extents: `extents` (from 1), or `own` with the step's constants behind them.
 */
const int64_t *moire__step_extents(const moire_plan *plan, const moire_plan_step *step, const int64_t *extents,
                                   int64_t own[MOIRE_MAX_EXTENTS + 1]);

#endif
