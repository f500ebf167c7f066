/* Philox4x32 and what is drawn from it: initial values, permutations, sequences.
 *
 * Keys: dropout uses the seed itself as its key, since generated code does. The other uses hash the seed and a
 * number of the use through one Philox block, which gives each a key of its own. */
#include "philox.h"

#include "runtime/base/hash.h"

#include <math.h>
#include <string.h>

/* The multipliers and Weyl increments of the paper, section 3.3. */
static const uint32_t multiplier_0 = 0xD2511F53u, multiplier_1 = 0xCD9E8D57u;
static const uint32_t weyl_0 = 0x9E3779B9u, weyl_1 = 0xBB67AE85u;

typedef enum use { USE_INITIAL_VALUE = 1, USE_PERMUTATION, USE_SEQUENCE } use;

void moire__philox_by(int rounds, const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < rounds; round++) {
    uint64_t p0 = (uint64_t)multiplier_0 * c0, p1 = (uint64_t)multiplier_1 * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)p1;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)p0;
    k0 += weyl_0;
    k1 += weyl_1;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

void moire__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  moire__philox_by(MOIRE__PHILOX_ROUNDS, counter, key, out);
}

uint32_t moire__philox_element(uint32_t seed_lo, uint32_t seed_hi, uint32_t step, uint32_t stream,
                               uint64_t element) {
  uint64_t block = (element >> 6) << 4 | (element & 15);
  const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), stream, step};
  const uint32_t key[2] = {seed_lo, seed_hi};
  uint32_t words[4];
  moire__philox(counter, key, words);
  return words[element >> 4 & 3];
}

uint32_t moire__philox_bits(uint32_t seed_lo, uint32_t seed_hi, uint32_t step, uint32_t stream,
                            uint64_t element) {
  uint64_t in = element & 63, block = (element >> 6) << 3 | (in & 31) >> 2;
  const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), stream, step};
  const uint32_t key[2] = {seed_lo, seed_hi};
  uint32_t words[4];
  moire__philox_by(MOIRE__PHILOX_MASK_ROUNDS, counter, key, words);
  return words[(in >> 5) << 1 | (in >> 1 & 1)] >> (in & 1) * 16 & 0xffff;
}

static void key_of(uint64_t seed, use purpose, uint32_t key[2]) {
  const uint32_t counter[4] = {(uint32_t)purpose, 0, 0, 0};
  const uint32_t seed_key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  uint32_t words[4];
  moire__philox(counter, seed_key, words);
  key[0] = words[0];
  key[1] = words[1];
}

static void initial_block(uint64_t seed, uint64_t stream, uint64_t index, uint64_t out[2]) {
  const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream,
                               (uint32_t)(stream >> 32)};
  uint32_t key[2], words[4];
  key_of(seed, USE_INITIAL_VALUE, key);
  moire__philox(counter, key, words);
  out[0] = (uint64_t)words[1] << 32 | words[0];
  out[1] = (uint64_t)words[3] << 32 | words[2];
}

/* The upper 53 bits as a fraction in [0, 1). */
static double fraction(uint64_t bits) { return (double)(bits >> 11) * 0x1p-53; }

double moire__uniform(uint64_t seed, uint64_t stream, uint64_t index) {
  uint64_t bits[2];
  initial_block(seed, stream, index, bits);
  return fraction(bits[0]);
}

/* sqrt(-2 ln u) cos(2 pi v) with u in (0, 1], so that the logarithm is finite. */
double moire__normal(uint64_t seed, uint64_t stream, uint64_t index) {
  static const double two_pi = 6.283185307179586476925286766559;
  uint64_t bits[2];
  initial_block(seed, stream, index, bits);
  double u = fraction(bits[0]) + 0x1p-53, v = fraction(bits[1]);
  return sqrt(-2.0 * log(u)) * cos(two_pi * v);
}

uint64_t moire__hash_name(const char *name) {
  uint64_t hash = MOIRE__FNV_START;
  for (const unsigned char *c = (const unsigned char *)name; *c; c++) hash = moire__fnv(hash, *c);
  return hash;
}

static moire__random start(uint64_t seed, uint64_t stream, use purpose) {
  moire__random random = {.counter = {0, 0, (uint32_t)stream, (uint32_t)(stream >> 32)}, .used = 4};
  key_of(seed, purpose, random.key);
  return random;
}

moire__random moire__random_start(uint64_t seed, uint64_t stream) { return start(seed, stream, USE_SEQUENCE); }

uint64_t moire__random_bits(moire__random *random) {
  if (random->used >= 4) {
    moire__philox(random->counter, random->key, random->words);
    if (++random->counter[0] == 0) random->counter[1]++;
    random->used = 0;
  }
  uint64_t bits = (uint64_t)random->words[random->used + 1] << 32 | random->words[random->used];
  random->used += 2;
  return bits;
}

/* Draws that fall into the incomplete last run of `bound` values are thrown away, so that no remainder is
 * favoured. */
uint64_t moire__random_below(moire__random *random, uint64_t bound) {
  uint64_t incomplete = (UINT64_MAX % bound + 1) % bound;
  uint64_t bits = moire__random_bits(random);
  while (bits > UINT64_MAX - incomplete) bits = moire__random_bits(random);
  return bits % bound;
}

double moire__random_real(moire__random *random) { return fraction(moire__random_bits(random)); }

void moire__permutation(uint64_t seed, uint64_t epoch, int64_t n, int64_t *order) {
  moire__random random = start(seed, epoch, USE_PERMUTATION);
  for (int64_t i = 0; i < n; i++) order[i] = i;
  for (int64_t i = n - 1; i > 0; i--) {
    int64_t j = (int64_t)moire__random_below(&random, (uint64_t)i + 1), kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
}
