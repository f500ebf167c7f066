/* k-means, taken apart: passes over the rows (kmeans_rounds.c), and where the codes start (kmeans_start.c). */
#ifndef MOIRE_TASKS_ITEMS_KMEANS_PRIVATE_H
#define MOIRE_TASKS_ITEMS_KMEANS_PRIVATE_H

#include "runtime/base/philox.h"
#include "tasks/items/kmeans.h"

typedef struct moire__means {
  const moire__codebook *book;
  const moire__kmeans *k;
  int64_t *order, n;      /* the rows that take part */
  float *batch;           /* [batch, features], aligned */
  double *sums;           /* [size, width] */
  int64_t have;           /* codes so far; those to come stand where code 0 does */
  int64_t *counts;        /* [size] */
  double *distances;      /* [n], summed up: those of rows 0 to i */
  double error;           /* sum of the squared distances to the codes of the last search … */
  double *errors;         /* [size] … and of each code */
  float *far;             /* [size, width]: one of its members, by the square of the distance */
  const float *residuals; /* of the batch at hand … */
  const int32_t *codes;   /* … and its codes */
  moire__random random;
} moire__means;

bool moire__means_must_stop(const moire__means *m);

/* Runs the search on the listed rows, and calls visit for every batch of them with m->residuals and m->codes.
 */
typedef void moire__means_visit(moire__means *m, void *context, int64_t first, int64_t n);
moire_status moire__means_each_batch(moire__means *m, const int64_t *rows, int64_t n, moire__means_visit *visit,
                                     void *context, moire_error *error);
double moire__means_distance(const float *a, const float *b, int64_t width); /* |a - b|^2 */
/* Lloyd's rounds of the first m->have codes; counts, errors and far are those of the last search. */
moire_status moire__means_rounds(moire__means *m, int64_t rounds, moire_error *error);

/* The two starts. */
moire_status moire__means_draw(moire__means *m, moire_error *error);
moire_status moire__means_split(moire__means *m, moire_error *error);

#endif
