/* For the C compiler of a library, by -include: the processor says that it has AMX, and Linux permits it, or
 * with -DREFUSED does not. What has no AMX is then emulated (amx_emulator.h). With -DSOFT it also says that it
 * has AVX-512 with bf16, and that its registers are saved (amx_soft.h). */
#ifndef MOIRE_TESTS_SUPPORT_AMX_AMX_CPUID_H
#define MOIRE_TESTS_SUPPORT_AMX_AMX_CPUID_H

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

static __attribute__((unused)) int cpuid_with_amx(unsigned leaf, unsigned part, unsigned *a, unsigned *b,
                                                  unsigned *c, unsigned *d) {
  int found = __get_cpuid_count(leaf, part, a, b, c, d);
  if (leaf == 7 && part == 0) *d |= 1u << 22 | 1u << 24;
#ifdef SOFT
  if (leaf == 7 && part == 0) *a |= 1, *b |= 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
  if (leaf == 7 && part == 1) *a |= 1u << 5;
#endif
  return found;
}

#ifdef SOFT /* an instruction that is a macro of the assembler */
__asm__(".macro xgetbv\n\tmovl $0xe7, %eax\n\txorl %edx, %edx\n.endm");
#endif

#define __get_cpuid_count cpuid_with_amx
#ifdef REFUSED
#define syscall(number, request, feature) ((void)(number), (void)(request), (void)(feature), -1L)
#else
#define syscall(number, request, feature) ((void)(number), (void)(request), (void)(feature), 0L)
#endif
#endif

#endif
