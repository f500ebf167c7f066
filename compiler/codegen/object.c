/* Objects and texts of kernels, and the division of kernels among threads. */
#include "compiler/codegen/llvm_module.h"

#include <llvm-c/Core.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void moire__object_free(moire__object *object) {
  moire__release(object->bytes);
  *object = (moire__object){0};
}

static const moire__codegen_options defaults;

void moire__codegen_llvm_version(moire__text *text) {
  unsigned major = 0, minor = 0, patch = 0;
  LLVMGetVersion(&major, &minor, &patch);
  moire__text_add(text, "%u.%u.%u", major, minor, patch);
}

void moire__codegen_describe(const moire__target *target, const moire__codegen_options *options,
                             moire__text *text) {
  if (!options) options = &defaults;
  moire__text_add(text, "moire %s, LLVM ", moire__codegen_sources);
  moire__codegen_llvm_version(text);
  moire__text_add(text, "\n%s %s %s %s\n%d %d %d %d\n", target->name, target->triple, target->cpu,
                  target->features, options->no_optimize, options->no_contract, options->flush,
                  options->debug_info);
}

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

/* What the threads share. Each takes the next kernel, the longest first, so that none waits long at the end. */
typedef struct work {
  const moire__loop_kernel *const *kernels;
  const moire__target *target;
  const moire__codegen_options *options;
  const int *order;
  int n;
  atomic_int next;
  moire__object *objects;
} work;

typedef struct worker {
  work *work;
  int failed; /* lowest number of a kernel that could not be compiled, n: none */
  moire_error error;
  pthread_t thread;
  bool started;
} worker;

static void *compile_kernels(void *argument) {
  worker *me = argument;
  work *w = me->work;
  for (;;) {
    int at = atomic_fetch_add(&w->next, 1);
    if (at >= w->n) return NULL;
    const int *k = &w->order[at];
    moire_error error = {0};
    moire_status status =
        moire__llvm_to_object(w->kernels, k, 1, w->target, w->options, &w->objects[*k], &error);
    if (!status || *k > me->failed) continue;
    me->failed = *k;
    me->error = error;
  }
}

typedef struct length {
  int kernel, values;
} length;

static int longer_first(const void *a, const void *b) {
  const length *x = a, *y = b;
  return x->values != y->values ? (x->values < y->values) - (x->values > y->values)
                                : (x->kernel > y->kernel) - (x->kernel < y->kernel);
}

static int *order_by_length(moire__arena *arena, const moire__loop_kernel *const *kernels, int n) {
  length *lengths = moire__arena_array(arena, (size_t)n + 1, sizeof *lengths);
  int *order = moire__arena_array(arena, (size_t)n + 1, sizeof *order);
  for (int i = 0; i < n; i++) lengths[i] = (length){i, kernels[i]->n_values};
  qsort(lengths, (size_t)n, sizeof *lengths, longer_first);
  for (int i = 0; i < n; i++) order[i] = lengths[i].kernel;
  return order;
}

moire_status moire__codegen_compile_parallel(const moire__loop_kernel *const *kernels, int n,
                                             const moire__target *target, const moire__codegen_options *options,
                                             int n_threads, moire__object *objects, moire_error *error) {
  moire__arena arena = {0};
  if (n_threads > n) n_threads = n > 0 ? n : 1;
  for (int i = 0; i < n; i++) objects[i] = (moire__object){0};
  work w = {.kernels = kernels,
            .target = target,
            .options = options ? options : &defaults,
            .order = order_by_length(&arena, kernels, n),
            .n = n,
            .objects = objects};
  worker *workers = moire__arena_array(&arena, (size_t)n_threads, sizeof *workers);
  for (int t = 0; t < n_threads; t++) workers[t] = (worker){.work = &w, .failed = n};
  moire__llvm_start();
  for (int t = 1; t < n_threads; t++)
    workers[t].started = pthread_create(&workers[t].thread, NULL, compile_kernels, &workers[t]) == 0;
  compile_kernels(&workers[0]); /* alone, if no thread could be had */
  const worker *first = &workers[0];
  for (int t = 1; t < n_threads; t++) {
    if (workers[t].started) pthread_join(workers[t].thread, NULL);
    if (workers[t].failed < first->failed) first = &workers[t];
  }
  moire_status status = MOIRE_OK;
  if (first->failed < n) {
    status = moire_fail(error, first->error.status, "%s", first->error.message);
    for (int i = 0; i < n; i++) moire__object_free(&objects[i]);
  }
  moire__arena_free(&arena);
  return status;
}
