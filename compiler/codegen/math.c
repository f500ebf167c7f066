/* Which function serves an operation, and the division of wide vectors into registers. */
#include "compiler/codegen/math.h"
#include "compiler/codegen/math_words.h"

#include <assert.h>

static word function_f32(const moire__math *m, moire__loop_op op, const word *x) {
  if (op == MOIRE__LOOP_exp) return moire__math_exp_f32(m, x[0]);
  if (op == MOIRE__LOOP_exp2) return moire__math_exp2_f32(m, x[0]);
  if (op == MOIRE__LOOP_log) return moire__math_log_f32(m, x[0]);
  if (op == MOIRE__LOOP_sin) return moire__math_sin_f32(m, x[0]);
  if (op == MOIRE__LOOP_cos) return moire__math_cos_f32(m, x[0]);
  if (op == MOIRE__LOOP_tanh) return moire__math_tanh_f32(m, x[0]);
  if (op == MOIRE__LOOP_erf) return moire__math_erf_f32(m, x[0]);
  if (op == MOIRE__LOOP_atan2) return moire__math_atan2_f32(m, x[0], x[1]);
  assert(op == MOIRE__LOOP_pow);
  return moire__math_pow_f32(m, x[0], x[1]);
}

static word function_f64(const moire__math *m, moire__loop_op op, const word *x) {
  if (op == MOIRE__LOOP_exp) return moire__math_exp_f64(m, x[0]);
  if (op == MOIRE__LOOP_exp2) return moire__math_exp2_f64(m, x[0]);
  if (op == MOIRE__LOOP_log) return moire__math_log_f64(m, x[0]);
  if (op == MOIRE__LOOP_sin) return moire__math_sin_f64(m, x[0]);
  if (op == MOIRE__LOOP_cos) return moire__math_cos_f64(m, x[0]);
  if (op == MOIRE__LOOP_tanh) return moire__math_tanh_f64(m, x[0]);
  if (op == MOIRE__LOOP_erf) return moire__math_erf_f64(m, x[0]);
  if (op == MOIRE__LOOP_atan2) return moire__math_atan2_f64(m, x[0], x[1]);
  assert(op == MOIRE__LOOP_pow);
  return moire__math_pow_f64(m, x[0], x[1]);
}

static word in_registers(const moire__math *m, moire__loop_op op, const word *x, int n) {
  int lanes = moire__ir_lanes(LLVMTypeOf(x[0]));
  bool narrow = moire__ir_element(LLVMTypeOf(x[0])) == LLVMFloatTypeInContext(m->ir.context);
  if (lanes * (narrow ? 32 : 64) <= m->vector_bits)
    return narrow ? function_f32(m, op, x) : function_f64(m, op, x);
  word low[2], high[2];
  for (int i = 0; i < n; i++) {
    low[i] = moire__ir_shuffle(&m->ir, x[i], NULL, 0, 1, lanes / 2);
    high[i] = moire__ir_shuffle(&m->ir, x[i], NULL, lanes / 2, 1, lanes / 2);
  }
  word first = in_registers(m, op, low, n);
  return moire__ir_concat(&m->ir, first, in_registers(m, op, high, n));
}

LLVMValueRef moire__math_emit(const moire__ir *ir, moire__loop_op op, int vector_bits, bool flush,
                              const LLVMValueRef *operands, int n) {
  assert(n == 1 || n == 2);
  moire__math m = {*ir, vector_bits, flush};
  return in_registers(&m, op, operands, n);
}
