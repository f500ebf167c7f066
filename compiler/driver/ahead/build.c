/* From sources and objects in a folder to libraries, by the C compiler.
 *
 * Commands run with the folder as their working directory and name files relative to it, so that nothing in the
 * results tells where they were made. What a command prints goes to a file, and from there into the sentence
 * about its failure. */
#include "compiler/driver/ahead/command.h"
#include "compiler/driver/ahead/interface.h"

#include <stdio.h>
#include <string.h>

/* The program of the compiler's kit with this name. */
static moire_status find_program(const moire__ahead *a, const moire__ahead_folder *folder, const char *program,
                                 char *path, size_t room, moire_error *error) {
  moire__ahead_command c = {0};
  moire__ahead_add_words(&c, a->options->cc);
  moire__ahead_add_word(&c, "-print-prog-name=%s", program);
  moire_status status = moire__ahead_run_command(&c, folder, error);
  if (!status) moire__ahead_read_log(folder, path, room);
  return status;
}

/* What the library shares with the rest of the runtime, as far as it needs it; one command compiles all. */
static const char *shared_source(const moire__ahead *a, int i) {
  bool training = a->model->training != NULL;
  const struct {
    const char *name;
    bool needed;
  } all[] = {
      {"runtime/run/initial", training},    {"runtime/train/optimizer", training},
      {"runtime/base/philox", training},    {"runtime/base/hash", a->options->external_weights || a->searches},
      {"runtime/items/table", a->searches}, {"runtime/items/panels", a->searches},
      {"runtime/items/search", a->searches}};
  for (int j = 0; a->interface->units[j]; j++) {
    if (i-- == 0) return a->interface->units[j];
  }
  for (size_t j = 0; j < sizeof all / sizeof *all; j++) {
    if (all[j].needed && i-- == 0) return all[j].name;
  }
  return NULL;
}

static moire_status compile(const moire__ahead *a, const moire__ahead_folder *folder, moire_error *error) {
  moire__ahead_command c = {0};
  moire__ahead_add_words(&c, a->options->cc);
  moire__ahead_add_words(&c, "-std=c11 -O2 -fPIC -ffp-contract=off -D_GNU_SOURCE -I. -Iinclude -c tables.c");
  for (int i = 0; shared_source(a, i); i++) moire__ahead_add_word(&c, "%s.c", shared_source(a, i));
  return moire__ahead_run_command(&c, folder, error);
}

static void add_objects(const moire__ahead *a, moire__ahead_command *c, int n) {
  moire__ahead_add_word(c, "tables.o");
  for (int i = 0; shared_source(a, i); i++)
    moire__ahead_add_word(c, "%s.o", strrchr(shared_source(a, i), '/') + 1);
  for (int i = 0; i < n; i++) moire__ahead_add_word(c, "kernels%d.o", i);
}

static moire_status link_shared(const moire__ahead *a, const moire__ahead_folder *folder, int n_objects,
                                moire_error *error) {
  const char *name = a->options->name;
  char script[160];
  int n = snprintf(script, sizeof script, "{ global: %s_*; local: *; };\n", name);
  moire_status status = moire__ahead_folder_write(folder, "symbols", script, (size_t)n, error);
  if (status) return status;
  moire__ahead_command c = {0};
  moire__ahead_add_words(&c, a->options->cc);
  moire__ahead_add_words(
      &c, "-shared -Wl,--version-script=symbols -Wl,-z,noexecstack -Wl,-z,relro -Wl,-z,now -Wl,--build-id");
  moire__ahead_add_word(&c, "-Wl,-soname,%s.so", name);
  moire__ahead_add_word(&c, "-o");
  moire__ahead_add_word(&c, "%s.so", name);
  add_objects(a, &c, n_objects);
  moire__ahead_add_words(&c, "-Wl,--as-needed -lm");
  return moire__ahead_run_command(&c, folder, error);
}

/* One object in which only the public names are global, so that two libraries can stand in one program. */
static moire_status archive(const moire__ahead *a, const moire__ahead_folder *folder, int n_objects,
                            moire_error *error) {
  char objcopy[4096], ar[4096];
  moire_status status = find_program(a, folder, "objcopy", objcopy, sizeof objcopy, error);
  if (!status) status = find_program(a, folder, "ar", ar, sizeof ar, error);
  if (status) return status;
  moire__ahead_command c = {0};
  moire__ahead_add_words(&c, a->options->cc);
  moire__ahead_add_words(&c, "-r -nostdlib -o whole.o");
  add_objects(a, &c, n_objects);
  status = moire__ahead_run_command(&c, folder, error);
  if (status) return status;
  moire__ahead_add_word(&c, "%s", objcopy);
  moire__ahead_add_words(&c, "--wildcard");
  moire__ahead_add_word(&c, "--keep-global-symbol=%s_*", a->options->name);
  moire__ahead_add_word(&c, "whole.o");
  status = moire__ahead_run_command(&c, folder, error);
  if (status) return status;
  moire__ahead_add_word(&c, "%s", ar);
  moire__ahead_add_word(&c, "rcsD");
  moire__ahead_add_word(&c, "%s.a", a->options->name);
  moire__ahead_add_word(&c, "whole.o");
  return moire__ahead_run_command(&c, folder, error);
}

moire_status moire__ahead_build(const moire__ahead *a, const moire__ahead_folder *folder, int n_objects,
                                moire_error *error) {
  moire_status status = compile(a, folder, error);
  if (!status) status = link_shared(a, folder, n_objects, error);
  return status ? status : archive(a, folder, n_objects, error);
}
