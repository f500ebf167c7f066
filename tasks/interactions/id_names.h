/* Names by number and numbers by name: a list of texts without repetition. */
#ifndef MOIRE_TASKS_INTERACTIONS_ID_NAMES_H
#define MOIRE_TASKS_INTERACTIONS_ID_NAMES_H

#include <stddef.h>
#include <stdint.h>

/* Zero-initialise; free with moire__id_names_free. */
typedef struct moire__id_names {
  int64_t n;
  char *bytes; /* each name with a NUL after it */
  size_t n_bytes, bytes_capacity;
  size_t *first;  /* [n], of each its first byte */
  int64_t *slots; /* [n_slots]: number + 1, or 0; a power of two */
  size_t n_slots;
} moire__id_names;

void moire__id_names_free(moire__id_names *names);
/* The number of a name, in order of addition; -1 if it is not there. */
int64_t moire__id_names_find(const moire__id_names *names, const char *name, size_t length);
/* The same, added where it is not there. */
int64_t moire__id_names_add(moire__id_names *names, const char *name, size_t length);
/* The name of a number below n; borrows until the next addition. */
const char *moire__id_names_at(const moire__id_names *names, int64_t number);

#endif
