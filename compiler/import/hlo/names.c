/* What inputs and outputs are called. See names.h. */
#include "compiler/import/hlo/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Letters, digits and _ as they are, whatever stands between them as one dot. */
static char *plain(const char *text, moire__arena *arena) {
  enum { LONGEST = 120 };
  char *out = moire__arena_array(arena, strlen(text) + 1, 1);
  size_t n = 0;
  bool between = false;
  for (const char *c = text; *c && n < LONGEST; c++) {
    bool good = isalnum((unsigned char)*c) || *c == '_';
    if (good && between && n) out[n++] = '.';
    if (good) out[n++] = *c;
    between = !good;
  }
  out[n] = 0;
  return out;
}

static const char *take(const char *name, moire__hlo_taken *taken, moire__arena *arena) {
  const char *free_one = name;
  for (int i = 2; moire__names_find(&taken->names, free_one) >= 0; i++)
    free_one = moire__arena_printf(arena, "%s_%d", name, i);
  moire__names_add(&taken->names, arena, free_one);
  return free_one;
}

const char *moire__hlo_input_name(const moire__hlo_module *module, const moire__hlo_port *port, int index,
                                  moire__hlo_taken *taken, moire__arena *arena) {
  const char *name = plain(moire__hlo_place_name(module, port->place), arena);
  return take(*name ? name : moire__arena_printf(arena, "arg%d", index), taken, arena);
}

const char *moire__hlo_output_name(const moire__hlo_function *f, int index, int n, moire__hlo_taken *taken,
                                   moire__arena *arena) {
  const char *text = index < f->n_results ? f->results[index].name : "";
  if (!strncmp(text, "result", 6) && !isalnum((unsigned char)text[6])) text += 6;
  const char *name = plain(text, arena);
  if (isdigit((unsigned char)*name)) name = moire__arena_printf(arena, "output_%s", name);
  if (!*name) name = n > 1 ? moire__arena_printf(arena, "output_%d", index) : "output";
  return take(name, taken, arena);
}
