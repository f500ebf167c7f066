/* Calls of the language that are written in terms of others: each against its formula in double, at every stage
 * of the compiler and in native code, and its gradients against differences.
 *
 * a and b are f32[3,5], z = a + i b; what is judged is `y`, and the gradients of a sum of its elements with
 * weights.
 */
#include <criterion/criterion.h>

#include "compiler/ir/graph/graph.h"
#include "tests/support/call_case.h"

#include <complex.h>
#include <math.h>
#include <string.h>

enum { ROWS = 3, COLUMNS = 5, ALL = ROWS * COLUMNS };
typedef double complex wave;

typedef struct point {
  const double *a, *b;
} point;

typedef struct composite {
  const char *name;
  moire_value (*build)(moire_value a, moire_value b);
  double (*want)(point p,
                 int i); /* element i of y, or the real part of it and, from the end of y on, the others */
  double low, high;
} composite;

#define REAL(title, call, formula)                                                                             \
  static moire_value title##_build(moire_value a, moire_value b) {                                             \
    (void)a, (void)b;                                                                                          \
    return call;                                                                                               \
  }                                                                                                            \
  static double title##_want(point p, int i) {                                                                 \
    const double *row = p.a + i * COLUMNS, *other = p.b + i * COLUMNS, x = p.a[i % ALL], t = p.b[i % ALL];     \
    (void)row, (void)other, (void)x, (void)t;                                                                  \
    return formula;                                                                                            \
  }

#define WAVE(title, call, formula)                                                                             \
  static moire_value title##_build(moire_value a, moire_value b) {                                             \
    moire_value z = moire_complex(a, b), w = moire_complex(moire_add_scalar(b, 2), a);                         \
    (void)z, (void)w;                                                                                          \
    return call;                                                                                               \
  }                                                                                                            \
  static double title##_want(point p, int i) {                                                                 \
    wave z = p.a[i % ALL] + p.b[i % ALL] * (wave)I, w = p.b[i % ALL] + 2 + p.a[i % ALL] * (wave)I;             \
    (void)z, (void)w;                                                                                          \
    wave y = formula;                                                                                          \
    return i < ALL ? creal(y) : cimag(y);                                                                      \
  }

static moire_value whole(moire_value x) { return moire_cast(x, MOIRE_F32); }
static moire_value ints(moire_value x) { return moire_cast(moire_scale(x, 10), MOIRE_I32); }
static const int both[] = {1, 0};
static const moire_value none = {0};

/* ---- sums and the like over a row, or all ---------------------------------------------------------------- */

static double sum(const double *x, int n) { return n > 0 ? x[0] + sum(x + 1, n - 1) : 0; }
static double product(const double *x, int n) { return n > 0 ? x[0] * product(x + 1, n - 1) : 1; }
static double dot(const double *x, const double *y, int n) {
  return n > 0 ? *x * *y + dot(x + 1, y + 1, n - 1) : 0;
}
static double least(const double *x, int n) { return n > 1 ? fmin(x[0], least(x + 1, n - 1)) : x[0]; }
static double most(const double *x, int n) { return n > 1 ? fmax(x[0], most(x + 1, n - 1)) : x[0]; }
static int index_of(const double *x, double value) { return *x == value ? 0 : 1 + index_of(x + 1, value); }
static double exponentials(const double *x, int n) { return n > 0 ? exp(*x) + exponentials(x + 1, n - 1) : 0; }
static double mean_of(double (*f)(double x, double t), point p) {
  double total = 0;
  for (int i = 0; i < ALL; i++) total += f(p.a[i], p.b[i]) / ALL;
  return total;
}
static double deviation(const double *x, int n, double eps) {
  double mean = sum(x, n) / n, total = 0;
  for (int i = 0; i < n; i++) total += (x[i] - mean) * (x[i] - mean) / n;
  return sqrt(total + eps);
}
static double apart(const double *x, const double *y) {
  double total = 0;
  for (int i = 0; i < COLUMNS; i++) total += (x[i] - y[i] + 1e-6) * (x[i] - y[i] + 1e-6);
  return sqrt(total);
}
static double cosine(const double *x, const double *y) {
  return dot(x, y, COLUMNS) / sqrt(dot(x, x, COLUMNS) * dot(y, y, COLUMNS));
}

/* ---- functions ------------------------------------------------------------------------------------------- */

REAL(clamp, moire_clamp(a, -0.4, 0.3), fmin(fmax(x, -0.4), 0.3))
REAL(clamp_below, moire_clamp(a, -INFINITY, 0.3), fmin(x, 0.3))
REAL(sign, moire_add(moire_sign(a), a), x + (x > 0) - (x < 0))
REAL(leaky_relu, moire_leaky_relu(a, 0.1), x > 0 ? x : 0.1 * x)
REAL(elu, moire_elu(a, 1.5), x > 0 ? x : 1.5 * expm1(x))
REAL(log_sigmoid, moire_log_sigmoid(a), -log1p(exp(-x)))
REAL(expm1_, moire_expm1(a), expm1(x))
REAL(hypot_, moire_hypot(a, b), hypot(x, t))
REAL(floor_, moire_add(moire_floor(moire_scale(a, 3)), a), floor(3 * x) + x)
REAL(round_, moire_add(moire_round(moire_scale(a, 3)), a), nearbyint(3 * x) + x)
REAL(whole_remainder, whole(moire_remainder(ints(a), ints(b))),
     (int)(10 * t) == 0 ? 0 : (int)(10 * x) - floor(trunc(10 * x) / trunc(10 * t)) * trunc(10 * t))
WAVE(complex_exp, moire_exp(z), cexp(z))
WAVE(complex_log, moire_log(w), clog(w))
WAVE(complex_sqrt_left, moire_sqrt(z), csqrt(z))
WAVE(complex_tanh_, moire_tanh(z), ctanh(z))
WAVE(complex_div_, moire_div(z, w), z / w)
WAVE(real_by_complex, moire_div(a, w), creal(z) / w)
WAVE(complex_relu, moire_relu(z), fmax(creal(z), 0) + fmax(cimag(z), 0) * (wave)I)
WAVE(modrelu, moire_modrelu(z, moire_constant(a.graph, MOIRE_F32, MOIRE_SHAPE(COLUMNS), -0.5)),
     fmax(cabs(z) - 0.5, 0) * z / cabs(z))

/* ---- reductions ------------------------------------------------------------------------------------------ */

REAL(min_, moire_min(a, 1, false), least(row, COLUMNS))
REAL(prod_, moire_prod(a, -1, true), product(row, COLUMNS))
REAL(prod_all, moire_prod_axes(a, 2, both, false), product(p.a, ALL))
REAL(sum_axes, moire_sum_axes(a, 2, both, true), sum(p.a, ALL))
REAL(mean_axes, moire_mean_axes(a, 2, both, false), sum(p.a, ALL) / ALL)
REAL(max_axes, moire_max_axes(a, 2, both, false), most(p.a, ALL))
REAL(min_axes, moire_min_axes(a, 1, both, false), least(row, COLUMNS))
REAL(any_, whole(moire_any(moire_less(a, b), 1, false)),
     row[0] < other[0] || row[1] < other[1] || row[2] < other[2] || row[3] < other[3] || row[4] < other[4])
REAL(all_, whole(moire_all(moire_less(a, moire_add_scalar(b, 1)), 1, false)),
     row[0] < other[0] + 1 && row[1] < other[1] + 1 && row[2] < other[2] + 1 && row[3] < other[3] + 1 &&
         row[4] < other[4] + 1)
REAL(logsumexp, moire_logsumexp(moire_add_scalar(a, 300), 1, false), 300 + log(exponentials(row, COLUMNS)))
REAL(any_axes, whole(moire_any_axes(moire_less(a, b), 1, &(int){1}, false)),
     row[0] < other[0] || row[1] < other[1] || row[2] < other[2] || row[3] < other[3] || row[4] < other[4])
REAL(all_axes, whole(moire_all_axes(moire_less(a, moire_add_scalar(a, 1)), 2, both, false)), 1)
REAL(logsumexp_axes, moire_logsumexp_axes(moire_add_scalar(a, 300), 2, both, false),
     300 + log(exponentials(p.a, ALL)))
REAL(cumprod, moire_cumprod(a, 1), product(p.a + i / COLUMNS * COLUMNS, (int)(i % COLUMNS) + 1))
REAL(argmax, whole(moire_argmax(a, 1, false)), index_of(row, most(row, COLUMNS)))
REAL(argmin, whole(moire_argmin(a, -1, true)), index_of(row, least(row, COLUMNS)))

/* ---- places ---------------------------------------------------------------------------------------------- */

REAL(slice_by, moire_slice_by(a, 1, 0, 3, 2), p.a[i / 3 * COLUMNS + i % 3 * 2])
REAL(slice_by_end, moire_slice_by(a, 1, 1, 2, 3), p.a[i / 2 * COLUMNS + 1 + i % 2 * 3])
REAL(slice_by_rows, moire_slice_by(a, 0, 0, 2, 2), p.a[i / COLUMNS * 2 * COLUMNS + i % COLUMNS])
REAL(flip_, moire_flip(a, -1), p.a[i / COLUMNS * COLUMNS + COLUMNS - 1 - i % COLUMNS])
REAL(roll, moire_roll(a, 2, 1),
     p.a[i / COLUMNS * COLUMNS + (i + 2 * ALL - i / COLUMNS * COLUMNS - 2) % COLUMNS])
REAL(roll_back, moire_roll(a, -4, 0), p.a[(i / COLUMNS + 4) % ROWS * COLUMNS + i % COLUMNS])
REAL(one_hot, moire_mul(a, moire_one_hot(moire_iota(a.graph, MOIRE_SHAPE(ROWS), 0), COLUMNS, MOIRE_F32)),
     i / COLUMNS == i % COLUMNS ? x : 0)

/* ---- norms ----------------------------------------------------------------------------------------------- */

REAL(layer_norm, moire_layer_norm(a, none, none, 1e-3),
     (x - sum(p.a + i / COLUMNS * COLUMNS, COLUMNS) / COLUMNS) /
         deviation(p.a + i / COLUMNS * COLUMNS, COLUMNS, 1e-3))
REAL(rms_norm, moire_rms_norm(a, moire_slice(b, 0, 0, 1), 1e-3),
     x / sqrt(dot(p.a + i / COLUMNS * COLUMNS, p.a + i / COLUMNS * COLUMNS, COLUMNS) / COLUMNS + 1e-3) *
         p.b[i % COLUMNS])
REAL(group_norm, moire_group_norm(moire_reshape(a, MOIRE_SHAPE(1, ROWS, COLUMNS)), 1, none, none, 1e-3),
     (x - sum(p.a, ALL) / ALL) / deviation(p.a, ALL, 1e-3))
WAVE(layer_norm_of_planes, moire_layer_norm(z, none, none, 1e-3),
     (creal(z) - sum(p.a + i % ALL / COLUMNS * COLUMNS, COLUMNS) / COLUMNS) /
             deviation(p.a + i % ALL / COLUMNS * COLUMNS, COLUMNS, 1e-3) +
         (cimag(z) - sum(p.b + i % ALL / COLUMNS * COLUMNS, COLUMNS) / COLUMNS) /
             deviation(p.b + i % ALL / COLUMNS * COLUMNS, COLUMNS, 1e-3) * (wave)I)
REAL(magnitude_softmax,
     moire_magnitude_softmax(moire_complex(moire_slice(a, 1, 0, 2), moire_slice(b, 1, 0, 2))),
     1 / (1 + exp(hypot(p.a[i / 2 * COLUMNS + 1 - i % 2], p.b[i / 2 * COLUMNS + 1 - i % 2]) -
                  hypot(p.a[i / 2 * COLUMNS + i % 2], p.b[i / 2 * COLUMNS + i % 2]))))

/* ---- losses ---------------------------------------------------------------------------------------------- */

static double square(double x, double t) { return (x - t) * (x - t); }
static double distance(double x, double t) { return fabs(x - t); }
static double huber(double x, double t) {
  double d = fabs(x - t);
  return d < 0.4 ? d * d / 2 : 0.4 * (d - 0.2);
}
static double cross(double x, double t) { return (1 - t) * x + (1 + 2 * t) * log1p(exp(-x)); }
static double divergence(double x, double t) { return (t + 1) * (log(t + 1) - x); }
static double log_divergence(double x, double t) { return exp(t) * (t - x); }
static double ranked(double x, double t) { return log1p(exp(t - x)); }
static double log_share(const double *row, int class) { return row[class] - log(exponentials(row, COLUMNS)); }

static moire_value classes(moire_value a, int first) { /* first, 1 .. */
  moire_value i = moire_iota(a.graph, MOIRE_SHAPE(ROWS), 0);
  moire_value zero = moire_constant(a.graph, MOIRE_I32, MOIRE_SHAPE(ROWS), 0);
  return moire_where(moire_equal(i, zero), moire_constant(a.graph, MOIRE_I32, MOIRE_SHAPE(ROWS), first), i);
}
static moire_value class_weights(moire_value a) { /* 1, 2, .. */
  return moire_add_scalar(moire_cast(moire_iota(a.graph, MOIRE_SHAPE(COLUMNS), 0), MOIRE_F32), 1);
}

REAL(mse_loss, moire_mse_loss(a, b, MOIRE_REDUCE_MEAN), mean_of(square, p))
REAL(mse_loss_none, moire_mse_loss(a, b, MOIRE_REDUCE_NONE), square(x, t))
REAL(l1_loss, moire_l1_loss(a, b, MOIRE_REDUCE_SUM), ALL *mean_of(distance, p))
REAL(huber_loss, moire_huber_loss(a, b, 0.4, MOIRE_REDUCE_MEAN), mean_of(huber, p))
REAL(binary_cross_entropy,
     moire_binary_cross_entropy_with_logits(a, b, none, moire_constant(a.graph, MOIRE_F32, MOIRE_SCALAR, 3),
                                            MOIRE_REDUCE_MEAN),
     mean_of(cross, p))
REAL(kl_div, moire_kl_div(a, moire_add_scalar(b, 1), false, MOIRE_REDUCE_BATCH_MEAN),
     COLUMNS *mean_of(divergence, p))
REAL(kl_div_of_logs, moire_kl_div(a, b, true, MOIRE_REDUCE_SUM), ALL *mean_of(log_divergence, p))
REAL(bpr_loss, moire_bpr_loss(a, b, MOIRE_REDUCE_MEAN), mean_of(ranked, p))
REAL(cross_entropy_loss, moire_cross_entropy_loss(a, classes(a, -100), (moire_cross_entropy_options){0}),
     -(log_share(p.a + COLUMNS, 1) + log_share(p.a + 2 * COLUMNS, 2)) / 2)
REAL(cross_entropy_ignoring_2,
     moire_cross_entropy_loss(a, classes(a, 4),
                              (moire_cross_entropy_options){
                                  .ignore = true, .ignore_index = 2, .weight = class_weights(a)}),
     -(5 * log_share(p.a, 4) + 2 * log_share(p.a + COLUMNS, 1)) / 7)
REAL(cross_entropy_smoothed,
     moire_cross_entropy_loss(a, classes(a, 4),
                              (moire_cross_entropy_options){.label_smoothing = 0.1,
                                                            .reduction = MOIRE_REDUCE_NONE}),
     -0.9 * log_share(row, i ? i : 4) - 0.1 * (sum(row, COLUMNS) / COLUMNS - log(exponentials(row, COLUMNS))))
REAL(cosine_similarity, moire_cosine_similarity(a, b, 1e-8), cosine(row, other))
REAL(cosine_embedding_loss,
     moire_cosine_embedding_loss(a, b, moire_constant(a.graph, MOIRE_F32, MOIRE_SHAPE(ROWS), -1), -0.9,
                                 MOIRE_REDUCE_NONE),
     fmax(0, cosine(row, other) + 0.9))
REAL(triplet_margin_loss, moire_triplet_margin_loss(a, b, moire_flip(b, 1), 5, MOIRE_REDUCE_NONE),
     5 + apart(row, other) - apart(row, (const double[]){other[4], other[3], other[2], other[1], other[0]}))
REAL(info_nce, moire_info_nce(a, b, moire_slice(b, 0, 2, 1), 0.5, MOIRE_REDUCE_NONE),
     log(1 + exp(2 * (cosine(row, p.b + 2 * COLUMNS) - cosine(row, other)))))
REAL(info_nce_in_batch, moire_info_nce(a, b, none, 0.5, MOIRE_REDUCE_NONE),
     -2 * cosine(row, other) + log(exp(2 * cosine(row, p.b)) + exp(2 * cosine(row, p.b + COLUMNS)) +
                                   exp(2 * cosine(row, p.b + 2 * COLUMNS))))

/* o[i][v] = a[i] . b[v]; the target of row i is item i. */
static double scored(point p, int i, int v) {
  double sum = 0;
  for (int d = 0; d < COLUMNS; d++) sum += p.a[i * COLUMNS + d] * p.b[v * COLUMNS + d];
  return sum;
}
/* Items `first` to 2 were drawn, with ln q, but for what is row i's own. */
static double sampled(point p, int i, int first, double log_kq) {
  double sum = 1;
  for (int v = first; v < ROWS; v++) sum += v == i ? 0 : exp(scored(p, i, v) - log_kq - scored(p, i, i));
  return log(sum);
}
static double binary(point p, int i, double beta) {
  double wrong = i == 2 ? 0 : log1p(exp(scored(p, i, 2)));
  return (beta * log1p(exp(-scored(p, i, i))) + wrong) / 2;
}
static moire_value rows_of(moire_value a, int64_t n) { return moire_iota(a.graph, MOIRE_SHAPE(n), 0); }
static moire_value plus(moire_value i, double k) {
  return moire_add(i, moire_constant(i.graph, MOIRE_I32, MOIRE_SCALAR, k));
}
static moire_drawn from(moire_value a, int64_t first) {
  return (moire_drawn){plus(rows_of(a, ROWS - first), (double)first),
                       moire_constant(a.graph, MOIRE_F32, MOIRE_SHAPE(ROWS - first), -0.7), false};
}
REAL(sampled_softmax_loss, moire_sampled_softmax_loss(a, b, rows_of(a, ROWS), from(a, 1), MOIRE_REDUCE_NONE),
     sampled(p, i, 1, log(2) - 0.7))
REAL(sampled_in_batch,
     moire_sampled_softmax_loss(a, b, rows_of(a, ROWS),
                                moire_draw_in_batch(rows_of(a, ROWS), plus(rows_of(a, ROWS), 1)),
                                MOIRE_REDUCE_NONE),
     sampled(p, i, 0, log(2) - log(3)))
REAL(gbce_loss, moire_gbce_loss(a, b, rows_of(a, ROWS), from(a, 2), 0.75, MOIRE_REDUCE_NONE),
     binary(p, i, 0.625))

#define ROW(title) {#title, title##_build, title##_want, -1, 1},
static const composite cases[] = {
    ROW(clamp) ROW(clamp_below) ROW(sign) ROW(leaky_relu) ROW(elu) ROW(log_sigmoid) ROW(expm1_) ROW(hypot_)
        ROW(floor_) ROW(round_) ROW(whole_remainder) ROW(complex_exp) ROW(complex_log) ROW(complex_sqrt_left)
            ROW(complex_tanh_) ROW(complex_div_) ROW(real_by_complex) ROW(complex_relu) ROW(modrelu) ROW(min_)
                ROW(prod_) ROW(prod_all) ROW(sum_axes) ROW(mean_axes) ROW(max_axes) ROW(min_axes) ROW(any_)
                    ROW(all_) ROW(any_axes) ROW(all_axes) ROW(logsumexp) ROW(logsumexp_axes) ROW(cumprod)
                        ROW(argmax) ROW(argmin) ROW(slice_by) ROW(slice_by_end) ROW(slice_by_rows) ROW(flip_)
                            ROW(roll) ROW(roll_back) ROW(one_hot) ROW(layer_norm) ROW(rms_norm) ROW(group_norm)
                                ROW(layer_norm_of_planes) ROW(magnitude_softmax) ROW(mse_loss)
                                    ROW(mse_loss_none) ROW(l1_loss) ROW(huber_loss) ROW(binary_cross_entropy)
                                        ROW(kl_div) ROW(kl_div_of_logs) ROW(bpr_loss) ROW(cross_entropy_loss)
                                            ROW(cross_entropy_ignoring_2) ROW(cross_entropy_smoothed)
                                                ROW(cosine_similarity) ROW(cosine_embedding_loss)
                                                    ROW(triplet_margin_loss) ROW(info_nce)
                                                        ROW(info_nce_in_batch) ROW(sampled_softmax_loss)
                                                            ROW(sampled_in_batch) ROW(gbce_loss)};
enum { CASES = sizeof cases / sizeof *cases };

static moire_value weighted(moire_value y, double by) {
  moire_shape shape = moire_value_shape(y);
  moire_value i = shape.rank ? moire_cast(moire_iota(y.graph, shape, -1), MOIRE_F32)
                             : moire_constant(y.graph, MOIRE_F32, MOIRE_SCALAR, 1);
  return moire_sum_all(moire_mul(y, moire_add_scalar(moire_scale(i, by), 0.3)));
}

static moire_graph *build(const composite *c) {
  moire_graph *g = moire_graph_create("composite", MOIRE_TRAINING);
  moire_value a = moire_parameter(g, "a", MOIRE_SHAPE(ROWS, COLUMNS), moire_init_constant(0));
  moire_value b = moire_parameter(g, "b", MOIRE_SHAPE(ROWS, COLUMNS), moire_init_constant(0));
  moire_value y = c->build(a, b);
  moire_output(g, "y", y);
  if (moire_value_dtype(y) == MOIRE_C64) {
    moire_output(g, "loss", moire_add(weighted(moire_real(y), 0.7), weighted(moire_imag(y), -0.4)));
  } else {
    moire_output(g, "loss", weighted(y, 0.7));
  }
  return g;
}

static bool has_wanted_value(const void *context, const test_subject *s, const test_feed *feed,
                             moire__text *why) {
  const composite *c = context;
  const point p = {test_feed_find(feed, "a")->re, test_feed_find(feed, "b")->re};
  test_values values;
  moire_error error = {0};
  bool good = test_run_graph(s->stages[0], feed, &values, &error) == MOIRE_OK;
  if (!good) moire__text_add(why, "%s", error.message);
  static const char *const planes[] = {"y", "y.real", "y.imag"};
  int64_t seen = 0;
  for (int n = 0; n < 3 && good; n++) {
    const test_value *y = test_values_find(&values, planes[n], false);
    for (int64_t i = 0; y && i < y->elements && good; i++, seen++) {
      double want = c->want(p, (int)i + (n == 2 ? ALL : 0));
      good = fabs(y->value[i] - want) <= 1e-9 * (1 + fabs(want));
      if (!good) moire__text_add(why, "%s[%d] is %.12g, wanted %.12g", planes[n], (int)i, y->value[i], want);
    }
  }
  if (good && seen == 0) {
    moire__text_add(why, "there is no y");
    good = false;
  }
  test_values_free(&values);
  return good;
}

Test(composites, values_and_gradients, .timeout = 280) {
  test_pools pools = test_pools_make();
  for (int i = 0; i < CASES; i++) {
    moire__text why = {0};
    bool good = test_call_agrees(build(&cases[i]), 1, has_wanted_value, &cases[i], &pools, &why);
    cr_expect(good, "%s: %s", cases[i].name, moire__text_string(&why));
    moire__text_free(&why);
  }
  test_pools_free(&pools);
}
