/* What the thread makes of numbers below the normal range: keeps them, or counts them as zero.
 *
 * Arithmetic on them costs some hundred cycles an instruction on many processors. The mode is the thread's: who
 * changes it gives it back. Exceptions that were raised in between stay raised.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, section 11.6.3 (MXCSR, flush
 * to zero and denormals are zero); Arm Architecture Reference Manual for A-profile, FPCR. Elsewhere nothing
 * changes.
 */
#ifndef MOIRE_RUNTIME_BASE_FLOAT_MODE_H
#define MOIRE_RUNTIME_BASE_FLOAT_MODE_H

#include <stdint.h>

#if defined(__x86_64__)
enum { MOIRE__FLOAT_FLUSH = 0x8040 }; /* bits 15 and 6 of MXCSR */
static inline uint64_t moire__float_control(void) { return __builtin_ia32_stmxcsr(); }
static inline void moire__float_set_control(uint64_t mode) { __builtin_ia32_ldmxcsr((unsigned)mode); }
#elif defined(__aarch64__)
enum { MOIRE__FLOAT_FLUSH = 1 << 24 }; /* FZ of FPCR */
static inline uint64_t moire__float_control(void) {
  uint64_t mode = 0;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
static inline void moire__float_set_control(uint64_t mode) { __asm__ volatile("msr fpcr, %0" ::"r"(mode)); }
#else
enum { MOIRE__FLOAT_FLUSH = 0 };
static inline uint64_t moire__float_control(void) { return 0; }
static inline void moire__float_set_control(uint64_t mode) { (void)mode; }
#endif

/* `bits`: MOIRE__FLOAT_FLUSH or 0. Returns what was set before, to be given back by the same call. */
static inline uint64_t moire__float_flush(uint64_t bits) {
  const uint64_t mode = moire__float_control(), before = mode & MOIRE__FLOAT_FLUSH;
  if (before != bits) moire__float_set_control((mode & ~(uint64_t)MOIRE__FLOAT_FLUSH) | bits);
  return before;
}

#endif
