/* Complex products as three real ones, which takes three quarters of the operations:
 *
 *   (x + iy)(u + iv) = (p - q) + i (r - (p + q))        p = x u,   q = y v,   r = (x + y)(u + v)
 *
 * x + y is made for a block of rows and a part of k; u, v and u + v are packed in panels of as many columns as
 * a tile has. The three products of a panel follow one another, each with real tiles (ops/product/tiles.h); p,
 * and then p + q, wait in a local block. A conjugation is a sign of y or v.
 *
 * The real part is as exact as by four products. The imaginary part has an error of the size of both planes;
 * but where a plane of each operand is zero, it is what four products give.
 *
 * b is packed beforehand by a kernel of its own where it is a matrix of fixed size; else a panel at a time,
 * right before it is used.
 */
#ifndef MOIRE_OPS_PRODUCT_TRIPLE_H
#define MOIRE_OPS_PRODUCT_TRIPLE_H

#include "ops/product/tiles.h"

typedef struct moire__triple {
  int lanes, tile;           /* columns of a panel, rows of a tile */
  bool along_k;              /* memory of `a` runs along k */
  bool resumes;              /* k comes in parts of `depth` */
  int64_t rows, depth;       /* of `a` that are summed at once */
  int64_t columns;           /* of b, where fixed; else 0 */
  int64_t elements;          /* of k in a panel that was packed beforehand; else 0 */
  bool copies;               /* rows of x and y share few sets of the first cache: they are copied, too */
  bool by_tile;              /* copies and sums lie by tiles, [tile][k][rows of it] */
  moire__loop_buffer sum, p; /* locals: x + y; p, then p + q of a panel */
  moire__loop_buffer rows_of[2];
  moire__loop_buffer b;       /* [panel][3][k][lanes] */
  moire__loop_value is_first; /* bool: no part of k has been summed up; 0: always */
} moire__triple;

/* The sizes; `pitch` is from a row of `a` to the next. `most_rows` are those that one call of
 * moire__triple_emit comes with; an extent of k that depends on the piece is given as a named one. `t` needs no
 * bounds yet. */
moire__triple moire__triple_choose(const moire__lowering *l, const moire__tiles *t, moire_dim k,
                                   int64_t most_rows, bool along_k, moire_dim pitch);

/* Whether b, of fixed size k x t->n_extent, shall be packed beforehand: says so in `n`. Its panels, and the
 * elements of all. */
bool moire__triple_pack_first(moire__triple *n, moire_dim k);
int64_t moire__triple_panels(const moire__triple *n);
int64_t moire__triple_elements(const moire__triple *n);
/* The body of the kernel that does it, one piece a panel. The bounds of t are those of the whole. */
void moire__triple_emit_packing(moire__lowering *l, const moire__tiles *t, const moire__triple *n);

/* As moire__tiles_emit. Where k comes in parts, t->resume reads back what t->finish stored. */
void moire__triple_emit(moire__lowering *l, const moire__tiles *t, moire__triple *n);

/* Or one by one, where k is whole and the rows of t are a block: the locals, x + y of all its rows, and then
 * the products of any panel, whose columns t has. */
void moire__triple_begin(moire__lowering *l, const moire__tiles *t, moire__triple *n);
void moire__triple_panel(moire__lowering *l, const moire__tiles *t, const moire__triple *n);

#endif
