/* A team of processes. See team.h. */
#include "runtime/team/team.h"

#include "runtime/base/memory.h"
#include "runtime/team/beats.h"
#include "runtime/team/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct moire__team {
  const moire__transport *transport;
  moire__voice voice;
  pthread_mutex_t lock; /* of the transport */
  moire__beats *beats;
};

int moire__team_rank(const moire__team *team) { return team ? team->transport->rank : 0; }
int moire__team_size(const moire__team *team) { return team ? team->transport->size : 1; }
const char *moire__team_library(const moire__team *team) { return team->transport->library; }

moire_status moire__team_join(moire__team **team, moire_error *error) {
  const moire__transport *transport = NULL;
  *team = NULL;
  if (!moire__transport_wanted()) return MOIRE_OK;
  moire__voice voice;
  moire__voice_open(&voice);
  moire_status status = moire__transport_load(&transport, error);
  if (!status && transport->size > MOIRE__TEAM_MOST)
    status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%d processes were started, wanted %d at most",
                        transport->size, (int)MOIRE__TEAM_MOST);
  if (status) {
    moire__voice_close(&voice);
    return status;
  }
  moire__voice_join(&voice, transport->rank, transport->size);
  moire__team *t = moire__allocate(sizeof *t);
  t->transport = transport;
  t->voice = voice;
  pthread_mutex_init(&t->lock, NULL);
  t->beats = moire__beats_start(transport, &t->voice, &t->lock);
  *team = t;
  return MOIRE_OK;
}

void moire__team_say(moire__team *t, const char *event, const char *sentence) {
  moire__voice_say(&t->voice, event, sentence);
}

void moire__team_leave(moire__team *t, const char *failure, int status) {
  if (!t) return;
  fflush(NULL);
  moire__voice_close(&t->voice); /* what there is to say has been said */
  moire__beats_end(t->beats, failure);
  if (!failure) t->transport->close(status);
  pthread_mutex_destroy(&t->lock);
  moire__release(t);
}

void moire__team_heed(moire__team *t, const volatile sig_atomic_t *stop) {
  if (t) moire__beats_heed(t->beats, stop);
}

/* ---- Exchange -----------------------------------------------------------------------------------------------
 */

enum { MOST_BYTES = 1 << 28 }; /* of one message */

typedef struct flight {
  int64_t *requests;
  bool *done;
  int *ranks;
  int n, n_left;
} flight;

static moire_status explain(const moire__team *t, int rank, int failure, moire_error *error) {
  char why[256] = "";
  t->transport->explain(failure, why, sizeof why);
  return moire_fail(error, MOIRE_ERROR_IO, "nothing can be exchanged with rank %d, which may be lost: %s", rank,
                    why);
}

static int64_t count_messages(const moire__parcel *parcels, int n) {
  int64_t sum = 0;
  for (int i = 0; i < n; i++) sum += (int64_t)(parcels[i].bytes / MOST_BYTES) + 1;
  return sum;
}

/* Begins what a parcel is made of. */
static moire_status post(const moire__team *t, const moire__parcel *p, flight *f, moire_error *error) {
  for (size_t at = 0; at < p->bytes; at += MOST_BYTES) {
    size_t bytes = p->bytes - at < MOST_BYTES ? p->bytes - at : MOST_BYTES;
    char *data = (char *)p->data + at;
    int failure = p->receive ? t->transport->receive(data, bytes, p->rank, MOIRE__TAG_DATA, &f->requests[f->n])
                             : t->transport->send(data, bytes, p->rank, MOIRE__TAG_DATA, &f->requests[f->n]);
    if (failure) return explain(t, p->rank, failure, error);
    f->ranks[f->n++] = p->rank;
    f->n_left++;
  }
  return MOIRE_OK;
}

static moire_status test_all(const moire__team *t, flight *f, moire_error *error) {
  for (int i = 0; i < f->n; i++) {
    if (f->done[i]) continue;
    int failure = t->transport->test(&f->requests[i], &f->done[i]);
    if (failure) return explain(t, f->ranks[i], failure, error);
    f->n_left -= f->done[i];
  }
  return MOIRE_OK;
}

/* Longer the longer it takes, so that ranks that share a processor let each other work. */
static void pause_before(int look) {
  struct timespec time = {0, look < 200 ? 20000 : 200000};
  if (look > 20) nanosleep(&time, NULL);
}

moire_status moire__team_exchange(moire__team *t, const moire__parcel *parcels, int n, moire_error *error) {
  moire__arena scratch = {0};
  size_t most = (size_t)count_messages(parcels, n) + 1;
  flight f = {.requests = moire__arena_array(&scratch, most, sizeof *f.requests),
              .done = moire__arena_array(&scratch, most, sizeof *f.done),
              .ranks = moire__arena_array(&scratch, most, sizeof *f.ranks)};
  moire_status status = MOIRE_OK;
  pthread_mutex_lock(&t->lock);
  for (int i = 0; i < n && !status; i++) status = post(t, &parcels[i], &f, error);
  pthread_mutex_unlock(&t->lock);
  for (int look = 0; !status && f.n_left; look++) {
    pthread_mutex_lock(&t->lock);
    status = test_all(t, &f, error);
    pthread_mutex_unlock(&t->lock);
    if (f.n_left) pause_before(look);
  }
  moire__arena_free(&scratch);
  return status;
}

moire_status moire__team_share(moire__team *t, void *data, size_t bytes, moire_error *error) {
  if (!t || t->transport->size == 1 || !bytes) return MOIRE_OK;
  if (t->transport->rank) return moire__team_exchange(t, &(moire__parcel){0, true, data, bytes}, 1, error);
  moire__arena scratch = {0};
  int size = t->transport->size;
  moire__parcel *parcels = moire__arena_array(&scratch, (size_t)size, sizeof *parcels);
  for (int r = 1; r < size; r++) parcels[r - 1] = (moire__parcel){r, false, data, bytes};
  moire_status status = moire__team_exchange(t, parcels, size - 1, error);
  moire__arena_free(&scratch);
  return status;
}

/* ---- Agreement ----------------------------------------------------------------------------------------------
 */

typedef struct term {
  uint64_t value;
  char text[56];
} term;

static void describe(const term *t, char out[96]) {
  if (t->text[0])
    snprintf(out, 96, "%s", t->text);
  else
    snprintf(out, 96, "%016" PRIx64, t->value);
}

/* all[r][i]: term i of rank r. */
static moire_status compare_terms(const moire__team_term *terms, int n, const term *all, int size,
                                  moire_error *error) {
  for (int i = 0; i < n; i++) {
    for (int r = 1; r < size; r++) {
      const term *first = &all[i], *other = &all[r * n + i];
      if (first->value == other->value) continue;
      char ours[96], theirs[96];
      describe(first, ours);
      describe(other, theirs);
      return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "ranks do not have the same %s: rank 0 has %s, rank %d has %s", terms[i].what, ours, r,
                        theirs);
    }
  }
  return MOIRE_OK;
}

moire_status moire__team_agree(moire__team *t, const moire__team_term *terms, int n, moire_error *error) {
  if (!t) return MOIRE_OK;
  int size = t->transport->size, own = t->transport->rank;
  moire__arena scratch = {0};
  term *all = moire__arena_array(&scratch, (size_t)(size * n), sizeof *all);
  moire__parcel *parcels = moire__arena_array(&scratch, 2 * (size_t)size, sizeof *parcels);
  int n_parcels = 0;
  size_t bytes = (size_t)n * sizeof *all;
  for (int i = 0; i < n; i++) {
    term *mine = &all[own * n + i];
    mine->value = terms[i].value;
    snprintf(mine->text, sizeof mine->text, "%s", terms[i].text ? terms[i].text : "");
  }
  for (int r = 0; r < size; r++) {
    if (r == own) continue;
    parcels[n_parcels++] = (moire__parcel){r, false, all + own * n, bytes};
    parcels[n_parcels++] = (moire__parcel){r, true, all + r * n, bytes};
  }
  moire_status status = moire__team_exchange(t, parcels, n_parcels, error);
  if (!status) status = compare_terms(terms, n, all, size, error);
  moire__arena_free(&scratch);
  return status;
}
