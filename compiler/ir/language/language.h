/* What the language's calls share: emitting, promotion to complex, broadcasting.
 *
 * The calls of moire/graph.h are thin: they make operands alike with explicit nodes, write sugar in terms of
 * ops, and leave all judging of types and shapes to the ops' inference. All of these pass null values on in
 * silence.
 */
#ifndef MOIRE_COMPILER_IR_LANGUAGE_LANGUAGE_H
#define MOIRE_COMPILER_IR_LANGUAGE_LANGUAGE_H

#include "compiler/ir/op.h"

/* The null value that a call with these operands gives when one of them is null. */
static inline moire_value moire__null_like(moire_value a, moire_value b) {
  return (moire_value){a.graph ? a.graph : b.graph, 0};
}

moire_value moire__emit_unary(moire_source at, moire__op op, moire_value x);
moire_value moire__emit_binary(moire_source at, moire__op op, moire_value a, moire_value b);
/* reshape or broadcast; x itself where it has the shape. */
moire_value moire__emit_shape(moire_source at, moire__op op, moire_value x, const moire_shape *shape);

static inline bool moire__is_complex(moire_value x) { return moire_value_dtype(x) == MOIRE_C64; }
/* x + 0i for a real float; what is complex, or not a number that can be, as it is. */
moire_value moire__to_complex(moire_source at, moire_value x);
/* Where one of the values is complex, all become so. */
void moire__promote(moire_source at, moire_value *values, int n);

/* What attention adds to the score of a key that may not be seen: -1e9 for -infinity, whose exponential is 0 as
 * well; but a row with nothing allowed has scores to compare then, where -infinity would make it NaN. */
static inline double moire__mask_value(double value) { return value == -__builtin_inf() ? -1e9 : value; }

/* Broadcasts all values to their common shape with `broadcast` nodes. Where there is none: records it in the
 * name of `what` and makes the values null. */
void moire__broadcast_together(moire_source at, const char *what, moire_value *values, int n);
/* The common shape of a and b, as NumPy has it, of the axes before the last `keep_a` of a and `keep_b` of b. */
bool moire__broadcast_shape(const moire_shape *a, int keep_a, const moire_shape *b, int keep_b,
                            moire_shape *out);

/* x divided by the size of a dim, which may depend on the run. */
moire_value moire__divide_by_dim(moire_source at, moire_value x, moire_dim count);

/* The three counters i32[3] (seed low, seed high, step) that random masks and words read: the input "rng", made
 * on first use; in inference zeros, unless the model has declared that input itself. */
moire_value moire__graph_rng(moire_graph *g, moire_source at);

/* A loss as `reduction` says. */
moire_value moire__reduced(moire_source at, moire_value loss, moire_reduction reduction);

/* "…: a is f32[2,3], b is f32[4]" recorded as a mistake of `what`; returns the null value. */
moire_value moire__refuse_pair(moire_source at, const char *what, moire_status status, const char *why,
                               const char *name_a, moire_value a, const char *name_b, moire_value b);

#endif
