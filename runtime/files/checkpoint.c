/* Saving and loading the states of a store. See checkpoint.h. */
#include "runtime/files/checkpoint.h"

#include "moire/optimizer.h"
#include "runtime/base/memory.h"
#include "runtime/base/planes.h"
#include "runtime/base/text.h"
#include "runtime/files/checkpoint_names.h"

#include <string.h>

static bool belongs(const char *name, moire__checkpoint_part part) {
  bool constant = !strncmp(name, MOIRE__CONSTANT_PREFIX, strlen(MOIRE__CONSTANT_PREFIX));
  return part == MOIRE__CHECKPOINT_EVERYTHING || (!moire_optimizer_owns(name) && !constant);
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

/* ---- State dicts ------------------------------------------------------------------------------------------
 */

static int find_state(const moire_store *store, const char *name) {
  for (int i = 0; i < moire_store_count(store); i++) {
    if (!strcmp(moire_store_at(store, i).name, name)) return i;
  }
  return -1;
}

/* Both planes as pairs, in the arena. */
static const float *pairs_of(const moire_store *store, const int planes[2], int64_t n, moire__arena *arena) {
  float *pairs = moire__arena_array(arena, 2 * (size_t)n + 1, sizeof *pairs);
  for (int p = 0; p < 2; p++) {
    const float *plane = moire_store_data(store, moire_store_at(store, planes[p]).name, NULL);
    for (int64_t i = 0; i < n; i++) pairs[2 * i + p] = plane[i];
  }
  return pairs;
}

static moire_status describe(const moire_store *store, const moire__state_name *name, moire__arena *arena,
                             moire__st_tensor *t, moire_error *error) {
  int state[2] = {-1, -1};
  for (int p = 0; p < (name->complex ? 2 : 1); p++) {
    state[p] = find_state(
        store, moire__arena_printf(arena, "%s%s", name->state, name->complex ? moire__plane_suffix(p) : ""));
    if (state[p] < 0)
      return moire_fail(error, MOIRE_ERROR_INTERNAL, "the state %s is not in the store", name->state);
  }
  moire_plan_state first = moire_store_at(store, state[0]);
  int64_t n = 0;
  *t = (moire__st_tensor){.name = name->name, .dtype = file_dtype(first.dtype), .rank = first.shape.rank};
  t->data = moire_store_data(store, first.name, &n);
  for (int j = 0; j < t->rank; j++) t->shape[j] = first.shape.dims[j];
  if (!name->complex) return MOIRE_OK;
  t->dtype = MOIRE__ST_C64;
  t->data = pairs_of(store, state, n, arena);
  return MOIRE_OK;
}

moire_status moire__checkpoint_save_dict(const char *path, const moire_store *store,
                                         const moire__state_dict *dict, const moire__st_metadata *metadata,
                                         int n_metadata, moire_error *error) {
  moire__arena arena = {0};
  moire__text also = {0};
  moire__st_tensor *tensors = moire__arena_array(&arena, (size_t)dict->n + 1, sizeof *tensors);
  moire__st_metadata *all = moire__arena_array(&arena, (size_t)n_metadata + 1, sizeof *all);
  moire_status status = MOIRE_OK;
  for (int i = 0; i < dict->n && !status; i++) {
    status = describe(store, &dict->names[i], &arena, &tensors[i], error);
    if (strcmp(dict->names[i].name, dict->names[i].state) != 0)
      moire__text_add(&also, "%s%s", also.length ? "\n" : "", dict->names[i].name);
  }
  for (int i = 0; i < n_metadata; i++) all[i] = metadata[i];
  int n = n_metadata;
  if (also.length) all[n++] = (moire__st_metadata){"also", also.data};
  if (!status) status = moire__safetensors_write(path, tensors, dict->n, all, n, error);
  moire__text_free(&also);
  moire__arena_free(&arena);
  return status;
}

/* Is the tensor a second name, which the metadata of the file say? */
static bool is_second_name(const moire__safetensors *file, const char *name) {
  const char *also = moire__safetensors_metadata(file, "also");
  size_t n = strlen(name);
  for (const char *line = also; line && *line;) {
    size_t length = strcspn(line, "\n");
    if (length == n && !strncmp(line, name, n)) return true;
    line += length + (line[length] == '\n');
  }
  return false;
}

/* ---- Loading ----------------------------------------------------------------------------------------------
 */

/* What a state is read from. */
typedef struct source {
  const moire__st_tensor *tensor;
  moire__checkpoint_plane plane;
} source;

typedef struct loader {
  const moire__safetensors *file;
  moire_store *store;
  moire__checkpoint_part part;
  moire__checkpoint_names names;
  source *sources; /* [states of the store]; of those that do not belong NULL */
  uint8_t *used;   /* [tensors of the file], a bit for each plane */
  moire_error *error;
} loader;

static void add_shape(moire__text *text, int rank, const int64_t *shape) {
  moire__text_add_char(text, '[');
  for (int i = 0; i < rank; i++) moire__text_add(text, i ? ", %lld" : "%lld", (long long)shape[i]);
  moire__text_add_char(text, ']');
}

static moire_status check_shape(const moire__safetensors *file, const moire__st_tensor *t,
                                const moire_shape *shape, moire_error *error) {
  bool same = t->rank == shape->rank;
  for (int i = 0; same && i < t->rank; i++) same = t->shape[i] == shape->dims[i];
  if (same) return MOIRE_OK;
  moire__text text = {0};
  moire__text_add(&text, "%s: %s: wanted shape ", moire__safetensors_path(file), t->name);
  add_shape(&text, shape->rank, shape->dims);
  moire__text_add(&text, ", but ");
  add_shape(&text, t->rank, t->shape);
  moire__text_add(&text, " came");
  moire_status status = moire_fail(error, MOIRE_ERROR_SHAPE, "%s", text.data);
  moire__text_free(&text);
  return status;
}

static moire_status check_dtype(const moire__safetensors *file, const source *from, moire_dtype dtype,
                                moire_error *error) {
  const moire__st_tensor *t = from->tensor;
  moire__st_dtype wanted = file_dtype(dtype);
  bool converts =
      (dtype == MOIRE_F32 || dtype == MOIRE_F64) && (from->plane || moire__st_dtype_is_float(t->dtype));
  if (t->dtype == wanted || converts) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_TYPE, "%s: %s: wanted type %s%s, but %s came",
                    moire__safetensors_path(file), t->name, moire__st_dtype_name(wanted),
                    moire__st_dtype_is_float(wanted) ? " or another floating point type" : "",
                    moire__safetensors_dtype_text(file, t));
}

static moire_status check_type(const loader *l, const source *from, const moire_plan_state *state) {
  const moire__st_tensor *t = from->tensor;
  moire_status status = check_dtype(l->file, from, state->dtype, l->error);
  int64_t bad = status ? -1 : moire__st_find_nan(t);
  if (bad < 0) return status;
  return moire_fail(l->error, MOIRE_ERROR_FORMAT,
                    "%s: %s: element %lld is NaN, wanted weights that are numbers",
                    moire__safetensors_path(l->file), t->name, (long long)bad);
}

static moire_status find_weight(const moire__checkpoint_names *names, const char *state, moire__weight *weight,
                                moire_error *error) {
  moire_status status = moire__checkpoint_names_find(names, state, weight, error);
  if (status || weight->index >= 0) return status;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has no tensor '%s'", moire__safetensors_path(names->file),
                    state);
}

static bool is_since(const char *name) {
  return !strncmp(name, MOIRE__SINCE_PREFIX, strlen(MOIRE__SINCE_PREFIX));
}

static moire_status check_state(loader *l, int index) {
  moire_plan_state state = moire_store_at(l->store, index);
  if (!belongs(state.name, l->part)) return MOIRE_OK;
  if (is_since(state.name) && !moire__checkpoint_tensor(l->file, state.name)) return MOIRE_OK;
  moire__weight weight;
  moire_status status = find_weight(&l->names, state.name, &weight, l->error);
  if (status) return status;
  source *from = &l->sources[index];
  const moire__st_tensor *t = moire__safetensors_at(l->file, weight.index);
  *from = (source){t, weight.plane};
  status = check_type(l, from, &state);
  if (!status) status = check_shape(l->file, t, &state.shape, l->error);
  l->used[weight.index] |= (uint8_t)(1 << weight.plane);
  return status;
}

moire_status moire__checkpoint_check(const moire__safetensors *file, const moire_port *states, int n,
                                     moire_error *error) {
  moire__checkpoint_names names;
  moire__checkpoint_names_read(&names, file);
  moire_status status = MOIRE_OK;
  for (int i = 0; i < n && !status; i++) {
    moire__weight weight;
    if (!belongs(states[i].name, MOIRE__CHECKPOINT_MODEL)) continue;
    status = find_weight(&names, states[i].name, &weight, error);
    if (status) break;
    source from = {moire__safetensors_at(file, weight.index), weight.plane};
    status = check_dtype(file, &from, states[i].dtype, error);
    if (!status) status = check_shape(file, from.tensor, &states[i].shape, error);
  }
  moire__checkpoint_names_free(&names);
  return status;
}

/* A tensor must be a state, and of a complex one both planes. */
static moire_status check_use(const loader *l, int index) {
  const char *name = moire__safetensors_at(l->file, index)->name;
  const char *bare = l->names.bare_of[index];
  int used = l->used[index];
  const int planes = 1 << MOIRE__PLANE_REAL | 1 << MOIRE__PLANE_IMAGINARY;
  if (used & 1 || used == planes || !belongs(bare, l->part) || is_since(bare)) return MOIRE_OK;
  if (!used && is_second_name(l->file, name)) return MOIRE_OK;
  if (used)
    return moire_fail(l->error, MOIRE_ERROR_FORMAT,
                      "%s: %s: is complex, but the model has one of its planes alone",
                      moire__safetensors_path(l->file), name);
  if (moire_store_data(l->store, bare, NULL) && strcmp(bare, name) != 0)
    return moire_fail(l->error, MOIRE_ERROR_FORMAT, "%s: both '%s' and '%s' would be %s",
                      moire__safetensors_path(l->file), bare, name, bare);
  return moire_fail(l->error, MOIRE_ERROR_FORMAT, "%s: %s: is not among the states of the model",
                    moire__safetensors_path(l->file), name);
}

static void fill(const source *from, moire_dtype dtype, void *data) {
  const moire__st_tensor *t = from->tensor;
  if (from->plane) {
    const float *pairs = (const float *)t->data + (from->plane == MOIRE__PLANE_IMAGINARY);
    for (int64_t i = 0; i < t->count; i++) {
      if (dtype == MOIRE_F32)
        ((float *)data)[i] = pairs[2 * i];
      else
        ((double *)data)[i] = pairs[2 * i];
    }
  } else if (dtype == MOIRE_F32) {
    moire__st_to_float(t, data);
  } else if (dtype == MOIRE_F64) {
    moire__st_to_double(t, data);
  } else if (t->count) {
    memcpy(data, t->data, (size_t)t->count * moire__st_dtype_size(t->dtype));
  }
}

moire_status moire__checkpoint_load(const moire__safetensors *file, moire_store *store,
                                    moire__checkpoint_part part, moire_error *error) {
  int n = moire_store_count(store), n_tensors = moire__safetensors_count(file);
  loader l = {.file = file, .store = store, .part = part, .error = error};
  moire__checkpoint_names_read(&l.names, file);
  l.sources = moire__allocate_array((size_t)n, sizeof *l.sources);
  l.used = moire__allocate_array((size_t)n_tensors, sizeof *l.used);
  moire_status status = MOIRE_OK;
  for (int i = 0; i < n && !status; i++) status = check_state(&l, i);
  for (int i = 0; i < n_tensors && !status; i++) status = check_use(&l, i);
  for (int i = 0; i < n && !status; i++) {
    moire_plan_state state = moire_store_at(store, i);
    if (l.sources[i].tensor) fill(&l.sources[i], state.dtype, moire_store_data(store, state.name, NULL));
  }
  moire__checkpoint_names_free(&l.names);
  moire__release(l.sources);
  moire__release(l.used);
  return status;
}

/* One state of the model from the file, if it fits; else a line says why not. */
static moire_status fit_state(loader *l, int index, moire__text *report, int *fitted) {
  moire_plan_state state = moire_store_at(l->store, index);
  if (!belongs(state.name, MOIRE__CHECKPOINT_MODEL)) return MOIRE_OK;
  moire__weight weight;
  moire_status status = moire__checkpoint_names_find(&l->names, state.name, &weight, l->error);
  if (status) return status;
  if (weight.index < 0) {
    moire__text_add(report, "  %s: is not in the file, and begins anew\n", state.name);
    return MOIRE_OK;
  }
  const moire__st_tensor *t = moire__safetensors_at(l->file, weight.index);
  l->used[weight.index] = 1;
  source from = {t, weight.plane};
  bool same = t->rank == state.shape.rank;
  for (int i = 0; same && i < t->rank; i++) same = t->shape[i] == state.shape.dims[i];
  if (!same) {
    moire__text_add(report, "  %s: begins anew, with the shape ", state.name);
    add_shape(report, state.shape.rank, state.shape.dims);
    moire__text_add(report, "; the file has ");
    add_shape(report, t->rank, t->shape);
    moire__text_add_char(report, '\n');
    return MOIRE_OK;
  }
  status = check_type(l, &from, &state);
  if (status) return status;
  fill(&from, state.dtype, moire_store_data(l->store, state.name, NULL));
  ++*fitted;
  return MOIRE_OK;
}

moire_status moire__checkpoint_load_fitting(const moire__safetensors *file, moire_store *store,
                                            moire__text *report, int *fitted, moire_error *error) {
  int n_tensors = moire__safetensors_count(file);
  loader l = {.file = file, .store = store, .part = MOIRE__CHECKPOINT_MODEL, .error = error};
  moire__checkpoint_names_read(&l.names, file);
  l.used = moire__allocate_array((size_t)n_tensors + 1, sizeof *l.used);
  moire_status status = MOIRE_OK;
  *fitted = 0;
  for (int i = 0; i < moire_store_count(store) && !status; i++) status = fit_state(&l, i, report, fitted);
  for (int i = 0; i < n_tensors && !status; i++) {
    if (!l.used[i] && belongs(l.names.bare_of[i], MOIRE__CHECKPOINT_MODEL) &&
        !is_second_name(file, moire__safetensors_at(file, i)->name))
      moire__text_add(report, "  %s: is of no use to this model\n", moire__safetensors_at(file, i)->name);
  }
  if (!status && !*fitted)
    status =
        moire_fail(error, MOIRE_ERROR_FORMAT, "%s: none of its %d tensors fits the model by name and shape",
                   moire__safetensors_path(file), n_tensors);
  moire__checkpoint_names_free(&l.names);
  moire__release(l.used);
  return status;
}

const moire__st_tensor *moire__checkpoint_tensor(const moire__safetensors *file, const char *state) {
  moire__checkpoint_names names;
  moire__weight weight;
  moire__checkpoint_names_read(&names, file);
  moire_status status = moire__checkpoint_names_find(&names, state, &weight, NULL);
  moire__checkpoint_names_free(&names);
  if (status || weight.index < 0 || weight.plane != MOIRE__PLANE_WHOLE) return NULL;
  return moire__safetensors_at(file, weight.index);
}
