/* Copies that exchange axes: y[.., j, .., i] of a view whose memory runs along j and not along the last axis.
 *
 * Squares of one vector a side are turned in registers, stripe by stripe of j; what fills none is gathered.
 */
#include "compiler/pass/plan/lower_private.h"

#include "compiler/ir/op.h"

typedef struct turned {
  moire__lowering *l;
  moire__view view;
  moire__loop_buffer from, to;
  int across, last, side; /* the axis along which memory runs, and the last */
  moire_dim pitch;        /* of the result, from j to j + 1 */
  moire__loop_value from_at, to_at, from_pitch;
} turned;

/* Elements of the result from one of the axis to the next. */
static moire_dim pitch_of(const moire__view *view, int axis) {
  moire_dim pitch = 1;
  for (int d = axis + 1; d < view->rank; d++) {
    if (!moire__dim_multiply(pitch, view->dims[d], &pitch)) return 0;
  }
  return pitch;
}

static bool holds(const turned *t, int axis) {
  return moire__dim_is_static(t->view.dims[axis]) && moire__dim_factor(t->view.dims[axis]) >= t->side;
}

static bool can_be(turned *t) {
  const moire_graph *g = t->l->g;
  int32_t value = t->l->node->first_result;
  if (g->values[value].dtype != MOIRE_F32 || !moire__view_through(g, value, &t->view)) return false;
  if (g->values[t->view.base].dtype != MOIRE_F32 || moire__op_get(moire__node_of(g, t->view.base)->op)->source)
    return false;
  t->last = t->view.rank - 1;
  t->across = -1;
  for (int d = 0; d < t->last; d++) {
    if (t->view.strides[d] == 1 && t->view.dims[d] != 1) t->across = d;
  }
  if (t->across < 0 || t->view.strides[t->last] == 1 || !holds(t, t->last) || !holds(t, t->across))
    return false;
  t->pitch = pitch_of(&t->view, t->across);
  return t->pitch > 0 && moire__dim_is_static(t->pitch) && t->pitch <= INT32_MAX;
}

static moire__loop_value at_from(const turned *t, moire__loop_value j, moire__loop_value i) {
  moire__loop_value at = moire__lower_add(t->l, t->from_at, moire__lower_mul(t->l, i, t->from_pitch));
  return moire__lower_add(t->l, at, j);
}

static moire__loop_value at_to(const turned *t, moire__loop_value j, moire__loop_value i) {
  moire__loop_value pitch = moire__loop_index(&t->l->builder, t->pitch);
  return moire__lower_add(t->l, moire__lower_add(t->l, t->to_at, moire__lower_mul(t->l, j, pitch)), i);
}

typedef struct range {
  moire__loop_value low, high;
} range;

static void gather(const turned *t, range across, range last) {
  moire__loop_builder *b = &t->l->builder;
  moire__loop_value j = moire__loop_for(b, across.low, across.high, 1, 1);
  moire__loop_value i = moire__loop_for(b, last.low, last.high, 1, t->side);
  moire__loop_store(b, t->to, at_to(t, j, i), moire__loop_load(b, t->from, at_from(t, j, i)));
  moire__loop_end(b);
  moire__loop_end(b);
}

static void stripe(const turned *t, range across) {
  moire__loop_builder *b = &t->l->builder;
  int64_t extent = moire__dim_factor(t->view.dims[t->last]), whole = extent - extent % t->side;
  const range squares = {moire__loop_index(b, 0), moire__loop_index(b, whole)};
  const range left = {squares.high, moire__loop_index(b, extent)};
  moire__loop_value size = moire__loop_index(b, t->side);
  moire__loop_value fit = moire__loop_binary(
      b, MOIRE__LOOP_div, moire__loop_binary(b, MOIRE__LOOP_sub, across.high, across.low), size);
  moire__loop_value end = moire__lower_add(t->l, across.low, moire__lower_mul(t->l, fit, size));
  moire__loop_value j = moire__loop_for(b, across.low, end, t->side, 1);
  moire__loop_value i = moire__loop_for(b, squares.low, squares.high, t->side, 1);
  moire__loop_turn(b, t->to, at_to(t, j, i), t->pitch, t->from, at_from(t, j, i), t->from_pitch, t->side);
  moire__loop_end(b);
  moire__loop_end(b);
  if (whole < extent) gather(t, (range){across.low, end}, left);
  gather(t, (range){end, across.high}, (range){squares.low, left.high});
}

/* Where member `o` of the other axes begins. */
static void place(turned *t, moire__loop_value o) {
  moire__lowering *l = t->l;
  moire__loop_builder *b = &l->builder;
  moire__index others = {.linear = o};
  int axes[MOIRE_MAX_RANK];
  for (int d = 0; d < t->view.rank; d++) {
    if (d == t->across || d == t->last) continue;
    axes[others.rank] = d;
    others.dims[others.rank++] = t->view.dims[d];
  }
  moire__loop_value at[MOIRE_MAX_RANK] = {0};
  t->to_at = moire__loop_index(b, 0);
  for (int i = 0; i < others.rank; i++) {
    at[axes[i]] = moire__lower_index_at(l, &others, i);
    moire__loop_value step = moire__loop_extent(b, pitch_of(&t->view, axes[i]));
    t->to_at = moire__lower_add(l, t->to_at, moire__lower_mul(l, at[axes[i]], step));
  }
  t->from_at = moire__lower_address(l, &t->view, at);
  t->from_pitch = moire__loop_extent(b, t->view.strides[t->last]);
}

bool moire__lower_turned(moire__lowering *l, const moire__group *group) {
  enum { STRIPE = 64 };
  turned t = {.l = l, .side = l->target.lanes};
  if (!can_be(&t)) return false;
  moire_dim count = 1;
  for (int d = 0; d < t.view.rank; d++) {
    if (d != t.across && d != t.last && !moire__dim_multiply(count, t.view.dims[d], &count)) return false;
  }
  int64_t size = moire__lower_block(l, STRIPE), extent = moire__dim_factor(t.view.dims[t.across]);
  int64_t stripes = (extent + size - 1) / size;
  if (!moire__dim_multiply(count, stripes, &count)) return false;
  moire__lower_begin(l, group->name);
  moire__lower_add_reads_of(l, l->node);
  t.to = moire__lower_add_write(l, l->node->first_result);
  t.from = moire__lower_buffer(l, t.view.base);
  moire__lower_body(l, count, 1);
  moire__loop_builder *b = &l->builder;
  moire__loop_value piece = l->kernel->parallel, many = moire__loop_index(b, stripes);
  place(&t, moire__loop_binary(b, MOIRE__LOOP_div, piece, many));
  range across = {
      moire__lower_mul(l, moire__loop_binary(b, MOIRE__LOOP_mod, piece, many), moire__loop_index(b, size)),
      moire__loop_index(b, extent)};
  moire__loop_value end = moire__lower_add(l, across.low, moire__loop_index(b, size));
  across.high = moire__loop_binary(b, MOIRE__LOOP_min, end, across.high);
  stripe(&t, across);
  moire__lower_finish(l);
  return true;
}
