/* The rules of simplify: equations, each with the function that applies it.
 *
 * A rule looks at one node and at the nodes that make its operands, and returns the value that is to stand for
 * the node's (first) result, or the null value where the equation does not apply. It may emit nodes into the
 * new graph; they carry the source and scope of the node. Rules make the graph smaller or move it towards one
 * normal form (constants and broadcasts outwards), never back, so that rounds of them end.
 */
#ifndef MOIRE_COMPILER_PASS_SIMPLIFY_SIMPLIFY_H
#define MOIRE_COMPILER_PASS_SIMPLIFY_SIMPLIFY_H

#include "compiler/pass/walk.h"

typedef struct moire__simplify {
  moire_graph *g;                            /* that is being built */
  const moire_graph *from;                   /* that is being read */
  const moire__node *node;                   /* of `from`: op and attributes */
  moire_value operands[MOIRE__MAX_OPERANDS]; /* in g, simplified already */
  moire_dtype dtype;                         /* of result 0 */
  moire_shape shape;
} moire__simplify;

typedef struct moire__simplify_rule {
  moire__op op;         /* MOIRE__OP_none: every POINTWISE op; a row without `apply` ends the table */
  const char *equation; /* c, c1, c2: constants; others: any value */
  moire_value (*apply)(const moire__simplify *s);
} moire__simplify_rule;

const moire__simplify_rule *moire__simplify_constants(void);  /* simplify_constants.c */
const moire__simplify_rule *moire__simplify_arithmetic(void); /* simplify_arithmetic.c */
const moire__simplify_rule *moire__simplify_shapes(void);     /* simplify_shapes.c */

static inline moire_value moire__simplify_no(const moire__simplify *s) { return (moire_value){s->g, 0}; }
/* The node that makes operand i, if it is an `op`; else NULL. */
static inline const moire__node *moire__simplify_made_by(const moire__simplify *s, int i, moire__op op) {
  const moire__node *node = moire__node_of(s->g, s->operands[i].id);
  return node->op == op ? node : NULL;
}
static inline moire_value moire__simplify_operand(const moire__simplify *s, const moire__node *node, int i) {
  return moire__value(s->g, node->operands[i]);
}
static inline bool moire__simplify_number(const moire__simplify *s, int i, double *number) {
  return moire__constant_number(s->g, s->operands[i].id, number);
}
/* `value` everywhere, of the type and shape of the node's result; divided by `like`'s named extents if it is
 * not NULL and has any. */
moire_value moire__simplify_make(const moire__simplify *s, const moire__node *like, double value);

#endif
