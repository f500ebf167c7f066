/* Whether products of pairs of bf16 (vdpbf16ps) are worth using, where the processor has them.
 *
 * Such an instruction does the work of two fused multiply-adds. AMD's cores begin as many of either in a cycle
 * (Zen 4, Zen 5); Intel's (Cooper Lake, and all that have AMX) begin half as many of these, so that nothing is
 * gained, and what is packed for them is packed for nothing. Nothing is known of others. Measured on Zen 5 and
 * on Emerald Rapids; vendors are those of CPUID, leaf 0.
 */
#ifndef MOIRE_RUNTIME_BASE_DOT_RATE_H
#define MOIRE_RUNTIME_BASE_DOT_RATE_H

#include <stdbool.h>

#if defined(__x86_64__)
#include <cpuid.h>

static inline bool moire__dots_are_fast(void) {
  unsigned most = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(0, &most, &b, &c, &d) && b == signature_AMD_ebx && d == signature_AMD_edx &&
         c == signature_AMD_ecx;
}
#else
static inline bool moire__dots_are_fast(void) { return false; }
#endif

#endif
