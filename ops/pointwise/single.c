/* single and single_exp: numbers of single precision, also where the interpreter computes in double.
 *
 *   single(x)      x rounded to f32               gradient single(dy)
 *   single_exp(x)  single(exp(single(x)))         gradient single(single(dy) y)
 *
 * In compiled code a value of type f32 is one, so both say nothing new there. The interpreter takes f32 for a
 * real number; but some models are published with a part that is computed in f32 in whatever precision the rest
 * is (PyTorch's x.float()), and numbers that were computed with them in double agree with ours only if that
 * part is rounded as theirs was: values, and gradients on their way back.
 */
#include "ops/pointwise/pointwise.h"

#include <math.h>

enum { F32 = 1 << MOIRE_F32 };

/* Differences of rounded values mean nothing: the gradients are not checked by them. */
static bool rounded_sample(moire__sampler *s, moire__op op) {
  bool more = moire__sample_pointwise(s, op, 1, F32, MOIRE__RANGE(-4, 4), MOIRE__RANGE(-85, 85));
  s->no_gradient_check = true;
  return more;
}

/* ---- single ---------------------------------------------------------------------------------------------- */

moire_status moire__single_infer(moire__infer *c) { return moire__infer_pointwise(c, F32); }

static moire_value single(moire_value x) {
  return moire__graph_emit(x.graph, MOIRE_HERE, MOIRE__OP_single, &x, 1, NULL, 0);
}

void moire__single_gradient(moire__gradient *c) { c->operand_gradients[0] = single(c->result_gradients[0]); }

moire__loop_value moire__single_element(moire__loop_builder *to, const moire_graph *g, const moire__node *node,
                                        const moire__loop_value *operands) {
  (void)g, (void)node;
  return MOIRE__EMIT1(single, operands[0]);
}

static double single_of(double x) { return (double)(float)x; }

void moire__single_reference(moire__reference *c) { moire__reference_unary(c, single_of); }

bool moire__single_sample(moire__sampler *s) { return rounded_sample(s, MOIRE__OP_single); }

/* ---- single_exp ------------------------------------------------------------------------------------------ */

moire_status moire__single_exp_infer(moire__infer *c) { return moire__infer_pointwise(c, F32); }

void moire__single_exp_gradient(moire__gradient *c) {
  c->operand_gradients[0] = single(moire_mul(single(c->result_gradients[0]), c->results[0]));
}

moire__loop_value moire__single_exp_element(moire__loop_builder *to, const moire_graph *g,
                                            const moire__node *node, const moire__loop_value *operands) {
  (void)g, (void)node;
  return MOIRE__EMIT1(single, MOIRE__EMIT1(exp, MOIRE__EMIT1(single, operands[0])));
}

static double single_exp_of(double x) { return single_of(exp(single_of(x))); }

void moire__single_exp_reference(moire__reference *c) { moire__reference_unary(c, single_exp_of); }

bool moire__single_exp_sample(moire__sampler *s) { return rounded_sample(s, MOIRE__OP_single_exp); }
