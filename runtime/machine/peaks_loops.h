/* What the files of peaks share: the loops that are timed, for one thread each, chosen by what the processor
 * can do, and its name. */
#ifndef MOIRE_RUNTIME_MACHINE_PEAKS_LOOPS_H
#define MOIRE_RUNTIME_MACHINE_PEAKS_LOOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Independent chains of one arithmetic instruction. */
typedef struct moire__peak_unit {
  const char *name;    /* as moire__peaks has it */
  int64_t operations;  /* of one round */
  bool (*begin)(void); /* per thread, before the first run; NULL: nothing to do. False: not to be had here */
  void (*run)(int64_t rounds);
  void (*end)(void); /* NULL: nothing to do */
} moire__peak_unit;

/* Borrowed, static; NULL where there is none. */
const moire__peak_unit *moire__peak_fma_unit(void);
const moire__peak_unit *moire__peak_matrix_unit(void);

/* Loads every byte of `bytes` (a positive multiple of 1024), aligned to 64, `rounds` times. NULL where there is
 * no such loop. */
typedef void moire__peak_reader(const void *from, size_t bytes, int64_t rounds);
moire__peak_reader *moire__peak_read(void);

/* The processor's name as the system has it: the key of its peaks. */
void moire__peaks_cpu(char *name, size_t size);

#endif
