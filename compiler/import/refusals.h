/* What of a program cannot be imported: a line each, with the operation, where it stands, and what would do. */
#ifndef MOIRE_COMPILER_IMPORT_REFUSALS_H
#define MOIRE_COMPILER_IMPORT_REFUSALS_H

#include "compiler/import/row.h"
#include "runtime/base/text.h"

typedef struct moire__refusals {
  moire__arena *arena;
  moire__text *lines; /* they are appended there; NULL: nobody asks */
  int n;
  const char *first, *last; /* the same at every place of one line is said once */
} moire__refusals;

void moire__refusals_add(moire__refusals *refusals, const char *op, moire_source at, const char *why,
                         const char *hint);
/* The graph fails with the first; or, where there is none, its own mistake is one. */
void moire__refusals_finish(moire__refusals *refusals, moire_graph *g);

/* ---- after a row ------------------------------------------------------------------------------------------
 */

/* Refuses an argument that no row looked at. */
void moire__check_arguments(moire__call *call);
/* The graph's mistake is this call's. The graph forgets it, so that other calls are looked at, too; it fails in
 * the end. */
void moire__take_mistake(moire__call *call);

#endif
