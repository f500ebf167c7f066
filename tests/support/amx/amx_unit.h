/* What AMX's instructions do, in C: eight tiles of each thread, and the products counted.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2 (LDTILECFG, STTILECFG,
 * TDPBF16PS, TILELOADD, TILERELEASE, TILESTORED, TILEZERO), and volume 1, chapter 18. Each is false, and does
 * nothing, where the processor would refuse it (a tile that is not configured, shapes that do not fit).
 *
 * Shared by what decodes instructions (amx_emulator.c) and by what compiled code calls instead of them
 * (amx_soft.c). On x86-64 with AVX2 and FMA only.
 */
#ifndef MOIRE_TESTS_SUPPORT_AMX_AMX_UNIT_H
#define MOIRE_TESTS_SUPPORT_AMX_AMX_UNIT_H

#include <stdbool.h>
#include <stdint.h>

/* 64 bytes: LDTILECFG, STTILECFG. */
bool test_amx_configure(const uint8_t *from);
bool test_amx_store_configuration(uint8_t *to);
bool test_amx_release(void);
bool test_amx_zero(int tile);
/* Rows at base, base + stride, ...; in bytes. */
bool test_amx_load(int tile, const uint8_t *base, int64_t stride);
bool test_amx_store(int tile, uint8_t *base, int64_t stride);
/* c += a b. The caller's MXCSR is kept. */
bool test_amx_dot(int c, int a, int b);
int64_t test_amx_products(void); /* so far, in all threads */

#endif
