/* The random mask inside a composite: what dropout and attention share.
 *
 * A composite with attributes p (or another name for it) and stream multiplies by random_mask over a shape.
 * Where `demand` computes only a part of the result, the part must meet the same random elements as before: the
 * attributes mask_shape (of the whole mask) and mask_start (where the part begins) are then added to the node,
 * and the mask is a slice of the whole one. Both are absent where the mask is whole.
 */
#ifndef MOIRE_OPS_SOURCE_MASK_H
#define MOIRE_OPS_SOURCE_MASK_H

#include "compiler/ir/op.h"

/* Checks that operand `rng` is i32[3], that attribute `p` is in [0, 1), the stream, and mask_shape and
 * mask_start for a mask of which the composite uses the part `used`. */
moire_status moire__mask_infer(moire__infer *c, int rng, const char *p, const moire_shape *used);

/* f32[used]: the mask's part. */
moire_value moire__mask_expand(const moire__expand *c, moire_value rng, const char *p, const moire_shape *used);

/* Says in the attributes of the node to come that of `used` only a slice is used. */
void moire__mask_demand(moire__demand *c, const moire_shape *used, int axis, int64_t start);

/* Where the batch is a part of a larger one, its random values are those of that part: the attribute `first`,
 * one dim, says how many elements (of random_mask and random_word) or samples (of attention) stand before it.
 */
moire_status moire__mask_infer_first(moire__infer *c);
int64_t moire__mask_first(const moire__reference *c); /* 0 where there is none before */

/* Reference: the mask's element at `index` of the part of extents `used`. */
double moire__mask_element(const moire__reference *c, const moire__tensor *rng, const char *p, int rank,
                           const int64_t *used, const int64_t *index);

#endif
