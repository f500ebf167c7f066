/* The JIT: objects in memory, linked into this process.
 *
 * What is loaded is exactly what moire__codegen_emit_object wrote, so compiled code may be kept and loaded
 * again. Kernels call nothing but what LLVM itself may call (memcpy, memset; on targets without fma, fmaf),
 * which is looked up in the process.
 */
#include "compiler/codegen/llvm_module.h"

#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>

struct moire__jit {
  LLVMOrcLLJITRef jit;
};

static moire_status fail(moire_error *error, LLVMErrorRef failure, const char *what) {
  char *message = LLVMGetErrorMessage(failure);
  moire_status status = moire_fail(error, MOIRE_ERROR_INTERNAL, "%s: %s", what, message);
  LLVMDisposeErrorMessage(message);
  return status;
}

/* Failures come back from the call that met them; nothing is to be printed beside. */
static void drop_error(void *context, LLVMErrorRef failure) {
  (void)context;
  LLVMConsumeError(failure);
}

moire__jit *moire__jit_create(moire_error *error) {
  moire__llvm_start();
  LLVMOrcLLJITRef jit = NULL;
  LLVMErrorRef failure = LLVMOrcCreateLLJIT(&jit, NULL);
  if (failure) {
    fail(error, failure, "the JIT could not be started");
    return NULL;
  }
  LLVMOrcExecutionSessionSetErrorReporter(LLVMOrcLLJITGetExecutionSession(jit), drop_error, NULL);
  LLVMOrcDefinitionGeneratorRef process = NULL;
  failure = LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(&process, LLVMOrcLLJITGetGlobalPrefix(jit),
                                                                 NULL, NULL);
  if (failure) {
    fail(error, failure, "the JIT could not read the symbols of this process");
    LLVMConsumeError(LLVMOrcDisposeLLJIT(jit));
    return NULL;
  }
  LLVMOrcJITDylibAddGenerator(LLVMOrcLLJITGetMainJITDylib(jit), process);
  moire__jit *made = moire__allocate(sizeof *made);
  made->jit = jit;
  return made;
}

void moire__jit_destroy(moire__jit *jit) {
  if (!jit) return;
  LLVMConsumeError(LLVMOrcDisposeLLJIT(jit->jit));
  moire__release(jit);
}

moire_status moire__jit_add(moire__jit *jit, const moire__object *object, moire_error *error) {
  if (!object->size) return MOIRE_OK;
  LLVMMemoryBufferRef copy = LLVMCreateMemoryBufferWithMemoryRangeCopy(object->bytes, object->size, "kernels");
  LLVMErrorRef failure = LLVMOrcLLJITAddObjectFile(jit->jit, LLVMOrcLLJITGetMainJITDylib(jit->jit), copy);
  return failure ? fail(error, failure, "compiled code could not be loaded") : MOIRE_OK;
}

moire_kernel_function moire__jit_find(moire__jit *jit, const char *symbol, moire_error *error) {
  LLVMOrcExecutorAddress address = 0;
  LLVMErrorRef failure = LLVMOrcLLJITLookup(jit->jit, &address, symbol);
  if (failure) {
    fail(error, failure, "compiled code could not be found");
    return NULL;
  }
  return (moire_kernel_function)(uintptr_t)address;
}

moire_status moire__jit_compile(moire__jit *jit, const moire__loop_kernel *const *kernels, int n,
                                const moire__target *target, const moire__codegen_options *options,
                                int n_threads, moire_kernel_function *functions, moire_error *error) {
  static const moire__codegen_options defaults;
  moire_status status = moire__target_runs_here(target, error);
  if (status) return status;
  moire__object *objects = moire__allocate_array((size_t)n + 1, sizeof *objects);
  status = moire__codegen_compile_parallel(kernels, n, target, options, n_threads, objects, error);
  for (int i = 0; i < n; i++) {
    if (!status) status = moire__jit_add(jit, &objects[i], error);
    moire__object_free(&objects[i]);
  }
  moire__release(objects);
  for (int i = 0; i < n && !status; i++) {
    char name[40];
    functions[i] = moire__jit_find(jit, moire__llvm_symbol(options ? options : &defaults, i, name), error);
    if (!functions[i]) status = MOIRE_ERROR_INTERNAL;
  }
  return status;
}
