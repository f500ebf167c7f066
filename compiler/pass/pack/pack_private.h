/* What the files of the pack pass share: which values become values of tokens, and how those are written. */
#ifndef MOIRE_COMPILER_PASS_PACK_PACK_PRIVATE_H
#define MOIRE_COMPILER_PASS_PACK_PACK_PRIVATE_H

#include "compiler/ir/op.h"
#include "compiler/ir/graph/rewrite.h"
#include "compiler/pass/pass.h"

/* ---- tokens: inputs that the runtime computes, and what is made with them (pack_tokens.c) ------------------
 */

typedef struct moire__pack_tokens {
  moire_graph *g;            /* the new graph */
  moire_dim samples, length; /* B, L */
  moire_dim n;               /* T */
  moire_value tokens, slots, last, ends, starts, counts, valid;
} moire__pack_tokens;

/* Declares them as "<name>.tokens", ..., with t->g, t->samples and t->length set. T is `block` times the extent
 * "T_<name>". They carry `attrs`, which say what their tokens are if those are not ids (compiler/ir/packing.h).
 */
void moire__pack_declare(moire__pack_tokens *t, const char *name, int64_t block, const moire__attr *attrs,
                         int n_attrs);
moire_value moire__pack_node1(moire_graph *g, moire__op op, moire_value x, moire__attr attr);
moire_value moire__pack_reshape(moire_value x, moire_shape shape);
/* Rows of x, each at most once (ops/view/take.c). */
moire_value moire__pack_take(moire_value x, moire_value rows, moire_value inverse);
/* [B, L, ..] of all positions -> [T, ..] */
moire_value moire__pack_take_tokens(const moire__pack_tokens *t, moire_value x);
/* [T, ..] -> `shape`, which is [B, L, ..] or [B L, ..]: 0 where no token is. */
moire_value moire__pack_put_back(const moire__pack_tokens *t, moire_value x, moire_shape shape);
/* What `dropout`, a node of the old graph, makes of tokens x: the mask of the padded batch, where the tokens
 * stood. */
moire_value moire__pack_dropout(const moire__pack_tokens *t, const moire__node *dropout, moire__rewrite *r,
                                moire_value x);
/* The kernel of an attention over tokens, whose n operand planes are x; there is room for five more. `valid`
 * and `rng` may be null. Returns its first result, by position. */
moire_value moire__pack_attend(const moire__pack_tokens *t, const moire__node *attention, moire_value *x, int n,
                               moire_value valid, moire_value rng, bool last);

/* ---- histories: ids that are padded in front, of which the last position is read (pack.c, pack_emit.c) -----
 */

typedef struct moire__pack {
  const moire_graph *g;
  moire__arena arena;
  int32_t ids;               /* the input ids[B, L] */
  moire_dim samples, length; /* B, L */
  bool *packed, *refused;    /* of every value; refused: some use wants all positions */
  int *axis;                 /* of every packed value: its axis of positions; samples are axis 0 */
  bool *attention;           /* of every node: an attention over tokens */
  bool filters;              /* a filter that is read at tokens alone is computed there alone */
} moire__pack;

/* The graph with the marked values packed; NULL with a sentence. */
moire_graph *moire__pack_emit(moire__pack *p, moire_error *error);

/* ---- rows: padded behind, all of whose positions are read (rows.c, rows_masks.c, rows_emit.c) --------------
 */

/* What a value is at the positions that are no tokens. */
typedef enum moire__row_rest { MOIRE__REST_UNKNOWN, MOIRE__REST_ZERO, MOIRE__REST_ONE } moire__row_rest;

typedef struct moire__rows {
  const moire_graph *g;
  moire__arena arena;
  moire_dim samples, length; /* B, L */
  bool *packed, *refused;    /* as above */
  int *axis;                 /* of every packed value: its axis of positions; 0: axis 0 is B L */
  moire__row_rest *rest;     /* of every packed value, and of masks [B, L] and [B L] */
  bool *attention;           /* of every node */
  int32_t lengths, targets;  /* the inputs that say which positions are read, 0: there is none */
  bool knows_ignored;
  int32_t ignored; /* targets of this number are not; once `knows_ignored` */
} moire__rows;

/* false: there are no padded rows that are proven to be left out. true: *out is the graph without them, or NULL
 * with a sentence. */
bool moire__pack_rows(const moire_graph *g, const moire__goal *goal, moire_graph **out, moire_error *error);
/* Whether an element-wise operand does not vary over samples and positions, which are axis `axis`. */
bool moire__rows_is_same_for_all(const moire__rows *p, int32_t value, int axis);
/* Whether it is a broadcast that varies over positions, but not over samples: of [.., L, ..] behind axes of 1.
 */
bool moire__rows_is_positional(const moire__rows *p, int32_t value, int axis);
/* What the result of the node is outside of tokens, given what its operands are. Takes in the inputs that say
 * so. */
moire__row_rest moire__rows_rest_of(moire__rows *p, const moire__node *node);
/* Whether the node adds up all samples and positions of its operand, which is packed. */
bool moire__rows_is_total(const moire__rows *p, const moire__node *node);
moire_graph *moire__rows_emit(moire__rows *p, moire_error *error);

#endif
