/* hypot and range_scale: lengths whose square does not fit the type.
 *
 *   hypot(a, b)       = sqrt((s a)^2 + (s b)^2) / s      gradient a / hypot, b / hypot, and 0 where both are 0
 *   range_scale(a, b) = s
 *
 * s is 1 where the larger of |a| and |b| is in the middle of the type's range, so that there nothing is rounded
 * but what the plain formula rounds; elsewhere a power of two that takes it there. A NaN gives a NaN, also
 * beside an infinity.
 */
#include "ops/pointwise/pointwise.h"

#include <math.h>

enum { REAL = MOIRE__SET_REAL };

/* Below `low` a number is made larger by `up`, above `high` smaller by `down`. */
typedef struct middle {
  double low, high, up, down;
} middle;

static const middle of_f32 = {0x1p-50, 0x1p62, 0x1p100, 0x1p-66};
static const middle of_f64 = {0x1p-450, 0x1p500, 0x1p600, 0x1p-600};

static moire__loop_value scaled(moire__loop_builder *to, moire__loop_value a, moire__loop_value b, bool back) {
  const middle *m = moire__loop_type_of(to, a) == MOIRE__LOOP_F64 ? &of_f64 : &of_f32;
  double up = back ? 1 / m->up : m->up, down = back ? 1 / m->down : m->down;
  moire__loop_value larger = MOIRE__EMIT2(max, MOIRE__EMIT1(abs, a), MOIRE__EMIT1(abs, b));
  moire__loop_value is_small = MOIRE__EMIT2(lt, larger, MOIRE__NUMBER(a, m->low));
  moire__loop_value is_large = MOIRE__EMIT2(lt, MOIRE__NUMBER(a, m->high), larger);
  moire__loop_value small = MOIRE__EMIT3(select, is_small, MOIRE__NUMBER(a, up), MOIRE__NUMBER(a, 1));
  return MOIRE__EMIT3(select, is_large, MOIRE__NUMBER(a, down), small);
}

/* ---- range_scale ----------------------------------------------------------------------------------------- */

moire_status moire__range_scale_infer(moire__infer *c) { return moire__infer_pointwise(c, REAL); }

moire__loop_value moire__range_scale_element(moire__loop_builder *to, const moire_graph *g,
                                             const moire__node *node, const moire__loop_value *operands) {
  (void)g, (void)node;
  return scaled(to, operands[0], operands[1], false);
}

void moire__range_scale_reference(moire__reference *c) {
  const moire__tensor *a = c->operands[0], *b = c->operands[1];
  const middle *m = a->dtype == MOIRE_F64 ? &of_f64 : &of_f32;
  for (int64_t i = 0; i < c->results[0]->elements; i++) {
    double larger = fmax(fabs(a->re[i]), fabs(b->re[i]));
    c->results[0]->re[i] = larger > m->high ? m->down : larger < m->low ? m->up : 1;
  }
}

bool moire__range_scale_sample(moire__sampler *s) {
  return moire__sample_pointwise(s, MOIRE__OP_range_scale, 2, REAL, MOIRE__RANGE(0.5, 3),
                                 MOIRE__RANGE(1e25, 1e38));
}

moire_value moire__range_scale(moire_value a, moire_value b) {
  if (moire_value_is_null(a) || moire_value_is_null(b)) return (moire_value){a.graph, 0};
  return moire__graph_emit(a.graph, MOIRE_HERE, MOIRE__OP_range_scale, (moire_value[]){a, b}, 2, NULL, 0);
}

moire_value moire__at_least(moire_value x, double least) {
  return moire_max_of(moire_constant(x.graph, moire_value_dtype(x), moire_value_shape(x), least), x);
}

double moire__least_scaled(moire_dtype dtype) { return dtype == MOIRE_F64 ? 0x1p-480 : 0x1p-50; }

/* ---- hypot ----------------------------------------------------------------------------------------------- */

static moire__loop_value hypot_element(moire__loop_builder *to, moire__loop_value a, moire__loop_value b) {
  moire__loop_value s = scaled(to, a, b, false), x = MOIRE__EMIT2(mul, a, s), y = MOIRE__EMIT2(mul, b, s);
  moire__loop_value square = MOIRE__EMIT2(add, MOIRE__EMIT2(mul, x, x), MOIRE__EMIT2(mul, y, y));
  return MOIRE__EMIT2(mul, MOIRE__EMIT1(sqrt, square), scaled(to, a, b, true));
}

static double length_of(double a, double b) { return isnan(a) || isnan(b) ? a + b : hypot(a, b); }

MOIRE__BINARY_FIXED(hypot, REAL, MOIRE__RANGE(-3, 3), MOIRE__RANGE(-1e38, 1e38), moire__infer_pointwise,
                    length_of(a, b), hypot_element(to, a, b))

/* dy / (s y) (s a), and likewise b. Where both are 0, s y is taken for less than it can be, so that 0 comes
 * out. */
void moire__hypot_gradient(moire__gradient *c) {
  moire_value a = c->operands[0], b = c->operands[1], s = moire__range_scale(a, b);
  moire_value length = moire__at_least(moire_mul(c->results[0], s), moire__least_scaled(moire_value_dtype(a)));
  moire_value quotient = moire_div(c->result_gradients[0], length);
  if (c->wanted[0]) c->operand_gradients[0] = moire_mul(quotient, moire_mul(a, s));
  if (c->wanted[1]) c->operand_gradients[1] = moire_mul(quotient, moire_mul(b, s));
}
