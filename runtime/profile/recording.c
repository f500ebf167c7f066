/* Recording. A thread finds its slot by its identity, claims one the first time, and notes there when it began
 * to work on the current step and when its latest chunk ended; since chunks of a thread follow each other, the
 * end of one is the begin of the next. The caller of the run collects the slots after each step, when no worker
 * is inside any more: so slots need no lock. */
#include "runtime/profile/recording.h"

#include "runtime/base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

/* Of one thread; a cache line apart from the next. */
typedef struct slot {
  _Alignas(128) atomic_bool claimed; /* `who` is there */
  pthread_t who;
  int64_t job; /* in which it last worked */
  int64_t begin, end;
} slot;

struct moire__recording {
  moire__arena arena;
  int n_steps, n_threads, capacity, n_runs;
  int64_t start;             /* of the clock */
  moire__recorded_run *runs; /* [capacity] */
  int64_t *busy;             /* [n_steps, n_threads] */
  slot *slots;               /* [n_threads] */
  atomic_int n_slots;
  int64_t job; /* counts the steps of all runs */
  void (*work)(void *context, int64_t begin, int64_t end);
  void *context;
};

static int64_t clock_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t moire__recording_now(const moire__recording *r) { return clock_now() - r->start; }

moire__recording *moire__recording_create(int n_steps, int n_threads, int runs, int sampled) {
  moire__recording *r = moire__allocate(sizeof *r);
  r->n_steps = n_steps;
  r->n_threads = n_threads;
  r->capacity = runs;
  r->start = clock_now();
  size_t cells = (size_t)n_steps * (size_t)n_threads;
  r->runs = moire__arena_array(&r->arena, (size_t)runs + 1, sizeof *r->runs);
  r->busy = moire__arena_array(&r->arena, cells + 1, sizeof *r->busy);
  r->slots = moire__allocate_aligned((size_t)n_threads * sizeof *r->slots, _Alignof(slot));
  for (int i = 0; i < runs; i++) {
    r->runs[i].steps = moire__arena_array(&r->arena, (size_t)n_steps + 1, sizeof *r->runs[i].steps);
    if (i < sampled) r->runs[i].spans = moire__arena_array(&r->arena, cells + 1, sizeof *r->runs[i].spans);
  }
  return r;
}

void moire__recording_destroy(moire__recording *r) {
  if (!r) return;
  moire__release_aligned(r->slots);
  moire__arena_free(&r->arena);
  moire__release(r);
}

int moire__recording_count(const moire__recording *r) { return r->n_runs; }
int moire__recording_threads(const moire__recording *r) { return r->n_threads; }
const moire__recorded_run *moire__recording_at(const moire__recording *r, int run) { return &r->runs[run]; }

int64_t moire__recording_busy(const moire__recording *r, int step, int thread) {
  return r->busy[step * r->n_threads + thread];
}

/* ---- While it runs ----------------------------------------------------------------------------------------
 */

/* NULL if there are more threads than the recording was made for. */
static slot *own_slot(moire__recording *r) {
  pthread_t self = pthread_self();
  int n = atomic_load(&r->n_slots);
  for (int i = 0; i < n && i < r->n_threads; i++) {
    if (atomic_load(&r->slots[i].claimed) && pthread_equal(r->slots[i].who, self)) return &r->slots[i];
  }
  int mine = atomic_fetch_add(&r->n_slots, 1);
  if (mine >= r->n_threads) {
    atomic_fetch_sub(&r->n_slots, 1);
    return NULL;
  }
  r->slots[mine].who = self;
  atomic_store(&r->slots[mine].claimed, true);
  return &r->slots[mine];
}

static void work_recorded(void *context, int64_t begin, int64_t end) {
  moire__recording *r = context;
  slot *s = own_slot(r);
  if (s && s->job != r->job) {
    s->job = r->job;
    s->begin = moire__recording_now(r);
  }
  r->work(r->context, begin, end);
  if (s) s->end = moire__recording_now(r);
}

bool moire__recording_begin(moire__recording *r) {
  if (r->n_runs == r->capacity) return false;
  r->runs[r->n_runs].begin = moire__recording_now(r);
  return true;
}

void moire__recording_prepared(moire__recording *r, const int64_t *extents) {
  moire__recorded_run *run = &r->runs[r->n_runs];
  memcpy(run->extents, extents, sizeof run->extents);
  run->prepared = moire__recording_now(r);
}

void moire__recording_run(moire__recording *r, moire_threads *threads, int step, int64_t pieces,
                          void (*work)(void *context, int64_t begin, int64_t end), void *context) {
  moire__recorded_run *run = &r->runs[r->n_runs];
  r->work = work;
  r->context = context;
  r->job++;
  moire_threads_run(threads, pieces, work_recorded, r);
  run->steps[step] = moire__recording_now(r);
  int n = atomic_load(&r->n_slots);
  for (int i = 0; i < n && i < r->n_threads; i++) {
    const slot *s = &r->slots[i];
    if (s->job != r->job) continue;
    r->busy[step * r->n_threads + i] += s->end - s->begin;
    if (run->spans) run->spans[run->n_spans++] = (moire__span){step, i, s->begin, s->end};
  }
}

void moire__recording_end(moire__recording *r) { r->runs[r->n_runs++].end = moire__recording_now(r); }
