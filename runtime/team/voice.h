/* What a process of a team says on stderr when it ends, and who says it where it cannot.
 *
 * A process may be killed, and an MPI library ends it without asking when another is lost. So a child, which
 * nobody's signals reach, waits for its end, and says a sentence unless one has been said. */
#ifndef MOIRE_RUNTIME_TEAM_VOICE_H
#define MOIRE_RUNTIME_TEAM_VOICE_H

#include <sys/types.h>

typedef struct moire__voice {
  int rank, size;
  int line; /* to the child; -1: there is none */
  pid_t child;
} moire__voice;

/* Makes the child, before the library starts, while this process has one thread. Without one (no more processes
 * are allowed) all else works. */
void moire__voice_open(moire__voice *voice);
/* From here on it knows who it is. */
void moire__voice_join(moire__voice *voice, int rank, int size);
/* "moire train: rank 1 of 3: SENTENCE", in one write; the child then has nothing more to say. */
void moire__voice_say(moire__voice *voice, const char *event, const char *sentence);
/* This process ends in order. */
void moire__voice_close(moire__voice *voice);

#endif
