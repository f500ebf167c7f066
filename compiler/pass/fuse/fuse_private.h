/* What the files of the fusion pass share: groups of nodes that become one kernel. */
#ifndef MOIRE_COMPILER_PASS_FUSE_FUSE_PRIVATE_H
#define MOIRE_COMPILER_PASS_FUSE_FUSE_PRIVATE_H

#include "compiler/ir/graph/graph.h"
#include "compiler/ir/op.h"

typedef struct moire__fuse_group {
  bool open;          /* element-wise and row nodes may join */
  bool product;       /* element-wise nodes may join that no row reduction waits for */
  bool reduces;       /* one of its nodes is a reduction */
  moire_shape domain; /* of the elements that it walks over */
  int n_nodes;
  uint64_t *depends; /* bit h: group h must have run before, directly or through others */
  int merged_into;   /* -1, or the group that took this one's nodes */
} moire__fuse_group;

typedef struct moire__fuse {
  const moire_graph *g;
  bool separate; /* every node gets a kernel of its own: nothing joins, sinks or is read through a view */
  moire__arena arena;
  int *uses;      /* of every value */
  int *only_user; /* of every value with one use: the node that uses it, or -1 (an output) */
  int *group;     /* of every node: its group, -1: none (given, or computed where it is read) */
  int *sink;      /* of every node: the node into whose kernel it is computed, or -1 */
  bool *forced;   /* of every node: a view or source whose elements are wanted in a buffer */
  bool *in_rows;  /* of every element-wise node: a row reduction over the same elements needs it */
  bool epilogues; /* of products */
  moire__fuse_group *groups;
  int n_groups, words;
} moire__fuse;

/* Fills uses, only_user, forced, in_rows and sink. */
void moire__fuse_prepare(moire__fuse *f);
/* Does the node reduce over its last axis alone, of static extent? */
bool moire__fuse_is_row_reduction(const moire_graph *g, const moire__node *node);

#endif
