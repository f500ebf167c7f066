/* CPUID, the registers that the system saves and its permission for tiles as the environment variable CPUID
 * says: "GenuineIntel bf16 amx tiles" is a processor with AVX-512, AVX512-BF16 and AMX, whose tiles are
 * permitted. For the C compiler of a library, by -include, and for tests that include what asks. What is chosen
 * then need not run here. */
#ifndef MOIRE_TESTS_SUPPORT_AMX_ANY_CPUID_H
#define MOIRE_TESTS_SUPPORT_AMX_ANY_CPUID_H

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static __attribute__((unused)) int cpuid_says(const char *word) {
  const char *said = getenv("CPUID");
  return said && strstr(said, word) != NULL;
}

static __attribute__((unused)) int cpuid_any(unsigned leaf, unsigned part, unsigned *a, unsigned *b,
                                             unsigned *c, unsigned *d) {
  *a = *b = *c = *d = ~0u;
  if (leaf == 0) {
    const char *vendor = cpuid_says("AuthenticAMD") ? "AuthenticAMD" : "GenuineIntel";
    memcpy(b, vendor, 4);
    memcpy(d, vendor + 4, 4);
    memcpy(c, vendor + 8, 4);
  }
  if (leaf == 7 && part == 0 && !cpuid_says("amx")) *d = 0;
  if (leaf == 7 && part == 1 && !cpuid_says("bf16")) *a = 0;
  return 1;
}

#define __get_cpuid(leaf, a, b, c, d) cpuid_any(leaf, 0, a, b, c, d)
#define __get_cpuid_count cpuid_any
#define __builtin_ia32_xgetbv(number) ((void)(number), 0xE7u)
#define syscall(number, request, feature)                                                                      \
  ((void)(number), (void)(request), (void)(feature), cpuid_says("tiles") ? 0L : -1L)
#endif

#endif
