/* The adjoint of a correlation by x, as correlations: y[.., i] goes to u = i stride + r dilation (= place of x
 * + start) with weight r.
 *
 * The u that leave a rest of `phase` when divided by the stride get the taps r with r dilation = phase (mod
 * stride) alone, which are r0 + m period, m < taps of the phase:
 *
 *   x[v stride + phase - start] = sum_m w[r0 + m period] y[v - (r0 dilation - phase) / stride - m spacing]
 *
 * So each phase is a correlation of stride 1 with a part of the weights, none of which meets a zero; their
 * results are interleaved.
 */
#include "ops/convolution/correlate.h"

typedef struct phase {
  int64_t first, period, taps; /* r0, and the r after it */
  int64_t spacing, start;      /* of the correlation; start: of its result at v_low */
} phase;

static int64_t divide_down(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

static int64_t common_divisor(int64_t a, int64_t b) { return b ? common_divisor(b, a % b) : a; }

/* v of the first and the last place of x, which all phases cover. */
static int64_t low_of(const moire__correlate_axis *a) { return divide_down(a->start, a->stride); }
static int64_t count_of(const moire__correlate_axis *a) {
  return divide_down(a->start + a->size - 1, a->stride) - low_of(a) + 1;
}

static phase phase_of(const moire__correlate_axis *a, int64_t number) {
  int64_t divisor = common_divisor(a->stride, a->dilation);
  phase p = {.first = 0, .period = a->stride / divisor, .spacing = a->dilation / divisor};
  while (p.first < p.period && p.first * a->dilation % a->stride != number) p.first++;
  if (p.first == p.period || p.first >= a->taps) return p;
  p.taps = (a->taps - 1 - p.first) / p.period + 1;
  int64_t offset = (p.first * a->dilation - number) / a->stride;
  p.start = (p.taps - 1) * p.spacing + offset - low_of(a);
  return p;
}

/* The taps of a phase of w on `axis`: those of a flipped w are counted from its end. */
static moire_value taps_of(moire_value w, int axis, const phase *p, bool flipped) {
  int64_t all = moire_value_dim(w, axis), first = p->first;
  if (flipped) first = all - 1 - p->first - (p->taps - 1) * p->period;
  if (p->taps == all) return w;
  return moire_slice_by(w, axis, first, p->taps, p->period);
}

static moire_value phase_value(const moire__correlation *k, moire_value y, moire_value w,
                               const phase phases[2]) {
  moire__correlation back = {.axes = k->axes,
                             .groups = k->groups,
                             .in = k->out,
                             .out = k->in,
                             .flipped = !k->flipped,
                             .batch = k->batch};
  bool empty = false;
  for (int d = 0; d < 2; d++) {
    const moire__correlate_axis *a = &k->axis[d];
    const phase *p = &phases[d];
    back.axis[d] = (moire__correlate_axis){a->places, p->taps, 1, p->spacing, p->start, count_of(a)};
    empty = empty || !p->taps;
  }
  if (empty) {
    moire_shape shape = MOIRE_SHAPE(k->batch, k->groups * k->in);
    for (int d = 2 - k->axes; d < 2; d++) shape.dims[shape.rank++] = count_of(&k->axis[d]);
    return moire_constant(y.graph, MOIRE_F32, shape, 0);
  }
  for (int d = 2 - k->axes; d < 2; d++) w = taps_of(w, d + k->axes, &phases[d], k->flipped);
  return moire__emit_correlate(&back, y, w);
}

/* [B, phases of rows, phases of columns, C, v..] with the phases of an axis behind its v, and the places of x.
 */
static moire_value interleaved(const moire__correlation *k, moire_value all) {
  const moire__correlate_axis *rows = &k->axis[0], *columns = &k->axis[1];
  int64_t channels = k->groups * k->in, high = count_of(rows), wide = count_of(columns);
  static const int order[] = {0, 3, 4, 1, 5, 2};
  moire_value x =
      moire_reshape(all, MOIRE_SHAPE(k->batch, rows->stride, columns->stride, channels, high, wide));
  x = moire_reshape(moire_permute(x, 6, order),
                    MOIRE_SHAPE(k->batch, channels, high * rows->stride, wide * columns->stride));
  x = moire_slice(x, 2, rows->start - low_of(rows) * rows->stride, rows->size);
  x = moire_slice(x, 3, columns->start - low_of(columns) * columns->stride, columns->size);
  return k->axes == 2 ? x : moire_reshape(x, MOIRE_SHAPE(k->batch, channels, columns->size));
}

moire_value moire__correlate_adjoint(const moire__correlation *k, moire_value y, moire_value w) {
  int64_t strides[2] = {k->axis[0].stride, k->axis[1].stride}, n = 0;
  moire_value *parts = moire__arena_array(&y.graph->arena, (size_t)(strides[0] * strides[1]), sizeof *parts);
  for (int64_t i = 0; i < strides[0]; i++)
    for (int64_t j = 0; j < strides[1]; j++) {
      phase phases[2] = {phase_of(&k->axis[0], i), phase_of(&k->axis[1], j)};
      parts[n++] = phase_value(k, y, w, phases);
    }
  if (n == 1) return parts[0]; /* whose v are the places of x */
  return interleaved(k, moire_concat(parts, (int)n, 1));
}
