/* Commands. See command.h. */
#include "compiler/driver/ahead/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

void moire__ahead_add_word(moire__ahead_command *c, const char *format, ...) {
  char word[4200];
  va_list args;
  va_start(args, format);
  vsnprintf(word, sizeof word, format, args);
  va_end(args);
  MOIRE__PUSH(&c->arena, c->words, c->n, c->capacity, moire__arena_copy_string(&c->arena, word));
}

void moire__ahead_add_words(moire__ahead_command *c, const char *text) {
  while (*text) {
    size_t n = strcspn(text, " ");
    if (n) moire__ahead_add_word(c, "%.*s", (int)n, text);
    text += n + (text[n] == ' ');
  }
}

/* The end of what the command printed, with its lines as one. */
void moire__ahead_read_log(const moire__ahead_folder *folder, char *out, size_t room) {
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
moire_status moire__ahead_run_command(moire__ahead_command *c, const moire__ahead_folder *folder,
                                      moire_error *error) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, folder->log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawn_file_actions_addchdir_np(&actions, folder->path);
  posix_spawnattr_t
      attributes; /* a caller that waits for signals has blocked them, and the command would inherit it */
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  moire__ahead_add_word(c, "%s", "");
  char *name = c->words[0];
  c->words[c->n - 1] = NULL;
  pid_t child = 0;
  int failure = posix_spawnp(&child, name, &actions, &attributes, c->words, environ), result = 0;
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  moire_status status = MOIRE_OK;
  if (failure) {
    status = moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: could not be run: %s", name, strerror(failure));
  } else {
    pid_t ended = 0;
    do ended = waitpid(child, &result, 0);
    while (ended < 0 && errno == EINTR);
    if (ended < 0) { /* as where SIGCHLD is ignored */
      status = moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: how it ended cannot be told: %s", name,
                          strerror(errno));
    } else if (result) {
      char log[600];
      moire__ahead_read_log(folder, log, sizeof log);
      status = moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s failed: %s", name, log);
    }
  }
  moire__arena_free(&c->arena);
  *c = (moire__ahead_command){0};
  return status;
}
