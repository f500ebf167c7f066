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
#include "compiler/pass/walk.h"
#include "compiler/ir/graph/view.h"
#include "compiler/pass/pass.h"

#include <string.h>

/* Nodes of one kernel: beyond, its registers no longer fit anyway. Elements of a row that local memory may
 * hold. */
enum { MAX_NODES = 64, WIDE_ROW = 1 << 15 };

static int group_of_value(moire__fuse *f, int32_t value) {
  return moire__fuse_find(f, f->group[f->g->values[value].node]);
}

/* ---- dependences ---- */

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
  if (on >= 0) moire__fuse_depend(f, d->group, on);
}

/* ---- joining ---- */

typedef struct check {
  int into; /* the group that the node would join */
  bool possible;
} check;

static void check_leaf(moire__fuse *f, int32_t leaf, bool inside_ok, void *context) {
  check *c = context;
  int on = c->possible ? group_of_value(f, leaf) : -1;
  if (on < 0) return;
  c->possible = on == c->into ? inside_ok : !moire__fuse_depends(f, on, c->into);
}

/* Of a node of another group: may it read the leaf in the kernel of `into`? */
static void check_inside(moire__fuse *f, int32_t leaf, bool inside_ok, void *context) {
  check *c = context;
  if (!inside_ok && group_of_value(f, leaf) == c->into) c->possible = false;
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

/* Products whose results are complete where they are computed: convolutions, and matrices of f32 that are not
 * cut along k, nor summed up in parts, in one pass. */
static bool takes_epilogue(const moire__fuse *f, const moire__node *node) {
  const moire_graph *g = f->g;
  if (f->epilogues && (node->op == MOIRE__OP_correlate || node->op == MOIRE__OP_windows_ifft)) return true;
  if (!f->epilogues || (node->op != MOIRE__OP_matmul && node->op != MOIRE__OP_cmatmul)) return false;
  const moire__value_info *a = &g->values[node->operands[0]], *y = &g->values[node->first_result];
  bool whole =
      y->shape.rank == 2 && moire__dim_is_static(a->shape.dims[1]) && moire__dim_is_static(y->shape.dims[1]);
  bool parts = moire__node_int_or(node, "triple", 0) || moire__node_int_or(node, "blocks", 0);
  if (parts && moire__dim_factor(a->shape.dims[1]) > MOIRE__PRODUCT_WHOLE) return false;
  return whole && y->dtype == MOIRE_F32 && (parts || !moire__node_int_or(node, "bf16", 0));
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
  check c = {group, true};
  visit_operands(f, node, check_leaf, &c);
  return c.possible;
}

static bool can_merge(moire__fuse *f, int a, int b) {
  if (a == b) return false;
  const moire__fuse_group *x = &f->groups[a], *y = &f->groups[b];
  if (!x->open || !y->open || x->n_nodes + y->n_nodes > MAX_NODES) return false;
  if (!moire__shape_equal(&x->domain, &y->domain)) return false;
  if (has_wide_rows(&x->domain) && (x->reduces || y->reduces)) return false;
  bool a_on_b = false, b_on_a = false;
  if (moire__fuse_depends_around(f, a, b, &a_on_b) || moire__fuse_depends_around(f, b, a, &b_on_a))
    return false;
  if (!a_on_b && !b_on_a) return true;
  check c = {a_on_b ? b : a, true};
  for (int i = a_on_b ? x->first : y->first; i >= 0 && c.possible; i = f->next[i])
    visit_operands(f, &f->g->nodes[i], check_inside, &c);
  return c.possible;
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
      int group = moire__fuse_find(f, c.groups[i]);
      if (can_join(f, node, group) && group > best) best = group;
    }
    if (best >= 0) return best;
    int merged = 0;
    for (int i = 0; i < c.n && !merged; i++) {
      for (int j = 0; j < i && !merged; j++) {
        int a = moire__fuse_find(f, c.groups[i]), b = moire__fuse_find(f, c.groups[j]);
        if (fits(f, node, a) && can_merge(f, a, b)) {
          moire__fuse_merge(f, a > b ? a : b, a > b ? b : a);
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
    int other = moire__fuse_find(f, c.groups[i]);
    if (other != group && can_merge(f, group, other)) moire__fuse_merge(f, group, other);
  }
}

/* Readers of a value whose place the node takes, which all stand before it, must have run. */
typedef struct readers {
  const moire__node *taker;
  int group, reader;
} readers;

static void wait_for_reader(moire__fuse *f, int32_t leaf, bool inside_ok, void *context) {
  (void)inside_ok;
  const readers *r = context;
  for (int i = 0; i < r->taker->n_results; i++) {
    if (r->taker->operands[i] == leaf) moire__fuse_depend(f, r->group, moire__fuse_find(f, r->reader));
  }
}

static void wait_for_readers(moire__fuse *f, int i, int group) {
  for (int n = 0; n < i; n++) {
    readers r = {&f->g->nodes[i], group, f->group[n]};
    if (r.reader >= 0) visit_operands(f, &f->g->nodes[n], wait_for_reader, &r);
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
    if (group < 0) group = moire__fuse_new_group(f, !f->separate, domain);
  } else {
    group = moire__fuse_new_group(f, false, &f->g->values[node->first_result].shape);
    f->groups[group].product = takes_epilogue(f, node);
  }
  moire__fuse_add_node(f, group, i);
  f->groups[group].n_nodes++;
  f->groups[group].reduces = f->groups[group].reduces || op->op_class == MOIRE__CLASS_REDUCE;
  dependences d = {group};
  visit_operands(f, node, depend_on_leaf, &d);
  if (moire__takes_places(node)) wait_for_readers(f, i, group);
  if (row && !f->separate) merge_operands(f, node, group);
}

/* A sunk node belongs to its sink's group, and the group depends on what the node reads. */
static void place_sunk(moire__fuse *f, int sink) {
  for (int i = f->sunk[sink]; i >= 0; i = f->sunk_next[i]) {
    moire__fuse_add_node(f, f->group[sink], i);
    dependences d = {f->group[sink]};
    visit_operands(f, &f->g->nodes[i], depend_on_leaf, &d);
  }
}

static void prepare_groups(moire__fuse *f) {
  int n = f->g->n_nodes;
  int **const by_node[] = {&f->group, &f->next, &f->sunk, &f->sunk_next, &f->stamps, &f->open};
  enum { ARRAYS = sizeof by_node / sizeof *by_node };
  for (int a = 0; a < ARRAYS; a++) *by_node[a] = moire__arena_array(&f->arena, (size_t)n + 1, sizeof(int));
  f->met = moire__arena_array(&f->arena, (size_t)n + 1, sizeof *f->met);
  f->groups = moire__arena_array(&f->arena, (size_t)n + 1, sizeof *f->groups);
  moire__fuse_begin_line(f, n);
  for (int i = 0; i < n; i++) f->group[i] = f->sunk[i] = f->sunk_next[i] = -1;
  for (int i = 0; i < n; i++) {
    int sink = f->sink[i];
    if (sink < 0) continue;
    f->sunk_next[i] = f->sunk[sink];
    f->sunk[sink] = i;
  }
}

moire_graph *moire__pass_fuse(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  moire__fuse f = {.g = g, .separate = goal->off >> MOIRE_OPTIMIZATION_fuse & 1};
  f.epilogues = !(goal->off >> MOIRE_OPTIMIZATION_epilogue & 1);
  moire__fuse_prepare(&f);
  prepare_groups(&f);
  for (int i = 0; i < g->n_nodes; i++) {
    moire__op_class class = moire__op_get(g->nodes[i].op)->op_class;
    bool inlined = (class == MOIRE__CLASS_SOURCE || class == MOIRE__CLASS_VIEW) && !f.forced[i];
    if (inlined || f.sink[i] >= 0) continue;
    place(&f, i);
    place_sunk(&f, i);
  }
  int *number = moire__arena_array(&f.arena, (size_t)f.n_groups + 1, sizeof *number);
  moire__fuse_number(&f, number);
  moire__rewrite r = moire__rewrite_begin(g);
  for (int i = 0; i < g->n_nodes; i++) {
    moire__rewrite_clone(&r, &g->nodes[i]);
    int group = moire__fuse_find(&f, f.group[i]);
    if (r.to->n_nodes) r.to->nodes[r.to->n_nodes - 1].kernel = group < 0 ? -1 : number[group];
  }
  moire__arena_free(&f.arena);
  return moire__rewrite_finish(&r, error);
}
