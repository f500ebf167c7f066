/* Register tiles: the loop nest of a matrix product, for whoever needs one inside a kernel.
 *
 *   sum[m, n] = sum over k of a[m, k] b[k, n]            real or complex planes, either conjugated
 *
 * For a stretch of n (a vector loop) rows are taken a few at a time; for each k the stretch of b is loaded once
 * and meets that many scalars of a, so the accumulators stay in registers.
 */
#ifndef MOIRE_OPS_PRODUCT_TILES_H
#define MOIRE_OPS_PRODUCT_TILES_H

#include "compiler/ir/loop/lower.h"

/* A matrix in buffers: element (i, j) of plane p is buffer[p][base[p] + i * row[p] + j * column[p]]. Or rows
 * lie in groups, those of a tile together: i - first = q * group + r is at base[p] + q * group_step + r *
 * row[p] + ... */
typedef struct moire__tile_matrix {
  int planes; /* 1: real, 2: complex */
  moire__loop_buffer buffer[2];
  moire__loop_value base[2], row[2], column[2]; /* i64 */
  bool conjugate;
  int64_t group, group_step; /* 0: no groups */
  moire__loop_value first;   /* row of group 0 */
  bool narrow;               /* elements are rounded to bf16 as they are read */
} moire__tile_matrix;

/* The address of element (i, j) of a plane; a number that was loaded from there, as `narrow` says; and the
 * element, so, negated where a conjugation says so. */
moire__loop_value moire__tile_address(moire__lowering *l, const moire__tile_matrix *x, int plane,
                                      moire__loop_value i, moire__loop_value j);
moire__loop_value moire__tile_number(moire__lowering *l, const moire__tile_matrix *x, moire__loop_value number);
moire__loop_value moire__tile_element(moire__lowering *l, const moire__tile_matrix *x, int plane,
                                      moire__loop_value i, moire__loop_value j);

/* Called once for each row of a tile with its sums (sum[1] is 0 where the product is real or the plane is not
 * wanted): stores them, or goes on computing. */
typedef void moire__tile_finish(void *context, moire__loop_value m, moire__loop_value n,
                                const moire__loop_value sum[2]);

/* What a tile has summed up so far of its columns from n on in row m: read back where k comes in parts. */
typedef moire__loop_value moire__tile_resume(void *context, int plane, moire__loop_value m,
                                             moire__loop_value n);

typedef struct moire__tiles {
  moire__tile_matrix a, b; /* b's columns are 1: along the vector */
  moire__loop_value m_low, m_high, n_low, n_high, k_low, k_high;
  moire_dim n_extent; /* what n_high - n_low is known to be, or 0: chooses the width of the tile */
  moire_dim k_extent; /* that of k_high - k_low, or 0 */
  int rows, lanes;    /* of a tile; 0: as many as the registers hold, and as n_extent says */
  int ahead;          /* of so many elements of k ahead b's line is fetched: of panels in memory; 0: none is */
  int rest;           /* rows of the tile for what is left over; 0: half as many */
  bool single_rest; /* rows left over are taken one by one, without a tile of half the height before: less code
                     */
  bool all_rests; /* rows left over are taken by tiles of fewer and fewer rows, where sums of one wait for each
                     other */
  moire__loop_type type;
  bool skip[2]; /* planes of the result that nobody wants */
  bool apart; /* of a complex product whose real plane alone is wanted: two sums of half as many products, which
                 wait less for each other */
  moire__tile_finish *finish;
  moire__loop_value is_first; /* bool: a tile starts at 0 instead of what `resume` reads; 0: always */
  moire__tile_resume *resume; /* of products that are packed (ops/product/narrow.h, ops/product/triple.h); the
                                 others take all of k at once */
  void *context;
} moire__tiles;

/* Rows that a tile takes at once: planes, n_extent and the target decide. */
int moire__tiles_rows(const moire__lowering *l, const moire__tiles *t);

void moire__tiles_emit(moire__lowering *l, const moire__tiles *t);
/* One stretch after the other leaves a single row waiting for its own sums. This takes `stretches` of them at
 * once, of t->lanes columns each from t->n_low on, row by row; b's columns of a stretch begin `distance`
 * elements behind those of the one before. Real products. */
void moire__tiles_emit_side_by_side(moire__lowering *l, const moire__tiles *t, int stretches,
                                    moire__loop_value distance);
/* Inside a vector loop over the columns, whose variable is n: the loops over rows and k. */
void moire__tiles_emit_rows(moire__lowering *l, const moire__tiles *t, moire__loop_value n);
/* How many rows fill the registers beside `width` vectors of each plane of b: a power of two up to 8. */
int moire__tiles_even_rows(const moire__lowering *l, int planes_a, int planes_b, int width);
/* How many rows fill the registers beside a vector of each of two planes, or two of one, where `count` rows (0:
 * not known) are to be taken: with 32 registers as above, beside one vector of a plane; with fewer twelve sums,
 * or somewhat less where no row is left over then. */
int moire__tiles_fit_rows(const moire__lowering *l, int planes, int64_t count);

#endif
