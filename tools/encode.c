/* moire encode: features of items to their codes. */
#include "tools/parts/call.h"

typedef struct arguments {
  moire__sources sources;
  tool_call call;
  moire__encode_job job;
} arguments;

enum { FEATURES = 0x100, TENSOR, NAMES, BATCH };

static const struct argp_option options[] = {
    {"features", FEATURES, "FILE", 0, "Features of items, one row an item: safetensors or .npy", 0},
    {"tensor", TENSOR, "NAME", 0, "The tensor of FILE, if it has several matrices", 0},
    {"names", NAMES, "FILE", 0, "Names of the rows, one a line (their numbers, from 0)", 0},
    {"batch", BATCH, "N", 0, "Items that are encoded at once (4096); does not change the result", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case ARGP_KEY_INIT:
      state->child_inputs[0] = &a->sources;
      state->child_inputs[1] = &a->call;
      return 0;
    case FEATURES: a->job.files.data = text; return 0;
    case TENSOR: a->job.files.tensor = text; return 0;
    case NAMES: a->job.files.names = text; return 0;
    case BATCH: a->job.batch = tool_int_argument(state, "--batch", text, 1, 1000000); return 0;
    case ARGP_KEY_END:
      if (!a->sources.checkpoint || !a->job.files.data)
        argp_error(state, "wanted --checkpoint FILE and --features FILE");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static moire_status ask(moire__predictor *predictor, const void *job, moire_error *error) {
  moire__encode_verb *encode = predictor->setup.task->encode;
  return encode ? encode(predictor, job, error) : moire__task_refuse(&predictor->setup, "encode", error);
}

int tool_encode(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "--checkpoint FILE --features FILE",
      "Codes items: one line an item, its name or number and the code of each level, with tabs between. Where "
      "the configuration says unique_digit, a last digit tells items with equal codes apart, by their order.",
      tool_call_arguments,
      NULL,
      NULL};
  arguments a = {.job = {.batch = 4096}, .sources.threads = tool_default_threads()};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  a.call.verb = "encode";
  a.call.sources = &a.sources;
  a.call.out = &a.job.out;
  a.call.job_part = &a.job.part;
  a.call.files[0] = a.job.files.data;
  a.call.files[1] = a.job.files.names;
  tool_call_say(&a.call, "tensor=%s", a.job.files.tensor ? a.job.files.tensor : "");
  return tool_call_ask(&a.call, ask, &a.job);
}
