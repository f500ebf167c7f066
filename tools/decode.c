/* moire decode: codes of items to the features that they stand for. */
#include "runtime/base/memory.h"
#include "tasks/items/codes.h"
#include "tools/coder.h"

#include <string.h>

typedef struct arguments {
  tool_sources sources;
  const char *ids, *out;
} arguments;

enum { IDS = 0x100 };
enum { BATCH = 4096 };

static const struct argp_option options[] = {
    {"ids", IDS, "FILE", 0, "Codes of items, as `moire encode` writes them", 0},
    {"output", 'o', "FILE", 0, "Where the features go: .npy, or else safetensors", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->sources; return 0;
    case IDS: a->ids = text; return 0;
    case 'o': a->out = text; return 0;
    case ARGP_KEY_END:
      if (!a->sources.checkpoint || !a->ids || !a->out)
        argp_error(state, "wanted --checkpoint FILE, --ids FILE and -o FILE");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static moire_status decode_all(const tool_coder *c, const moire__codes *codes, int64_t width, float *features,
                               moire_error *error) {
  moire_status status = MOIRE_OK;
  int32_t *ids = moire__allocate_array((size_t)(BATCH * c->levels), sizeof *ids);
  for (int64_t first = 0; first < codes->n && !status; first += BATCH) {
    int64_t n = codes->n - first < BATCH ? codes->n - first : BATCH;
    for (int64_t i = 0; i < n; i++) /* the digit that makes ids unique is left out */
      memcpy(ids + i * c->levels, codes->values + (first + i) * codes->columns,
             (size_t)c->levels * sizeof *ids);
    status = moire_runner_set_extent(c->runner, "B", n, error);
    if (!status) status = moire_runner_set_input(c->runner, "ids", ids, n * c->levels, error);
    if (!status) status = moire_runner_run(c->runner, error);
    if (!status)
      memcpy(features + first * width, moire_runner_output(c->runner, "restored", NULL),
             (size_t)(n * width) * sizeof *features);
  }
  moire__release(ids);
  return status;
}

static moire_status read_codes(const arguments *a, const tool_coder *c, moire__codes *codes,
                               moire_error *error) {
  int64_t *limits = moire__allocate_array((size_t)c->levels + 1, sizeof *limits);
  memcpy(limits, c->sizes, (size_t)c->levels * sizeof *limits);
  moire_status status = moire__codes_read(a->ids, c->levels + c->unique_digit, limits, codes, error);
  moire__release(limits);
  return status;
}

static moire_status decode(const arguments *a, moire_error *error) {
  tool_coder c = {0};
  moire__codes codes = {0};
  moire_status status = tool_coder_open(&c, &a->sources, "restored", NULL, error);
  if (!status) status = read_codes(a, &c, &codes, error);
  if (!status) {
    int64_t width = moire_config_int(c.setup.config, "feature_dim");
    float *features = moire__allocate_array((size_t)(codes.n * width), sizeof *features);
    status = decode_all(&c, &codes, width, features, error);
    if (!status) status = moire__features_write(a->out, features, codes.n, width, error);
    moire__release(features);
  }
  moire__codes_free(&codes);
  tool_coder_free(&c);
  return status;
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
  moire_error error = {0};
  return decode(&a, &error) ? tool_fail("decode", &error) : 0;
}
