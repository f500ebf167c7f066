/* moire teach: stores what a language model makes of a token file, for others to follow. */
#include "tools/tool.h"

typedef struct arguments {
  moire__sources sources;
  moire__teach_job job;
} arguments;

enum { DATA = 0x100, TOP, BATCH };

static const struct argp_option options[] = {
    {"data", DATA, "FILE", 0, "Token file", 0},
    {"top", TOP, "K", 0, "The largest K logits of a position (100)", 0},
    {"output", 'o', "FILE", 0, "Where they go (safetensors)", 0},
    {"batch", BATCH, "N", 0, "Rows at once; does not change the result", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->sources; return 0;
    case DATA: a->job.files.data = text; return 0;
    case TOP: a->job.top = tool_int_argument(state, "--top", text, 1, 65536); return 0;
    case 'o': a->job.path = tool_path_argument(state, "--output", "a file", text); return 0;
    case BATCH: a->job.batch = tool_int_argument(state, "--batch", text, 1, 1000000); return 0;
    case ARGP_KEY_END:
      if (!a->sources.checkpoint || !a->job.files.data || !a->job.path)
        argp_error(state, "wanted --checkpoint FILE, --data FILE and -o FILE");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static moire_status ask(moire__predictor *predictor, const void *job, moire_error *error) {
  moire__teach_verb *teach = predictor->setup.task->teach;
  return teach ? teach(predictor, job, error) : moire__task_refuse(&predictor->setup, "teach", error);
}

int tool_teach(int argc, char **argv) {
  static const struct argp parser = {options,
                                     parse,
                                     "--checkpoint FILE --data FILE -o FILE",
                                     "Writes the largest logits of a language model for every position of a "
                                     "token file: a training with `teacher: "
                                     "FILE` follows them. A run that ended early goes on where it was.",
                                     tool_sources_arguments,
                                     NULL,
                                     NULL};
  arguments a = {.sources.threads = tool_default_threads(), .job.top = 100};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  return tool_ask("teach", &a.sources, ask, &a.job);
}
