/* What this machine can do at most: the roofs of a roofline.
 *
 * Arithmetic is counted in operations a second (a fused multiply-add is two), reading in bytes a second; each
 * for one thread, and for all threads of a run together. The figures are the best of many short windows of
 * loops written in assembly, so they belong to the machine and not to a compiler, and a busy machine only makes
 * them take longer to reach. They are kept in a file of the user's cache folder,
 * $XDG_CACHE_HOME/moire/peaks.json
 * (~/.cache without it), under the processor's name and the number of threads.
 */
#ifndef MOIRE_RUNTIME_MACHINE_PEAKS_H
#define MOIRE_RUNTIME_MACHINE_PEAKS_H

#include "moire/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct moire__peak {
  double one, all; /* a second: one thread; all together */
} moire__peak;

enum { MOIRE__MOST_LEVELS = 5 };

typedef struct moire__peak_level {
  char name[8];     /* "L1", "L2", "L3"; "memory" is the last */
  int64_t bytes;    /* of one cache; 0 for memory */
  int sharers;      /* threads that read from one such cache, among those measured; 0 for memory */
  moire__peak read; /* bytes a second */
} moire__peak_level;

typedef struct moire__peaks {
  char cpu[160]; /* "AMD EPYC (family 26, model 2, stepping 1)" */
  int threads;
  bool busy;            /* other programs interrupted all too often: figures may be too low */
  char fma_unit[16];    /* "avx512f", "fma", "sse2", "neon" */
  moire__peak fma;      /* float32 operations a second */
  char matrix_unit[16]; /* "amx_bf16", "avx512_bf16"; "" where there is none, and `matrix` is 0 */
  moire__peak matrix;   /* operations a second on products of bf16, summed in float32 */
  int n_levels;
  moire__peak_level levels[MOIRE__MOST_LEVELS]; /* nearest first */
} moire__peaks;

/* Measures with `threads` threads (1 to 1024): under a second, up to half a minute on a busy machine; memory
 * for 4 times the last cache. MOIRE_ERROR_UNSUPPORTED on processors that are neither x86-64 nor aarch64. */
moire_status moire__peaks_measure(int threads, moire__peaks *peaks, moire_error *error);

/* The figures of this processor for so many threads: from the file, or measured and kept there. A file that is
 * malformed counts as empty; one that cannot be written is reported, with `peaks` filled. `again`: measured in
 * any case. *measured (may be NULL): they do not come from the file. */
moire_status moire__peaks_get(int threads, bool again, moire__peaks *peaks, bool *measured, moire_error *error);

/* The file's path, owned by the caller (moire__release). It need not be there. NULL with a sentence if neither
 * XDG_CACHE_HOME nor HOME is set. */
char *moire__peaks_path(moire_error *error);

#endif
