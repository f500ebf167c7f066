/* SHA-256 (FIPS 180-4), for lists of files whose readers ask for it. */
#ifndef MOIRE_COMPILER_DRIVER_AHEAD_PYTHON_SHA256_H
#define MOIRE_COMPILER_DRIVER_AHEAD_PYTHON_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct moire__sha256 {
  uint32_t h[8];
  unsigned char block[64];
  uint64_t n; /* bytes so far */
} moire__sha256;

moire__sha256 moire__sha256_start(void);
void moire__sha256_add(moire__sha256 *s, const void *bytes, size_t n);
void moire__sha256_end(moire__sha256 *s, unsigned char digest[32]);

#endif
