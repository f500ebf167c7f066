/* Strided views: a chain of reshapes, permutations, broadcasts and slices as strides over one buffer.
 *
 * Reading value v at index (i0, i1, ...) is reading its base at element offset + sum of i_d * strides[d]. A
 * kernel that reads through a view needs no copy and no division.
 */
#ifndef MOIRE_COMPILER_IR_GRAPH_VIEW_H
#define MOIRE_COMPILER_IR_GRAPH_VIEW_H

#include "compiler/ir/graph/graph.h"

typedef struct moire__view {
  int32_t base; /* value whose elements lie in a buffer, row-major */
  int rank;
  moire_dim dims[MOIRE_MAX_RANK];
  moire_dim strides[MOIRE_MAX_RANK]; /* in elements; 0: repeated */
  moire_dim offset;
} moire__view;

/* True for ops whose elements are read through an index map: VIEW ops. */
bool moire__is_view(const moire__node *node);

/* Those whose first index is loaded from operand 1. */
static inline bool moire__is_lookup(const moire__node *node) {
  return node->op == MOIRE__OP_gather || node->op == MOIRE__OP_take;
}

/* Follows views from v down to a value that has a buffer of its own: not a view, or a view with a kernel number
 * (one that is copied). False where the chain cannot be written with strides (pad, gather, a reshape that
 * merges what is not contiguous). */
bool moire__view_of(const moire_graph *g, int32_t value, moire__view *view);
/* The same before kernels are numbered: `copied` says of every node whether it is a view that is copied. Where
 * it is false, view->base is the first view that cannot be written with strides. */
bool moire__view_where(const moire_graph *g, int32_t value, const bool *copied, moire__view *view);
/* moire__view_of, looking through `value` itself even if it has a kernel number: how its copy is made. */
bool moire__view_through(const moire_graph *g, int32_t value, moire__view *view);
/* Do the strides walk the base row-major from its first element? */
bool moire__view_is_contiguous(const moire__view *view);

#endif
