/* Peaks, measured.
 *
 * A window is one call of a loop, long enough for the clock and short enough to fall between two interruptions.
 * With several threads, each has memory of its own, which it touches first; they enter a window together, and
 * it lasts from the first that begins to the last that ends. Of many windows the best counts: nothing makes a
 * loop run faster than the machine can.
 */
#include "runtime/machine/peaks.h"
#include "runtime/machine/peaks_loops.h"

#include "runtime/base/memory.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { QUIET_WINDOWS = 24, CALIBRATIONS = 3 };
static const double window_seconds = 3e-4, most_seconds = 3;

static double clock_seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double seconds(void) { return clock_seconds(CLOCK_MONOTONIC); }
static double own_seconds(void) { return clock_seconds(CLOCK_THREAD_CPUTIME_ID); }

/* ---- windows -----------------------------------------------------------------------------------------------
 */

/* One loop for one or more threads. */
typedef struct windows {
  const moire__peak_unit *unit; /* or, if NULL, */
  moire__peak_reader *reader;
  size_t bytes;   /* that each thread reads in a round */
  int64_t rounds; /* of one window; found by the first thread */
  int n_threads;
  atomic_int started, arrived; /* started: -1 while threads are made, then how many there are */
  atomic_bool failed, done;
  struct span {
    double begun, ended, own;
  } *spans;    /* [n_threads] of the last window; own: processor time */
  double best; /* rounds a second of all threads together; the first thread's */
  int quiet;
} windows;

typedef struct member {
  windows *w;
  int number;
  pthread_t thread;
} member;

static void run_rounds(const windows *w, const void *memory, int64_t rounds) {
  if (w->unit)
    w->unit->run(rounds);
  else
    w->reader(memory, w->bytes, rounds);
}

/* Rounds that fill a window, from the quickest of a few tries. */
static int64_t find_rounds(const windows *w, const void *memory) {
  for (int64_t rounds = 1;; rounds *= 2) {
    double best = 1e9;
    for (int i = 0; i < CALIBRATIONS; i++) {
      double begin = seconds();
      run_rounds(w, memory, rounds);
      double took = seconds() - begin;
      if (took < best) best = took;
    }
    if (best >= window_seconds) return rounds;
    if (best >= window_seconds / 64) return (int64_t)((double)rounds * window_seconds / best) + 1;
  }
}

/* Waits until all threads have come `turn` times. Whoever yields at once on a busy machine sleeps through the
 * others' window, so yielding comes late. */
static void meet(windows *w, int turn) {
  const double patience = 3e-3;
  atomic_fetch_add(&w->arrived, 1);
  int n = atomic_load(&w->started);
  double since = seconds();
  while (atomic_load(&w->arrived) < turn * n) {
    if (seconds() - since > patience) sched_yield();
  }
}

/* Whether it was a quiet one, and what its rate was. */
static void judge_window(windows *w) {
  double first = w->spans[0].begun, last = w->spans[0].ended;
  bool quiet = true;
  for (int t = 0; t < w->n_threads; t++) {
    const struct span *s = &w->spans[t];
    if (s->begun < first) first = s->begun;
    if (s->ended > last) last = s->ended;
    quiet = quiet && s->own > 0.95 * (s->ended - s->begun);
  }
  double rate = (double)w->rounds * w->n_threads / (last - first);
  if (rate > w->best) w->best = rate;
  for (int t = 0; t < w->n_threads; t++) quiet = quiet && w->spans[t].begun - first < 0.05 * (last - first);
  w->quiet += quiet;
}

static void *take_part(void *argument) {
  member *m = argument;
  windows *w = m->w;
  while (atomic_load(&w->started) < 0) sched_yield();
  void *memory = w->bytes ? moire__allocate_aligned(w->bytes, (size_t)2 << 20) : NULL;
  if (memory) {
    madvise(memory, w->bytes, MADV_HUGEPAGE); /* no harm where it is refused */
    memset(memory, 1, w->bytes);
  }
  if (w->unit && w->unit->begin && !w->unit->begin()) atomic_store(&w->failed, true);
  meet(w, 1);
  if (m->number == 0 && !atomic_load(&w->failed)) w->rounds = find_rounds(w, memory);
  double since = seconds();
  for (int turn = 2; !atomic_load(&w->failed); turn += 2) {
    meet(w, turn);
    if (atomic_load(&w->done)) break;
    struct span *span = &w->spans[m->number];
    double own = own_seconds();
    span->begun = seconds();
    run_rounds(w, memory, w->rounds);
    span->ended = seconds();
    span->own = own_seconds() - own;
    meet(w, turn + 1);
    if (m->number == 0) {
      judge_window(w);
      if (w->quiet >= QUIET_WINDOWS || seconds() - since > most_seconds) atomic_store(&w->done, true);
    }
  }
  if (w->unit && w->unit->end) w->unit->end();
  moire__release_aligned(memory);
  return NULL;
}

/* The rate of a unit that is there but may not be used is 0. */
static moire_status run_windows(windows *w, double *rate, bool *busy, moire_error *error) {
  moire__arena arena = {0};
  size_t n = (size_t)w->n_threads;
  w->spans = moire__arena_array(&arena, n, sizeof *w->spans);
  atomic_store(&w->started, -1);
  member *members = moire__arena_array(&arena, n, sizeof *members);
  for (size_t t = 0; t < n; t++) members[t] = (member){.w = w, .number = (int)t};
  int made = 1;
  while (made < w->n_threads && pthread_create(&members[made].thread, NULL, take_part, &members[made]) == 0)
    made++;
  bool all = made == w->n_threads;
  if (!all) atomic_store(&w->failed, true);
  atomic_store(&w->started, made);
  take_part(&members[0]);
  for (int t = 1; t < made; t++) pthread_join(members[t].thread, NULL);
  moire__arena_free(&arena);
  *rate = w->best;
  *busy = *busy || (w->best > 0 && w->quiet < QUIET_WINDOWS);
  if (all) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_IO, "peaks: thread %d of %d could not be started", made + 1,
                    w->n_threads);
}

static moire_status measure_unit(const moire__peak_unit *unit, int threads, moire__peak *peak, bool *busy,
                                 moire_error *error) {
  double rate = 0;
  windows one = {.unit = unit, .n_threads = 1}, all = {.unit = unit, .n_threads = threads};
  moire_status status = run_windows(&one, &rate, busy, error);
  peak->one = peak->all = rate * (double)unit->operations;
  if (status || threads == 1) return status;
  status = run_windows(&all, &rate, busy, error);
  peak->all = rate * (double)unit->operations;
  return status;
}

/* The bytes are those of one thread alone, and of each of all. */
static moire_status measure_reading(moire__peak_reader *reader, int64_t alone, int64_t each, int threads,
                                    moire__peak *peak, bool *busy, moire_error *error) {
  double rate = 0;
  windows one = {.reader = reader, .bytes = (size_t)alone / 1024 * 1024, .n_threads = 1};
  windows all = {.reader = reader, .bytes = (size_t)each / 1024 * 1024, .n_threads = threads};
  moire_status status = run_windows(&one, &rate, busy, error);
  peak->one = peak->all = rate * (double)one.bytes;
  if (status || threads == 1) return status;
  status = run_windows(&all, &rate, busy, error);
  peak->all = rate * (double)all.bytes;
  return status;
}

/* ---- the machine -------------------------------------------------------------------------------------------
 */

/* The value of "key : value" in /proc/cpuinfo, into out; false if there is none. */
static bool cpu_word(const char *key, char *out, size_t size) {
  FILE *file = fopen("/proc/cpuinfo", "re");
  if (!file) return false;
  char line[512];
  bool found = false;
  size_t n = strlen(key);
  while (!found && fgets(line, sizeof line, file)) {
    const char *colon = strchr(line, ':');
    if (strncmp(line, key, n) != 0 || !colon || (line[n] != '\t' && line[n] != ' ')) continue;
    found = true;
    colon += strspn(colon, ": \t");
    snprintf(out, size, "%.*s", (int)strcspn(colon, "\n"), colon);
  }
  fclose(file);
  return found;
}

void moire__peaks_cpu(char *name, size_t size) {
  char model[100] = "unknown processor", family[20] = "?", number[20] = "?", stepping[20] = "?";
  if (cpu_word("model name", model, sizeof model)) {
    cpu_word("cpu family", family, sizeof family);
    cpu_word("model", number, sizeof number);
    cpu_word("stepping", stepping, sizeof stepping);
  } else if (cpu_word("CPU implementer", family, sizeof family)) {
    cpu_word("CPU part", number, sizeof number);
    cpu_word("CPU revision", stepping, sizeof stepping);
    snprintf(model, sizeof model, "aarch64");
  }
  snprintf(name, size, "%s (family %s, model %s, stepping %s)", model, family, number, stepping);
}

static bool read_word(const char *folder, const char *file, char *out, size_t size) {
  char path[160];
  snprintf(path, sizeof path, "%s/%s", folder, file);
  FILE *from = fopen(path, "re");
  bool read = from && fgets(out, (int)size, from);
  if (from) fclose(from);
  return read;
}

/* How many numbers a list such as "0-3,8" holds. */
static int count_list(const char *list) {
  int count = 0, low = 0, high = 0, used = 0;
  while (sscanf(list, "%d%n", &low, &used) == 1) {
    list += used;
    high = low;
    if (*list == '-' && sscanf(list + 1, "%d%n", &high, &used) == 1) list += 1 + used;
    count += high - low + 1;
    if (*list++ != ',') break;
  }
  return count > 0 ? count : 1;
}

/* The caches of the first processor that hold data, nearest first, without their rates. */
static int find_caches(moire__peak_level *levels, int most, int threads) {
  int n = 0;
  for (int level = 1; level <= most; level++) {
    for (int i = 0; i < 8; i++) {
      char folder[64], word[256];
      int which = 0;
      long long kib = 0;
      snprintf(folder, sizeof folder, "/sys/devices/system/cpu/cpu0/cache/index%d", i);
      if (!read_word(folder, "level", word, sizeof word) || sscanf(word, "%d", &which) != 1) continue;
      if (which != level || !read_word(folder, "type", word, sizeof word) || word[0] == 'I') continue;
      if (!read_word(folder, "size", word, sizeof word) || sscanf(word, "%lldK", &kib) != 1) continue;
      moire__peak_level *l = &levels[n++];
      *l = (moire__peak_level){.name = {'L', (char)('0' + level)}, .bytes = kib * 1024, .sharers = 1};
      if (read_word(folder, "shared_cpu_list", word, sizeof word)) l->sharers = count_list(word);
      if (l->sharers > threads) l->sharers = threads;
      break;
    }
  }
  return n;
}

/* ---- everything --------------------------------------------------------------------------------------------
 */

/* A thread reads half of its share of a cache, and no less than twice its share of the cache before. Memory is
 * four times what all caches of the last level hold. */
static moire_status measure_levels(moire__peaks *p, moire__peak_reader *reader, moire_error *error) {
  p->n_levels = find_caches(p->levels, MOIRE__MOST_LEVELS - 1, p->threads);
  int64_t nearer = 0, last = (int64_t)8 << 20;
  moire_status status = MOIRE_OK;
  for (int i = 0; i < p->n_levels && !status; i++) {
    moire__peak_level *l = &p->levels[i];
    int64_t alone = l->bytes / 2, each = l->bytes / l->sharers / 2;
    if (each < 2 * nearer) each = 2 * nearer;
    status = measure_reading(reader, alone, each, p->threads, &l->read, &p->busy, error);
    nearer = l->bytes / l->sharers;
    last = l->bytes * ((p->threads + l->sharers - 1) / l->sharers);
  }
  if (status) return status;
  moire__peak_level *memory = &p->levels[p->n_levels++];
  *memory = (moire__peak_level){.name = "memory"};
  int64_t all = 4 * last > (int64_t)128 << 20 ? 4 * last : (int64_t)128 << 20;
  return measure_reading(reader, all, all / p->threads, p->threads, &memory->read, &p->busy, error);
}

moire_status moire__peaks_measure(int threads, moire__peaks *peaks, moire_error *error) {
  *peaks = (moire__peaks){.threads = threads};
  if (threads < 1 || threads > 1024)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "peaks: wanted 1 to 1024 threads, but %d came", threads);
  moire__peaks_cpu(peaks->cpu, sizeof peaks->cpu);
  const moire__peak_unit *fma = moire__peak_fma_unit(), *matrix = moire__peak_matrix_unit();
  moire__peak_reader *reader = moire__peak_read();
  if (!fma || !reader)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "peaks: can be measured on x86-64 and aarch64 alone");
  snprintf(peaks->fma_unit, sizeof peaks->fma_unit, "%s", fma->name);
  moire_status status = measure_unit(fma, threads, &peaks->fma, &peaks->busy, error);
  if (matrix && !status) {
    snprintf(peaks->matrix_unit, sizeof peaks->matrix_unit, "%s", matrix->name);
    status = measure_unit(matrix, threads, &peaks->matrix, &peaks->busy, error);
  }
  return status ? status : measure_levels(peaks, reader, error);
}
