/* Strided views. Each step maps the strides of the operand to those of the result:
 *
 *   permute    strides[i] = s[axes[i]]
 *   slice      offset += start * s[axis]
 *   broadcast  0 where an extent of 1 is repeated or an axis is new
 *   reshape    axes are matched in runs of equal product; a run of several operand axes must be contiguous
 */
#include "compiler/ir/graph/view.h"

#include "compiler/ir/op.h"

#include <string.h>

bool moire__is_view(const moire__node *node) { return moire__op_get(node->op)->op_class == MOIRE__CLASS_VIEW; }

static bool row_major(moire__view *v) {
  moire_dim stride = 1;
  for (int d = v->rank - 1; d >= 0; d--) {
    v->strides[d] = stride;
    if (!moire__dim_multiply(stride, v->dims[d], &stride)) return d == 0;
  }
  return true;
}

static bool view_permute(const moire__node *node, moire__view *v) {
  int n = 0;
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  moire__view from = *v;
  for (int d = 0; d < n; d++) {
    v->dims[d] = from.dims[axes[d]];
    v->strides[d] = from.strides[axes[d]];
  }
  return true;
}

static bool view_slice(const moire__node *node, moire__view *v) {
  int axis = (int)moire__node_int(node, "axis");
  moire_dim shift = 0;
  if (!moire__dim_multiply(v->strides[axis], moire__node_int(node, "start"), &shift)) return false;
  if (shift != 0 && v->offset != 0 && moire__dim_extents(shift) != moire__dim_extents(v->offset)) return false;
  if (shift != 0)
    v->offset =
        moire__dim_make(moire__dim_factor(v->offset) + moire__dim_factor(shift), moire__dim_extents(shift));
  v->dims[axis] = moire__node_int(node, "length");
  return true;
}

static bool view_broadcast(const moire_shape *to, moire__view *v) {
  moire__view from = *v;
  int added = to->rank - from.rank;
  for (int d = 0; d < to->rank; d++) {
    bool repeated = d < added || (from.dims[d - added] == 1 && to->dims[d] != 1);
    v->dims[d] = to->dims[d];
    v->strides[d] = repeated ? 0 : from.strides[d - added];
  }
  v->rank = to->rank;
  return true;
}

/* One run: operand axes [a, a_end) hold the same elements as result axes [d, d_end). */
static bool reshape_run(const moire__view *from, int a, int a_end, const moire_shape *to, int d, int d_end,
                        moire__view *v) {
  moire_dim stride = 0, expected = 0;
  bool any = false;
  for (int i = a_end - 1; i >= a; i--) {
    if (from->dims[i] == 1) continue;
    if (any && from->strides[i] != expected) return false;
    if (!any) stride = from->strides[i];
    any = true;
    if (!moire__dim_multiply(from->strides[i], from->dims[i], &expected)) expected = -1;
  }
  for (int i = d_end - 1; i >= d; i--) {
    v->dims[i] = to->dims[i];
    v->strides[i] = to->dims[i] == 1 ? 0 : stride;
    if (to->dims[i] != 1 && i > d && !moire__dim_multiply(stride, to->dims[i], &stride)) {
      for (int j = i - 1; j >= d; j--) {
        if (to->dims[j] != 1) return false;
      }
      stride = 0;
    }
  }
  return true;
}

static bool view_reshape(const moire_shape *to, moire__view *v) {
  moire__view from = *v;
  int a = 0, d = 0;
  while (a < from.rank || d < to->rank) {
    int a_end = a, d_end = d;
    moire_dim left = 1, right = 1;
    if (a_end < from.rank) left = from.dims[a_end++];
    if (d_end < to->rank) right = to->dims[d_end++];
    while (left != right) {
      bool grow_left =
          a_end < from.rank && (d_end == to->rank || moire__dim_factor(left) < moire__dim_factor(right) ||
                                (moire__dim_factor(left) == moire__dim_factor(right) &&
                                 moire__dim_extents(left) < moire__dim_extents(right)));
      if (grow_left) {
        if (!moire__dim_multiply(left, from.dims[a_end++], &left)) return false;
      } else if (d_end < to->rank) {
        if (!moire__dim_multiply(right, to->dims[d_end++], &right)) return false;
      } else {
        return false;
      }
    }
    if (!reshape_run(&from, a, a_end, to, d, d_end, v)) return false;
    a = a_end;
    d = d_end;
  }
  v->rank = to->rank;
  return true;
}

static bool is_empty(const moire_shape *shape) {
  for (int d = 0; d < shape->rank; d++) {
    if (shape->dims[d] == 0) return true;
  }
  return false;
}

static bool view_through(const moire_graph *g, int32_t value, const bool *copied, moire__view *view);

bool moire__view_where(const moire_graph *g, int32_t value, const bool *copied, moire__view *view) {
  const moire__value_info *info = &g->values[value];
  const moire__node *node = &g->nodes[info->node];
  bool read_through = node->kernel < 0 && !(copied && copied[info->node]);
  if (moire__is_view(node) && read_through) return view_through(g, value, copied, view);
  *view = (moire__view){.base = value, .rank = info->shape.rank};
  memcpy(view->dims, info->shape.dims, sizeof view->dims);
  return row_major(view);
}

bool moire__view_is_contiguous(const moire__view *view) {
  if (view->offset != 0) return false;
  moire_dim expected = 1;
  for (int d = view->rank - 1; d >= 0; d--) {
    if (view->dims[d] != 1 && view->strides[d] != expected) return false;
    if (!moire__dim_multiply(expected, view->dims[d], &expected)) expected = -1;
  }
  return true;
}

static bool view_through(const moire_graph *g, int32_t value, const bool *copied, moire__view *view) {
  const moire__value_info *info = &g->values[value];
  const moire__node *node = &g->nodes[info->node];
  bool possible = node->op != MOIRE__OP_pad && node->op != MOIRE__OP_flip && !moire__is_lookup(node) &&
                  !is_empty(&info->shape);
  if (possible && !moire__view_where(g, node->operands[0], copied, view)) return false;
  if (possible && node->op == MOIRE__OP_permute) {
    possible = view_permute(node, view);
  } else if (possible && node->op == MOIRE__OP_slice) {
    possible = view_slice(node, view);
  } else if (possible && node->op == MOIRE__OP_broadcast) {
    possible = view_broadcast(&info->shape, view);
  } else if (possible) {
    possible = view_reshape(&info->shape, view);
  }
  if (!possible) view->base = value;
  return possible;
}

bool moire__view_of(const moire_graph *g, int32_t value, moire__view *view) {
  return moire__view_where(g, value, NULL, view);
}

bool moire__view_through(const moire_graph *g, int32_t value, moire__view *view) {
  return view_through(g, value, NULL, view);
}
