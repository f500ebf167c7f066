/* Prefixes of sequences as samples, gathered into memory of their own. */
#include "tasks/sequences/samples.h"

#include "runtime/base/memory.h"

static moire_status set_if_there(moire_runner *runner, const char *name, const void *data, int64_t n,
                                 moire_error *error) {
  return moire_runner_has_input(runner, name) ? moire_runner_set_input(runner, name, data, n, error) : MOIRE_OK;
}

typedef struct sequences {
  const moire__dataset *dataset;
  int32_t *ids, *answers; /* [batch, L], [batch] */
} sequences;

static moire_status give_sequences(void *context, moire_runner *runner, const int64_t *samples, int64_t n,
                                   moire_error *error) {
  const sequences *s = context;
  moire__dataset_train_batch(s->dataset, samples, n, s->ids, s->answers);
  moire_status status = set_if_there(runner, "input_ids", s->ids, n * s->dataset->max_length, error);
  return status ? status : set_if_there(runner, "answers", s->answers, n, error);
}

static void release_sequences(void *context) {
  sequences *s = context;
  moire__release(s->ids);
  moire__release(s->answers);
  moire__release(s);
}

moire__samples moire__samples_of_sequences(const moire__dataset *dataset, int64_t batch) {
  sequences *s = moire__allocate(sizeof *s);
  size_t rows = (size_t)(batch < dataset->n_samples ? batch : dataset->n_samples);
  *s = (sequences){.dataset = dataset};
  s->ids = moire__allocate_array(rows * (size_t)dataset->max_length, sizeof *s->ids);
  s->answers = moire__allocate_array(rows, sizeof *s->answers);
  return (moire__samples){s, dataset->n_samples, give_sequences, release_sequences};
}
