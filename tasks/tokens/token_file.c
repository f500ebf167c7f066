/* Reading token files. See token_file.h. */
#include "tasks/tokens/token_file.h"

#include "runtime/base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static moire_status bad_metadata(const moire__token_file *f, const char *key, const char *wanted,
                                 moire_error *error) {
  const char *text = moire__tensor_source_metadata(f->file, key);
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata %s: wanted %s, but %.80s came",
                    moire__token_file_path(f), key, wanted, text ? text : "nothing");
}

static moire_status read_number(const moire__token_file *f, const char *key, int64_t low, int64_t high,
                                int64_t *out, moire_error *error) {
  const char *text = moire__tensor_source_metadata(f->file, key);
  char *end = NULL;
  *out = text ? strtoll(text, &end, 10) : 0;
  if (text && end != text && !*end && *out >= low && *out <= high) return MOIRE_OK;
  char wanted[80];
  snprintf(wanted, sizeof wanted, "a whole number from %" PRId64 " to %" PRId64, low, high);
  return bad_metadata(f, key, wanted, error);
}

static moire_status read_metadata(moire__token_file *f, moire_error *error) {
  const char *format = moire__tensor_source_metadata(f->file, "format");
  if (!format || strcmp(format, MOIRE__TOKENS_FORMAT) != 0)
    return bad_metadata(f, "format", MOIRE__TOKENS_FORMAT ", a token file", error);
  f->tokenizer = moire__tensor_source_metadata(f->file, "tokenizer");
  moire_status status = read_number(f, "vocab_size", 2, 16777216, &f->words, error);
  if (!status) status = read_number(f, "bos", -1, f->words - 1, &f->bos, error);
  if (!status) status = read_number(f, "eos", -1, f->words - 1, &f->eos, error);
  return status ? status : read_number(f, "pad", 0, f->words - 1, &f->pad, error);
}

/* A tensor of n whole numbers as i32; where there is none and `fill` is not negative, that of each. */
static moire_status read_column(moire__token_file *f, const char *name, int64_t fill, int32_t **out,
                                moire_error *error) {
  const moire__array *array = moire__tensor_source_find(f->file, name);
  *out = moire__allocate_array((size_t)f->n + 1, sizeof **out);
  if (!array && fill >= 0) {
    for (int64_t i = 0; i < f->n; i++) (*out)[i] = (int32_t)fill;
    return MOIRE_OK;
  }
  moire_status status = moire__tensor_source_take(f->file, name, MOIRE_I32, 1, (int64_t[]){0}, &array, error);
  int64_t rows = 0;
  if (!status) status = moire__arrays_rows((const moire__array *[]){f->ids, array}, 2, &rows, error);
  return status ? status : moire__array_copy(array, MOIRE_I32, *out, NULL, error);
}

static moire_status check_lengths(const moire__token_file *f, moire_error *error) {
  for (int64_t i = 0; i < f->n; i++) {
    if (f->lengths[i] >= 0 && f->lengths[i] <= f->length) continue;
    return moire_fail(error, MOIRE_ERROR_FORMAT,
                      "%s: row %" PRId64 " has length %d, wanted 0 to %" PRId64 ", the positions of a row",
                      moire__token_file_path(f), i, f->lengths[i], f->length);
  }
  return MOIRE_OK;
}

/* Ids of a type that holds no others than the vocabulary need not be looked at. */
static moire_status check_ids(const moire__token_file *f, moire_error *error) {
  int32_t *row = moire__allocate_array((size_t)f->length + 1, sizeof *row);
  moire_status status = MOIRE_OK;
  for (int64_t i = 0; i < f->n && !status; i++) {
    status = moire__array_read_rows(f->ids, MOIRE_I32, &i, 1, row, NULL, error);
    for (int64_t t = 0; t < f->length && !status; t++) {
      if (row[t] >= 0 && row[t] < f->words) continue;
      status = moire_fail(error, MOIRE_ERROR_FORMAT,
                          "%s: row %" PRId64 ", position %" PRId64 " has id %d, but vocab_size is %" PRId64,
                          moire__token_file_path(f), i, t, row[t], f->words);
    }
  }
  moire__release(row);
  return status;
}

static moire_status read_tensors(moire__token_file *f, moire_error *error) {
  moire_status status = moire__tensor_source_need(f->file, "input_ids", &f->ids, error);
  if (status) return status;
  if (f->ids->rank != 2 || f->ids->shape[1] < 1 || f->ids->shape[1] > 1048576)
    return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: input_ids: wanted rows of 1 to 1048576 positions",
                      moire__token_file_path(f));
  f->n = f->ids->shape[0];
  f->length = f->ids->shape[1];
  int32_t *sources = NULL;
  status = moire__array_check_type(f->ids, MOIRE_I32, error);
  if (!status) status = read_column(f, "lengths", -1, &f->lengths, error);
  if (!status) status = read_column(f, "bytes", 0, &f->bytes, error);
  if (!status) status = read_column(f, "source", 0, &sources, error);
  f->sources = moire__allocate_array((size_t)f->n + 1, 1);
  for (int64_t i = 0; i < f->n && !status; i++) f->sources[i] = (uint8_t)sources[i];
  moire__release(sources);
  if (!status) status = check_lengths(f, error);
  return status ? status : check_ids(f, error);
}

moire_status moire__token_file_open(const char *path, moire__token_file **out, moire_error *error) {
  moire__token_file *f = *out = moire__allocate(sizeof *f);
  *f = (moire__token_file){0};
  moire_status status = moire__tensor_source_open(path, &f->file, error);
  if (!status) status = read_metadata(f, error);
  if (!status) status = read_tensors(f, error);
  if (!status) {
    f->fingerprint = moire__array_fingerprint(f->ids, (uint64_t)f->words);
    return MOIRE_OK;
  }
  moire__token_file_close(f);
  *out = NULL;
  return status;
}

void moire__token_file_close(moire__token_file *f) {
  if (!f) return;
  moire__tensor_source_close(f->file);
  moire__release(f->lengths);
  moire__release(f->bytes);
  moire__release(f->sources);
  moire__release(f);
}

const char *moire__token_file_path(const moire__token_file *f) { return moire__tensor_source_path(f->file); }

int64_t moire__token_file_targets(const moire__token_file *f, int64_t row) {
  return f->lengths[row] > 1 ? f->lengths[row] - 1 : 0;
}
