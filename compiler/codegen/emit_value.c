/* Instructions: from a `let` of the loop IR to LLVM values, in the cheapest form that the operands allow. */
#include "compiler/codegen/emit.h"
#include "compiler/codegen/math.h"

#include <llvm-c/Core.h>

/* ---- arithmetic -------------------------------------------------------------------------------------------
 */

static bool is_real(moire__loop_type type) {
  return type == MOIRE__LOOP_F32 || type == MOIRE__LOOP_F64 || type == MOIRE__LOOP_BF16;
}

/* a op b ? a : b, so that b is the result whenever one of them is NaN. */
static LLVMValueRef choose(LLVMBuilderRef at, bool real, bool less, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef first = real ? LLVMBuildFCmp(at, less ? LLVMRealOLT : LLVMRealOGT, a, b, "")
                            : LLVMBuildICmp(at, less ? LLVMIntSLT : LLVMIntSGT, a, b, "");
  return LLVMBuildSelect(at, first, a, b, "");
}

LLVMValueRef moire__emit_arithmetic(moire__emitter *e, moire__loop_op op, moire__loop_type type, LLVMValueRef a,
                                    LLVMValueRef b) {
  LLVMBuilderRef at = e->ir.at;
  bool real = is_real(type);
  LLVMValueRef x = NULL;
  if (op == MOIRE__LOOP_min) return choose(at, real, true, a, b);
  if (op == MOIRE__LOOP_max) return choose(at, real, false, a, b);
  if (op == MOIRE__LOOP_add) x = real ? LLVMBuildFAdd(at, a, b, "") : LLVMBuildAdd(at, a, b, "");
  if (op == MOIRE__LOOP_sub) x = real ? LLVMBuildFSub(at, a, b, "") : LLVMBuildSub(at, a, b, "");
  if (op == MOIRE__LOOP_mul) x = real ? LLVMBuildFMul(at, a, b, "") : LLVMBuildMul(at, a, b, "");
  if (op == MOIRE__LOOP_div) x = real ? LLVMBuildFDiv(at, a, b, "") : LLVMBuildUDiv(at, a, b, "");
  if (op == MOIRE__LOOP_mod) x = LLVMBuildURem(at, a, b, "");
  if (real && !e->options->no_contract && LLVMIsAInstruction(x) && op != MOIRE__LOOP_div)
    LLVMSetFastMathFlags(x, LLVMFastMathAllowContract);
  return x;
}

static LLVMValueRef compare(moire__emitter *e, moire__loop_op op, moire__loop_type type, LLVMValueRef a,
                            LLVMValueRef b) {
  if (is_real(type)) {
    LLVMRealPredicate how = op == MOIRE__LOOP_eq   ? LLVMRealOEQ
                            : op == MOIRE__LOOP_lt ? LLVMRealOLT
                                                   : LLVMRealOLE;
    return LLVMBuildFCmp(e->ir.at, how, a, b, "");
  }
  LLVMIntPredicate how = op == MOIRE__LOOP_eq ? LLVMIntEQ : op == MOIRE__LOOP_lt ? LLVMIntSLT : LLVMIntSLE;
  return LLVMBuildICmp(e->ir.at, how, a, b, "");
}

static LLVMValueRef cast(moire__emitter *e, LLVMValueRef a, moire__loop_type from, moire__loop_type to) {
  LLVMBuilderRef at = e->ir.at;
  LLVMTypeRef type = moire__ir_like(LLVMTypeOf(a), moire__emit_type(e, to));
  if (from == to) return a;
  if (to == MOIRE__LOOP_BOOL) {
    LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(a));
    return is_real(from) ? LLVMBuildFCmp(at, LLVMRealUNE, a, zero, "")
                         : LLVMBuildICmp(at, LLVMIntNE, a, zero, "");
  }
  if (from == MOIRE__LOOP_BOOL)
    return is_real(to) ? LLVMBuildUIToFP(at, a, type, "") : LLVMBuildZExt(at, a, type, "");
  if (is_real(from) && is_real(to)) return LLVMBuildFPCast(at, a, type, "");
  if (is_real(to)) return LLVMBuildSIToFP(at, a, type, "");
  if (is_real(from)) return LLVMBuildFreeze(at, LLVMBuildFPToSI(at, a, type, ""), "");
  return LLVMBuildIntCast2(at, a, type, 1, "");
}

static LLVMValueRef negate(moire__emitter *e, moire__loop_type type, LLVMValueRef a) {
  return is_real(type) ? LLVMBuildFNeg(e->ir.at, a, "") : LLVMBuildNeg(e->ir.at, a, "");
}

static LLVMValueRef magnitude(moire__emitter *e, moire__loop_type type, LLVMValueRef a) {
  if (is_real(type)) return moire__ir_call1(&e->ir, "llvm.fabs", a);
  LLVMTypeRef shape = LLVMTypeOf(a);
  LLVMValueRef arguments[] = {a, LLVMConstInt(LLVMInt1TypeInContext(e->ir.context), 0, 0)};
  return moire__ir_intrinsic(&e->ir, "llvm.abs", &shape, 1, arguments, 2);
}

/* In lanes that do not exist the divisor may be 0, which may trap. */
static LLVMValueRef safe_divisor(moire__emitter *e, LLVMValueRef d) {
  if (!e->mask || LLVMIsConstant(d) || !moire__ir_lanes(LLVMTypeOf(d))) return d;
  return LLVMBuildSelect(e->ir.at, e->mask, d, moire__ir_integer(LLVMTypeOf(d), 1), "");
}

/* Up to the top of the word, and down again with the sign. */
static LLVMValueRef signed_byte(moire__emitter *e, LLVMValueRef word, LLVMValueRef which) {
  LLVMTypeRef type = LLVMTypeOf(word);
  LLVMValueRef top = moire__ir_integer(type, 24), eight = moire__ir_integer(type, 8);
  LLVMValueRef up = LLVMBuildSub(e->ir.at, top, LLVMBuildMul(e->ir.at, which, eight, ""), "");
  return LLVMBuildAShr(e->ir.at, LLVMBuildShl(e->ir.at, word, up, ""), top, "");
}

/* Operands of one shape. */
static LLVMValueRef operate(moire__emitter *e, const moire__loop_value_info *info, LLVMValueRef *x) {
  LLVMBuilderRef at = e->ir.at;
  moire__loop_type type = e->kernel->values[info->operands[0]].type;
  switch (info->op) {
    case MOIRE__LOOP_div:
    case MOIRE__LOOP_mod:
      if (!is_real(type)) x[1] = safe_divisor(e, x[1]);
      return moire__emit_arithmetic(e, info->op, type, x[0], x[1]);
    case MOIRE__LOOP_add:
    case MOIRE__LOOP_sub:
    case MOIRE__LOOP_mul:
    case MOIRE__LOOP_min:
    case MOIRE__LOOP_max: return moire__emit_arithmetic(e, info->op, type, x[0], x[1]);
    case MOIRE__LOOP_fma: return moire__ir_fma(&e->ir, x[0], x[1], x[2]);
    case MOIRE__LOOP_neg: return negate(e, type, x[0]);
    case MOIRE__LOOP_abs: return magnitude(e, type, x[0]);
    case MOIRE__LOOP_sqrt: return moire__ir_call1(&e->ir, "llvm.sqrt", x[0]);
    case MOIRE__LOOP_floor: return moire__ir_call1(&e->ir, "llvm.floor", x[0]);
    case MOIRE__LOOP_single: return x[0];
    case MOIRE__LOOP_narrow: return moire__emit_narrow(e, x[0]);
    case MOIRE__LOOP_pair: return moire__emit_pair(e, x[0], x[1]);
    case MOIRE__LOOP_byte: return signed_byte(e, x[0], x[1]);
    case MOIRE__LOOP_dot: return moire__emit_dot(e, x[0], x[1], x[2]);
    case MOIRE__LOOP_exp:
    case MOIRE__LOOP_exp2:
    case MOIRE__LOOP_log:
    case MOIRE__LOOP_sin:
    case MOIRE__LOOP_cos:
    case MOIRE__LOOP_tanh:
    case MOIRE__LOOP_erf:
    case MOIRE__LOOP_atan2:
    case MOIRE__LOOP_pow:
      return moire__math_emit(&e->ir, info->op, e->target->vector_bits, e->options->flush, x, info->n_operands);
    case MOIRE__LOOP_eq:
    case MOIRE__LOOP_lt:
    case MOIRE__LOOP_le: return compare(e, info->op, type, x[0], x[1]);
    case MOIRE__LOOP_and: return LLVMBuildAnd(at, x[0], x[1], "");
    case MOIRE__LOOP_or: return LLVMBuildOr(at, x[0], x[1], "");
    case MOIRE__LOOP_not: return LLVMBuildNot(at, x[0], "");
    case MOIRE__LOOP_select: return LLVMBuildSelect(at, x[0], x[1], x[2], "");
    case MOIRE__LOOP_cast: return cast(e, x[0], type, info->type);
    case MOIRE__LOOP_const:
    case MOIRE__LOOP_extent:
    case MOIRE__LOOP_load:
    case MOIRE__LOOP_word:
    case MOIRE__LOOP_get:
    case MOIRE__LOOP_random:
    case MOIRE__LOOP_random16:
    case MOIRE__LOOP_OP_COUNT: break;
  }
  moire__emit_fail(e, MOIRE_ERROR_INTERNAL, "an unknown operation");
  return LLVMGetPoison(moire__emit_type(e, info->type));
}

/* ---- indices ----------------------------------------------------------------------------------------------
 */

static bool is_index_like(const moire__emitter *e, moire__loop_value v) {
  const moire__loop_value_info *info = &e->kernel->values[v];
  if (info->is_index || info->op == MOIRE__LOOP_extent) return true;
  return info->op == MOIRE__LOOP_const ? info->type == MOIRE__LOOP_I64 : e->index_like[v];
}

/* Indices, extents and what is computed from them count elements in memory, so their sums and products do not
 * overflow. */
static bool learn_index_like(moire__emitter *e, moire__loop_value v) {
  const moire__loop_value_info *info = &e->kernel->values[v];
  bool keeps = info->op == MOIRE__LOOP_add || info->op == MOIRE__LOOP_sub || info->op == MOIRE__LOOP_mul ||
               info->op == MOIRE__LOOP_div || info->op == MOIRE__LOOP_mod || info->op == MOIRE__LOOP_min ||
               info->op == MOIRE__LOOP_max;
  for (int i = 0; i < info->n_operands; i++) keeps = keeps && is_index_like(e, info->operands[i]);
  return e->index_like[v] = keeps;
}

static LLVMValueRef index_arithmetic(moire__emitter *e, moire__loop_op op, bool nsw, LLVMValueRef a,
                                     LLVMValueRef b) {
  LLVMValueRef x = op == MOIRE__LOOP_add   ? LLVMBuildAdd(e->ir.at, a, b, "")
                   : op == MOIRE__LOOP_sub ? LLVMBuildSub(e->ir.at, a, b, "")
                                           : LLVMBuildMul(e->ir.at, a, b, "");
  if (nsw && LLVMIsAInstruction(x)) LLVMSetNSW(x, 1);
  return x;
}

/* add, sub and mul of i64 that stay uniform or affine. False if they do not. */
static bool emit_affine(moire__emitter *e, moire__loop_value v, moire__emit_value *out) {
  const moire__loop_value_info *info = &e->kernel->values[v];
  bool sum = info->op == MOIRE__LOOP_add || info->op == MOIRE__LOOP_sub;
  if (info->type != MOIRE__LOOP_I64 || (!sum && info->op != MOIRE__LOOP_mul)) return false;
  moire__emit_value a = moire__emit_value_of(e, info->operands[0]),
                    b = moire__emit_value_of(e, info->operands[1]);
  if (!a.scalar || !b.scalar || (!sum && a.stride && b.stride)) return false;
  bool nsw = learn_index_like(e, v);
  out->scalar = index_arithmetic(e, info->op, nsw, a.scalar, b.scalar);
  if (!a.stride && !b.stride) return true;
  if (!sum) {
    out->stride = a.stride ? index_arithmetic(e, MOIRE__LOOP_mul, nsw, a.stride, b.scalar)
                           : index_arithmetic(e, MOIRE__LOOP_mul, nsw, a.scalar, b.stride);
  } else {
    LLVMValueRef zero = moire__ir_index(&e->ir, 0);
    out->stride = index_arithmetic(e, info->op, nsw, a.stride ? a.stride : zero, b.stride ? b.stride : zero);
  }
  if (LLVMIsNull(out->stride)) out->stride = NULL;
  return true;
}

/* Quotient or remainder of consecutive numbers by a constant: one scalar division, and the lanes count on from
 * its remainder in 32 bits. */
static bool emit_affine_division(moire__emitter *e, moire__loop_value v, moire__emit_value *out) {
  const moire__ir *ir = &e->ir;
  const moire__loop_value_info *info = &e->kernel->values[v];
  if (info->type != MOIRE__LOOP_I64 || (info->op != MOIRE__LOOP_div && info->op != MOIRE__LOOP_mod))
    return false;
  moire__emit_value a = moire__emit_value_of(e, info->operands[0]),
                    b = moire__emit_value_of(e, info->operands[1]);
  if (!a.stride || !LLVMIsAConstantInt(a.stride) || LLVMConstIntGetSExtValue(a.stride) != 1) return false;
  if (!b.scalar || b.stride || !LLVMIsAConstantInt(b.scalar)) return false;
  int64_t d = LLVMConstIntGetSExtValue(b.scalar);
  if (d < 1 || d > 1 << 30) return false;
  learn_index_like(e, v);
  LLVMTypeRef i32 = LLVMInt32TypeInContext(ir->context), narrow = moire__ir_widen(i32, e->lanes);
  LLVMTypeRef wide = moire__ir_widen(LLVMTypeOf(a.scalar), e->lanes);
  LLVMValueRef first = LLVMBuildURem(ir->at, a.scalar, b.scalar, "");
  LLVMValueRef lane = moire__ir_splat(ir, LLVMBuildTrunc(ir->at, first, i32, ""), e->lanes);
  lane = LLVMBuildAdd(ir->at, lane, moire__ir_lane_numbers(i32, e->lanes), "");
  LLVMValueRef divisor = moire__ir_integer(narrow, d);
  if (info->op == MOIRE__LOOP_mod) {
    LLVMValueRef rest = NULL;
    if (d >= e->lanes) { /* wraps once at most */
      LLVMValueRef wraps = LLVMBuildICmp(ir->at, LLVMIntUGE, lane, divisor, "");
      rest = LLVMBuildSelect(ir->at, wraps, LLVMBuildSub(ir->at, lane, divisor, ""), lane, "");
    } else {
      rest = LLVMBuildURem(ir->at, lane, divisor, "");
    }
    out->vector = LLVMBuildZExt(ir->at, rest, wide, "");
    return true;
  }
  LLVMValueRef more =
      d >= e->lanes ? LLVMBuildZExt(ir->at, LLVMBuildICmp(ir->at, LLVMIntUGE, lane, divisor, ""), wide, "")
                    : LLVMBuildZExt(ir->at, LLVMBuildUDiv(ir->at, lane, divisor, ""), wide, "");
  LLVMValueRef quotient = moire__ir_splat(ir, LLVMBuildUDiv(ir->at, a.scalar, b.scalar, ""), e->lanes);
  out->vector = LLVMBuildAdd(ir->at, quotient, more, "");
  return true;
}

/* ---- one `let` --------------------------------------------------------------------------------------------
 */

static moire__emit_value emit_get(moire__emitter *e, moire__loop_var v) {
  moire__emit_variable *var = &e->vars[v];
  if (!var->slot || var->accumulator) {
    moire__emit_fail(e, MOIRE_ERROR_INTERNAL, "a variable is read where it is not visible");
    return (moire__emit_value){.scalar = LLVMGetPoison(moire__emit_type(e, e->kernel->vars[v].type))};
  }
  LLVMValueRef x = LLVMBuildLoad2(e->ir.at, var->type, var->slot, "");
  return moire__ir_lanes(var->type) ? (moire__emit_value){.vector = x} : (moire__emit_value){.scalar = x};
}

/* Lanes of consecutive elements share blocks where they begin as blocks do, if the counters are uniform. */
static bool shares_blocks(moire__emitter *e, const moire__loop_value_info *info) {
  moire__emit_value element = moire__emit_value_of(e, info->operands[4]);
  if (!element.stride || !LLVMIsAConstantInt(element.stride)) return false;
  if (LLVMConstIntGetSExtValue(element.stride) != 1) return false;
  for (int i = 0; i < 4; i++) {
    moire__emit_value x = moire__emit_value_of(e, info->operands[i]);
    if (x.vector || x.stride) return false;
  }
  int64_t multiple = moire__emit_multiple_of(e->kernel, e->loop, info->operands[4]);
  return moire__math_random_has_run(info->op, e->lanes, multiple);
}

static moire__emit_value emit_random(moire__emitter *e, const moire__loop_value_info *info, bool wide) {
  LLVMValueRef x[5];
  for (int i = 0; i < 5; i++) {
    moire__emit_value at = moire__emit_value_of(e, info->operands[i]);
    x[i] = wide && (i == 4 || at.vector || at.stride) ? moire__emit_lanes(e, info->operands[i]) : at.scalar;
  }
  if (wide && shares_blocks(e, info)) {
    x[4] = moire__emit_value_of(e, info->operands[4]).scalar;
    return (moire__emit_value){
        .vector = moire__math_random_run(&e->ir, e->target->vector_bits, info->op, x, e->lanes)};
  }
  LLVMValueRef word = moire__math_random(&e->ir, e->target->vector_bits, info->op, x);
  return wide ? (moire__emit_value){.vector = word} : (moire__emit_value){.scalar = word};
}

void moire__emit_let(moire__emitter *e, moire__loop_value v) {
  const moire__loop_value_info *info = &e->kernel->values[v];
  moire__emit_value *out = &e->values[v];
  *out = (moire__emit_value){0};
  if (info->op == MOIRE__LOOP_const || info->op == MOIRE__LOOP_extent) return;
  if (info->op == MOIRE__LOOP_load || info->op == MOIRE__LOOP_word) {
    *out = moire__emit_load(e, v);
    return;
  }
  if (info->op == MOIRE__LOOP_get) {
    *out = emit_get(e, info->var);
    return;
  }
  if (emit_affine(e, v, out) || emit_affine_division(e, v, out)) return;
  bool wide = false;
  for (int i = 0; i < info->n_operands; i++) {
    moire__emit_value x = moire__emit_value_of(e, info->operands[i]);
    wide = wide || x.vector || x.stride;
  }
  if (info->op == MOIRE__LOOP_random || info->op == MOIRE__LOOP_random16) {
    *out = emit_random(e, info, wide);
    return;
  }
  LLVMValueRef x[5];
  for (int i = 0; i < info->n_operands; i++) {
    moire__emit_value at = moire__emit_value_of(e, info->operands[i]);
    bool one_condition = i == 0 && info->op == MOIRE__LOOP_select && at.scalar; /* may stay a scalar */
    x[i] = wide && !one_condition ? moire__emit_lanes(e, info->operands[i])
                                  : moire__emit_uniform(e, info->operands[i]);
  }
  learn_index_like(e, v);
  LLVMValueRef result = operate(e, info, x);
  if (wide)
    out->vector = result;
  else
    out->scalar = result;
}
