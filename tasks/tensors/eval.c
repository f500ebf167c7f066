/* moire eval of a model of tensors: its loss and metrics on data. See tensors.h. */
#include "tasks/tensors/tensors.h"

#include "runtime/base/memory.h"

/* All rows of --data, or the part that a training with the same configuration would have kept. */
static moire_status read_rows(moire__predictor *p, const moire__eval_job *job, moire__tensors_rows *rows,
                              moire_error *error) {
  moire__setup *setup = &p->setup;
  if (job->split) {
    moire_status status = moire__tensors_read(setup, &job->files, moire__predictor_where(p), error);
    const moire__tensors *t = setup->data;
    if (!status) *rows = job->valid ? t->valid : t->test;
    return status;
  }
  moire_status status = moire__setup_build(setup, moire__predictor_where(p), error);
  if (status) return status;
  moire__tensors *t = setup->data = moire__allocate(sizeof *t);
  status = moire__tensors_inputs(setup, t, error);
  if (!status) status = moire__tensor_source_open(job->files.data, &t->sources[0], error);
  if (!status) status = moire__tensors_open_rows(t, t->sources[0], rows, error);
  if (!status) status = moire__tensors_need(t, rows, NULL, error);
  if (!status && !rows->n) status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: has no rows", job->files.data);
  return status;
}

moire_status moire__tensors_eval(moire__predictor *p, const moire__eval_job *job, moire__terms *terms,
                                 moire_error *error) {
  if (job->ranks)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "--ranks: %s ranks nothing; wanted --values FILE",
                      p->setup.model->name);
  moire__tensors_rows rows = {0};
  moire__arena arena = {0};
  moire__tensors_measured measured = {0};
  moire_status status = read_rows(p, job, &rows, error);
  if (!status) status = moire__tensors_find_measures(&p->setup, &arena, &measured, error);
  if (!status) status = moire__predictor_compile(p, measured.outputs, measured.n, error);
  if (!status) {
    int64_t batch = job->batch ? job->batch : moire_config_int(p->setup.training, "eval_batch_size");
    int64_t first = 0, n = 0;
    moire__part_take(job->part, MOIRE__PART_TERMS, "row", rows.n, batch, &first, &n);
    status = moire__tensors_collect(p->setup.data, &rows, &measured, p->runner, first, n, batch, "samples",
                                    terms, error);
  }
  moire__arena_free(&arena);
  return status;
}
