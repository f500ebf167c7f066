/* Reductions in vector loops.
 *
 * A `reduce` into a variable from outside the vector loop goes into an accumulator of `lanes` elements that
 * starts at the identity. After the loop its halves are combined pairwise, W/2, W/4, ... 1, always in this
 * order, and the result is combined into the variable. Lanes that do not exist contribute the identity.
 */
#include "compiler/codegen/emit.h"

#include <math.h>

/* x such that y (combine) x is y for every y that is not NaN: -0.0 for a sum, since 0.0 + -0.0 is 0.0. */
static LLVMValueRef identity(moire__loop_op combine, moire__loop_type type, LLVMTypeRef shape) {
  if (combine == MOIRE__LOOP_or) return LLVMConstNull(shape);
  bool is_real = type == MOIRE__LOOP_F32 || type == MOIRE__LOOP_F64;
  if (combine == MOIRE__LOOP_add) return is_real ? moire__ir_real(shape, -0.0) : moire__ir_integer(shape, 0);
  if (combine == MOIRE__LOOP_mul) return is_real ? moire__ir_real(shape, 1.0) : moire__ir_integer(shape, 1);
  bool smallest = combine == MOIRE__LOOP_max;
  if (is_real) return moire__ir_real(shape, smallest ? -INFINITY : INFINITY);
  if (type == MOIRE__LOOP_I32) return moire__ir_integer(shape, smallest ? INT32_MIN : INT32_MAX);
  return moire__ir_integer(shape, smallest ? INT64_MIN : INT64_MAX);
}

static LLVMValueRef combined(moire__emitter *e, moire__loop_op combine, moire__loop_type type, LLVMValueRef a,
                             LLVMValueRef b) {
  return combine == MOIRE__LOOP_or ? LLVMBuildOr(e->ir.at, a, b, "")
                                   : moire__emit_arithmetic(e, combine, type, a, b);
}

/* All lanes of x; whether any is true is one look at a mask. */
static LLVMValueRef folded(moire__emitter *e, moire__loop_op combine, moire__loop_type type, LLVMValueRef x) {
  const moire__ir *ir = &e->ir;
  LLVMTypeRef shape = LLVMTypeOf(x);
  if (combine == MOIRE__LOOP_or) return moire__ir_intrinsic(ir, "llvm.vector.reduce.or", &shape, 1, &x, 1);
  for (int n = e->lanes / 2; n >= 1; n /= 2)
    x = combined(e, combine, type, moire__ir_shuffle(ir, x, NULL, 0, 1, n),
                 moire__ir_shuffle(ir, x, NULL, n, 1, n));
  return LLVMBuildExtractElement(ir->at, x, moire__ir_index(ir, 0), "");
}

void moire__emit_reduce(moire__emitter *e, const moire__loop_statement *s) {
  LLVMBuilderRef at = e->ir.at;
  moire__emit_variable *var = &e->vars[s->var];
  moire__loop_type type = e->kernel->vars[s->var].type;
  if (!var->accumulator) {
    bool wide = moire__ir_lanes(var->type) > 0;
    LLVMValueRef value = wide ? moire__emit_lanes(e, s->value) : moire__emit_uniform(e, s->value);
    LLVMValueRef old = LLVMBuildLoad2(at, var->type, var->slot, "");
    LLVMBuildStore(at, combined(e, s->combine, type, old, value), var->slot);
    return;
  }
  LLVMValueRef value = moire__emit_lanes(e, s->value);
  LLVMTypeRef shape = LLVMTypeOf(value);
  if (e->mask) value = LLVMBuildSelect(at, e->mask, value, identity(s->combine, type, shape), "");
  LLVMValueRef old = LLVMBuildLoad2(at, shape, var->accumulator, "");
  LLVMBuildStore(at, combined(e, s->combine, type, old, value), var->accumulator);
}

void moire__emit_open_accumulators(moire__emitter *e, const moire__loop_statement *body) {
  for (const moire__loop_statement *s = body; s; s = s->next) {
    if (s->body) moire__emit_open_accumulators(e, s->body);
    if (s->kind != MOIRE__LOOP_REDUCE || e->varies.inner[s->var]) continue;
    moire__emit_variable *var = &e->vars[s->var];
    if (var->accumulator) {
      if (var->combine != s->combine)
        moire__emit_fail(e, MOIRE_ERROR_INTERNAL, "a vector loop reduces into one variable in two ways");
      continue;
    }
    var->combine = s->combine;
    LLVMTypeRef shape = moire__ir_widen(var->type, e->lanes);
    var->accumulator = moire__ir_alloca(&e->ir, shape, "accumulator");
    LLVMBuildStore(e->ir.at, identity(s->combine, e->kernel->vars[s->var].type, shape), var->accumulator);
  }
}

void moire__emit_close_accumulators(moire__emitter *e, const moire__loop_statement *body, LLVMValueRef ran) {
  const moire__ir *ir = &e->ir;
  for (const moire__loop_statement *s = body; s; s = s->next) {
    if (s->body) moire__emit_close_accumulators(e, s->body, ran);
    if (s->kind != MOIRE__LOOP_REDUCE || !e->vars[s->var].accumulator) continue;
    moire__emit_variable *var = &e->vars[s->var];
    moire__loop_type type = e->kernel->vars[s->var].type;
    LLVMValueRef x = LLVMBuildLoad2(ir->at, moire__ir_widen(var->type, e->lanes), var->accumulator, "");
    x = folded(e, s->combine, type, x);
    LLVMValueRef old = LLVMBuildLoad2(ir->at, var->type, var->slot, "");
    LLVMValueRef sum = combined(e, s->combine, type, old, x);
    LLVMBuildStore(ir->at, ran ? LLVMBuildSelect(ir->at, ran, sum, old, "") : sum, var->slot);
    var->accumulator = NULL;
  }
}
