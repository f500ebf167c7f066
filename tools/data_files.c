/* The options that name data, as a child of a command's own parser. */
#include "tools/tool.h"

enum { DATA = 0x180, FEATURES, VALID, TEST, TENSOR, NAMES, FORMAT };

static const struct argp_option options[] = {
    {"data", DATA, "FILE", 0, "Data, as the model's task reads them (the configuration's `data`)", 0},
    {"features", FEATURES, "FILE", 0, "The same, for a coder: features of items, safetensors or .npy", 0},
    {"valid", VALID, "FILE", 0, "Data to validate with (a part of --data)", 0},
    {"test", TEST, "FILE", 0, "Data to test with (a part of --data)", 0},
    {"tensor", TENSOR, "NAME", 0, "The tensor of the features, if FILE has several matrices", 0},
    {"format", FORMAT, "FORMAT", 0, "What a line of interactions is: users, interactions, or auto", 0},
    {"names", NAMES, "FILE", 0, "Names of the items, one a line, for messages (their numbers, from 0)", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  moire__data_files *files = state->input;
  switch (key) {
    case DATA:
    case FEATURES: files->data = text; return 0;
    case VALID: files->valid = text; return 0;
    case TEST: files->test = text; return 0;
    case TENSOR: files->tensor = text; return 0;
    case NAMES: files->names = text; return 0;
    case FORMAT: files->format = tool_format_argument(state, text); return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp parser = {options, parse, NULL, NULL, NULL, NULL, NULL};

const struct argp_child tool_data_arguments[] = {{&parser, 0, NULL, 0}, {0}};
