/* Where k-means starts: two ways.
 *
 * The first codes are those of k-means++ (Arthur and Vassilvitskii, 2007): each next one is a row drawn with a
 * probability that goes with the square of its distance to the codes so far. To draw one after another would
 * take a search for each; here a search is done for each quarter of the codes. Rows are drawn by the distances
 * of that search, d, and accepted with probability d' / d, where d' is the distance to those that were accepted
 * since as well: which is the same distribution. Codes that are yet to come stand where code 0 does, and so are
 * nearest to nothing (the lowest wins).
 *
 * The other start goes from one code by splitting each into two along the direction in which its members differ
 * most, with rounds between (Linde, Buzo and Gray, 1980). It finds better optima where the data are spread
 * smoothly, k-means++ where they lie in clusters.
 */
#include "runtime/base/memory.h"
#include "tasks/items/kmeans_private.h"

#include <math.h>
#include <string.h>

enum { QUARTERS = 4, TRIES = 4, ROUNDS_BETWEEN = 4, POWER_STEPS = 3 };

/* ---- The first codes --------------------------------------------------------------------------------------
 */

static void add_distances(moire__means *m, void *context, int64_t first, int64_t n) {
  (void)context;
  int64_t width = m->book->width;
  for (int64_t i = 0; i < n; i++) {
    const float *code = m->book->codes + m->codes[i] * width;
    double before = first + i ? m->distances[first + i - 1] : 0;
    m->distances[first + i] = before + moire__means_distance(m->residuals + i * width, code, width);
  }
}

/* A row, by the distances. */
static int64_t draw_row(moire__means *m) {
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
static double drawn_by(const moire__means *m, int64_t i) {
  return m->distances[i] - (i ? m->distances[i - 1] : 0);
}

/* The search of this batch may know codes that were accepted in the batch before. */
static void accept_rows(moire__means *m, void *context, int64_t first, int64_t n) {
  quarter *q = context;
  int64_t width = m->book->width;
  for (int64_t i = 0; i < n && q->have < q->want; i++) {
    const float *row = m->residuals + i * width;
    double now = moire__means_distance(row, m->book->codes + m->codes[i] * width, width);
    for (int64_t c = q->begin; c < q->have; c++)
      now = fmin(now, moire__means_distance(row, m->book->codes + c * width, width));
    double chance = moire__random_real(&m->random) * drawn_by(m, q->drawn[first + i]);
    if (q->all || chance < now) moire__codebook_set(m->book, q->have++, row, 1);
  }
}

/* Fills codes [begin, end): more rows are drawn than are needed, until enough were accepted. */
static moire_status draw_codes(moire__means *m, int64_t begin, int64_t end, moire_error *error) {
  int64_t *drawn = moire__allocate_array((size_t)(4 * (end - begin)), sizeof *drawn);
  int64_t *rows = drawn + 2 * (end - begin);
  quarter q = {begin, begin, end, drawn, false};
  moire_status status = MOIRE_OK;
  for (int i = 0; i <= TRIES && q.have < end && !status && !moire__means_must_stop(m); i++) {
    int64_t n = 2 * (end - q.have);
    for (int64_t r = 0; r < n; r++) rows[r] = m->order[drawn[r] = draw_row(m)];
    q.all = i == TRIES;
    status = moire__means_each_batch(m, rows, n, accept_rows, &q, error);
  }
  moire__release(drawn);
  return status;
}

static void take_first(moire__means *m, void *context, int64_t first, int64_t n) {
  (void)context, (void)first, (void)n;
  for (int64_t c = 0; c < m->book->size; c++) moire__codebook_set(m->book, c, m->residuals, 1);
}

moire_status moire__means_draw(moire__means *m, moire_error *error) {
  moire_status status = moire__means_each_batch(m, m->order, 1, take_first, NULL, error);
  int64_t size = m->book->size, begin = 1;
  m->have = size;
  for (int q = 1; q <= QUARTERS && !status && !moire__means_must_stop(m); q++) {
    int64_t end = q == QUARTERS ? size : size * q / QUARTERS;
    if (end <= begin) continue;
    status = moire__means_each_batch(m, m->order, m->n, add_distances, NULL, error);
    if (!status && !moire__means_must_stop(m)) status = draw_codes(m, begin, end, error);
    begin = end;
  }
  return status;
}

/* ---- Splitting --------------------------------------------------------------------------------------------
 */

/* sums[c] = sum over the members of (q . v) q, q = row - code: a step of the power iteration for the direction
 * along which they differ most. v is in `far`. */
static void add_projections(moire__means *m, void *context, int64_t first, int64_t n) {
  (void)context, (void)first;
  int64_t width = m->book->width;
  for (int64_t i = 0; i < n; i++) {
    const float *row = m->residuals + i * width, *code = m->book->codes + m->codes[i] * width;
    const float *v = m->far + m->codes[i] * width;
    double *sum = m->sums + m->codes[i] * width, along = 0;
    for (int64_t j = 0; j < width; j++) along += (double)(row[j] - code[j]) * (double)v[j];
    for (int64_t j = 0; j < width; j++) sum[j] += along * (double)(row[j] - code[j]);
  }
}

/* to = x / |x|, or 0 where x is. Returns |x|. */
static double normalise(const double *x, float *to, int64_t width) {
  double square = 0;
  for (int64_t j = 0; j < width; j++) square += x[j] * x[j];
  double length = sqrt(square);
  for (int64_t j = 0; j < width; j++) to[j] = length > 0 ? (float)(x[j] / length) : 0;
  return length;
}

/* From a far member to the main direction of all; lengths[c] is the sum of squares along it. */
static moire_status find_directions(moire__means *m, double *lengths, moire_error *error) {
  int64_t width = m->book->width, elements = m->have * width;
  for (int64_t i = 0; i < elements; i++) m->sums[i] = (double)m->far[i] - (double)m->book->codes[i];
  moire_status status = MOIRE_OK;
  for (int step = 0; step <= POWER_STEPS && !status; step++) {
    for (int64_t c = 0; c < m->have; c++)
      lengths[c] = normalise(m->sums + c * width, m->far + c * width, width);
    memset(m->sums, 0, (size_t)elements * sizeof *m->sums);
    if (step < POWER_STEPS) status = moire__means_each_batch(m, m->order, m->n, add_projections, NULL, error);
  }
  return status;
}

/* Codes become two, each a standard deviation of the members to one side along their main direction. */
static moire_status split_codes(moire__means *m, moire_error *error) {
  int64_t width = m->book->width, have = m->have;
  double *lengths = moire__allocate_array((size_t)have, sizeof *lengths);
  float *rows = moire__allocate_array((size_t)(2 * width), sizeof *rows);
  moire_status status = find_directions(m, lengths, error);
  for (int64_t c = 0; c < have && m->have < m->book->size && !status; c++) {
    double deviation = m->counts[c] ? sqrt(lengths[c] / (double)m->counts[c]) : 0;
    for (int64_t j = 0; j < width; j++) {
      float step = (float)(deviation * (double)m->far[c * width + j]), at = m->book->codes[c * width + j];
      rows[j] = at - step;
      rows[width + j] = at + step;
    }
    moire__codebook_set(m->book, c, rows, 1);
    moire__codebook_set(m->book, m->have++, rows + width, 1);
  }
  moire__release(lengths);
  moire__release(rows);
  return status;
}

/* From one code by splitting to all of them. */
moire_status moire__means_split(moire__means *m, moire_error *error) {
  m->have = 1;
  moire_status status = moire__means_each_batch(m, m->order, 1, take_first, NULL, error);
  while (!status && m->have < m->book->size && !moire__means_must_stop(m)) {
    status = moire__means_rounds(m, ROUNDS_BETWEEN, error);
    if (!status && !moire__means_must_stop(m)) status = split_codes(m, error);
  }
  return status;
}
