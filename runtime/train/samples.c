/* From numbers of samples to the inputs of a step: rows of a matrix. */
#include "runtime/train/samples.h"

#include "runtime/base/memory.h"

#include <string.h>

void moire__samples_free(moire__samples *samples) {
  if (samples->release) samples->release(samples->context);
  *samples = (moire__samples){0};
}

static moire_status set_if_there(moire_runner *runner, const char *name, const void *data, int64_t n,
                                 moire_error *error) {
  return moire_runner_has_input(runner, name) ? moire_runner_set_input(runner, name, data, n, error) : MOIRE_OK;
}

static size_t most_rows(int64_t batch, int64_t n) { return (size_t)(batch < n ? batch : n); }

typedef struct rows {
  const char *name;
  const float *values;
  int64_t width;
  float *batch; /* aligned, so that the runner reads it where it is */
} rows;

static moire_status give_rows(void *context, moire_runner *runner, const int64_t *samples, int64_t n,
                              moire_error *error) {
  const rows *r = context;
  size_t width = (size_t)r->width;
  for (int64_t i = 0; i < n; i++)
    memcpy(r->batch + (size_t)i * width, r->values + (size_t)samples[i] * width, width * sizeof *r->batch);
  return set_if_there(runner, r->name, r->batch, n * r->width, error);
}

static void release_rows(void *context) {
  rows *r = context;
  moire__release_aligned(r->batch);
  moire__release(r);
}

moire__samples moire__samples_of_rows(const char *name, const float *values, int64_t n, int64_t width,
                                      int64_t batch) {
  rows *r = moire__allocate(sizeof *r);
  *r = (rows){.name = name, .values = values, .width = width};
  r->batch = moire__allocate_aligned(most_rows(batch, n) * (size_t)width * sizeof *r->batch, 64);
  return (moire__samples){.context = r, .n = n, .give = give_rows, .release = release_rows};
}
