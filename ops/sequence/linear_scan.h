/* What linear_scan and its gradient, complex and by planes, share (ops/sequence/linear_scan.c). */
#ifndef MOIRE_OPS_SEQUENCE_LINEAR_SCAN_H
#define MOIRE_OPS_SEQUENCE_LINEAR_SCAN_H

#include "compiler/ir/op.h"

/* Attributes reverse and conj, and the operands: `planes` of a, then `others` as b is, all of the first one's
 * element type. */
moire_status moire__linear_scan_infer_operands(moire__infer *c, int planes, int others);

enum { MOIRE__LINEAR_SCAN_ATTRS = 2 };
void moire__linear_scan_attrs(bool reverse, bool conj, moire__attr attrs[MOIRE__LINEAR_SCAN_ATTRS]);

/* Planes of operands and results; what is not there is NULL. */
typedef struct moire__linear_scan_planes {
  const double *ar, *ai, *br, *bi, *yr, *yi;
  double *re, *im, *dar, *dai;
} moire__linear_scan_planes;

/* The scan of b by a in re and im; where dar is there, the gradient of a beside it: dar and dai are zeroed, y
 * is the result of the scan whose gradient the walk is, so reverse and conj of the node are those of that. */
void moire__linear_scan_walk(const moire__node *node, const int64_t *a_dims, const int64_t *dims,
                             moire__linear_scan_planes x);

/* Samples of any of the four: `planes` of a and `others` as b; of one plane, real and complex in turns. */
bool moire__linear_scan_samples(moire__sampler *s, moire__op op, int planes, int others);

#endif
