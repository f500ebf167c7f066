/* The work of a kernel: how often each of its statements runs, and what that comes to in operations and bytes.
 */
#ifndef MOIRE_COMPILER_IR_LOOP_LOOP_WORK_H
#define MOIRE_COMPILER_IR_LOOP_LOOP_WORK_H

#include "compiler/ir/loop/loop.h"

/* What of a kernel decides how often its statements run: by the statement's number. */
typedef struct moire__loop_slice {
  bool *needed;         /* it has to be run to know */
  bool *varies;         /* loops: iterations differ in what they run */
  bool parallel_varies; /* so do the parallel iterations */
  bool exact;           /* false: it depends on what the kernel itself computes into a parameter */
} moire__loop_slice;
moire__loop_slice moire__loop_slice_make(const moire__loop_kernel *k, moire__arena *arena);

/* By the statement's number. Zeroed before the first count. */
typedef struct moire__loop_runs {
  int64_t *times;   /* how often it runs */
  int64_t *vectors; /* vector loops: in how many vectors of up to `lanes` iterations */
} moire__loop_runs;
moire__loop_runs moire__loop_runs_make(const moire__loop_kernel *k, moire__arena *arena);

/* Adds to `runs` how often each statement runs in all the kernel's iterations, for the named extents' sizes and
 * what the buffers hold (as in moire__loop_interpret; only those that control flow depends on are read, none is
 * written). */
moire_status moire__loop_count(const moire__loop_kernel *k, const moire__loop_slice *slice,
                               void *const *buffers, const int64_t *extents, const moire__loop_runs *runs,
                               moire_error *error);

/* What the runs of the statements come to. An instruction of a vector loop whose operands are the same for all
 * lanes counts once a vector. */
typedef struct moire__loop_work {
  double
      flop; /* + - * / min max sqrt: 1; fma: 2; dot: 4; functions: what their code does (moire__loop_op_flop) */
  double accessed; /* bytes loaded and stored, locals included */
  double *buffers; /* [k->n_buffers]: bytes of it that are loaded or stored */
  double *cost;    /* [k->n_statements]: about how many instructions; for dividing a kernel's time */
} moire__loop_work;
moire__loop_work moire__loop_work_make(const moire__loop_kernel *k, const moire__loop_runs *runs,
                                       moire__arena *arena);

/* Floating-point operations of one result of `op` in `type` (f32 or f64), as code generation computes it on a
 * machine with AVX-512; 0 for what is none. */
int moire__loop_op_flop(moire__loop_op op, moire__loop_type type);

#endif
