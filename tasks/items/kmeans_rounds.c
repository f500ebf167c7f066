/* Passes over the rows of k-means: the search batch by batch, and Lloyd's rounds. A code that loses all its
 * members takes half of those of the largest.
 */
#include "runtime/base/memory.h"
#include "tasks/items/kmeans_private.h"

#include <stdio.h>
#include <string.h>

bool moire__means_must_stop(const moire__means *m) { return m->k->stop && *m->k->stop; }

/* Residuals and codes of the rows that `rows` lists. */
static moire_status run_batch(moire__means *m, const int64_t *rows, int64_t n, moire_error *error) {
  const moire__kmeans *k = m->k;
  for (int64_t i = 0; i < n; i++)
    memcpy(m->batch + i * k->features, k->values + rows[i] * k->features,
           (size_t)k->features * sizeof *m->batch);
  moire_status status = moire_runner_set_extent(k->runner, "B", n, error);
  if (!status) status = moire_runner_set_input(k->runner, "features", m->batch, n * k->features, error);
  if (!status) status = moire_runner_run(k->runner, error);
  if (status) return status;
  char residuals[32], codes[32];
  snprintf(residuals, sizeof residuals, "residuals.%d", m->book->level);
  snprintf(codes, sizeof codes, "codes.%d", m->book->level);
  int64_t n_residuals = 0, n_codes = 0;
  m->residuals = moire_runner_output(k->runner, residuals, &n_residuals);
  m->codes = moire_runner_output(k->runner, codes, &n_codes);
  if (m->residuals && m->codes && n_residuals == n * m->book->width && n_codes == n) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_SHAPE, "the model has no outputs %s and %s of its rows", residuals,
                    codes);
}

/* Calls visit for every batch of the listed rows. */
moire_status moire__means_each_batch(moire__means *m, const int64_t *rows, int64_t n,
                                     void (*visit)(moire__means *m, void *context, int64_t first, int64_t n),
                                     void *context, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int64_t first = 0; first < n && !status && !moire__means_must_stop(m); first += m->k->batch) {
    int64_t size = n - first < m->k->batch ? n - first : m->k->batch;
    status = run_batch(m, rows + first, size, error);
    if (!status) visit(m, context, first, size);
  }
  return status;
}

/* |a - b|^2, summed in eight parts, which the compiler may add at once. */
double moire__means_distance(const float *a, const float *b, int64_t width) {
  float parts[8] = {0};
  int64_t j = 0;
  for (; j + 8 <= width; j += 8) {
    for (int i = 0; i < 8; i++) parts[i] += (a[j + i] - b[j + i]) * (a[j + i] - b[j + i]);
  }
  for (; j < width; j++) parts[0] += (a[j] - b[j]) * (a[j] - b[j]);
  return (double)((parts[0] + parts[1]) + (parts[2] + parts[3]) + (parts[4] + parts[5]) +
                  (parts[6] + parts[7]));
}

/* ---- Lloyd's rounds ---- */

static void add_members(moire__means *m, void *context, int64_t first, int64_t n) {
  (void)context, (void)first;
  int64_t width = m->book->width;
  for (int64_t i = 0; i < n; i++) {
    int64_t code = m->codes[i];
    const float *row = m->residuals + i * width;
    double d = moire__means_distance(row, m->book->codes + code * width, width);
    m->counts[code]++;
    m->errors[code] += d;
    if (moire__random_real(&m->random) * m->errors[code] < d) /* kept with a probability that goes with d */
      memcpy(m->far + code * width, row, (size_t)width * sizeof *row);
    for (int64_t j = 0; j < width; j++) m->sums[code * width + j] += (double)row[j];
  }
}

/* An empty code and the largest one share the members of that: both stand beside its mean, apart by a little.
 */
static void split_largest(moire__means *m, int64_t empty) {
  static const double apart = 1.0 / 1024;
  int64_t largest = 0, width = m->book->width;
  for (int64_t c = 1; c < m->book->size; c++) {
    if (m->counts[c] > m->counts[largest]) largest = c;
  }
  int64_t half = m->counts[largest] / 2, rest = m->counts[largest] - half;
  if (!half) return;
  for (int64_t j = 0; j < width; j++) {
    double mean = m->sums[largest * width + j] / (double)m->counts[largest], step = j % 2 ? apart : -apart;
    m->sums[empty * width + j] = mean * (1 + step) * (double)half;
    m->sums[largest * width + j] = mean * (1 - step) * (double)rest;
  }
  m->counts[empty] = half;
  m->counts[largest] = rest;
}

/* Means of what add_members has counted. A size is how many rows of a step pick the code, on average. */
static void move_codes(moire__means *m) {
  int64_t width = m->book->width;
  for (int64_t c = 0; c < m->have; c++) {
    if (!m->counts[c]) split_largest(m, c);
  }
  double share = (double)m->k->step_batch / (double)m->n;
  float *row = moire__allocate_array((size_t)width + 1, sizeof *row);
  for (int64_t c = 0; c < m->have; c++) {
    if (!m->counts[c]) continue;
    for (int64_t j = 0; j < width; j++) row[j] = (float)(m->sums[c * width + j] / (double)m->counts[c]);
    moire__codebook_set(m->book, c, row, (float)((double)m->counts[c] * share));
  }
  for (int64_t c = m->have; c < m->book->size; c++) moire__codebook_set(m->book, c, m->book->codes, 1);
  moire__release(row);
}

/* m->error is that of the last round's search. */
moire_status moire__means_rounds(moire__means *m, int64_t rounds, moire_error *error) {
  size_t size = (size_t)m->book->size;
  moire_status status = MOIRE_OK;
  for (int64_t i = 0; i < rounds && !status && !moire__means_must_stop(m); i++) {
    memset(m->sums, 0, size * (size_t)m->book->width * sizeof *m->sums);
    memset(m->counts, 0, size * sizeof *m->counts);
    memset(m->errors, 0, size * sizeof *m->errors);
    status = moire__means_each_batch(m, m->order, m->n, add_members, NULL, error);
    m->error = 0;
    for (size_t c = 0; c < size; c++) m->error += m->errors[c];
    if (!status && !moire__means_must_stop(m)) move_codes(m);
  }
  return status;
}
