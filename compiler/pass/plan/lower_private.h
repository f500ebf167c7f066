/* What the files that turn kernels of a graph into loop nests share. */
#ifndef MOIRE_COMPILER_PASS_PLAN_LOWER_PRIVATE_H
#define MOIRE_COMPILER_PASS_PLAN_LOWER_PRIVATE_H

#include "compiler/ir/loop/lower.h"

/* What moire__lower_rows knows of every value; all zero between kernels, so that one costs no more than its
 * nodes. */
typedef struct moire__row_tables {
  int *pass;       /* the pass that computes it (a reduction: in which it is complete, one later) */
  bool *is_scalar; /* one a row */
  bool *kept;      /* a later pass reads it */
  bool *member;    /* a node of the group gives it */
  moire__loop_buffer *local;
  moire__loop_var *var;
} moire__row_tables;

/* The nodes of one kernel, in order. */
typedef struct moire__group {
  int number;
  const int *nodes;
  int n_nodes;
  const char *name;
  const bool *stored;      /* of every value: other kernels, outputs or updates read it */
  const int32_t *in_place; /* of every value: the state that it replaces where it stands, or 0 */
  const moire__row_tables *tables;
} moire__group;

/* Element-wise nodes and reductions along rows: one kernel. */
void moire__lower_rows(moire__lowering *l, const moire__group *group);
/* A copy of a view along whose last axis memory does not run, though it does along another; false, with nothing
 * done, if it is none that can be turned by squares. */
bool moire__lower_turned(moire__lowering *l, const moire__group *group);
/* One reduction over axes that are not the last alone, with the nodes sunk into it. */
void moire__lower_reduction(moire__lowering *l, const moire__group *group);

/* How a reduction is made: of elements that are combined, from `start` on. */
typedef struct moire__reduction {
  moire__loop_op combine;
  double start;
} moire__reduction;
moire__reduction moire__reduction_of(const moire__node *node);

/* Long sums over adjacent elements are taken in parts of moire__sum_parts[1], each in parts of [0]. */
enum { MOIRE__SUM_LEVELS = 2 };
extern const int64_t moire__sum_parts[MOIRE__SUM_LEVELS];
bool moire__is_long_sum(moire_dim columns);

#endif
