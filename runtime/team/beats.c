/* Signs of life. See beats.h. */
#include "runtime/team/beats.h"

#include "runtime/base/memory.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef enum beat_kind { HERE = 1, LEAVING, FAILED } beat_kind;

typedef struct beat {
  int32_t kind;
  char sentence[1020];
} beat;

/* Another rank. */
typedef struct peer {
  beat in, out;
  int64_t receiving, sending; /* requests */
  bool is_sending, has_left;
  double heard; /* when */
} peer;

struct moire__beats {
  const moire__transport *transport;
  moire__voice *voice;
  pthread_mutex_t *lock;
  pthread_t thread;
  peer *peers; /* [size] */
  double patience, sent, looked;
  const volatile sig_atomic_t *stop;
  bool told;    /* of the signal */
  bool ending;  /* nobody is listened to any more but for whether it leaves */
  bool leaving; /* in order: who cannot be reached any more has left, but for rank 0 */
  bool ended;
};

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void pause_for(double seconds) {
  struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&time, NULL);
}

/* Nothing of this process is half-written: files are replaced as a whole. The library is not called again,
 * since it would wait for who is gone. */
void moire__beats_die(moire__voice *voice, const char *format, ...) {
  char sentence[1200];
  va_list args;
  va_start(args, format);
  vsnprintf(sentence, sizeof sentence, format, args);
  va_end(args);
  moire__voice_say(voice, "failed", sentence);
  _exit(1);
}

/* ---- One look: the lock is held -----------------------------------------------------------------------------
 */

static void listen_to(moire__beats *b, int r) {
  b->transport->receive(&b->peers[r].in, sizeof b->peers[r].in, r, MOIRE__TAG_BEAT, &b->peers[r].receiving);
}

static void take(moire__beats *b, int r) {
  peer *p = &b->peers[r];
  p->heard = now();
  p->in.sentence[sizeof p->in.sentence - 1] = 0;
  if (p->in.kind == LEAVING) p->has_left = true;
  if (p->in.kind == FAILED && !b->ending)
    moire__beats_die(b->voice, "ended, since rank %d did: %s", r, p->in.sentence);
  if (p->in.kind == FAILED) p->has_left = true;
  if (!p->has_left) listen_to(b, r);
}

static void listen_to_all(moire__beats *b) {
  for (int r = 0; r < b->transport->size; r++) {
    peer *p = &b->peers[r];
    for (bool done = true; done && r != b->transport->rank && !p->has_left;) {
      if (b->transport->test(&p->receiving, &done)) {
        done = false; /* it will be silent */
        p->has_left = b->leaving && r;
      }
      if (done) take(b, r);
    }
  }
}

/* Whether the last one has gone out, or never will. */
static bool is_free(moire__beats *b, int r) {
  peer *p = &b->peers[r];
  bool done = true;
  if (p->is_sending && b->transport->test(&p->sending, &done)) done = true;
  if (done) p->is_sending = false;
  return done;
}

static bool send_to(moire__beats *b, int r, beat_kind kind, const char *sentence) {
  peer *p = &b->peers[r];
  if (!is_free(b, r)) return false;
  memset(&p->out, 0, sizeof p->out);
  p->out.kind = (int32_t)kind;
  snprintf(p->out.sentence, sizeof p->out.sentence, "%s", sentence);
  p->is_sending = !b->transport->send(&p->out, sizeof p->out, r, MOIRE__TAG_BEAT, &p->sending);
  return true;
}

/* The last word before this process ends, to all that take it within a moment. */
static void warn(moire__beats *b, const char *sentence) {
  double begin = now();
  bool *said = moire__allocate_array((size_t)b->transport->size, sizeof *said), over = false;
  while (!over && now() - begin < 0.3) {
    over = true;
    for (int r = 0; r < b->transport->size; r++) {
      if (r == b->transport->rank || b->peers[r].has_left) continue;
      if (!said[r]) said[r] = send_to(b, r, FAILED, sentence);
      over = over && said[r] && is_free(b, r);
    }
  }
  moire__release(said);
}

/* A process that was stopped and goes on has heard nobody meanwhile, and judges nobody by that. */
static void judge(moire__beats *b) {
  double time = now();
  bool stopped = time - b->looked > 5;
  b->looked = time;
  for (int r = 0; r < b->transport->size; r++) {
    peer *p = &b->peers[r];
    if (r == b->transport->rank || p->has_left) continue;
    if (stopped) p->heard = time;
    if (time - p->heard <= b->patience) continue;
    if (b->leaving && r) {
      p->has_left = true;
      continue;
    }
    char sentence[256];
    snprintf(
        sentence, sizeof sentence,
        "rank %d has not been heard of for %.0f s and counts as lost; what the last checkpoint has stays, and "
        "--resume goes on from it with any number of ranks",
        r, time - p->heard);
    warn(b, sentence);
    moire__beats_die(b->voice, "%s", sentence);
  }
}

static void look(moire__beats *b) {
  listen_to_all(b);
  judge(b);
  if (b->stop && *b->stop && !b->told && !b->ending) {
    b->told = true;
    moire__voice_say(
        b->voice, "signal",
        "a signal to end has come, from outside or because another rank is lost; what the last checkpoint has "
        "stays, and --resume goes on from it with any number of ranks");
  }
  if (b->ending || now() - b->sent < 1) return;
  for (int r = 0; r < b->transport->size; r++) {
    if (r != b->transport->rank) send_to(b, r, HERE, "");
  }
  b->sent = now();
}

/* ---- The thread ---------------------------------------------------------------------------------------------
 */

static void *beat_on(void *context) {
  moire__beats *b = context;
  for (bool ended = false; !ended;) {
    pthread_mutex_lock(b->lock);
    look(b);
    ended = b->ended;
    pthread_mutex_unlock(b->lock);
    if (!ended) pause_for(0.05);
  }
  return NULL;
}

/* Seconds; MOIRE_MPI_PATIENCE in the environment. */
static double find_patience(void) {
  const char *wish = getenv("MOIRE_MPI_PATIENCE");
  double seconds = wish ? strtod(wish, NULL) : 0;
  return seconds >= 3 && seconds <= 1e6 ? seconds : 30;
}

moire__beats *moire__beats_start(const moire__transport *transport, moire__voice *voice,
                                 pthread_mutex_t *lock) {
  moire__beats *b = moire__allocate(sizeof *b);
  *b = (moire__beats){
      .transport = transport, .voice = voice, .lock = lock, .patience = find_patience(), .looked = now()};
  b->peers = moire__allocate_array((size_t)transport->size, sizeof *b->peers);
  for (int r = 0; r < transport->size; r++) {
    b->peers[r].heard = now();
    if (r != transport->rank) listen_to(b, r);
  }
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
  if (pthread_create(&b->thread, NULL, beat_on, b)) moire__beats_die(voice, "no thread can be started");
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return b;
}

void moire__beats_heed(moire__beats *b, const volatile sig_atomic_t *stop) {
  pthread_mutex_lock(b->lock);
  b->stop = stop;
  pthread_mutex_unlock(b->lock);
}

/* Whether all have the last word, or have failed to take it. Rank 0 waits until all have left; the others say
 * that they leave when it has said so, and need not wait for each other. */
static bool is_over(moire__beats *b, bool *said, beat_kind kind, const char *sentence) {
  int own = b->transport->rank;
  bool over = true;
  if (kind == LEAVING && own && !b->peers[0].has_left) return false;
  b->sent = now(); /* the last word is the last */
  for (int r = 0; r < b->transport->size; r++) {
    if (r == own) continue;
    if (!said[r]) said[r] = send_to(b, r, kind, sentence);
    over = over && said[r] && is_free(b, r) && (kind == FAILED || own || b->peers[r].has_left);
  }
  return over;
}

void moire__beats_end(moire__beats *b, const char *failure) {
  bool *said = moire__allocate_array((size_t)b->transport->size, sizeof *said), over = false;
  double begin = now(), most = failure ? 0.5 : 1e9;
  while (!over && now() - begin < most) {
    pthread_mutex_lock(b->lock);
    if (failure)
      b->ending = true;
    else
      b->leaving = true;
    over = is_over(b, said, failure ? FAILED : LEAVING, failure ? failure : "");
    pthread_mutex_unlock(b->lock);
    if (!over) pause_for(0.002);
  }
  pthread_mutex_lock(b->lock);
  b->ended = true;
  pthread_mutex_unlock(b->lock);
  pthread_join(b->thread, NULL);
  moire__release(said);
  moire__release(b->peers);
  moire__release(b);
}
