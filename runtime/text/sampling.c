/* Choosing words. See sampling.h. */
#include "runtime/text/sampling.h"

#include <math.h>

int64_t moire__sampling_best(const double *logits, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; i++) {
    if (logits[i] > logits[best]) best = i;
  }
  return best;
}

/* Does word a come before word b: a larger logit, or an equal one and the lower id. */
static int before(const double *z, int32_t a, int32_t b) { return z[a] > z[b] || (z[a] == z[b] && a < b); }

/* Restores a heap of n whose root, the one that comes last, may be wrong. */
static void sink(const double *z, int32_t *heap, int64_t n, int64_t at) {
  for (;;) {
    int64_t last = at, left = 2 * at + 1;
    for (int64_t child = left; child < left + 2 && child < n; child++) {
      if (before(z, heap[last], heap[child])) last = child;
    }
    if (last == at) return;
    int32_t moved = heap[at];
    heap[at] = heap[last];
    heap[last] = moved;
    at = last;
  }
}

void moire__sampling_first(const double *z, int64_t n, int64_t k, int32_t *order) {
  for (int64_t i = 0; i < k; i++) order[i] = (int32_t)i;
  for (int64_t i = k / 2; i-- > 0;) sink(z, order, k, i);
  for (int64_t i = k; i < n; i++) {
    if (!before(z, (int32_t)i, order[0])) continue;
    order[0] = (int32_t)i;
    sink(z, order, k, 0);
  }
  for (int64_t left = k - 1; left > 0; left--) {
    int32_t last = order[0];
    order[0] = order[left];
    order[left] = last;
    sink(z, order, left, 0);
  }
}

/* z = logits with the penalty and the temperature; p is used for marks. */
static void warm(const moire__sampling *s, const double *logits, int64_t n, const int32_t *seen, int64_t n_seen,
                 double *z, double *p) {
  for (int64_t i = 0; i < n; i++) {
    z[i] = logits[i];
    p[i] = 0;
  }
  for (int64_t i = 0; i < n_seen; i++) {
    int32_t id = seen[i];
    if (id < 0 || id >= n || p[id] != 0) continue;
    p[id] = 1;
    z[id] = z[id] > 0 ? z[id] / s->repetition_penalty : z[id] * s->repetition_penalty;
  }
  for (int64_t i = 0; i < n; i++) z[i] /= s->temperature;
}

void moire__sampling_probabilities(const moire__sampling *s, const double *logits, int64_t n,
                                   const int32_t *seen, int64_t n_seen, double *z, int32_t *order, double *p) {
  warm(s, logits, n, seen, n_seen, z, p);
  int64_t kept = s->top_k > 0 && s->top_k < n ? s->top_k : n;
  if (kept < n || s->top_p < 1) {
    moire__sampling_first(z, n, kept, order);
  } else {
    for (int64_t i = 0; i < n; i++) order[i] = (int32_t)i;
  }
  double largest = z[moire__sampling_best(z, n)], sum = 0, mass = 0;
  for (int64_t i = 0; i < n; i++) p[i] = 0;
  for (int64_t i = 0; i < kept; i++) sum += exp(z[order[i]] - largest);
  int64_t nucleus = 0;
  for (; nucleus < kept && (nucleus == 0 || s->top_p >= 1 || mass < s->top_p); nucleus++)
    mass += exp(z[order[nucleus]] - largest) / sum;
  sum = 0;
  for (int64_t i = 0; i < nucleus; i++) sum += p[order[i]] = exp(z[order[i]] - largest);
  for (int64_t i = 0; i < nucleus; i++) p[order[i]] /= sum;
}

int64_t moire__sampling_draw(const double *p, int64_t n, double u) {
  double sum = 0;
  int64_t last = 0;
  for (int64_t i = 0; i < n; i++) {
    sum += p[i];
    if (p[i] > 0) last = i;
    if (sum > u) return i;
  }
  return last;
}
