/* The thread pool: a job is a range of indices, handed out in chunks by one atomic counter.
 *
 * One word, `state`, holds the number of the current job, whether it is open, and how many workers are in it.
 * A worker joins only while the job is open, and the caller waits only for those that joined, so a worker that
 * the operating system wakes late costs nothing. Waiting is a short spin, since the next step of a plan usually
 * follows within microseconds, and then sleep.
 *
 * A child of fork has the pool but none of its workers: there the caller does all the work, and the lock, which
 * a worker may have held at that moment, is not touched.
 *
 * Ensures: when moire_threads_run returns, every index has been worked on and no worker touches the job. */
#include "moire/run.h"

#include "runtime/base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* state = job << 16 | open << 15 | workers inside */
#define JOB ((uint64_t)1 << 16)
#define OPEN ((uint64_t)1 << 15)
#define INSIDE (OPEN - 1)

enum { SPINS = 2000, CHUNKS_A_THREAD = 8, MOST_THREADS = 1024 };
static const size_t stack_bytes = (size_t)16 << 20; /* kernels keep up to 1 MiB of locals */

struct moire_threads {
  int n;
  pid_t owner;        /* the process that has the workers */
  pthread_t *workers; /* [n - 1] */
  _Atomic uint64_t state;
  _Atomic int64_t next; /* first index not handed out */
  atomic_int sleeping;  /* workers that wait for a signal */
  atomic_bool caller_sleeps, stop;
  pthread_mutex_t lock;
  pthread_cond_t opened, left;

  /* The job: written while it is closed and nobody is inside. */
  int64_t count, chunk;
  void (*work)(void *context, int64_t begin, int64_t end);
  void *context;
};

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

static void work_on(moire_threads *threads) {
  for (;;) {
    int64_t begin = atomic_fetch_add(&threads->next, threads->chunk);
    if (begin >= threads->count) return;
    int64_t end = threads->count - begin > threads->chunk ? begin + threads->chunk : threads->count;
    threads->work(threads->context, begin, end);
  }
}

/* Joins a job that is open and newer than `seen`; returns its number, or `seen` if there is none. */
static uint64_t join(moire_threads *threads, uint64_t seen) {
  uint64_t state = atomic_load(&threads->state);
  while ((state & OPEN) && state / JOB != seen) {
    if (atomic_compare_exchange_weak(&threads->state, &state, state + 1)) return state / JOB;
  }
  return seen;
}

static void leave(moire_threads *threads) {
  uint64_t before = atomic_fetch_sub(&threads->state, 1);
  if ((before & (OPEN | INSIDE)) != 1 || !atomic_load(&threads->caller_sleeps)) return;
  pthread_mutex_lock(&threads->lock);
  pthread_cond_signal(&threads->left);
  pthread_mutex_unlock(&threads->lock);
}

static bool is_new(moire_threads *threads, uint64_t seen) {
  uint64_t state = atomic_load(&threads->state);
  return ((state & OPEN) && state / JOB != seen) || atomic_load(&threads->stop);
}

/* `sleeping` is raised before the state is read again, and the caller changes the state before it reads
 * `sleeping`: one of the two sees the other. */
static void wait_for_job(moire_threads *threads, uint64_t seen) {
  for (int i = 0; i < SPINS; i++) {
    if (is_new(threads, seen)) return;
    pause_briefly();
  }
  pthread_mutex_lock(&threads->lock);
  atomic_fetch_add(&threads->sleeping, 1);
  while (!is_new(threads, seen)) pthread_cond_wait(&threads->opened, &threads->lock);
  atomic_fetch_sub(&threads->sleeping, 1);
  pthread_mutex_unlock(&threads->lock);
}

static void *worker(void *argument) {
  moire_threads *threads = argument;
  uint64_t seen = 0;
  while (!atomic_load(&threads->stop)) {
    uint64_t job = join(threads, seen);
    if (job == seen) {
      wait_for_job(threads, seen);
      continue;
    }
    seen = job;
    work_on(threads);
    leave(threads);
  }
  return NULL;
}

static void wait_for_workers(moire_threads *threads) {
  for (int i = 0; i < SPINS; i++) {
    if (!(atomic_load(&threads->state) & INSIDE)) return;
    pause_briefly();
  }
  pthread_mutex_lock(&threads->lock);
  atomic_store(&threads->caller_sleeps, true);
  while (atomic_load(&threads->state) & INSIDE) pthread_cond_wait(&threads->left, &threads->lock);
  atomic_store(&threads->caller_sleeps, false);
  pthread_mutex_unlock(&threads->lock);
}

static bool has_workers(const moire_threads *threads) { return threads->owner == getpid(); }

static void wake_workers(moire_threads *threads) {
  if (!atomic_load(&threads->sleeping) || !has_workers(threads)) return;
  pthread_mutex_lock(&threads->lock);
  pthread_cond_broadcast(&threads->opened);
  pthread_mutex_unlock(&threads->lock);
}

void moire_threads_run(moire_threads *threads, int64_t n,
                       void (*work)(void *context, int64_t begin, int64_t end), void *context) {
  if (n <= 0) return;
  if (threads->n == 1 || n == 1) {
    work(context, 0, n);
    return;
  }
  int64_t chunk = n / ((int64_t)threads->n * CHUNKS_A_THREAD);
  threads->chunk = chunk ? chunk : 1;
  threads->count = n;
  threads->work = work;
  threads->context = context;
  atomic_store(&threads->next, 0);
  atomic_store(&threads->state, (atomic_load(&threads->state) / JOB + 1) * JOB | OPEN);
  wake_workers(threads);
  work_on(threads);
  atomic_fetch_and(&threads->state, ~OPEN);
  wait_for_workers(threads);
}

int moire_threads_count(const moire_threads *threads) { return threads->n; }

static void stop_workers(moire_threads *threads, int started) {
  atomic_store(&threads->stop, true);
  wake_workers(threads);
  for (int i = 0; i < started; i++) pthread_join(threads->workers[i], NULL);
}

void moire_threads_destroy(moire_threads *threads) {
  if (!threads) return;
  if (has_workers(threads)) {
    stop_workers(threads, threads->n - 1);
    pthread_cond_destroy(&threads->left);
    pthread_cond_destroy(&threads->opened);
    pthread_mutex_destroy(&threads->lock);
  }
  moire__release(threads->workers);
  moire__release(threads);
}

moire_threads *moire_threads_create(int n, moire_error *error) {
  if (n < 1 || n > MOST_THREADS) {
    moire_fail(error, MOIRE_ERROR_ARGUMENT, "threads: wanted from 1 to %d, but %d came", MOST_THREADS, n);
    return NULL;
  }
  moire_threads *threads = moire__allocate(sizeof *threads);
  threads->workers = moire__allocate_array((size_t)n, sizeof *threads->workers);
  threads->n = 1;
  threads->owner = getpid();
  pthread_mutex_init(&threads->lock, NULL);
  pthread_cond_init(&threads->opened, NULL);
  pthread_cond_init(&threads->left, NULL);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  int failure = pthread_attr_setstacksize(&attributes, stack_bytes);
  while (!failure && threads->n < n) {
    failure = pthread_create(&threads->workers[threads->n - 1], &attributes, worker, threads);
    if (!failure) threads->n++;
  }
  pthread_attr_destroy(&attributes);
  if (failure) {
    moire_fail(error, MOIRE_ERROR_MEMORY, "threads: number %d of %d could not be started: %s", threads->n + 1,
               n, strerror(failure));
    moire_threads_destroy(threads);
    return NULL;
  }
  return threads;
}
