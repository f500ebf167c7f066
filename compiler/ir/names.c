/* An open-addressed table over names, of which a graph's states have hundreds and every pass asks for each. */
#include "compiler/ir/names.h"

#include "runtime/base/hash.h"

#include <string.h>

/* The slot that holds the name, or the free one where it belongs. */
static int slot_of(const moire__names *names, const char *name) {
  int at = (int)(moire__hash_bytes((const unsigned char *)name, strlen(name)) & (uint64_t)(names->n_slots - 1));
  while (names->slots[at] && strcmp(names->names[names->slots[at] - 1], name) != 0)
    at = (at + 1) & (names->n_slots - 1);
  return at;
}

int moire__names_find(const moire__names *names, const char *name) {
  return names->n_slots ? names->slots[slot_of(names, name)] - 1 : -1;
}

static void enlarge(moire__names *names, moire__arena *arena) {
  int n_slots = names->n_slots ? 2 * names->n_slots : 16;
  const char **kept = moire__arena_array(arena, (size_t)n_slots / 2, sizeof *kept);
  if (names->n) memcpy(kept, names->names, (size_t)names->n * sizeof *kept);
  names->names = kept;
  names->n_slots = n_slots;
  names->slots = moire__arena_array(arena, (size_t)n_slots, sizeof *names->slots);
  for (int i = 0; i < names->n; i++) {
    int at = slot_of(names, names->names[i]);
    if (!names->slots[at]) names->slots[at] = i + 1;
  }
}

void moire__names_add(moire__names *names, moire__arena *arena, const char *name) {
  if (2 * names->n >= names->n_slots) enlarge(names, arena);
  int at = slot_of(names, name);
  names->names[names->n++] = name;
  if (!names->slots[at]) names->slots[at] = names->n;
}
