/* fix: named extents that are known become numbers.
 *
 * A program of one size can be made better than one of any: products of a single row read their weights as they
 * lie. The extents keep their numbers and names, since others stand behind them.
 *
 * requires: select; the goal's extents are the graph's
 * ensures: no shape and no attribute has a named extent that the goal gives a number for
 */
#include "compiler/pass/walk.h"

#include <string.h>

typedef struct fix {
  const moire_graph *g;
  moire__rewrite r;
  moire__arena arena;
  const moire__goal *goal;
  int64_t sizes[MOIRE_MAX_EXTENTS + 1]; /* of extents by number; -1: it stays */
} fix;

static moire_dim fixed(const fix *f, moire_dim d) {
  int64_t factor = moire__dim_factor(d);
  moire_dim product = 1;
  for (int i = 0; moire__dim_extent(d, i); i++) {
    int extent = moire__dim_extent(d, i);
    if (f->sizes[extent] >= 0)
      factor *= f->sizes[extent];
    else
      moire__dim_multiply(product, moire__dim_make(1, extent), &product);
  }
  return moire__dim_make(factor, moire__dim_extents(product));
}

static moire__attr fixed_attr(fix *f, moire__attr attr) {
  if (attr.kind != MOIRE__ATTR_DIMS) return attr;
  int64_t *dims = moire__arena_array(&f->arena, (size_t)attr.n_ints + 1, sizeof *dims);
  for (int i = 0; i < attr.n_ints; i++) dims[i] = fixed(f, attr.ints[i]);
  attr.ints = dims;
  return attr;
}

static void clone(fix *f, const moire__node *node) {
  moire__node copy = *node;
  moire__attr *attrs = moire__arena_array(&f->arena, (size_t)node->n_attrs + 1, sizeof *attrs);
  for (int i = 0; i < node->n_attrs; i++) attrs[i] = fixed_attr(f, node->attrs[i]);
  copy.attrs = attrs;
  moire__rewrite_clone(&f->r, &copy);
}

static moire_status find_sizes(fix *f, moire_error *error) {
  for (int e = 0; e <= MOIRE_MAX_EXTENTS; e++) f->sizes[e] = -1;
  for (int i = 0; i < f->goal->n_fixed; i++) {
    const moire_fixed_extent *wanted = &f->goal->fixed[i];
    int extent = 1;
    while (extent <= f->g->n_extents && strcmp(f->g->extents[extent], wanted->name) != 0) extent++;
    if (wanted->size < 0)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "extent %s: wanted 0 or more, but %lld came", wanted->name,
                        (long long)wanted->size);
    if (extent <= f->g->n_extents) f->sizes[extent] = wanted->size; /* else nothing that is asked for has it */
  }
  return MOIRE_OK;
}

moire_graph *moire__pass_fix(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  fix f = {.g = g, .goal = goal};
  if (find_sizes(&f, error)) return NULL;
  f.r = moire__rewrite_begin(g);
  for (int n = 0; n < g->n_nodes; n++) clone(&f, &g->nodes[n]);
  moire_graph *done = moire__rewrite_finish(&f.r, error);
  moire__arena_free(&f.arena);
  return done;
}
