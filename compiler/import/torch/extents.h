/* Sizes as a .pt2 file writes them: numbers, and sympy's text for multiples of symbols, which become named
 * extents. */
#ifndef MOIRE_COMPILER_IMPORT_EXTENTS_H
#define MOIRE_COMPILER_IMPORT_EXTENTS_H

#include "moire/graph.h"

#include <jansson.h>
#include <stdbool.h>

/* {"as_int": 3}, or {"as_expr": {"expr_str": "Mul(Integer(2), Symbol('s0', ..))"}}. The symbol that `batch`
 * names becomes the extent "B", any other is called as it is. False where it is no product of numbers and
 * symbols, or more than a moire_dim holds. */
bool moire__extent_read(moire_graph *g, const char *batch, const json_t *size, moire_dim *out);
/* The symbol that a size is, alone: copied to `out` of `n` bytes; false where it is anything else. */
bool moire__extent_symbol(const json_t *size, char *out, size_t n);

#endif
