/* fuse: gives every node the number of the kernel that computes it.
 *
 * Nodes are taken in order. An element-wise node or a reduction over the last axis joins the kernel that
 * computes one of its operands when both walk over the same elements (the domain), and kernels that meet in
 * such a node are merged, as long as no kernel would have to run both before and after another. So a softmax, a
 * layer norm or the step of an optimizer with everything element-wise around it becomes one kernel that walks
 * over rows, and keeps a row's scalars (extent 1 on the last axis) in registers. Reductions over other axes,
 * products and the like have kernels of their own; what is done to each element of a product joins its kernel,
 * unless a row reduction waits for it. Views, constants and random masks are computed where they are read.
 *
 *   within one kernel an element is read at its own index, or as a row's scalar repeated along its row;
 *   every other way to read it (a permutation, a shifted slice) means another kernel; so does reading a bf16,
 *   which is rounded by being stored.
 *
 * Requires: primitive real ops, layout. Ensures: kernels are numbered in an order in which they can run.
 * Breaks: nothing; the text of the graph says which kernel is which.
 */
#include "compiler/pass/fuse/fuse_private.h"
#include "compiler/ir/loop/lower.h"
#include "compiler/ir/graph/rewrite.h"
#include "compiler/ir/graph/view.h"
#include "compiler/pass/pass.h"

#include <string.h>

/* Nodes of one kernel: beyond, its registers no longer fit anyway. Elements of a row that local memory may
 * hold. */
enum { MAX_NODES = 64, WIDE_ROW = 1 << 15 };

static bool bit(const uint64_t *set, int i) { return (set[i / 64] >> (i % 64)) & 1; }

static int find(const moire__fuse *f, int group) {
  while (group >= 0 && f->groups[group].merged_into >= 0) group = f->groups[group].merged_into;
  return group;
}

static int group_of_value(const moire__fuse *f, int32_t value) {
  return find(f, f->group[f->g->values[value].node]);
}

/* ---- dependences ---- */

static void add_dependence(moire__fuse *f, int group, int on) {
  if (group == on || bit(f->groups[group].depends, on)) return;
  for (int h = 0; h < f->n_groups; h++) {
    if (h != group && !bit(f->groups[h].depends, group)) continue;
    uint64_t *set = f->groups[h].depends;
    set[on / 64] |= (uint64_t)1 << (on % 64);
    for (int w = 0; w < f->words; w++) set[w] |= f->groups[on].depends[w];
  }
}

/* Called for each value with a buffer or register that a node reads, through inline views; inside_ok: at the
 * element's own index. */
typedef void visit_function(moire__fuse *f, int32_t leaf, bool inside_ok, void *context);

/* A value read at the element's own index: directly, or a row's scalar through a broadcast of the last axis. */
static bool repeats_row_scalar(const moire_graph *g, const moire__node *node) {
  if (node->op != MOIRE__OP_broadcast) return false;
  const moire_shape *from = &g->values[node->operands[0]].shape, *to = &g->values[node->first_result].shape;
  if (from->rank != to->rank || from->rank == 0 || from->dims[from->rank - 1] != 1) return false;
  return memcmp(from->dims, to->dims, (size_t)(from->rank - 1) * sizeof *from->dims) == 0;
}

static void visit_leaves(moire__fuse *f, int32_t value, bool inside_ok, visit_function *visit, void *context) {
  int node_index = f->g->values[value].node;
  const moire__node *node = &f->g->nodes[node_index];
  if (f->g->values[value].dtype == MOIRE_BF16) inside_ok = false;
  if (f->group[node_index] >= 0 || f->sink[node_index] >= 0 || !moire__is_view(node)) {
    visit(f, value, inside_ok, context);
    return;
  }
  bool ok = inside_ok && repeats_row_scalar(f->g, node);
  for (int i = 0; i < node->n_operands; i++) visit_leaves(f, node->operands[i], ok, visit, context);
}

static void visit_operands(moire__fuse *f, const moire__node *node, visit_function *visit, void *context) {
  bool view = moire__is_view(node);
  for (int i = 0; i < node->n_operands; i++) visit_leaves(f, node->operands[i], !view, visit, context);
}

/* Sunk nodes below a leaf are part of the reader's kernel: what they read counts as read by it. */
typedef struct dependences {
  int group;
} dependences;

static void depend_on_leaf(moire__fuse *f, int32_t leaf, bool inside_ok, void *context) {
  (void)inside_ok;
  dependences *d = context;
  int on = group_of_value(f, leaf);
  if (on >= 0 && on != d->group) add_dependence(f, d->group, on);
}

/* ---- joining ---- */

typedef struct check {
  int into; /* the group that the node would join */
  int from; /* the group that it is in, or -1 */
  bool possible;
} check;

static void check_leaf(moire__fuse *f, int32_t leaf, bool inside_ok, void *context) {
  check *c = context;
  int on = group_of_value(f, leaf);
  if (on < 0 || on == c->from) return;
  if (on == c->into) {
    if (!inside_ok) c->possible = false;
    return;
  }
  if (bit(f->groups[on].depends, c->into)) c->possible = false;
}

static bool shape_is_row_scalar(const moire_shape *shape, const moire_shape *domain) {
  if (shape->rank != domain->rank || shape->rank == 0 || shape->dims[shape->rank - 1] != 1) return false;
  if (domain->dims[domain->rank - 1] == 1) return false;
  return memcmp(shape->dims, domain->dims, (size_t)(shape->rank - 1) * sizeof *shape->dims) == 0;
}

/* Rows of such a domain are too long to be kept between passes over them: reductions have kernels of their own.
 */
static bool has_wide_rows(const moire_shape *domain) {
  moire_dim last = domain->rank ? domain->dims[domain->rank - 1] : 0;
  return moire__dim_is_static(last) && last > WIDE_ROW;
}

/* Products whose results are complete where they are computed: matrices of f32 that are not cut along k, nor
 * summed up in parts, in one pass. */
static bool takes_epilogue(const moire__fuse *f, const moire__node *node) {
  const moire_graph *g = f->g;
  if (!f->epilogues || (node->op != MOIRE__OP_matmul && node->op != MOIRE__OP_cmatmul)) return false;
  const moire__value_info *a = &g->values[node->operands[0]], *y = &g->values[node->first_result];
  bool whole =
      y->shape.rank == 2 && moire__dim_is_static(a->shape.dims[1]) && moire__dim_is_static(y->shape.dims[1]);
  if (moire__node_int_or(node, "triple", 0) && moire__dim_factor(a->shape.dims[1]) > MOIRE__TRIPLE_WHOLE)
    return false;
  return whole && y->dtype == MOIRE_F32 && !moire__node_int_or(node, "bf16", 0);
}

static bool fits_product(const moire__fuse *f, const moire__node *node, int group) {
  const moire__fuse_group *into = &f->groups[group];
  if (moire__op_get(node->op)->op_class != MOIRE__CLASS_POINTWISE || f->in_rows[node - f->g->nodes])
    return false;
  return moire__shape_equal(&f->g->values[node->first_result].shape, &into->domain);
}

static bool fits(const moire__fuse *f, const moire__node *node, int group) {
  const moire__fuse_group *into = &f->groups[group];
  if (into->n_nodes >= MAX_NODES) return false;
  if (into->product) return fits_product(f, node, group);
  if (!into->open) return false;
  bool reduces = moire__fuse_is_row_reduction(f->g, node);
  if (has_wide_rows(&into->domain) && (reduces || into->reduces)) return false;
  const moire_shape *shape = &f->g->values[reduces ? node->operands[0] : node->first_result].shape;
  if (moire__shape_equal(shape, &into->domain)) return true;
  return !reduces && shape_is_row_scalar(shape, &into->domain) &&
         moire__dim_is_static(into->domain.dims[into->domain.rank - 1]);
}

static bool can_join(moire__fuse *f, const moire__node *node, int group) {
  if (!fits(f, node, group)) return false;
  check c = {group, -1, true};
  visit_operands(f, node, check_leaf, &c);
  return c.possible;
}

static bool can_merge(moire__fuse *f, int a, int b) {
  if (a == b) return false;
  const moire__fuse_group *x = &f->groups[a], *y = &f->groups[b];
  if (!x->open || !y->open || x->n_nodes + y->n_nodes > MAX_NODES) return false;
  if (!moire__shape_equal(&x->domain, &y->domain)) return false;
  if (has_wide_rows(&x->domain) && (x->reduces || y->reduces)) return false;
  for (int h = 0; h < f->n_groups; h++) {
    if (h == a || h == b || f->groups[h].merged_into >= 0) continue;
    if (bit(f->groups[h].depends, a) && bit(y->depends, h)) return false;
    if (bit(f->groups[h].depends, b) && bit(x->depends, h)) return false;
  }
  for (int i = 0; i < f->g->n_nodes; i++) {
    int group = find(f, f->group[i]);
    if (group != a && group != b) continue;
    check c = {group == a ? b : a, group, true};
    const moire__node *node = &f->g->nodes[i];
    bool view = moire__is_view(node);
    for (int o = 0; o < node->n_operands && c.possible; o++) {
      visit_leaves(f, node->operands[o], !view, check_leaf, &c);
    }
    if (!c.possible) return false;
  }
  return true;
}

static void merge(moire__fuse *f, int into, int from) {
  f->groups[from].merged_into = into;
  f->groups[into].n_nodes += f->groups[from].n_nodes;
  f->groups[into].reduces = f->groups[into].reduces || f->groups[from].reduces;
  for (int h = 0; h < f->n_groups; h++) {
    uint64_t *set = f->groups[h].depends;
    if (bit(set, from)) {
      set[from / 64] &= ~((uint64_t)1 << (from % 64));
      if (h != into) set[into / 64] |= (uint64_t)1 << (into % 64);
    }
  }
  uint64_t *set = f->groups[into].depends;
  for (int w = 0; w < f->words; w++) set[w] |= f->groups[from].depends[w];
  set[into / 64] &= ~((uint64_t)1 << (into % 64));
  set[from / 64] &= ~((uint64_t)1 << (from % 64));
  for (int h = 0; h < f->n_groups; h++) {
    if (h == into || !bit(f->groups[h].depends, into)) continue;
    for (int w = 0; w < f->words; w++) f->groups[h].depends[w] |= set[w];
  }
}

static int new_group(moire__fuse *f, bool open, const moire_shape *domain) {
  f->groups[f->n_groups] = (moire__fuse_group){.open = open, .domain = *domain, .merged_into = -1};
  f->groups[f->n_groups].depends = moire__arena_array(&f->arena, (size_t)f->words, sizeof(uint64_t));
  return f->n_groups++;
}

typedef struct candidates {
  int groups[MOIRE__MAX_OPERANDS], n;
} candidates;

static void collect_candidate(moire__fuse *f, int32_t leaf, bool inside_ok, void *context) {
  candidates *c = context;
  int group = group_of_value(f, leaf);
  if (group < 0 || !inside_ok || c->n == MOIRE__MAX_OPERANDS) return;
  for (int i = 0; i < c->n; i++) {
    if (c->groups[i] == group) return;
  }
  c->groups[c->n++] = group;
}

/* Joins the latest operand's kernel that takes the node, and merges the others into it where that is possible.
 */
static int join(moire__fuse *f, const moire__node *node) {
  candidates c = {.n = 0};
  visit_operands(f, node, collect_candidate, &c);
  for (;;) {
    int best = -1;
    for (int i = 0; i < c.n; i++) {
      int group = find(f, c.groups[i]);
      if (can_join(f, node, group) && group > best) best = group;
    }
    if (best >= 0) return best;
    int merged = 0;
    for (int i = 0; i < c.n && !merged; i++) {
      for (int j = 0; j < i && !merged; j++) {
        int a = find(f, c.groups[i]), b = find(f, c.groups[j]);
        if (fits(f, node, a) && can_merge(f, a, b)) {
          merge(f, a > b ? a : b, a > b ? b : a);
          merged = 1;
        }
      }
    }
    if (!merged) return -1;
  }
}

static void merge_operands(moire__fuse *f, const moire__node *node, int group) {
  candidates c = {.n = 0};
  visit_operands(f, node, collect_candidate, &c);
  for (int i = 0; i < c.n; i++) {
    int other = find(f, c.groups[i]);
    if (other != group && can_merge(f, group, other)) merge(f, group, other);
  }
}

static void place(moire__fuse *f, int i) {
  const moire__node *node = &f->g->nodes[i];
  const moire__op_info *op = moire__op_get(node->op);
  bool row = op->op_class == MOIRE__CLASS_POINTWISE || moire__fuse_is_row_reduction(f->g, node);
  int group = -1;
  if (row) {
    if (!f->separate) group = join(f, node);
    const moire_shape *domain =
        &f->g->values[op->op_class == MOIRE__CLASS_POINTWISE ? node->first_result : node->operands[0]].shape;
    if (group < 0) group = new_group(f, !f->separate, domain);
  } else {
    group = new_group(f, false, &f->g->values[node->first_result].shape);
    f->groups[group].product = takes_epilogue(f, node);
  }
  f->group[i] = group;
  f->groups[group].n_nodes++;
  f->groups[group].reduces = f->groups[group].reduces || op->op_class == MOIRE__CLASS_REDUCE;
  dependences d = {group};
  visit_operands(f, node, depend_on_leaf, &d);
  if (row && !f->separate) merge_operands(f, node, group);
}

/* A sunk node belongs to its sink's group, and the group depends on what the node reads. */
static void place_sunk(moire__fuse *f, int sink) {
  for (int i = sink - 1; i >= 0; i--) {
    if (f->sink[i] != sink) continue;
    f->group[i] = f->group[sink];
    dependences d = {f->group[sink]};
    visit_operands(f, &f->g->nodes[i], depend_on_leaf, &d);
  }
}

/* ---- numbering ---- */

static void number_groups(moire__fuse *f, int *number) {
  int next = 0;
  uint64_t *waiting = moire__arena_array(&f->arena, (size_t)f->words, sizeof *waiting);
  for (int h = 0; h < f->n_groups; h++) {
    if (f->groups[h].merged_into < 0) waiting[h / 64] |= (uint64_t)1 << (h % 64);
  }
  for (bool progress = true; progress;) {
    progress = false;
    for (int h = 0; h < f->n_groups; h++) {
      if (!bit(waiting, h)) continue;
      uint64_t on = 0;
      for (int w = 0; w < f->words && !on; w++) on = f->groups[h].depends[w] & waiting[w];
      if (on) continue;
      number[h] = next++;
      waiting[h / 64] &= ~((uint64_t)1 << (h % 64));
      progress = true;
    }
  }
}

moire_graph *moire__pass_fuse(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  moire__fuse f = {.g = g, .separate = goal->off >> MOIRE_OPTIMIZATION_fuse & 1};
  f.epilogues = !(goal->off >> MOIRE_OPTIMIZATION_epilogue & 1);
  moire__fuse_prepare(&f);
  f.words = g->n_nodes / 64 + 1;
  f.group = moire__arena_array(&f.arena, (size_t)g->n_nodes, sizeof *f.group);
  f.groups = moire__arena_array(&f.arena, (size_t)g->n_nodes + 1, sizeof *f.groups);
  for (int i = 0; i < g->n_nodes; i++) f.group[i] = -1;
  for (int i = 0; i < g->n_nodes; i++) {
    moire__op_class class = moire__op_get(g->nodes[i].op)->op_class;
    bool inlined = (class == MOIRE__CLASS_SOURCE || class == MOIRE__CLASS_VIEW) && !f.forced[i];
    if (inlined || f.sink[i] >= 0) continue;
    place(&f, i);
    place_sunk(&f, i);
  }
  int *number = moire__arena_array(&f.arena, (size_t)f.n_groups + 1, sizeof *number);
  number_groups(&f, number);
  moire__rewrite r = moire__rewrite_begin(g);
  for (int i = 0; i < g->n_nodes; i++) {
    moire__rewrite_clone(&r, &g->nodes[i]);
    int group = find(&f, f.group[i]);
    if (r.to->n_nodes) r.to->nodes[r.to->n_nodes - 1].kernel = group < 0 ? -1 : number[group];
  }
  moire__arena_free(&f.arena);
  return moire__rewrite_finish(&r, error);
}
