/* Teachers. See teacher.h. */
#include "tasks/tokens/teacher.h"

#include "runtime/base/memory.h"
#include "tasks/task.h"
#include "tasks/tokens/tokens.h"

#include <inttypes.h>
#include <string.h>

struct moire__teacher {
  const char *path; /* borrows */
  int threads;
  moire__tensor_source *file; /* of logits, owned; NULL: a live one, */
  const moire__array *values, *indices;
  int64_t rows, length, top;
  int64_t capacity; /* rows that the next two hold */
  float *given_values;
  int32_t *given_indices;
  moire__sources sources; /* … of this checkpoint */
  moire__predictor predictor;
  bool compiled;
};

/* ---- Stored logits
 * -------------------------------------------------------------------------------------------- */

static moire_status open_stored(moire__teacher *t, const moire__token_file *file, moire_error *error) {
  const char *heat = moire__tensor_source_metadata(t->file, "temperature");
  if (heat && strcmp(heat, "1") != 0)
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata temperature: wanted 1, but %.40s came", t->path,
                      heat);
  moire_status status = moire__tensor_source_need(t->file, "values", &t->values, error);
  if (!status) status = moire__tensor_source_need(t->file, "indices", &t->indices, error);
  if (!status) status = moire__array_check_type(t->values, MOIRE_F32, error);
  if (!status) status = moire__array_check_type(t->indices, MOIRE_I32, error);
  if (status) return status;
  bool alike = t->values->rank == 3 && t->indices->rank == 3;
  for (int i = 0; alike && i < 3; i++) alike = t->values->shape[i] == t->indices->shape[i];
  if (!alike || t->values->shape[2] < 1)
    return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: wanted values and indices [rows, positions, K] alike",
                      t->path);
  t->rows = t->values->shape[0];
  t->length = t->values->shape[1];
  t->top = t->values->shape[2];
  if (t->rows == file->n && t->length == file->length && t->top <= file->words) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_SHAPE,
                    "%s: has %" PRId64 " rows of %" PRId64 " positions and the largest %" PRId64
                    " logits, but %s has %" PRId64 " rows of %" PRId64 " and %" PRId64 " words",
                    t->path, t->rows, t->length, t->top, moire__token_file_path(file), file->n, file->length,
                    file->words);
}

static moire_status make_room(moire__teacher *t, int64_t n) {
  if (n <= t->capacity) return MOIRE_OK;
  size_t elements = (size_t)(n * t->length * t->top);
  moire__release_aligned(t->given_values);
  moire__release_aligned(t->given_indices);
  t->given_values = moire__allocate_aligned(elements * sizeof *t->given_values, 64);
  t->given_indices = moire__allocate_aligned(elements * sizeof *t->given_indices, 64);
  t->capacity = n;
  return MOIRE_OK;
}

static moire_status check_indices(const moire__teacher *t, const moire__token_file *file, int64_t n,
                                  moire_error *error) {
  for (int64_t i = 0; i < n * t->length * t->top; i++) {
    if (t->given_indices[i] >= 0 && t->given_indices[i] < file->words) continue;
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: indices hold %d, but vocab_size is %" PRId64, t->path,
                      t->given_indices[i], file->words);
  }
  return MOIRE_OK;
}

static moire_status give_stored(moire__teacher *t, const moire__token_file *file, moire_runner *student,
                                const int64_t *rows, int64_t n, moire_error *error) {
  int64_t elements = n * t->length * t->top;
  moire_status status = make_room(t, n);
  if (!status) status = moire__array_read_rows(t->values, MOIRE_F32, rows, n, t->given_values, NULL, error);
  if (!status) status = moire__array_read_rows(t->indices, MOIRE_I32, rows, n, t->given_indices, NULL, error);
  if (!status) status = check_indices(t, file, n, error);
  if (!status) status = moire_runner_set_input(student, "teacher_values", t->given_values, elements, error);
  if (!status) status = moire_runner_set_input(student, "teacher_indices", t->given_indices, elements, error);
  return status;
}

/* ---- Live ones
 * ------------------------------------------------------------------------------------------------ */

static moire_status open_live(moire__teacher *t, const moire__token_file *file, moire_error *error) {
  t->sources = (moire__sources){.checkpoint = t->path, .threads = t->threads};
  moire_status status = moire__predictor_open(&t->predictor, &t->sources, error);
  if (status) return status;
  moire__setup *setup = &t->predictor.setup;
  if (setup->task != moire__task_find("tokens"))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: holds %s, wanted a language model as a teacher",
                      t->path, setup->task->title);
  status = moire__config_table_set(&setup->table, t->path, "distil=none", error);
  return status ? status : moire__tokens_fit(setup, file, t->path, error);
}

moire_runner *moire__teacher_runner(moire__teacher *t, const moire__token_file *file, int threads,
                                    moire_error *error) {
  static const char *const outputs[] = {"logits"};
  (void)file;
  if (t->file) return NULL;
  if (!t->compiled) {
    t->sources.threads = threads;
    if (moire__predictor_compile(&t->predictor, outputs, 1, error)) return NULL;
    t->compiled = true;
  }
  return t->predictor.runner;
}

static moire_status give_live(moire__teacher *t, const moire__token_file *file, moire_runner *student,
                              int64_t n, const int32_t *ids, const int32_t *lengths, moire_error *error) {
  moire_runner *runner = moire__teacher_runner(t, file, t->threads, error);
  if (!runner) return MOIRE_ERROR_ARGUMENT;
  int64_t elements = 0;
  moire_status status = moire_runner_set_extent(runner, "B", n, error);
  if (!status) status = moire_runner_set_input(runner, "input_ids", ids, n * file->length, error);
  if (!status && moire_runner_has_input(runner, "lengths"))
    status = moire_runner_set_input(runner, "lengths", lengths, n, error);
  if (!status) status = moire_runner_run(runner, error);
  if (status) return status;
  const float *logits = moire_runner_output(runner, "logits", &elements);
  return moire_runner_set_input(student, "teacher_logits", logits, elements, error);
}

/* ---- Both
 * ----------------------------------------------------------------------------------------------------- */

moire_status moire__teacher_open(const char *path, const moire__token_file *file, moire__teacher **out,
                                 moire_error *error) {
  moire__teacher *t = *out = moire__allocate(sizeof *t);
  *t = (moire__teacher){.path = path, .threads = 1};
  moire_status status = moire__tensor_source_open(path, &t->file, error);
  const char *format = status ? NULL : moire__tensor_source_metadata(t->file, "format");
  if (!status && format && !strcmp(format, MOIRE__TEACHER_FORMAT)) {
    status = open_stored(t, file, error);
  } else if (!status) {
    moire__tensor_source_close(t->file);
    t->file = NULL;
    status = open_live(t, file, error);
  }
  if (!status) return MOIRE_OK;
  moire__teacher_close(t);
  *out = NULL;
  return status;
}

void moire__teacher_close(moire__teacher *t) {
  if (!t) return;
  moire__tensor_source_close(t->file);
  moire__predictor_free(&t->predictor);
  moire__release_aligned(t->given_values);
  moire__release_aligned(t->given_indices);
  moire__release(t);
}

int64_t moire__teacher_top(const moire__teacher *t) { return t->file ? t->top : 0; }

bool moire__teacher_knows(const moire__teacher *t, const moire__token_file *file) {
  return !t->file || (t->rows == file->n && t->length == file->length);
}

void moire__teacher_set_threads(moire__teacher *t, int threads) { t->threads = threads; }

moire_status moire__teacher_give(moire__teacher *t, const moire__token_file *file, moire_runner *student,
                                 const int64_t *rows, int64_t n, const int32_t *ids, const int32_t *lengths,
                                 moire_error *error) {
  if (t->file && moire_runner_has_input(student, "teacher_values"))
    return give_stored(t, file, student, rows, n, error);
  if (!t->file && moire_runner_has_input(student, "teacher_logits"))
    return give_live(t, file, student, n, ids, lengths, error);
  return MOIRE_OK;
}
