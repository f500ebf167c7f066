/* What products of bf16 are judged by. See golden.h.
 *
 * How far a number goes when operands are rounded is a matter of the model, not of bits alone: a gradient that
 * is a difference of large ones, or a norm that leaps, is off by many units, what a mean gives by less than
 * one. So it is measured, without anything of bf16: weights are multiplied by 1 + u with independent u that are
 * uniform in [-2^-8, 2^-8], and float32 computes all that the golden holds. The root mean square of what a
 * tensor moves by, over some draws, is its reach. Products round both operands to within 2^-8 of themselves,
 * three quarters as far in the mean square as those draws go, so bf16 is off by about a reach at most, and by
 * several only if something is wrong. */
#include "tools/golden.h"

#include "runtime/base/philox.h"

#include <math.h>
#include <string.h>

enum { DRAWS = 8, CURVE_DRAWS = 2 }; /* a curve is hundreds of steps */

static const double unit = 0x1p-8, most_reaches = 4;

/* Below so many units nobody asks. Steps of Adam are as long for a small gradient as for a large one, so where
 * rounding decides the sign of one, a bias that was 0 goes the other way. */
static const double least_units[] = {
    [TOOL_OUTPUTS] = 1, [TOOL_LOSSES] = 1, [TOOL_GRADIENTS] = 1, [TOOL_TRAINED] = 4};

void tool_golden_shift(const tool_golden *g, const moire_plan_state *state, double *values, int64_t n) {
  if (!g->draw || (state->dtype != MOIRE_F32 && state->dtype != MOIRE_C64)) return;
  uint64_t stream = moire__hash_name(state->name);
  for (int64_t i = 0; i < n; i++)
    values[i] *= 1 + unit * (2 * moire__uniform((uint64_t)g->draw, stream, (uint64_t)i) - 1);
}

const double *tool_golden_origin(tool_golden *g, const double *want, const double *got, int64_t n) {
  if (!g->measures) return want;
  if (g->draw) return g->unshifted[g->n];
  double *copy = moire__arena_array(&g->arena, (size_t)n + 1, sizeof *copy);
  memcpy(copy, got, (size_t)n * sizeof *copy);
  MOIRE__PUSH(&g->arena, g->unshifted, g->n_unshifted, g->unshifted_capacity, copy);
  return copy;
}

moire_status tool_golden_measure(tool_golden *g, tool_golden_checker check, tool_engine engine,
                                 moire_threads *threads, moire_error *error) {
  moire_precision precision = g->precision;
  int draws = g->is_curve ? CURVE_DRAWS : DRAWS;
  g->precision = MOIRE_PRECISION_F32;
  g->measures = true;
  moire_status status = check(g, engine, threads, error);
  double *squares = moire__arena_array(&g->arena, (size_t)g->n + 1, sizeof *squares);
  for (g->draw = 1; g->draw <= draws && !status; g->draw++) {
    g->n = 0;
    status = check(g, engine, threads, error);
    for (int i = 0; i < g->n; i++) squares[i] += g->findings[i].error * g->findings[i].error / draws;
  }
  for (int i = 0; i < g->n; i++) squares[i] = sqrt(squares[i]);
  g->reach = squares;
  g->measures = false;
  g->draw = g->n = 0;
  g->precision = precision;
  return status;
}

double tool_golden_reach_limit(const tool_golden *g, tool_class class) {
  return fmax(least_units[class] * unit, most_reaches * g->reach[g->n]);
}
