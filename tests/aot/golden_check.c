/* Compares a library named golden, made with --train, with the numbers of a golden, and with what the JIT made
 * of it.
 *
 *   golden_check CASE [exact]
 *
 * Needs the C library alone, so that it runs where the library does. CASE is what golden_test.c writes: 64-bit
 * integers (batch, items, steps, states, offsets, number of items), items and targets as 32-bit integers, then
 * lists of numbers: logits, losses (one more than steps), and for each state its name (its length first), 1 if
 * it is judged, its start and its end; each list is its length, the golden's doubles and the JIT's floats. With
 * `exact`, the JIT's numbers have to be met bit for bit. Exit status 1 and a sentence past a limit. */
#include <golden.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double output_limit = 2e-4, loss_limit = 2e-4, trained_limit = 8e-3;

static FILE *file;
static bool exact;
static int failures;

static void need(bool good, const char *what) {
  if (good) return;
  fprintf(stderr, "golden_check: %s\n", what);
  exit(1);
}

static void *read_array(size_t n, size_t size) {
  void *array = calloc(n + 1, size);
  need(array && fread(array, size, n, file) == n, "the case is too short");
  return array;
}

static int64_t read_int(void) {
  int64_t number = 0;
  need(fread(&number, sizeof number, 1, file) == 1, "the case is too short");
  return number;
}

typedef struct numbers {
  int64_t n;
  double *golden;
  float *jit;
} numbers;

static numbers read_numbers(void) {
  numbers x = {read_int(), NULL, NULL};
  x.golden = read_array((size_t)x.n, sizeof *x.golden);
  x.jit = read_array((size_t)x.n, sizeof *x.jit);
  return x;
}

static void free_numbers(numbers *x) {
  free(x->golden);
  free(x->jit);
}

static void complain(const char *what, const char *name, double error) {
  fprintf(stderr, "golden_check: %s %s: %g\n", name, what, error);
  failures++;
}

/* ||got - want|| / ||want||, and every bit if that is wanted. */
static void compare(const char *name, const float *got, const numbers *want, double limit) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < want->n; i++) {
    double d = (double)got[i] - want->golden[i];
    difference += d * d;
    norm += want->golden[i] * want->golden[i];
  }
  double error = sqrt(difference) / sqrt(norm);
  if (!(error <= limit) && norm > 0) complain("is past its limit", name, error);
  for (int64_t i = 0; exact && i < want->n; i++) {
    if (memcmp(&got[i], &want->jit[i], sizeof *got) != 0) {
      complain("is not what the JIT computes", name, (double)got[i]);
      return;
    }
  }
}

typedef struct state_case {
  char *name;
  int64_t judged;
  numbers start, end;
} state_case;

static state_case *read_states(int64_t n) {
  state_case *states = calloc((size_t)n + 1, sizeof *states);
  need(states, "out of memory");
  for (int64_t i = 0; i < n; i++) {
    states[i].name = read_array((size_t)read_int(), 1);
    states[i].judged = read_int();
    states[i].start = read_numbers();
    states[i].end = read_numbers();
  }
  return states;
}

static void set_state(golden_state *state, const state_case *from) {
  golden_tensor tensor;
  need(!golden_state_find(state, from->name, &tensor) && tensor.elements == from->start.n, from->name);
  memcpy(tensor.data, from->start.jit, (size_t)tensor.elements * sizeof *from->start.jit);
}

static void check_states(golden_state *state, const state_case *states, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    golden_tensor tensor;
    need(!golden_state_find(state, states[i].name, &tensor), states[i].name);
    if (states[i].judged) compare(states[i].name, tensor.data, &states[i].end, trained_limit);
  }
}

static void check_training(golden_workspace *workspace, golden_state *state, int64_t batch,
                           const golden_lists *histories, const int32_t *targets, int64_t steps) {
  numbers losses = read_numbers();
  float *got = calloc((size_t)steps + 1, sizeof *got);
  need(got && losses.n == steps + 1, "the case has another number of losses");
  for (int64_t step = 0; step < steps; step++)
    need(!golden_step(state, workspace, batch, histories, targets, 0, step, &got[step]), "golden_step");
  need(!golden_loss(state, workspace, batch, histories, targets, &got[steps]), "golden_loss");
  compare("losses", got, &losses, loss_limit);
  free(got);
  free_numbers(&losses);
}

int main(int argc, char **argv) {
  need(argc > 1 && (file = fopen(argv[1], "rb")), "wanted a case");
  exact = argc > 2 && !strcmp(argv[2], "exact");
  need(golden_cpu(), "there is no code for this processor");
  int64_t batch = read_int(), items = read_int(), steps = read_int(), n_states = read_int();
  need(items == GOLDEN_ITEM_SIZE, "the case has another number of items");
  int64_t *offsets = read_array((size_t)batch + 1, sizeof *offsets);
  int64_t n = read_int();
  int32_t *ids = read_array((size_t)n, sizeof *ids), *targets = read_array((size_t)batch, sizeof *targets);
  golden_lists histories = {offsets, ids};
  numbers logits = read_numbers();
  float *scores = calloc((size_t)logits.n, sizeof *scores);
  golden_workspace workspace = {0};
  need(scores && !golden_scores(NULL, &workspace, batch, &histories, scores), "golden_scores");
  compare("logits", scores, &logits, output_limit);
  golden_state *state = NULL;
  need(!golden_state_create(NULL, 0, 0, &state), "golden_state_create");
  long losses_at = ftell(file);
  free(read_array((size_t)(steps + 1) * (sizeof(double) + sizeof(float)) + sizeof(int64_t), 1));
  state_case *states = read_states(n_states);
  for (int64_t i = 0; i < n_states; i++) set_state(state, &states[i]);
  fseek(file, losses_at, SEEK_SET);
  check_training(&workspace, state, batch, &histories, targets, steps);
  check_states(state, states, n_states);
  printf("%s: %d past their limits\n", golden_cpu(), failures);
  golden_state_free(state);
  golden_workspace_free(&workspace);
  return failures > 0;
}
