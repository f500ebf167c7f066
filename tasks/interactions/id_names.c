/* A hash table with open addressing over one run of bytes. */
#include "tasks/interactions/id_names.h"

#include "runtime/base/hash.h"
#include "runtime/base/memory.h"

#include <string.h>

void moire__id_names_free(moire__id_names *names) {
  moire__release(names->bytes);
  moire__release(names->first);
  moire__release(names->slots);
  *names = (moire__id_names){0};
}

const char *moire__id_names_at(const moire__id_names *names, int64_t number) {
  return names->bytes + names->first[number];
}

/* The slot that holds the name, or the free one where it belongs. */
static size_t slot_of(const moire__id_names *names, const char *name, size_t length) {
  size_t slot = moire__hash_bytes((const unsigned char *)name, length) & (names->n_slots - 1);
  for (; names->slots[slot]; slot = (slot + 1) & (names->n_slots - 1)) {
    int64_t i = names->slots[slot] - 1;
    size_t end = i + 1 < names->n ? names->first[i + 1] : names->n_bytes;
    if (end - names->first[i] == length + 1 && !memcmp(moire__id_names_at(names, i), name, length)) break;
  }
  return slot;
}

int64_t moire__id_names_find(const moire__id_names *names, const char *name, size_t length) {
  return names->n ? names->slots[slot_of(names, name, length)] - 1 : -1;
}

/* Twice the slots, at most half of which are taken. */
static void grow(moire__id_names *names) {
  names->n_slots = names->n_slots ? names->n_slots * 2 : 64;
  moire__release(names->slots);
  names->slots = moire__allocate_array(names->n_slots, sizeof *names->slots);
  names->first = moire__resize(names->first, names->n_slots / 2 * sizeof *names->first);
  for (int64_t i = 0; i < names->n; i++) {
    const char *name = moire__id_names_at(names, i);
    names->slots[slot_of(names, name, strlen(name))] = i + 1;
  }
}

int64_t moire__id_names_add(moire__id_names *names, const char *name, size_t length) {
  if ((size_t)names->n >= names->n_slots / 2) grow(names);
  size_t slot = slot_of(names, name, length);
  if (names->slots[slot]) return names->slots[slot] - 1;
  while (names->n_bytes + length + 1 > names->bytes_capacity) {
    names->bytes_capacity = names->bytes_capacity ? names->bytes_capacity * 2 : 1024;
    names->bytes = moire__resize(names->bytes, names->bytes_capacity);
  }
  memcpy(names->bytes + names->n_bytes, name, length);
  names->bytes[names->n_bytes + length] = 0;
  names->first[names->n] = names->n_bytes;
  names->n_bytes += length + 1;
  names->slots[slot] = ++names->n;
  return names->n - 1;
}
