/* A step of Adam or AdamW, for ops over whole parameters (adam.c) and over rows (ops/lookup/adam_rows.c). */
#ifndef MOIRE_OPS_POINTWISE_ADAM_H
#define MOIRE_OPS_POINTWISE_ADAM_H

#include "compiler/ir/op.h"

/* MOIRE_OK if b1 and b2 are in [0, 1), eps and weight_decay not negative. */
moire_status moire__infer_adam_numbers(moire__infer *c);

/* Attributes of the node and scalars, as the head of adam.c has them. */
typedef struct moire__adam_numbers {
  double b1, b2, eps, weight_decay, s, c, d;
} moire__adam_numbers;

/* With the operands that are s, c and d; d is 1 where there is no such operand. */
moire__adam_numbers moire__adam_numbers_of(const moire__reference *c, int rate, int inverse, int decay);
/* The step of one element with the gradient g. */
void moire__adam_element(const moire__adam_numbers *n, double g, double *p, double *m, double *v);

#endif
