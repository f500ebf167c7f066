#include "runtime/text/token_rows.h"

#include "runtime/base/memory.h"
#include "runtime/files/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST_ROW = 1 << 24, MOST_IN_16_BITS = 1 << 16 };

moire_status moire__token_rows_start(moire__token_rows *rows, const moire__tokenizer *tokenizer,
                                     const char *name, int64_t length, moire_error *error) {
  const moire__pieces *p = moire__tokenizer_pieces(tokenizer);
  *rows = (moire__token_rows){.tokenizer = tokenizer, .length = length};
  if (p->bos < 0 || p->eos < 0)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "%s: it has no %s, which rows begin and texts end with",
                      name, p->bos < 0 ? "BOS" : "EOS");
  if (length >= 2 && length <= LONGEST_ROW) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT, "wanted rows of 2 to %d ids, got %" PRId64, LONGEST_ROW,
                    length);
}

void moire__token_rows_free(moire__token_rows *rows) {
  moire__release(rows->ids);
  moire__release(rows->lengths);
  moire__release(rows->bytes);
  moire__release(rows->sources);
}

static void grow(moire__token_rows *rows) {
  if (rows->n < rows->capacity) return;
  rows->capacity = 2 * rows->capacity + 256;
  size_t n = (size_t)rows->capacity;
  rows->ids = moire__resize(rows->ids, n * (size_t)rows->length * sizeof *rows->ids);
  rows->lengths = moire__resize(rows->lengths, n * sizeof *rows->lengths);
  rows->bytes = moire__resize(rows->bytes, n * sizeof *rows->bytes);
  rows->sources = moire__resize(rows->sources, n);
}

static int32_t pad_of(const moire__pieces *p) { return p->pad >= 0 ? p->pad : 0; }

/* One row of the stream's next n ids; `before` bytes were put in front by the tokenizer. */
static void add_row(moire__token_rows *rows, const int32_t *stream, size_t n, size_t before, int source) {
  const moire__pieces *p = moire__tokenizer_pieces(rows->tokenizer);
  grow(rows);
  int32_t *ids = rows->ids + rows->n * rows->length;
  size_t bytes = 0;
  ids[0] = p->bos;
  for (size_t i = 0; i < n; i++) {
    ids[i + 1] = stream[i];
    bytes += moire__pieces_text_bytes(p, stream[i]);
  }
  for (int64_t i = (int64_t)n + 1; i < rows->length; i++) ids[i] = pad_of(p);
  rows->lengths[rows->n] = (int32_t)n + 1;
  rows->bytes[rows->n] = (int32_t)(bytes > before ? bytes - before : 0);
  rows->sources[rows->n++] = (uint8_t)source;
  rows->tokens += (int64_t)n;
}

moire_status moire__token_rows_add(moire__token_rows *rows, const char *text, size_t n, bool is_cut, int source,
                                   moire_error *error) {
  const moire__pieces *p = moire__tokenizer_pieces(rows->tokenizer);
  int32_t *stream = NULL;
  size_t n_ids = 0, width = (size_t)rows->length - 1;
  moire_status status = moire__tokenizer_encode(rows->tokenizer, text, n, &stream, &n_ids, error);
  if (status) return status;
  stream[n_ids] = p->eos; /* there is room for one more */
  for (size_t at = 0; at <= n_ids && (at == 0 || !is_cut); at += width) {
    size_t left = n_ids + 1 - at;
    if (left == 1) break;
    add_row(rows, stream + at, left < width ? left : width, at == 0 && p->space_in_front, source);
  }
  rows->texts++;
  moire__release(stream);
  return MOIRE_OK;
}

/* ---- order ----------------------------------------------------------------------------------------------- */

/* SplitMix64 (G. Steele, D. Lea, C. Flood: Fast splittable pseudorandom number generators, 2014). */
static uint64_t next(uint64_t *state) {
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

static void exchange(void *list, size_t size, int64_t i, int64_t j, void *spare) {
  char *a = (char *)list + (size_t)i * size, *b = (char *)list + (size_t)j * size;
  memcpy(spare, a, size);
  memmove(a, b, size);
  memcpy(b, spare, size);
}

void moire__token_rows_shuffle(moire__token_rows *rows, uint64_t seed) {
  size_t row = (size_t)rows->length * sizeof *rows->ids;
  void *spare = moire__allocate(row);
  for (int64_t i = rows->n - 1; i > 0; i--) {
    int64_t j = (int64_t)(next(&seed) % ((uint64_t)i + 1));
    exchange(rows->ids, row, i, j, spare);
    exchange(rows->lengths, sizeof *rows->lengths, i, j, spare);
    exchange(rows->bytes, sizeof *rows->bytes, i, j, spare);
    exchange(rows->sources, 1, i, j, spare);
  }
  moire__release(spare);
}

/* ---- the file -------------------------------------------------------------------------------------------- */

moire_status moire__token_rows_write(const moire__token_rows *rows, const char *path, const char *name,
                                     moire_error *error) {
  const moire__pieces *p = moire__tokenizer_pieces(rows->tokenizer);
  bool is_short = p->n <= MOST_IN_16_BITS;
  size_t elements = (size_t)(rows->n * rows->length);
  uint16_t *narrow = moire__allocate_array(is_short ? elements + 1 : 1, sizeof *narrow);
  for (size_t i = 0; i < elements && is_short; i++) narrow[i] = (uint16_t)rows->ids[i];
  char numbers[4][24];
  const int32_t values[] = {p->n, p->bos, p->eos, pad_of(p)};
  for (int i = 0; i < 4; i++) snprintf(numbers[i], sizeof numbers[i], "%d", (int)values[i]);
  const moire__st_metadata metadata[] = {{"format", "tokens/1"}, {"vocab_size", numbers[0]},
                                         {"bos", numbers[1]},    {"eos", numbers[2]},
                                         {"pad", numbers[3]},    {"tokenizer", name}};
  const moire__st_tensor tensors[] = {
      {.name = "input_ids",
       .dtype = is_short ? MOIRE__ST_U16 : MOIRE__ST_U32,
       .rank = 2,
       .shape = {rows->n, rows->length},
       .data = is_short ? (const void *)narrow : rows->ids},
      {.name = "lengths", .dtype = MOIRE__ST_I32, .rank = 1, .shape = {rows->n}, .data = rows->lengths},
      {.name = "bytes", .dtype = MOIRE__ST_I32, .rank = 1, .shape = {rows->n}, .data = rows->bytes},
      {.name = "source", .dtype = MOIRE__ST_U8, .rank = 1, .shape = {rows->n}, .data = rows->sources},
  };
  moire_status status = moire__safetensors_write(path, tensors, sizeof tensors / sizeof *tensors, metadata,
                                                 sizeof metadata / sizeof *metadata, error);
  moire__release(narrow);
  return status;
}
