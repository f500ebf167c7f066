/* MOIRE_DEBUG: an environment variable, since every program that compiles models has it then, and none has to
 * hand an option through. It is read once for each program that is compiled. */
#include "compiler/driver/observe.h"

#include "compiler/codegen/codegen.h"

#include <stdlib.h>
#include <string.h>

moire_status moire__driver_observers(unsigned *observers, moire_error *error) {
  static const struct {
    const char *word;
    unsigned observer;
  } words[] = {{"gdb", MOIRE__JIT_GDB}, {"perf", MOIRE__JIT_PERF}, {"map", MOIRE__JIT_PERF_MAP}};
  enum { N_WORDS = sizeof words / sizeof *words };
  *observers = 0;
  const char *at = getenv("MOIRE_DEBUG");
  while (at && *at) {
    size_t n = strcspn(at, ","), i = 0;
    while (i < N_WORDS && (strlen(words[i].word) != n || strncmp(at, words[i].word, n) != 0)) i++;
    if (i == N_WORDS)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "MOIRE_DEBUG: wanted gdb, perf or map, but '%.*s' came",
                        n < 60 ? (int)n : 60, at);
    *observers |= words[i].observer;
    at += n + (at[n] == ',');
  }
  return MOIRE_OK;
}
