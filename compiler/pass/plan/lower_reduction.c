/* Reductions over any axes: one accumulator an element of the result.
 *
 * Where the last axis stays, the accumulators of a stretch of it are vector registers and the reduced axes are
 * serial loops around one load. Where it is reduced, it is the vector loop and its lanes meet at the end. A
 * long reduction with a small result is cut along its first reduced axis into a fixed number of pieces, whose
 * partial results a second kernel adds in order: the cut depends on the extents alone, never on the threads.
 * Within a piece long sums are taken in parts (reductions.c).
 */
#include "compiler/pass/plan/lower_private.h"

#include <string.h>

/* A result of at most so many elements, of at least so many each, is cut; what a named extent is taken for. */
enum { CUT_RESULT = 1 << 16, CUT_LENGTH = 1024, NAMED_LENGTH = 1024 };
/* So many numbers are added to an element one by one. */
enum { ONE_BY_ONE = 256 };
/* So many columns at most are summed at once, in at most eight registers: lines of a row that lie side by side.
 */
enum { STRETCH = 64 };

typedef struct reduction {
  moire__lowering *l;
  const moire__node *node;
  int32_t operand;
  moire_shape shape; /* of the operand */
  bool reduced[MOIRE_MAX_RANK];
  moire__loop_op combine;
  double start;
  moire_dim kept; /* elements of the result */
  bool cut;
  int cut_axis;
  moire__loop_value cut_low, cut_high;
  int part_axis; /* which is walked in parts of `part`, -1: none; never the last */
  int64_t part;
} reduction;

/* The first reduced axis, the last excepted, if it is long together with those behind it. */
static void find_parts(reduction *r) {
  int64_t behind = 1, pieces = r->cut ? moire__lower_pieces(r->l) : 1;
  r->part_axis = -1;
  if (r->combine != MOIRE__LOOP_add) return;
  for (int d = r->shape.rank - 2; d >= 0; d--) {
    moire_dim extent = r->shape.dims[d];
    if (!r->reduced[d] || extent == 1) continue;
    if (behind < 1) behind = 1; /* an empty axis */
    r->part = behind < ONE_BY_ONE ? ONE_BY_ONE / behind : 1;
    r->part_axis = !moire__dim_is_static(extent) || extent / pieces > r->part ? d : -1;
    behind *= moire__dim_factor(extent);
    if (behind > ONE_BY_ONE) behind = ONE_BY_ONE;
  }
}

static reduction describe(moire__lowering *l, const moire__node *node) {
  reduction r = {.l = l, .node = node, .operand = node->operands[0], .kept = 1, .cut_axis = -1};
  r.shape = l->g->values[r.operand].shape;
  bool sum = node->op == MOIRE__OP_sum;
  r.combine = moire__reduction_of(node).combine;
  r.start = moire__reduction_of(node).start;
  int n = 0;
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  for (int i = 0; i < n; i++) r.reduced[axes[i]] = true;
  moire__shape_elements(&l->g->values[node->first_result].shape, &r.kept);
  int64_t length = 1;
  for (int d = 0; d < r.shape.rank; d++) {
    if (!r.reduced[d]) continue;
    if (r.cut_axis < 0 && r.shape.dims[d] != 1) r.cut_axis = d;
    length *= moire__dim_factor(r.shape.dims[d]) * (moire__dim_is_static(r.shape.dims[d]) ? 1 : NAMED_LENGTH);
  }
  bool small = moire__dim_is_static(r.kept) && moire__dim_factor(r.kept) <= CUT_RESULT;
  bool f32 = l->g->values[r.operand].dtype == MOIRE_F32;
  r.cut = moire__lower_pieces(l) > 1 && sum && f32 && small && length >= moire__lower_block(l, CUT_LENGTH) &&
          r.cut_axis >= 0;
  find_parts(&r);
  return r;
}

/* The sum of one element, and that of the part of it that is being taken. */
typedef struct sums {
  moire__loop_var whole, part;
  int opened; /* loops inside of a part, or all */
} sums;

static moire__loop_var declare(reduction *r) {
  moire__loop_builder *b = &r->l->builder;
  moire__loop_type type = moire__loop_type_from_dtype(r->l->g->values[r->operand].dtype);
  return moire__loop_declare(b, moire__loop_const(b, type, r->start));
}

/* Opens a loop over parts of [low, high), which becomes the bounds of one. */
static void open_part(reduction *r, moire__loop_value *low, moire__loop_value *high, int64_t size) {
  moire__loop_builder *b = &r->l->builder;
  *low = moire__loop_for(b, *low, *high, size, 1);
  moire__loop_value end = moire__lower_add(r->l, *low, moire__loop_index(b, size));
  *high = moire__loop_binary(b, MOIRE__LOOP_min, end, *high);
}

static void close_part(reduction *r, moire__loop_var whole, moire__loop_var part) {
  moire__loop_builder *b = &r->l->builder;
  moire__loop_value now = moire__loop_get(b, whole), more = moire__loop_get(b, part);
  moire__loop_set(b, whole, moire__loop_binary(b, r->combine, now, more));
  moire__loop_end(b);
}

/* Opens serial loops over the reduced axes, the last axis excepted. */
static sums open_reduced(reduction *r, moire__index *index) {
  moire__loop_builder *b = &r->l->builder;
  sums s = {.whole = declare(r)};
  s.part = s.whole;
  for (int d = 0; d < r->shape.rank - 1; d++) {
    if (!r->reduced[d]) continue;
    bool cut_here = r->cut && d == r->cut_axis;
    moire__loop_value low = cut_here ? r->cut_low : moire__loop_index(b, 0);
    moire__loop_value high = cut_here ? r->cut_high : moire__loop_extent(b, r->shape.dims[d]);
    if (d == r->part_axis) {
      open_part(r, &low, &high, r->part);
      s.part = declare(r);
      s.opened = 0;
    }
    index->at[d] = moire__loop_for(b, low, high, 1, 1);
    s.opened++;
  }
  return s;
}

static void close_reduced(reduction *r, sums s) {
  for (int i = 0; i < s.opened; i++) moire__loop_end(&r->l->builder);
  if (s.part != s.whole) close_part(r, s.whole, s.part);
}

static void store(reduction *r, moire__loop_buffer parts, moire__loop_value offset, moire__loop_value element) {
  moire__lowering *l = r->l;
  if (!r->cut) {
    moire__lower_write(l, r->node->first_result, offset, element);
    return;
  }
  moire__loop_value kept = moire__loop_extent(&l->builder, r->kept);
  moire__loop_value base = moire__lower_mul(l, l->kernel->parallel, kept);
  moire__loop_store(&l->builder, parts, moire__lower_add(l, base, offset), element);
}

/* The last axis stays: `outer` counts the kept elements of the axes before it. */
static void reduce_columns(reduction *r, moire__index *index, moire__loop_value outer,
                           moire__loop_buffer parts) {
  moire__lowering *l = r->l;
  moire__loop_builder *b = &l->builder;
  int last = r->shape.rank - 1;
  moire__loop_value width = moire__loop_extent(b, r->shape.dims[last]);
  int lanes = 2 * l->target.lanes;
  while (lanes < moire__dim_factor(r->shape.dims[last]) && lanes < 8 * l->target.lanes && lanes < STRETCH)
    lanes *= 2;
  moire__loop_value c = moire__loop_for(b, moire__loop_index(b, 0), width, 1, lanes);
  index->at[last] = c;
  moire__index inner = *index;
  sums s = open_reduced(r, &inner);
  moire__loop_value element = moire__lower_read(l, r->operand, &inner);
  moire__loop_set(b, s.part, moire__loop_binary(b, r->combine, moire__loop_get(b, s.part), element));
  close_reduced(r, s);
  moire__loop_value offset = moire__lower_add(l, moire__lower_mul(l, outer, width), c);
  store(r, parts, offset, moire__loop_get(b, s.whole));
  moire__loop_end(b);
}

/* Adds elements [low, high) of the last axis to `sum`, in parts of moire__sum_parts[level]. */
static void add_along(reduction *r, moire__index *index, moire__loop_var sum, int level, moire__loop_value low,
                      moire__loop_value high) {
  moire__lowering *l = r->l;
  moire__loop_builder *b = &l->builder;
  if (level >= 0) {
    open_part(r, &low, &high, moire__sum_parts[level]);
    moire__loop_var part = declare(r);
    add_along(r, index, part, level - 1, low, high);
    close_part(r, sum, part);
    return;
  }
  index->at[r->shape.rank - 1] = moire__loop_for(b, low, high, 1, l->target.lanes * 2);
  moire__loop_reduce(b, sum, r->combine, moire__lower_read(l, r->operand, index));
  moire__loop_end(b);
}

/* The last axis is reduced too. */
static void reduce_along(reduction *r, moire__index *index, moire__loop_value outer, moire__loop_buffer parts) {
  moire__loop_builder *b = &r->l->builder;
  int last = r->shape.rank - 1;
  moire_dim extent = last < 0 ? 1 : r->shape.dims[last];
  moire__index inner = *index;
  sums s = open_reduced(r, &inner);
  bool cut_here = r->cut && r->cut_axis == last;
  moire__loop_value low = cut_here ? r->cut_low : moire__loop_index(b, 0);
  moire__loop_value high = cut_here ? r->cut_high : moire__loop_extent(b, extent);
  if (cut_here && moire__dim_is_static(extent)) extent /= moire__lower_pieces(r->l);
  bool in_parts = r->combine == MOIRE__LOOP_add && moire__is_long_sum(extent);
  add_along(r, &inner, s.part, in_parts ? MOIRE__SUM_LEVELS - 1 : -1, low, high);
  close_reduced(r, s);
  store(r, parts, outer, moire__loop_get(b, s.whole));
}

/* Kept elements before the last axis (all of them if it is reduced): what the parallel loop runs over. */
static moire_dim outer_elements(const reduction *r) {
  moire_dim outer = 1;
  for (int d = 0; d < r->shape.rank; d++) {
    bool counted = !r->reduced[d] && d != r->shape.rank - 1;
    if (counted) moire__dim_multiply(outer, r->shape.dims[d], &outer);
  }
  return outer;
}

static void split_outer(reduction *r, moire__loop_value outer, moire__index *index) {
  moire__index kept = {.linear = outer};
  int axes[MOIRE_MAX_RANK];
  for (int d = 0; d < r->shape.rank - 1; d++) {
    if (r->reduced[d]) continue;
    axes[kept.rank] = d;
    kept.dims[kept.rank++] = r->shape.dims[d];
  }
  for (int i = 0; i < kept.rank; i++) index->at[axes[i]] = moire__lower_index_at(r->l, &kept, i);
}

static void reduce_outer(reduction *r, moire__loop_value outer, moire__loop_buffer parts) {
  moire__index index = {.rank = r->shape.rank};
  memcpy(index.dims, r->shape.dims, sizeof index.dims);
  split_outer(r, outer, &index);
  if (r->shape.rank && !r->reduced[r->shape.rank - 1]) {
    reduce_columns(r, &index, outer, parts);
  } else {
    reduce_along(r, &index, outer, parts);
  }
}

static void lower_cut(reduction *r) {
  moire__lowering *l = r->l;
  moire_dim all = moire__dim_make(moire__dim_factor(r->kept) * moire__lower_pieces(r->l), 0);
  int extra = moire__lower_new_extra(l, all);
  moire__loop_buffer parts = moire__lower_add_extra(l, extra, MOIRE__BUFFER_OUT);
  moire__lower_body(l, moire__lower_pieces(l), 1);
  moire__loop_builder *b = &l->builder;
  moire__lower_piece(l, r->shape.dims[r->cut_axis], l->kernel->parallel, &r->cut_low, &r->cut_high);
  moire__loop_value outer =
      moire__loop_for(b, moire__loop_index(b, 0), moire__loop_extent(b, outer_elements(r)), 1, 1);
  reduce_outer(r, outer, parts);
  moire__loop_end(b);
  moire__lower_finish(l);
  moire__lower_sum_pieces(l, extra, r->node->first_result);
}

static void lower_whole(reduction *r) {
  moire__lowering *l = r->l;
  moire_dim outer = outer_elements(r);
  moire__lower_add_write(l, r->node->first_result);
  int64_t block = moire__dim_factor(outer) > 64 ? 16 : 1;
  moire__lower_body(l, outer, block);
  moire__loop_builder *b = &l->builder;
  moire__loop_value low = moire__lower_mul(l, l->kernel->parallel, moire__loop_index(b, block));
  moire__loop_value high = moire__loop_binary(
      b, MOIRE__LOOP_min, moire__lower_add(l, low, moire__loop_index(b, block)), moire__loop_extent(b, outer));
  moire__loop_value o = moire__loop_for(b, low, high, 1, 1);
  reduce_outer(r, o, 0);
  moire__loop_end(b);
  moire__lower_finish(l);
}

void moire__lower_reduction(moire__lowering *l, const moire__group *group) {
  const moire__node *node = &l->g->nodes[group->nodes[group->n_nodes - 1]];
  moire__lower_begin(l, group->name);
  moire__lower_add_reads(l, node->operands[0]);
  reduction r = describe(l, node);
  if (r.cut) {
    lower_cut(&r);
  } else {
    lower_whole(&r);
  }
}
