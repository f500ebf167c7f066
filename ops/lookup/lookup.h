/* Rows of a table that a step looks up, and what an optimizer does to them alone.
 *
 * A table [N, D] is looked up by lists of rows, of any shape; one row may stand in several lists, and often in
 * one. A look-up's number counts through the lists in their order. The first of a row *claims* it: what the
 * look-ups of a row give is added up in the place of its first, in the order of their numbers, and the others
 * get zeros. So everything that is done per row of a step is done per look-up, over arrays of the lists' sizes,
 * and nothing of the table's size is made.
 *
 *   since [N]     i32: the optimizer's step that a row of the table, and of its moments, is the state after
 *   claimed [N]   the same, but for a row that was looked up -1 - the number of its first look-up
 *
 * Results whose operands have their names (table, moments, since) replace them where they stand: ops of the
 * trait IN_PLACE. An attribute `padding` says of each list which row does not count, -1: all do.
 *
 * Loop nests walk over all lists in every piece of work and take the rows whose number is the piece's modulo
 * PIECES: no two pieces write one row, whatever rows there are, and each sum has one order.
 */
#ifndef MOIRE_OPS_LOOKUP_LOOKUP_H
#define MOIRE_OPS_LOOKUP_LOOKUP_H

#include "compiler/ir/loop/lower.h"
#include "compiler/ir/op.h"
#include "moire/optimizer.h"

enum { MOIRE__MOST_LOOKUPS = 16, MOIRE__LOOKUP_PIECES = 16 };

/* ---- infer -------------------------------------------------------------------------------------------------
 */

/* MOIRE_OK if operands first .. first + n - 1 are 1 to MOST lists of rows, and, if there is to be one, the
 * attribute `padding` has a number for each. */
moire_status moire__infer_lookups(moire__infer *c, int first, int n, bool padding);
/* MOIRE_OK if operands 0 to 2 are f32[N, D] of fixed size and operand 3 is i32[N]. */
moire_status moire__infer_moments(moire__infer *c);
/* MOIRE_OK if the operand has a row of D elements, f32, for each of those in the list. */
moire_status moire__infer_looked_up(moire__infer *c, int list, int operand, moire_dim width);

/* ---- reference ---------------------------------------------------------------------------------------------
 */

/* Steps through all look-ups of operands first .. first + n - 1. Zero-initialise but for these. */
typedef struct moire__lookup_walk {
  moire__reference *c;
  int first, n;
  int64_t rows; /* of the table */
  /* Where it stands: */
  int list;
  int64_t next, index; /* in the list */
  int64_t number, row;
  bool begun;
} moire__lookup_walk;

/* False past the last, and for a row that is not there, which has been reported. Padding is passed over. */
bool moire__lookup_next(moire__lookup_walk *w);

/* ---- loops -------------------------------------------------------------------------------------------------
 */

typedef struct moire__lookups {
  moire__lowering *l; /* after moire__lower_body */
  moire__loop_builder *b;
  int first, n;   /* operands that are lists */
  moire_dim rows; /* of the table */
  bool padding;   /* the node has such an attribute */
} moire__lookups;

/* Opens the loop over a list and the rows of it that are this piece's: a `for` and an `if`, to be ended by
 * moire__lookup_close. *index is the look-up's in the list; returns the row. */
moire__loop_value moire__lookup_open(const moire__lookups *k, int list, moire__loop_value *index);
void moire__lookup_close(const moire__lookups *k);
/* How many look-ups come before those of the list. */
moire__loop_value moire__lookup_before(const moire__lookups *k, int list);
/* What claimed has of a row whose first look-up is that of the list at `index`. */
moire__loop_value moire__lookup_claim(const moire__lookups *k, int list, moire__loop_value index);
moire_dim moire__lookup_count(const moire__lookups *k, int list);
/* Opens the loop over a row's columns. */
moire__loop_value moire__lookup_columns(const moire__lookups *k, int64_t width);
/* The element of an operand at a row-major offset, as it is. */
moire__loop_value moire__lookup_load(const moire__lookups *k, int operand, moire__loop_value at);
/* row * width + column */
moire__loop_value moire__lookup_place(const moire__lookups *k, moire__loop_value row, int64_t width,
                                      moire__loop_value column);

/* Steps after which a first moment counts as nothing, where no gradient comes in between. The moves of a weight
 * fall by r = b1 / sqrt(b2) from step to step; all those that are left out together are at most 2^-25 of
 * rate |m| / sqrt(v) at the last one before, with the largest rate of the steps left out: sum of r^k for k > n
 * <= 2^-25. Where r is no less than 1, until b1^n has left the numbers of f32. */
int64_t moire__moment_lasts(double b1, double b2);

#endif
