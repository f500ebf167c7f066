/* moire predict: what a model makes of every row of some data. */
#include "tools/tool.h"

#include "runtime/base/memory.h"

#include <string.h>

typedef struct arguments {
  moire__sources sources;
  moire__predict_job job;
  const char **outputs; /* [job.n_outputs]; owned */
} arguments;

enum { DATA = 0x100, OUTPUTS, BATCH };

static const struct argp_option options[] = {
    {"data", DATA, "FILE", 0, "Tensors with a row a sample: safetensors, .npy, or a folder of .npy", 0},
    {"output", 'o', "FILE", 0, "Where the predictions go (safetensors)", 0},
    {"tensors", OUTPUTS, "NAME,...", 0, "Which outputs of the model (all but losses)", 0},
    {"batch", BATCH, "N", 0, "Rows at once (256); does not change the result", 0},
    {0}};

static void take_outputs(arguments *a, const struct argp_state *state, char *text) {
  moire__release((void *)a->outputs);
  a->outputs = moire__allocate_array(strlen(text) + 1, sizeof *a->outputs);
  a->job.n_outputs = 0;
  char *rest = NULL;
  for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
    a->outputs[a->job.n_outputs++] = word;
  if (!a->job.n_outputs) argp_error(state, "--tensors: wanted names of outputs, separated by commas");
  a->job.outputs = a->outputs;
}

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->sources; return 0;
    case DATA: a->job.files.data = text; return 0;
    case 'o': a->job.path = text; return 0;
    case OUTPUTS: take_outputs(a, state, text); return 0;
    case BATCH: a->job.batch = tool_int_argument(state, "--batch", text, 1, 1000000); return 0;
    case ARGP_KEY_END:
      if (!a->sources.checkpoint || !a->job.files.data || !a->job.path)
        argp_error(state, "wanted --checkpoint FILE, --data FILE and -o FILE");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

int tool_predict(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "--checkpoint FILE --data FILE -o FILE",
      "Runs a trained model over all rows of the data, and writes its outputs as "
      "tensors of as many rows, in their order.",
      tool_sources_arguments,
      NULL,
      NULL};
  arguments a = {.sources.threads = tool_default_threads()};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  moire__predictor predictor = {0};
  moire_error error = {0};
  moire_status status = moire__predictor_open(&predictor, &a.sources, &error);
  moire__predict_verb *predict = status ? NULL : predictor.setup.task->predict;
  if (!status)
    status =
        predict ? predict(&predictor, &a.job, &error) : moire__task_refuse(&predictor.setup, "predict", &error);
  moire__predictor_free(&predictor);
  moire__release((void *)a.outputs);
  return status ? tool_fail("predict", &error) : 0;
}
