/* Reading .pt2 files. See pt2.h. */
#include "compiler/import/torch/pt2.h"

#include "compiler/import/torch/archive.h"
#include "runtime/base/memory.h"
#include "runtime/files/file.h"

#include <string.h>

typedef struct table {
  moire__pt2_tensor *tensors;
  int n, capacity;
} table;

/* The bytes of an entry that tensors are views of. */
typedef struct storage {
  int entry;
  char *bytes; /* owned */
  size_t n;
} storage;

struct moire__pt2 {
  moire__arena arena;
  const char *path;
  json_t *program;
  table weights, constants;
  storage *storages;
  int n_storages, storage_capacity;
};

static bool begins(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

static bool ends(const char *text, const char *with) {
  size_t n = strlen(text), m = strlen(with);
  return n >= m && !strcmp(text + n - m, with);
}

/* ---- JSON -------------------------------------------------------------------------------------------------
 */

/* Jansson refuses what is nested more than 2048 deep. NULL with a sentence. */
static json_t *read_json(moire__pt2 *f, moire__archive *archive, int entry, moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  if (moire__archive_read(archive, entry, &bytes, &n, error)) return NULL;
  json_error_t reason;
  json_t *root = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &reason);
  moire__release(bytes);
  moire__printable_buffer shown;
  if (!root)
    moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s:%d: %s", f->path, moire__archive_name(archive, entry),
               reason.line, moire__printable(reason.text, strlen(reason.text), shown));
  return root;
}

/* The one entry that begins and ends so; -1 with a sentence where there are none or several. */
static int find_one(const moire__pt2 *f, const moire__archive *archive, const char *begin, const char *end,
                    moire_error *error) {
  int found = -1;
  for (int i = 0; i < moire__archive_count(archive); i++) {
    const char *name = moire__archive_name(archive, i);
    if (!begins(name, begin) || !ends(name, end)) continue;
    if (found >= 0) {
      moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has several entries %s*%s: wanted one program", f->path, begin,
                 end);
      return -1;
    }
    found = i;
  }
  if (found < 0)
    moire_fail(error, MOIRE_ERROR_FORMAT,
               "%s: has no entry %s*%s: wanted what torch.export.save of PyTorch 2.13 writes", f->path, begin,
               end);
  return found;
}

/* ---- tensors ----------------------------------------------------------------------------------------------
 */

static moire_status refuse(const moire__pt2 *f, const char *name, const char *why, moire_error *error) {
  moire__printable_buffer shown;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: the tensor %s: %s", f->path,
                    moire__printable(name, strlen(name), shown), why);
}

static bool read_sizes(const json_t *list, int64_t *out, int *n) {
  *n = (int)json_array_size(list);
  if (!json_is_array(list) || json_array_size(list) > MOIRE_MAX_RANK) return false;
  for (int i = 0; i < *n; i++) {
    const json_t *size = json_object_get(json_array_get(list, (size_t)i), "as_int");
    if (!json_is_integer(size) || json_integer_value(size) < 0) return false;
    out[i] = json_integer_value(size);
  }
  return true;
}

/* Do all elements lie in the storage? A stride of 0 repeats elements, within reason. */
static bool lies_in(moire__pt2_tensor *t, size_t bytes) {
  enum { MOST_REPEATED = 1 << 20 };
  int64_t last = t->offset, there = (int64_t)(bytes / moire__torch_type_size(t->type));
  t->count = 1;
  for (int i = 0; i < t->rank; i++) {
    int64_t reach;
    if (__builtin_mul_overflow(t->count, t->sizes[i], &t->count)) return false;
    if (!t->sizes[i]) continue;
    if (__builtin_mul_overflow(t->sizes[i] - 1, t->strides[i], &reach) ||
        __builtin_add_overflow(last, reach, &last))
      return false;
  }
  if (t->count == 0) return true;
  return last < there && t->count <= (there > MOST_REPEATED ? there : MOST_REPEATED);
}

static moire_status load_storage(moire__pt2 *f, moire__archive *archive, const char *folder, const char *leaf,
                                 moire__pt2_tensor *t, moire_error *error) {
  char *path = moire__arena_printf(&f->arena, "%s%s", folder, leaf);
  int entry = moire__archive_find(archive, path);
  if (entry < 0) return refuse(f, t->name, "its bytes are not in the archive", error);
  int i = 0;
  while (i < f->n_storages && f->storages[i].entry != entry) i++;
  if (i == f->n_storages) {
    storage s = {.entry = entry};
    moire_status status = moire__archive_read(archive, entry, &s.bytes, &s.n, error);
    if (status) return status;
    MOIRE__PUSH(&f->arena, f->storages, f->n_storages, f->storage_capacity, s);
  }
  t->storage = i;
  t->bytes = f->storages[i].bytes;
  return lies_in(t, f->storages[i].n)
             ? MOIRE_OK
             : refuse(f, t->name, "its sizes and strides reach beyond the bytes that are there", error);
}

static moire_status read_tensor(moire__pt2 *f, moire__archive *archive, const char *folder, const char *name,
                                const json_t *entry, moire__pt2_tensor *t, moire_error *error) {
  const json_t *meta = json_object_get(entry, "tensor_meta");
  const char *leaf = json_string_value(json_object_get(entry, "path_name"));
  const json_t *offset = json_object_get(json_object_get(meta, "storage_offset"), "as_int");
  int n_strides = 0;
  t->name = moire__arena_copy_string(&f->arena, name);
  if (json_is_true(json_object_get(entry, "use_pickle")))
    return refuse(f, name, "is kept as a pickle, which is not read: export plain tensors", error);
  t->type = (moire__torch_type)json_integer_value(json_object_get(meta, "dtype"));
  t->needs_gradient = json_is_true(json_object_get(meta, "requires_grad"));
  t->offset = json_integer_value(offset);
  if (!leaf || !meta || !json_is_integer(offset) || t->offset < 0 ||
      !read_sizes(json_object_get(meta, "sizes"), t->sizes, &t->rank) ||
      !read_sizes(json_object_get(meta, "strides"), t->strides, &n_strides) || n_strides != t->rank)
    return refuse(f, name, "wanted a path, and whole numbers for sizes, strides and offset, of 8 axes at most",
                  error);
  if (!moire__torch_type_size(t->type)) return refuse(f, name, "its element type is not known", error);
  return load_storage(f, archive, folder, leaf, t, error);
}

/* The tensors of the table that ends so in the folder; a file may have none. */
static moire_status read_table(moire__pt2 *f, moire__archive *archive, const char *folder, const char *ending,
                               table *out, moire_error *error) {
  int entry = find_one(f, archive, folder, ending, error);
  json_t *root = entry < 0 ? NULL : read_json(f, archive, entry, error);
  json_t *config = json_object_get(root, "config");
  if (!root) return MOIRE_ERROR_FORMAT;
  moire_status status = json_is_object(config)
                            ? MOIRE_OK
                            : moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s: wanted an object config", f->path,
                                         moire__archive_name(archive, entry));
  const char *name = NULL;
  json_t *one = NULL;
  json_object_foreach(config, name, one) {
    moire__pt2_tensor t = {0};
    if (!status) status = read_tensor(f, archive, folder, name, one, &t, error);
    if (!status) MOIRE__PUSH(&f->arena, out->tensors, out->n, out->capacity, t);
  }
  json_decref(root);
  return status;
}

/* ---- the file ---------------------------------------------------------------------------------------------
 */

static moire_status check_version(const moire__pt2 *f, moire_error *error) {
  const json_t *version = json_object_get(f->program, "schema_version");
  long long major = json_integer_value(json_object_get(version, "major"));
  if (major == 8) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                    "%s: is of version %lld of torch.export's format: wanted 8, which PyTorch 2.13 writes",
                    f->path, major);
}

static moire_status check_byte_order(const moire__pt2 *f, moire__archive *archive, moire_error *error) {
  int entry = moire__archive_find(archive, "byteorder");
  char *bytes = NULL;
  size_t n = 0;
  moire_status status = entry < 0 ? MOIRE_OK : moire__archive_read(archive, entry, &bytes, &n, error);
  if (!status && bytes && strcmp(bytes, "little") != 0)
    status = moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: its numbers are not little-endian", f->path);
  moire__release(bytes);
  return status;
}

static moire_status read_all(moire__pt2 *f, moire__archive *archive, moire_error *error) {
  moire_status status = check_byte_order(f, archive, error);
  int program = status ? -1 : find_one(f, archive, "models/", ".json", error);
  f->program = program < 0 ? NULL : read_json(f, archive, program, error);
  if (!f->program) return MOIRE_ERROR_FORMAT;
  status = check_version(f, error);
  if (!status) status = read_table(f, archive, "data/weights/", "_weights_config.json", &f->weights, error);
  if (!status)
    status = read_table(f, archive, "data/constants/", "_constants_config.json", &f->constants, error);
  return status;
}

static moire_status open_archive(const char *path, moire__archive *archive, moire__pt2 **out,
                                 moire_error *error) {
  moire__pt2 *f = moire__allocate(sizeof *f);
  f->path = moire__arena_copy_string(&f->arena, path);
  moire_status status = read_all(f, archive, error);
  moire__archive_close(archive);
  if (status) moire__pt2_close(f);
  if (!status) *out = f;
  return status;
}

moire_status moire__pt2_open(const char *path, moire__pt2 **out, moire_error *error) {
  moire__archive *archive = NULL;
  moire_status status = moire__archive_open(path, &archive, error);
  return status ? status : open_archive(path, archive, out, error);
}

moire_status moire__pt2_open_bytes(const char *path, const void *bytes, size_t n, moire__pt2 **out,
                                   moire_error *error) {
  moire__archive *archive = NULL;
  moire_status status = moire__archive_open_bytes(path, bytes, n, &archive, error);
  return status ? status : open_archive(path, archive, out, error);
}

void moire__pt2_close(moire__pt2 *f) {
  if (!f) return;
  for (int i = 0; i < f->n_storages; i++) moire__release(f->storages[i].bytes);
  json_decref(f->program);
  moire__arena_free(&f->arena);
  moire__release(f);
}

const char *moire__pt2_path(const moire__pt2 *f) { return f->path; }

const json_t *moire__pt2_program(const moire__pt2 *f) { return f->program; }

static const moire__pt2_tensor *find(const table *t, const char *name) {
  for (int i = 0; i < t->n; i++) {
    if (!strcmp(t->tensors[i].name, name)) return &t->tensors[i];
  }
  return NULL;
}

const moire__pt2_tensor *moire__pt2_weight(const moire__pt2 *f, const char *name) {
  return find(&f->weights, name);
}

const moire__pt2_tensor *moire__pt2_constant(const moire__pt2 *f, const char *name) {
  return find(&f->constants, name);
}

/* ---- elements ---------------------------------------------------------------------------------------------
 */

/* Bytes of an element, or of one plane of a complex one. */
static size_t plane_size(moire__torch_type type) {
  bool complex = type == MOIRE__TORCH_C32 || type == MOIRE__TORCH_C64 || type == MOIRE__TORCH_C128;
  return moire__torch_type_size(type) / (complex ? 2 : 1);
}

static double element(const char *at, moire__torch_type type) {
  union {
    uint8_t u8;
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    float f32;
    double f64;
  } v;
  memcpy(&v, at, plane_size(type));
  switch (type) {
    case MOIRE__TORCH_U8: return v.u8;
    case MOIRE__TORCH_BOOL: return v.u8 != 0;
    case MOIRE__TORCH_I8: return v.i8;
    case MOIRE__TORCH_I16: return v.i16;
    case MOIRE__TORCH_I32: return v.i32;
    case MOIRE__TORCH_I64: return (double)v.i64;
    case MOIRE__TORCH_F32:
    case MOIRE__TORCH_C64: return (double)v.f32;
    case MOIRE__TORCH_F64:
    case MOIRE__TORCH_C128: return v.f64;
    case MOIRE__TORCH_NONE:
    case MOIRE__TORCH_F16:
    case MOIRE__TORCH_C32:
    case MOIRE__TORCH_BF16: break;
  }
  return __builtin_nan("");
}

void moire__pt2_read(const moire__pt2_tensor *t, int plane, double *out) {
  size_t size = moire__torch_type_size(t->type);
  int64_t at[MOIRE_MAX_RANK] = {0};
  int64_t place = t->offset;
  for (int64_t i = 0; i < t->count; i++) {
    out[i] = element(t->bytes + (size_t)place * size + (plane ? size / 2 : 0), t->type);
    for (int axis = t->rank - 1; axis >= 0; axis--) {
      place += t->strides[axis];
      if (++at[axis] < t->sizes[axis]) break;
      place -= t->strides[axis] * t->sizes[axis];
      at[axis] = 0;
    }
  }
}
