/* Trains on the device: a few passes over its histories, each item but the first a target; then recommends from
 * what was learned, and keeps it in a file that `moire eval` and `moire recommend` read, too.
 *
 *   train_on_device DATA STATE.safetensors     DATA: one user a line, "user item item ..."
 */
#include <qia.h>

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 64, PASSES = 3, MOST = 1 << 20, TOP = 5 };

static int32_t items[MOST];
static int64_t starts[MOST],
    ends[MOST]; /* history i is items[starts[i] .. ends[i]), its target items[ends[i]] */
static int64_t samples;

static void read_samples(FILE *file) {
  char *line = NULL;
  size_t room = 0;
  int64_t n = 0;
  while (getline(&line, &room, file) > 0) {
    char *at = line, *end = NULL;
    int64_t first = n;
    strtol(at, &end, 10); /* the user */
    for (at = end;; at = end) {
      long item = strtol(at, &end, 10);
      if (end == at || n == MOST || samples == MOST) break;
      if (n > first) {
        starts[samples] = first;
        ends[samples++] = n;
      }
      items[n++] = (int32_t)item;
    }
  }
  free(line);
}

/* Copies samples first .. first + n - 1 to lists that lie one behind the other. */
static qia_lists gather(int64_t first, int64_t n, int64_t *offsets, int32_t *copy, int32_t *targets) {
  offsets[0] = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t from = starts[first + i], to = ends[first + i], at = offsets[i];
    if (to - from > QIA_LENGTH) from = to - QIA_LENGTH;
    while (from < to) copy[at++] = items[from++];
    offsets[i + 1] = at;
    targets[i] = items[to];
  }
  return (qia_lists){offsets, copy};
}

static void need(qia_status status) {
  if (!status) return;
  fprintf(stderr, "train_on_device: %s\n", qia_status_text(status));
  exit(1);
}

int main(int argc, char **argv) {
  FILE *file = argc == 3 ? fopen(argv[1], "r") : NULL;
  if (!file) return fprintf(stderr, "usage: train_on_device DATA STATE.safetensors\n"), 2;
  read_samples(file);
  fclose(file);
  static int64_t offsets[BATCH + 1];
  static int32_t copy[BATCH * QIA_LENGTH], targets[BATCH], best[TOP];
  qia_workspace workspace = {0};
  qia_state *state = NULL;
  qia_model *model = NULL;
  need(qia_state_create(NULL, 0, 42, &state));
  int64_t step = 0;
  for (int pass = 0; pass < PASSES; pass++) {
    double sum = 0;
    for (int64_t first = 0; first < samples; first += BATCH, step++) {
      int64_t n = samples - first < BATCH ? samples - first : BATCH;
      float loss = 0;
      qia_lists histories = gather(first, n, offsets, copy, targets);
      need(qia_step(state, &workspace, n, &histories, targets, 42, step, &loss));
      sum += (double)loss * (double)n;
    }
    printf("pass %d: loss %.4f\n", pass, sum / (double)samples);
  }
  need(qia_freeze(state, &model));
  qia_lists last = gather(samples - 1, 1, offsets, copy, targets);
  need(qia_top(model, &workspace, 1, &last, NULL, QIA_SEEN_EXCLUDE, TOP, best, NULL));
  printf("to the last user:");
  for (int i = 0; i < TOP; i++) printf(" %d", (int)best[i]);
  printf("\n");
  need(qia_state_write_file(state, QIA_PARAMETERS, argv[2]));
  qia_close(model);
  qia_state_free(state);
  qia_workspace_free(&workspace);
  return 0;
}
