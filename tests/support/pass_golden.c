/* Golden files of passes. */
#include "tests/support/pass_golden.h"

#include "compiler/driver/driver.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *golden_pass(int i) {
  int n = 0;
  const moire__pass_row *rows = moire__driver_passes(&n);
  for (int row = 0; row < n; row++) {
    bool repeated = false;
    for (int before = 0; before < row; before++)
      repeated = repeated || strcmp(rows[before].name, rows[row].name) == 0;
    if (!repeated && i-- == 0) return rows[row].name;
  }
  return NULL;
}

moire__graph_pass *golden_find_pass(const char *name) {
  int n = 0;
  const moire__pass_row *rows = moire__driver_passes(&n);
  for (int row = 0; row < n; row++) {
    if (strcmp(rows[row].name, name) == 0) return rows[row].run;
  }
  return NULL;
}

static _Noreturn void give_up(const char *path, const char *why) {
  fprintf(stderr, "%s: %s\n", path, why);
  exit(1);
}

static char *read_text(const char *path) {
  FILE *file = fopen(path, "rb");
  moire__text text = {0};
  char buffer[4096];
  if (!file) give_up(path, "cannot be read");
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, file)) > 0;) moire__text_add_bytes(&text, buffer, n);
  fclose(file);
  if (!text.data) give_up(path, "is empty");
  return text.data;
}

static bool read_training_word(const char *word, const char *value, moire_training_options *t) {
  const struct {
    const char *name;
    double *number;
  } numbers[] = {{"lr", &t->lr},   {"weight_decay", &t->weight_decay}, {"momentum", &t->momentum},
                 {"ema", &t->ema}, {"clip_value", &t->clip_value},     {"clip_norm", &t->clip_norm}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    if (strcmp(word, numbers[i].name) != 0) continue;
    *numbers[i].number = strtod(value, NULL);
    return true;
  }
  if (strcmp(word, "accumulate") == 0) return (t->accumulate = atoi(value)) > 0;
  if (strcmp(word, "optimizer") != 0) return false;
  t->optimizer = strcmp(value, "adamw") == 0 ? MOIRE_OPTIMIZER_ADAMW
                 : strcmp(value, "sgd") == 0 ? MOIRE_OPTIMIZER_SGD
                                             : MOIRE_OPTIMIZER_ADAM;
  return true;
}

/* Takes `word` in; words and names stay in the case's text. */
static bool read_goal_word(char *word, moire__goal *goal, const char **outputs) {
  static moire_fixed_extent one; /* of the case that is read last */
  char *value = strchr(word, '=');
  if (value) *value++ = 0;
  if (strcmp(word, "keep_gradients") == 0)
    goal->keep_gradients = true;
  else if (strcmp(word, "pack") == 0)
    goal->pack = true;
  else if (strcmp(word, "bf16") == 0)
    goal->bf16 = true;
  else if (strcmp(word, "tiles") == 0)
    goal->tiles = true;
  else if (strcmp(word, "int8") == 0)
    goal->int8 = true;
  else if (!value)
    return false;
  else if (strcmp(word, "fix") == 0) {
    one = (moire_fixed_extent){value, 1};
    goal->fixed = &one;
    goal->n_fixed = 1;
  } else if (strcmp(word, "output") == 0 && goal->n_outputs < GOLDEN_MAX_OUTPUTS)
    outputs[goal->n_outputs++] = value;
  else if (strcmp(word, "loss") == 0)
    goal->loss = value;
  else if (strcmp(word, "part") == 0)
    goal->part = strcmp(value, "sums") == 0 ? MOIRE_PART_SUMS : MOIRE_PART_STEP;
  else
    return read_training_word(word, value, &goal->training);
  return true;
}

static void read_goal(golden_case *c, char *line, const char **outputs) {
  c->goal = (moire__goal){.training = moire_training_defaults()};
  if (line) {
    line[strcspn(line, "\n")] = 0;
    for (char *rest = NULL, *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
      if (!read_goal_word(word, &c->goal, outputs)) give_up(c->path, word);
    }
  }
  for (int i = 0; c->goal.n_outputs == 0 && i < c->graph->n_outputs && i < GOLDEN_MAX_OUTPUTS; i++)
    outputs[i] = c->graph->outputs[i].name;
  if (c->goal.n_outputs == 0) c->goal.n_outputs = c->graph->n_outputs;
  c->goal.outputs = outputs;
}

static void run_file(const char *pass, const char *path, void (*each)(const golden_case *c)) {
  static const char separator[] = "\n---\n", goal_word[] = "// goal: ";
  golden_case c = {.pass = pass, .expected = ""};
  const char *outputs[GOLDEN_MAX_OUTPUTS] = {0};
  snprintf(c.path, sizeof c.path, "%s", path);
  char *text = read_text(path);
  char *cut = strstr(text, separator);
  if (cut) {
    c.expected = cut + sizeof separator - 1;
    cut[1] = 0;
  }
  c.input = text;
  moire_error error = {0};
  c.graph = moire_graph_parse(text, path, &error);
  if (!c.graph) give_up(path, error.message);
  char *copy = strdup(text);
  char *goal = copy ? strstr(copy, goal_word) : NULL;
  read_goal(&c, goal ? goal + sizeof goal_word - 1 : NULL, outputs);
  each(&c);
  moire_graph_destroy(c.graph);
  free(copy);
  free(text);
}

static int is_case(const struct dirent *entry) {
  size_t n = strlen(entry->d_name);
  return n > 4 && strcmp(entry->d_name + n - 4, ".txt") == 0;
}

int golden_each(const char *pass, void (*each)(const golden_case *c)) {
  char folder[256], path[512];
  snprintf(folder, sizeof folder, "tests/pass/golden/%s", pass);
  struct dirent **entries = NULL;
  int n = scandir(folder, &entries, is_case, alphasort);
  for (int i = 0; i < n; i++) {
    snprintf(path, sizeof path, "%.200s/%.255s", folder, entries[i]->d_name);
    run_file(pass, path, each);
    free(entries[i]);
  }
  free(entries);
  return n;
}
