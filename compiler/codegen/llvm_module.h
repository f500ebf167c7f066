/* A module of LLVM IR on its way to an object: shared by object.c, text.c and parallel.c. */
#ifndef MOIRE_COMPILER_CODEGEN_LLVM_MODULE_H
#define MOIRE_COMPILER_CODEGEN_LLVM_MODULE_H

#include "compiler/codegen/codegen.h"

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

/* A context of its own, so that modules are made in parallel. */
typedef struct moire__llvm_module {
  LLVMContextRef context;
  LLVMModuleRef module;
  LLVMTargetMachineRef machine;
  moire_error diagnostic; /* the first error that LLVM reported */
} moire__llvm_module;

/* Makes LLVM ready; any number of times, from any thread. Afterwards LLVM's fatal errors name themselves before
 * the program ends. */
void moire__llvm_start(void);
/* Emits and verifies the kernels chosen[0 .. n) of `kernels`, without passes. Kernel chosen[i] has the symbol
 * that its place in `kernels` gives; chosen NULL: all. Free also on failure. */
moire_status moire__llvm_make(moire__llvm_module *m, const moire__loop_kernel *const *kernels,
                              const int *chosen, int n, const moire__target *target,
                              const moire__codegen_options *options, moire_error *error);
/* Runs the pass pipeline, unless the options say otherwise. */
moire_status moire__llvm_optimize(moire__llvm_module *m, const moire__codegen_options *options,
                                  moire_error *error);
/* `assembly` false: an object file. The bytes are owned by *out, a LLVM memory buffer. */
moire_status moire__llvm_emit(moire__llvm_module *m, bool assembly, LLVMMemoryBufferRef *out,
                              moire_error *error);
void moire__llvm_free(moire__llvm_module *m);
/* make, optimize, emit, free. */
moire_status moire__llvm_to_object(const moire__loop_kernel *const *kernels, const int *chosen, int n,
                                   const moire__target *target, const moire__codegen_options *options,
                                   moire__object *object, moire_error *error);

/* A hash of the sources of the code generator, made by the build: code of another version is not the same. */
extern const char moire__codegen_sources[];

/* The symbol of kernel i, in `name` if it has to be made. */
const char *moire__llvm_symbol(const moire__codegen_options *options, int i, char name[40]);

#endif
