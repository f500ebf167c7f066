/* Loops for peaks, in assembly: no compiler decides what is measured, and a debug build measures the same.
 *
 * Arithmetic: 12 independent chains x = x * a + b hide a latency of up to 6 cycles at 2 instructions a cycle,
 * and need 14 registers, which every vector unit has. The values stay near 1, since some processors are faster
 * on zeros. Reading: loads into registers that nobody uses.
 */
#include "runtime/machine/peaks_loops.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

static const float factor = 0.5f, term = 0.5f; /* x = 1 stays 1 */

#define TWELVE(X) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13)
#define CLOBBERS                                                                                               \
  "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",     \
      "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

#define CHAINS(name, start, step, finish)                                                                      \
  static void name(int64_t rounds) {                                                                           \
    __asm__ volatile(start "1:\n" TWELVE(step) "dec %0\n jnz 1b\n" finish                                      \
                     : "+r"(rounds)                                                                            \
                     : "m"(factor), "m"(term)                                                                  \
                     : CLOBBERS);                                                                              \
  }

#define START_512(i) "vbroadcastss %1, %%zmm" #i "\n"
#define STEP_512(i) "vfmadd213ps %%zmm1, %%zmm0, %%zmm" #i "\n"
CHAINS(fma_512, START_512(0) START_512(1) TWELVE(START_512), STEP_512, "vzeroupper\n")

#define START_256(i) "vbroadcastss %1, %%ymm" #i "\n"
#define STEP_256(i) "vfmadd213ps %%ymm1, %%ymm0, %%ymm" #i "\n"
CHAINS(fma_256, START_256(0) START_256(1) TWELVE(START_256), STEP_256, "vzeroupper\n")

#define START_128(i) "movss %1, %%xmm" #i "\n shufps $0, %%xmm" #i ", %%xmm" #i "\n"
#define STEP_128(i) "mulps %%xmm0, %%xmm" #i "\n addps %%xmm1, %%xmm" #i "\n"
CHAINS(multiply_add_128, START_128(0) START_128(1) TWELVE(START_128), STEP_128, "")

/* 0.5f has the upper half 0x3f00, which is 0.5 in bf16, beside a zero. */
#define STEP_DOT(i) "vdpbf16ps %%zmm1, %%zmm0, %%zmm" #i "\n"
CHAINS(dot_bf16, START_512(0) START_512(1) TWELVE(START_512), STEP_DOT, "vzeroupper\n")

/* ---- AMX ---------------------------------------------------------------------------------------------------
 */

/* Eight tiles of 16 rows of 64 bytes: six sums and two operands. */
static bool begin_tiles(void) {
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18, TILES = 8, BYTES_A_ROW = 64, ROWS = 16 };
  if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)) return false;
  struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t column_bytes[16];
    uint8_t rows[16];
  } shape = {.palette = 1};
  for (int i = 0; i < TILES; i++) {
    shape.column_bytes[i] = BYTES_A_ROW;
    shape.rows[i] = ROWS;
  }
  _Alignas(64) uint16_t half[512];
  for (int i = 0; i < 512; i++) half[i] = 0x3f00;
  __asm__ volatile("ldtilecfg %0\n"
                   "tilezero %%tmm0\n tilezero %%tmm1\n tilezero %%tmm2\n"
                   "tilezero %%tmm3\n tilezero %%tmm4\n tilezero %%tmm5\n"
                   "tileloadd (%1,%2,1), %%tmm6\n tileloadd (%1,%2,1), %%tmm7\n"
                   :
                   : "m"(shape), "r"(half), "r"((int64_t)BYTES_A_ROW), "m"(half)
                   : "memory");
  return true;
}

static void dot_tiles(int64_t rounds) {
  __asm__ volatile("1:\n"
                   "tdpbf16ps %%tmm6, %%tmm7, %%tmm0\n tdpbf16ps %%tmm6, %%tmm7, %%tmm1\n"
                   "tdpbf16ps %%tmm6, %%tmm7, %%tmm2\n tdpbf16ps %%tmm6, %%tmm7, %%tmm3\n"
                   "tdpbf16ps %%tmm6, %%tmm7, %%tmm4\n tdpbf16ps %%tmm6, %%tmm7, %%tmm5\n"
                   "dec %0\n jnz 1b\n"
                   : "+r"(rounds)
                   :
                   : "cc", "memory");
}

static void end_tiles(void) { __asm__ volatile("tilerelease\n" : : : "memory"); }

/* ---- reading -----------------------------------------------------------------------------------------------
 */

#define SIXTEEN(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define READER(name, load, step, finish)                                                                       \
  static void name(const void *from, size_t bytes, int64_t rounds) {                                           \
    for (int64_t r = 0; r < rounds; r++) {                                                                     \
      const char *at = from, *end = at + bytes;                                                                \
      __asm__ volatile("1:\n" SIXTEEN(load) "add $" step ", %0\n cmp %1, %0\n jb 1b\n" finish                  \
                       : "+r"(at)                                                                              \
                       : "r"(end)                                                                              \
                       : CLOBBERS);                                                                            \
    }                                                                                                          \
  }
#define LOAD_512(i) "vmovaps 64*" #i "(%0), %%zmm" #i "\n"
#define LOAD_256(i) "vmovaps 32*" #i "(%0), %%ymm" #i "\n"
#define LOAD_128(i) "movaps 16*" #i "(%0), %%xmm" #i "\n"
READER(read_512, LOAD_512, "1024", "vzeroupper\n")
READER(read_256, LOAD_256, "512", "vzeroupper\n")
READER(read_128, LOAD_128, "256", "")

/* ---- choosing ----------------------------------------------------------------------------------------------
 */

static bool has_amx_bf16(void) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) && (d >> 24 & 1);
}

const moire__peak_unit *moire__peak_fma_unit(void) {
  static const moire__peak_unit units[] = {
      {"avx512f", 12 * 16 * 2, NULL, fma_512, NULL},
      {"fma", 12 * 8 * 2, NULL, fma_256, NULL},
      {"sse2", 12 * 4 * 2, NULL, multiply_add_128, NULL},
  };
  if (__builtin_cpu_supports("avx512f")) return &units[0];
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &units[1] : &units[2];
}

const moire__peak_unit *moire__peak_matrix_unit(void) {
  static const moire__peak_unit units[] = {
      {"amx_bf16", 6 * 16 * 16 * 32 * 2, begin_tiles, dot_tiles, end_tiles},
      {"avx512_bf16", 12 * 16 * 2 * 2, NULL, dot_bf16, NULL},
  };
  if (has_amx_bf16() && begin_tiles()) {
    end_tiles();
    return &units[0];
  }
  return __builtin_cpu_supports("avx512bf16") ? &units[1] : NULL;
}

moire__peak_reader *moire__peak_read(void) {
  if (__builtin_cpu_supports("avx512f")) return read_512;
  return __builtin_cpu_supports("avx2") ? read_256 : read_128;
}

#elif defined(__aarch64__)

static void fma_neon(int64_t rounds) {
  __asm__ volatile("fmov v0.4s, #0.5\n fmov v1.4s, #-0.5\n"
                   "1:\n"
                   "fmla v2.4s, v0.4s, v1.4s\n fmla v3.4s, v0.4s, v1.4s\n fmla v4.4s, v0.4s, v1.4s\n"
                   "fmla v5.4s, v0.4s, v1.4s\n fmla v6.4s, v0.4s, v1.4s\n fmla v7.4s, v0.4s, v1.4s\n"
                   "fmla v16.4s, v0.4s, v1.4s\n fmla v17.4s, v0.4s, v1.4s\n fmla v18.4s, v0.4s, v1.4s\n"
                   "fmla v19.4s, v0.4s, v1.4s\n fmla v20.4s, v0.4s, v1.4s\n fmla v21.4s, v0.4s, v1.4s\n"
                   "fmla v22.4s, v0.4s, v1.4s\n fmla v23.4s, v0.4s, v1.4s\n fmla v24.4s, v0.4s, v1.4s\n"
                   "fmla v25.4s, v0.4s, v1.4s\n"
                   "subs %0, %0, #1\n b.ne 1b\n"
                   : "+r"(rounds)
                   :
                   : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20",
                     "v21", "v22", "v23", "v24", "v25");
}

const moire__peak_unit *moire__peak_fma_unit(void) {
  static const moire__peak_unit unit = {"neon", 16 * 4 * 2, NULL, fma_neon, NULL};
  return &unit;
}

const moire__peak_unit *moire__peak_matrix_unit(void) { return NULL; }

static void read_neon(const void *from, size_t bytes, int64_t rounds) {
  for (int64_t r = 0; r < rounds; r++) {
    const char *at = from, *end = at + bytes;
    __asm__ volatile("1:\n"
                     "ldp q0, q1, [%0]\n ldp q2, q3, [%0, #32]\n"
                     "ldp q4, q5, [%0, #64]\n ldp q6, q7, [%0, #96]\n"
                     "add %0, %0, #128\n cmp %0, %1\n b.lo 1b\n"
                     : "+r"(at)
                     : "r"(end)
                     : "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7");
  }
}

moire__peak_reader *moire__peak_read(void) { return read_neon; }

#else

const moire__peak_unit *moire__peak_fma_unit(void) { return NULL; }
const moire__peak_unit *moire__peak_matrix_unit(void) { return NULL; }
moire__peak_reader *moire__peak_read(void) { return NULL; }

#endif
