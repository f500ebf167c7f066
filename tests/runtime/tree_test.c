/* The tree: the bits of a sum do not depend on who makes which part, and absent leaves add nothing. */
#include <criterion/criterion.h>

#include "runtime/base/memory.h"
#include "runtime/train/tree.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 3 };

static void fill(float *values, int64_t leaf) {
  for (int i = 0; i < WIDTH; i++)
    values[i] = (float)((leaf * 7919 + i * 104729) % 1000 - 500) * 1.37e-3f + (leaf % 5 ? 0.0f : 4096.0f);
}

/* The sum as its definition says. */
static bool sum_of(int level, int64_t index, int64_t n, const bool *there, float *out) {
  if (!level) {
    if (index >= n || !there[index]) return false;
    fill(out, index);
    return true;
  }
  float right[WIDTH];
  bool has_left = sum_of(level - 1, 2 * index, n, there, out);
  bool has_right = sum_of(level - 1, 2 * index + 1, n, there, right);
  for (int i = 0; i < WIDTH && has_right; i++) out[i] = has_left ? out[i] + right[i] : right[i];
  return has_left || has_right;
}

/* Leaves [begin, end) of n, pushed in order. */
static moire__tree make_part(moire_threads *threads, int64_t begin, int64_t end, const bool *there,
                             moire__arena *arena) {
  moire__tree tree = {.elements = WIDTH, .threads = threads};
  for (int64_t leaf = begin; leaf < end; leaf++) {
    float *values = there[leaf] ? moire__arena_array(arena, WIDTH, sizeof *values) : NULL;
    if (values) fill(values, leaf);
    moire__tree_push(&tree, (moire__tree_node){0, leaf, values});
    tree.n_free = 0;
  }
  return tree;
}

Test(tree, any_parts_make_the_same_sum) {
  moire_error error = {0};
  moire_threads *threads = moire_threads_create(1, &error);
  srand(5);
  for (int64_t n = 1; n <= 37; n++) {
    for (int parts = 1; parts <= n; parts++) {
      moire__arena arena = {0};
      bool there[40];
      for (int64_t i = 0; i < n; i++) there[i] = parts % 3 || rand() % 4 > 0;
      moire__tree whole = {.elements = WIDTH, .threads = threads};
      for (int p = 0; p < parts; p++) {
        int64_t begin = n * p / parts, end = n * (p + 1) / parts;
        moire__tree part = make_part(threads, begin, end, there, &arena);
        moire__tree_node cover[MOIRE__TREE_NODES];
        cr_assert_eq(moire__tree_cover(begin, end, cover), part.n);
        for (int i = 0; i < part.n; i++) {
          cr_assert_eq(cover[i].level, part.nodes[i].level);
          cr_assert_eq(cover[i].index, part.nodes[i].index);
          moire__tree_push(&whole, part.nodes[i]);
          whole.n_free = 0;
        }
      }
      int height = moire__tree_height(n);
      for (int64_t leaf = n; leaf < (int64_t)1 << height; leaf++) {
        moire__tree_push(&whole, (moire__tree_node){0, leaf, NULL});
        whole.n_free = 0;
      }
      cr_assert_eq(whole.n, 1);
      cr_assert_eq(whole.nodes[0].level, height);
      float wanted[WIDTH];
      bool any = sum_of(height, 0, n, there, wanted);
      cr_assert_eq(whole.nodes[0].values != NULL, any);
      if (any)
        cr_assert_eq(memcmp(whole.nodes[0].values, wanted, sizeof wanted), 0, "%d parts of %d", parts, (int)n);
      moire__arena_free(&arena);
    }
  }
  moire_threads_destroy(threads);
}
