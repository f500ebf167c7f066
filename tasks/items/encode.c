/* moire encode: features of items to their codes. */
#include "tasks/items/items.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "tasks/items/codes.h"

#include <string.h>

moire_status moire__items_codes(moire_runner *runner, const moire__features *f, int levels, int64_t batch,
                                int32_t *codes, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int64_t first = 0; first < f->n && !status; first += batch) {
    int64_t n = f->n - first < batch ? f->n - first : batch;
    status = moire_runner_set_extent(runner, "B", n, error);
    if (!status)
      status = moire_runner_set_input(runner, "features", f->values + first * f->width, n * f->width, error);
    if (!status) status = moire_runner_run(runner, error);
    if (status) return status;
    memcpy(codes + first * levels, moire_runner_output(runner, "codes", NULL),
           (size_t)(n * levels) * sizeof *codes);
  }
  return status;
}

static void write_lines(const moire__features *f, const int32_t *codes, int levels, const int32_t *digits,
                        moire__text *out) {
  for (int64_t i = 0; i < f->n; i++) {
    moire__row_buffer row;
    moire__text_add(out, "%s", moire__features_row(f, i, row));
    for (int l = 0; l < levels; l++) moire__text_add(out, "\t%d", (int)codes[i * levels + l]);
    if (digits) moire__text_add(out, "\t%d", (int)digits[i]);
    moire__text_add_char(out, '\n');
  }
}

moire_status moire__items_encode(moire__predictor *p, const moire__encode_job *job, moire_error *error) {
  static const char *const outputs[] = {"codes"};
  moire_status status = p->setup.task->read(&p->setup, &job->files, moire__predictor_where(p), error);
  if (!status) status = moire__predictor_compile(p, outputs, 1, error);
  if (status) return status;
  const moire__features *f = p->setup.data;
  const int64_t *sizes = NULL;
  int levels = moire_config_ints(p->setup.config, "codebook_sizes", &sizes);
  int32_t *codes = moire__allocate_array((size_t)(f->n * levels), sizeof *codes);
  int32_t *digits = moire__allocate_array((size_t)f->n, sizeof *digits);
  moire__text text = {0};
  status = moire__items_codes(p->runner, f, levels, job->batch < f->n ? job->batch : f->n, codes, error);
  if (!status) {
    moire__codes_digits(codes, f->n, levels, digits);
    bool unique = moire_config_bool(p->setup.config, "unique_digit");
    write_lines(f, codes, levels, unique ? digits : NULL, &text);
  }
  if (!status && job->path) status = moire__file_write_atomic(job->path, text.data, text.length, error);
  if (!status && !job->path) fputs(moire__text_string(&text), job->out);
  moire__release(codes);
  moire__release(digits);
  moire__text_free(&text);
  return status;
}
