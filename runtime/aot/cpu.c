/* Features by cpuid. What the processor has is of no use if the operating system does not save its registers,
 * so xgetbv is asked too. Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1,
 * sections 14.3 and 15.2 (detection of AVX and AVX-512), volume 2, CPUID. Tiles are for a process that asks
 * Linux for them, which it grants where it saves them. Source: the kernel's Documentation/arch/x86/xstate.rst.
 */
#include "runtime/aot/cpu.h"

#include "runtime/base/dot_rate.h"

#include <stdatomic.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((target("xsave"))) static uint64_t enabled_registers(void) { return __builtin_ia32_xgetbv(0); }

static int has(unsigned word, unsigned bits) { return (word & bits) == bits; }

static int tiles_are_permitted(void) {
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* `wanted`: of what has to be asked for. */
static unsigned find_features(unsigned wanted) {
  enum { XSAVE = 1u << 27, SSE_AVX = 0x6, AVX512_REGISTERS = 0xE6 };
  const unsigned one_c =
      1u << 12 | 1u << 20 | 1u << 22 | 1u << 23 | 1u << 28 | 1u << 29;          /* FMA SSE4.2 MOVBE ... */
  const unsigned seven_b = 1u << 3 | 1u << 5 | 1u << 8;                         /* BMI1 AVX2 BMI2 */
  const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; /* F DQ CD BW VL */
  const unsigned lzcnt = 1u << 5, avx512_bf16 = 1u << 5;                        /* of leaf 7, subleaf 1 */
  const unsigned amx = 1u << 22 | 1u << 24;                                     /* BF16 TILE */
  unsigned a = 0, b = 0, c = 0, d = 0, extended = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, one_c) || !has(c, XSAVE)) return 0;
  if (!__get_cpuid(0x80000001u, &a, &b, &extended, &d) || !has(extended, lzcnt)) return 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, seven_b)) return 0;
  uint64_t registers = enabled_registers();
  if ((registers & SSE_AVX) != SSE_AVX) return 0;
  unsigned found = MOIRE__AOT_CPU_X86_V3;
  if (!has(b, avx512) || (registers & AVX512_REGISTERS) != AVX512_REGISTERS) return found;
  found |= MOIRE__AOT_CPU_X86_V4;
  const int has_amx = has(d, amx);
  if (a < 1 || !__get_cpuid_count(7, 1, &a, &b, &c, &d) || !has(a, avx512_bf16)) return found;
  found |= MOIRE__AOT_CPU_X86_BF16;
  if (moire__dots_are_fast()) found |= MOIRE__AOT_CPU_X86_DOTS;
  if (has_amx && wanted & MOIRE__AOT_CPU_X86_AMX && tiles_are_permitted()) found |= MOIRE__AOT_CPU_X86_AMX;
  return found;
}
#else
static unsigned find_features(unsigned wanted) {
  (void)wanted;
  return 0;
}
#endif

static const moire__aot_level *first_with(const moire__aot_tables *tables, unsigned features, bool pays) {
  for (int i = 0; i < tables->n_levels; i++) {
    const moire__aot_level *level = &tables->levels[i];
    unsigned wanted = level->features | (pays ? level->pays : 0);
    if ((features & wanted) == wanted) return level;
  }
  return NULL;
}

static const moire__aot_level *moire__aot_choose_level(const moire__aot_tables *tables) {
  /* Asking is slow on virtual machines. All threads that ask find the same. */
  static atomic_uint known;
  const unsigned asked = 1u << 31;
  unsigned features = atomic_load_explicit(&known, memory_order_relaxed);
  if (!features) {
    unsigned wanted = 0;
    for (int i = 0; i < tables->n_levels; i++) wanted |= tables->levels[i].features;
    features = find_features(wanted) | asked;
    atomic_store_explicit(&known, features, memory_order_relaxed);
  }
  const moire__aot_level *level = first_with(tables, features, true);
  return level ? level : first_with(tables, features, false);
}
