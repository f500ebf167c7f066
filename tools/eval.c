/* moire eval: measures a trained model on data. */
#include "tools/tool.h"

#include <stdio.h>
#include <string.h>

typedef struct arguments {
  moire__sources sources;
  moire__eval_job job;
  moire__baselines baselines;
  bool json;
} arguments;

enum { DATA = 0x100, BASELINES, FORMAT, SPLIT, RANKS, VALUES, TEACHER, BATCH, TENSOR, JSON };

static const struct argp_option options[] = {
    {"data", DATA, "FILE", 0, "Data, as `moire train` reads it", 0},
    {"format", FORMAT, "FORMAT", 0, "What a line of interactions is: users, interactions, or auto", 0},
    {"split", SPLIT, "test|valid", 0, "Which part of it to measure (test; of tensors all)", 0},
    {"ranks", RANKS, "FILE", 0, "Write the rank of each user's target, one a line, in the order of the data",
     0},
    {"values", VALUES, "FILE", 0, "Write the measures of each sample (safetensors)", 0},
    {"teacher", TEACHER, "FILE", 0, "Of a language model: compare with this checkpoint, or stored logits", 0},
    {"baselines", BASELINES, NULL, 0, "Measure what a recommender has to beat, too", 0},
    {"tensor", TENSOR, "NAME", 0, "The tensor of a file of features, if it has several matrices", 0},
    {"batch", BATCH, "N", 0, "Samples at once; does not change the result", 0},
    {"json", JSON, NULL, 0, "Print JSON", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->sources; return 0;
    case DATA: a->job.files.data = text; return 0;
    case TENSOR: a->job.files.tensor = text; return 0;
    case RANKS: a->job.ranks = text; return 0;
    case TEACHER: a->job.teacher = tool_path_argument(state, "--teacher", "a file", text); return 0;
    case VALUES: a->job.values = text; return 0;
    case BASELINES: a->job.baselines = &a->baselines; return 0;
    case FORMAT: a->job.files.format = tool_format_argument(state, text); return 0;
    case JSON: a->json = true; return 0;
    case BATCH: a->job.batch = tool_int_argument(state, "--batch", text, 1, 1000000); return 0;
    case SPLIT:
      if (strcmp(text, "test") != 0 && strcmp(text, "valid") != 0) {
        argp_error(state, "--split: wanted test or valid, but '%s' came", text);
      }
      a->job.split = true;
      a->job.valid = !strcmp(text, "valid");
      return 0;
    case ARGP_KEY_END:
      if (!a->sources.checkpoint || !a->job.files.data)
        argp_error(state, "wanted --checkpoint FILE and --data FILE");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

/* The measures, and those of the baselines under "baselines" by their names. */
static void print_json(const moire__measures *measures, const moire__baselines *baselines) {
  moire__text text = {0};
  moire__measures_to_json(measures, &text);
  if (baselines->n) {
    text.data[--text.length] = 0; /* the brace */
    moire__text_add(&text, "%s\"baselines\":{", measures->n ? "," : "");
    for (int i = 0; i < baselines->n; i++) {
      moire__text_add(&text, "%s\"%s\":", i ? "," : "", baselines->names[i]);
      moire__measures_to_json(&baselines->measures[i], &text);
    }
    moire__text_add(&text, "}}");
  }
  printf("%s\n", text.data);
  moire__text_free(&text);
}

static void print_table(const char *split, const moire__measures *measures, const moire__baselines *baselines) {
  const char *names[1 + MOIRE__BASELINES] = {split};
  moire__measures columns[1 + MOIRE__BASELINES] = {*measures};
  for (int i = 0; i < baselines->n; i++) {
    names[1 + i] = baselines->names[i];
    columns[1 + i] = baselines->measures[i];
  }
  tool_print_measures(names, columns, 1 + baselines->n);
}

static moire_status ask(moire__predictor *predictor, const void *job, moire_error *error) {
  const arguments *a = job;
  moire__measures measures = {0};
  moire__eval_verb *eval = predictor->setup.task->eval;
  const moire__setup *setup = &predictor->setup;
  if (a->job.teacher && !setup->task->takes_teacher)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "--teacher: %s is %s, which has no teacher",
                      setup->model->name, setup->task->title);
  if (a->job.baselines && !setup->task->has_baselines)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "--baselines: %s is %s, which has none: recommenders have",
                      setup->model->name, setup->task->title);
  moire_status status =
      eval ? eval(predictor, &a->job, &measures, error) : moire__task_refuse(&predictor->setup, "eval", error);
  if (status) return status;
  if (a->json)
    print_json(&measures, &a->baselines);
  else
    print_table(a->job.valid ? "validation" : "test", &measures, &a->baselines);
  return MOIRE_OK;
}

int tool_eval(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "--checkpoint FILE --data FILE",
      "Measures a trained model as its training did. A sequential model ranks each user's target among all "
      "items: the last item of a user is the test's target, the one before that the validation's; items of the "
      "history count as score 0.",
      tool_sources_arguments,
      NULL,
      NULL};
  arguments a = {.sources.threads = tool_default_threads()};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  return tool_ask("eval", &a.sources, ask, &a);
}
