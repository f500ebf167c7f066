/* moire predict: what a model makes of every row of some data. */
#include "tools/parts/call.h"

#include "runtime/base/memory.h"

typedef struct arguments {
  moire__sources sources;
  tool_call call;
  moire__predict_job job;
  const char **outputs; /* [job.n_outputs]; owned */
} arguments;

enum { DATA = 0x100, OUTPUTS, BATCH };

static const struct argp_option options[] = {
    {"data", DATA, "FILE", 0, "Tensors with a row a sample: safetensors, .npy, or a folder of .npy", 0},
    {"tensors", OUTPUTS, "NAME,...", 0, "Which outputs of the model (all but losses)", 0},
    {"batch", BATCH, "N", 0, "Rows at once (256); does not change the result", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case ARGP_KEY_INIT:
      state->child_inputs[0] = &a->sources;
      state->child_inputs[1] = &a->call;
      return 0;
    case DATA: a->job.files.data = text; return 0;
    case OUTPUTS:
      moire__release((void *)a->outputs);
      a->outputs = tool_names_argument(state, "--tensors", text, &a->job.n_outputs);
      a->job.outputs = a->outputs;
      return 0;
    case BATCH: a->job.batch = tool_int_argument(state, "--batch", text, 1, 1000000); return 0;
    case ARGP_KEY_END:
      if (!a->sources.checkpoint || !a->job.files.data || !a->call.output)
        argp_error(state, "wanted --checkpoint FILE, --data FILE and -o FILE");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static moire_status ask(moire__predictor *predictor, const void *job, moire_error *error) {
  moire__predict_verb *predict = predictor->setup.task->predict;
  return predict ? predict(predictor, job, error) : moire__task_refuse(&predictor->setup, "predict", error);
}

int tool_predict(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "--checkpoint FILE --data FILE -o FILE",
      "Runs a trained model over all rows of the data, and writes its outputs as "
      "tensors of as many rows, in their order, to FILE: safetensors, or .npy where it ends so.",
      tool_call_arguments,
      NULL,
      NULL};
  arguments a = {.sources.threads = tool_default_threads()};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  a.call.verb = "predict";
  a.call.sources = &a.sources;
  a.call.path = &a.job.path;
  a.call.job_part = &a.job.part;
  a.call.files[0] = a.job.files.data;
  tool_call_say(&a.call, "batch=%lld", (long long)a.job.batch);
  for (int i = 0; i < a.job.n_outputs; i++) tool_call_say(&a.call, "tensor=%s", a.job.outputs[i]);
  int status = tool_call_ask(&a.call, ask, &a.job);
  moire__release((void *)a.outputs);
  return status;
}
