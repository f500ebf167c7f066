/* Many threads ask one library at once, each with a workspace of its own, some through `run` with threads of
 * their own; all must get what one thread gets alone. A plain program, for ThreadSanitizer; the library is
 * built with it too.
 *
 *   threads_main [SECONDS]    1 second if not told; afterwards the process must not have grown */
#include "runtime/base/memory.h"
#include "tests/support/aot/aot.h"
#include "tests/support/files.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, ITEMS = 61, LENGTH = 9, BATCH = 40, TOP = 5 };
static const char config[] =
    "{\"item_size\": 61, \"hidden_size\": 16, \"num_hidden_layers\": 2, \"num_attention_heads\": 2, "
    "\"inner_size\": 16, "
    "\"max_seq_length\": 9, \"n_bands\": 1, \"band_kernel_sizes\": [3], \"band_dilations\": [1]}";

typedef struct shared {
  aot_library library;
  library_lists histories;
  int32_t want[BATCH * TOP];
  float scores[BATCH * ITEMS];
  double seconds;
  _Atomic long calls, wrong;
} shared;

typedef struct client {
  shared *s;
  int number;
  pthread_t thread;
} client;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- A pool as a caller would write it -------------------------------------------------------------- */

typedef struct task {
  void (*work)(void *job, int i);
  void *job;
  int i;
} task;

static void *run_task(void *argument) {
  task *t = argument;
  t->work(t->job, t->i);
  return NULL;
}

static void run_in_threads(void *context, int n, void (*work)(void *job, int i), void *job) {
  (void)context;
  pthread_t threads[16];
  task tasks[16];
  for (int i = 1; i < n; i++) {
    tasks[i] = (task){work, job, i};
    if (pthread_create(&threads[i], NULL, run_task, &tasks[i])) abort();
  }
  work(job, 0);
  for (int i = 1; i < n; i++) pthread_join(threads[i], NULL);
}

/* ---- Clients ---------------------------------------------------------------------------------------- */

static void ask(client *c, library_workspace *workspace, int64_t first, int64_t n) {
  shared *s = c->s;
  library_lists some = {s->histories.offsets + first, s->histories.items};
  int32_t best[BATCH * TOP];
  float scores[BATCH * ITEMS];
  bool right = !s->library.top(NULL, workspace, n, &some, NULL, LIBRARY_SEEN_EXCLUDE, TOP, best, NULL) &&
               !memcmp(best, s->want + first * TOP, (size_t)n * TOP * sizeof *best);
  right = right && !s->library.scores(NULL, workspace, n, &some, scores) &&
          !memcmp(scores, s->scores + first * ITEMS, (size_t)n * ITEMS * sizeof *scores);
  atomic_fetch_add(&s->calls, 2);
  atomic_fetch_add(&s->wrong, !right);
}

static void *serve(void *argument) {
  client *c = argument;
  library_workspace workspace = {0};
  if (c->number % 4 == 0) {
    workspace.threads = 3;
    workspace.run = run_in_threads;
  }
  double end = now() + c->s->seconds;
  for (int round = c->number; now() < end; round++) {
    int64_t n = 1 + round * 7 % (BATCH - 1), first = round * 3 % (BATCH - n + 1);
    ask(c, &workspace, first, n);
    if (round % 50 == 0) c->s->library.workspace_free(&workspace);
  }
  c->s->library.workspace_free(&workspace);
  return NULL;
}

static void serve_all(shared *s, double seconds) {
  client clients[THREADS];
  s->seconds = seconds;
  for (int i = 0; i < THREADS; i++) {
    clients[i] = (client){.s = s, .number = i};
    if (pthread_create(&clients[i].thread, NULL, serve, &clients[i])) abort();
  }
  for (int i = 0; i < THREADS; i++) pthread_join(clients[i].thread, NULL);
}

/* Bytes of this process in memory. */
static long resident(void) {
  long pages = 0, total = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%ld %ld", &total, &pages) != 2) pages = 0;
  if (file) fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv) {
  double seconds = argc > 1 ? atof(argv[1]) : 1;
  const char *sanitize = getenv("MOIRE_SANITIZE");
  bool grows_by_itself = sanitize && *sanitize;
  static shared s;
  aot_model model = {0};
  test_path directory;
  test_make_directory(directory);
  aot_model_make(&model, "qia", config, 7);
  s.library = aot_make(&model, &(aot_wish){.name = "lib", .cpu = "host"}, directory);
  aot_model_free(&model);
  s.histories = aot_histories(BATCH, LENGTH, ITEMS, 5);
  library_workspace workspace = {0};
  if (s.library.top(NULL, &workspace, BATCH, &s.histories, NULL, LIBRARY_SEEN_EXCLUDE, TOP, s.want, NULL))
    abort();
  if (s.library.scores(NULL, &workspace, BATCH, &s.histories, s.scores)) abort();
  s.library.workspace_free(&workspace);
  serve_all(&s, seconds / 4);
  long before = resident();
  serve_all(&s, seconds * 3 / 4);
  long grown = resident() - before;
  printf("%ld calls by %d threads, %ld wrong; grown by %ld KiB\n", s.calls, THREADS, s.wrong, grown / 1024);
  bool good = s.calls > 50 && !s.wrong && (grows_by_itself || grown < 4 << 20);
  aot_histories_free(&s.histories);
  aot_unload(&s.library);
  test_remove_directory(directory);
  return !good;
}
