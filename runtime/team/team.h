/* A team: the processes that train one model together, each of which knows its rank and how many there are.
 *
 *   moire__team *team = NULL;
 *   moire__team_join(&team, &error);                    // NULL where nobody started this process as one of
 * several moire__team_agree(team, terms, n, &error);          // all have the same version, configuration, data
 *   moire__team_exchange(team, parcels, n, &error);
 *   moire__team_leave(team, NULL, 0);
 *
 * No rank waits for ever. A rank tells the others each second that it is there, and when it gives up, why; what
 * is silent for `patience` seconds counts as lost. Either ends this process with a sentence on stderr, whatever
 * it is at; so does a signal to end that finds the others gone (docs/mpi.md). */
#ifndef MOIRE_RUNTIME_TEAM_TEAM_H
#define MOIRE_RUNTIME_TEAM_TEAM_H

#include "moire/status.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOIRE__TEAM_MOST = 1024 };

typedef struct moire__team moire__team;

/* Joins the team that this process was started in, by mpirun or srun: loads the module of the library that did.
 * *team is NULL where it was started alone. */
moire_status moire__team_join(moire__team **team, moire_error *error);
/* Leaves it: in order with `failure` NULL, when all are done; else the others are told why, and end with that.
 * `status` is what this process is about to exit with; with some libraries it does so here. */
void moire__team_leave(moire__team *team, const char *failure, int status);

/* What this rank says as it ends: "moire train: rank 1 of 3: SENTENCE". */
void moire__team_say(moire__team *team, const char *event, const char *sentence);

/* Of NULL: 0 and 1. */
int moire__team_rank(const moire__team *team);
int moire__team_size(const moire__team *team);
const char *moire__team_library(const moire__team *team); /* "Open MPI 4.1.4" */

/* A signal to end, which becomes 1 in *stop: where the others are gone, this process does not outlive it long.
 */
void moire__team_heed(moire__team *team, const volatile sig_atomic_t *stop);

/* What all ranks must have alike. */
typedef struct moire__team_term {
  const char *what; /* "the configuration" */
  uint64_t value;   /* a hash of it … */
  const char *text; /* … and how a sentence calls it, or NULL */
} moire__team_term;

/* Every rank gets the same sentence if one of them differs. */
moire_status moire__team_agree(moire__team *team, const moire__team_term *terms, int n, moire_error *error);

/* Bytes that go to, or come from, a rank. What one sends to another in one call, the other must take in the
 * same order and sizes. */
typedef struct moire__parcel {
  int rank;
  bool receive;
  void *data;
  size_t bytes;
} moire__parcel;

/* Returns when all are done. */
moire_status moire__team_exchange(moire__team *team, const moire__parcel *parcels, int n, moire_error *error);
/* What rank 0 has is then everybody's. Of NULL nothing happens. */
moire_status moire__team_share(moire__team *team, void *data, size_t bytes, moire_error *error);

#endif
