/* Loop nests of products that have only a few columns, or a few rows, for which a tile would be mostly empty.
 *
 *   dots     lanes run along k: memory of both operands does. Sums of 32 numbers of k apart are added at the
 * end, in an order that is the same for every target. across   lanes run along rows: memory of `a` does. Sums
 * are made in the order of k, as tiles make them.
 */
#ifndef MOIRE_OPS_PRODUCT_THIN_H
#define MOIRE_OPS_PRODUCT_THIN_H

#include "ops/product/tiles.h"

/* At most this many columns (or, of dots, rows). */
enum { MOIRE__THIN_DOTS = 4, MOIRE__THIN_ACROSS = 8 };

/* t's real product, all of k at once. `rows` and `columns` are what is known of t's bounds: how many there are,
 * or 0; one of them is, and is at most MOIRE__THIN_DOTS. */
void moire__thin_dots(moire__lowering *l, const moire__tiles *t, int rows, int columns);
/* As moire__tiles_emit: `columns` of them, from t->n_low on. */
void moire__thin_across(moire__lowering *l, const moire__tiles *t, int columns);

#endif
