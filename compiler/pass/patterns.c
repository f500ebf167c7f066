#include "compiler/pass/patterns.h"

#include <fnmatch.h>

bool moire__patterns_match(const char *const *patterns, int n, const char *name) {
  for (int i = 0; i < n; i++) {
    if (fnmatch(patterns[i], name, 0) == 0) return true;
  }
  return false;
}

/* "a, b, c, and 5 more" */
static void list_parameters(const moire_graph *g, moire__text *text) {
  enum { SHOWN = 4 };
  int n = 0;
  for (int s = 0; s < g->n_states; s++) {
    if (!g->states[s].trained) continue;
    if (n < SHOWN) moire__text_add(text, n ? ", %s" : "%s", g->states[s].name);
    n++;
  }
  if (n > SHOWN) moire__text_add(text, ", and %d more", n - SHOWN);
}

moire_status moire__patterns_check(const moire_graph *g, const char *const *patterns, int n, const char *place,
                                   moire_error *error) {
  for (int i = 0; i < n; i++) {
    bool found = false;
    for (int s = 0; s < g->n_states && !found; s++) {
      found = g->states[s].trained && moire__patterns_match(&patterns[i], 1, g->states[s].name);
    }
    if (found) continue;
    moire__text names = {0};
    list_parameters(g, &names);
    moire_status status =
        moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: \"%s\" matches no parameter of %s; it has: %s", place,
                   patterns[i], g->name, names.length ? names.data : "none");
    moire__text_free(&names);
    return status;
  }
  return MOIRE_OK;
}
