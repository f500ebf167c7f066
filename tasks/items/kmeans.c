/* k-means by means of the model's own search: a program gives each row's residual and its nearest code, and all
 * that is left to do is to draw the first codes and to take means.
 *
 * Then Lloyd's rounds. A code that loses all its members takes half of those of the largest. Where
 * there are not too many codes, both starts of kmeans_start.c are tried, and afterwards codes that are hardly
 * missed are moved to where the error is large: two that share a cluster, and one that has two.
 */
#include "runtime/base/memory.h"
#include "tasks/items/kmeans_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEW = 1024, MOST_MOVES = 10 };

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

/* ---- Lloyd's rounds ---------------------------------------------------------------------------------------
 */

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

/* ---- Moves ------------------------------------------------------------------------------------------------
 */

/* A code, and what it costs or brings to move it. */
typedef struct candidate {
  double worth;
  int64_t code, nearest;
} candidate;

static int by_worth(const void *a, const void *b) {
  const candidate *x = a, *y = b;
  if (x->worth != y->worth) return x->worth < y->worth ? -1 : 1;
  return (x->code > y->code) - (x->code < y->code);
}

/* What the error grows by at most if all members of a code go to the code that is nearest to it. */
static void price_removals(const moire__means *m, candidate *out) {
  int64_t size = m->book->size, width = m->book->width;
  const float *codes = m->book->codes;
  for (int64_t c = 0; c < size; c++) {
    double least = INFINITY;
    out[c].code = c;
    for (int64_t o = 0; o < size; o++) {
      double d = o == c ? INFINITY : moire__means_distance(codes + c * width, codes + o * width, width);
      if (!(d < least)) continue;
      least = d;
      out[c].nearest = o;
    }
    out[c].worth = least * (double)m->counts[c];
  }
}

/* Codes that cost less to remove than half of another's error go to a far member of that. Returns how many. */
static int64_t move_some(moire__means *m) {
  int64_t size = m->book->size, width = m->book->width, moved = 0, next = 0;
  candidate *cheap = moire__allocate_array((size_t)size, sizeof *cheap);
  candidate *bad = moire__allocate_array((size_t)size, sizeof *bad);
  bool *taken = moire__allocate_array((size_t)size, sizeof *taken);
  price_removals(m, cheap);
  for (int64_t c = 0; c < size; c++) bad[c] = (candidate){-m->errors[c], c, 0};
  qsort(cheap, (size_t)size, sizeof *cheap, by_worth);
  qsort(bad, (size_t)size, sizeof *bad, by_worth);
  for (int64_t i = 0; i < size && next < size && cheap[i].worth < -bad[next].worth / 2; i++) {
    const candidate *from = &cheap[i];
    int64_t to = bad[next].code;
    if (taken[from->code] || taken[from->nearest] || from->code == to) continue;
    next++;
    if (taken[to]) continue;
    taken[from->code] = taken[from->nearest] = taken[to] = true;
    moire__codebook_set(m->book, from->code, m->far + to * width, 1);
    moved++;
  }
  moire__release(cheap);
  moire__release(bad);
  moire__release(taken);
  return moved;
}

/* ---- All of it --------------------------------------------------------------------------------------------
 */

static void copy_book(const moire__codebook *to, const moire__codebook *from) {
  size_t codes = (size_t)(from->size * from->width), sizes = (size_t)from->size;
  memcpy(to->codes, from->codes, codes * sizeof *to->codes);
  memcpy(to->sums, from->sums, codes * sizeof *to->sums);
  memcpy(to->sizes, from->sizes, sizes * sizeof *to->sizes);
}

/* A codebook beside the store's: owned. */
static moire__codebook keep_book(const moire__codebook *book) {
  moire__codebook kept = *book;
  size_t codes = (size_t)(book->size * book->width) + 1;
  kept.codes = moire__allocate_array(codes, sizeof *kept.codes);
  kept.sums = moire__allocate_array(codes, sizeof *kept.sums);
  kept.sizes = moire__allocate_array((size_t)book->size, sizeof *kept.sizes);
  return kept;
}

static void release_book(moire__codebook *kept) {
  moire__release(kept->codes);
  moire__release(kept->sums);
  moire__release(kept->sizes);
}

/* Moves codes for as long as the error becomes less; what did not help is taken back. */
static moire_status improve(moire__means *m, moire__codebook *best, double *least, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < MOST_MOVES && !status && !moire__means_must_stop(m) && move_some(m); i++) {
    status = moire__means_rounds(m, m->k->iterations, error);
    if (!(m->error < *least)) break;
    *least = m->error;
    copy_book(best, m->book);
  }
  return status;
}

/* Both starts, where there are few enough codes; the best stays. */
static moire_status run_all(moire__means *m, moire_error *error) {
  moire_status (*const starts[])(moire__means *m, moire_error *error) = {moire__means_draw, moire__means_split};
  bool few = m->book->size <= FEW;
  moire__codebook best = keep_book(m->book);
  double least = INFINITY;
  moire_status status = MOIRE_OK;
  for (int i = 0; i < (few ? 2 : 1) && !status && !moire__means_must_stop(m); i++) {
    status = starts[i](m, error);
    if (!status) status = moire__means_rounds(m, m->k->iterations, error);
    if (!status && (m->error < least || !i)) {
      least = m->error;
      copy_book(&best, m->book);
    }
    if (!status && few) status = improve(m, &best, &least, error);
  }
  if (!status && !moire__means_must_stop(m)) copy_book(m->book, &best);
  release_book(&best);
  return status;
}

moire_status moire__kmeans_run(const moire__codebook *book, const moire__kmeans *k, moire_error *error) {
  moire__means m = {.book = book, .k = k, .n = k->n};
  if (k->samples < k->n / book->size) m.n = k->samples * book->size;
  m.random = moire__random_start(k->seed, UINT64_MAX - (uint64_t)book->level);
  m.order = moire__allocate_array((size_t)k->n, sizeof *m.order);
  moire__permutation(k->seed, UINT64_MAX - (uint64_t)book->level, k->n, m.order);
  m.batch = moire__allocate_aligned((size_t)(k->batch * k->features) * sizeof *m.batch, 64);
  m.sums = moire__allocate_array((size_t)(book->size * book->width) + 1, sizeof *m.sums);
  m.counts = moire__allocate_array((size_t)book->size, sizeof *m.counts);
  m.distances = moire__allocate_array((size_t)m.n, sizeof *m.distances);
  m.errors = moire__allocate_array((size_t)book->size, sizeof *m.errors);
  m.far = moire__allocate_array((size_t)(book->size * book->width) + 1, sizeof *m.far);
  moire_status status = run_all(&m, error);
  moire__release(m.order);
  moire__release_aligned(m.batch);
  moire__release(m.sums);
  moire__release(m.counts);
  moire__release(m.distances);
  moire__release(m.errors);
  moire__release(m.far);
  return status;
}
