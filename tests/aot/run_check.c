/* Calls a library named net, of the graph in run_test.c, as a user's program does, and compares what it gives
 * with what the JIT gave.
 *
 *   run_check CASE
 *
 * CASE holds, for each batch: n as a 64-bit integer, then n samples of each input and of each output. It is
 * read by many threads at once, each with a workspace. Exit status 1 and a sentence if a bit differs. */
#include <net.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 6, CLASSES = 3, THREADS = 6 };

static int failed;

static void *read_array(FILE *file, int64_t n, size_t size) {
  void *array = calloc((size_t)n + 1, size);
  if (!array || fread(array, size, (size_t)n, file) != (size_t)n) exit(2);
  return array;
}

static void check_batch(FILE *file, int64_t n, net_workspace *workspace) {
  float *signal = read_array(file, n * WIDTH * 2, sizeof *signal);
  int32_t *kind = read_array(file, n, sizeof *kind);
  float *scores = read_array(file, n * CLASSES, sizeof *scores), *power = read_array(file, n, sizeof *power);
  float *got_scores = calloc((size_t)n + 1, sizeof(float[CLASSES])),
        *got_power = calloc((size_t)n + 1, sizeof(float));
  net_inputs inputs;
  net_outputs outputs;
  net_status status;
  inputs.signal = signal;
  inputs.kind = kind;
  outputs.scores = got_scores;
  outputs.power = got_power;
  outputs.mixed = NULL; /* it is not wanted */
  status = net_run(NULL, workspace, n, &inputs, &outputs);
  if (status || memcmp(scores, got_scores, (size_t)n * sizeof(float[CLASSES])) ||
      memcmp(power, got_power, (size_t)n * sizeof(float))) {
    fprintf(stderr, "run_check: %ld samples: %s\n", (long)n, net_status_text(status));
    failed = 1;
  }
  free(signal);
  free(kind);
  free(scores);
  free(power);
  free(got_scores);
  free(got_power);
}

static void *check(void *path) {
  net_workspace workspace = {0};
  int64_t n = 0;
  FILE *file = fopen(path, "rb");
  if (!file) exit(2);
  while (fread(&n, sizeof n, 1, file) == 1) check_batch(file, n, &workspace);
  fclose(file);
  net_workspace_free(&workspace);
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[THREADS];
  int i;
  if (argc != 2) return 2;
  check(argv[1]);
  for (i = 0; i < THREADS; i++) {
    if (pthread_create(&threads[i], NULL, check, argv[1])) return 2;
  }
  for (i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  return failed;
}
