/* Programs of other systems as models. See moire/import.h. */
#include "moire/import.h"

#include "compiler/import/program.h"
#include "runtime/base/planes.h"

#include <stdlib.h>
#include <string.h>

struct moire_import {
  moire__arena arena;
  moire__program *program; /* owned */
  moire_model model;
};

static const moire__program_kind *const kinds[] = {&moire__torch_programs, &moire__hlo_programs};

/* The kind that a file's name says; NULL: none. */
static const moire__program_kind *kind_of(const char *name) {
  size_t n = strlen(name);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    size_t m = strlen(kinds[i]->ending);
    if (n > m && !strcmp(name + n - m, kinds[i]->ending)) return kinds[i];
  }
  return NULL;
}

bool moire_import_is(const char *name) { return kind_of(name) != NULL; }

static void build_program(const moire_import *import, moire_graph *g, double dropout, moire__text *refusals) {
  import->program->kind->build(import->program, g, dropout, refusals);
}

static void build(moire_graph *g, const moire_config *config, const void *context) {
  const moire_import *import = context;
  bool own = !import->model.n_fields || moire_config_is_nothing(config, "dropout");
  build_program(import, g, own ? -1 : moire_config_real(config, "dropout"), NULL);
}

/* A C identifier of the file's name without folder and ending. */
static const char *name_of(moire__arena *arena, const char *path) {
  const char *slash = strrchr(path, '/');
  char *name = moire__arena_printf(arena, "%s", slash ? slash + 1 : path);
  const moire__program_kind *kind = kind_of(name);
  name[strlen(name) - (kind ? strlen(kind->ending) : 0)] = 0;
  for (char *c = name; *c; c++) {
    bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';
    if (!letter && !(c > name && *c >= '0' && *c <= '9')) *c = '_';
  }
  return *name ? name : "imported";
}

static moire_status read_file(moire_import *import, const char *path, moire_error *error) {
  const moire__program_kind *kind = kind_of(path);
  if (!kind)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: wanted a name that ends in .pt2 or .mlir", path);
  import->program = kind->open(path, error);
  return import->program ? MOIRE_OK : MOIRE_ERROR_FORMAT;
}

/* Every refusal, a line each. */
static void try_to_build(const moire_import *import, moire__text *refusals) {
  moire_graph *g = moire_graph_create("import", MOIRE_TRAINING);
  build_program(import, g, -1, refusals);
  moire_graph_destroy(g);
}

static moire_status check(const moire_import *import, const char *path, moire_error *error) {
  moire__text refusals = {0};
  try_to_build(import, &refusals);
  const char *text = moire__text_string(&refusals);
  int n = 0;
  for (const char *c = text; *c; c++) n += *c == '\n';
  size_t first = strcspn(text, "\n");
  moire_status status = MOIRE_OK;
  if (n == 1) status = moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: %.*s", path, (int)first, text);
  if (n > 1)
    status = moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: %.*s; and %d more, which moire import %s lists",
                        path, (int)first, text, n - 1, path);
  moire__text_free(&refusals);
  return status;
}

moire_import *moire_import_open(const char *path, moire_error *error) {
  moire_import *import = moire__allocate(sizeof *import);
  moire_status status = read_file(import, path, error);
  if (!status) status = check(import, path, error);
  if (status) {
    moire_import_close(import);
    return NULL;
  }
  import->model = (moire_model){.abi = MOIRE_MODEL_ABI,
                                .task = MOIRE_MODEL_TENSORS,
                                .name = name_of(&import->arena, path),
                                .summary = import->program->kind->summary,
                                .fields = import->program->kind->fields,
                                .n_fields = import->program->kind->n_fields,
                                .context = import,
                                .build_from = build};
  return import;
}

void moire_import_close(moire_import *import) {
  if (!import) return;
  if (import->program) import->program->kind->close(import->program);
  moire__arena_free(&import->arena);
  moire__release(import);
}

char *moire_import_refusals(const char *path, moire_error *error) {
  moire_import *import = moire__allocate(sizeof *import);
  moire__text refusals = {0};
  char *text = NULL;
  if (!read_file(import, path, error)) {
    try_to_build(import, &refusals);
    text = strdup(moire__text_string(&refusals));
  }
  moire__text_free(&refusals);
  moire_import_close(import);
  return text;
}

const moire_model *moire_import_model(const moire_import *import) { return &import->model; }

/* ---- weights ----------------------------------------------------------------------------------------------
 */

int64_t moire_import_state(const moire_import *import, const char *state, double *out) {
  for (int i = 0; i < import->program->n_states; i++) {
    const moire__program_state *s = &import->program->states[i];
    bool complex = s->dtype == MOIRE_C64;
    int plane = complex ? moire__plane_of(state, s->name) : strcmp(state, s->name) ? -1 : 0;
    if (s->as || plane < 0) continue;
    if (out) import->program->kind->read(s, plane, out);
    return s->count;
  }
  return -1;
}

static void fill(void *data, moire_dtype dtype, const double *values, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    switch (dtype) {
      case MOIRE_F64: ((double *)data)[i] = values[i]; break;
      case MOIRE_F32: ((float *)data)[i] = (float)values[i]; break;
      case MOIRE_I32: ((int32_t *)data)[i] = (int32_t)values[i]; break;
      case MOIRE_I64: ((int64_t *)data)[i] = (int64_t)values[i]; break;
      case MOIRE_BOOL: ((bool *)data)[i] = values[i] != 0; break;
      case MOIRE_BF16:
      case MOIRE_C64: break; /* no state of a store is one */
    }
  }
}

void moire_import_fill(const moire_import *import, moire_store *store) {
  for (int i = 0; i < moire_store_count(store); i++) {
    moire_plan_state state = moire_store_at(store, i);
    int64_t there = 0, n = moire_import_state(import, state.name, NULL);
    void *data = moire_store_data(store, state.name, &there);
    if (n < 0 || n != there) continue;
    double *values = moire__allocate_array((size_t)n + 1, sizeof *values);
    moire_import_state(import, state.name, values);
    fill(data, state.dtype, values, n);
    moire__release(values);
  }
}

static const moire__program_state *weight_at(const moire_import *import, int index) {
  for (int i = 0; i < import->program->n_states; i++) {
    const moire__program_state *s = &import->program->states[i];
    if (s->kept && index-- == 0) return s;
  }
  return NULL;
}

const char *moire_import_weight(const moire_import *import, int index, moire_dtype *dtype, moire_shape *shape) {
  const moire__program_state *s = weight_at(import, index);
  if (!s) return NULL;
  if (dtype) *dtype = s->dtype;
  if (shape) *shape = s->shape;
  return s->name;
}

const char *moire_import_weight_twin(const moire_import *import, int index) {
  const moire__program_state *s = weight_at(import, index);
  return s ? s->as : NULL;
}
