/* The table of StableHLO operations: which families there are. */
#include "compiler/import/hlo/rows.h"

#include <string.h>

static const moire__hlo_row *const families[] = {
    moire__hlo_rows_bits,     moire__hlo_rows_constant, moire__hlo_rows_control, moire__hlo_rows_convolution,
    moire__hlo_rows_function, moire__hlo_rows_gather,   moire__hlo_rows_order,   moire__hlo_rows_pointwise,
    moire__hlo_rows_product,  moire__hlo_rows_reduce,   moire__hlo_rows_scatter, moire__hlo_rows_shape,
    moire__hlo_rows_window};

const moire__hlo_row *moire__hlo_row_find(const char *op) {
  for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
    for (const moire__hlo_row *row = families[f]; row->op; row++) {
      if (!strcmp(row->op, op)) return row;
    }
  }
  return NULL;
}

/* By the beginning of the operation's name. */
static const struct {
  const char *op, *hint;
} hints[] = {
    {"stablehlo.dynamic_", "lower it for fixed shapes: jax.jit(f).lower(*arrays)"},
    {"stablehlo.real_dynamic_", "lower it for fixed shapes: jax.jit(f).lower(*arrays)"},
    {"stablehlo.get_dimension_size", "lower it for fixed shapes: jax.jit(f).lower(*arrays)"},
    {"stablehlo.uniform_", "lower it before it is quantized"},
    {"stablehlo.rng", "draw random numbers outside and pass them in"},
    {"stablehlo.all_", "lower it for one device"},
    {"stablehlo.collective_", "lower it for one device"},
    {"stablehlo.reduce_precision", "leave out jax.lax.reduce_precision"},
    {"stablehlo.triangular_solve", "write the substitution in products and sums"},
    {"stablehlo.cholesky", "write it in products and sums"},
    {"chlo.", "write it in functions that docs/jax.md lists"},
};

const char *moire__hlo_hint(const char *op) {
  for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
    if (!strncmp(op, hints[i].op, strlen(hints[i].op))) return hints[i].hint;
  }
  return "docs/jax.md lists what is";
}
