/* Complex values by name: what is called "x" and is c64 is, to plans, stores and files, "x.real" and "x.imag".
 */
#ifndef MOIRE_RUNTIME_BASE_PLANES_H
#define MOIRE_RUNTIME_BASE_PLANES_H

#include <stdbool.h>
#include <string.h>

static inline const char *moire__plane_suffix(int plane) { return plane ? ".imag" : ".real"; }

/* 0 or 1 where `name` is that plane of `whole`, else -1. */
static inline int moire__plane_of(const char *name, const char *whole) {
  size_t length = strlen(whole);
  if (strncmp(name, whole, length) != 0) return -1;
  for (int plane = 0; plane < 2; plane++) {
    if (strcmp(name + length, moire__plane_suffix(plane)) == 0) return plane;
  }
  return -1;
}

#endif
