/* The goldens of sequential models, through libraries made for this machine or another. */
#ifndef MOIRE_TESTS_SUPPORT_AOT_AOT_GOLDEN_H
#define MOIRE_TESTS_SUPPORT_AOT_AOT_GOLDEN_H

/* Makes a library that trains of the golden `name` by the compiler `cc` for `cpu` (NULL: the default versions
 * and compiler), and runs tests/aot/golden_check.c with it, by `runner` in front of it. `mode` "exact": every
 * number must be the JIT's, bit for bit; otherwise the limits of `moire verify` hold. Fails the test, or skips
 * it where the golden is absent. */
void aot_golden_check(const char *name, const char *cc, const char *cpu, const char *runner, const char *mode);

/* The i-th golden, NULL past the last. */
const char *aot_golden_name(int i);

#endif
