/* Four chains of multiplications over the words of the input, taken in turn, then mixed; so a change of any
 * word changes the result, since each step is a bijection of the chain and of the word. The last word is padded
 * with zeros, and the length takes part. */
#include "runtime/base/hash.h"

#include <string.h>

enum { CHAINS = 4 };

/* Little-endian, on every machine. */
static uint64_t hash_word(const unsigned char *bytes, size_t n) {
  uint64_t word = 0;
  for (size_t i = n; i > 0; i--) word = word << 8 | bytes[i - 1];
  return word;
}

static uint64_t hash_step(uint64_t chain, uint64_t word) {
  chain = (chain ^ word) * 0x9E3779B97F4A7C15u;
  return chain ^ chain >> 29;
}

uint64_t moire__hash_bytes(const unsigned char *bytes, size_t n) {
  uint64_t chains[CHAINS] = {1, 2, 3, 4}, hash = n;
  size_t at = 0;
  for (; n - at >= 8 * CHAINS; at += 8 * CHAINS) {
    for (size_t c = 0; c < CHAINS; c++) chains[c] = hash_step(chains[c], hash_word(bytes + at + 8 * c, 8));
  }
  for (size_t c = 0; at < n; at += 8, c++)
    chains[c] = hash_step(chains[c], hash_word(bytes + at, n - at < 8 ? n - at : 8));
  for (int c = 0; c < CHAINS; c++) hash = hash_step(hash, chains[c]);
  return hash;
}
