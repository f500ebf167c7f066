/* The table of interfaces. See interface.h. */
#include "compiler/driver/ahead/interface.h"

#include <string.h>

static const moire__ahead_interface *const interfaces[] = {&moire__ahead_recommend, &moire__ahead_code,
                                                           &moire__ahead_run, &moire__ahead_ratings,
                                                           &moire__ahead_generate};
enum { INTERFACES = sizeof interfaces / sizeof *interfaces };

const moire__ahead_interface *moire__ahead_interface_find(const char *name, size_t n) {
  for (int i = 0; i < INTERFACES; i++) {
    if (strlen(interfaces[i]->name) == n && !memcmp(interfaces[i]->name, name, n)) return interfaces[i];
  }
  return NULL;
}

const moire__ahead_interface *moire__ahead_interface_named(const char *name, moire_error *error) {
  const moire__ahead_interface *found = name ? moire__ahead_interface_find(name, strlen(name)) : interfaces[0];
  if (found) return found;
  moire__text all = {0};
  for (int i = 0; i < INTERFACES; i++)
    moire__text_add(&all, "%s%s", i == 0 ? "" : (i == INTERFACES - 1 ? " or " : ", "), interfaces[i]->name);
  moire_fail(error, MOIRE_ERROR_ARGUMENT, "interface \"%.80s\": wanted %s", name, moire__text_string(&all));
  moire__text_free(&all);
  return NULL;
}
