/* moire eval: measures a trained model on data. */
#include "tools/tool.h"

#include <stdio.h>
#include <string.h>

typedef struct arguments {
  moire__sources sources;
  moire__eval_job job;
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
    {"baselines", BASELINES, NULL, 0, "Measure what a recommender from ratings has to beat, too", 0},
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
    case BASELINES: a->job.baselines = true; return 0;
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

static moire_status ask(moire__predictor *predictor, const void *job, moire_error *error) {
  const arguments *a = job;
  moire__measures measures = {0};
  moire__eval_verb *eval = predictor->setup.task->eval;
  const moire__setup *setup = &predictor->setup;
  if (a->job.teacher && !setup->task->takes_teacher)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "--teacher: %s is %s, which has no teacher",
                      setup->model->name, setup->task->title);
  if (a->job.baselines && (a->json || !setup->task->has_baselines))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "--baselines: wanted a model whose task has them, as ratings do, and no --json");
  moire_status status =
      eval ? eval(predictor, &a->job, &measures, error) : moire__task_refuse(&predictor->setup, "eval", error);
  if (status) return status;
  if (a->json) {
    moire__text text = {0};
    moire__measures_to_json(&measures, &text);
    printf("%s\n", text.data);
    moire__text_free(&text);
    return MOIRE_OK;
  }
  tool_print_measures((const char *const[]){a->job.valid ? "validation" : "test"}, &measures, 1);
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
  arguments a = {.job.out = stdout, .sources.threads = tool_default_threads()};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  return tool_ask("eval", &a.sources, ask, &a);
}
