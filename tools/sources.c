/* The options of everything that runs a trained model, as a child of its own parser. */
#include "tools/tool.h"

enum { CHECKPOINT = 0x100, MODEL, CONFIG, PRECISION, THREADS };

static const struct argp_option options[] = {
    {"checkpoint", CHECKPOINT, "FILE", 0, "Trained weights (safetensors)", 0},
    {"model", MODEL, "NAME|PATH", 0, "Model, if the checkpoint does not say, or is not of the library", 0},
    {"config", CONFIG, "FILE", 0, "Configuration, if the checkpoint has none (YAML)", 0},
    {"precision", PRECISION, "f32|bf16|int8", 0,
     "Of what products multiply (f32); codes are searched alike; int8: weights of linear maps", 0},
    {"threads", THREADS, "N", 0, "Threads (as many as there are CPUs); does not change the result", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  moire__sources *s = state->input;
  switch (key) {
    case CHECKPOINT: s->checkpoint = text; return 0;
    case MODEL: s->model = text; return 0;
    case CONFIG: s->config = text; return 0;
    case PRECISION: s->precision = tool_precision_argument(state, text); return 0;
    case THREADS: s->threads = (int)tool_int_argument(state, "--threads", text, 1, 1024); return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

const struct argp tool_sources_argp = {options, parse, NULL, NULL, NULL, NULL, NULL};

const struct argp_child tool_sources_arguments[] = {{&tool_sources_argp, 0, NULL, 0}, {0}};
