/* Matrix products written with attributes instead of permutations and conjugations: what the gradients and
 * composites of ops/ emit, and what matmul and cmatmul share. */
#ifndef MOIRE_OPS_PRODUCT_PRODUCT_H
#define MOIRE_OPS_PRODUCT_PRODUCT_H

#include "compiler/ir/op.h"

/* How an operand is read: a transposed one is stored with its last two axes swapped. With `bf16`, numbers of
 * both operands are rounded to bf16 before they are multiplied; sums are not. */
typedef struct moire__product_flags {
  bool transpose_a, conj_a, transpose_b, conj_b, bf16;
} moire__product_flags;

moire__product_flags moire__product_flags_of(const moire__node *node);

enum { MOIRE__PRODUCT_ATTRS = 5 };
/* Writes the flags that are set and returns their count. */
int moire__product_attrs(moire__product_flags flags, moire__attr attrs[MOIRE__PRODUCT_ATTRS]);

/* matmul(a, b) with the flags; a conjugation of a real operand is left out. */
moire_value moire__product(moire_graph *g, moire_value a, moire_value b, moire__product_flags flags);

/* Inference: the element types that an operand or its planes may have. Where operands are rounded they may be
 * stored so, which counts as f32. */
unsigned moire__product_planes(const moire__node *node);
moire_dtype moire__product_dtype(const moire__value_info *operand);

/* Inference: checks the flags of the node, and that operands number a and b fit; gives the product's shape. */
moire_status moire__product_shape(moire__infer *c, int a, int b, moire_shape *shape);

/* What a product with bf16 = 1 multiplies of x, in double: the nearest bf16; below the normal range, where
 * instructions may do as they like, x itself. */
double moire__product_narrowed(double x);

/* y = a b in double; where im is null, the operand is real. `y_re` and `y_im` are zeroed, `y_im` may be NULL.
 */
typedef struct moire__product_operand {
  const moire__tensor *shape; /* whose dims hold */
  const double *re, *im;      /* im: NULL for real */
  bool transpose, conj;
} moire__product_operand;

void moire__product_reference(const moire__product_operand *a, const moire__product_operand *b, bool bf16,
                              double *y_re, double *y_im);

#endif
