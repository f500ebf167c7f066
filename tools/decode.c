/* moire decode: codes of items to the features that they stand for. */
#include "tools/tool.h"

typedef struct arguments {
  moire__sources sources;
  moire__decode_job job;
} arguments;

enum { IDS = 0x100 };

static const struct argp_option options[] = {
    {"ids", IDS, "FILE", 0, "Codes of items, as `moire encode` writes them", 0},
    {"output", 'o', "FILE", 0, "Where the features go: .npy, or else safetensors", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->sources; return 0;
    case IDS: a->job.ids = text; return 0;
    case 'o': a->job.path = tool_path_argument(state, "--output", "a file", text); return 0;
    case ARGP_KEY_END:
      if (!a->sources.checkpoint || !a->job.ids || !a->job.path)
        argp_error(state, "wanted --checkpoint FILE, --ids FILE and -o FILE");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static moire_status ask(moire__predictor *predictor, const void *job, moire_error *error) {
  moire__decode_verb *decode = predictor->setup.task->decode;
  return decode ? decode(predictor, job, error) : moire__task_refuse(&predictor->setup, "decode", error);
}

int tool_decode(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "--checkpoint FILE --ids FILE -o FILE",
      "Turns codes of items back into the features that they stand for, one row a "
      "line of the codes, in their order.",
      tool_sources_arguments,
      NULL,
      NULL};
  arguments a = {.sources.threads = tool_default_threads()};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  return tool_ask("decode", &a.sources, ask, &a.job);
}
