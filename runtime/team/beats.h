/* Signs of life: each rank tells the others every second that it is there, and hears who is not.
 *
 * All calls of the transport, here and in team.c, are made with `lock` held. */
#ifndef MOIRE_RUNTIME_TEAM_BEATS_H
#define MOIRE_RUNTIME_TEAM_BEATS_H

#include "runtime/team/transport.h"
#include "runtime/team/voice.h"

#include <pthread.h>
#include <signal.h>

typedef struct moire__beats moire__beats;

/* Starts a thread of its own. Borrows all three. */
moire__beats *moire__beats_start(const moire__transport *transport, moire__voice *voice, pthread_mutex_t *lock);
/* Tells the others that this rank leaves, rank 0 first, which waits until all have; or, with a sentence, that
 * it failed, and waits a moment. Ends the thread. */
void moire__beats_end(moire__beats *beats, const char *failure);
/* *stop becomes 1 with a signal to end. */
void moire__beats_heed(moire__beats *beats, const volatile sig_atomic_t *stop);

/* Ends this process with a sentence: other ranks are told nothing, they notice. */
_Noreturn void moire__beats_die(moire__voice *voice, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

enum { MOIRE__TAG_DATA = 1, MOIRE__TAG_BEAT = 2 };

#endif
