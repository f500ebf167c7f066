/* Models made of files. See imported.h. */
#include "tasks/imported.h"

#include "moire/import.h"
#include "runtime/base/memory.h"
#include "runtime/base/planes.h"
#include "runtime/base/text.h"

#include <string.h>

enum { MOST_STATES = 1 << 20 };

static int count_weights(const moire_import *import) {
  int n = 0;
  while (n < MOST_STATES && moire_import_weight(import, n, NULL, NULL)) n++;
  return n;
}

moire_status moire__setup_fill(const moire__setup *setup, moire_store *store, moire_error *error) {
  const moire_import *import = setup->imported;
  if (!import) return MOIRE_OK;
  moire__arena arena = {0};
  int n = count_weights(import), n_states = 0;
  moire_plan_state *states = moire__arena_array(&arena, 2 * (size_t)n + 1, sizeof *states);
  for (int i = 0; i < n; i++) {
    moire_dtype dtype;
    moire_shape shape;
    const char *name = moire_import_weight(import, i, &dtype, &shape);
    bool complex = dtype == MOIRE_C64;
    for (int p = 0; p < (complex ? 2 : 1) && !moire_import_weight_twin(import, i); p++) {
      const char *state = complex ? moire__arena_printf(&arena, "%s%s", name, moire__plane_suffix(p)) : name;
      if (moire_store_data(store, state, NULL)) continue;
      states[n_states++] =
          (moire_plan_state){.name = state, .dtype = complex ? MOIRE_F32 : dtype, .shape = shape};
    }
  }
  moire_plan plan = {.name = setup->model->name, .states = states, .n_states = n_states};
  moire_status status = moire_store_declare(store, &plan, 0, error);
  if (!status) moire_import_fill(import, store);
  moire__arena_free(&arena);
  return status;
}

const moire__state_dict *moire__setup_state_dict(const moire__setup *setup, moire__arena *arena) {
  if (!setup->imported) return NULL;
  int n = count_weights(setup->imported);
  moire__state_name *names = moire__arena_array(arena, (size_t)n + 1, sizeof *names);
  for (int i = 0; i < n; i++) {
    moire_dtype dtype;
    const char *twin = moire_import_weight_twin(setup->imported, i);
    names[i].name = moire_import_weight(setup->imported, i, &dtype, NULL);
    names[i].state = twin ? twin : names[i].name;
    names[i].complex = dtype == MOIRE_C64;
  }
  moire__state_dict *dict = moire__arena_alloc(arena, sizeof *dict);
  *dict = (moire__state_dict){names, n};
  return dict;
}

/* ---- as safetensors ---------------------------------------------------------------------------------------
 */

static moire__st_dtype file_dtype(moire_dtype dtype) {
  switch (dtype) {
    case MOIRE_F32: return MOIRE__ST_F32;
    case MOIRE_F64: return MOIRE__ST_F64;
    case MOIRE_I32: return MOIRE__ST_I32;
    case MOIRE_I64: return MOIRE__ST_I64;
    case MOIRE_C64: return MOIRE__ST_C64;
    case MOIRE_BOOL:
    case MOIRE_BF16: break;
  }
  return MOIRE__ST_BOOL;
}

static void put(char *to, moire_dtype dtype, double value) {
  switch (dtype) {
    case MOIRE_F32:
    case MOIRE_C64: memcpy(to, &(float){(float)value}, sizeof(float)); break;
    case MOIRE_F64: memcpy(to, &value, sizeof value); break;
    case MOIRE_I32: memcpy(to, &(int32_t){(int32_t)value}, sizeof(int32_t)); break;
    case MOIRE_I64: memcpy(to, &(int64_t){(int64_t)value}, sizeof(int64_t)); break;
    case MOIRE_BOOL: *to = value != 0; break;
    case MOIRE_BF16: break;
  }
}

static void write_weight(const moire_import *import, const char *name, moire_dtype dtype, int64_t n, char *to) {
  double *values = moire__allocate_array((size_t)n + 1, sizeof *values);
  bool complex = dtype == MOIRE_C64;
  size_t size = moire__st_dtype_size(file_dtype(dtype));
  for (int p = 0; p < (complex ? 2 : 1); p++) {
    moire__text state = {0};
    moire__text_add(&state, "%s%s", name, complex ? moire__plane_suffix(p) : "");
    moire_import_state(import, state.data, values);
    for (int64_t i = 0; i < n; i++) put(to + (size_t)i * size + (p ? size / 2 : 0), dtype, values[i]);
    moire__text_free(&state);
  }
  moire__release(values);
}

moire_status moire__setup_own_weights(const moire__setup *setup, moire__safetensors **out, moire_error *error) {
  const moire_import *import = setup->imported;
  moire__arena arena = {0};
  int n = count_weights(import), kept = 0;
  moire__st_tensor *tensors = moire__arena_array(&arena, (size_t)n + 1, sizeof *tensors);
  moire_dtype *dtypes = moire__arena_array(&arena, (size_t)n + 1, sizeof *dtypes);
  for (int i = 0; i < n; i++) {
    moire_shape shape;
    if (moire_import_weight_twin(import, i)) continue;
    moire__st_tensor *t = &tensors[kept];
    t->name = moire_import_weight(import, i, &dtypes[kept], &shape);
    t->dtype = file_dtype(dtypes[kept++]);
    t->rank = shape.rank;
    t->count = 1;
    for (int k = 0; k < shape.rank; k++) t->count *= t->shape[k] = shape.dims[k];
  }
  moire__text head = {0};
  uint64_t *begins = moire__arena_array(&arena, (size_t)kept + 1, sizeof *begins);
  moire_status status =
      moire__safetensors_head(setup->model->name, tensors, kept, NULL, 0, &head, begins, error);
  size_t whole = head.length;
  for (int i = 0; i < kept; i++) {
    size_t end = (size_t)begins[i] + (size_t)tensors[i].count * moire__st_dtype_size(tensors[i].dtype);
    if (end > whole) whole = end;
  }
  if (!status) {
    char *bytes = moire__allocate(whole + 1);
    memcpy(bytes, head.data, head.length);
    for (int i = 0; i < kept; i++)
      write_weight(import, tensors[i].name, dtypes[i], tensors[i].count, bytes + begins[i]);
    status = moire__safetensors_parse(setup->model->name, bytes, whole, out, error);
  }
  moire__text_free(&head);
  moire__arena_free(&arena);
  return status;
}
