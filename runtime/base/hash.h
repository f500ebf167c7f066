/* Hashes that find what was changed by accident; no defence against malice. */
#ifndef MOIRE_RUNTIME_BASE_HASH_H
#define MOIRE_RUNTIME_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t moire__hash_bytes(const unsigned char *bytes, size_t n); /* at the speed of memory */

/* FNV-1a, one value a step, for keys and fingerprints: begin with MOIRE__FNV_START. Source: draft-eastlake-fnv.
 */
#define MOIRE__FNV_START 0xcbf29ce484222325u
static inline uint64_t moire__fnv(uint64_t hash, uint64_t value) { return (hash ^ value) * 0x100000001b3u; }

#endif
