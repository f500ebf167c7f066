/* The inverse of a symmetric positive definite matrix by sweeps, a block of rows and columns at a time. With D
 * the inverse of the block a[K, K]:
 *
 *     a[I, J] -= a[I, K] D a[K, J],   a[I, K] = a[I, K] D,   a[K, K] = -D            I, J not in K
 *
 * After all blocks a is -a^-1. Only the lower triangle is read and written: n^3 operations. No row is
 * exchanged: pivots of a positive definite matrix are positive. Rows are independent of each other, so threads
 * take some.
 */
#include "tasks/baselines/baselines.h"

#include "runtime/base/memory.h"

#include <string.h>

enum { BLOCK = 64, UNROLL = 4, STRIP = 1024 };

typedef struct sweep {
  double *a;      /* [n, n] */
  double *column; /* [n, BLOCK]: a[I, K] D */
  double *row;    /* [BLOCK, n]: a[K, J] */
  int64_t n, at, width;
  double inverse[BLOCK * BLOCK]; /* D */
} sweep;

/* Gauss and Jordan, in place. */
static void invert_block(double *a, int64_t n) {
  for (int64_t k = 0; k < n; k++) {
    double *pivot = a + k * n, one = 1 / pivot[k];
    pivot[k] = 1;
    for (int64_t j = 0; j < n; j++) pivot[j] *= one;
    for (int64_t i = 0; i < n; i++) {
      double *row = a + i * n, factor = row[k];
      if (i == k) continue;
      row[k] = 0;
      for (int64_t j = 0; j < n; j++) row[j] -= factor * pivot[j];
    }
  }
}

/* row[k][j] = a[K, J] for all j: below the block as columns of the lower triangle, left of it as its rows. */
static void take_row(const sweep *s) {
  for (int64_t k = 0; k < s->width; k++)
    memcpy(s->row + k * s->n, s->a + (s->at + k) * s->n, (size_t)(s->at + k + 1) * sizeof *s->row);
  for (int64_t j = s->at; j < s->n; j++)
    for (int64_t k = 0; k < s->width && s->at + k <= j; k++) s->row[k * s->n + j] = s->a[j * s->n + s->at + k];
}

/* y[0 .. n) -= sum over k of c[k] x[k][0 .. n), four rows at a time. */
static void subtract_rows(double *restrict y, const double *c, const double *x, int64_t stride, int64_t width,
                          int64_t n) {
  int64_t k = 0;
  for (; k + UNROLL <= width; k += UNROLL) {
    const double *restrict x0 = x + k * stride, *restrict x1 = x0 + stride, *restrict x2 = x1 + stride,
                           *restrict x3 = x2 + stride;
    double c0 = c[k], c1 = c[k + 1], c2 = c[k + 2], c3 = c[k + 3];
    for (int64_t j = 0; j < n; j++) y[j] -= (c0 * x0[j] + c1 * x1[j]) + (c2 * x2[j] + c3 * x3[j]);
  }
  for (; k < width; k++)
    for (int64_t j = 0; j < n; j++) y[j] -= c[k] * x[k * stride + j];
}

static void make_columns(void *context, int64_t begin, int64_t end) {
  const sweep *s = context;
  for (int64_t i = begin; i < end; i++) {
    double *to = s->column + i * BLOCK;
    for (int64_t k = 0; k < s->width; k++) {
      double sum = 0;
      for (int64_t l = 0; l < s->width; l++) sum += s->row[l * s->n + i] * s->inverse[l * s->width + k];
      to[k] = sum;
    }
  }
}

static void update_rows(void *context, int64_t begin, int64_t end) {
  const sweep *s = context;
  for (int64_t first = 0; first < end; first += STRIP)
    for (int64_t i = begin; i < end; i++) {
      int64_t left = i + 1 - first;
      if (left <= 0 || (i >= s->at && i < s->at + s->width)) continue;
      subtract_rows(s->a + i * s->n + first, s->column + i * BLOCK, s->row + first, s->n, s->width,
                    left < STRIP ? left : STRIP);
    }
}

/* What the block's own rows and columns become; the update has left rubbish in its columns. */
static void put_back(const sweep *s) {
  for (int64_t k = 0; k < s->width; k++) {
    double *to = s->a + (s->at + k) * s->n;
    for (int64_t j = 0; j < s->at; j++) to[j] = s->column[j * BLOCK + k];
    for (int64_t l = 0; l <= k; l++) to[s->at + l] = -s->inverse[k * s->width + l];
  }
  for (int64_t i = s->at + s->width; i < s->n; i++)
    memcpy(s->a + i * s->n + s->at, s->column + i * BLOCK, (size_t)s->width * sizeof *s->a);
}

void moire__sweep(double *a, int64_t n, moire_threads *threads) {
  sweep s = {.a = a, .n = n};
  s.column = moire__allocate_array((size_t)n * BLOCK + 1, sizeof *s.column);
  s.row = moire__allocate_array((size_t)n * BLOCK + 1, sizeof *s.row);
  for (s.at = 0; s.at < n; s.at += BLOCK) {
    s.width = n - s.at < BLOCK ? n - s.at : BLOCK;
    take_row(&s);
    for (int64_t k = 0; k < s.width; k++)
      for (int64_t l = 0; l < s.width; l++)
        s.inverse[k * s.width + l] = l <= k ? a[(s.at + k) * n + s.at + l] : a[(s.at + l) * n + s.at + k];
    invert_block(s.inverse, s.width);
    moire_threads_run(threads, n, make_columns, &s);
    moire_threads_run(threads, n, update_rows, &s);
    put_back(&s);
  }
  moire__release(s.column);
  moire__release(s.row);
}
