/* A plan: what a compiled graph is at run time. Pure data: kernels, buffers, steps.
 *
 * The compiler writes it, the runtime executes it, and nothing in it refers to the compiler. All sizes are
 * dims, so that one plan serves every size of the named extents; moire_run binds them. Arrays and strings
 * belong to whoever made the plan and outlive it.
 *
 * A step runs one kernel over `count / block` parallel pieces (rounded up). Steps run one after the other; the
 * pieces of a step run on any number of threads and write disjoint elements, so results do not depend on the
 * number of threads.
 */
#ifndef MOIRE_PLAN_H
#define MOIRE_PLAN_H

#include "moire/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Runs pieces [begin, end) of a step. buffers[i]: parameter i, aligned to 64 bytes; extents[i]: the size of
 * named extent i, from 1; then come the step's constants. */
typedef void (*moire_kernel_function)(void *const *buffers, const int64_t *extents, int64_t begin, int64_t end);

typedef enum moire_plan_role {
  MOIRE_PLAN_INPUT,     /* given by the caller of every run */
  MOIRE_PLAN_STATE,     /* a state before the step; kernels may write an updated state in place */
  MOIRE_PLAN_OUTPUT,    /* kept after the run for the caller to read */
  MOIRE_PLAN_TEMPORARY, /* lives from first_step to last_step, somewhere in the workspace */
} moire_plan_role;

typedef struct moire_plan_buffer {
  const char *name; /* input, state or output name; for temporaries a description */
  moire_plan_role role;
  moire_dtype dtype; /* never c64 */
  moire_shape shape;
  moire_dim elements;
  int first_step, last_step; /* steps that touch it, inclusive */
} moire_plan_buffer;

typedef struct moire_plan_step {
  int kernel;         /* index into kernels */
  const int *buffers; /* one for each parameter of the kernel */
  int n_buffers;
  moire_dim count;
  int64_t block;
  const char *name; /* "layers.0.attn.q_proj: complex_linear+bias" */
  /* Numbers in which this step's kernel differs for others that run it: they stand behind the named extents, so
   * that extents[plan->n_extents + 1 + i] is constants[i] for the kernel. No more than MOIRE_MAX_EXTENTS in
   * all.
   */
  const int64_t *constants;
  int n_constants;
} moire_plan_step;

/* After the run, state `state` holds what buffer `from` holds (both indices of buffers). An update whose buffer
 * is the state's own has been done in place and is not listed. */
typedef struct moire_plan_update {
  int state, from;
} moire_plan_update;

/* A state that the plan reads or writes, and how it starts out. */
typedef struct moire_plan_state {
  const char *name;
  moire_dtype dtype;
  moire_shape shape; /* static */
  moire_init init;
  bool trained; /* a parameter, saved in every checkpoint; other states are the optimizer's */
} moire_plan_state;

/* A packed plan leaves out padding: whoever runs it computes these inputs and the extent T from others (the
 * runner does). Tokens stand in order, sample by sample. They are, of a batch
 *
 *   of ids[B, L]    i32 or i64: the positions with ids > 0, the last position of every sample, and all
 * positions of a sample that has no ids > 0 of rows         the first positions of each: lengths[b] of them,
 * and those up to the last whose target is not `ignored`; at least one; and as many positions behind them in
 * some rows as make T a multiple of `block`, which divides L
 *
 * Numbers of buffers, -1 where the plan does not read it. extent 0: the plan is not packed. */
typedef struct moire_plan_packing {
  int extent;      /* number of the named extent, of which T is `block` times the size */
  int ids;         /* the buffer of ids; -1: of rows */
  int lengths;     /* i32[B]; -1 of ids */
  int targets;     /* i32[B, L]; -1 of ids */
  int32_t ignored; /* of targets */
  int64_t length;  /* L */
  int64_t block;   /* 1 of ids */
  int tokens;      /* i32[T]: sample * L + position */
  int slots;       /* i32[B * L]: the token that stands there, or -1 */
  int last;        /* i32[B]: of ids the token of the sample's last position; of rows of its last token */
  int ends;        /* i32[T]: the sample whose last it is, or -1 */
  int starts;      /* i32[B]: the sample's first token */
  int counts;      /* i32[B]: how many it has */
  int valid;       /* bool[T]: ids > 0; of rows, all */
} moire_plan_packing;

typedef struct moire_plan {
  const char *name;
  const char *const *extents; /* names of the named extents: [1 .. n_extents] */
  int n_extents;
  const moire_plan_buffer *buffers;
  int n_buffers;
  const moire_plan_step *steps;
  int n_steps;
  const moire_plan_update *updates;
  int n_updates;
  const moire_plan_state *states;
  int n_states;
  moire_plan_packing packing;
  const moire_kernel_function *kernels;
  int n_kernels;
  bool flush; /* while kernels run, numbers below the normal range count as zero */
  /* What depends on states alone that the plan leaves as they are: steps that give the same again while the
   * states stay, and temporaries that they alone write. [n_steps], [n_buffers]; NULL: not known. */
  const bool *settled_steps, *settled_buffers;
} moire_plan;

#ifdef __cplusplus
}
#endif
#endif
