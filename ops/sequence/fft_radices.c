/* A length as a product of short transforms: all ways are tried, by what they cost a point.
 *
 * A pass over the data loads and stores it and multiplies it by roots of unity, whatever it does in between;
 * so few long parts win over many short ones, until their numbers no longer fit in registers.
 */
#include "ops/sequence/fft.h"

/* Instructions a point of a transform of that many points (counted in moire__fft_short), with a share for
 * spilled registers from 10 on; 0: there is none. */
static const double short_cost[MOIRE__FFT_MOST_RADIX + 1] = {
    0, 0, 2, 5.3, 4, 8.8, 7.3, 12, 7, 13, 12, 17, 15, 19, 17, 20, 13,
};
/* Loads, stores and roots of a pass, and its way through the caches. */
static const double pass_cost = 12;

typedef struct search {
  int now[MOIRE__FFT_MOST_RADICES], best[MOIRE__FFT_MOST_RADICES];
  int n_best;
  double cost;
} search;

/* Ways to take n apart into parts that do not grow; `spent` has been for those before. */
static void try_parts(search *s, int64_t n, int most, int depth, double spent) {
  if (s->n_best >= 0 && spent >= s->cost) return;
  if (n == 1) {
    for (int i = 0; i < depth; i++) s->best[i] = s->now[i];
    s->n_best = depth;
    s->cost = spent;
    return;
  }
  if (depth == MOIRE__FFT_MOST_RADICES) return;
  for (int r = most; r >= 2; r--) {
    if (n % r) continue;
    s->now[depth] = r;
    try_parts(s, n / r, r, depth + 1, spent + pass_cost + short_cost[r]);
  }
}

static search search_parts(int64_t n) {
  search s = {.n_best = -1};
  if (n >= 1 && n <= MOIRE__FFT_MOST_POINTS) try_parts(&s, n, MOIRE__FFT_MOST_RADIX, 0, 0);
  return s;
}

int moire__fft_radices(int64_t n, int radices[MOIRE__FFT_MOST_RADICES]) {
  search s = search_parts(n);
  for (int i = 0; i < s.n_best; i++) radices[i] = s.best[i];
  return s.n_best;
}

double moire__fft_cost(int64_t n) {
  search s = search_parts(n);
  return s.n_best < 0 ? 0 : s.cost;
}
