/* moire teach: the largest logits of a language model for every position of a token file (teacher.h).
 *
 * Rows are written one by one to PATH.partial, behind a line that says of what they are. A run that ended early
 * is continued from the last whole row, if that line is the same; at the end the file is made of it. */
#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/files/tensor_writer.h"
#include "runtime/text/sampling.h"
#include "runtime/train/progress.h"
#include "tasks/tokens/teacher.h"
#include "tasks/tokens/tokens.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 256 };

typedef struct teaching {
  const moire__teach_job *job;
  const moire__token_file *file;
  moire_runner *runner;
  moire__samples samples; /* of the file's rows */
  int64_t top, words, done;
  char *partial;   /* path, owned */
  char line[LINE]; /* what the partial file is of, padded with spaces, a newline at the end */
  FILE *stream;
  float *values;    /* [T, K] of a row */
  int32_t *indices; /* [T, K] */
  double *logits;   /* [V] */
  int32_t *order;   /* [V] */
} teaching;

static size_t row_bytes(const teaching *t) {
  return (size_t)(t->file->length * t->top) * (sizeof *t->values + sizeof *t->indices);
}

static moire_status failed(const teaching *t, moire_error *error) {
  return moire_fail(error, MOIRE_ERROR_IO, "%s: %s", t->partial, strerror(errno));
}

/* ---- The partial file
 * ----------------------------------------------------------------------------------------- */

/* Goes to the end of the last whole row, of a file that is this job's; else begins anew. */
static moire_status open_partial(teaching *t, uint64_t weights, moire_error *error) {
  char found[LINE] = "";
  int n = snprintf(t->line, sizeof t->line,
                   "moire teach 1: weights %016" PRIx64 ", tokens %016" PRIx64 ", top %" PRId64
                   ", rows %" PRId64 " of %" PRId64,
                   weights, t->file->fingerprint, t->top, t->file->n, t->file->length);
  memset(t->line + n, ' ', (size_t)(LINE - n));
  t->line[LINE - 1] = '\n';
  t->stream = fopen(t->partial, "r+b");
  bool same = t->stream && fread(found, 1, LINE, t->stream) == LINE && !memcmp(found, t->line, LINE);
  if (same && !fseek(t->stream, 0, SEEK_END)) {
    long size = ftell(t->stream);
    t->done = size < LINE ? 0 : (size - LINE) / (int64_t)row_bytes(t);
    if (t->done > t->file->n) t->done = t->file->n;
    long end = (long)(LINE + t->done * (int64_t)row_bytes(t));
    if (!fseek(t->stream, end, SEEK_SET)) return MOIRE_OK;
  }
  if (t->stream) fclose(t->stream);
  t->stream = fopen(t->partial, "w+b");
  if (!t->stream || fwrite(t->line, 1, LINE, t->stream) != LINE) return failed(t, error);
  return MOIRE_OK;
}

static moire_status write_row(teaching *t, moire_error *error) {
  size_t n = (size_t)(t->file->length * t->top);
  bool good = fwrite(t->values, sizeof *t->values, n, t->stream) == n &&
              fwrite(t->indices, sizeof *t->indices, n, t->stream) == n;
  return good ? MOIRE_OK : failed(t, error);
}

static moire_status read_row(teaching *t, moire_error *error) {
  size_t n = (size_t)(t->file->length * t->top);
  bool good = fread(t->values, sizeof *t->values, n, t->stream) == n &&
              fread(t->indices, sizeof *t->indices, n, t->stream) == n;
  if (good) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_IO, "%s: was cut short meanwhile", t->partial);
}

/* ---- Rows
 * ----------------------------------------------------------------------------------------------------- */

/* Where a word follows, the K largest logits; zeros elsewhere. */
static moire_status take_row(teaching *t, const float *logits, int64_t row, moire_error *error) {
  size_t n = (size_t)(t->file->length * t->top);
  memset(t->values, 0, n * sizeof *t->values);
  memset(t->indices, 0, n * sizeof *t->indices);
  for (int64_t at = 0; at < moire__token_file_targets(t->file, row); at++) {
    for (int64_t v = 0; v < t->words; v++) {
      t->logits[v] = (double)logits[at * t->words + v];
      if (isfinite(t->logits[v])) continue;
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "row %" PRId64 ", position %" PRId64 ": a logit is %g",
                        row, at, t->logits[v]);
    }
    moire__sampling_first(t->logits, t->words, t->top, t->order);
    for (int64_t k = 0; k < t->top; k++) {
      t->indices[at * t->top + k] = t->order[k];
      t->values[at * t->top + k] = (float)t->logits[t->order[k]];
    }
  }
  return write_row(t, error);
}

static moire_status take_rows(teaching *t, int64_t batch, moire_error *error) {
  int64_t *order = moire__allocate_array((size_t)batch, sizeof *order);
  moire__progress bar = moire__progress_start("rows", "row", t->file->n);
  moire_status status = MOIRE_OK;
  while (t->done < t->file->n && !status) {
    int64_t n = t->file->n - t->done < batch ? t->file->n - t->done : batch, elements = 0;
    for (int64_t i = 0; i < n; i++) order[i] = t->done + i;
    status = moire_runner_set_extent(t->runner, "B", n, error);
    if (!status) status = t->samples.give(t->samples.context, t->runner, order, n, error);
    if (!status) status = moire_runner_run(t->runner, error);
    const float *logits = status ? NULL : moire_runner_output(t->runner, "logits", &elements);
    for (int64_t i = 0; i < n && !status; i++)
      status = take_row(t, logits + i * t->file->length * t->words, t->done + i, error);
    if (!status && fflush(t->stream)) status = failed(t, error);
    if (!status) t->done += n;
    moire__progress_update(&bar, t->done, "rows");
  }
  moire__progress_finish(&bar);
  moire__release(order);
  return status;
}

/* ---- The file
 * ------------------------------------------------------------------------------------------------- */

static void narrow_indices(const teaching *t, uint16_t *out) {
  for (int64_t i = 0; i < t->file->length * t->top; i++) out[i] = (uint16_t)t->indices[i];
}

/* Values, then indices: the partial file is read once for each. */
static moire_status write_tensor(teaching *t, moire__tensor_writer *writer, int tensor, bool narrow,
                                 moire_error *error) {
  uint16_t *halves = moire__allocate_array((size_t)(t->file->length * t->top) + 1, sizeof *halves);
  moire_status status = fseek(t->stream, LINE, SEEK_SET) ? failed(t, error) : MOIRE_OK;
  for (int64_t row = 0; row < t->file->n && !status; row++) {
    status = read_row(t, error);
    if (narrow) narrow_indices(t, halves);
    const void *data = tensor == 0 ? (const void *)t->values : narrow ? (const void *)halves : t->indices;
    if (!status) status = moire__tensor_writer_append(writer, tensor, data, NULL, 1, error);
  }
  moire__release(halves);
  return status;
}

static moire_status write_file(teaching *t, moire_error *error) {
  bool narrow = t->words <= 65536;
  const char *path = moire__token_file_path(t->file), *slash = strrchr(path, '/');
  char words[32];
  snprintf(words, sizeof words, "%" PRId64, t->words);
  const moire__st_tensor tensors[] = {
      {.name = "values", .dtype = MOIRE__ST_F32, .rank = 3, .shape = {t->file->n, t->file->length, t->top}},
      {.name = "indices",
       .dtype = narrow ? MOIRE__ST_U16 : MOIRE__ST_U32,
       .rank = 3,
       .shape = {t->file->n, t->file->length, t->top}}};
  const moire__st_metadata metadata[] = {{"format", MOIRE__TEACHER_FORMAT},
                                         {"tokens", slash ? slash + 1 : path},
                                         {"temperature", "1"},
                                         {"vocab_size", words}};
  moire__tensor_writer *writer = NULL;
  moire_status status = moire__tensor_writer_open(t->job->path, tensors, 2, metadata, 4, &writer, error);
  for (int i = 0; i < 2 && !status; i++) status = write_tensor(t, writer, i, narrow, error);
  status = moire__tensor_writer_close(writer, status, error);
  if (!status && unlink(t->partial)) status = failed(t, error);
  return status;
}

/* ---- The verb
 * ------------------------------------------------------------------------------------------------- */

static uint64_t fingerprint_of(const moire__safetensors *file) {
  uint64_t hash = 0;
  for (int i = 0; i < moire__safetensors_count(file); i++) {
    moire__array array = moire__array_of_tensor("", moire__safetensors_at(file, i));
    hash = moire__array_fingerprint(&array, hash);
  }
  return hash;
}

static moire_status prepare(teaching *t, moire__predictor *p, moire__tokens *data, uint64_t *weights,
                            moire_error *error) {
  static const char *const outputs[] = {"logits"};
  moire_status status = moire__token_file_open(t->job->files.data, &data->files[0], error);
  t->file = data->files[0];
  if (!status) status = moire__tokens_distil(&p->setup, NULL, error);
  if (!status) status = moire__tokens_fit(&p->setup, t->file, moire__predictor_where(p), error);
  if (status) return status;
  t->words = t->file->words;
  if (t->top > t->words)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "--top: wanted at most the %" PRId64 " words, got %" PRId64,
                      t->words, t->top);
  *weights = fingerprint_of(p->file);
  status = moire__predictor_compile(p, outputs, 1, error);
  t->runner = p->runner;
  return status;
}

static moire_status run(teaching *t, moire__predictor *p, uint64_t weights, moire_error *error) {
  int64_t batch = t->job->batch ? t->job->batch : moire_config_int(p->setup.training, "eval_batch_size");
  size_t row = (size_t)(t->file->length * t->top) + 1, words = (size_t)t->words + 1;
  moire__text partial = {0};
  moire__text_add(&partial, "%s.partial", t->job->path);
  t->partial = partial.data;
  t->samples = moire__tokens_samples(t->file, NULL, batch);
  t->values = moire__allocate_array(row, sizeof *t->values);
  t->indices = moire__allocate_array(row, sizeof *t->indices);
  t->logits = moire__allocate_array(words, sizeof *t->logits);
  t->order = moire__allocate_array(words, sizeof *t->order);
  moire_status status = open_partial(t, weights, error);
  if (!status && t->done) fprintf(stderr, "%s: %" PRId64 " rows are there\n", t->partial, t->done);
  if (!status) status = take_rows(t, batch, error);
  if (!status) status = write_file(t, error);
  if (t->stream) fclose(t->stream);
  moire__samples_free(&t->samples);
  moire__release(t->values);
  moire__release(t->indices);
  moire__release(t->logits);
  moire__release(t->order);
  moire__release(t->partial);
  return status;
}

moire_status moire__tokens_teach(moire__predictor *p, const moire__teach_job *job, moire_error *error) {
  moire__tokens *data = p->setup.data = moire__allocate(sizeof *data);
  *data = (moire__tokens){0};
  teaching t = {.job = job, .top = job->top};
  uint64_t weights = 0;
  moire_status status = prepare(&t, p, data, &weights, error);
  return status ? status : run(&t, p, weights, error);
}
