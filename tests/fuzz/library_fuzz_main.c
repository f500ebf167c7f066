/* Fuzzes the border of a compiled library: requests of any kind, states and weights with changes. Whatever
 * comes in, a status comes out, and afterwards the library still gives the answer that it gave at first.
 *
 *   library_fuzz_main [SECONDS [SEED]]       2 seconds, and a seed of the time, which is printed
 *
 * Worth most under AddressSanitizer: the library is built with it, too. */
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "tests/support/aot/aot.h"
#include "tests/support/files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ITEMS = 23, LISTS = 8, MOST_ITEMS = 64 };
static const char config[] =
    "{\"item_size\": 23, \"hidden_size\": 8, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, "
    "\"inner_size\": 8, \"max_seq_length\": 5, \"n_bands\": 1, \"band_kernel_sizes\": [3], \"band_dilations\": "
    "[1]}";

typedef struct fuzzer {
  aot_library training, external;
  moire__random random;
  test_path directory, weights, changed;
  char *state_file, *weights_file;
  size_t state_bytes, weights_bytes;
  library_state *state;
  library_workspace workspace;
  int64_t offsets[LISTS + 1];
  int32_t items[MOST_ITEMS];
  int64_t rounds, refused;
} fuzzer;

static uint64_t below(fuzzer *f, uint64_t bound) { return moire__random_below(&f->random, bound); }

/* A number that is mostly in [low, high], at times just outside, at times anything. */
static int64_t number(fuzzer *f, int64_t low, int64_t high) {
  if (!below(f, 40)) return (int64_t)moire__random_bits(&f->random);
  return low - (below(f, 12) == 0) + (int64_t)below(f, (uint64_t)(high - low) + 1) + (below(f, 12) == 0);
}

static library_lists draw_lists(fuzzer *f) {
  int64_t at = 0;
  for (int i = 0; i <= LISTS; i++) {
    f->offsets[i] = at;
    at += (int64_t)below(f, MOST_ITEMS / LISTS + 1);
    if (!below(f, 60)) f->offsets[i] -= (int64_t)below(f, 9);
  }
  for (int i = 0; i < MOST_ITEMS; i++) f->items[i] = 1 + (int32_t)below(f, ITEMS - 1);
  if (!below(f, 3)) f->items[below(f, MOST_ITEMS)] = (int32_t)number(f, 0, ITEMS);
  return (library_lists){below(f, 50) ? f->offsets : NULL, below(f, 50) ? f->items : NULL};
}

/* A library may read the items that its offsets promise: MOST_ITEMS and no more. */
static int64_t draw_batch(fuzzer *f) {
  int64_t batch = number(f, 1, LISTS);
  return batch > LISTS ? LISTS : batch;
}

static void count(fuzzer *f, library_status status) {
  f->rounds++;
  f->refused += status != LIBRARY_OK;
}

static void ask(fuzzer *f) {
  int32_t best[LISTS * ITEMS];
  float scores[LISTS * ITEMS];
  library_lists histories = draw_lists(f);
  if (below(f, 2)) {
    count(f, f->training.scores(NULL, &f->workspace, draw_batch(f), &histories, scores));
  } else {
    count(f,
          f->training.top(NULL, &f->workspace, draw_batch(f), &histories, NULL, (library_seen)number(f, 0, 2),
                          (int)number(f, 1, ITEMS), best, below(f, 2) ? scores : NULL));
  }
  if (!below(f, 20)) f->training.workspace_free(&f->workspace);
}

static void train(fuzzer *f) {
  int32_t targets[LISTS];
  library_lists histories = draw_lists(f);
  for (int i = 0; i < LISTS; i++) targets[i] = (int32_t)number(f, 1, ITEMS - 1);
  count(f, f->training.step(f->state, &f->workspace, draw_batch(f), &histories, targets,
                            moire__random_bits(&f->random), number(f, 0, INT32_MAX), NULL));
}

static void change(fuzzer *f, char *bytes, size_t n, size_t most) {
  static const char likely[] = "{}[]\",:0123456789\\u -e.";
  for (uint64_t i = below(f, 5); i > 0 && n; i--) {
    size_t at = below(f, below(f, 4) ? most : n) % n;
    bytes[at] = below(f, 2) ? likely[below(f, sizeof likely - 1)] : (char)moire__random_bits(&f->random);
  }
}

static void read_state(fuzzer *f) {
  size_t n = below(f, 3) ? f->state_bytes : below(f, f->state_bytes + 1);
  char *copy = malloc(n + 1); /* not ours: AddressSanitizer knows its end */
  memcpy(copy, f->state_file, n);
  change(f, copy, n, 2600);
  count(f, f->training.state_read(f->state, (library_part)number(f, 0, 1), copy, n));
  free(copy);
}

static void open_weights(fuzzer *f) {
  size_t n = below(f, 3) ? f->weights_bytes : below(f, f->weights_bytes + 1);
  char *copy = malloc(n + 1);
  library_model *model = NULL;
  memcpy(copy, f->weights_file, n);
  change(f, copy, n, 70);
  test_write_file(f->changed, copy, n);
  count(f, f->external.open(f->changed, &model));
  f->external.close(model);
  free(copy);
}

static char *read_file(const char *path, size_t *n) {
  FILE *file = fopen(path, "rb");
  char *bytes = malloc(1 << 20);
  if (!file || !bytes) exit(1);
  *n = fread(bytes, 1, 1 << 20, file);
  fclose(file);
  return bytes;
}

static void start(fuzzer *f) {
  aot_model model = {0};
  test_make_directory(f->directory);
  aot_model_make(&model, "qia", config, 7);
  f->training = aot_make(&model, &(aot_wish){.name = "lib", .cpu = "host", .training = true}, f->directory);
  f->external = aot_make(&model, &(aot_wish){.name = "ext", .cpu = "host", .external = true}, f->directory);
  aot_model_free(&model);
  test_join(f->directory, "changed", f->changed);
  f->weights_file = read_file(test_join(f->directory, "ext.weights", f->weights), &f->weights_bytes);
  if (f->training.state_create(NULL, 0, 1, &f->state)) exit(1);
  f->state_bytes = f->training.state_write_bytes(LIBRARY_EVERYTHING);
  f->state_file = malloc(f->state_bytes);
  if (f->training.state_write(f->state, LIBRARY_EVERYTHING, f->state_file, f->state_bytes)) exit(1);
}

static void stop(fuzzer *f) {
  f->training.workspace_free(&f->workspace);
  f->training.state_free(f->state);
  free(f->state_file);
  free(f->weights_file);
  aot_unload(&f->training);
  aot_unload(&f->external);
  test_remove_directory(f->directory);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
  double seconds = argc > 1 ? atof(argv[1]) : 2;
  uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
  static fuzzer f;
  int64_t offsets[2] = {0, 3};
  int32_t items[3] = {5, 6, 7};
  library_lists history = {offsets, items};
  float first[ITEMS], again[ITEMS];
  printf("seed %" PRIu64 "\n", seed);
  fflush(stdout);
  f.random = moire__random_start(seed, 0);
  start(&f);
  if (f.training.scores(NULL, &f.workspace, 1, &history, first)) return 1;
  static void (*const kinds[])(fuzzer *) = {ask, ask, train, read_state, open_weights};
  double end = now() + seconds;
  while (now() < end) kinds[below(&f, 5)](&f);
  bool same = !f.training.scores(NULL, &f.workspace, 1, &history, again) && !memcmp(first, again, sizeof first);
  printf("%" PRId64 " calls, %" PRId64 " refused%s\n", f.rounds, f.refused,
         same ? "" : "; the embedded model has changed");
  stop(&f);
  return !same || f.refused == f.rounds;
}
