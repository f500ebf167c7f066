/* The tile instructions of AMX on processors that lack them.
 *
 * With AVX512-BF16 each of them raises SIGILL. A handler decodes the one at hand, does to eight tiles of the
 * thread what it says, and goes on behind it; whatever else raises SIGILL ends the program as ever. So compiled
 * code for x86-64-v4-amx runs as it is, a microsecond or two an instruction. Where the processor has AMX, its
 * own instructions run, and nothing is installed. With AVX2 alone the code is compiled to call what stands in
 * for the instructions (amx_soft.h).
 *
 * Tests that use this lie in tests/tiles/: there moire__target_runs_here is wrapped while linking, and says
 * that x86-64-v4-amx runs once test_tiles_start has been called.
 */
#ifndef MOIRE_TESTS_SUPPORT_AMX_AMX_EMULATOR_H
#define MOIRE_TESTS_SUPPORT_AMX_AMX_EMULATOR_H

#include "compiler/codegen/codegen.h"

#include <stdint.h>

#define TEST_TILES_TARGET "x86-64-v4-amx"

/* False: this processor has no AVX2, or this is no Linux on x86-64. */
bool test_tiles_start(void);
bool test_tiles_emulated(void); /* false: the processor has them */
/* Products of tiles (TDPBF16PS) emulated so far, in all threads. */
int64_t test_tiles_products(void);

moire_status __real_moire__target_runs_here(const moire__target *target, moire_error *error);
moire_status __wrap_moire__target_runs_here(const moire__target *target, moire_error *error);

#endif
