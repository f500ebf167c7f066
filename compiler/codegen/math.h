/* Vector math of our own, written as LLVM IR into the kernel that uses it.
 *
 * LLVM has no vector exp, log, tanh ...: it would call a scalar library function for each lane. These are
 * branch-free (but for huge arguments of sin and cos) and take scalars and vectors alike. Results keep NaN,
 * infinities, signed zeros and denormals. The largest error over all arguments, in units of the last place of
 * the correctly rounded result, is stated at each function and tested (tests/codegen/math_test.c).
 */
#ifndef MOIRE_COMPILER_CODEGEN_MATH_H
#define MOIRE_COMPILER_CODEGEN_MATH_H

#include "compiler/codegen/llvm_ir.h"
#include "compiler/ir/loop/loop.h"

/* op (exp, exp2, log, sin, cos, tanh, erf, atan2 or pow) on n operands of one shape, f32 or f64. vector_bits is
 * that of the target: wider vectors are computed a register at a time, so that temporaries do not spill. With
 * `flush`, powers in f32 that are below 2^-125.5 may be 0. */
LLVMValueRef moire__math_emit(const moire__ir *ir, moire__loop_op op, int vector_bits, bool flush,
                              const LLVMValueRef *operands, int n);

/* What `op`, random or random16, draws for each element (runtime/base/philox.h): seed_lo, seed_hi, step and
 * stream are i32 scalars or vectors, element an i64 vector, or scalar if all are. */
LLVMValueRef moire__math_random(const moire__ir *ir, int vector_bits, moire__loop_op op,
                                const LLVMValueRef operands[5]);
/* The same for `lanes` (a power of two) consecutive elements from operands[4] on, all operands scalars: every
 * block is computed once. Only where `has_run` says so of the first element, which is a multiple of `multiple`.
 */
bool moire__math_random_has_run(moire__loop_op op, int lanes, int64_t multiple);
LLVMValueRef moire__math_random_run(const moire__ir *ir, int vector_bits, moire__loop_op op,
                                    const LLVMValueRef operands[5], int lanes);

#endif
