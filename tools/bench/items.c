/* The best 20 of many items by a search of eight bits with a re-check, beside the scan in float32 and reading
 * the eight bits once; one thread. Every list is compared with the scan's, bit by bit.
 *
 *   items [ROWS [WIDTH [QUERIES]]]      (1000000, 64, 10000)
 *
 * Rows and queries: random, normal; clustered, as trained embeddings are (200 centres, norms that differ); and
 * near ties (one direction, and the last digits). Times are of the processor, the least of some rounds, of a
 * query: alone, and in batches of
 * 16. With MOIRE_PYTHON set to a Python that has NumPy, and perhaps faiss, these find the same number of lists
 * in their own fastest way (items_peers.py).
 */
#include "moire/items.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/base/text.h"
#include "runtime/items/items.h"
#include "tools/bench/support/bench.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TOP = 20, ROUNDS = 15, BATCH = 16, CENTRES = 200 };

typedef enum kind { RANDOM, CLUSTERED, TIES, KINDS } kind;
static const char *const kinds[KINDS] = {"random", "clustered", "near ties"};

static double normal(moire__random *r) {
  double u = 1 - moire__random_real(r), v = moire__random_real(r);
  return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static float *draw(kind k, int64_t n, int64_t width, uint64_t seed) {
  float *rows = moire__allocate_array((size_t)(n * width), sizeof *rows);
  double *centres = moire__allocate_array((size_t)(CENTRES * width), sizeof *centres);
  moire__random c = moire__random_start(77, 0), r = moire__random_start(seed, 0);
  for (int64_t i = 0; i < CENTRES * width; i++) centres[i] = normal(&c);
  for (int64_t i = 0; i < n; i++) {
    int64_t centre = (int64_t)(moire__random_real(&r) * CENTRES);
    double size = exp(0.5 * normal(&r));
    for (int64_t j = 0; j < width; j++) {
      double x = normal(&r);
      if (k == CLUSTERED) x = size * (centres[centre * width + j] + 0.5 * x);
      if (k == TIES) x = (j % 3 ? 0.5 : -1) + 1e-6 * x;
      rows[i * width + j] = (float)x;
    }
  }
  moire__release(centres);
  return rows;
}

typedef moire_status find(const moire_items *items, const float *queries, int64_t n,
                          const moire_items_filter *filters, int k, int64_t *rows, float *scores,
                          moire_threads *threads, moire_error *error);

/* Seconds of a query, the least of some rounds of `batch` queries. */
static double time_of(find *f, const moire_items *t, const float *queries, int64_t batch, int rounds) {
  int64_t *rows = moire__allocate_array((size_t)(batch * TOP), sizeof *rows);
  float *scores = moire__allocate_array((size_t)(batch * TOP), sizeof *scores);
  double least = INFINITY;
  moire_error error = {0};
  for (int r = 0; r < rounds; r++) {
    double begun = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    const float *x = queries + r * batch * t->table.head.width;
    bench_require(f(t, x, batch, NULL, TOP, rows, scores, NULL, &error), &error);
    least = fmin(least, (bench_clock(CLOCK_PROCESS_CPUTIME_ID) - begun) / (double)batch);
  }
  moire__release(rows);
  moire__release(scores);
  return least;
}

/* Reading the eight bits once. */
static double time_of_reading(const moire_items *t) {
  double least = INFINITY;
  for (int r = 0; r < ROUNDS; r++) {
    double begun = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
    const uint64_t *words = (const uint64_t *)(const void *)t->table.codes;
    uint64_t sums[32] = {0};
    for (uint64_t i = 0; i + 32 <= t->table.head.bytes[MOIRE__ITEMS_CODES] / 8; i += 32)
      for (int l = 0; l < 32; l++) sums[l] ^= words[i + (uint64_t)l];
    double seconds = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - begun;
    for (int l = 1; l < 32; l++) sums[0] ^= sums[l];
    __asm__ volatile("" : : "r"(sums[0]) : "memory");
    least = fmin(least, seconds);
  }
  return least;
}

/* How many of the lists differ in a bit. */
static int64_t count_others(const moire_items *t, const float *queries, int64_t n) {
  size_t places = (size_t)n * TOP;
  int64_t *rows = moire__allocate_array(2 * places, sizeof *rows), others = 0;
  float *scores = moire__allocate_array(2 * places, sizeof *scores);
  moire_error error = {0};
  bench_require(moire_items_search(t, queries, n, NULL, TOP, rows, scores, NULL, &error), &error);
  bench_require(moire_items_scan(t, queries, n, NULL, TOP, rows + places, scores + places, NULL, &error),
                &error);
  for (int64_t q = 0; q < n; q++) {
    size_t at = (size_t)q * TOP;
    others += memcmp(rows + at, rows + places + at, TOP * sizeof *rows) != 0 ||
              memcmp(scores + at, scores + places + at, TOP * sizeof *scores) != 0;
  }
  moire__release(rows);
  moire__release(scores);
  return others;
}

static void ask_peers(int64_t n, int64_t width) {
  const char *python = getenv("MOIRE_PYTHON");
  if (!python) return;
  moire__text command = {0};
  moire__text_add(&command,
                  "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 %s tools/bench/items_peers.py %" PRId64 " %" PRId64,
                  python, n, width);
  fflush(stdout);
  if (system(command.data)) printf("the peers failed\n");
  moire__text_free(&command);
}

int main(int argc, char **argv) {
  int64_t n = argc > 1 ? atoll(argv[1]) : 1000000, width = argc > 2 ? atoll(argv[2]) : 64,
          checked = argc > 3 ? atoll(argv[3]) : 10000;
  char path[64];
  snprintf(path, sizeof path, "bench.%ld.items", (long)getpid());
  bench_pin(1);
  printf("%" PRId64 " items x %" PRId64 ", the best %d, one thread; milliseconds of the processor a query\n", n,
         width, TOP);
  printf("%-12s %9s %9s %9s %9s %9s %9s %9s  %s\n", "", "reading", "search", "ratio", "scan", "faster", "of 16",
         "ratio", "lists that differ");
  for (kind k = RANDOM; k < KINDS; k++) {
    float *rows = draw(k, n, width, 1), *queries = draw(k, checked > 1024 ? checked : 1024, width, 2);
    moire_error error = {0};
    moire_items_contents contents = {.rows = rows, .n = n, .width = width};
    bench_require(moire_items_write(path, &contents, &error), &error);
    moire__release(rows);
    moire_items *t = moire_items_open(path, &error);
    if (!t) bench_stop(&error);
    time_of(moire_items_scan, t, queries, 1, 1); /* the pages are there */
    double reading = time_of_reading(t), search = time_of(moire_items_search, t, queries, 1, 4 * ROUNDS),
           full = time_of(moire_items_scan, t, queries, 1, ROUNDS),
           batch = time_of(moire_items_search, t, queries, BATCH, ROUNDS);
    printf("%-12s %9.3f %9.3f %9.2f %9.3f %9.2f %9.3f %9.3f  ", kinds[k], reading * 1e3, search * 1e3,
           search / reading, full * 1e3, full / search, batch * 1e3, batch / search);
    fflush(stdout);
    printf("%" PRId64 " of %" PRId64 "\n", count_others(t, queries, checked), checked);
    moire_items_close(t);
    moire__release(queries);
    unlink(path);
  }
  ask_peers(n, width);
  return 0;
}
