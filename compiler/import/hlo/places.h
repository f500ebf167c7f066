/* Where the elements of a gather or a scatter lie: the numbers of elements of the operand. */
#ifndef MOIRE_COMPILER_IMPORT_HLO_PLACES_H
#define MOIRE_COMPILER_IMPORT_HLO_PLACES_H

#include "compiler/import/hlo/rows.h"

/* The axes of the operand by what tells their index. */
typedef struct moire__hlo_places {
  moire_value x, starts; /* the operand; [batch.., n_mapped] i64, each a start on axis mapped[i] */
  int mapped[MOIRE_MAX_RANK];
  int n_mapped;
  int window[MOIRE_MAX_RANK];    /* axes that are walked over, in order, and how far */
  int64_t sizes[MOIRE_MAX_RANK]; /* by axis of the operand: 1 on those that are no window */
  int n_window;
  int batch[MOIRE_MAX_RANK];    /* axes of the operand whose index is that of an axis of `starts` */
  int batch_of[MOIRE_MAX_RANK]; /* that axis */
  int n_batch;
  int n_starts; /* axes of `starts` but the last */
} moire__hlo_places;

/* Reads the axes: of a gather as offset_dims and so on, of a scatter as update_window_dims and so on. `sizes`
 * is by axis of the operand. False with a refusal. */
bool moire__hlo_read_places(moire__hlo_call *call, bool scatter, moire_value x, moire_value indices,
                            const int64_t *sizes, moire__hlo_places *out);

/* Starts on a mapped axis i, [batch..] i64; of a gather so that the window lies within the operand. */
moire_value moire__hlo_start(moire__hlo_call *call, const moire__hlo_places *places, int i, bool clamped);
/* [batch.., window..] i64: which element of the flat operand; of a scatter, where it lies outside, the number
 * of elements. */
moire_value moire__hlo_flat_places(moire__hlo_call *call, const moire__hlo_places *places, bool scatter);
/* Is it rows: one mapped axis of size 1, the first, and whole windows on all others? */
bool moire__hlo_is_rows(moire__hlo_call *call, const moire__hlo_places *places);
/* The order of axes that brings [batch.., window..] to where windows are at `dims`; or back. */
void moire__hlo_window_order(const int64_t *dims, int n_window, int rank, bool back, int *order);

#endif
