/* Intrinsics as calls of C: see amx_soft.h. A vector goes and comes by its address; integers as 64 bits. */
#include "tests/support/amx/amx_soft.h"
#include "compiler/codegen/llvm_module.h"
#include "tests/support/amx/amx_unit.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_bool started;

bool test_soft_started(void) { return atomic_load(&started); }

#if defined(__x86_64__)

/* ---- what instructions do ------------------------------------------------------------------------------ */

enum { LANES = 16 };

static void need(bool done, const char *instruction) {
  if (done) return;
  fprintf(stderr, "the processor would refuse this %s\n", instruction);
  abort();
}

static void configure(const uint8_t *from) { need(test_amx_configure(from), "ldtilecfg"); }
static void release(void) { test_amx_release(); }
static void zero(int64_t tile) { need(test_amx_zero((int)tile), "tilezero"); }
static void load(int64_t tile, const uint8_t *base, int64_t stride) {
  need(test_amx_load((int)tile, base, stride), "tileloadd");
}
static void store(int64_t tile, uint8_t *base, int64_t stride) {
  need(test_amx_store((int)tile, base, stride), "tilestored");
}
static void dot(int64_t c, int64_t a, int64_t b) { need(test_amx_dot((int)c, (int)a, (int)b), "tdpbf16ps"); }

static float as_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static uint32_t as_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* Numbers below the normal range are zero. */
static uint32_t flush(uint32_t bits) { return (bits & 0x7f800000u) == 0 ? bits & 0x80000000u : bits; }
static float flushed(float x) { return as_float(flush(as_bits(x))); }

/* VCVTNEPS2BF16: to nearest, ties to even; a NaN becomes quiet. */
static uint16_t half_of(float x) {
  uint32_t bits = flush(as_bits(x));
  if (isnan(x)) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void round_16(uint16_t *to, const float *x) {
  for (int i = 0; i < LANES; i++) to[i] = half_of(x[i]);
}

/* VCVTNE2PS2BF16: the second operand is the lower half. */
static void round_32(uint16_t *to, const float *high, const float *low) {
  round_16(to, low);
  round_16(to + LANES, high);
}

/* VDPBF16PS: the odd numbers of pairs first. */
static void dot_pairs(float *to, const float *sums, const uint32_t *a, const uint32_t *b) {
  for (int i = 0; i < LANES; i++) {
    float high =
        fmaf(as_float(flush(a[i] & 0xffff0000u)), as_float(flush(b[i] & 0xffff0000u)), flushed(sums[i]));
    to[i] = flushed(fmaf(as_float(flush(a[i] << 16)), as_float(flush(b[i] << 16)), flushed(high)));
  }
}

/* VREDUCEPS with the immediate of 0 digits kept, to nearest; VSCALEFPS. All lanes. */
static void reduce(float *to, const float *x, int64_t how, const float *other, int64_t mask, int64_t rounding) {
  (void)other;
  (void)rounding;
  need(how == 8 && (mask & 0xffff) == 0xffff, "vreduceps");
  for (int i = 0; i < LANES; i++) to[i] = isinf(x[i]) ? 0 : x[i] - rintf(x[i]);
}

static void scale(float *to, const float *x, const float *y, const float *other, int64_t mask,
                  int64_t rounding) {
  (void)other;
  (void)rounding;
  need((mask & 0xffff) == 0xffff, "vscalefps");
  for (int i = 0; i < LANES; i++) {
    bool whole = y[i] >= -1000 && y[i] <= 1000;
    to[i] = whole ? ldexpf(x[i], (int)floorf(y[i])) : x[i] * exp2f(y[i]);
  }
}

typedef void any_function(void);

static const struct {
  const char *name;
  any_function *function;
} instructions[] = {
    {"llvm.x86.ldtilecfg", (any_function *)configure},
    {"llvm.x86.tilerelease", (any_function *)release},
    {"llvm.x86.tilezero", (any_function *)zero},
    {"llvm.x86.tileloadd64", (any_function *)load},
    {"llvm.x86.tilestored64", (any_function *)store},
    {"llvm.x86.tdpbf16ps", (any_function *)dot},
    {"llvm.x86.avx512bf16.cvtneps2bf16.512", (any_function *)round_16},
    {"llvm.x86.avx512bf16.cvtne2ps2bf16.512", (any_function *)round_32},
    {"llvm.x86.avx512bf16.dpbf16ps.512", (any_function *)dot_pairs},
    {"llvm.x86.avx512.mask.reduce.ps.512", (any_function *)reduce},
    {"llvm.x86.avx512.mask.scalef.ps.512", (any_function *)scale},
};
enum { INSTRUCTIONS = sizeof instructions / sizeof *instructions };

/* ---- the module ---------------------------------------------------------------------------------------- */

enum { SLOTS = 6 };

/* Of one function of the module: where vectors lie while they are handed over. */
typedef struct rewriting {
  moire__llvm_module *m;
  LLVMBuilderRef at;
  LLVMValueRef slots[SLOTS];
} rewriting;

static LLVMValueRef slot(rewriting *r, LLVMValueRef function, int i) {
  if (r->slots[i]) return r->slots[i];
  LLVMBuilderRef first = LLVMCreateBuilderInContext(r->m->context);
  LLVMPositionBuilderBefore(first, LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(function)));
  LLVMTypeRef bytes = LLVMArrayType2(LLVMInt8TypeInContext(r->m->context), 64);
  r->slots[i] = LLVMBuildAlloca(first, bytes, "");
  LLVMSetAlignment(r->slots[i], 64);
  LLVMDisposeBuilder(first);
  return r->slots[i];
}

/* Vectors of bfloat only ever become words or are stored: taken as words, since x86-64-v3 would round their
 * elements. */
static LLVMTypeRef without_bfloat(LLVMContextRef context, LLVMTypeRef type) {
  if (LLVMGetTypeKind(type) != LLVMVectorTypeKind) return type;
  if (LLVMGetTypeKind(LLVMGetElementType(type)) != LLVMBFloatTypeKind) return type;
  return LLVMVectorType(LLVMInt16TypeInContext(context), LLVMGetVectorSize(type));
}

static void replace_result(rewriting *r, LLVMValueRef call, LLVMValueRef from) {
  LLVMTypeRef type = LLVMTypeOf(call), plain = without_bfloat(r->m->context, type);
  LLVMValueRef result = LLVMBuildLoad2(r->at, plain, from, "");
  for (LLVMUseRef use = LLVMGetFirstUse(call), next = NULL; use; use = next) {
    next = LLVMGetNextUse(use);
    LLVMValueRef user = LLVMGetUser(use);
    if (plain != type && LLVMIsAStoreInst(user))
      LLVMSetOperand(user, 0, result);
    else if (plain != type && LLVMIsABitCastInst(user))
      LLVMReplaceAllUsesWith(user, LLVMBuildBitCast(r->at, result, LLVMTypeOf(user), ""));
  }
  LLVMReplaceAllUsesWith(call, LLVMBuildBitCast(r->at, result, type, ""));
}

static void replace(rewriting *r, LLVMValueRef function, LLVMValueRef call, any_function *by) {
  LLVMContextRef context = r->m->context;
  LLVMTypeRef pointer = LLVMPointerTypeInContext(context, 0), i64 = LLVMInt64TypeInContext(context);
  LLVMTypeRef result = LLVMTypeOf(call), types[SLOTS];
  LLVMValueRef arguments[SLOTS];
  bool gives = LLVMGetTypeKind(result) != LLVMVoidTypeKind;
  unsigned n = 0;
  LLVMPositionBuilderBefore(r->at, call);
  if (gives) arguments[n++] = slot(r, function, 0);
  for (unsigned i = 0; i < LLVMGetNumArgOperands(call); i++, n++) {
    LLVMValueRef x = LLVMGetOperand(call, i);
    LLVMTypeKind kind = LLVMGetTypeKind(LLVMTypeOf(x));
    arguments[n] = kind == LLVMIntegerTypeKind ? LLVMBuildZExt(r->at, x, i64, "") : x;
    if (kind != LLVMVectorTypeKind) continue;
    arguments[n] = slot(r, function, (int)n);
    LLVMBuildStore(r->at, x, arguments[n]);
  }
  for (unsigned i = 0; i < n; i++) types[i] = LLVMTypeOf(arguments[i]);
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(context), types, n, 0);
  LLVMValueRef address = LLVMConstInt(i64, (unsigned long long)(uintptr_t)by, 0);
  LLVMBuildCall2(r->at, type, LLVMConstIntToPtr(address, pointer), arguments, n, "");
  if (gives) replace_result(r, call, arguments[0]);
  LLVMInstructionEraseFromParent(call);
}

/* False: not an intrinsic of x86; fails where none of ours does what it says. */
static moire_status rewrite_call(rewriting *r, LLVMValueRef function, LLVMValueRef call, moire_error *error) {
  static const char prefix[] = "llvm.x86.";
  size_t length = 0;
  LLVMValueRef callee = LLVMIsACallInst(call) ? LLVMGetCalledValue(call) : NULL;
  const char *name = callee ? LLVMGetValueName2(callee, &length) : "";
  if (strncmp(name, prefix, sizeof prefix - 1) != 0) return MOIRE_OK;
  for (int i = 0; i < INSTRUCTIONS; i++) {
    if (strcmp(name, instructions[i].name) != 0) continue;
    replace(r, function, call, instructions[i].function);
    return MOIRE_OK;
  }
  return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "tests/support/amx/amx_soft.c knows nothing of %s", name);
}

static moire_status rewrite_function(moire__llvm_module *m, LLVMValueRef function, moire_error *error) {
  moire_status status = MOIRE_OK;
  rewriting r = {.m = m, .at = LLVMCreateBuilderInContext(m->context)};
  for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b)) {
    for (LLVMValueRef i = LLVMGetFirstInstruction(b), next = NULL; i && !status; i = next) {
      next = LLVMGetNextInstruction(i);
      status = rewrite_call(&r, function, i, error);
    }
  }
  LLVMDisposeBuilder(r.at);
  return status;
}

static void set_attribute(moire__llvm_module *m, LLVMValueRef function, const char *name, const char *value) {
  LLVMAttributeRef attribute =
      LLVMCreateStringAttribute(m->context, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
  LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
}

/* The module, which has been optimised, for `target` from here on. */
static moire_status change_target(moire__llvm_module *m, const moire__target *target, moire_error *error) {
  LLVMTargetRef known = LLVMGetTargetMachineTarget(m->machine);
  LLVMDisposeTargetMachine(m->machine);
  m->machine = LLVMCreateTargetMachine(known, target->triple, target->cpu, target->features,
                                       LLVMCodeGenLevelDefault, LLVMRelocPIC, LLVMCodeModelDefault);
  moire_status status = MOIRE_OK;
  for (LLVMValueRef f = LLVMGetFirstFunction(m->module); f && !status; f = LLVMGetNextFunction(f)) {
    if (!LLVMGetFirstBasicBlock(f)) continue;
    set_attribute(m, f, "target-cpu", target->cpu);
    set_attribute(m, f, "target-features", target->features);
    status = rewrite_function(m, f, error);
  }
  return status;
}

static moire_status to_object(const moire__loop_kernel *const *kernels, const int *chosen, int n,
                              const moire__target *target, const moire__codegen_options *options,
                              moire__object *object, moire_error *error) {
  *object = (moire__object){0};
  moire__llvm_module m;
  moire__target here;
  LLVMMemoryBufferRef buffer = NULL;
  moire_status status = moire__target_named("x86-64-v3", &here, error);
  if (status) return status;
  status = moire__llvm_make(&m, kernels, chosen, n, target, options, error);
  if (!status) status = moire__llvm_optimize(&m, options, error);
  if (!status) status = change_target(&m, &here, error);
  if (!status) status = moire__llvm_emit(&m, false, &buffer, error);
  if (!status) {
    object->size = LLVMGetBufferSize(buffer);
    object->bytes = moire__allocate(object->size);
    memcpy(object->bytes, LLVMGetBufferStart(buffer), object->size);
    LLVMDisposeMemoryBuffer(buffer);
  }
  moire__llvm_free(&m);
  return status;
}

bool test_soft_start(void) {
  setenv("MOIRE_CACHE", "off", 1);
  atomic_store(&started, true);
  return true;
}

moire_status __wrap_moire__llvm_to_object(const moire__loop_kernel *const *kernels, const int *chosen, int n,
                                          const moire__target *target, const moire__codegen_options *options,
                                          moire__object *object, moire_error *error) {
  if (test_soft_started() && target->has_bf16)
    return to_object(kernels, chosen, n, target, options, object, error);
  return __real_moire__llvm_to_object(kernels, chosen, n, target, options, object, error);
}

#else

bool test_soft_start(void) { return false; }

moire_status __wrap_moire__llvm_to_object(const moire__loop_kernel *const *kernels, const int *chosen, int n,
                                          const moire__target *target, const moire__codegen_options *options,
                                          moire__object *object, moire_error *error) {
  return __real_moire__llvm_to_object(kernels, chosen, n, target, options, object, error);
}

#endif
