/* Sums by a fixed binary tree: node (level, index) is the sum of leaves [index 2^level, (index + 1) 2^level),
 * the left half plus the right one. So the bits of a sum depend on its leaves alone, and not on who makes which
 * part of it: subtrees that were made elsewhere are pushed like leaves.
 *
 *   moire__tree_push(&tree, (moire__tree_node){0, leaf, values});    // in the order of leaves, none left out
 *   ...
 *   tree.nodes[0].values                                              // once all leaves of the root are there
 *
 * A leaf that is not there adds nothing, not even a zero. */
#ifndef MOIRE_RUNTIME_TRAIN_TREE_H
#define MOIRE_RUNTIME_TRAIN_TREE_H

#include "moire/run.h"

enum { MOIRE__TREE_LEVELS = 16, MOIRE__TREE_NODES = 2 * MOIRE__TREE_LEVELS };

typedef struct moire__tree_node {
  int level;
  int64_t index;
  float *values; /* NULL: none of its leaves is there */
} moire__tree_node;

/* Zero-initialise; set elements and threads. Values are the caller's. */
typedef struct moire__tree {
  int64_t elements;       /* of each node's values */
  moire_threads *threads; /* that add */
  moire__tree_node nodes[MOIRE__TREE_NODES];
  int n;
  float *free[MOIRE__TREE_NODES]; /* values of nodes that have been added to others */
  int n_free;
} moire__tree;

/* Takes the next node, whose leaves begin where those of the last one end, and adds what forms larger nodes:
 * the sum is in the left one's values, those of the right one go to `free`. */
void moire__tree_push(moire__tree *tree, moire__tree_node node);

/* The fewest nodes that leaves [begin, end) make, in order; at most MOIRE__TREE_NODES. Their values are NULL.
 */
int moire__tree_cover(int64_t begin, int64_t end, moire__tree_node *nodes);

/* The level of the root over leaves [0, n). */
int moire__tree_height(int64_t n);

#endif
