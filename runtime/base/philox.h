/* Counter-based random numbers: Philox4x32 with ten rounds, and with seven for random masks.
 *
 * A word of randomness is a pure function of a key (the seed) and a counter, so a number is never stored, only
 * recomputed, and does not depend on which thread asks, in which order, or after which resumption. The uses of
 * one seed (dropout, initial values, permutations, sequences) have a key each, so that counters may coincide
 * without the numbers doing so.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */
#ifndef MOIRE_RUNTIME_BASE_PHILOX_H
#define MOIRE_RUNTIME_BASE_PHILOX_H

#include <stdint.h>

enum { MOIRE__PHILOX_ROUNDS = 10, MOIRE__PHILOX_MASK_ROUNDS = 7 };

/* out = the four words of block `counter` under `key`: ten rounds. `out` may be `counter`. */
void moire__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
/* The same by another number of rounds. */
void moire__philox_by(int rounds, const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* The word of element `element` of stream `stream` at step `step`. The key is {seed_lo, seed_hi}. With
 * b = (element >> 6) << 4 | (element & 15) the counter is {b low, b high, stream, step}, and the word of that
 * block is number (element >> 4) & 3: sixteen vector lanes that compute one block each cover 64 consecutive
 * elements with their four words. Generated code follows the same rule. */
uint32_t moire__philox_element(uint32_t seed_lo, uint32_t seed_hi, uint32_t step, uint32_t stream,
                               uint64_t element);

/* The 16 bits of an element of a random mask, by seven rounds; key and counter as above. 64 consecutive
 * elements are the half words of eight blocks: with r = element & 63 that of block b = (element >> 6) << 3 | (r
 * & 31) >> 2 is in word (r >> 5) << 1 | (r >> 1 & 1), the lower half if r is even. So eight vector lanes that
 * compute one block each have 32 elements in a row in their first two words, side by side, and 32 in the
 * others. */
uint32_t moire__philox_bits(uint32_t seed_lo, uint32_t seed_hi, uint32_t step, uint32_t stream,
                            uint64_t element);

/* Initial values: element `index` of the parameter whose stream is `stream` (moire__hash_name of its name). */
double moire__uniform(uint64_t seed, uint64_t stream, uint64_t index); /* in [0, 1), a multiple of 2^-53 */
double moire__normal(uint64_t seed, uint64_t stream, uint64_t index);  /* mean 0, variance 1; Box-Muller */

/* 64-bit FNV-1a of a name: the stream of a parameter. */
uint64_t moire__hash_name(const char *name);

/* order[0..n) = a uniform permutation of 0..n-1 that depends on (seed, epoch) alone (Fisher-Yates). n >= 0. */
void moire__permutation(uint64_t seed, uint64_t epoch, int64_t n, int64_t *order);

/* A sequence of random numbers, for code that draws one after another (synthetic data, fuzzers). The state is
 * the caller's. */
typedef struct moire__random {
  uint32_t key[2], counter[4], words[4];
  int used; /* words of `words` already given out */
} moire__random;

moire__random moire__random_start(uint64_t seed, uint64_t stream);
uint64_t moire__random_bits(moire__random *random);
uint64_t moire__random_below(moire__random *random, uint64_t bound); /* uniform in [0, bound); bound >= 1 */
double moire__random_real(moire__random *random);                    /* uniform in [0, 1) */

#endif
