/* What the ops over edges share: their shapes, and which edges take part.
 *
 * A graph is two lists of rows, source and target, [E]. An edge whose source or target is no row of its side
 * (it is negative, or too large) takes no part in anything: that is how positions are masked.
 *
 * segment_order sorts edges by target once, by counting: `order` holds the edges of target 0, then those of
 * target 1, and so on, each in the order of the list, and behind them those of no target; those of target n
 * stand at starts[n] .. ends[n] - 1 of it. Ops that sum over the edges of a target read these, so that each
 * piece of work owns its targets, and a sum's order is that of the list, whatever the number of threads.
 */
#ifndef MOIRE_OPS_SEGMENT_EDGES_H
#define MOIRE_OPS_SEGMENT_EDGES_H

#include "compiler/ir/loop/lower.h"
#include "compiler/ir/op.h"

/* MOIRE_OK if operands first .. first + 2 are order [E], starts [N] and ends [N], i32; E and N are copied out.
 */
moire_status moire__infer_order(moire__infer *c, int first, moire_dim *edges, moire_dim *rows);
/* MOIRE_OK if the operand is [N, heads or 1, C], f32. */
moire_status moire__infer_heads(moire__infer *c, int operand, int64_t heads);
/* MOIRE_OK if the operand is a list of rows of `edges` edges, i32 or i64. */
moire_status moire__infer_rows(moire__infer *c, int operand, moire_dim edges);

/* order, starts and ends of these rows: out[0..2]. */
void moire__order_emit(moire_graph *g, moire_value rows, moire_dim n, moire_value out[3]);

/* ---- loops ----------------------------------------------------------------------------------------------- */

enum { MOIRE__HEADS_AT_ONCE = 4 };

typedef struct moire__edge_loops {
  moire__lowering *l;
  moire__loop_builder *b;
} moire__edge_loops;

moire__loop_value moire__edge_index(const moire__edge_loops *k, int64_t value);
moire__loop_value moire__edge_binary(const moire__edge_loops *k, moire__loop_op op, moire__loop_value x,
                                     moire__loop_value y);
/* The element of operand `operand` at [i, j, c]; indices past its rank are not looked at. */
moire__loop_value moire__edge_load(const moire__edge_loops *k, int operand, moire__loop_value i,
                                   moire__loop_value j, moire__loop_value c);
/* The same of a list of rows, as an index. */
moire__loop_value moire__edge_row(const moire__edge_loops *k, int operand, moire__loop_value i);
/* Is it one of 0 .. n-1? */
moire__loop_value moire__edge_inside(const moire__edge_loops *k, moire__loop_value row, moire_dim n);
/* Opens the loop over the rows of a piece of `block` out of n. */
moire__loop_value moire__edge_rows_of_piece(const moire__edge_loops *k, moire_dim n, int64_t block);
/* Opens the loop over the edges of a row; `first` is the operand that order is. Returns the edge. */
moire__loop_value moire__edge_loop(const moire__edge_loops *k, int first, moire__loop_value row);

#endif
