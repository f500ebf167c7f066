/* Products of matrices whose numbers are rounded to bf16: what ops/product/tiles.h does for float32.
 *
 * Both operands are copied into packed form first, since they are rounded on the way. A packed element stands
 * for `step` numbers along k: a pair of bf16 in an i32 where the target multiplies pairs (`dot`), one rounded
 * float otherwise. So all targets round alike, and differ in the order of sums alone.
 *
 *   a   [rows][k] or [k][rows], as its memory has it; of a complex one also the negated imaginary plane, since
 * there is no instruction that subtracts a product of pairs b   panels of `lanes` columns, [panel][k][lanes]:
 * one vector load an element of k
 *
 * Where the target multiplies whole tiles of pairs (ops/product/narrow_tiles.c), both operands are packed as
 * tiles of 1 KiB, which are read in the order in which they lie (ops/product/narrow_tile_pack.c). What is
 * packed at once ends in zeros: k is a multiple of that of a tile.
 *
 * b is packed beforehand by a kernel of its own where it is a matrix of fixed size, so that weights are packed
 * once in a step, or while a library is made, rounded floats as bf16; else a panel at a time, right before it
 * is used.
 */
#ifndef MOIRE_OPS_PRODUCT_NARROW_H
#define MOIRE_OPS_PRODUCT_NARROW_H

#include "ops/product/tiles.h"

typedef struct moire__narrow {
  int step;         /* numbers of k in one packed element: 2 or 1 */
  int planes;       /* 1 or 2 */
  bool tiles;       /* by products of tiles, 16 rows by 16 columns by 32 of k each */
  int lanes, tile;  /* columns and rows of a tile, or of the tiles that are computed at once */
  bool lines;       /* with tiles, packed by somebody else: a [rows][depth], b [panel][pairs of k][lanes] */
  bool along_k;     /* memory of `a` runs along k */
  bool resumes;     /* k comes in parts of `depth` */
  int64_t depth;    /* of k that is packed at once; a multiple of 2, and of 32 with tiles */
  bool whole;       /* with tiles: all columns of b are packed at once, unless beforehand */
  int64_t rows;     /* of `a` that are packed at once: whole tiles */
  int64_t columns;  /* of b, where fixed; else 0 */
  int64_t elements; /* packed elements of a column of b that was packed beforehand; else 0 */
  moire__loop_buffer a[3], b[2]; /* with tiles, all planes are in a[0] and b[0] */
  moire__loop_buffer sums[2];    /* what tiles are stored to: [tile][lanes] */
  /* With tiles: where `finish` stores sums of f32 as they are, and `resume` reads them, row-major. NULL: it
   * does something else, or is not known to. Borrows. */
  const moire__tile_matrix *result;
} moire__narrow;

enum { MOIRE__NARROW_TILE_DEPTH = 2 * MOIRE__LOOP_TILE_SIDE }; /* numbers of k that a tile holds */

typedef struct moire__narrow_part { /* of the product that is computed */
  const moire__tiles *t;
  const moire__narrow *n;
  moire__loop_value m0, steps; /* the first packed row; packed elements of k, or tiles along it */
  moire__loop_value is_first;  /* bool: nothing of k has been summed up; 0: always */
} moire__narrow_part;

/* The sizes of a product of m rows. `most_rows` are those that one call of moire__narrow_emit comes with, if
 * that is known, or 0; an extent of k that depends on the piece is given as a named one. `t` needs no bounds
 * yet. */
moire__narrow moire__narrow_choose(const moire__lowering *l, const moire__tiles *t, moire_dim m, moire_dim k,
                                   int64_t most_rows, bool along_k);
/* Whether b, of fixed size k x t->n_extent, shall be packed beforehand: says so in `n`. */
bool moire__narrow_pack_first(moire__narrow *n, const moire__tiles *t, moire_dim k);
/* What a plane of b so packed takes: elements of moire__narrow_dtype. */
int64_t moire__narrow_elements(const moire__narrow *n);
moire_dtype moire__narrow_dtype(const moire__narrow *n);

/* The body of the kernel that packs b beforehand, into n->b: one piece a panel, of which there are
 * moire__narrow_panels. The bounds of t are those of the whole. */
int64_t moire__narrow_panels(const moire__narrow *n);
void moire__narrow_emit_packing(moire__lowering *l, const moire__tiles *t, const moire__narrow *n);

/* As moire__tiles_emit; adds locals for what is packed here. */
void moire__narrow_emit(moire__lowering *l, const moire__tiles *t, moire__narrow *n);
/* For kernels that look at a panel before they go on: k comes in one part, b was packed beforehand, with full
 * panels, whose columns count from 0, and rows t->m_low .. t->m_high of a are packed, too. The locals; all rows
 * of a panel, not by tiles of AMX; by these, the sums of rows m .. high, at most n->tile of them, which are
 * left in n->sums[0], row by row. */
void moire__narrow_add_locals(moire__lowering *l, moire__narrow *n);
void moire__narrow_emit_panel(moire__lowering *l, const moire__tiles *t, const moire__narrow *n,
                              moire__loop_value panel);
void moire__narrow_emit_sums(moire__lowering *l, const moire__tiles *t, const moire__narrow *n,
                             moire__loop_value panel, moire__loop_value m, moire__loop_value high);

/* ops/product/narrow_pack.c: [m0, m1) x [k0, k1) of a, and panel [n0, n1) of b from element `at` of n->b on. */
void moire__narrow_pack_a(moire__lowering *l, const moire__tiles *t, const moire__narrow *n,
                          moire__loop_value m0, moire__loop_value m1, moire__loop_value k0,
                          moire__loop_value k1);
void moire__narrow_pack_b(moire__lowering *l, const moire__tiles *t, const moire__narrow *n,
                          moire__loop_value n0, moire__loop_value n1, moire__loop_value k0,
                          moire__loop_value k1, moire__loop_value at);
/* ops/product/narrow_tile_pack.c: the same into whole tiles; of b any number of columns, the first of which is
 * that of a tile of columns. */
void moire__narrow_tile_pack_a(moire__lowering *l, const moire__tiles *t, const moire__narrow *n,
                               moire__loop_value m0, moire__loop_value m1, moire__loop_value k0,
                               moire__loop_value k1);
void moire__narrow_tile_pack_b(moire__lowering *l, const moire__tiles *t, const moire__narrow *n,
                               moire__loop_value n0, moire__loop_value n1, moire__loop_value k0,
                               moire__loop_value k1, moire__loop_value at);
/* Of packed tiles: planes that lie side by side, and words from a tile of rows or columns to the next. */
static inline int moire__narrow_tile_planes(const moire__narrow *n, bool is_a) {
  return n->planes == 2 && !is_a ? 3 : n->planes;
}
static inline int64_t moire__narrow_tile_pitch(const moire__narrow *n, bool is_a) {
  int64_t pairs = !is_a && n->elements ? n->elements : n->depth / 2;
  return pairs * MOIRE__LOOP_TILE_SIDE * moire__narrow_tile_planes(n, is_a);
}
/* The plane of a complex b whose opposite is packed as well. */
static inline int moire__narrow_subtracted(const moire__tiles *t) { return t->a.conjugate ? 0 : 1; }

/* ops/product/narrow_tiles.c: rows p->m0 .. m1 of columns [n0, n1), at most a panel, whose packed b begins at
 * `at`. */
void moire__narrow_tile_panel(moire__lowering *l, const moire__narrow_part *p, moire__loop_value m1,
                              moire__loop_value n0, moire__loop_value n1, moire__loop_value at);

/* Whether that stores tiles where n->result has them. */
bool moire__narrow_is_in_place(const moire__narrow *n);
/* The sums alone of `rows` tiles of rows from packed row m on, left in n->sums. */
void moire__narrow_tile_sums(moire__lowering *l, const moire__narrow_part *p, int rows, moire__loop_value m,
                             moire__loop_value at);

/* Packed elements of k0 .. k1, or tiles along it. */
moire__loop_value moire__narrow_steps(moire__lowering *l, const moire__narrow *n, moire__loop_value k0,
                                      moire__loop_value k1);
/* Numbers of the packed form of a row of `a`: depth, and where packed along rows the rows. */
static inline moire__loop_value moire__narrow_load_a(moire__lowering *l, const moire__narrow *n, int plane,
                                                     moire__loop_value m, moire__loop_value k) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value at =
      n->along_k ? moire__lower_add(l, moire__lower_mul(l, m, moire__loop_index(b, n->depth / n->step)), k)
                 : moire__lower_add(l, moire__lower_mul(l, k, moire__loop_index(b, n->rows)), m);
  return n->along_k && n->step == 2 ? moire__loop_word(b, n->a[plane], at)
                                    : moire__loop_load(b, n->a[plane], at);
}

#endif
