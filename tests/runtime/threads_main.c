/* A race test of the thread pool, for ThreadSanitizer: jobs with plain, unsynchronised memory in quick
 * succession, with pauses long enough for the workers to fall asleep in between. */
#include "moire/run.h"

#include <stdio.h>
#include <time.h>

enum { CELLS = 257, JOBS = 3000 };

typedef struct job {
  int64_t n, factor;
  int64_t cells[CELLS];
} job;

static void add(void *context, int64_t begin, int64_t end) {
  job *j = context;
  for (int64_t i = begin; i < end; i++) j->cells[i] += i * j->factor;
}

int main(void) {
  for (int n = 1; n <= 4; n++) {
    moire_threads *threads = moire_threads_create(n, NULL);
    if (!threads) return 1;
    static job j;
    int64_t factors[CELLS] = {0};
    for (int i = 0; i < CELLS; i++) j.cells[i] = 0;
    for (int64_t k = 0; k < JOBS; k++) {
      j.n = k * 37 % (CELLS + 1);
      j.factor = k;
      moire_threads_run(threads, j.n, add, &j);
      for (int64_t i = 0; i < j.n; i++) factors[i] += k;
      if (k % 100 == 0) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    for (int64_t i = 0; i < CELLS; i++) {
      if (j.cells[i] == i * factors[i]) continue;
      printf("%d threads: cell %lld holds %lld\n", n, (long long)i, (long long)j.cells[i]);
      return 1;
    }
    moire_threads_destroy(threads);
  }
  return 0;
}
