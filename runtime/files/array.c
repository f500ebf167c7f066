/* Rows of arrays: gathered in pieces that the cache holds, turned to the machine's byte order, converted,
 * checked. */
#include "runtime/files/array.h"

#include "runtime/base/hash.h"
#include "runtime/base/layout.h"
#include "runtime/base/text.h"
#include "runtime/files/array_convert.h"
#include "runtime/files/file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 256, LARGEST_ELEMENT = 16 };

moire__array moire__array_of_tensor(const char *path, const moire__st_tensor *tensor) {
  moire__array a = {.path = path,
                    .name = tensor->name,
                    .dtype = tensor->dtype,
                    .dtype_text = moire__st_dtype_name(tensor->dtype),
                    .rank = tensor->rank,
                    .count = tensor->count,
                    .data = tensor->data};
  memcpy(a.shape, tensor->shape, sizeof a.shape);
  return a;
}

int64_t moire__array_rows(const moire__array *a) { return a->rank ? a->shape[0] : 1; }

/* Of an array without elements the product may be larger than any array; nothing is read of it then. */
int64_t moire__array_width(const moire__array *a) {
  int64_t width = 1;
  for (int i = 1; i < a->rank; i++) {
    if (__builtin_mul_overflow(width, a->shape[i], &width)) return 0;
  }
  return width;
}

size_t moire__array_bytes(const moire__array *a) {
  return a->dtype == MOIRE__ST_OTHER ? 0 : (size_t)a->count * moire__st_dtype_size(a->dtype);
}

/* ---- Sentences --------------------------------------------------------------------------------------------
 */

static const char *type_name(moire_dtype type) {
  switch (type) {
    case MOIRE_F32: return "f32";
    case MOIRE_F64: return "f64";
    case MOIRE_BF16: return "bf16";
    case MOIRE_I32: return "i32";
    case MOIRE_I64: return "i64";
    case MOIRE_BOOL: return "bool";
    case MOIRE_C64: return "c64";
  }
  return "?";
}

/* What the elements of an array must be to be read so. */
static const char *sources_of(moire_dtype type) {
  switch (type) {
    case MOIRE_F32: return "floating point numbers, bool, or integers of at most 16 bits";
    case MOIRE_F64: return "floating point numbers, bool, or integers of at most 32 bits";
    case MOIRE_I32:
    case MOIRE_I64: return "integers or bool";
    case MOIRE_BOOL: return "bool, or integers that are 0 or 1";
    case MOIRE_C64: return "complex numbers";
    case MOIRE_BF16: break;
  }
  return "another type";
}

moire_status moire__array_check_type(const moire__array *a, moire_dtype type, moire_error *error) {
  if (moire__element_converts(a->dtype, type)) return MOIRE_OK;
  moire__printable_buffer name, text;
  return moire_fail(error, MOIRE_ERROR_TYPE, "%s: %s: wanted %s, which is read from %s, but '%s' came", a->path,
                    moire__printable(a->name, strlen(a->name), name), type_name(type), sources_of(type),
                    moire__printable(a->dtype_text, strlen(a->dtype_text), text));
}

static void add_shape(moire__text *text, int rank, const int64_t *shape, bool any_rows) {
  moire__text_add_char(text, '[');
  for (int i = 0; i < rank; i++) {
    if (i) moire__text_add(text, ", ");
    if (i == 0 && any_rows)
      moire__text_add_char(text, '*');
    else
      moire__text_add(text, "%lld", (long long)shape[i]);
  }
  moire__text_add_char(text, ']');
}

moire_status moire__array_check_row(const moire__array *a, int rank, const int64_t *shape, moire_error *error) {
  bool same = a->rank == rank && rank > 0;
  for (int i = 1; same && i < rank; i++) same = a->shape[i] == shape[i];
  moire__printable_buffer name;
  if (same && a->count == 0 && a->shape[0] > 0) /* any number of them could be claimed */
    return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: %s: has rows without elements", a->path,
                      moire__printable(a->name, strlen(a->name), name));
  if (same) return MOIRE_OK;
  moire__text text = {0};
  add_shape(&text, rank, shape, true);
  moire__text_add(&text, ", but ");
  add_shape(&text, a->rank, a->shape, false);
  moire_status status = moire_fail(error, MOIRE_ERROR_SHAPE, "%s: %s: wanted shape %s came", a->path,
                                   moire__printable(a->name, strlen(a->name), name), text.data);
  moire__text_free(&text);
  return status;
}

/* ---- Gathering --------------------------------------------------------------------------------------------
 */

/* Where the elements of a row lie that does not lie together: the walk over its indices, the last fastest. */
typedef struct walk {
  int64_t index[MOIRE__ST_MAX_RANK], stride[MOIRE__ST_MAX_RANK];
  int64_t at; /* the element, counted from that of the row's first */
} walk;

static void start_walk(const moire__array *a, walk *w) {
  *w = (walk){0};
  int64_t stride = 1;
  for (int i = 0; i < a->rank; i++) {
    w->stride[i] = stride;
    stride *= a->shape[i];
  }
}

static void step(const moire__array *a, walk *w) {
  for (int i = a->rank - 1; i > 0; i--) {
    w->at += w->stride[i];
    if (++w->index[i] < a->shape[i]) return;
    w->at -= w->stride[i] * w->index[i];
    w->index[i] = 0;
  }
}

static bool lies_together(const moire__array *a) { return !a->fortran || a->rank < 2; }

/* The next n elements of row `row`, from its element `first` on, as they are in the file. */
static void gather(const moire__array *a, int64_t row, int64_t width, int64_t first, int64_t n, walk *w,
                   char *out) {
  size_t size = moire__st_dtype_size(a->dtype);
  const char *data = a->data;
  if (lies_together(a)) {
    memcpy(out, data + (size_t)(row * width + first) * size, (size_t)n * size);
    return;
  }
  if (first == 0) start_walk(a, w);
  for (int64_t i = 0; i < n; i++) {
    memcpy(out + (size_t)i * size, data + (size_t)(row + w->at) * size, size);
    step(a, w);
  }
}

/* ---- Reading ----------------------------------------------------------------------------------------------
 */

typedef struct reader {
  const moire__array *array;
  moire_dtype type;
  bool checked; /* what is not finite is an error */
  int64_t width;
  moire_error *error;
} reader;

static bool all_finite(moire_dtype type, const void *out, const float *imaginary, int64_t n) {
  if (type == MOIRE_F64) return moire__doubles_finite(out, n);
  if (type == MOIRE_F32) return moire__floats_finite(out, n);
  if (type != MOIRE_C64) return true;
  return imaginary ? moire__floats_finite(out, n) && moire__floats_finite(imaginary, n)
                   : moire__floats_finite(out, 2 * n);
}

static moire_status bad_value(const reader *r, int64_t row, const char *what) {
  const moire__array *a = r->array;
  moire__printable_buffer name;
  return moire_fail(r->error, MOIRE_ERROR_FORMAT, "%s: %s: row %" PRId64 " holds %s", a->path,
                    moire__printable(a->name, strlen(a->name), name), row, what);
}

/* An integer that the wanted type does not hold. */
static moire_status bad_integer(const reader *r, int64_t row, const void *element) {
  char what[80];
  int64_t value = 0;
  if (r->array->dtype == MOIRE__ST_U64) {
    uint64_t v;
    memcpy(&v, element, sizeof v);
    snprintf(what, sizeof what, "%" PRIu64 ", which %s cannot hold", v, type_name(r->type));
  } else {
    moire__element_convert(r->array->dtype, element, 1, MOIRE_I64, &value, NULL);
    snprintf(what, sizeof what, "%" PRId64 ", which %s cannot hold", value, type_name(r->type));
  }
  return bad_value(r, row, what);
}

/* A number of which `type` makes none that is finite. */
static moire_status bad_float(const reader *r, int64_t row, const void *element) {
  double parts[2] = {0};
  if (r->array->dtype == MOIRE__ST_C128) {
    memcpy(parts, element, sizeof parts);
  } else if (r->array->dtype == MOIRE__ST_C64) {
    float pair[2];
    memcpy(pair, element, sizeof pair);
    parts[0] = pair[0];
    parts[1] = pair[1];
  } else {
    moire__element_convert(r->array->dtype, element, 1, MOIRE_F64, parts, NULL);
  }
  if (isnan(parts[0]) || isnan(parts[1])) return bad_value(r, row, "a NaN");
  if (isinf(parts[0]) || isinf(parts[1])) return bad_value(r, row, "an infinity");
  char what[80];
  double larger = fabs(parts[0]) > fabs(parts[1]) ? parts[0] : parts[1];
  snprintf(what, sizeof what, "%g, which %s cannot hold", larger, type_name(r->type));
  return bad_value(r, row, what);
}

/* Names the first element of a piece that is in the way. */
static moire_status find_bad(const reader *r, int64_t row, const char *piece, int64_t n) {
  size_t size = moire__st_dtype_size(r->array->dtype);
  union {
    double real;
    float parts[2];
    int64_t whole;
  } one;
  for (int64_t i = 0; i < n; i++) {
    const char *element = piece + (size_t)i * size;
    if (!moire__element_convert(r->array->dtype, element, 1, r->type, &one, NULL))
      return bad_integer(r, row, element);
    if (!all_finite(r->type, &one, NULL, 1)) return bad_float(r, row, element);
  }
  return moire_fail(r->error, MOIRE_ERROR_INTERNAL, "%s: row %" PRId64 " changed while it was read",
                    r->array->path, row);
}

/* Reads one row. `imaginary` may be NULL, and `out`: then nothing is kept. */
static moire_status read_row(const reader *r, int64_t row, char *out, float *imaginary) {
  const moire__array *a = r->array;
  size_t size = moire__st_dtype_size(a->dtype);
  size_t out_size = r->type == MOIRE_C64 ? (imaginary ? 4 : 8) : moire__dtype_bytes(r->type);
  _Alignas(LARGEST_ELEMENT) char piece[PIECE * LARGEST_ELEMENT];
  _Alignas(LARGEST_ELEMENT) char passed[PIECE * 8];
  walk w;
  for (int64_t first = 0; first < r->width; first += PIECE) {
    int64_t n = r->width - first < PIECE ? r->width - first : PIECE;
    char *to = out ? out + (size_t)first * out_size : passed;
    float *plane = imaginary ? imaginary + first : NULL;
    gather(a, row, r->width, first, n, &w, piece);
    if (a->swapped && size > 1) moire__element_swap(a->dtype, piece, n);
    if (!moire__element_convert(a->dtype, piece, n, r->type, to, plane) ||
        (r->checked && !all_finite(r->type, to, plane, n)))
      return find_bad(r, row, piece, n);
  }
  return MOIRE_OK;
}

static moire_status read_rows(const reader *r, const int64_t *rows, int64_t n, char *out, float *imaginary) {
  const moire__array *a = r->array;
  moire_status status = moire__array_check_type(a, r->type, r->error);
  if (status || r->width == 0) return status;
  size_t out_size = r->type == MOIRE_C64 ? (imaginary ? 4 : 8) : moire__dtype_bytes(r->type);
  size_t out_bytes = (size_t)r->width * out_size;
  bool same = out && moire__element_is(a->dtype, r->type) && !imaginary && !a->swapped && lies_together(a);
  for (int64_t i = 0; i < n && !status; i++) {
    int64_t row = rows ? rows[i] : i;
    char *to = out ? out + (size_t)i * out_bytes : NULL;
    if (row < 0 || row >= moire__array_rows(a))
      return moire_fail(r->error, MOIRE_ERROR_ARGUMENT, "%s: %s: has no row %" PRId64 ", but %" PRId64 " rows",
                        a->path, a->name, row, moire__array_rows(a));
    if (same) memcpy(to, (const char *)a->data + (size_t)row * out_bytes, out_bytes);
    if (same && (!r->checked || all_finite(r->type, to, NULL, r->width))) continue;
    status = read_row(r, row, to, imaginary ? imaginary + i * r->width : NULL);
  }
  return status;
}

moire_status moire__array_read_rows(const moire__array *array, moire_dtype type, const int64_t *rows, int64_t n,
                                    void *out, float *imaginary, moire_error *error) {
  reader r = {array, type, true, moire__array_width(array), error};
  return read_rows(&r, rows, n, out, imaginary);
}

moire_status moire__array_copy(const moire__array *array, moire_dtype type, void *out, float *imaginary,
                               moire_error *error) {
  reader r = {array, type, false, moire__array_width(array), error};
  return read_rows(&r, NULL, moire__array_rows(array), out, imaginary);
}

moire_status moire__array_check_values(const moire__array *array, moire_dtype type, moire_error *error) {
  reader r = {array, type, true, moire__array_width(array), error};
  return read_rows(&r, NULL, moire__array_rows(array), NULL, NULL);
}

/* ---- Fingerprints -----------------------------------------------------------------------------------------
 */

uint64_t moire__array_fingerprint(const moire__array *a, uint64_t hash) {
  enum { PLACES = 1024, PLACE = 1 << 16 };
  const unsigned char *data = a->data;
  size_t bytes = moire__array_bytes(a);
  hash = moire__fnv(hash, moire__hash_bytes((const unsigned char *)a->name, strlen(a->name)));
  hash = moire__fnv(hash, (uint64_t)a->dtype << 16 | (uint64_t)a->swapped << 9 | (uint64_t)a->fortran << 8 |
                              (uint64_t)a->rank);
  for (int i = 0; i < a->rank; i++) hash = moire__fnv(hash, (uint64_t)a->shape[i]);
  if (bytes <= (size_t)PLACES * PLACE) return moire__fnv(hash, moire__hash_bytes(data, bytes));
  for (size_t i = 0; i < PLACES; i++) {
    size_t at = (bytes - PLACE) / (PLACES - 1) * i;
    if (i == PLACES - 1) at = bytes - PLACE;
    hash = moire__fnv(hash, moire__hash_bytes(data + at, PLACE));
  }
  return hash;
}
