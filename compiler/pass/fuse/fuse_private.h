/* What the files of the fusion pass share: groups of nodes that become one kernel. */
#ifndef MOIRE_COMPILER_PASS_FUSE_FUSE_PRIVATE_H
#define MOIRE_COMPILER_PASS_FUSE_FUSE_PRIVATE_H

#include "compiler/ir/graph/graph.h"
#include "compiler/ir/op.h"

typedef struct moire__fuse_group {
  bool open;           /* element-wise and row nodes may join */
  bool product;        /* element-wise nodes may join that no row reduction waits for */
  bool reduces;        /* one of its nodes is a reduction */
  moire_shape domain;  /* of the elements that it walks over */
  int n_nodes;         /* that decide about its size: without sunk ones */
  int first, last;     /* of its nodes: see moire__fuse.next */
  int *on, n_on, room; /* groups that must have run before; others through these */
  int before, after;   /* its neighbours in the line: what it depends on stands before it */
  uint64_t label;      /* ascends along the line */
  int merged_into;     /* -1, or the group that took this one's nodes */
} moire__fuse_group;

typedef struct moire__fuse_met {
  uint64_t label;
  int group;
} moire__fuse_met;

typedef struct moire__fuse {
  const moire_graph *g;
  bool separate; /* every node gets a kernel of its own: nothing joins, sinks or is read through a view */
  moire__arena arena;
  int *uses;      /* of every value */
  int *only_user; /* of every value with one use: the node that uses it, or -1 (an output) */
  int *group;     /* of every node: its group, -1: none (given, or computed where it is read) */
  int *sink;      /* of every node: the node into whose kernel it is computed, or -1 */
  bool *forced;   /* of every node: a view or source whose elements are wanted in a buffer */
  bool *replaced; /* of every value: a result of an op takes its place (IN_PLACE) */
  bool *in_rows;  /* of every element-wise node: a row reduction over the same elements needs it */
  bool epilogues; /* of products */
  int *next;      /* of every node: the next one of its group, or -1 */
  int *sunk;      /* of every node: the last one that is computed in its kernel (see sink), or -1 */
  int *sunk_next; /* of every sunk node: the one before it, or -1 */
  moire__fuse_group *groups;
  int n_groups;
  int line;           /* a group that is none: the beginning and the end of the line */
  int *stamps, stamp; /* by group: the search that met it last */
  int *open;          /* groups, for a search */
  moire__fuse_met *met;
} moire__fuse;

/* Fills uses, only_user, forced, in_rows and sink. */
void moire__fuse_prepare(moire__fuse *f);

/* The group that a group has become; -1 for -1. */
int moire__fuse_find(moire__fuse *f, int group);
/* `end`: a number beyond those of all groups. */
void moire__fuse_begin_line(moire__fuse *f, int end);
int moire__fuse_new_group(moire__fuse *f, bool open, const moire_shape *domain);
void moire__fuse_add_node(moire__fuse *f, int group, int node);
/* Has the group depend on another one, which must not depend on it. */
void moire__fuse_depend(moire__fuse *f, int group, int on);
/* Does one group depend on another, directly or through others? True for the same one, and where they are so
 * far apart that nobody looks. */
bool moire__fuse_depends(moire__fuse *f, int group, int on);
/* Does it through a third one? `directly`: it depends on it directly, too. */
bool moire__fuse_depends_around(moire__fuse *f, int group, int on, bool *directly);
/* Neither may depend on the other through a third one. */
void moire__fuse_merge(moire__fuse *f, int into, int from);
/* Numbers, by group, in an order in which they can run. */
void moire__fuse_number(moire__fuse *f, int *number);

/* Does the node reduce over its last axis alone, of static extent? */
bool moire__fuse_is_row_reduction(const moire_graph *g, const moire__node *node);

#endif
