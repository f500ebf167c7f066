/* Rows of tensors as samples. See tensors.h. */
#include "tasks/tensors/tensors.h"

#include "runtime/base/memory.h"

typedef struct tensor_samples {
  const moire__tensors *t;
  const moire__tensors_rows *rows;
  int64_t *chosen;   /* [batch]: rows of the file */
  void **values;     /* [n_inputs], each [batch, row], aligned so that the runner reads it where it is */
  float **imaginary; /* [n_inputs]: the second plane, or NULL */
} tensor_samples;

static moire_status give_input(tensor_samples *s, int i, moire_runner *runner, int64_t n, moire_error *error) {
  const moire__tensors_input *input = &s->t->inputs[i];
  const moire__array *array = s->rows->arrays[i];
  bool first = moire_runner_has_input(runner, input->planes[0]);
  bool second = input->planes[1] && moire_runner_has_input(runner, input->planes[1]);
  if (!array || (!first && !second)) return MOIRE_OK;
  int64_t elements = n * moire__array_width(array);
  moire_status status =
      moire__array_read_rows(array, input->dtype, s->chosen, n, s->values[i], s->imaginary[i], error);
  if (!status && first)
    status = moire_runner_set_input(runner, input->planes[0], s->values[i], elements, error);
  if (!status && second)
    status = moire_runner_set_input(runner, input->planes[1], s->imaginary[i], elements, error);
  return status;
}

static moire_status give(void *context, moire_runner *runner, const int64_t *samples, int64_t n,
                         moire_error *error) {
  tensor_samples *s = context;
  for (int64_t i = 0; i < n; i++) s->chosen[i] = s->rows->rows ? s->rows->rows[samples[i]] : samples[i];
  moire_status status = moire__tensors_set_extents(s->t, s->rows, runner, error);
  for (int i = 0; i < s->t->n_inputs && !status; i++) status = give_input(s, i, runner, n, error);
  return status;
}

static void release(void *context) {
  tensor_samples *s = context;
  for (int i = 0; i < s->t->n_inputs; i++) {
    moire__release_aligned(s->values[i]);
    moire__release_aligned(s->imaginary[i]);
  }
  moire__release(s->chosen);
  moire__release(s->values);
  moire__release(s->imaginary);
  moire__release(s);
}

static size_t bytes_of(moire_dtype dtype) {
  return dtype == MOIRE_F64 || dtype == MOIRE_I64 ? 8 : dtype == MOIRE_BOOL ? 1 : 4;
}

moire__samples moire__tensors_samples(const moire__tensors *t, const moire__tensors_rows *rows, int64_t batch) {
  tensor_samples *s = moire__allocate(sizeof *s);
  size_t most = (size_t)(batch < rows->n ? batch : rows->n) + 1, inputs = (size_t)t->n_inputs + 1;
  *s = (tensor_samples){.t = t, .rows = rows};
  s->chosen = moire__allocate_array(most, sizeof *s->chosen);
  s->values = moire__allocate_array(inputs, sizeof *s->values);
  s->imaginary = moire__allocate_array(inputs, sizeof *s->imaginary);
  for (int i = 0; i < t->n_inputs; i++) {
    if (!rows->arrays[i]) continue;
    size_t elements = most * (size_t)moire__array_width(rows->arrays[i]);
    s->values[i] = moire__allocate_aligned(elements * bytes_of(t->inputs[i].dtype), 64);
    if (t->inputs[i].dtype == MOIRE_C64)
      s->imaginary[i] = moire__allocate_aligned(elements * sizeof(float), 64);
  }
  return (moire__samples){.context = s, .n = rows->n, .give = give, .release = release};
}
