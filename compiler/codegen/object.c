/* Objects and texts of kernels, and the division of kernels among threads. */
#include "compiler/codegen/llvm_module.h"

#include <pthread.h>
#include <string.h>

void moire__object_free(moire__object *object) {
  moire__release(object->bytes);
  *object = (moire__object){0};
}

static const moire__codegen_options defaults;

moire_status moire__codegen_emit_object(const moire__loop_kernel *const *kernels, int n,
                                        const moire__target *target, const moire__codegen_options *options,
                                        moire__object *object, moire_error *error) {
  return moire__llvm_to_object(kernels, NULL, n, target, options ? options : &defaults, object, error);
}

moire_status moire__codegen_emit_text(const moire__loop_kernel *const *kernels, int n,
                                      const moire__target *target, const moire__codegen_options *options,
                                      moire__codegen_text_kind kind, moire__text *text, moire_error *error) {
  moire__llvm_module m;
  if (!options) options = &defaults;
  moire_status status = moire__llvm_make(&m, kernels, NULL, n, target, options, error);
  if (!status && kind != MOIRE__CODEGEN_LLVM) status = moire__llvm_optimize(&m, options, error);
  if (!status && kind == MOIRE__CODEGEN_ASSEMBLY) {
    LLVMMemoryBufferRef buffer = NULL;
    status = moire__llvm_emit(&m, true, &buffer, error);
    if (!status) {
      moire__text_add_bytes(text, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
      LLVMDisposeMemoryBuffer(buffer);
    }
  } else if (!status) {
    char *printed = LLVMPrintModuleToString(m.module);
    moire__text_add_bytes(text, printed, strlen(printed));
    LLVMDisposeMessage(printed);
  }
  moire__llvm_free(&m);
  return status;
}

/* ---- in parallel -------------------------------------------------------------------------------------------
 */

typedef struct share {
  const moire__loop_kernel *const *kernels;
  const moire__target *target;
  const moire__codegen_options *options;
  int *chosen; /* indices of kernels */
  int n;
  int64_t weight;
  moire__object *object;
  moire_error error;
  pthread_t thread;
  bool started;
} share;

static void *compile_share(void *argument) {
  share *s = argument;
  if (s->n) moire__llvm_to_object(s->kernels, s->chosen, s->n, s->target, s->options, s->object, &s->error);
  return NULL;
}

/* Each kernel goes to the thread with the least work so far, in the order in which they come. */
static void divide(share *shares, int n_shares, const moire__loop_kernel *const *kernels, int n) {
  for (int i = 0; i < n; i++) {
    share *least = &shares[0];
    for (int t = 1; t < n_shares; t++) {
      if (shares[t].weight < least->weight) least = &shares[t];
    }
    least->chosen[least->n++] = i;
    least->weight += kernels[i]->n_values;
  }
}

moire_status moire__codegen_compile_parallel(const moire__loop_kernel *const *kernels, int n,
                                             const moire__target *target, const moire__codegen_options *options,
                                             int n_threads, moire__object *objects, moire_error *error) {
  moire__arena arena = {0};
  share *shares = moire__arena_array(&arena, (size_t)n_threads, sizeof *shares);
  for (int t = 0; t < n_threads; t++) {
    int *chosen = moire__arena_array(&arena, (size_t)n + 1, sizeof *chosen);
    objects[t] = (moire__object){0};
    shares[t] = (share){.kernels = kernels,
                        .target = target,
                        .options = options ? options : &defaults,
                        .chosen = chosen,
                        .object = &objects[t]};
  }
  divide(shares, n_threads, kernels, n);
  moire__llvm_start();
  for (int t = 1; t < n_threads; t++)
    shares[t].started =
        shares[t].n > 0 && pthread_create(&shares[t].thread, NULL, compile_share, &shares[t]) == 0;
  compile_share(&shares[0]);
  moire_status status = shares[0].error.status;
  for (int t = 0; t < n_threads; t++) {
    if (shares[t].started)
      pthread_join(shares[t].thread, NULL);
    else if (t > 0)
      compile_share(&shares[t]); /* no thread could be had */
    if (shares[t].error.status)
      status = moire_fail(error, shares[t].error.status, "%s", shares[t].error.message);
  }
  if (status) {
    for (int t = 0; t < n_threads; t++) moire__object_free(&objects[t]);
  }
  moire__arena_free(&arena);
  return status;
}
