/* k-means by means of the model's own search: a program gives each row's residual and its nearest code, and all
 * that is left to do is to draw the first codes and to take means.
 *
 * The first codes are those of k-means++ (Arthur and Vassilvitskii, 2007): each next one is a row drawn with a
 * probability that goes with the square of its distance to the codes so far. To draw one after another would
 * take a search for each; here a search is done for each quarter of the codes. Rows are drawn by the distances
 * of that search, d, and accepted with probability d' / d, where d' is the distance to those that were accepted
 * since as well: which is the same distribution. Codes that are yet to come stand where code 0 does, and so are
 * nearest to nothing (the lowest wins).
 *
 * Then Lloyd's rounds. A code that loses all its members takes half of those of the largest.
 */
#include "runtime/kmeans.h"

#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { QUARTERS = 4, TRIES = 4 };

typedef struct means {
  const moire__codebook *book;
  const moire__kmeans *k;
  int64_t *order, n;      /* the rows that take part */
  float *batch;           /* [batch, features], aligned */
  double *sums;           /* [size, width] */
  int64_t *counts;        /* [size] */
  double *distances;      /* [n], summed up: those of rows 0 to i */
  const float *residuals; /* of the batch at hand … */
  const int32_t *codes;   /* … and its codes */
  moire__random random;
} means;

static bool must_stop(const means *m) { return m->k->stop && *m->k->stop; }

/* Residuals and codes of the rows that `rows` lists. */
static moire_status run_batch(means *m, const int64_t *rows, int64_t n, moire_error *error) {
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
static moire_status each_batch(means *m, const int64_t *rows, int64_t n,
                               void (*visit)(means *m, void *context, int64_t first, int64_t n), void *context,
                               moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int64_t first = 0; first < n && !status && !must_stop(m); first += m->k->batch) {
    int64_t size = n - first < m->k->batch ? n - first : m->k->batch;
    status = run_batch(m, rows + first, size, error);
    if (!status) visit(m, context, first, size);
  }
  return status;
}

/* |a - b|^2, summed in eight parts, which the compiler may add at once. */
static double distance(const float *a, const float *b, int64_t width) {
  float parts[8] = {0};
  int64_t j = 0;
  for (; j + 8 <= width; j += 8) {
    for (int i = 0; i < 8; i++) parts[i] += (a[j + i] - b[j + i]) * (a[j + i] - b[j + i]);
  }
  for (; j < width; j++) parts[0] += (a[j] - b[j]) * (a[j] - b[j]);
  return (double)((parts[0] + parts[1]) + (parts[2] + parts[3]) + (parts[4] + parts[5]) +
                  (parts[6] + parts[7]));
}

/* ---- The first codes --------------------------------------------------------------------------------------
 */

static void add_distances(means *m, void *context, int64_t first, int64_t n) {
  (void)context;
  int64_t width = m->book->width;
  for (int64_t i = 0; i < n; i++) {
    const float *code = m->book->codes + m->codes[i] * width;
    double before = first + i ? m->distances[first + i - 1] : 0;
    m->distances[first + i] = before + distance(m->residuals + i * width, code, width);
  }
}

/* A row, by the distances. */
static int64_t draw_row(means *m) {
  double at = moire__random_real(&m->random) * m->distances[m->n - 1];
  int64_t low = 0, high = m->n - 1;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (m->distances[middle] > at)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/* Codes from `begin` on, of which there are `have`, and shall be `want`. */
typedef struct quarter {
  int64_t begin, have, want;
  const int64_t *drawn; /* the rows that may become codes, by their places in `order` */
  bool all;             /* accept whatever comes */
} quarter;

/* What row number i was drawn by: its distance when all rows were searched. */
static double drawn_by(const means *m, int64_t i) { return m->distances[i] - (i ? m->distances[i - 1] : 0); }

/* The search of this batch may know codes that were accepted in the batch before. */
static void accept_rows(means *m, void *context, int64_t first, int64_t n) {
  quarter *q = context;
  int64_t width = m->book->width;
  for (int64_t i = 0; i < n && q->have < q->want; i++) {
    const float *row = m->residuals + i * width;
    double now = distance(row, m->book->codes + m->codes[i] * width, width);
    for (int64_t c = q->begin; c < q->have; c++)
      now = fmin(now, distance(row, m->book->codes + c * width, width));
    double chance = moire__random_real(&m->random) * drawn_by(m, q->drawn[first + i]);
    if (q->all || chance < now) moire__codebook_set(m->book, q->have++, row, 1);
  }
}

/* Fills codes [begin, end): more rows are drawn than are needed, until enough were accepted. */
static moire_status draw_codes(means *m, int64_t begin, int64_t end, moire_error *error) {
  int64_t *drawn = moire__allocate_array((size_t)(4 * (end - begin)), sizeof *drawn);
  int64_t *rows = drawn + 2 * (end - begin);
  quarter q = {begin, begin, end, drawn, false};
  moire_status status = MOIRE_OK;
  for (int i = 0; i <= TRIES && q.have < end && !status && !must_stop(m); i++) {
    int64_t n = 2 * (end - q.have);
    for (int64_t r = 0; r < n; r++) rows[r] = m->order[drawn[r] = draw_row(m)];
    q.all = i == TRIES;
    status = each_batch(m, rows, n, accept_rows, &q, error);
  }
  moire__release(drawn);
  return status;
}

static void take_first(means *m, void *context, int64_t first, int64_t n) {
  (void)context, (void)first, (void)n;
  for (int64_t c = 0; c < m->book->size; c++) moire__codebook_set(m->book, c, m->residuals, 1);
}

static moire_status draw_all(means *m, moire_error *error) {
  moire_status status = each_batch(m, m->order, 1, take_first, NULL, error);
  int64_t size = m->book->size, begin = 1;
  for (int q = 1; q <= QUARTERS && !status && !must_stop(m); q++) {
    int64_t end = q == QUARTERS ? size : size * q / QUARTERS;
    if (end <= begin) continue;
    status = each_batch(m, m->order, m->n, add_distances, NULL, error);
    if (!status && !must_stop(m)) status = draw_codes(m, begin, end, error);
    begin = end;
  }
  return status;
}

/* ---- Lloyd's rounds ---------------------------------------------------------------------------------------
 */

static void add_members(means *m, void *context, int64_t first, int64_t n) {
  (void)context, (void)first;
  int64_t width = m->book->width;
  for (int64_t i = 0; i < n; i++) {
    int64_t code = m->codes[i];
    m->counts[code]++;
    for (int64_t j = 0; j < width; j++) m->sums[code * width + j] += (double)m->residuals[i * width + j];
  }
}

/* An empty code and the largest one share the members of that: both stand beside its mean, apart by a little.
 */
static void split_largest(means *m, int64_t empty) {
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
static void move_codes(means *m) {
  int64_t width = m->book->width;
  for (int64_t c = 0; c < m->book->size; c++) {
    if (!m->counts[c]) split_largest(m, c);
  }
  double share = (double)m->k->step_batch / (double)m->n;
  float *row = moire__allocate_array((size_t)width + 1, sizeof *row);
  for (int64_t c = 0; c < m->book->size; c++) {
    if (!m->counts[c]) continue;
    for (int64_t j = 0; j < width; j++) row[j] = (float)(m->sums[c * width + j] / (double)m->counts[c]);
    moire__codebook_set(m->book, c, row, (float)((double)m->counts[c] * share));
  }
  moire__release(row);
}

static moire_status iterate(means *m, moire_error *error) {
  const moire__codebook *book = m->book;
  char label[40];
  snprintf(label, sizeof label, "k-means, level %d", book->level);
  moire__progress bar = moire__progress_start(label, "round", m->k->iterations);
  moire_status status = draw_all(m, error);
  for (int64_t i = 0; i < m->k->iterations && !status && !must_stop(m); i++) {
    memset(m->sums, 0, (size_t)(book->size * book->width) * sizeof *m->sums);
    memset(m->counts, 0, (size_t)book->size * sizeof *m->counts);
    status = each_batch(m, m->order, m->n, add_members, NULL, error);
    if (!status && !must_stop(m)) move_codes(m);
    moire__progress_update(&bar, i + 1, "%" PRId64 " codes", book->size);
  }
  moire__progress_finish(&bar);
  return status;
}

moire_status moire__kmeans_run(const moire__codebook *book, const moire__kmeans *k, moire_error *error) {
  means m = {.book = book, .k = k, .n = k->n};
  if (k->samples < k->n / book->size) m.n = k->samples * book->size;
  m.random = moire__random_start(k->seed, UINT64_MAX - (uint64_t)book->level);
  m.order = moire__allocate_array((size_t)k->n, sizeof *m.order);
  moire__permutation(k->seed, UINT64_MAX - (uint64_t)book->level, k->n, m.order);
  m.batch = moire__allocate_aligned((size_t)(k->batch * k->features) * sizeof *m.batch, 64);
  m.sums = moire__allocate_array((size_t)(book->size * book->width) + 1, sizeof *m.sums);
  m.counts = moire__allocate_array((size_t)book->size, sizeof *m.counts);
  m.distances = moire__allocate_array((size_t)m.n, sizeof *m.distances);
  moire_status status = iterate(&m, error);
  moire__release(m.order);
  moire__release_aligned(m.batch);
  moire__release(m.sums);
  moire__release(m.counts);
  moire__release(m.distances);
  return status;
}
