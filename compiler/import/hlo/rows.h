/* The families of the table of StableHLO operations, and what several of them use. */
#ifndef MOIRE_COMPILER_IMPORT_HLO_ROWS_H
#define MOIRE_COMPILER_IMPORT_HLO_ROWS_H

#include "compiler/import/functions.h"
#include "compiler/import/hlo/call.h"
#include "compiler/import/shapes.h"

extern const moire__hlo_row moire__hlo_rows_bits[], moire__hlo_rows_constant[], moire__hlo_rows_control[],
    moire__hlo_rows_convolution[], moire__hlo_rows_function[], moire__hlo_rows_gather[],
    moire__hlo_rows_order[], moire__hlo_rows_pointwise[], moire__hlo_rows_product[], moire__hlo_rows_reduce[],
    moire__hlo_rows_scatter[], moire__hlo_rows_shape[], moire__hlo_rows_window[];

/* A constant: a number, or a state where elements differ. */
moire__argument moire__hlo_constant(moire__hlo_call *call, const moire__hlo_literal *literal);
bool moire__hlo_is_whole(moire_value x); /* i32 or i64 */
/* The number, of x's type and without axes. */
moire_value moire__hlo_scalar(moire__hlo_call *call, moire_value x, double number);
/* An operation of two operands by its name, as a region that applies it says; null where it is none of those
 * that reduce: add, multiply, maximum, minimum, and, or. */
moire_value moire__hlo_combine(moire__hlo_call *call, const char *op, moire_value a, moire_value b);

/* ---- shapes (padding.c) -----------------------------------------------------------------------------------
 */

/* Elements before, behind and between those of an axis; negative ones cut. `value` has no axes. */
typedef struct moire__hlo_padding {
  int64_t low, high, inside;
} moire__hlo_padding;
moire_value moire__hlo_pad(moire__hlo_call *call, moire_value x, moire_value value, bool zero, int axis,
                           moire__hlo_padding by);

#endif
