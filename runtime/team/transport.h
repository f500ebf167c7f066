/* What a team of processes stands on: bytes from one rank to another. A transport is a table of functions that
 * a module gives which is loaded when it is needed (runtime/team/team.h), so that nothing else knows MPI.
 *
 * One thread at a time calls. Functions that return an int give 0, or a number that `explain` puts into words.
 */
#ifndef MOIRE_RUNTIME_TEAM_TRANSPORT_H
#define MOIRE_RUNTIME_TEAM_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOIRE__TRANSPORT_VERSION = 2 };

typedef struct moire__transport {
  int version;         /* MOIRE__TRANSPORT_VERSION */
  const char *library; /* "Open MPI 4.1.4" */
  int rank, size;
  /* Begin to send or to receive; the data stay where they are until `test` says that it is done. Messages of
   * one tag from one rank to another arrive in the order in which they were sent. */
  int (*send)(const void *data, size_t bytes, int to, int tag, int64_t *request);
  int (*receive)(void *data, size_t bytes, int from, int tag, int64_t *request);
  int (*test)(int64_t *request, bool *done);
  void (*explain)(int failure, char *out, size_t size);
  /* In order: every rank does, and nothing is under way. May end the process, with that status. */
  void (*close)(int status);
} moire__transport;

/* The module's one symbol, "moire_team_transport": starts the library, once in a process. NULL with a sentence.
 */
typedef const moire__transport *moire__transport_open(char *sentence, size_t size);

#endif
