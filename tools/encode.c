/* moire encode: features of items to their codes. */
#include "runtime/base/memory.h"
#include "tasks/items/codes.h"
#include "runtime/files/file.h"
#include "tools/coder.h"

#include <stdio.h>
#include <string.h>

typedef struct arguments {
  tool_sources sources;
  const char *features, *tensor, *names, *out;
  int64_t batch;
} arguments;

enum { FEATURES = 0x100, TENSOR, NAMES, BATCH };

static const struct argp_option options[] = {
    {"features", FEATURES, "FILE", 0, "Features of items, one row an item: safetensors or .npy", 0},
    {"tensor", TENSOR, "NAME", 0, "The tensor of FILE, if it has several matrices", 0},
    {"names", NAMES, "FILE", 0, "Names of the rows, one a line (their numbers, from 0)", 0},
    {"output", 'o', "FILE", 0, "Where the codes go (stdout)", 0},
    {"batch", BATCH, "N", 0, "Items that are encoded at once (4096); does not change the result", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->sources; return 0;
    case FEATURES: a->features = text; return 0;
    case TENSOR: a->tensor = text; return 0;
    case NAMES: a->names = text; return 0;
    case 'o': a->out = text; return 0;
    case BATCH: a->batch = tool_int_argument(state, "--batch", text, 1, 1000000); return 0;
    case ARGP_KEY_END:
      if (!a->sources.checkpoint || !a->features)
        argp_error(state, "wanted --checkpoint FILE and --features FILE");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

/* codes[n, levels] of all items, a batch at a time. */
static moire_status encode_all(const tool_coder *c, const moire__features *f, int64_t batch, int32_t *codes,
                               moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int64_t first = 0; first < f->n && !status; first += batch) {
    int64_t n = f->n - first < batch ? f->n - first : batch;
    status = moire_runner_set_extent(c->runner, "B", n, error);
    if (!status)
      status = moire_runner_set_input(c->runner, "features", f->values + first * f->width, n * f->width, error);
    if (!status) status = moire_runner_run(c->runner, error);
    if (status) return status;
    memcpy(codes + first * c->levels, moire_runner_output(c->runner, "codes", NULL),
           (size_t)(n * c->levels) * sizeof *codes);
  }
  return status;
}

static void write_lines(const tool_coder *c, const moire__features *f, const int32_t *codes,
                        const int32_t *digits, moire__text *out) {
  for (int64_t i = 0; i < f->n; i++) {
    moire__row_buffer row;
    moire__text_add(out, "%s", moire__features_row(f, i, row));
    for (int l = 0; l < c->levels; l++) moire__text_add(out, "\t%d", (int)codes[i * c->levels + l]);
    if (c->unique_digit) moire__text_add(out, "\t%d", (int)digits[i]);
    moire__text_add_char(out, '\n');
  }
}

static moire_status encode(const arguments *a, moire_error *error) {
  moire__features *f = NULL;
  tool_coder c = {0};
  moire_status status = moire__features_load(a->features, a->tensor, a->names, &f, error);
  if (!status) status = tool_coder_open(&c, &a->sources, "codes", f, error);
  moire__text text = {0};
  if (!status) {
    int32_t *codes = moire__allocate_array((size_t)(f->n * c.levels), sizeof *codes);
    int32_t *digits = moire__allocate_array((size_t)f->n, sizeof *digits);
    status = encode_all(&c, f, a->batch < f->n ? a->batch : f->n, codes, error);
    moire__codes_digits(codes, f->n, c.levels, digits);
    if (!status) write_lines(&c, f, codes, digits, &text);
    moire__release(codes);
    moire__release(digits);
  }
  if (!status && a->out) status = moire__file_write_atomic(a->out, text.data, text.length, error);
  if (!status && !a->out) fputs(moire__text_string(&text), stdout);
  moire__text_free(&text);
  tool_coder_free(&c);
  moire__features_free(f);
  return status;
}

int tool_encode(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "--checkpoint FILE --features FILE",
      "Codes items: one line an item, its name or number and the code of each level, with tabs between. Where "
      "the configuration says unique_digit, a last digit tells items with equal codes apart, by their order.",
      tool_sources_arguments,
      NULL,
      NULL};
  arguments a = {.batch = 4096, .sources.threads = tool_default_threads()};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  moire_error error = {0};
  return encode(&a, &error) ? tool_fail("encode", &error) : 0;
}
