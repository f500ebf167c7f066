/* Files and commands: a folder beside the results, the C compiler in it, and the renaming at the end.
 *
 * Commands run with the folder as their working directory and name files relative to it, so that nothing in the
 * results tells where they were made. What a command prints goes to a file, and from there into the sentence
 * about its failure. */
#include "compiler/driver/ahead_interface.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- The folder ------------------------------------------------------------------------------------- */

static char *join(const char *folder, const char *path) {
  moire__text text = {0};
  moire__text_add(&text, "%s/%s", folder, path);
  char *joined = strdup(moire__text_string(&text));
  moire__text_free(&text);
  return joined;
}

moire_status moire__ahead_folder_make(moire__ahead_folder *folder, const char *directory, moire_error *error) {
  folder->path = join(directory, ".moire.XXXXXX");
  if (!mkdtemp(folder->path)) {
    int cause = errno;
    free(folder->path);
    folder->path = NULL;
    return moire_fail(error, MOIRE_ERROR_IO, "%s: a folder to work in could not be made: %s", directory,
                      strerror(cause));
  }
  folder->log = join(folder->path, "log");
  return MOIRE_OK;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where) {
  (void)info;
  (void)kind;
  (void)where;
  return remove(path);
}

void moire__ahead_folder_remove(moire__ahead_folder *folder) {
  if (folder->path) nftw(folder->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
  free(folder->path);
  free(folder->log);
  *folder = (moire__ahead_folder){0};
}

static void make_parents(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    mkdir(path, 0777);
    *slash = '/';
  }
}

moire_status moire__ahead_folder_write(const moire__ahead_folder *folder, const char *path, const void *bytes,
                                       size_t n, moire_error *error) {
  char *whole = join(folder->path, path);
  make_parents(whole);
  FILE *file = fopen(whole, "wb");
  bool good = file && fwrite(bytes, 1, n, file) == n;
  if (file && fclose(file)) good = false;
  moire_status status = MOIRE_OK;
  if (!good) status = moire_fail(error, MOIRE_ERROR_IO, "%s: could not be written: %s", whole, strerror(errno));
  free(whole);
  return status;
}

static bool is_folder(const char *path) {
  struct stat info;
  return !stat(path, &info) && S_ISDIR(info.st_mode);
}

static moire_status sync_file(const char *path, moire_error *error) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  int failure = file < 0 ? -1 : fsync(file);
  int cause = errno;
  if (file >= 0) close(file);
  return failure ? moire_fail(error, MOIRE_ERROR_IO, "%s: %s", path, strerror(cause)) : MOIRE_OK;
}

/* What can fail is tried before anything is replaced. */
moire_status moire__ahead_folder_publish(const moire__ahead_folder *folder, const char *directory,
                                         const char *const *files, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; files[i] && !status; i++) {
      char *from = join(folder->path, files[i]), *to = join(directory, files[i]);
      if (pass == 0) {
        status = sync_file(from, error);
        if (is_folder(to)) status = moire_fail(error, MOIRE_ERROR_IO, "%s: is a folder", to);
      } else if (rename(from, to)) {
        status = moire_fail(error, MOIRE_ERROR_IO, "%s: could not be written: %s", to, strerror(errno));
      }
      free(from);
      free(to);
    }
  }
  return status;
}

/* ---- Commands --------------------------------------------------------------------------------------- */

typedef struct command {
  moire__arena arena;
  char **words; /* a NULL ends them */
  int n, capacity;
} command;

static void add_word(command *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add_word(command *c, const char *format, ...) {
  char word[4200];
  va_list args;
  va_start(args, format);
  vsnprintf(word, sizeof word, format, args);
  va_end(args);
  MOIRE__PUSH(&c->arena, c->words, c->n, c->capacity, moire__arena_copy_string(&c->arena, word));
}

static void add_words(command *c, const char *text) {
  while (*text) {
    size_t n = strcspn(text, " ");
    if (n) add_word(c, "%.*s", (int)n, text);
    text += n + (text[n] == ' ');
  }
}

/* The end of what the command printed, with its lines as one. */
static void read_log(const moire__ahead_folder *folder, char *out, size_t room) {
  FILE *file = fopen(folder->log, "rb");
  size_t n = 0;
  if (file && !fseek(file, 0, SEEK_END)) {
    long size = ftell(file), wanted = size < (long)room - 1 ? size : (long)room - 1;
    if (size > 0 && !fseek(file, size - wanted, SEEK_SET)) n = fread(out, 1, (size_t)wanted, file);
  }
  if (file) fclose(file);
  while (n && (out[n - 1] == '\n' || out[n - 1] == ' ')) n--;
  out[n] = 0;
  for (size_t i = 0; i < n; i++) {
    if (out[i] == '\n' || out[i] == '\r') out[i] = ' ';
  }
}

/* Runs the command and frees it. */
static moire_status run(command *c, const moire__ahead_folder *folder, moire_error *error) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, folder->log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawn_file_actions_addchdir_np(&actions, folder->path);
  add_word(c, "%s", "");
  char *name = c->words[0];
  c->words[c->n - 1] = NULL;
  pid_t child = 0;
  int failure = posix_spawnp(&child, name, &actions, NULL, c->words, environ), result = 0;
  posix_spawn_file_actions_destroy(&actions);
  moire_status status = MOIRE_OK;
  if (failure) {
    status = moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: could not be run: %s", name, strerror(failure));
  } else {
    while (waitpid(child, &result, 0) < 0 && errno == EINTR) continue;
    if (result) {
      char log[600];
      read_log(folder, log, sizeof log);
      status = moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s failed: %s", name, log);
    }
  }
  moire__arena_free(&c->arena);
  *c = (command){0};
  return status;
}

/* The program of the compiler's kit with this name. */
static moire_status find_program(const moire__ahead *a, const moire__ahead_folder *folder, const char *program,
                                 char *path, size_t room, moire_error *error) {
  command c = {0};
  add_words(&c, a->options->cc);
  add_word(&c, "-print-prog-name=%s", program);
  moire_status status = run(&c, folder, error);
  if (!status) read_log(folder, path, room);
  return status;
}

/* ---- Building --------------------------------------------------------------------------------------- */

/* What the library shares with the rest of the runtime, as far as it needs it; one command compiles all. */
static const char *shared_source(const moire__ahead *a, int i) {
  bool training = a->model->training != NULL;
  const struct {
    const char *name;
    bool needed;
  } all[] = {{"runtime/run/initial", training},
             {"runtime/train/optimizer", training},
             {"runtime/base/philox", training},
             {"runtime/base/hash", a->options->external_weights}};
  for (int j = 0; a->interface->units[j]; j++) {
    if (i-- == 0) return a->interface->units[j];
  }
  for (size_t j = 0; j < sizeof all / sizeof *all; j++) {
    if (all[j].needed && i-- == 0) return all[j].name;
  }
  return NULL;
}

static moire_status compile(const moire__ahead *a, const moire__ahead_folder *folder, moire_error *error) {
  command c = {0};
  add_words(&c, a->options->cc);
  add_words(&c, "-std=c11 -O2 -fPIC -ffp-contract=off -D_GNU_SOURCE -I. -Iinclude -c tables.c");
  for (int i = 0; shared_source(a, i); i++) add_word(&c, "%s.c", shared_source(a, i));
  return run(&c, folder, error);
}

static void add_objects(const moire__ahead *a, command *c, int n) {
  add_word(c, "tables.o");
  for (int i = 0; shared_source(a, i); i++) add_word(c, "%s.o", strrchr(shared_source(a, i), '/') + 1);
  for (int i = 0; i < n; i++) add_word(c, "kernels%d.o", i);
}

static moire_status link_shared(const moire__ahead *a, const moire__ahead_folder *folder, int n_objects,
                                moire_error *error) {
  const char *name = a->options->name;
  char script[160];
  int n = snprintf(script, sizeof script, "{ global: %s_*; local: *; };\n", name);
  moire_status status = moire__ahead_folder_write(folder, "symbols", script, (size_t)n, error);
  if (status) return status;
  command c = {0};
  add_words(&c, a->options->cc);
  add_words(&c,
            "-shared -Wl,--version-script=symbols -Wl,-z,noexecstack -Wl,-z,relro -Wl,-z,now -Wl,--build-id");
  add_word(&c, "-Wl,-soname,%s.so", name);
  add_word(&c, "-o");
  add_word(&c, "%s.so", name);
  add_objects(a, &c, n_objects);
  add_words(&c, "-Wl,--as-needed -lm");
  return run(&c, folder, error);
}

/* One object in which only the public names are global, so that two libraries can stand in one program. */
static moire_status archive(const moire__ahead *a, const moire__ahead_folder *folder, int n_objects,
                            moire_error *error) {
  char objcopy[4096], ar[4096];
  moire_status status = find_program(a, folder, "objcopy", objcopy, sizeof objcopy, error);
  if (!status) status = find_program(a, folder, "ar", ar, sizeof ar, error);
  if (status) return status;
  command c = {0};
  add_words(&c, a->options->cc);
  add_words(&c, "-r -nostdlib -o whole.o");
  add_objects(a, &c, n_objects);
  status = run(&c, folder, error);
  if (status) return status;
  add_word(&c, "%s", objcopy);
  add_words(&c, "--wildcard");
  add_word(&c, "--keep-global-symbol=%s_*", a->options->name);
  add_word(&c, "whole.o");
  status = run(&c, folder, error);
  if (status) return status;
  add_word(&c, "%s", ar);
  add_word(&c, "rcsD");
  add_word(&c, "%s.a", a->options->name);
  add_word(&c, "whole.o");
  return run(&c, folder, error);
}

moire_status moire__ahead_build(const moire__ahead *a, const moire__ahead_folder *folder, int n_objects,
                                moire_error *error) {
  moire_status status = compile(a, folder, error);
  if (!status) status = link_shared(a, folder, n_objects, error);
  return status ? status : archive(a, folder, n_objects, error);
}
