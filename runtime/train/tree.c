/* Sums by a fixed binary tree. See tree.h. */
#include "runtime/train/tree.h"

typedef struct addition {
  float *to;
  const float *from;
  int64_t n;
} addition;

enum { PIECE = 8192 };

static void add_pieces(void *context, int64_t begin, int64_t end) {
  const addition *a = context;
  int64_t last = end * PIECE < a->n ? end * PIECE : a->n;
  float *to = a->to;
  const float *from = a->from;
  for (int64_t i = begin * PIECE; i < last; i++) to[i] += from[i];
}

static void add(moire__tree *tree, float *to, const float *from) {
  addition a = {to, from, tree->elements};
  moire_threads_run(tree->threads, (a.n + PIECE - 1) / PIECE, add_pieces, &a);
}

/* Adds the last node to the one before, its sibling. */
static void join(moire__tree *tree) {
  moire__tree_node *left = &tree->nodes[tree->n - 2], *right = &tree->nodes[tree->n - 1];
  if (left->values && right->values) {
    add(tree, left->values, right->values);
    tree->free[tree->n_free++] = right->values;
  } else if (right->values) {
    left->values = right->values;
  }
  left->level++;
  left->index /= 2;
  tree->n--;
}

void moire__tree_push(moire__tree *tree, moire__tree_node node) {
  tree->nodes[tree->n++] = node;
  while (tree->n > 1) {
    const moire__tree_node *left = &tree->nodes[tree->n - 2], *right = &tree->nodes[tree->n - 1];
    if (left->level != right->level || left->index % 2 || left->index + 1 != right->index) return;
    join(tree);
  }
}

int moire__tree_cover(int64_t begin, int64_t end, moire__tree_node *nodes) {
  int n = 0;
  while (begin < end) {
    int level = 0;
    while (begin % ((int64_t)2 << level) == 0 && begin + ((int64_t)2 << level) <= end) level++;
    nodes[n++] = (moire__tree_node){.level = level, .index = begin >> level};
    begin += (int64_t)1 << level;
  }
  return n;
}

int moire__tree_height(int64_t n) {
  int level = 0;
  while ((int64_t)1 << level < n) level++;
  return level;
}
