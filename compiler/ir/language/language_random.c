/* The language: random values. All of them are made of random words (ops/source/random_word.c), a stream for
 * each call, so that they depend on the counters and on the element alone. */
#include "compiler/ir/language/language.h"

#include <inttypes.h>

static moire_value words(moire_source at, moire_graph *g, moire_shape shape) {
  const moire__attr attrs[] = {moire__attr_make_int("stream", moire__graph_fresh_stream(g)),
                               moire__attr_make_dims("shape", &shape)};
  moire_value rng = moire__graph_rng(g, at);
  if (moire_value_is_null(rng)) return rng;
  return moire__graph_emit(g, at, MOIRE__OP_random_word, &rng, 1, attrs, 2);
}

static moire_value unit(moire_source at, moire_graph *g, moire_shape shape) {
  return moire__emit_unary(at, MOIRE__OP_word_unit, words(at, g, shape));
}

static bool is_finite(double x) { return x - x == 0; }

moire_value moire_uniform_at(moire_source at, moire_graph *g, moire_shape shape, double low, double high) {
  MOIRE__NEED_GRAPH(g);
  if (!(low <= high) || !is_finite(high - low)) {
    moire__graph_fail_at(g, at, "uniform", MOIRE_ERROR_ARGUMENT, "from %g to %g is no interval", low, high);
    return (moire_value){g, 0};
  }
  moire_value u = unit(at, g, shape);
  if (high - low != 1) u = moire_scale_at(at, u, high - low);
  return low == 0 ? u : moire_add_scalar_at(at, u, low);
}

/* Box and Muller: sqrt(-2 ln(1 - u)) cos(2 pi v). 1 - u is in (0, 1] and exact, and no more than 5.77 comes. */
moire_value moire_normal_at(moire_source at, moire_graph *g, moire_shape shape, double mean, double deviation) {
  MOIRE__NEED_GRAPH(g);
  if (!is_finite(mean) || !is_finite(deviation) || deviation < 0) {
    moire__graph_fail_at(g, at, "normal", MOIRE_ERROR_ARGUMENT, "mean %g and deviation %g", mean, deviation);
    return (moire_value){g, 0};
  }
  const double circle = 6.283185307179586;
  moire_value u = unit(at, g, shape), v = unit(at, g, shape);
  moire_value log = moire_log_at(at, moire_add_scalar_at(at, moire_neg_at(at, u), 1));
  moire_value y = moire_mul_at(at, moire_sqrt_at(at, moire_scale_at(at, log, -2)),
                               moire_cos_at(at, moire_scale_at(at, v, circle)));
  if (deviation != 1) y = moire_scale_at(at, y, deviation);
  return mean == 0 ? y : moire_add_scalar_at(at, y, mean);
}

moire_value moire_random_integers_at(moire_source at, moire_graph *g, moire_shape shape, int64_t low,
                                     int64_t high) {
  MOIRE__NEED_GRAPH(g);
  if (low < INT32_MIN || high > INT32_MAX || low >= high || high - low > INT32_MAX) {
    moire__graph_fail_at(g, at, "random_integers", MOIRE_ERROR_ARGUMENT,
                         "from %" PRId64 " to below %" PRId64 ", wanted some numbers, fewer than 2^31, in i32",
                         low, high);
    return (moire_value){g, 0};
  }
  moire_value n = moire_constant_at(at, g, MOIRE_I32, shape, (double)(high - low));
  moire_value y = moire__emit_binary(at, MOIRE__OP_word_below, words(at, g, shape), n);
  if (low == 0) return y;
  return moire_add_at(at, y, moire_constant_at(at, g, MOIRE_I32, MOIRE_SCALAR, (double)low));
}

moire_value moire_random_below_at(moire_source at, moire_value n) {
  if (moire_value_is_null(n)) return n;
  return moire__emit_binary(at, MOIRE__OP_word_below, words(at, n.graph, moire_value_shape(n)), n);
}

moire_value moire_bernoulli_at(moire_source at, moire_value p) {
  if (moire_value_is_null(p)) return p;
  p = moire_stop_gradient_at(at, p);
  moire_value hit = moire_less_at(at, unit(at, p.graph, moire_value_shape(p)), p);
  return moire_cast_at(at, hit, MOIRE_F32);
}
