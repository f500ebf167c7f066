/* The measured peaks beside independent figures: a multiply-add loop as the C compiler makes it, OpenBLAS on a
 * large product, sums over arrays that fit each cache, and a copy in memory. One thread, in turns, the best of
 * many runs on either side. Exit status 1 if one is off by more than 10 %.
 *
 * A copy reads and writes, and is counted as both. OpenBLAS is judged as a lower bound, since a product is not
 * all multiply-adds.
 */
#include "runtime/machine/peaks.h"
#include "tools/bench/support/bench.h"

#include <cblas.h>
#if defined(__x86_64__)
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ROUNDS = 3, RUNS = 60, SIDE = 1536 };

/* Other programs are not to be seen. */
static double seconds(void) { return bench_clock(CLOCK_THREAD_CPUTIME_ID); }

typedef struct arrays {
  void *from, *to;
  size_t bytes; /* of either */
  float *a, *b, *c;
} arrays;

/* ---- the independent loops ---------------------------------------------------------------------------------
 */

enum { CHAINS = 10, STEPS = 100000 };

/* x = x / 2 + 1 / 2 in ten chains; returns the operations done. */
#if defined(__x86_64__)
#define WIDEST __attribute__((target_clones("avx512f", "arch=haswell", "default"), noinline))

__attribute__((target("avx512f"), noinline)) static double multiply_add_512(float *x) {
  __m512 half = _mm512_set1_ps(0.5f), s[CHAINS];
  for (int i = 0; i < CHAINS; i++) s[i] = _mm512_loadu_ps(x + 16 * i);
  for (int r = 0; r < STEPS; r++) {
    for (int i = 0; i < CHAINS; i++) s[i] = _mm512_fmadd_ps(s[i], half, half);
  }
  for (int i = 0; i < CHAINS; i++) _mm512_storeu_ps(x + 16 * i, s[i]);
  return 2.0 * STEPS * CHAINS * 16;
}

__attribute__((target("avx2,fma"), noinline)) static double multiply_add_256(float *x) {
  __m256 half = _mm256_set1_ps(0.5f), s[CHAINS];
  for (int i = 0; i < CHAINS; i++) s[i] = _mm256_loadu_ps(x + 8 * i);
  for (int r = 0; r < STEPS; r++) {
    for (int i = 0; i < CHAINS; i++) s[i] = _mm256_fmadd_ps(s[i], half, half);
  }
  for (int i = 0; i < CHAINS; i++) _mm256_storeu_ps(x + 8 * i, s[i]);
  return 2.0 * STEPS * CHAINS * 8;
}

static double multiply_add(float *x) {
  if (__builtin_cpu_supports("avx512f")) return multiply_add_512(x);
  return __builtin_cpu_supports("fma") ? multiply_add_256(x) : 0;
}
#else
#define WIDEST __attribute__((noinline))

static double multiply_add(float *x) {
  float32x4_t half = vdupq_n_f32(0.5f), s[CHAINS];
  for (int i = 0; i < CHAINS; i++) s[i] = vld1q_f32(x + 4 * i);
  for (int r = 0; r < STEPS; r++) {
    for (int i = 0; i < CHAINS; i++) s[i] = vfmaq_f32(half, s[i], half);
  }
  for (int i = 0; i < CHAINS; i++) vst1q_f32(x + 4 * i, s[i]);
  return 2.0 * STEPS * CHAINS * 4;
}
#endif

typedef int32_t sixteen __attribute__((vector_size(64)));

WIDEST static int32_t sum(const void *from, size_t bytes) {
  const sixteen *at = __builtin_assume_aligned(from, 64), *end = at + bytes / sizeof *at;
  sixteen s[8] = {{0}};
  for (; at < end; at += 8) {
    for (int i = 0; i < 8; i++) s[i] ^= at[i];
  }
  sixteen all = s[0] ^ s[1] ^ s[2] ^ s[3] ^ s[4] ^ s[5] ^ s[6] ^ s[7];
  return all[0] ^ all[7] ^ all[15];
}

/* ---- the comparison ----------------------------------------------------------------------------------------
 */

static double best_fma(arrays *a) {
  double best = 0;
  for (int i = 0; i < RUNS; i++) {
    double begin = seconds(), done = multiply_add(a->a), rate = done / (seconds() - begin);
    if (rate > best) best = rate;
  }
  return best;
}

static double best_blas(arrays *a) {
  double best = 0;
  for (int i = 0; i < 12; i++) {
    double begin = seconds();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIDE, SIDE, SIDE, 1, a->a, SIDE, a->b, SIDE, 0, a->c,
                SIDE);
    double rate = 2.0 * SIDE * SIDE * SIDE / (seconds() - begin);
    if (rate > best) best = rate;
  }
  return best;
}

static double best_sum(arrays *a, size_t bytes) {
  volatile int32_t keep = 0;
  double best = 0;
  int repeat = bytes < ((size_t)1 << 20) ? (int)(((size_t)16 << 20) / bytes) : 1;
  for (int i = 0; i < RUNS; i++) {
    double begin = seconds();
    for (int r = 0; r < repeat; r++) keep ^= sum(a->from, bytes);
    double rate = (double)bytes * repeat / (seconds() - begin);
    if (rate > best) best = rate;
  }
  return best;
}

static double best_copy(arrays *a) {
  double best = 0;
  for (int i = 0; i < RUNS / 3; i++) {
    double begin = seconds();
    memcpy(a->to, a->from, a->bytes);
    double rate = 2.0 * (double)a->bytes / (seconds() - begin);
    if (rate > best) best = rate;
  }
  return best;
}

static double larger(double a, double b) { return a > b ? a : b; }

/* Returns whether the other figure is more than 10 % away. */
static bool print_row(const char *what, double peak, const char *with, double other, const char *unit) {
  double difference = other / peak - 1;
  bool far = !(difference < 0.10 && difference > -0.10);
  printf("%-10s %8.1f %-8s %-14s %8.1f  %+5.1f %%%s\n", what, 1e-9 * peak, unit, with, 1e-9 * other,
         100 * difference, far ? "  <- off" : "");
  return far;
}

static void *pages(size_t bytes) {
  void *memory = aligned_alloc((size_t)2 << 20, bytes);
  if (!memory) exit(1);
  madvise(memory, bytes, MADV_HUGEPAGE);
  memset(memory, 1, bytes);
  return memory;
}

int main(void) {
  openblas_set_num_threads(1); /* waiting threads of another OpenBLAS spin, on the time of ours */
  moire_error error = {0};
  moire__peaks best = {0}, now;
  arrays a = {.bytes = (size_t)256 << 20};
  a.from = pages(a.bytes);
  a.to = pages(a.bytes);
  a.a = pages((size_t)16 << 20);
  a.b = pages((size_t)16 << 20);
  a.c = pages((size_t)16 << 20);
  double fma = 0, blas = 0, copy = 0, sums[MOIRE__MOST_LEVELS] = {0};
  for (int r = 0; r < ROUNDS; r++) {
    if (moire__peaks_measure(1, &now, &error)) {
      fprintf(stderr, "peaks: %s\n", error.message);
      return 1;
    }
    if (r == 0) best = now;
    best.fma.one = larger(best.fma.one, now.fma.one);
    fma = larger(fma, best_fma(&a));
    blas = larger(blas, best_blas(&a));
    for (int i = 0; i < now.n_levels; i++) {
      best.levels[i].read.one = larger(best.levels[i].read.one, now.levels[i].read.one);
      size_t bytes = now.levels[i].bytes ? (size_t)now.levels[i].bytes / 2 / 512 * 512 : a.bytes;
      sums[i] = larger(sums[i], best_sum(&a, bytes));
    }
    copy = larger(copy, best_copy(&a));
  }
  bool off = false;
  printf("%s, one thread\n", best.cpu);
  if (fma > 0) off = print_row("float32", best.fma.one, "loop in C", fma, "GFLOP/s");
  off = (print_row("float32", best.fma.one, "OpenBLAS", blas, "GFLOP/s") && blas > best.fma.one) || off;
  for (int i = 0; i < best.n_levels; i++)
    off = print_row(best.levels[i].name, best.levels[i].read.one, "sum in C", sums[i], "GB/s") || off;
  off = print_row("memory", best.levels[best.n_levels - 1].read.one, "copy", copy, "GB/s") || off;
  return off;
}
