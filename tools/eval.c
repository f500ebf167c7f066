/* moire eval: measures a trained model on data. */
#include "tools/parts/call.h"

#include <stdio.h>
#include <string.h>

typedef struct arguments {
  moire__sources sources;
  tool_call call;
  moire__eval_job job;
  moire__baselines baselines;
  bool json;
  FILE *out;        /* of the measures, … */
  const char *path; /* … or, of a part, of the terms */
} arguments;

enum { DATA = 0x100, BASELINES, FORMAT, SPLIT, RANKS, VALUES, TEACHER, BATCH, TENSOR, JSON };

static const struct argp_option options[] = {
    {"data", DATA, "FILE", 0, "Data, as `moire train` reads it", 0},
    {"format", FORMAT, "FORMAT", 0, "What a line of interactions is: users, interactions, or auto", 0},
    {"split", SPLIT, "test|valid", 0, "Which part to measure (test; of tensors all)", 0},
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
    case ARGP_KEY_INIT:
      state->child_inputs[0] = &a->sources;
      state->child_inputs[1] = &a->call;
      return 0;
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
      if (a->call.part.count && (a->job.baselines || a->job.ranks || a->job.values))
        argp_error(state,
                   "--part: wanted no --baselines, which need no model, and no --ranks or --values, which are "
                   "--samples of `moire merge`");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

/* The measures, and those of the baselines under "baselines" by their names. */
static void print_json(FILE *out, const moire__measures *measures, const moire__baselines *baselines) {
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
  fprintf(out, "%s\n", text.data);
  moire__text_free(&text);
}

void tool_write_measures(FILE *out, const char *column, const moire__measures *measures,
                         const moire__baselines *baselines) {
  if (!*column) {
    print_json(out, measures, baselines);
    return;
  }
  const char *names[1 + MOIRE__BASELINES] = {column};
  moire__measures columns[1 + MOIRE__BASELINES] = {*measures};
  for (int i = 0; i < baselines->n; i++) {
    names[1 + i] = baselines->names[i];
    columns[1 + i] = baselines->measures[i];
  }
  tool_print_measures(out, names, columns, 1 + baselines->n);
}

static moire_status refuse(const arguments *a, const moire__setup *setup, moire_error *error) {
  if (a->job.teacher && !setup->task->takes_teacher)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "--teacher: %s is %s, which has no teacher",
                      setup->model->name, setup->task->title);
  if (a->job.baselines && !setup->task->has_baselines)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "--baselines: %s is %s, which has none: recommenders have",
                      setup->model->name, setup->task->title);
  return setup->task->eval ? MOIRE_OK : moire__task_refuse(setup, "eval", error);
}

static moire_status ask(moire__predictor *predictor, const void *job, moire_error *error) {
  const arguments *a = job;
  const moire__task *task = predictor->setup.task;
  const char *samples = a->job.ranks ? a->job.ranks : a->job.values;
  moire__terms terms = {0};
  moire__measures measures = {0};
  moire_status status = refuse(a, &predictor->setup, error);
  if (!status) status = task->eval(predictor, &a->job, &terms, error);
  if (!status && a->job.part) {
    status = moire__safetensors_write(a->path, terms.at, terms.n, NULL, 0, error);
  } else if (!status) {
    status = task->measure(&terms, &measures, error);
    if (!status && samples) status = task->leave(&terms, samples, error);
    if (!status) tool_write_measures(a->out, a->call.column, &measures, &a->baselines);
  }
  moire__terms_free(&terms);
  return status;
}

int tool_eval(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "--checkpoint FILE --data FILE",
      "Measures a trained model as its training did. A sequential model ranks each user's target among all "
      "items: the last item of a user is the test's target, the one before that the validation's; items of the "
      "history count as score 0.",
      tool_call_arguments,
      NULL,
      NULL};
  arguments a = {.sources.threads = tool_default_threads()};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  a.call.verb = "eval";
  a.call.sources = &a.sources;
  a.call.job_part = &a.job.part;
  a.call.column = a.json ? "" : a.job.valid ? "validation" : "test";
  if (a.call.part.count)
    a.call.path = &a.path;
  else
    a.call.out = &a.out;
  a.call.files[0] = a.job.files.data;
  a.call.files[1] = a.job.teacher;
  tool_call_say(&a.call, "split=%s batch=%lld tensor=%s format=%s",
                !a.job.split  ? ""
                : a.job.valid ? "valid"
                              : "test",
                (long long)a.job.batch, a.job.files.tensor ? a.job.files.tensor : "",
                a.job.files.format ? a.job.files.format : "");
  return tool_call_ask(&a.call, ask, &a);
}
