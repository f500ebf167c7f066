/* moire decode: codes of items to the features that they stand for. */
#include "tasks/items/items.h"

#include "runtime/base/memory.h"
#include "tasks/items/codes.h"

#include <string.h>

enum { BATCH = 4096 };

static moire_status decode_all(moire_runner *runner, const moire__codes *codes, int levels, int64_t width,
                               float *features, moire_error *error) {
  moire_status status = MOIRE_OK;
  int32_t *ids = moire__allocate_array((size_t)(BATCH * levels), sizeof *ids);
  for (int64_t first = 0; first < codes->n && !status; first += BATCH) {
    int64_t n = codes->n - first < BATCH ? codes->n - first : BATCH;
    for (int64_t i = 0; i < n; i++) /* the digit that makes ids unique is left out */
      memcpy(ids + i * levels, codes->values + (first + i) * codes->columns, (size_t)levels * sizeof *ids);
    status = moire_runner_set_extent(runner, "B", n, error);
    if (!status) status = moire_runner_set_input(runner, "ids", ids, n * levels, error);
    if (!status) status = moire_runner_run(runner, error);
    if (!status)
      memcpy(features + first * width, moire_runner_output(runner, "restored", NULL),
             (size_t)(n * width) * sizeof *features);
  }
  moire__release(ids);
  return status;
}

static moire_status read_codes(const moire__predictor *p, const char *path, moire__codes *codes,
                               moire_error *error) {
  const int64_t *sizes = NULL;
  int levels = moire_config_ints(p->setup.config, "codebook_sizes", &sizes);
  int64_t *limits = moire__allocate_array((size_t)levels + 1, sizeof *limits);
  memcpy(limits, sizes, (size_t)levels * sizeof *limits);
  bool unique = moire_config_bool(p->setup.config, "unique_digit");
  moire_status status = moire__codes_read(path, levels + unique, limits, codes, error);
  moire__release(limits);
  return status;
}

moire_status moire__items_decode(moire__predictor *p, const moire__decode_job *job, moire_error *error) {
  static const char *const outputs[] = {"restored"};
  moire__codes codes = {0};
  moire_status status = moire__setup_build(&p->setup, moire__predictor_where(p), error);
  if (!status) status = moire__predictor_compile(p, outputs, 1, error);
  if (!status) status = read_codes(p, job->ids, &codes, error);
  if (!status) {
    const int64_t *sizes = NULL;
    int levels = moire_config_ints(p->setup.config, "codebook_sizes", &sizes);
    int64_t width = moire_config_int(p->setup.config, "feature_dim");
    float *features = moire__allocate_array((size_t)(codes.n * width), sizeof *features);
    status = decode_all(p->runner, &codes, levels, width, features, error);
    if (!status) status = moire__features_write(job->path, features, codes.n, width, error);
    moire__release(features);
  }
  moire__codes_free(&codes);
  return status;
}
