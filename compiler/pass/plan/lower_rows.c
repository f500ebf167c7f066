/* Kernels of element-wise nodes and row reductions: a loop over rows, and in it passes over the row.
 *
 * Pass k of a row computes the elements whose operands are known once the reductions of passes before k are
 * complete; the reductions of pass k take its elements in. Between passes a row's scalars are computed once. An
 * element that a later pass needs is kept in a local row, so nothing is computed twice:
 *
 *   softmax:  pass 0  m = max x      pass 1  e = exp(x - m), s = sum e     pass 2  y = e / s
 *
 * A kernel without reductions whose reads are all at the element's own offset walks over the flat array
 * instead. Stores come last in a pass, so that a state may be replaced where it stands.
 */
#include "compiler/pass/plan/lower_private.h"

#include <string.h>

enum { PIECE = 8192, MAX_PASSES = 64, MASK_LANES = 64 }; /* PIECE: elements of one parallel piece */

typedef struct rows {
  moire__lowering *l;
  const moire__group *group;
  moire_shape domain;
  int column_axis; /* the axis that a pass walks along; -1 for a scalar */
  bool has_reductions;
  moire__row_tables of; /* every value */
  moire__index row;     /* of a row's scalar */
  int n_passes;
} rows;

static const moire__node *node_at(const rows *r, int i) { return &r->l->g->nodes[r->group->nodes[i]]; }

static bool is_reduction(const moire__node *node) {
  return moire__op_get(node->op)->op_class == MOIRE__CLASS_REDUCE;
}

/* The value of the group that an operand stands for: itself, or the scalar below a broadcast; 0: none. */
static int32_t member_below(const rows *r, int32_t value) {
  const moire_graph *g = r->l->g;
  for (;;) {
    if (r->of.member[value]) return value;
    const moire__node *node = moire__node_of(g, value);
    if (node->op != MOIRE__OP_broadcast || node->kernel >= 0) return 0;
    value = node->operands[0];
  }
}

static void find_domain(rows *r) {
  const moire_graph *g = r->l->g;
  for (int i = 0; i < r->group->n_nodes; i++) {
    const moire__node *node = node_at(r, i);
    if (!is_reduction(node)) continue;
    r->has_reductions = true;
    r->domain = g->values[node->operands[0]].shape;
  }
  if (!r->has_reductions) r->domain = g->values[node_at(r, 0)->first_result].shape;
  r->column_axis = r->domain.rank - 1;
  while (!r->has_reductions && r->column_axis > 0 && r->domain.dims[r->column_axis] == 1) r->column_axis--;
}

static void find_passes(rows *r) {
  const moire_graph *g = r->l->g;
  for (int i = 0; i < r->group->n_nodes; i++) {
    const moire__node *node = node_at(r, i);
    int32_t v = node->first_result;
    int pass = 0;
    for (int o = 0; o < node->n_operands; o++) {
      int32_t below = member_below(r, node->operands[o]);
      if (below && r->of.pass[below] > pass) pass = r->of.pass[below];
    }
    r->of.pass[v] = is_reduction(node) ? pass + 1 : pass;
    r->of.is_scalar[v] = is_reduction(node) || !moire__shape_equal(&g->values[v].shape, &r->domain);
    if (pass + 1 > r->n_passes) r->n_passes = pass + 1;
    if (r->of.pass[v] + 1 > r->n_passes && r->of.is_scalar[v]) r->n_passes = r->of.pass[v] + 1;
  }
  for (int i = 0; i < r->group->n_nodes; i++) {
    const moire__node *node = node_at(r, i);
    int reader = is_reduction(node) ? r->of.pass[node->first_result] - 1 : r->of.pass[node->first_result];
    for (int o = 0; o < node->n_operands; o++) {
      int32_t below = member_below(r, node->operands[o]);
      if (below && !r->of.is_scalar[below] && r->of.pass[below] < reader) r->of.kept[below] = true;
    }
  }
}

static moire_dim rows_of(const rows *r) {
  moire_dim count = 1;
  for (int d = 0; d < r->column_axis; d++) moire__dim_multiply(count, r->domain.dims[d], &count);
  return count;
}

static moire_dim columns_of(const rows *r) { return r->domain.rank ? r->domain.dims[r->column_axis] : 1; }

/* Is the value a random mask that is computed where it is read? */
static bool shows_mask(const moire_graph *g, int32_t value) {
  const moire__node *node = moire__node_of(g, value);
  if (node->kernel >= 0) return false;
  if (node->op == MOIRE__OP_random_mask || node->op == MOIRE__OP_random_word) return true;
  return moire__is_view(node) && shows_mask(g, node->operands[0]);
}

/* Blocks of random words are shared among 64 elements in a row. */
static int lanes_for(const rows *r, moire_dim columns) {
  const moire_graph *g = r->l->g;
  int lanes = r->l->target.lanes;
  bool masked = false;
  for (int i = 0; i < r->group->n_nodes; i++) {
    const moire__node *node = node_at(r, i);
    for (int o = 0; o < node->n_operands; o++) masked = masked || shows_mask(g, node->operands[o]);
  }
  if (masked && moire__dim_factor(columns) % MASK_LANES == 0) return MASK_LANES;
  bool short_row = moire__dim_is_static(columns) && columns <= lanes;
  return short_row ? lanes : lanes * 2;
}

/* ---- one pass over the columns ---- */

static void keep_elements(rows *r, int pass, moire__loop_value column) {
  moire__lowering *l = r->l;
  for (int i = 0; i < r->group->n_nodes; i++) {
    int32_t v = node_at(r, i)->first_result;
    if (r->of.is_scalar[v] || r->of.pass[v] != pass) continue;
    if (!r->of.kept[v]) continue;
    moire_source before = moire__lower_serve(l, node_at(r, i));
    moire__loop_store(&l->builder, r->of.local[v], column, l->registers[v]);
    l->builder.at = before;
  }
}

static void store_elements(rows *r, int pass, moire__index *index) {
  moire__lowering *l = r->l;
  for (int i = 0; i < r->group->n_nodes; i++) {
    int32_t v = node_at(r, i)->first_result;
    if (r->of.is_scalar[v] || r->of.pass[v] != pass || !r->group->stored[v]) continue;
    int32_t where = r->group->in_place[v] ? r->group->in_place[v] : v;
    moire_source before = moire__lower_serve(l, node_at(r, i));
    moire__lower_write(l, where, moire__lower_index_linear(l, index), l->registers[v]);
    l->builder.at = before;
  }
}

static void load_kept(rows *r, const moire__node *node, int pass, moire__loop_value column) {
  moire__lowering *l = r->l;
  for (int o = 0; o < node->n_operands; o++) {
    int32_t below = member_below(r, node->operands[o]);
    if (!below || r->of.is_scalar[below] || r->of.pass[below] >= pass || l->registers[below]) continue;
    l->registers[below] = moire__loop_load(&l->builder, r->of.local[below], column);
  }
}

static void compute_columns(rows *r, int pass, moire__index *index, moire__loop_value column) {
  moire__lowering *l = r->l;
  for (int i = 0; i < r->group->n_nodes; i++) {
    const moire__node *node = node_at(r, i);
    int32_t v = node->first_result;
    moire_source before = moire__lower_serve(l, node);
    if (is_reduction(node) && r->of.pass[v] == pass + 1) {
      load_kept(r, node, pass, column);
      moire__loop_value element = moire__lower_read(l, node->operands[0], index);
      moire__loop_reduce(&l->builder, r->of.var[v], moire__reduction_of(node).combine, element);
    } else if (!is_reduction(node) && !r->of.is_scalar[v] && r->of.pass[v] == pass) {
      load_kept(r, node, pass, column);
      l->registers[v] = moire__lower_compute(l, v, index);
    }
    l->builder.at = before;
  }
}

static void forget_columns(rows *r) {
  for (int i = 0; i < r->group->n_nodes; i++) {
    int32_t v = node_at(r, i)->first_result;
    if (!r->of.is_scalar[v]) r->l->registers[v] = 0;
  }
}

static bool pass_has_columns(const rows *r, int pass) {
  for (int i = 0; i < r->group->n_nodes; i++) {
    const moire__node *node = node_at(r, i);
    int32_t v = node->first_result;
    if (is_reduction(node) ? r->of.pass[v] == pass + 1 : !r->of.is_scalar[v] && r->of.pass[v] == pass)
      return true;
  }
  return false;
}

static void declare_reductions(rows *r, int pass) {
  moire__loop_builder *b = &r->l->builder;
  for (int i = 0; i < r->group->n_nodes; i++) {
    const moire__node *node = node_at(r, i);
    int32_t v = node->first_result;
    if (!is_reduction(node) || r->of.pass[v] != pass + 1) continue;
    moire__loop_type type = moire__loop_type_from_dtype(r->l->g->values[v].dtype);
    moire_source before = moire__lower_serve(r->l, node);
    r->of.var[v] = moire__loop_declare(b, moire__loop_const(b, type, moire__reduction_of(node).start));
    b->at = before;
  }
}

/* A row's scalars that are complete before pass `pass` walks the row. They are stored when all are computed,
 * since one may replace a state that another reads. */
static void compute_scalars(rows *r, int pass) {
  moire__lowering *l = r->l;
  for (int i = 0; i < r->group->n_nodes; i++) {
    const moire__node *node = node_at(r, i);
    int32_t v = node->first_result;
    if (!r->of.is_scalar[v] || r->of.pass[v] != pass) continue;
    moire_source before = moire__lower_serve(l, node);
    l->registers[v] =
        is_reduction(node) ? moire__loop_get(&l->builder, r->of.var[v]) : moire__lower_compute(l, v, &r->row);
    l->builder.at = before;
  }
  for (int i = 0; i < r->group->n_nodes; i++) {
    int32_t v = node_at(r, i)->first_result;
    if (!r->of.is_scalar[v] || r->of.pass[v] != pass || !r->group->stored[v]) continue;
    int32_t where = r->group->in_place[v] ? r->group->in_place[v] : v;
    moire_source before = moire__lower_serve(l, node_at(r, i));
    moire__lower_write(l, where, moire__lower_index_linear(l, &r->row), l->registers[v]);
    l->builder.at = before;
  }
}

static void walk_range(rows *r, int pass, const moire__index *base, moire__loop_value low,
                       moire__loop_value high) {
  moire__lowering *l = r->l;
  moire__loop_builder *b = &l->builder;
  moire_dim columns = columns_of(r);
  moire__loop_value width = moire__loop_extent(b, columns);
  moire__loop_value c = moire__loop_for(b, low, high, 1, lanes_for(r, columns));
  moire__index index = *base;
  if (index.rank) index.at[r->column_axis] = c;
  index.linear = index.linear ? moire__lower_add(l, moire__lower_mul(l, index.linear, width), c) : c;
  compute_columns(r, pass, &index, c);
  keep_elements(r, pass, c);
  store_elements(r, pass, &index);
  moire__loop_end(b);
  forget_columns(r);
}

static bool is_reduced_in(const rows *r, const moire__node *node, int pass) {
  return is_reduction(node) && r->of.pass[node->first_result] == pass + 1;
}

/* Walks [low, high) in parts of moire__sum_parts[level], each with sums of its own. */
static void walk_parts(rows *r, int pass, const moire__index *base, int level, moire__loop_value low,
                       moire__loop_value high) {
  moire__lowering *l = r->l;
  moire__loop_builder *b = &l->builder;
  if (level < 0) {
    walk_range(r, pass, base, low, high);
    return;
  }
  int n = r->group->n_nodes;
  moire__loop_var *whole = moire__arena_array(l->scratch, (size_t)n, sizeof *whole); /* by node of the group */
  for (int i = 0; i < n; i++) whole[i] = r->of.var[node_at(r, i)->first_result];
  moire__loop_value part = moire__loop_for(b, low, high, moire__sum_parts[level], 1);
  moire__loop_value end = moire__lower_add(l, part, moire__loop_index(b, moire__sum_parts[level]));
  declare_reductions(r, pass);
  walk_parts(r, pass, base, level - 1, part, moire__loop_binary(b, MOIRE__LOOP_min, end, high));
  for (int i = 0; i < n; i++) {
    const moire__node *node = node_at(r, i);
    int32_t v = node->first_result;
    if (!is_reduced_in(r, node, pass)) continue;
    moire__loop_value now = moire__loop_get(b, whole[i]), more = moire__loop_get(b, r->of.var[v]);
    moire__loop_set(b, whole[i], moire__loop_binary(b, moire__reduction_of(node).combine, now, more));
  }
  moire__loop_end(b);
  for (int i = 0; i < n; i++) r->of.var[node_at(r, i)->first_result] = whole[i];
}

static void walk_columns(rows *r, int pass, const moire__index *base) {
  moire__loop_builder *b = &r->l->builder;
  moire_dim columns = columns_of(r);
  bool sums = false;
  for (int i = 0; i < r->group->n_nodes; i++) sums = sums || is_reduced_in(r, node_at(r, i), pass);
  declare_reductions(r, pass);
  int level = sums && moire__is_long_sum(columns) ? MOIRE__SUM_LEVELS - 1 : -1;
  walk_parts(r, pass, base, level, moire__loop_index(b, 0), moire__loop_extent(b, columns));
}

/* ---- the kernel ---- */

static void add_parameters(rows *r) {
  moire__lowering *l = r->l;
  for (int i = 0; i < r->group->n_nodes; i++) moire__lower_add_reads_of(l, node_at(r, i));
  for (int i = 0; i < r->group->n_nodes; i++) {
    int32_t v = node_at(r, i)->first_result;
    if (!r->group->stored[v]) continue;
    if (r->group->in_place[v]) {
      moire__lower_add_in_place(l, v, r->group->in_place[v]);
    } else {
      moire__lower_add_write(l, v);
    }
  }
  for (int i = 0; i < r->group->n_nodes; i++) {
    int32_t v = node_at(r, i)->first_result;
    if (!r->of.kept[v]) continue;
    moire__loop_type type = moire__loop_type_from_dtype(l->g->values[v].dtype);
    r->of.local[v] =
        moire__loop_add_local(l->kernel, moire__arena_printf(l->arena, "row%d", i), type, columns_of(r));
  }
}

static void lower_flat(rows *r) {
  moire__lowering *l = r->l;
  moire_dim elements = 0;
  moire__shape_elements(&r->domain, &elements);
  int64_t piece = moire__lower_block(l, PIECE);
  moire__lower_body(l, elements, piece);
  moire__loop_builder *b = &l->builder;
  moire__loop_value low = moire__lower_mul(l, l->kernel->parallel, moire__loop_index(b, piece));
  moire__loop_value high =
      moire__loop_binary(b, MOIRE__LOOP_min, moire__lower_add(l, low, moire__loop_index(b, piece)),
                         moire__loop_extent(b, elements));
  moire__loop_value i = moire__loop_for(b, low, high, 1, lanes_for(r, elements));
  moire__index index = {.rank = r->domain.rank, .linear = i, .is_current = true};
  memcpy(index.dims, r->domain.dims, sizeof index.dims);
  compute_columns(r, 0, &index, i);
  store_elements(r, 0, &index);
  moire__loop_end(b);
}

static void lower_by_rows(rows *r) {
  moire__lowering *l = r->l;
  moire_dim count = rows_of(r), columns = columns_of(r);
  int64_t piece = moire__lower_block(l, PIECE);
  int64_t width = moire__dim_is_static(columns) && columns > 0 ? columns : piece;
  int64_t block = width >= piece ? 1 : piece / width;
  moire__lower_body(l, count, block);
  moire__loop_builder *b = &l->builder;
  moire__loop_value low = moire__lower_mul(l, l->kernel->parallel, moire__loop_index(b, block));
  moire__loop_value high = moire__loop_binary(
      b, MOIRE__LOOP_min, moire__lower_add(l, low, moire__loop_index(b, block)), moire__loop_extent(b, count));
  moire__loop_value row = moire__loop_for(b, low, high, 1, 1);
  moire__index base = {.rank = r->column_axis > 0 ? r->column_axis : 0, .linear = row};
  memcpy(base.dims, r->domain.dims, (size_t)base.rank * sizeof *base.dims);
  for (int d = 0; l->needs_axes && d < base.rank; d++) moire__lower_index_at(l, &base, d);
  base.rank = r->domain.rank;
  base.is_current = true;
  memcpy(base.dims, r->domain.dims, sizeof base.dims);
  r->row = base;
  if (r->has_reductions) r->row.dims[r->column_axis] = 1;
  for (int pass = 0; pass < r->n_passes; pass++) {
    compute_scalars(r, pass);
    if (pass_has_columns(r, pass)) walk_columns(r, pass, &base);
  }
  moire__loop_end(b);
}

static void forget(rows *r) {
  for (int i = 0; i < r->group->n_nodes; i++) {
    int32_t v = node_at(r, i)->first_result;
    r->of.pass[v] = r->of.local[v] = r->of.var[v] = 0;
    r->of.is_scalar[v] = r->of.kept[v] = r->of.member[v] = false;
    r->l->registers[v] = 0;
  }
}

void moire__lower_rows(moire__lowering *l, const moire__group *group) {
  rows r = {.l = l, .group = group, .of = *group->tables};
  find_domain(&r);
  for (int i = 0; i < group->n_nodes; i++) r.of.member[node_at(&r, i)->first_result] = true;
  find_passes(&r);
  moire__lower_begin(l, group->name);
  add_parameters(&r);
  bool flat = r.n_passes == 1 && !r.has_reductions && !l->needs_axes;
  if (flat) {
    lower_flat(&r);
  } else {
    lower_by_rows(&r);
  }
  moire__lower_finish(l);
  forget(&r);
}
