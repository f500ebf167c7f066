/* Running a plan of the tables: addresses of buffers, then steps in order, each over its pieces.
 *
 * The workspace of a run holds the arguments of all steps, then its parts. A call with
 * `threads` shares the pieces of a step among them; the pieces write disjoint elements, so nothing depends on
 * who takes which.
 */
#ifndef MOIRE_RUNTIME_AOT_EXECUTE_H
#define MOIRE_RUNTIME_AOT_EXECUTE_H

#include "runtime/aot/tables.h"

typedef struct moire__aot_run {
  const moire__aot_plan *plan;
  int64_t extents[MOIRE__AOT_EXTENTS];   /* sizes by number; [0] is not read */
  const void *inputs[MOIRE__AOT_INPUTS]; /* aligned to 64 bytes */
  void *model;                           /* written by `prepare` only */
  void *state;
  unsigned char *workspace; /* aligned to 64 bytes, of moire__aot_run_bytes */
  int threads;              /* 1, or more with `run` */
  library_tasks *run;
  void *context;
  library_profile *profile; /* NULL: nobody is told of kernels */
  void *profile_context;
} moire__aot_run;

/* a + b * c, or a number so large that no memory has it, small enough to be added to. */
static size_t moire__aot_add_bytes(size_t a, size_t b, size_t c);
/* Bytes of the workspace, a multiple of 64, for these sizes of named extents; and for a batch whatever its ids
 * are. */
static size_t moire__aot_sized_bytes(const moire__aot_plan *plan, const int64_t *extents);
static size_t moire__aot_run_bytes(const moire__aot_plan *plan, int64_t batch);

static void moire__aot_execute(const moire__aot_run *run);
/* The elements of an output of the plan that was run, in the workspace. */
static void *moire__aot_output(const moire__aot_run *run, int output);

#endif
