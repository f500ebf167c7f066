/* Convolutions of random graphs: over one and two axes, transposed or not, by all of their ways. */
#include "tests/support/graphs/random_graph_private.h"

/* Of the two axes; of one axis the second holds. */
typedef struct geometry {
  int64_t taps[2], stride[2], padding[2], dilation[2], output_padding[2];
  int64_t groups;
  bool transposed;
  int axes;
} geometry;

static geometry draw(maker *m, int axes, int64_t channels) {
  geometry g = {.axes = axes, .transposed = random_chance(m, 40), .groups = 1};
  if (random_chance(m, 25) && channels % 2 == 0) g.groups = 2;
  for (int d = 0; d < 2; d++) {
    g.taps[d] = 1 + random_below(m, axes == 1 && random_chance(m, 30) ? 12 : 4);
    g.stride[d] = random_chance(m, 60) ? 1 : 1 + random_below(m, 4);
    g.dilation[d] = random_chance(m, 70) ? 1 : 1 + random_below(m, 3);
    g.padding[d] = random_below(m, 4);
    if (g.stride[d] > 1 && random_chance(m, 40)) g.output_padding[d] = random_below(m, (int)g.stride[d]);
  }
  return g;
}

/* Places of an axis; what is less than one does not fit. */
static int64_t places(const geometry *g, int d, int64_t size) {
  int64_t reach = g->dilation[d] * (g->taps[d] - 1) + 1;
  if (g->transposed) return (size - 1) * g->stride[d] - 2 * g->padding[d] + reach + g->output_padding[d];
  int64_t room = size + 2 * g->padding[d] - reach;
  return room < 0 ? 0 : room / g->stride[d] + 1;
}

static moire_value call(const geometry *g, moire_value x, moire_value w, moire_value bias) {
  const int64_t *s = g->stride, *p = g->padding, *d = g->dilation, *o = g->output_padding;
  if (g->axes == 2)
    return g->transposed ? moire_conv_transpose2d(x, w, bias, s, p, o, g->groups, d)
                         : moire_conv2d(x, w, bias, s, p, d, g->groups);
  return g->transposed ? moire_conv_transpose1d(x, w, bias, s[1], p[1], o[1], g->groups, d[1])
                       : moire_conv1d(x, w, bias, s[1], p[1], d[1], g->groups);
}

void random_convolution(maker *m) {
  const pooled *p = random_pick(m, random_is_number, 3);
  if (!p || random_rank(p) != 3 || !random_static(random_dim(p, 1)) || !random_static(random_dim(p, 2))) return;
  moire_value x = p->v;
  moire_shape shape = moire_value_shape(x);
  int axes = 1 + random_chance(m, 40);
  if (axes == 2) { /* the axes are both of places, of a channel or two */
    int64_t channels = shape.dims[1] % 2 == 0 ? 2 : 1;
    shape = MOIRE_SHAPE(shape.dims[0], channels, shape.dims[1] / channels, shape.dims[2]);
    x = moire_reshape(x, shape);
  }
  geometry g = draw(m, axes, shape.dims[1]);
  int64_t in = shape.dims[1], out = g.groups * (1 + random_below(m, random_chance(m, 50) ? 4 : 20));
  moire_shape y = MOIRE_SHAPE(shape.dims[0], out),
              w = g.transposed ? MOIRE_SHAPE(in, out / g.groups) : MOIRE_SHAPE(out, in / g.groups);
  double terms = (double)(in / g.groups);
  for (int i = 0; i < axes; i++) {
    int d = 2 - axes + i;
    y.dims[y.rank++] = places(&g, d, shape.dims[2 + i]);
    w.dims[w.rank++] = g.taps[d];
    terms *= (double)g.taps[d];
    if (y.dims[y.rank - 1] < 1) return;
  }
  if (!random_fits(&y) || !random_fits(&w)) return;
  bool complex = random_chance(m, random_is_complex(p) ? 80 : 15);
  moire_value weights = complex ? random_complex_parameter(m, w) : random_parameter(m, w);
  moire_value bias = {0};
  if (random_chance(m, 50)) bias = random_parameter(m, MOIRE_SHAPE(out));
  random_put_symmetric(m, call(&g, x, weights, bias), 2 * random_size(p) * terms + 1);
}
