/* Comparisons, logic, choice and change of type: equal less less_equal and not where cast stop_gradient.
 *
 * cast: a float becomes an integer towards zero, saturating at the largest and smallest integer that the float
 * type holds exactly, a NaN the smallest; anything becomes a bool by != 0; a bool becomes 0 or 1; a value
 * becomes bf16 by rounding to nearest, ties to even. In double, the interpreter keeps f32 values unrounded, so
 * casts between f32 and f64 change nothing there. The gradient passes between float types.
 */
#include "ops/pointwise/pointwise.h"

#include "runtime/base/bf16.h"

#include <math.h>

enum {
  NUMBER = MOIRE__SET_NUMBER,
  NUMBER_OR_BOOL = MOIRE__SET_NUMBER | MOIRE__SET_BOOL,
  BOOL = MOIRE__SET_BOOL,
  ANY = MOIRE__SET_ANY,
  CASTABLE = MOIRE__SET_NUMBER | MOIRE__SET_BOOL | MOIRE__SET_BF16,
};

/* ---- comparisons and logic ------------------------------------------------------------------------------- */

MOIRE__BINARY_FIXED(equal, NUMBER_OR_BOOL, MOIRE__RANGE(-3, 3), MOIRE__RANGE(1, 1), moire__infer_compare,
                    a == b, MOIRE__EMIT2(eq, a, b))

MOIRE__BINARY_FIXED(less, NUMBER, MOIRE__RANGE(-3, 3), MOIRE__RANGE(1, 1), moire__infer_compare, a < b,
                    MOIRE__EMIT2(lt, a, b))

MOIRE__BINARY_FIXED(less_equal, NUMBER, MOIRE__RANGE(-3, 3), MOIRE__RANGE(1, 1), moire__infer_compare, a <= b,
                    MOIRE__EMIT2(le, a, b))

/* Of what a whole number of a double holds; the largest i64 have no neighbours there. */
static int64_t bits_of(double x) { return x >= 0x1p63 ? INT64_MAX : x < -0x1p63 ? INT64_MIN : (int64_t)x; }

MOIRE__BINARY_FIXED(and, BOOL | MOIRE__SET_INT, MOIRE__RANGE(-1000, 1000), MOIRE__RANGE(-0x1p31, 0x1p31),
                    moire__infer_pointwise, (double)(bits_of(a) & bits_of(b)), MOIRE__EMIT2(and, a, b))

MOIRE__UNARY_FIXED(not, BOOL, MOIRE__RANGE(0, 2), MOIRE__RANGE(0, 1), x == 0, MOIRE__EMIT1(not, x))

/* ---- where ----------------------------------------------------------------------------------------------- */

moire_status moire__where_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, BOOL));
  MOIRE__TRY(moire__infer_alike(c, 1, 2));
  if (!moire__shape_equal(&c->operands[0]->shape, &c->operands[1]->shape))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "the condition is %s, the choices are %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  return moire__infer_as_operand(c, 1);
}

void moire__where_gradient(moire__gradient *c) {
  moire_value condition = c->operands[0], dy = c->result_gradients[0];
  if (c->wanted[1]) c->operand_gradients[1] = moire__keep_where(condition, dy);
  if (c->wanted[2]) c->operand_gradients[2] = moire__keep_where(moire_not(condition), dy);
}

moire__loop_value moire__where_element(moire__loop_builder *to, const moire_graph *g, const moire__node *node,
                                       const moire__loop_value *operands) {
  (void)g, (void)node;
  return MOIRE__EMIT3(select, operands[0], operands[1], operands[2]);
}

void moire__where_reference(moire__reference *c) {
  for (int64_t i = 0; i < c->results[0]->elements; i++)
    moire__tensor_copy(c->results[0], i, c->operands[c->operands[0]->re[i] != 0 ? 1 : 2], i);
}

bool moire__where_sample(moire__sampler *s) {
  static const moire_dtype good[] = {MOIRE_F32, MOIRE_C64, MOIRE_F64, MOIRE_I32, MOIRE_BOOL};
  moire_dim batch = moire__sample_batch(s);
  moire_shape hard[] = {MOIRE_SCALAR, MOIRE_SHAPE(batch, 0), MOIRE_SHAPE(1, 1, 35)};
  bool is_good = s->kind == MOIRE__SAMPLE_GOOD, is_wrong = s->kind == MOIRE__SAMPLE_WRONG;
  if (s->index >= (is_good ? 5 : 3)) return false;
  moire_shape shape = is_good ? MOIRE_SHAPE(batch, 2, 3) : hard[s->index];
  moire_shape other = is_wrong && s->index == 0 ? MOIRE_SHAPE(7) : shape;
  moire_dtype dtype = is_good ? good[s->index] : MOIRE_F32;
  s->no_gradient_check = dtype == MOIRE_I32 || dtype == MOIRE_BOOL;
  moire_value x[3] = {
      moire__sample_input(s, is_wrong && s->index == 1 ? MOIRE_I32 : MOIRE_BOOL, other, 0, 2),
      moire__sample_input(s, dtype, shape, -5, 5),
      moire__sample_input(s, is_wrong && s->index == 2 ? MOIRE_F64 : dtype, shape, -5, 5),
  };
  moire_value y = moire__sample_emit(s, MOIRE__OP_where, x, 3, NULL, 0);
  if (is_wrong) return moire__sample_refuse(s, s->index == 0 ? MOIRE_ERROR_SHAPE : MOIRE_ERROR_TYPE);
  return moire__sample_finish(s, y);
}

/* ---- cast ------------------------------------------------------------------------------------------------ */

moire_status moire__cast_infer(moire__infer *c) {
  moire_dtype dtype;
  MOIRE__TRY(moire__infer_dtype(c, 0, CASTABLE));
  MOIRE__TRY(moire__infer_element_type(c, "dtype", CASTABLE, &dtype));
  return moire__infer_result(c, 0, dtype, c->operands[0]->shape);
}

void moire__cast_gradient(moire__gradient *c) {
  moire_value x = c->operands[0], dy = c->result_gradients[0];
  if (moire__dtype_is_float(moire_value_dtype(x)) && moire__dtype_is_float(moire_value_dtype(c->results[0])))
    c->operand_gradients[0] = moire_cast(dy, moire_value_dtype(x));
}

/* The integers of type `to` that `from` holds exactly lie in [low, high]. bf16 is computed with as f32. */
static void saturation(moire_dtype from, moire_dtype to, double *low, double *high) {
  *low = to == MOIRE_I32 ? -0x1p31 : -0x1p63;
  if (to == MOIRE_I32)
    *high = from == MOIRE_F64 ? 0x1p31 - 1 : 0x1p31 - 0x1p7;
  else
    *high = from == MOIRE_F64 ? 0x1p63 - 0x1p10 : 0x1p63 - 0x1p39;
}

moire__loop_value moire__cast_element(moire__loop_builder *to, const moire_graph *g, const moire__node *node,
                                      const moire__loop_value *operands) {
  moire__loop_value x = operands[0];
  moire_dtype from = g->values[node->operands[0]].dtype;
  moire_dtype dtype = g->values[node->first_result].dtype;
  if (from == dtype) return x;
  if (moire__dtype_is_float(from) && moire__dtype_is_int(dtype)) {
    double low, high;
    saturation(from, dtype, &low, &high);
    /* max gives its second operand where the first is a NaN. */
    x = MOIRE__EMIT2(min, MOIRE__EMIT2(max, x, MOIRE__NUMBER(x, low)), MOIRE__NUMBER(x, high));
  }
  /* A store rounds to bf16, and so no reader of a bf16 value is in the kernel that makes it. */
  return moire__loop_cast(to, x, dtype == MOIRE_BF16 ? MOIRE__LOOP_F32 : moire__loop_type_from_dtype(dtype));
}

void moire__cast_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  moire__tensor *y = c->results[0];
  bool to_int = moire__dtype_is_float(x->dtype) && moire__dtype_is_int(y->dtype);
  double low = 0, high = 0;
  if (to_int) saturation(x->dtype, y->dtype, &low, &high);
  for (int64_t i = 0; i < y->elements; i++) {
    double value = x->re[i];
    if (y->dtype == MOIRE_BOOL)
      value = value != 0;
    else if (to_int)
      value = trunc(value >= low ? fmin(value, high) : low);
    else if (y->dtype == MOIRE_BF16)
      value = moire__bf16_to_double(moire__bf16_from_double(value));
    y->re[i] = value;
  }
}

typedef struct cast_row {
  moire_dtype from, to;
  double low, high;
} cast_row;

static const cast_row good_casts[] = {
    {MOIRE_F32, MOIRE_F64, -3, 3}, {MOIRE_F64, MOIRE_F32, -3, 3},  {MOIRE_F32, MOIRE_I32, -9, 9},
    {MOIRE_F64, MOIRE_I64, -9, 9}, {MOIRE_I32, MOIRE_F32, -9, 9},  {MOIRE_I64, MOIRE_I32, -9, 9},
    {MOIRE_I32, MOIRE_I64, -9, 9}, {MOIRE_I32, MOIRE_BOOL, -1, 2}, {MOIRE_F32, MOIRE_BOOL, -1, 1},
    {MOIRE_BOOL, MOIRE_F32, 0, 2}, {MOIRE_BOOL, MOIRE_I32, 0, 2},  {MOIRE_F32, MOIRE_BF16, -3, 3},
    {MOIRE_F32, MOIRE_F32, -3, 3}, {MOIRE_BOOL, MOIRE_BOOL, 0, 2},
};
static const cast_row hard_casts[] = {
    {MOIRE_F32, MOIRE_I32, 3e9, 4e9},
    {MOIRE_F32, MOIRE_I64, -1e30, -1e20},
    {MOIRE_F64, MOIRE_I32, -1e10, 1e10},
    {MOIRE_F32, MOIRE_BF16, 1.2e-38, 1e-37}, /* smaller ones are 0 where bf16 is made by instructions */
};
static const cast_row wrong_casts[] = {{MOIRE_F32, MOIRE_C64, -1, 1}, {MOIRE_C64, MOIRE_F32, -1, 1}};

bool moire__cast_sample(moire__sampler *s) {
  static const struct {
    const cast_row *rows;
    int n;
  } kinds[] = {
      {good_casts, sizeof good_casts / sizeof *good_casts},
      {hard_casts, sizeof hard_casts / sizeof *hard_casts},
      {wrong_casts, sizeof wrong_casts / sizeof *wrong_casts},
  };
  if (s->index >= kinds[s->kind].n) return false;
  cast_row row = kinds[s->kind].rows[s->index];
  moire_shape shapes[] = {MOIRE_SHAPE(moire__sample_batch(s), 5), MOIRE_SHAPE(33), MOIRE_SHAPE(2, 1, 3)};
  moire_value x = moire__sample_input(s, row.from, shapes[s->index % 3], row.low, row.high);
  moire__attr dtype = moire__attr_make_int("dtype", row.to);
  moire_value y = moire__sample_emit(s, MOIRE__OP_cast, &x, 1, &dtype, 1);
  s->no_gradient_check =
      !(moire__dtype_is_float(row.from) && moire__dtype_is_float(row.to)) || row.to == MOIRE_BF16;
  if (s->kind == MOIRE__SAMPLE_WRONG) return moire__sample_refuse(s, MOIRE_ERROR_TYPE);
  return moire__sample_finish(s, y);
}

/* ---- stop_gradient --------------------------------------------------------------------------------------- */

moire_status moire__stop_gradient_infer(moire__infer *c) { return moire__infer_as_operand(c, 0); }

moire__loop_value moire__stop_gradient_element(moire__loop_builder *to, const moire_graph *g,
                                               const moire__node *node, const moire__loop_value *operands) {
  (void)to, (void)g, (void)node;
  return operands[0];
}

void moire__stop_gradient_reference(moire__reference *c) {
  for (int64_t i = 0; i < c->results[0]->elements; i++) moire__tensor_copy(c->results[0], i, c->operands[0], i);
}

bool moire__stop_gradient_sample(moire__sampler *s) {
  if (s->kind != MOIRE__SAMPLE_WRONG)
    return moire__sample_pointwise(s, MOIRE__OP_stop_gradient, 1, ANY, MOIRE__RANGE(-3, 3),
                                   MOIRE__RANGE(-1e38, 1e38));
  if (s->index > 0) return false;
  moire_value x = moire__sample_input(s, MOIRE_F32, MOIRE_SHAPE(3), -1, 1);
  moire__sample_emit(s, MOIRE__OP_stop_gradient, (moire_value[]){x, x}, 2, NULL, 0);
  return moire__sample_refuse(s, MOIRE_ERROR_ARGUMENT);
}
