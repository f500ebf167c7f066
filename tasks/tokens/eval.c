/* moire eval of a language model: on a token file, alone or against a teacher. */
#include "runtime/base/memory.h"
#include "tasks/tokens/measure.h"
#include "tasks/tokens/teacher.h"

/* The rows' mean -log p, for the paired bootstrap. */
static moire_status write_rows(const char *path, const moire__token_file *file, double *rows,
                               moire_error *error) {
  float *means = moire__allocate_array((size_t)file->n + 1, sizeof *means);
  for (int64_t i = 0; i < file->n; i++) {
    int64_t n = moire__token_file_targets(file, i);
    means[i] = (float)(rows[i] / (double)(n ? n : 1));
  }
  const moire__st_tensor tensor = {
      .name = "ce", .dtype = MOIRE__ST_F32, .rank = 1, .shape = {file->n}, .data = means};
  moire_status status = moire__safetensors_write(path, &tensor, 1, NULL, 0, error);
  moire__release(means);
  return status;
}

moire_status moire__tokens_eval(moire__predictor *p, const moire__eval_job *job, moire__measures *measures,
                                moire_error *error) {
  if (job->ranks)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "--ranks: %s ranks no targets of users; wanted --values FILE", p->setup.model->name);
  moire__tokens *t = p->setup.data = moire__allocate(sizeof *t);
  *t = (moire__tokens){0};
  const char *teacher = job->teacher;
  moire_status status = moire__token_file_open(job->files.data, &t->files[0], error);
  if (!status && teacher) status = moire__teacher_open(teacher, t->files[0], &t->teacher, error);
  if (!status) status = moire__tokens_distil(&p->setup, t->teacher, error);
  if (!status) status = moire__tokens_fit(&p->setup, t->files[0], moire__predictor_where(p), error);
  if (!status)
    status = moire__predictor_compile(p, moire__tokens_measured, moire__tokens_measured_count(teacher != NULL),
                                      error);
  if (status) return status;
  if (teacher) moire__teacher_set_threads(t->teacher, p->sources->threads);
  int64_t batch = job->batch ? job->batch : moire_config_int(p->setup.training, "eval_batch_size");
  double *rows = moire__allocate_array((size_t)t->files[0]->n + 1, sizeof *rows);
  status = moire__tokens_measure(t->files[0], t->teacher, p->runner, batch, "rows", measures, rows, error);
  if (!status && job->values) status = write_rows(job->values, t->files[0], rows, error);
  moire__release(rows);
  return status;
}
