/* The JIT: objects in memory, linked into this process.
 *
 * What is loaded is exactly what moire__codegen_emit_object wrote, so compiled code may be kept and loaded
 * again. Kernels call nothing but what LLVM itself may call (memcpy, memset; on targets without fma, fmaf),
 * which is looked up in the process.
 *
 * Objects are linked by JITLink. LLVM's listeners for debuggers and perf only know its older linker, which is
 * used where they are wanted.
 */
#include "compiler/codegen/llvm_module.h"
#include "compiler/codegen/perf_map.h"

#include <llvm-c/ExecutionEngine.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/OrcEE.h>

struct moire__jit {
  LLVMOrcLLJITRef jit;
  FILE *perf_map; /* NULL: none is wanted */
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

typedef struct listeners {
  LLVMJITEventListenerRef gdb, perf; /* LLVM's own, one of each in a process; NULL: not wanted */
} listeners;

static moire_status find_listeners(unsigned observers, listeners *found, moire_error *error) {
  if (observers & MOIRE__JIT_GDB) found->gdb = LLVMCreateGDBRegistrationListener();
  if (observers & MOIRE__JIT_PERF) found->perf = LLVMCreatePerfJITEventListener();
  if (!(observers & MOIRE__JIT_PERF) || found->perf) return MOIRE_OK;
  return moire_fail(
      error, MOIRE_ERROR_UNSUPPORTED,
      "perf cannot be told of lines, since LLVM was built without its support (a map can be had)");
}

static LLVMOrcObjectLayerRef make_observed_linker(void *context, LLVMOrcExecutionSessionRef session,
                                                  const char *triple) {
  (void)triple;
  const listeners *l = context;
  LLVMOrcObjectLayerRef layer = LLVMOrcCreateRTDyldObjectLinkingLayerWithSectionMemoryManager(session);
  if (l->gdb) LLVMOrcRTDyldObjectLinkingLayerRegisterJITEventListener(layer, l->gdb);
  if (l->perf) LLVMOrcRTDyldObjectLinkingLayerRegisterJITEventListener(layer, l->perf);
  return layer;
}

moire__jit *moire__jit_create(moire_error *error) { return moire__jit_create_observed(0, error); }

moire__jit *moire__jit_create_observed(unsigned observers, moire_error *error) {
  moire__llvm_start();
  FILE *map = NULL;
  listeners wanted = {NULL, NULL};
  if (find_listeners(observers, &wanted, error)) return NULL;
  if (observers & MOIRE__JIT_PERF_MAP && !(map = moire__perf_map_open(error))) return NULL;
  LLVMOrcLLJITRef jit = NULL;
  LLVMOrcLLJITBuilderRef how = NULL;
  if (wanted.gdb || wanted.perf) {
    how = LLVMOrcCreateLLJITBuilder();
    LLVMOrcLLJITBuilderSetObjectLinkingLayerCreator(how, make_observed_linker, &wanted);
  }
  LLVMErrorRef failure = LLVMOrcCreateLLJIT(&jit, how);
  if (failure) {
    if (map) fclose(map);
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
    if (map) fclose(map);
    return NULL;
  }
  LLVMOrcJITDylibAddGenerator(LLVMOrcLLJITGetMainJITDylib(jit), process);
  moire__jit *made = moire__allocate(sizeof *made);
  made->jit = jit;
  made->perf_map = map;
  return made;
}

void moire__jit_destroy(moire__jit *jit) {
  if (!jit) return;
  LLVMConsumeError(LLVMOrcDisposeLLJIT(jit->jit));
  if (jit->perf_map) fclose(jit->perf_map);
  moire__release(jit);
}

static uint64_t find_address(void *context, const char *symbol) {
  return (uint64_t)(uintptr_t)moire__jit_find(context, symbol, NULL);
}

moire_status moire__jit_add(moire__jit *jit, const moire__object *object, moire_error *error) {
  if (!object->size) return MOIRE_OK;
  LLVMMemoryBufferRef copy = LLVMCreateMemoryBufferWithMemoryRangeCopy(object->bytes, object->size, "kernels");
  LLVMErrorRef failure = LLVMOrcLLJITAddObjectFile(jit->jit, LLVMOrcLLJITGetMainJITDylib(jit->jit), copy);
  if (failure) return fail(error, failure, "compiled code could not be loaded");
  if (jit->perf_map) moire__perf_map_add(jit->perf_map, object->bytes, object->size, find_address, jit);
  return MOIRE_OK;
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
