/* Pointwise ops as rows: each is a few formulas, and the parts around them are made here.
 *
 *   MOIRE__UNARY(op, types, good range, hard range,
 *                reference of double x,
 *                element: loop IR of x, written with MOIRE__EMIT1, 2, 3,
 *                gradient: graph ops of x, y, dy)
 *
 *   MOIRE__BINARY(op, types, good range, hard range,
 *                 reference of a and b, element of a and b,
 *                 da, db: graph ops of a, b, y, dy)
 *
 * MOIRE__UNARY_FIXED and MOIRE__BINARY_FIXED have no gradient; the latter takes its inference instead.
 *
 * Operands have one shape and one element type, out of the set `types`, and so has the result; an op of complex
 * values made by these rows is planewise. Ranges are those of samples: MOIRE__RANGE(low, high). In the hard
 * range the result must be finite in f32.
 */
#ifndef MOIRE_OPS_POINTWISE_POINTWISE_H
#define MOIRE_OPS_POINTWISE_POINTWISE_H

#include "ops/parts.h"
#include "ops/support.h"

typedef struct moire__range {
  double low, high;
} moire__range;
#define MOIRE__RANGE(low, high) ((moire__range){low, high})

/* Loop IR of an element; `to` is the builder. */
#define MOIRE__EMIT1(op, x) moire__loop_unary(to, MOIRE__LOOP_##op, x)
#define MOIRE__EMIT2(op, x, y) moire__loop_binary(to, MOIRE__LOOP_##op, x, y)
#define MOIRE__EMIT3(op, x, y, z) moire__loop_ternary(to, MOIRE__LOOP_##op, x, y, z)
/* A number of the type of x. */
#define MOIRE__NUMBER(x, value) moire__loop_const(to, moire__loop_type_of(to, x), value)

#define MOIRE__UNARY(op, types, good, hard, formula, emitted, dx)                                              \
  void moire__##op##_gradient(moire__gradient *c) {                                                            \
    moire_value x = c->operands[0], y = c->results[0], dy = c->result_gradients[0];                            \
    (void)x, (void)y;                                                                                          \
    c->operand_gradients[0] = dx;                                                                              \
  }                                                                                                            \
  MOIRE__UNARY_FIXED(op, types, good, hard, formula, emitted)

/* A unary op without its gradient. */
#define MOIRE__UNARY_FIXED(op, types, good, hard, formula, emitted)                                            \
  moire_status moire__##op##_infer(moire__infer *c) { return moire__infer_pointwise(c, types); }               \
  moire__loop_value moire__##op##_element(moire__loop_builder *to, const moire_graph *g,                       \
                                          const moire__node *node, const moire__loop_value *operands) {        \
    (void)to, (void)g, (void)node;                                                                             \
    moire__loop_value x = operands[0];                                                                         \
    return emitted;                                                                                            \
  }                                                                                                            \
  static double op##_of(double x) { return formula; }                                                          \
  void moire__##op##_reference(moire__reference *c) { moire__reference_unary(c, op##_of); }                    \
  bool moire__##op##_sample(moire__sampler *s) {                                                               \
    return moire__sample_pointwise(s, MOIRE__OP_##op, 1, types, good, hard);                                   \
  }

/* A binary op without its gradient. */
#define MOIRE__BINARY_FIXED(op, types, good, hard, infer_rule, formula, emitted)                               \
  moire_status moire__##op##_infer(moire__infer *c) { return infer_rule(c, types); }                           \
  moire__loop_value moire__##op##_element(moire__loop_builder *to, const moire_graph *g,                       \
                                          const moire__node *node, const moire__loop_value *operands) {        \
    (void)g, (void)node;                                                                                       \
    moire__loop_value a = operands[0], b = operands[1];                                                        \
    return emitted;                                                                                            \
  }                                                                                                            \
  static double op##_of(double a, double b) { return formula; }                                                \
  void moire__##op##_reference(moire__reference *c) { moire__reference_binary(c, op##_of); }                   \
  bool moire__##op##_sample(moire__sampler *s) {                                                               \
    return moire__sample_pointwise(s, MOIRE__OP_##op, 2, types, good, hard);                                   \
  }

#define MOIRE__BINARY_GRADIENT(op, da, db)                                                                     \
  void moire__##op##_gradient(moire__gradient *c) {                                                            \
    moire_value a = c->operands[0], b = c->operands[1], y = c->results[0], dy = c->result_gradients[0];        \
    (void)a, (void)b, (void)y;                                                                                 \
    if (c->wanted[0]) c->operand_gradients[0] = da;                                                            \
    if (c->wanted[1]) c->operand_gradients[1] = db;                                                            \
  }

#define MOIRE__BINARY(op, types, good, hard, formula, emitted, da, db)                                         \
  MOIRE__BINARY_GRADIENT(op, da, db)                                                                           \
  MOIRE__BINARY_FIXED(op, types, good, hard, moire__infer_pointwise, formula, emitted)

/* What the rows stand on. */
moire_status moire__infer_pointwise(moire__infer *c, unsigned types); /* the result is as the operands */
moire_status moire__infer_compare(moire__infer *c, unsigned types);   /* the result is bool */
/* A whole number as an i32 holds it, modulo 2^32; of other types as it is. */
double moire__wrap(moire_dtype dtype, double x);
void moire__reference_unary(moire__reference *c, double (*f)(double x));
void moire__reference_binary(moire__reference *c, double (*f)(double a, double b));
bool moire__sample_pointwise(moire__sampler *s, moire__op op, int n_operands, unsigned types, moire__range good,
                             moire__range hard);

/* For gradients: the node range_scale(a, b), s; what (s a)^2 + (s b)^2 is the square of is no less than
 * moire__least_scaled where a and b are not both 0; the larger of x and a number, a NaN where x is one. */
moire_value moire__range_scale(moire_value a, moire_value b);
double moire__least_scaled(moire_dtype dtype);
moire_value moire__at_least(moire_value x, double least);
/* For gradients: where(condition, x, 0) of a real or complex x, and the conjugate of a complex x, a real one as
 * it is. */
moire_value moire__keep_where(moire_value condition, moire_value x);
moire_value moire__conjugate(moire_value x);

#endif
