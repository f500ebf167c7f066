/* The task of language models: its row. */
#include "tasks/tokens/tokens.h"

#include "tasks/tokens/measure.h"
#include "tasks/tokens/charts.h"

#include "runtime/base/memory.h"
#include "runtime/train/trainer_fields.h"
#include "tasks/values.h"

#include <inttypes.h>
#include <string.h>

static const moire_config_field keys[] = {
    MOIRE__TRAINER_FIELDS("token file to train on; --data replaces it", "20", "10"),
    {"valid", MOIRE_CONFIG_STRING, "\"\"", 0, 0, NULL, "token file to validate with; without one, `data`"},
    {"test", MOIRE_CONFIG_STRING, "\"\"", 0, 0, NULL, "token file to test with; without one, `valid`"},
    {"teacher", MOIRE_CONFIG_STRING, "\"\"", 0, 0, NULL,
     "checkpoint of a language model, or stored logits of `data`: the loss follows it"},
    {"tokenizer", MOIRE_CONFIG_STRING, "\"\"", 0, 0, NULL,
     "tokenizer file that the checkpoints keep, so that generate needs none"},
    {"log_every", MOIRE_CONFIG_INT, "10", 1, 1000000, NULL, "steps between two lines of metrics.jsonl"},
    {"eval_batch_size", MOIRE_CONFIG_INT, "16", 1, 1000000, NULL, "rows that are measured at once"},
    {"stop_metric", MOIRE_CONFIG_STRING, "ce", 0, 0,
     "ce|perplexity|bits_per_byte|top1|top5|teacher_agreement|teacher_kl", "what the best epoch is best in"},
    MOIRE__TRAINER_SWITCHES};

static const moire__task_need needs[] = {{"vocab_size", MOIRE_CONFIG_INT},
                                         {"sequence_length", MOIRE_CONFIG_INT},
                                         {"distil", MOIRE_CONFIG_STRING},
                                         {"teacher_top", MOIRE_CONFIG_INT}};

/* Those of the names that the graph has as outputs, in the arena. */
static const char *const *known_outputs(const moire__setup *setup, moire_mode mode, const char *const *names,
                                        int n, moire__arena *arena, int *found, moire_error *error) {
  moire_graph *graph = moire__setup_graph(setup, mode, error);
  if (!graph) return NULL;
  const char **known = moire__arena_array(arena, (size_t)n, sizeof *known);
  *found = 0;
  for (int i = 0; i < n; i++) {
    bool step = !strcmp(names[i], MOIRE_GRADIENT_NORM) && mode == MOIRE_TRAINING;
    if (step || moire_graph_find_output(graph, names[i]).name) known[(*found)++] = names[i];
  }
  moire_graph_destroy(graph);
  return known;
}

static const char *const *served(const moire__setup *setup, moire__arena *arena, int *n, moire_error *error) {
  static const char *const names[] = {"logits"};
  return known_outputs(setup, MOIRE_INFERENCE, names, 1, arena, n, error);
}

static const char *const *step(const moire__setup *setup, moire__arena *arena, int *n, moire_error *error) {
  static const char *const names[] = {"loss",     "ce",        "kd",         "phase_loss",
                                      "mag_loss", "kd_weight", "aux_weight", MOIRE_GRADIENT_NORM,
                                      "mag_mean", "mag_std",   "phase_mean", "phase_std"};
  return known_outputs(setup, MOIRE_TRAINING, names, (int)(sizeof names / sizeof *names), arena, n, error);
}

static moire__samples samples(const moire__setup *setup, int64_t batch) {
  const moire__tokens *t = setup->data;
  return moire__tokens_samples(t->train, t->teacher, batch);
}

static moire__samples queries(const moire__setup *setup, int64_t batch) {
  const moire__tokens *t = setup->data;
  return moire__tokens_samples(t->test, t->teacher, batch);
}

static moire_status add_text(moire__setup *setup, const char *origin, const char *assignment,
                             moire_error *error) {
  return moire__config_table_set(&setup->table, origin, assignment, error);
}

/* How long a golden's rows are, what it has of a teacher, and the weights of the loss. */
static moire_status complete(moire__setup *setup, const moire__safetensors *file, moire_error *error) {
  const char *path = moire__safetensors_path(file), *loss = moire__safetensors_metadata(file, "loss");
  const moire__st_tensor *top = moire__safetensors_find(file, "input/teacher_values");
  const moire__st_tensor *ids = moire__safetensors_find(file, "input/input_ids");
  bool full = moire__safetensors_find(file, "input/teacher_logits") != NULL;
  moire_status status = MOIRE_OK;
  if (loss) status = moire__config_table_add_json(&setup->table, path, loss, error);
  if (!status && ids && ids->rank == 2)
    status = moire__setup_add_int(setup, path, "sequence_length", ids->shape[1], error);
  if (!status && full) status = add_text(setup, path, "distil=full", error);
  if (!status && top && top->rank == 3) {
    status = add_text(setup, path, "distil=top", error);
    if (!status) status = moire__setup_add_int(setup, path, "teacher_top", top->shape[2], error);
  }
  return status;
}

/* Words are of the vocabulary; a target may be -100. */
static moire_status check_input(const moire__setup *setup, const char *path, const char *name,
                                const double *values, int64_t n, moire_error *error) {
  const char *what = strchr(name, '/') + 1;
  bool targets = !strcmp(what, "targets");
  if (!targets && strcmp(what, "input_ids") != 0 && strcmp(what, "teacher_indices") != 0) return MOIRE_OK;
  int64_t words = moire_config_int(setup->config, "vocab_size");
  for (int64_t i = 0; i < n; i++) {
    if ((values[i] >= 0 && values[i] < (double)words) || (targets && values[i] == -100)) continue;
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: %s: holds id %.0f, but vocab_size is %" PRId64, path,
                      name, values[i], words);
  }
  return MOIRE_OK;
}

/* What published files hold twice, or recompute: the words again in the head, the head of a tied one, rates. */
static bool ignores(const char *tensor) {
  static const char *const names[] = {"output_layer.embedding.", "lm_head.weight"};
  size_t n = strlen(tensor);
  static const char rates[] = ".rotary_emb.inv_freq";
  for (int i = 0; i < 2; i++) {
    if (!strncmp(tensor, names[i], strlen(names[i]))) return true;
  }
  return n >= sizeof rates - 1 && !strcmp(tensor + n - (sizeof rates - 1), rates);
}

static const char *const leaves[] = {MOIRE__TOKENS_CHARTS, MOIRE__TASK_VALUES, NULL};
static const char *const shown[] = {"ce",   "perplexity",        "bits_per_byte", "top1",
                                    "top5", "teacher_agreement", "teacher_kl",    NULL};

static bool is_least(const char *measure) {
  static const char *const most[] = {"top1", "top5", "teacher_agreement", "targets"};
  for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
    if (!strncmp(measure, most[i], strlen(most[i]))) return false;
  }
  return true;
}

const moire__task moire__task_tokens = {.name = "tokens",
                                        .title = "a language model",
                                        .keys = {keys, (int)(sizeof keys / sizeof *keys)},
                                        .needs = needs,
                                        .n_needs = (int)(sizeof needs / sizeof *needs),
                                        .needs_hint = " (MOIRE_LANGUAGE_FIELDS has most of them)",
                                        .size_key = "vocab_size",
                                        .interface = "generate",
                                        .equip = moire__tokens_equip,
                                        .headline = "ce",
                                        .shown = shown,
                                        .is_least = is_least,
                                        .read = moire__tokens_read,
                                        .free_data = moire__tokens_free,
                                        .served = served,
                                        .step = step,
                                        .samples = samples,
                                        .queries = queries,
                                        .complete = complete,
                                        .takes_teacher = true,
                                        .train = moire__tokens_train,
                                        .leaves = leaves,
                                        .values = moire__task_values,
                                        .positions = moire__tokens_positions,
                                        .ignores = ignores,
                                        .eval = moire__tokens_eval,
                                        .measure = moire__tokens_measured_of,
                                        .leave = moire__tokens_leave,
                                        .generate = moire__tokens_generate,
                                        .teach = moire__tokens_teach,
                                        .check_input = check_input};
