/* Gradients against differences: see slope.h. */
#include "tests/support/slope.h"

#include "runtime/base/philox.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct direction {
  const moire_graph *g; /* with the loss, before autodiff */
  const test_feed *feed;
  moire__tensor **p, **v; /* trained states, and where they go */
  int n;
} direction;

static void move(const direction *d, double h) {
  for (int i = 0; i < d->n; i++) {
    for (int64_t e = 0; e < d->p[i]->elements; e++) d->p[i]->re[e] += h * d->v[i]->re[e];
  }
}

static double loss_of(const direction *d) {
  test_values values;
  double loss = (double)NAN;
  if (test_run_graph(d->g, d->feed, &values, NULL) == MOIRE_OK)
    loss = test_values_find(&values, "loss", false)->value[0];
  test_values_free(&values);
  return loss;
}

static double slope_of(const direction *d, double h) {
  move(d, h);
  double above = loss_of(d);
  move(d, -2 * h);
  double below = loss_of(d);
  move(d, h);
  return (above - below) / (2 * h);
}

/* <gradient, v>, and the sum of its terms' sizes: what a difference can be held against. */
static double product_of(const direction *d, const test_values *values, double *scale) {
  double sum = 0;
  *scale = 0;
  for (int i = 0; i < d->n; i++) {
    char name[64];
    snprintf(name, sizeof name, "grad.%s", d->feed->states[i].name);
    const test_value *gradient = test_values_find(values, name, false);
    for (int64_t e = 0; gradient && e < d->p[i]->elements; e++) {
      sum += gradient->value[e] * d->v[i]->re[e];
      *scale += fabs(gradient->value[e] * d->v[i]->re[e]);
    }
  }
  return sum;
}

/* A loss with a kink or a jump near the point differs at one step and agrees at another. */
static bool slope_agrees(const direction *d, const test_values *values, moire__text *why) {
  double scale = 0, got = product_of(d, values, &scale), want = 0, loss = loss_of(d);
  if (!isfinite(got) || !isfinite(loss)) return true;
  for (double h = 1e-3; h > 1e-8; h /= 10) {
    want = slope_of(d, h);
    double noise = 1e-13 * (1 + fabs(loss)) / h;
    if (fabs(got - want) <= 1e-3 * scale + noise + 1e-9) return true;
  }
  moire__text_add(why, "the gradient along a direction is %.9g, the difference of the loss %.9g", got, want);
  return false;
}

bool test_slope_agrees(const test_subject *s, const test_feed *feed, uint64_t seed, moire__text *why) {
  moire__arena arena = {0};
  const moire_graph *g = s->stages[0];
  direction d = {.g = g, .feed = feed};
  d.p = moire__arena_array(&arena, (size_t)feed->n_states + 1, sizeof *d.p);
  d.v = moire__arena_array(&arena, (size_t)feed->n_states + 1, sizeof *d.v);
  moire__random random = moire__random_start(seed, 3);
  for (int i = 0; i < feed->n_states; i++) {
    moire__tensor *p = feed->states[i].tensor;
    moire_shape shape = {.rank = p->rank};
    memcpy(shape.dims, p->dims, sizeof shape.dims);
    d.p[d.n] = p;
    d.v[d.n] = moire__tensor_create(p->dtype, &shape, NULL);
    bool trained = i < g->n_states && g->states[i].trained;
    for (int64_t e = 0; e < p->elements && trained; e++) d.v[d.n]->re[e] = 2 * moire__random_real(&random) - 1;
    d.n++;
  }
  test_values values;
  bool good = test_run_graph(s->stages[s->reference], feed, &values, NULL) == MOIRE_OK;
  good = good && slope_agrees(&d, &values, why);
  test_values_free(&values);
  for (int i = 0; i < d.n; i++) moire__tensor_destroy(d.v[i]);
  moire__arena_free(&arena);
  return good;
}
