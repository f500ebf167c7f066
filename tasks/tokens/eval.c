/* moire eval of a language model: on a token file, alone or against a teacher. */
#include "runtime/base/memory.h"
#include "tasks/tokens/measure.h"
#include "tasks/tokens/teacher.h"

moire_status moire__tokens_eval(moire__predictor *p, const moire__eval_job *job, moire__terms *terms,
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
  int64_t first = 0, n = 0;
  moire__part_take(job->part, MOIRE__PART_TERMS, "row", t->files[0]->n, batch, &first, &n);
  return moire__tokens_collect(t->files[0], t->teacher, p->runner, first, n, batch, "rows", terms, error);
}
