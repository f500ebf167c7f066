/* Real products by blocks that stay in caches: what is read often is copied to where it is read in order.
 *
 *   sum[m, n] = sum over k of a[m, k] b[k, n]
 *
 * b lies in panels of as many columns as a tile has, [panel][k][lanes]: packed by a kernel before, or by the
 * piece that needs it, a panel at a time; a matrix whose columns the first cache holds is read as it lies. Rows
 * of a are copied for a block of rows and a part of k, unless they are read as they lie, too. Which of all
 * that, the shapes and strides decide (moire__blocked_choose); docs/products.md has the rules.
 *
 * Where k comes in parts, a tile goes on from what the part before has stored, so a sum is made in the order of
 * k in one chain of multiply-adds, however it is blocked: results are those of the unblocked loop, bit by bit.
 * Dots (ops/product/thin.h) alone are added up in another order.
 */
#ifndef MOIRE_OPS_PRODUCT_BLOCKED_H
#define MOIRE_OPS_PRODUCT_BLOCKED_H

#include "ops/product/tiles.h"

typedef enum moire__blocked_form {
  MOIRE__BLOCKED_AS_IT_LIES,
  MOIRE__BLOCKED_BY_PANEL, /* packed right before it is used */
  MOIRE__BLOCKED_FIRST,    /* packed by a kernel before */
} moire__blocked_form;

/* Tiles, or a loop nest for a few rows or columns (ops/product/thin.h). */
typedef enum moire__blocked_nest {
  MOIRE__BLOCKED_TILES,
  MOIRE__BLOCKED_DOTS,
  MOIRE__BLOCKED_ACROSS,
} moire__blocked_nest;

/* What is known of a product. An extent of k that depends on the piece is given as a named one. */
typedef struct moire__blocked_shape {
  moire_dim m, k, n;
  moire_dim a_row, a_column, b_row, b_column; /* strides */
  bool batched, cut;                          /* leading axes; along k, with small results */
  bool rounds;                                /* to bf16: nothing is read as it lies */
} moire__blocked_shape;

typedef struct moire__blocked {
  moire__blocked_form b_form;
  moire__blocked_nest nest, rest; /* of all columns; of the `left` that fill no panel */
  int few_rows, few_columns;      /* of dots: how many there are, 0: many; of columns across */
  int left;                       /* 0: `rest` is for none */
  bool halves;                    /* what is packed before is stored as bf16 */
  bool copies_columns;            /* of dots: few columns of b, which do not lie along k */
  bool copies_a, along_k;         /* rows of a are copied; its memory runs along k */
  bool by_tile;                   /* copied rows lie by tiles, [tile][k][rows of it] */
  bool resumes;                   /* k comes in parts of `depth` */
  int lanes, tile;                /* columns of a panel, rows of a tile */
  int64_t rows, depth;            /* of a block */
  int64_t columns;                /* of b, where fixed; else 0 */
  moire_dim k;                    /* of a panel that was packed before */
  moire__loop_buffer a, b, few;
  moire__loop_value is_first; /* bool: no part of k has been summed up; 0: always */
} moire__blocked;

/* Whether `lines` runs of `run` elements, `stride` elements apart, stay in a first cache of 32 KiB that has 64
 * sets of 8 lines of 64 bytes, with room for what else is read. Nothing is known of a named stride. */
bool moire__blocked_stays(moire_dim lines, moire_dim stride, int64_t run);

moire__blocked moire__blocked_choose(const moire__lowering *l, const moire__blocked_shape *s);

/* "b packed before, rows copied, k in parts of 1024, tiles of 14 x 32" */
const char *moire__blocked_say(const moire__lowering *l, const moire__blocked *n);

/* Of b where it is packed before: its panels, the elements of all, and the body of the kernel that does it, one
 * piece a panel. The bounds of t are those of the whole. */
int64_t moire__blocked_panels(const moire__blocked *n);
moire_dim moire__blocked_elements(const moire__blocked *n);
void moire__blocked_emit_packing(moire__lowering *l, const moire__tiles *t, const moire__blocked *n);

/* As moire__tiles_emit. Where k comes in parts, t->resume reads back what t->finish stored. */
void moire__blocked_emit(moire__lowering *l, const moire__tiles *t, moire__blocked *n);

/* Or one by one, where k is whole and the rows of t are a block: the locals and the copy of its rows, and then
 * any panel, whose columns t has. */
moire__tiles moire__blocked_begin(moire__lowering *l, const moire__tiles *t, moire__blocked *n);
void moire__blocked_panel(moire__lowering *l, const moire__tiles *t, const moire__blocked *n);

#endif
