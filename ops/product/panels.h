/* What products by blocks share, real (blocked.h) or complex as three real ones (triple.h): parts of k, panels
 * of columns, and copies of a block of rows. */
#ifndef MOIRE_OPS_PRODUCT_PANELS_H
#define MOIRE_OPS_PRODUCT_PANELS_H

#include "ops/product/tiles.h"

typedef struct moire__panel_range {
  moire__loop_value low, high;
} moire__panel_range;

static inline moire__loop_value moire__panel_minus(moire__lowering *l, moire__loop_value a,
                                                   moire__loop_value b) {
  return moire__loop_binary(&l->builder, MOIRE__LOOP_sub, a, b);
}

static inline moire__loop_value moire__panel_times(moire__lowering *l, moire__loop_value a, int64_t b) {
  return moire__lower_mul(l, a, moire__loop_index(&l->builder, b));
}

/* How many elements of k before it is read a panel in memory is fetched; 0: it is not. With 16 registers a tile
 * takes 6 cycles for an element of k, of which 64 bytes come from a panel and 24 from rows: as much as a second
 * cache gives, so that nothing is left for waiting. With 32 a tile has more than twice the rows. */
static inline int moire__panel_ahead(const moire__lowering *l) {
  return moire__lower_few_registers(l) ? 32 : 0;
}

/* Opens the loop over the parts of `depth` elements of k, at least one, which stores zeros if k is empty; `t`
 * gets the bounds of a part. Returns a bool: the part is the first. */
moire__loop_value moire__panel_open_parts(moire__lowering *l, moire__tiles *t, int64_t depth);

/* `t` with the columns of the panel that the piece of a packing kernel makes: `lanes` of the `columns`. */
moire__tiles moire__panel_of_piece(moire__lowering *l, const moire__tiles *t, int64_t columns, int lanes);

/* Where (k, column) of t's b lies in a panel that begins at element `at`. */
moire__loop_value moire__panel_place(moire__lowering *l, const moire__tiles *t, int lanes, moire__loop_value at,
                                     moire__loop_value k, moire__loop_value column);

/* The part of k x columns that squares of `side` fill, from the low ends on. */
void moire__panel_squares(moire__lowering *l, int side, moire__panel_range k, moire__panel_range columns,
                          moire__panel_range whole[2]);

/* The columns from t->n_low on as a matrix, of a panel whose row 0 of k begins at `at`. */
moire__tile_matrix moire__panel_matrix(moire__lowering *l, const moire__tiles *t, moire__loop_buffer buffer,
                                       int lanes, moire__loop_value at);

/* How a block of rows and a part of k of an operand are copied: a line along k for each row, or along the rows
 * for each of k; or by tiles, [tile][k][rows of it], where memory does not run along k. Several copies may lie
 * alike. */
typedef struct moire__panel_copy {
  bool along_k, by_tile; /* memory of the operand runs along k */
  int tile;              /* rows of one */
  int64_t rows, depth;   /* at most */
} moire__panel_copy;

/* The elements of a copy, and t's rows and k as they lie in it. */
int64_t moire__panel_copy_elements(const moire__lowering *l, const moire__panel_copy *c);
moire__tile_matrix moire__panel_copy_matrix(moire__lowering *l, const moire__tiles *t,
                                            const moire__panel_copy *c, moire__loop_buffer buffer);

/* Puts element (m, k) of an operand at element `to` of its copy, or of several that lie alike. */
typedef void moire__panel_put(moire__lowering *l, void *context, moire__loop_value m, moire__loop_value k,
                              moire__loop_value to);

/* Has all of t's rows and k put, as `to` lies, which is c's matrix in one of the buffers; by tiles vectors of
 * rows at once, and with lines of t's operand fetched ahead, each of which may be in a page of its own. */
void moire__panel_copy_emit(moire__lowering *l, const moire__tiles *t, const moire__panel_copy *c,
                            const moire__tile_matrix *to, moire__panel_put *put, void *context);

/* Fetches what element (i, j) will be some rows, or columns, further on. */
void moire__panel_fetch(moire__lowering *l, const moire__tile_matrix *x, moire__loop_value i,
                        moire__loop_value j, bool rows);

#endif
