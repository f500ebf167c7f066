/* The families of the table of ATen operations, and what several of them use. */
#ifndef MOIRE_COMPILER_IMPORT_ROWS_H
#define MOIRE_COMPILER_IMPORT_ROWS_H

#include "compiler/import/row.h"
#include "compiler/import/shapes.h"

typedef struct moire__aten_row {
  const char *op; /* without torch.ops; NULL ends a table */
  void (*build)(moire__call *call);
  bool is_view; /* the results share the elements of the first argument */
} moire__aten_row;

/* The row of an operation; NULL if there is none. */
const moire__aten_row *moire__aten_find(const char *op);
/* What could be written instead of one that has no row; "" where nothing particular is known. */
const char *moire__aten_hint(const char *op);

extern const moire__aten_row moire__rows_arithmetic[], moire__rows_attention[], moire__rows_complex[],
    moire__rows_create[], moire__rows_fourier[], moire__rows_function[], moire__rows_index[],
    moire__rows_loss[], moire__rows_product[], moire__rows_random[], moire__rows_reduce[], moire__rows_row[],
    moire__rows_sequence[], moire__rows_shape[], moire__rows_size[], moire__rows_view[];

/* x^exponent; whole powers by products. */
moire_value moire__power_by_number(moire__call *call, moire_value x, double exponent);

#endif
