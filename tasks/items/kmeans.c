/* k-means by means of the model's own search: a program gives each row's residual and its nearest code, and all
 * that is left to do is to draw the first codes and to take means.
 *
 * Then Lloyd's rounds (kmeans_rounds.c). Where there are not too many codes, both starts of kmeans_start.c are
 * tried, and afterwards codes that are hardly missed are moved to where the error is large: two that share a
 * cluster, and one that has two.
 */
#include "runtime/base/memory.h"
#include "tasks/items/kmeans_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEW = 1024, MOST_MOVES = 10 };

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
