/* moire import: a program of torch.export or of StableHLO as a model of Moire's. */
#include "tools/tool.h"

#include "moire/import.h"
#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/files/safetensors.h"
#include "tasks/imported.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct arguments {
  const char *program, *directory;
} arguments;

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0, "Write NAME.yaml, NAME.safetensors and NAME.txt there", 0}, {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case 'o': a->directory = tool_path_argument(state, "--output", "a folder", text); return 0;
    case ARGP_KEY_ARG:
      if (a->program) argp_error(state, "wanted one program, but '%s' came too", text);
      a->program = text;
      return 0;
    case ARGP_KEY_END:
      if (!a->program) argp_error(state, "wanted a program: FILE.pt2 or FILE.mlir");
      if (!moire_import_is(a->program))
        argp_error(state, "%s: wanted a name that ends in .pt2 or .mlir", a->program);
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

/* All refusals, each with its place; false if there is one. */
static bool is_possible(const char *program, moire_error *error) {
  char *refusals = moire_import_refusals(program, error);
  if (!refusals) return false;
  int n = 0;
  for (const char *line = refusals; *line; n++) {
    int length = (int)strcspn(line, "\n");
    fprintf(stderr, "%s: %.*s\n", program, length, line);
    line += length + (line[length] == '\n');
  }
  free(refusals);
  if (n) moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: %d of its operations cannot be imported", program, n);
  return n == 0;
}

/* ---- what it is -------------------------------------------------------------------------------------------
 */

static void print_port(const moire_graph *graph, const char *kind, const moire_port *port) {
  static const char *const names[] = {
      [MOIRE_F32] = "f32", [MOIRE_F64] = "f64",   [MOIRE_BF16] = "bf16", [MOIRE_I32] = "i32",
      [MOIRE_I64] = "i64", [MOIRE_BOOL] = "bool", [MOIRE_C64] = "c64"};
  printf("%-8s %s: %s[", kind, port->name, names[port->dtype]);
  for (int i = 0; i < port->shape.rank; i++) {
    int64_t factor = moire_dim_factor(port->shape.dims[i]);
    bool named = moire_dim_extent_name(graph, port->shape.dims[i], 0) != NULL;
    if (i) printf(", ");
    if (!named || factor != 1) printf("%" PRId64 "%s", factor, named ? " " : "");
    for (int k = 0; moire_dim_extent_name(graph, port->shape.dims[i], k); k++)
      printf("%s%s", k ? " " : "", moire_dim_extent_name(graph, port->shape.dims[i], k));
  }
  printf("]\n");
}

static void print_weights(const moire_import *import) {
  int64_t n = 0, elements = 0;
  moire_dtype dtype;
  moire_shape shape;
  for (int i = 0; moire_import_weight(import, i, &dtype, &shape); i++) {
    int64_t count = 1;
    for (int k = 0; k < shape.rank; k++) count *= shape.dims[k];
    if (moire_import_weight_twin(import, i)) continue;
    elements += count;
    n++;
  }
  printf("weights  %" PRId64 " tensors of %" PRId64 " numbers\n", n, elements);
}

static void print_graph(const moire_graph *graph) {
  for (int i = 0; i < moire_graph_input_count(graph); i++) {
    moire_port port = moire_graph_input(graph, i);
    if (strcmp(port.name, "rng") != 0) print_port(graph, "input", &port);
  }
  for (int i = 0; i < moire_graph_output_count(graph); i++) {
    moire_port port = moire_graph_output(graph, i);
    print_port(graph, "output", &port);
  }
}

/* ---- files ------------------------------------------------------------------------------------------------
 */

static moire_status write_weights(const moire__setup *setup, const char *path, moire_error *error) {
  moire__safetensors *file = NULL;
  moire_status status = moire__setup_own_weights(setup, &file, error);
  if (status) return status;
  int n = moire__safetensors_count(file);
  moire__st_tensor *tensors = moire__allocate_array((size_t)n + 1, sizeof *tensors);
  for (int i = 0; i < n; i++) tensors[i] = *moire__safetensors_at(file, i);
  status = moire__safetensors_write(path, tensors, n, NULL, 0, error);
  moire__release(tensors);
  moire__safetensors_close(file);
  return status;
}

static moire_status write_config(const char *path, const char *program, moire_error *error) {
  moire__text text = {0};
  char *absolute = realpath(program, NULL);
  moire__text_add(&text, "model: \"");
  for (const char *c = absolute ? absolute : program; *c; c++)
    moire__text_add(&text, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
  moire__text_add(&text, "\"\n");
  free(absolute);
  moire_status status = moire__file_write_atomic(path, text.data, text.length, error);
  moire__text_free(&text);
  return status;
}

static moire_status write_files(const arguments *a, const moire__setup *setup, const moire_graph *graph,
                                moire_error *error) {
  moire__arena arena = {0};
  const char *base = moire__arena_printf(&arena, "%s/%s", a->directory, setup->model->name);
  char *text = moire_graph_print(graph);
  moire_status status = moire__file_make_directories(a->directory, error);
  if (!status) status = write_config(moire__arena_printf(&arena, "%s.yaml", base), a->program, error);
  if (!status) status = write_weights(setup, moire__arena_printf(&arena, "%s.safetensors", base), error);
  if (!status)
    status = moire__file_write_atomic(moire__arena_printf(&arena, "%s.txt", base), text, strlen(text), error);
  if (!status) fprintf(stderr, "%s.yaml, .safetensors and .txt are written\n", base);
  free(text);
  moire__arena_free(&arena);
  return status;
}

int tool_import(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "FILE.pt2|FILE.mlir",
      "Reads a program that torch.export.save wrote, or one of JAX as StableHLO text, and "
      "says what it is as a model: its inputs, outputs and weights; or every operation that "
      "cannot be imported, with the line of the Python file. With -o it writes a "
      "configuration to train with, the weights under the names of the state dict, and the "
      "graph as text. A path of a .pt2 or .mlir may stand wherever the name of a model does.",
      NULL,
      NULL,
      NULL};
  arguments a = {0};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  moire_error error = {0};
  moire__setup setup = {0};
  moire_graph *graph = NULL;
  moire_status status = is_possible(a.program, &error) ? MOIRE_OK : MOIRE_ERROR_UNSUPPORTED;
  if (!status) status = moire__setup_find(&setup, a.program, a.program, &error);
  if (!status) status = moire__setup_build(&setup, a.program, &error);
  if (!status) graph = moire__setup_graph(&setup, MOIRE_TRAINING, &error);
  if (!status && !graph) status = MOIRE_ERROR_ARGUMENT;
  if (!status) {
    print_graph(graph);
    print_weights(setup.imported);
  }
  if (!status && a.directory) status = write_files(&a, &setup, graph, &error);
  moire_graph_destroy(graph);
  moire__setup_free(&setup);
  return status ? tool_fail("import", &error) : 0;
}
