/* Samples as rows of a table: structs whose first member is the moire__sample_kind that the row is for. */
#ifndef MOIRE_OPS_SAMPLE_ROW_H
#define MOIRE_OPS_SAMPLE_ROW_H

#include "compiler/ir/op.h"

/* The number of the sampler's row: row s->index among those of its kind; -1 when there are no more. */
static inline int moire__sample_row(const moire__sampler *s, const void *rows, size_t n, size_t size) {
  int left = s->index;
  for (size_t i = 0; i < n; i++) {
    const moire__sample_kind *kind = (const void *)((const char *)rows + i * size);
    if (*kind == s->kind && left-- == 0) return (int)i;
  }
  return -1;
}
#define MOIRE__SAMPLE_ROW(s, rows) moire__sample_row(s, rows, sizeof(rows) / sizeof *(rows), sizeof *(rows))

/* Short words for the rows, so that a row is a line. */
#define GOOD MOIRE__SAMPLE_GOOD
#define HARD MOIRE__SAMPLE_HARD
#define WRONG MOIRE__SAMPLE_WRONG
#define S MOIRE_SHAPE
#define SCALAR MOIRE_SCALAR
#define F32 MOIRE_F32
#define F64 MOIRE_F64
#define C64 MOIRE_C64
#define I32 MOIRE_I32
#define I64 MOIRE_I64
#define BOOL MOIRE_BOOL
#define ACCEPTED MOIRE_OK
#define BAD_SHAPE MOIRE_ERROR_SHAPE
#define BAD_TYPE MOIRE_ERROR_TYPE
#define BAD_ARGUMENT MOIRE_ERROR_ARGUMENT

#endif
