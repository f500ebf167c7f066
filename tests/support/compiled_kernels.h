/* Compiled kernels against the interpreter: the same buffers through both, element by element. */
#ifndef MOIRE_TESTS_SUPPORT_COMPILED_KERNELS_H
#define MOIRE_TESTS_SUPPORT_COMPILED_KERNELS_H

#include "compiler/codegen/codegen.h"

/* How the buffers that a kernel reads are filled, and how well results must agree. */
typedef struct test_compiled_case {
  const char *target; /* "host", "x86-64-v3", ...; NULL: host */
  const int64_t *extents;
  int64_t iterations;  /* of the parallel loop; 0: as many as the kernel's count says */
  double low, high;    /* of floats; both 0: -2 .. 2 */
  bool hard;           /* every eighth float is an infinity, a NaN, a zero or a subnormal */
  int64_t least, most; /* of integers; both 0: 0 .. 9 */
  double ulps;         /* how far an f32 or f64 may be from the interpreter's; 0: the same bits (but any NaN) */
  moire__codegen_options options;
} test_compiled_case;

/* Compiles `k`, runs it and the interpreter on equal buffers, and compares all parameters. Compiled code may
 * not touch what lies around a buffer either. Stops the test with a sentence if something differs. */
void test_compiled_agrees(const moire__loop_kernel *k, const test_compiled_case *how);

/* As above for several settings of the extents with one compilation: extents[i] are those of run i. */
void test_compiled_agrees_for(const moire__loop_kernel *k, const test_compiled_case *how,
                              const int64_t (*extents)[MOIRE_MAX_EXTENTS + 1], int n_runs);

/* Reads a kernel from text that is printf'd; stops the test if it is not one. */
moire__loop_kernel *test_kernel_text(moire__arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether this machine runs code for the target; says so on stderr if not. */
bool test_target_runs(const char *target);

/* |got - want| in units of the last place of want rounded to f32 (is_f32) or of want itself as an f64. Infinite
 * if only one is NaN or the infinities or the signs of zeros differ. Results beyond the largest number count
 * from its double. */
double test_ulps(double got, double want, bool is_f32);

#endif
