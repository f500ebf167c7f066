/* Running graph passes one after the other: each is timed, its result verified, and shown to whoever asked. */
#ifndef MOIRE_COMPILER_DRIVER_MANAGER_H
#define MOIRE_COMPILER_DRIVER_MANAGER_H

#include "compiler/pass/pass.h"

typedef struct moire__pass_row {
  const char *name;
  moire__graph_pass *run;
  const char *purpose; /* half a sentence */
} moire__pass_row;

/* Both functions may be NULL. The graph is borrowed for the call. */
typedef struct moire__dump {
  void *context;
  void (*graph)(void *context, const char *pass, const moire_graph *g);
  const char *after; /* `graph` is called after every pass of this name; NULL: after every pass */
  void (*time)(void *context, const char *pass, double seconds, int n_nodes); /* after every pass */
} moire__dump;

/* The graph (owned) after the rows, or after the last row named `until` if that is not NULL; NULL with a
 * sentence. A graph that is broken after a pass is a defect of the pass: MOIRE_ERROR_INTERNAL, and the last
 * good graph goes to stderr, so that the defect can be run again from its text. `dump` may be NULL. The first
 * row is not an optimization. */
moire_graph *moire__manager_run(const moire__pass_row *rows, int n, const moire_graph *model,
                                const moire__goal *goal, const char *until, const moire__dump *dump,
                                moire_error *error);

#endif
