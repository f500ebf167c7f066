/* Saving and loading the states of a store. See checkpoint.h. */
#include "runtime/files/checkpoint.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"

#include <string.h>

static bool is_optimizers(const char *name) { return strncmp(name, "adam.", 5) == 0; }

static bool belongs(const char *name, moire__checkpoint_part part) {
  return part == MOIRE__CHECKPOINT_EVERYTHING || !is_optimizers(name);
}

/* The store refuses c64, so that each dtype of a state has one in the file. */
static moire__st_dtype file_dtype(moire_dtype dtype) {
  switch (dtype) {
    case MOIRE_F32: return MOIRE__ST_F32;
    case MOIRE_F64: return MOIRE__ST_F64;
    case MOIRE_BF16: return MOIRE__ST_BF16;
    case MOIRE_I32: return MOIRE__ST_I32;
    case MOIRE_I64: return MOIRE__ST_I64;
    case MOIRE_BOOL:
    case MOIRE_C64: break;
  }
  return MOIRE__ST_BOOL;
}

moire_status moire__checkpoint_save(const char *path, const moire_store *store, moire__checkpoint_part part,
                                    const moire__st_metadata *metadata, int n_metadata, moire_error *error) {
  int n = 0, count = moire_store_count(store);
  moire__st_tensor *tensors = moire__allocate_array((size_t)count + 1, sizeof *tensors);
  moire__arena names = {0};
  for (int i = 0; i < count; i++) {
    moire_plan_state state = moire_store_at(store, i);
    if (!belongs(state.name, part)) continue;
    moire__st_tensor *t = &tensors[n++];
    *t = (moire__st_tensor){.name = moire__arena_copy_string(&names, state.name),
                            .dtype = file_dtype(state.dtype),
                            .rank = state.shape.rank,
                            .data = moire_store_data(store, state.name, NULL)};
    for (int j = 0; j < state.shape.rank; j++) t->shape[j] = state.shape.dims[j];
  }
  moire_status status = moire__safetensors_write(path, tensors, n, metadata, n_metadata, error);
  moire__arena_free(&names);
  moire__release(tensors);
  return status;
}

/* ---- Loading ----------------------------------------------------------------------------------------------
 */

static bool is_float(moire__st_dtype dtype) { return dtype <= MOIRE__ST_BF16; }

static void add_shape(moire__text *text, int rank, const int64_t *shape) {
  moire__text_add_char(text, '[');
  for (int i = 0; i < rank; i++) moire__text_add(text, i ? ", %lld" : "%lld", (long long)shape[i]);
  moire__text_add_char(text, ']');
}

static moire_status wrong_shape(const moire__safetensors *file, const moire__st_tensor *t,
                                const moire_plan_state *state, moire_error *error) {
  moire__text text = {0};
  moire__text_add(&text, "%s: %s: wanted shape ", moire__safetensors_path(file), t->name);
  add_shape(&text, state->shape.rank, state->shape.dims);
  moire__text_add(&text, ", but ");
  add_shape(&text, t->rank, t->shape);
  moire__text_add(&text, " came");
  moire_status status = moire_fail(error, MOIRE_ERROR_SHAPE, "%s", text.data);
  moire__text_free(&text);
  return status;
}

static moire_status check_tensor(const moire__safetensors *file, const moire_plan_state *state,
                                 moire_error *error) {
  const moire__st_tensor *t = NULL;
  moire_status status = moire__safetensors_need(file, state->name, &t, error);
  if (status) return status;
  bool same = t->rank == state->shape.rank;
  for (int i = 0; same && i < t->rank; i++) same = t->shape[i] == state->shape.dims[i];
  if (!same) return wrong_shape(file, t, state, error);
  moire__st_dtype wanted = file_dtype(state->dtype);
  bool converts = is_float(t->dtype) && (state->dtype == MOIRE_F32 || state->dtype == MOIRE_F64);
  if (t->dtype == wanted || converts) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_TYPE, "%s: %s: wanted type %s%s, but %s came",
                    moire__safetensors_path(file), t->name, moire__st_dtype_name(wanted),
                    is_float(wanted) ? " or another floating point type" : "", moire__st_dtype_name(t->dtype));
}

static moire_status check_file(const moire__safetensors *file, const moire_store *store,
                               moire__checkpoint_part part, moire_error *error) {
  for (int i = 0; i < moire_store_count(store); i++) {
    moire_plan_state state = moire_store_at(store, i);
    moire_status status = belongs(state.name, part) ? check_tensor(file, &state, error) : MOIRE_OK;
    if (status) return status;
  }
  for (int i = 0; i < moire__safetensors_count(file); i++) {
    const char *name = moire__safetensors_at(file, i)->name;
    if (moire_store_data(store, name, NULL) || !belongs(name, part)) continue;
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s: is not among the states of the model",
                      moire__safetensors_path(file), name);
  }
  return MOIRE_OK;
}

moire_status moire__checkpoint_load(const moire__safetensors *file, moire_store *store,
                                    moire__checkpoint_part part, moire_error *error) {
  moire_status status = check_file(file, store, part, error);
  if (status) return status;
  for (int i = 0; i < moire_store_count(store); i++) {
    moire_plan_state state = moire_store_at(store, i);
    if (!belongs(state.name, part)) continue;
    const moire__st_tensor *t = moire__safetensors_find(file, state.name);
    void *data = moire_store_data(store, state.name, NULL);
    if (state.dtype == MOIRE_F32) {
      moire__st_to_float(t, data);
    } else if (state.dtype == MOIRE_F64) {
      moire__st_to_double(t, data);
    } else if (t->count) {
      memcpy(data, t->data, (size_t)t->count * moire__st_dtype_size(t->dtype));
    }
  }
  return MOIRE_OK;
}
