/* Code generation: kernels of the loop IR to native code, through LLVM.
 *
 * One emitter serves ahead-of-time objects and the JIT: the JIT is an object file that is loaded in process, so
 * an object may as well come from a cache. Everything that decides about code is in the kernel, the target and
 * the options; nothing is read from the environment.
 *
 * What compiled code may assume
 *   - a parameter's buffer is aligned to 64 bytes and has at least the declared number of elements;
 *   - no two parameters of one call overlap, unless both are MOIRE__BUFFER_IN. An update in place is one
 *     parameter with MOIRE__BUFFER_INOUT, never an IN and an OUT with the same address;
 *   - every kernel was accepted by moire__loop_verify.
 * Floating point keeps NaN, infinities, signed zeros and, where the calling thread does
 * (runtime/base/float_mode.h), denormals, but for what becomes a bf16, where numbers below the normal range may
 * count as zero. The only other freedom taken is that a product and a sum may become one fma (unless
 * options.no_contract), and the order of a `reduce` in a vector loop: lane i collects every W-th element, then
 * halves are combined pairwise. Results depend on kernel, target and options alone.
 *
 * Threads: everything here may be called from several threads at once, on different jits.
 */
#ifndef MOIRE_COMPILER_CODEGEN_CODEGEN_H
#define MOIRE_COMPILER_CODEGEN_CODEGEN_H

#include "compiler/ir/loop/loop.h"
#include "moire/plan.h"

/* What code is generated for: chosen by feature bits, since the CPU's name is not to be trusted on virtual
 * machines. Plain data. */
typedef struct moire__target {
  char name[16];        /* as moire__target_named takes it */
  char triple[96];      /* LLVM's */
  char cpu[16];         /* LLVM's name of the instruction set level, for its tables of costs */
  const char *features; /* LLVM's target-features; static storage */
  int vector_bits;      /* 512, 256 or 128 */
  int n_vector_registers;
  bool has_fma;
  bool has_bf16;  /* AVX512-BF16: rounding, and products of pairs */
  bool has_dots;  /* products of bf16 are made of pairs: for processors where that pays */
  bool has_tiles; /* AMX-BF16: products of tiles of pairs */
} moire__target;

/* The best level for this machine: x86-64-v4-amx (v4, AVX512-BF16 and AMX-BF16), x86-64-v4-bf16 (v4 and
 * AVX512-BF16, where products of pairs are fast: runtime/base/dot_rate.h), x86-64-v4 (AVX-512 F, BW, DQ, VL,
 * CD), x86-64-v3 (AVX2, FMA), its architecture's baseline x86-64 or aarch64 (NEON), or generic. */
moire__target moire__target_host(void);
/* The same for a machine of this architecture with LLVM's `features`, such as "+avx2,-avx512f": its products of
 * pairs are fast, or not, and its system permits tiles, or not. */
moire__target moire__target_best(const char *features, bool fast_dots, bool tiles);
/* "x86-64-v4-amx", "x86-64-v4-bf16", "x86-64-v4", "x86-64-v3", "x86-64", "aarch64", "generic" (this machine's
 * architecture without optional features) or "host". */
moire_status moire__target_named(const char *name, moire__target *target, moire_error *error);
/* MOIRE_ERROR_UNSUPPORTED, naming what is missing, if this machine cannot run code for `target`. For a target
 * with tiles the system is asked to permit them, which holds for the process from then on. */
moire_status moire__target_runs_here(const moire__target *target, moire_error *error);

/* Zero-initialised: optimised, contracting, without debug information. */
typedef struct moire__codegen_options {
  bool no_optimize; /* skip the pass pipeline: for looking at what the emitter does */
  bool no_contract; /* never make an fma of a product and a sum */
  bool flush;       /* the calling thread counts numbers below the normal range as zero */
  bool debug_info;  /* DWARF: the kernel's name, and for instructions the line of the model they serve */
  int first_index;  /* kernel i has the symbol moire_kernel_<first_index + i> ... */
  const char *const *symbols; /* ... or symbols[i] (a C identifier), if symbols is not NULL; borrows */
} moire__codegen_options;

/* "19.1.7": LLVM's that is loaded. */
void moire__codegen_llvm_version(moire__text *text);

/* What an object depends on beside its kernel: this version of the code generator, LLVM's, target and options
 * without symbols. For keys of objects that are kept. */
void moire__codegen_describe(const moire__target *target, const moire__codegen_options *options,
                             moire__text *text);

/* An object file in memory. */
typedef struct moire__object {
  char *bytes; /* owned */
  size_t size;
} moire__object;
void moire__object_free(moire__object *object); /* empty is fine */

/* The kernels as one relocatable, position-independent object. On failure `object` is empty. */
moire_status moire__codegen_emit_object(const moire__loop_kernel *const *kernels, int n,
                                        const moire__target *target, const moire__codegen_options *options,
                                        moire__object *object, moire_error *error);

/* Gives memory back that compiling took: what the heap holds of it, and the pages of LLVM's code, which come
 * again from its file when they are needed. For programs that go on to run what they have compiled. */
void moire__codegen_rest(void);

typedef enum moire__codegen_text_kind {
  MOIRE__CODEGEN_LLVM,           /* LLVM IR as emitted, before any pass */
  MOIRE__CODEGEN_LLVM_OPTIMIZED, /* LLVM IR after the passes */
  MOIRE__CODEGEN_ASSEMBLY,
} moire__codegen_text_kind;
moire_status moire__codegen_emit_text(const moire__loop_kernel *const *kernels, int n,
                                      const moire__target *target, const moire__codegen_options *options,
                                      moire__codegen_text_kind kind, moire__text *text, moire_error *error);

/* As emit_object with an object for each kernel, made by n_threads threads (at least 1): objects[i] holds
 * kernel i alone, under the symbol that it has in one object of all. The result does not depend on n_threads.
 * On failure all are empty, and the error is that of the first kernel that cannot be compiled. */
moire_status moire__codegen_compile_parallel(const moire__loop_kernel *const *kernels, int n,
                                             const moire__target *target, const moire__codegen_options *options,
                                             int n_threads, moire__object *objects, moire_error *error);

/* Code loaded into this process. One name space: the symbols of its objects are distinct. */
typedef struct moire__jit moire__jit;
moire__jit *moire__jit_create(moire_error *error); /* owned; NULL on failure */

/* Who else is told of loaded code. Objects need debug information for them to see lines. */
typedef enum moire__jit_observer {
  MOIRE__JIT_GDB = 1,      /* debuggers, through __jit_debug_register_code */
  MOIRE__JIT_PERF = 2,     /* perf, through a jitdump file, for `perf inject --jit` */
  MOIRE__JIT_PERF_MAP = 4, /* perf, through /tmp/perf-PID.map: names alone, and nothing to inject */
} moire__jit_observer;
/* The same with a set of observers; 0: none. */
moire__jit *moire__jit_create_observed(unsigned observers, moire_error *error);
void moire__jit_destroy(moire__jit *jit); /* unloads; its functions must not be running. NULL is fine */
/* Copies the object's bytes. An empty object is fine. The caller checks moire__target_runs_here. */
moire_status moire__jit_add(moire__jit *jit, const moire__object *object, moire_error *error);
/* NULL, with an error, if there is no such symbol. */
moire_kernel_function moire__jit_find(moire__jit *jit, const char *symbol, moire_error *error);
/* compile_parallel for a target that runs here, add, and find: functions[i] is kernel i. */
moire_status moire__jit_compile(moire__jit *jit, const moire__loop_kernel *const *kernels, int n,
                                const moire__target *target, const moire__codegen_options *options,
                                int n_threads, moire_kernel_function *functions, moire_error *error);

#endif
