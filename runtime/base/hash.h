/* A hash of bytes that finds what was changed by accident, at the speed of memory; no defence against malice.
 */
#ifndef MOIRE_BASE_HASH_H
#define MOIRE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t moire__hash_bytes(const unsigned char *bytes, size_t n);

#endif
