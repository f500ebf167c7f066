/* Prototypes of all parts of all ops, from the rows of ops/ops.def and ops/parts.def.
 *
 * MOIRE__PARTS_OF_<CLASS>(op, X) names the parts that the class asks for, as X(op, part); ops/table.c fills the
 * table with the same lists. Of those, gradient is left out of the table where the row is FIXED, and split
 * where no operand or result is complex or both planes are treated alike: the prototype is then never defined.
 */
#ifndef MOIRE_OPS_PARTS_H
#define MOIRE_OPS_PARTS_H

#include "compiler/ir/op.h"

#define MOIRE__PARTS_OF_ALL(op, X) X(op, infer) X(op, reference) X(op, sample)
#define MOIRE__PARTS_OF_SOURCE(op, X)
#define MOIRE__PARTS_OF_POINTWISE(op, X) X(op, gradient) X(op, element) X(op, split)
#define MOIRE__PARTS_OF_COMPLEX_PART(op, X) X(op, gradient) X(op, split)
#define MOIRE__PARTS_OF_VIEW(op, X) X(op, gradient) X(op, map)
#define MOIRE__PARTS_OF_REDUCE(op, X) X(op, gradient)
#define MOIRE__PARTS_OF_KERNEL(op, X) X(op, gradient) X(op, lower) X(op, split)
#define MOIRE__PARTS_OF_ROW(op, X) X(op, gradient) X(op, expand)
#define MOIRE__PARTS_OF_COMPOSITE(op, X) X(op, expand)

#define MOIRE__PROTOTYPE_infer(op) moire_status moire__##op##_infer(moire__infer *c);
#define MOIRE__PROTOTYPE_gradient(op) void moire__##op##_gradient(moire__gradient *c);
#define MOIRE__PROTOTYPE_expand(op) void moire__##op##_expand(moire__expand *c);
#define MOIRE__PROTOTYPE_split(op) void moire__##op##_split(moire__split *c);
#define MOIRE__PROTOTYPE_demand(op) bool moire__##op##_demand(moire__demand *c);
#define MOIRE__PROTOTYPE_reference(op) void moire__##op##_reference(moire__reference *c);
#define MOIRE__PROTOTYPE_sample(op) bool moire__##op##_sample(moire__sampler *s);
#define MOIRE__PROTOTYPE_element(op) moire__element_function moire__##op##_element;
#define MOIRE__PROTOTYPE_map(op) void moire__##op##_map(moire__index_map *m);
#define MOIRE__PROTOTYPE_source(op) moire__source_function moire__##op##_source;
#define MOIRE__PROTOTYPE_lower(op) void moire__##op##_lower(struct moire__lowering *l);
#define MOIRE__PROTOTYPE(op, part) MOIRE__PROTOTYPE_##part(op)

#define MOIRE__OP(op, op_class, ...)                                                                           \
  MOIRE__PARTS_OF_ALL(op, MOIRE__PROTOTYPE) MOIRE__PARTS_OF_##op_class(op, MOIRE__PROTOTYPE)
#include "ops/ops.def"
#undef MOIRE__OP

#define MOIRE__PART(op, part) MOIRE__PROTOTYPE(op, part)
#include "ops/parts.def"
#undef MOIRE__PART

#endif
