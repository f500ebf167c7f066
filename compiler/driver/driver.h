/* The compiler from outside: from a model's graph to what runs. */
#ifndef MOIRE_COMPILER_DRIVER_DRIVER_H
#define MOIRE_COMPILER_DRIVER_DRIVER_H

#include "compiler/driver/manager.h"

/* The passes in their order; some names appear more than once. */
const moire__pass_row *moire__driver_passes(int *n);

/* Every pass named `before` runs before every pass named `after`. */
typedef struct moire__order_row {
  const char *before, *after, *why;
} moire__order_row;
const moire__order_row *moire__driver_orders(int *n);

/* The graph (owned) after all passes, or after the last one named `until` if that is not NULL; NULL with a
 * sentence. `dump` may be NULL. */
moire_graph *moire__driver_run_passes(const moire_graph *model, const moire__goal *goal, const char *until,
                                      const moire__dump *dump, moire_error *error);

#endif
