/* Last words. See voice.h. */
#include "runtime/team/voice.h"

#include "runtime/base/text.h"
#include "runtime/train/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child is told; the last one counts. */
typedef struct news {
  int rank, size; /* 0 of 0: not known yet */
  bool said;
} news;

static void tell(const moire__voice *v, bool said) {
  news n = {v->rank, v->size, said};
  if (v->line >= 0 && write(v->line, &n, sizeof n) < 0) return; /* the child is gone: nobody else can know */
}

static void print(const moire__voice *v, const char *event, const char *sentence) {
  moire__text line = {0}, who = {0};
  if (v->size) moire__text_add(&who, "rank %d of %d: ", v->rank, v->size);
  if (moire__log_get_form() == MOIRE__LOG_JSON)
    moire__log(event, NULL, "%s%s", moire__text_string(&who), sentence);
  else
    moire__text_add(&line, "moire train: %s%s\n", moire__text_string(&who), sentence);
  fputs(moire__text_string(&line), stderr);
  fflush(stderr);
  moire__text_free(&line);
  moire__text_free(&who);
}

/* The child: signals that end its parent, or the parent's group, are not for it. */
static _Noreturn void wait_for_end(int line) {
  const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
  setsid();
  prctl(PR_SET_NAME, "moire-voice");
  dup2(line, STDIN_FILENO);
  close(STDOUT_FILENO);
  closefrom(STDERR_FILENO + 1);
  news last = {0}, next;
  ssize_t n = 0;
  while ((n = read(STDIN_FILENO, &next, sizeof next)) == (ssize_t)sizeof next || (n < 0 && errno == EINTR))
    if (n > 0) last = next;
  if (last.rank) moire__log_set_form(MOIRE__LOG_NONE); /* rank 0's log alone is JSON */
  if (!last.said)
    print(&(moire__voice){.rank = last.rank, .size = last.size}, "failed",
          last.size
              ? "ended without a word, killed, or by the MPI library since another rank is lost; what the last "
                "checkpoint has stays, and --resume goes on from it with any number of ranks"
              : "ended without a word, killed, or by the MPI library, before it had found the other ranks");
  _exit(0);
}

void moire__voice_open(moire__voice *v) {
  int ends[2];
  *v = (moire__voice){.line = -1};
  if (pipe2(ends, O_CLOEXEC)) return;
  v->child = fork();
  if (!v->child) {
    close(ends[1]);
    wait_for_end(ends[0]);
  }
  close(ends[0]);
  if (v->child > 0)
    v->line = ends[1];
  else
    close(ends[1]);
}

void moire__voice_join(moire__voice *v, int rank, int size) {
  v->rank = rank;
  v->size = size;
  tell(v, false);
}

void moire__voice_say(moire__voice *v, const char *event, const char *sentence) {
  print(v, event, sentence);
  tell(v, true);
}

void moire__voice_close(moire__voice *v) {
  if (v->line < 0) return;
  tell(v, true);
  close(v->line);
  while (waitpid(v->child, NULL, 0) < 0 && errno == EINTR) continue;
  v->line = -1;
}
