/* Code of the levels with AVX512-BF16 or AMX on a processor that has neither, nor AVX-512.
 *
 * What they lower, emit and optimise is taken as it is; only the last step is another one. Each call of an
 * intrinsic of x86 becomes a call of a function here that does what Intel's manual says of the instruction, and
 * the rest of the module, vectors of 16 floats and all, is compiled for x86-64-v3. So loop nests, addresses,
 * shapes, order of sums and rounding are executed; what is not are the encodings of AMX and AVX-512, and what
 * LLVM makes of the rest for them.
 *
 * It works where moire__llvm_to_object is wrapped while linking (tests/tiles/).
 */
#ifndef MOIRE_TESTS_SUPPORT_AMX_AMX_SOFT_H
#define MOIRE_TESTS_SUPPORT_AMX_AMX_SOFT_H

#include "compiler/codegen/codegen.h"

/* From now on in this process. Its code holds addresses of this process, so no code is kept on disk. */
bool test_soft_start(void);
bool test_soft_started(void);

moire_status __real_moire__llvm_to_object(const moire__loop_kernel *const *kernels, const int *chosen, int n,
                                          const moire__target *target, const moire__codegen_options *options,
                                          moire__object *object, moire_error *error);
moire_status __wrap_moire__llvm_to_object(const moire__loop_kernel *const *kernels, const int *chosen, int n,
                                          const moire__target *target, const moire__codegen_options *options,
                                          moire__object *object, moire_error *error);

#endif
