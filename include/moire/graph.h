/* The language: a model is a static graph of operations, written as C expressions.
 *
 *   moire_value s = moire_abs2(moire_matmul(q, moire_hermitian(k)));       // f32[B, H, L, L]
 *   moire_value p = moire_softmax(moire_add(moire_scale(s, 1.0 / d), mask));
 *
 * Values are small structs passed by value; each knows its graph. Nothing is computed while a graph is built.
 *
 * Invariants
 *   - Errors are sticky. After the first mistake every call returns the null value and does nothing; the first
 *     cause, with the op, what was wanted, what came, and the C file and line of the call, is reported by
 *     moire_graph_status. A null value as an operand is silently passed on, so a model needs no checks.
 *   - Every call records its source line and the current scope: messages, the printed graph, the profile and
 *     debug information of compiled code refer to them.
 *   - Complex values (MOIRE_C64) are first-class: add, sub, mul, neg, matmul, linear, sum, mean and the shape
 *     operations take them. Gradients follow dL/dRe + i dL/dIm. Where a real and a complex operand meet in
 *     arithmetic, the real one is read as complex.
 *   - Element-wise operations broadcast as NumPy does: aligned at the last axis, extents equal or 1.
 *   - An axis may be negative, counting from the last.
 */
#ifndef MOIRE_GRAPH_H
#define MOIRE_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moire/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct moire_graph moire_graph;

/* One result of one operation. id 0 is the null value. */
typedef struct moire_value {
  moire_graph *graph; /* borrows */
  int32_t id;
} moire_value;

typedef enum moire_dtype {
  MOIRE_F32 = 1,
  MOIRE_F64,
  MOIRE_BF16,
  MOIRE_I32,
  MOIRE_I64,
  MOIRE_BOOL,
  MOIRE_C64, /* two f32 planes */
} moire_dtype;

/* One extent: a size, or a multiple of one, two or three named extents (50*B, B*T). The low 48 bits hold the
 * size or the factor, three fields of four bits above them the numbers of the named extents, in ascending
 * order, 0 where there is none. So equal products are equal numbers. Sizes are at least 0. */
typedef int64_t moire_dim;

enum { MOIRE_MAX_RANK = 8, MOIRE_MAX_EXTENTS = 15, MOIRE_MAX_FACTORS = 3 };

typedef struct moire_shape {
  int rank;
  moire_dim dims[MOIRE_MAX_RANK]; /* outermost first; unused entries are 0 */
} moire_shape;

/* MOIRE_SHAPE(b, 50, 64); a scalar is MOIRE_SCALAR. */
#define MOIRE_SHAPE(...)                                                                                       \
  ((moire_shape){(int)(sizeof((moire_dim[]){__VA_ARGS__}) / sizeof(moire_dim)), {__VA_ARGS__}})
#define MOIRE_SCALAR ((moire_shape){0})

typedef struct moire_source {
  const char *file; /* borrowed for the graph's lifetime is not required: the graph keeps a copy */
  int line;
} moire_source;
#define MOIRE_HERE ((moire_source){__FILE__, __LINE__})

/* How a state is first filled. Draws depend on the seed and the state's name alone. */
typedef enum moire_init_kind {
  MOIRE_INIT_CONSTANT, /* a */
  MOIRE_INIT_NORMAL,   /* mean a, standard deviation b */
  MOIRE_INIT_UNIFORM,  /* in [a, b) */
  MOIRE_INIT_LIST,     /* values[i mod n_values] for element i, row-major */
} moire_init_kind;

typedef struct moire_init {
  moire_init_kind kind;
  double a, b;
  const char *stream;   /* NULL: the state's own name; otherwise states naming one stream start out equal */
  const double *values; /* LIST; borrowed until the state is declared */
  int n_values;         /* at least 1 */
} moire_init;

static inline moire_init moire_init_constant(double value) {
  return (moire_init){.kind = MOIRE_INIT_CONSTANT, .a = value};
}
static inline moire_init moire_init_normal(double mean, double deviation) {
  return (moire_init){.kind = MOIRE_INIT_NORMAL, .a = mean, .b = deviation};
}
static inline moire_init moire_init_uniform(double low, double high) {
  return (moire_init){.kind = MOIRE_INIT_UNIFORM, .a = low, .b = high};
}
static inline moire_init moire_init_list(const double *values, int n) {
  return (moire_init){.kind = MOIRE_INIT_LIST, .values = values, .n_values = n};
}

/* ---- graphs ---------------------------------------------------------------------------------------------- */

/* Dropout is the identity in a graph made for inference. */
typedef enum moire_mode { MOIRE_INFERENCE, MOIRE_TRAINING } moire_mode;

/* Returns owned; `name` is copied. */
moire_graph *moire_graph_create(const char *name, moire_mode mode);
void moire_graph_destroy(moire_graph *g); /* NULL is fine; values of g become invalid */
moire_mode moire_graph_mode(const moire_graph *g);

/* MOIRE_OK, or the first mistake made while building g. */
moire_status moire_graph_status(const moire_graph *g, moire_error *error);

/* Records a mistake of the model's own ("heads do not divide the width") as the graph's failure. */
void moire_graph_fail(moire_graph *g, moire_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A named extent, such as the batch: declared on first use, equal afterwards. The name is a C identifier. */
moire_dim moire_extent(moire_graph *g, const char *name);
/* factor * d, for axes that are merged: moire_dim_times(b, 50), moire_dim_times(b, t). -1, which no operation
 * takes, where it cannot be: a fourth named extent, or a factor of 2^48 and more. */
moire_dim moire_dim_times(moire_dim d, moire_dim factor);

/* Scopes give the dotted prefix of state names: push "layers.0", push "attn", parameter "q" is
 * "layers.0.attn.q". printf style. */
void moire_scope_push(moire_graph *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void moire_scope_pop(moire_graph *g);

/* Type and shape of a value; a null value has dtype 0, rank 0 and extents of 1. */
moire_dtype moire_value_dtype(moire_value x);
moire_shape moire_value_shape(moire_value x);
moire_dim moire_value_dim(moire_value x, int axis);
static inline bool moire_value_is_null(moire_value x) { return x.id == 0; }

/* What a graph takes and hands out: its inputs in the order of their declaration, its outputs, and those
 * outputs that are metrics (by the metric's name). Strings belong to the graph. `index` is from 0; beyond the
 * last the name is NULL. Dropout in a training graph adds an input "rng". */
typedef struct moire_port {
  const char *name;
  moire_dtype dtype; /* MOIRE_C64: a complex one, of two planes */
  moire_shape shape;
} moire_port;

int moire_graph_input_count(const moire_graph *g);
int moire_graph_output_count(const moire_graph *g);
int moire_graph_metric_count(const moire_graph *g);
int moire_graph_state_count(const moire_graph *g);
moire_port moire_graph_input(const moire_graph *g, int index);
moire_port moire_graph_output(const moire_graph *g, int index);
moire_port moire_graph_metric(const moire_graph *g, int index);
moire_port moire_graph_state(const moire_graph *g, int index); /* a complex state is two, .real and .imag */
/* The input or output of that name; its name is NULL where there is none. */
moire_port moire_graph_find_input(const moire_graph *g, const char *name);
moire_port moire_graph_find_output(const moire_graph *g, const char *name);
/* The number that stands for itself or is multiplied with named extents: 50 of 50 and of 50*B. */
int64_t moire_dim_factor(moire_dim d);
/* The named extents that d is a multiple of, one of them `which` (from 0); NULL past the last: for a plain
 * number at once. */
const char *moire_dim_extent_name(const moire_graph *g, moire_dim d, int which);

/* The graph as text (returns owned, free with free()), and back. Reading what was printed gives the same text.
 */
char *moire_graph_print(const moire_graph *g);
moire_graph *moire_graph_parse(const char *text, const char *file,
                               moire_error *error); /* owned, NULL on error */
char *moire_graph_print_dot(const moire_graph *g);

/* ---- sources and sinks ----------------------------------------------------------------------------------- */

/* Given at every run. A complex one, like a complex output, is two f32 planes to whoever runs the compiled
 * graph: "<name>.real" and "<name>.imag" (moire/run.h also takes both at once). */
moire_value moire_input_at(moire_source at, moire_graph *g, const char *name, moire_dtype dtype,
                           moire_shape shape);
/* A trained state: it gets a gradient and an optimizer step. The name gets the scope's prefix. */
moire_value moire_parameter_at(moire_source at, moire_graph *g, const char *name, moire_shape shape,
                               moire_init init);
/* A complex one: the parameters "<name>.real" and "<name>.imag" as one value. Each plane is drawn by `init` for
 * itself; where `init` has a stream, from "<stream>.real" and "<stream>.imag". */
moire_value moire_complex_parameter_at(moire_source at, moire_graph *g, const char *name, moire_shape shape,
                                       moire_init init);
/* A state that outlives a step without a gradient (statistics, moments). A complex one is two, as above. */
moire_value moire_state_at(moire_source at, moire_graph *g, const char *name, moire_dtype dtype,
                           moire_shape shape, moire_init init);
/* The state's value after the step. Reads in the graph see the value before it. */
void moire_update_at(moire_source at, moire_graph *g, const char *full_name, moire_value value);
void moire_output_at(moire_source at, moire_graph *g, const char *name, moire_value value); /* name: no scope */
/* What is averaged over samples and reported (accuracy, error): f32[], a mean over the batch, or f32[B], one
 * number a sample, B being a named extent. It is the output "metric.<name>"; an output that is called so is a
 * metric. The name gets no scope. */
void moire_metric_at(moire_source at, moire_graph *g, const char *name, moire_value value);
moire_value moire_constant_at(moire_source at, moire_graph *g, moire_dtype dtype, moire_shape shape,
                              double value);
moire_value moire_iota_at(moire_source at, moire_graph *g, moire_shape shape,
                          int axis); /* i32: index on axis */

/* ---- random values -----------------------------------------------------------------------------------------
 * Functions of the seed, the step, the call and the element, as the masks of dropout are (docs/language.md). */

moire_value moire_uniform_at(moire_source at, moire_graph *g, moire_shape shape, double low, double high);
moire_value moire_normal_at(moire_source at, moire_graph *g, moire_shape shape, double mean, double deviation);
/* i32 in [low, high), fewer than 2^31 numbers. */
moire_value moire_random_integers_at(moire_source at, moire_graph *g, moire_shape shape, int64_t low,
                                     int64_t high);
/* i32 in [0, n) for each n, i32; 0 where n <= 0. */
moire_value moire_random_below_at(moire_source at, moire_value n);
/* f32: 1 with probability p, of an f32 p that gets no gradient. */
moire_value moire_bernoulli_at(moire_source at, moire_value p);

typedef struct moire_negative_options {
  int64_t low, high;   /* items are low .. high - 1 */
  moire_value weights; /* f32[high - low], not negative: how often each comes; or null: all alike */
  moire_value exclude; /* i32[.., E], or null: none of these items comes, in any order, some of them repeated or
                          no items at all; `..` are the first extents of the shape that is drawn */
  int redraws; /* with both: how often an excluded item is drawn again by weight before one of the others
                  is taken uniformly; 0: 8, at most 64 */
} moire_negative_options;

/* i32[shape] of items. Where every item is excluded, high - 1 comes. */
moire_value moire_negative_samples_at(moire_source at, moire_graph *g, moire_shape shape,
                                      moire_negative_options options);

/* ---- element-wise ---------------------------------------------------------------------------------------- */

moire_value moire_add_at(moire_source at, moire_value a, moire_value b);
moire_value moire_sub_at(moire_source at, moire_value a, moire_value b);
moire_value moire_mul_at(moire_source at, moire_value a, moire_value b);
moire_value moire_div_at(moire_source at, moire_value a, moire_value b);
moire_value moire_pow_at(moire_source at, moire_value a, moire_value b);    /* a > 0 */
moire_value moire_max_of_at(moire_source at, moire_value a, moire_value b); /* gradient to a where a >= b */
moire_value moire_min_of_at(moire_source at, moire_value a, moire_value b);
moire_value moire_atan2_at(moire_source at, moire_value y, moire_value x);
/* sqrt(a^2 + b^2), whether or not the squares fit the type; gradient 0 where both are 0 */
moire_value moire_hypot_at(moire_source at, moire_value a, moire_value b);
moire_value moire_neg_at(moire_source at, moire_value x);
moire_value moire_exp_at(moire_source at, moire_value x);   /* exp, log, sqrt, tanh, relu: also of c64 */
moire_value moire_expm1_at(moire_source at, moire_value x); /* e^x - 1 to the last digits of a small x */
/* e^x in single precision by every engine: for models that are published so (PyTorch's x.float()). */
moire_value moire_single_exp_at(moire_source at, moire_value x);
moire_value moire_log_at(moire_source at, moire_value x);
moire_value moire_sqrt_at(moire_source at, moire_value x);
moire_value moire_rsqrt_at(moire_source at, moire_value x);
moire_value moire_sin_at(moire_source at, moire_value x);
moire_value moire_cos_at(moire_source at, moire_value x);
moire_value moire_tanh_at(moire_source at, moire_value x);
moire_value moire_erf_at(moire_source at, moire_value x);
moire_value moire_sigmoid_at(moire_source at, moire_value x);
moire_value moire_softplus_at(moire_source at, moire_value x);
moire_value moire_relu_at(moire_source at, moire_value x);
moire_value moire_silu_at(moire_source at, moire_value x);
moire_value moire_leaky_relu_at(moire_source at, moire_value x, double slope); /* x > 0 ? x : slope x */
moire_value moire_elu_at(moire_source at, moire_value x, double alpha);        /* x > 0 ? x : alpha (e^x - 1) */
moire_value moire_log_sigmoid_at(moire_source at, moire_value x);
moire_value moire_clamp_at(moire_source at, moire_value x, double low,
                           double high); /* either may be infinite */
moire_value moire_sign_at(moire_source at, moire_value x);
moire_value moire_floor_at(moire_source at, moire_value x);
moire_value moire_round_at(moire_source at, moire_value x); /* halves to the even number */
moire_value moire_remainder_at(moire_source at, moire_value a,
                               moire_value b);             /* with the sign of b; integers too */
moire_value moire_gelu_at(moire_source at, moire_value x); /* x/2 (1 + erf(x/sqrt 2)); c64: by planes */
moire_value moire_scale_at(moire_source at, moire_value x, double factor);
moire_value moire_add_scalar_at(moire_source at, moire_value x, double term);
moire_value moire_cast_at(moire_source at, moire_value x, moire_dtype dtype);
moire_value moire_stop_gradient_at(moire_source at, moire_value x);
/* Comparisons and logic: bool results. */
moire_value moire_equal_at(moire_source at, moire_value a, moire_value b);
moire_value moire_less_at(moire_source at, moire_value a, moire_value b);
moire_value moire_less_equal_at(moire_source at, moire_value a, moire_value b);
moire_value moire_and_at(moire_source at, moire_value a, moire_value b); /* of i32 and i64 bit by bit */
moire_value moire_not_at(moire_source at, moire_value a);
moire_value moire_where_at(moire_source at, moire_value condition, moire_value yes, moire_value no);

/* value where the mask is true, else x */
moire_value moire_masked_fill_at(moire_source at, moire_value x, moire_value mask, double value);

/* ---- complex --------------------------------------------------------------------------------------------- */

moire_value moire_complex_at(moire_source at, moire_value re, moire_value im);
moire_value moire_polar_at(moire_source at, moire_value modulus, moire_value phase);
moire_value moire_real_at(moire_source at, moire_value z);
moire_value moire_imag_at(moire_source at, moire_value z);
moire_value moire_conj_at(moire_source at, moire_value z);
moire_value moire_abs_at(moire_source at, moire_value x);       /* also real; z: sqrt(re^2 + im^2) */
moire_value moire_abs2_at(moire_source at, moire_value z);      /* re^2 + im^2 */
moire_value moire_angle_at(moire_source at, moire_value z);     /* atan2(im, re) */
moire_value moire_hermitian_at(moire_source at, moire_value z); /* conjugate, last two axes swapped */
/* relu(|z| + bias) z / |z|, 0 at 0; bias is real. */
moire_value moire_modrelu_at(moire_source at, moire_value z, moire_value bias);
moire_value moire_magnitude_softmax_at(moire_source at, moire_value z); /* softmax(|z|), real */

/* ---- shape ----------------------------------------------------------------------------------------------- */

moire_value moire_reshape_at(moire_source at, moire_value x, moire_shape shape);
moire_value moire_permute_at(moire_source at, moire_value x, int rank, const int *axes);
moire_value moire_swap_axes_at(moire_source at, moire_value x, int a, int b);
moire_value moire_broadcast_at(moire_source at, moire_value x, moire_shape shape);
moire_value moire_slice_at(moire_source at, moire_value x, int axis, int64_t start, int64_t length);
/* x[start], x[start + step], ..: `length` elements of an axis with a fixed extent. */
moire_value moire_slice_by_at(moire_source at, moire_value x, int axis, int64_t start, int64_t length,
                              int64_t step);
moire_value moire_flip_at(moire_source at, moire_value x, int axis);
/* The element at i goes to (i + shift) mod n; the axis has a fixed extent. */
moire_value moire_roll_at(moire_source at, moire_value x, int64_t shift, int axis);
/* index[..] of integers -> dtype[.., n]: 1 at the index, 0 elsewhere. */
moire_value moire_one_hot_at(moire_source at, moire_value index, int64_t n, moire_dtype dtype);
moire_value moire_pad_at(moire_source at, moire_value x, int axis, int64_t before, int64_t after); /* zeros */
moire_value moire_concat_at(moire_source at, const moire_value *parts, int n, int axis);
moire_value moire_gather_at(moire_source at, moire_value table,
                            moire_value rows); /* table[rows]: rows i32[...] */
/* A look-up whose row `padding` gets no gradient (it is read like any other). */
moire_value moire_embedding_at(moire_source at, moire_value table, moire_value rows, int64_t padding);
/* y[.., k, ..] = x[.., index[.., k, ..], ..] on the axis; all other extents are equal (torch.take_along_dim).
 */
moire_value moire_take_along_at(moire_source at, moire_value x, moire_value index, int axis);
/* x with u[i.., j..] added to its row rows[i..]; or x and all such u, whichever is larger, whose gradient is
 * shared equally among the largest. The number of rows may be named. */
moire_value moire_scatter_add_at(moire_source at, moire_value x, moire_value rows, moire_value u);
moire_value moire_scatter_max_at(moire_source at, moire_value x, moire_value rows, moire_value u);

/* ---- order -----------------------------------------------------------------------------------------------
 */

/* What an axis holds in order, and where each of it stood (i32). Of equals the first comes first, in either
 * direction; a NaN counts as the largest. */
typedef struct moire_sorted {
  moire_value values, indices;
} moire_sorted;
moire_sorted moire_sort_at(moire_source at, moire_value x, int axis, bool descending);
/* The k largest, or smallest, in order. Where a named extent has fewer elements than k, the places behind them
 * have the index -1, and the value that comes last of all: -infinity of the largest, infinity of the smallest,
 * of i32 the lowest and the highest, of i64 -2^62 and 2^62. */
moire_sorted moire_top_k_at(moire_source at, moire_value x, int64_t k, int axis, bool largest);
/* i32: how many of an ascending row [n] are below each x, or not above it if `right` (torch.searchsorted). */
moire_value moire_search_sorted_at(moire_source at, moire_value row, moire_value x, bool right);
moire_value moire_cumsum_at(moire_source at, moire_value x, int axis); /* kept in double while it runs */
/* Running products, f32 or complex; the gradient divides by nothing, so that it holds where elements are 0. */
moire_value moire_cumprod_at(moire_source at, moire_value x, int axis);

/* ---- reductions: the axis stays with extent 1 if `keep` -----------------------------------------------------
 */

moire_value moire_sum_at(moire_source at, moire_value x, int axis, bool keep);
moire_value moire_mean_at(moire_source at, moire_value x, int axis, bool keep);
moire_value moire_max_at(moire_source at, moire_value x, int axis, bool keep);
moire_value moire_min_at(moire_source at, moire_value x, int axis, bool keep);
moire_value moire_prod_at(moire_source at, moire_value x, int axis, bool keep);
/* The same over n axes. */
moire_value moire_sum_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep);
moire_value moire_mean_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep);
moire_value moire_max_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep);
moire_value moire_min_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep);
moire_value moire_prod_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep);
moire_value moire_any_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep);
moire_value moire_all_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep);
moire_value moire_logsumexp_axes_at(moire_source at, moire_value x, int n, const int *axes, bool keep);
moire_value moire_any_at(moire_source at, moire_value x, int axis, bool keep); /* of bools */
moire_value moire_all_at(moire_source at, moire_value x, int axis, bool keep);
moire_value moire_logsumexp_at(moire_source at, moire_value x, int axis, bool keep);
/* i32: the first index of the largest, or smallest, of up to 2^24 floats; a NaN counts as that. */
moire_value moire_argmax_at(moire_source at, moire_value x, int axis, bool keep);
moire_value moire_argmin_at(moire_source at, moire_value x, int axis, bool keep);

/* ---- products ----------------------------------------------------------------------------------------------
 */

/* [..., M, K] x [..., K, N] -> [..., M, N]; leading axes broadcast; real, complex or one of each. */
moire_value moire_matmul_at(moire_source at, moire_value a, moire_value b);
/* Sums of products by names of axes, as torch.einsum reads them: "bqd,bkd->bqk", "...ij,...jk", "ii->i"; 1 to
 * 16 operands, joined from the left. A mistake names the place in the equation. */
moire_value moire_einsum_at(moire_source at, const char *equation, const moire_value *operands, int n);
/* x [..., in], weight [out, in], bias [out] or null -> x weight^T + bias; real or complex. */
moire_value moire_linear_at(moire_source at, moire_value x, moire_value weight, moire_value bias);

/* ---- rows: over the last axis -----------------------------------------------------------------------------
 */

moire_value moire_softmax_at(moire_source at, moire_value x);
moire_value moire_log_softmax_at(moire_source at, moire_value x);
/* (x - mean) / sqrt(var + eps) * weight + bias; weight and bias [D], or null; var is the biased estimate. c64:
 * by planes, with those of weight and bias. */
moire_value moire_layer_norm_at(moire_source at, moire_value x, moire_value weight, moire_value bias,
                                double eps);
/* x / sqrt(mean of |x|^2 + eps) * weight; weight [D], or null. */
moire_value moire_rms_norm_at(moire_source at, moire_value x, moire_value weight, double eps);
/* x [N, C, ..]: each of `groups` groups of channels of a sample is normalised as by layer_norm; weight and bias
 * [C], or null. */
moire_value moire_group_norm_at(moire_source at, moire_value x, int64_t groups, moire_value weight,
                                moire_value bias, double eps);
/* x f32[N, C, ..]: each channel by the mean and the biased variance of the batch in training, by the running
 * ones in inference; weight and bias [C], or null. running_mean and running_var are f32[C] states of the
 * model's (begun with 0 and 1), which a step moves by `momentum` towards the mean and the unbiased variance of
 * its batch; or both null: the batch's own, in inference too. As torch.nn.functional.batch_norm. */
moire_value moire_batch_norm_at(moire_source at, moire_value x, moire_value running_mean,
                                moire_value running_var, moire_value weight, moire_value bias, double momentum,
                                double eps);
/* z c64[N, C, ..]: planes whitened by the inverse root of their covariance + eps, then multiplied by the
 * symmetric matrix weight f32[C, 3] (rr, ri, ii), plus bias c64[C]; either may be null. The states are c64[C]
 * (begun with 0) and f32[C, 3] (begun with a covariance, such as 1, 0, 1). */
moire_value moire_complex_batch_norm_at(moire_source at, moire_value z, moire_value running_mean,
                                        moire_value running_covariance, moire_value weight, moire_value bias,
                                        double momentum, double eps);
/* The same of each row, over the last axis; weight f32[D, 3], bias c64[D], or null. */
moire_value moire_complex_layer_norm_at(moire_source at, moire_value z, moire_value weight, moire_value bias,
                                        double eps);
/* logits [B, C], targets i32[B] -> [B]: -log softmax(logits)[target] */
moire_value moire_cross_entropy_at(moire_source at, moire_value logits, moire_value targets);
/* The mean over all elements, as a scalar; extents may be named. */
moire_value moire_mean_all_at(moire_source at, moire_value x);
moire_value moire_sum_all_at(moire_source at, moire_value x);
/* Zero with probability p, otherwise scaled by 1/(1-p); c64: each plane by itself. The identity in inference.
 */
moire_value moire_dropout_at(moire_source at, moire_value x, double p);

/* ---- losses: names and meanings of torch.nn.functional
 * -------------------------------------------------------
 */

typedef enum moire_reduction {
  MOIRE_REDUCE_MEAN,
  MOIRE_REDUCE_SUM,
  MOIRE_REDUCE_NONE,
  MOIRE_REDUCE_BATCH_MEAN, /* the sum divided by the first extent */
} moire_reduction;

moire_value moire_mse_loss_at(moire_source at, moire_value x, moire_value target, moire_reduction reduction);
moire_value moire_l1_loss_at(moire_source at, moire_value x, moire_value target, moire_reduction reduction);
moire_value moire_huber_loss_at(moire_source at, moire_value x, moire_value target, double delta,
                                moire_reduction reduction);
/* weight and pos_weight may be null; all are broadcast. */
moire_value moire_binary_cross_entropy_with_logits_at(moire_source at, moire_value x, moire_value target,
                                                      moire_value weight, moire_value pos_weight,
                                                      moire_reduction reduction);

typedef struct moire_cross_entropy_options {
  moire_value weight; /* f32[C], or null: of every class; it gets no gradient */
  double label_smoothing;
  bool ignore;          /* rows whose target is ignore_index count nothing; false: those with -100 */
  int64_t ignore_index; /* the mean is over the others, by weight */
  moire_reduction reduction;
} moire_cross_entropy_options;

/* logits [rows.., C], targets i32[rows..] */
moire_value moire_cross_entropy_loss_at(moire_source at, moire_value logits, moire_value targets,
                                        moire_cross_entropy_options options);
/* x: logarithms of probabilities; target: probabilities, or their logarithms if log_target. */
moire_value moire_kl_div_at(moire_source at, moire_value x, moire_value target, bool log_target,
                            moire_reduction reduction);

/* Over the last axis. */
moire_value moire_cosine_similarity_at(moire_source at, moire_value a, moire_value b, double eps);
/* target 1: 1 - cos; -1: max(0, cos - margin) */
moire_value moire_cosine_embedding_loss_at(moire_source at, moire_value a, moire_value b, moire_value target,
                                           double margin, moire_reduction reduction);
moire_value moire_triplet_margin_loss_at(moire_source at, moire_value anchor, moire_value positive,
                                         moire_value negative, double margin, moire_reduction reduction);
/* -ln sigmoid(positive - negative) */
moire_value moire_bpr_loss_at(moire_source at, moire_value positive, moire_value negative,
                              moire_reduction reduction);
/* query and positive [N, D], negatives [K, D] for all rows, [N, K, D], or null: the positives of the other
 * rows, where N is fixed. -ln of the positive's share of exp(cosine / temperature). */
moire_value moire_info_nce_at(moire_source at, moire_value query, moire_value positive, moire_value negatives,
                              double temperature, moire_reduction reduction);

/* Losses over many items that read some of them: items s(k), drawn by q for all rows of a batch together. An
 * item that is a row's own target takes no part in that row. */
typedef struct moire_drawn {
  moire_value items; /* i32[K] */
  moire_value log_q; /* f32[K]: ln q(s(k)) */
  bool in_batch;     /* the items are the targets, and of each row those of the others */
} moire_drawn;
typedef enum moire_drawing {
  MOIRE_DRAW_UNIFORM,
  MOIRE_DRAW_LOG_UNIFORM, /* ln(1 + 1/(i + 1)) / ln(n + 1): of items by falling frequency */
  MOIRE_DRAW_BY_WEIGHT,
} moire_drawing;
/* `count` of the items 0 .. n - 1. `ends` is i32[n], of BY_WEIGHT, else null: whole weights, at least 1, of the
 * items 0 to i together. */
moire_drawn moire_draw_items_at(moire_source at, moire_graph *g, moire_drawing drawing, int64_t n,
                                int64_t count, moire_value ends);
/* The targets [N] themselves, which come as often as `ends` says. */
moire_drawn moire_draw_in_batch_at(moire_source at, moire_value targets, moire_value ends);
/* x [N, D], weight [V, D], targets i32[N], o = x weight^T: ln(1 + sum over k of e^(o(s(k)) - ln(K q(s(k))) -
 * o(target))). The mean of e^loss over draws is that of the softmax over all items. */
moire_value moire_sampled_softmax_loss_at(moire_source at, moire_value x, moire_value weight,
                                          moire_value targets, moire_drawn drawn, moire_reduction reduction);
/* The generalised binary cross entropy of gSASRec: -(beta ln sigmoid(o(target)) + sum over k of ln
 * sigmoid(-o(s(k)))) / (K + 1), with beta = 1 - t + t K / (V - 1) of the calibration t, from 0 to 1. */
moire_value moire_gbce_loss_at(moire_source at, moire_value x, moire_value weight, moire_value targets,
                               moire_drawn drawn, double calibration, moire_reduction reduction);

/* ---- graphs of rows: edges, and segments of them -----------------------------------------------------------
 * source and target are integers [E]: an edge leads from row source[e] of one table to row target[e] of
 * another, in any order. An edge whose source or target is no row (-1) takes no part. */

/* scores [E] or [E, H], rows [E]: the softmax over the edges of each of n rows, each head by itself; 0 for
 * edges that take no part. */
moire_value moire_segment_softmax_at(moire_source at, moire_value scores, moire_value rows, moire_dim n);
/* x [E, ..] -> [n, ..]: the sum over the edges of each row, 0 for a row without. */
moire_value moire_segment_sum_at(moire_source at, moire_value x, moire_value rows, moire_dim n);
/* Messages: y[t] = sum over the edges that arrive at t of weights[e] x[source[e]], [n, C]. With weights [E, H]
 * each head has its own: x [N, H, C], or [N, C] seen by all, gives [n, H, C]. Null weights are 1. No message is
 * ever stored, neither here nor for the gradient. */
moire_value moire_edge_sum_at(moire_source at, moire_value weights, moire_value x, moire_value source,
                              moire_value target, moire_dim n);
/* How the ends of an edge agree: x [N, C] and y [n, C] -> [E], x[source[e]] . y[target[e]]; with heads, [N, H,
 * C] and [n, H, C] -> [E, H]. */
moire_value moire_edge_dot_at(moire_source at, moire_value x, moire_value y, moire_value source,
                              moire_value target);

/* ---- sequences ---------------------------------------------------------------------------------------------
 */

/* Causal, one filter a channel: y[b,t,d] = sum_j w[d,0,k-1-j] x[b, t - j*dilation, d], x = 0 before the start.
 * x [B, L, D], w [D, 1, k] (PyTorch's grouped Conv1d). */
moire_value moire_depthwise_conv_at(moire_source at, moire_value x, moire_value weight, int64_t dilation);
/* Sum over bands s of the depthwise convolutions with complex filters: weights[s] is c64[D, 1, k_s], x real;
 * the result is c64[B, L, D]. */
moire_value moire_filter_bank_at(moire_source at, moire_value x, const moire_value *weights,
                                 const int64_t *dilations, int n);

/* The same filters, seen by all channels together: z[b,t,s] = mean over d of band s at channel d; weights[s] is
 * c64[D, 1, k_s], x real [B, L, D]; the result is c64[B, L, n]. */
moire_value moire_band_bank_at(moire_source at, moire_value x, const moire_value *weights,
                               const int64_t *dilations, int n);

/* Names, layouts and meanings of torch.nn.functional: x [B, C, L], w [out, C / groups, k], bias [out] or null
 * -> [B, out, (L + 2 padding - dilation (k - 1) - 1) / stride + 1]; real, complex or one of each. B may be
 * named. */
moire_value moire_conv1d_at(moire_source at, moire_value x, moire_value w, moire_value bias, int64_t stride,
                            int64_t padding, int64_t dilation, int64_t groups);
/* x [B, C, H, W], w [out, C / groups, kh, kw]; stride, padding and dilation are pairs, of H and of W, or NULL
 * for 1, 0 and 1. */
moire_value moire_conv2d_at(moire_source at, moire_value x, moire_value w, moire_value bias,
                            const int64_t *stride, const int64_t *padding, const int64_t *dilation,
                            int64_t groups);

/* x [B, C, L], w [C, out / groups, k], bias [out] or null -> [B, out, (L - 1) stride - 2 padding + dilation (k
 * - 1)
 * + output_padding + 1], by PyTorch's order of arguments; output_padding is below stride or dilation. */
moire_value moire_conv_transpose1d_at(moire_source at, moire_value x, moire_value w, moire_value bias,
                                      int64_t stride, int64_t padding, int64_t output_padding, int64_t groups,
                                      int64_t dilation);
/* x [B, C, H, W], w [C, out / groups, kh, kw]; pairs as in conv2d, output_padding NULL for 0. */
moire_value moire_conv_transpose2d_at(moire_source at, moire_value x, moire_value w, moire_value bias,
                                      const int64_t *stride, const int64_t *padding,
                                      const int64_t *output_padding, int64_t groups, const int64_t *dilation);
/* x [B, C, L]: the mean (padding counts as zeros) or the maximum (padding never wins) over windows, which are
 * (L + 2 padding - kernel) / stride + 1; padding is at most half of the kernel. The maximum's gradient goes to
 * the first of equals. */
moire_value moire_avg_pool1d_at(moire_source at, moire_value x, int64_t kernel, int64_t stride,
                                int64_t padding);
moire_value moire_max_pool1d_at(moire_source at, moire_value x, int64_t kernel, int64_t stride,
                                int64_t padding);
/* x [B, C, H, W]; pairs of H and of W; stride NULL: the kernel, padding NULL: 0. */
moire_value moire_avg_pool2d_at(moire_source at, moire_value x, const int64_t *kernel, const int64_t *stride,
                                const int64_t *padding);
moire_value moire_max_pool2d_at(moire_source at, moire_value x, const int64_t *kernel, const int64_t *stride,
                                const int64_t *padding);

/* The orthonormal Fourier transform of a real sequence of n along an axis: c64 with the bins 0 to n/2 on it;
 * and the sequence of `length` that bins belong to (imaginary parts of bins 0 and length/2 count as 0). */
moire_value moire_rfft_at(moire_source at, moire_value x, int axis);
moire_value moire_irfft_at(moire_source at, moire_value z, int axis, int64_t length);

/* The Fourier transform of z (a real one counts as complex) along an axis of any fixed length n, and its
 * inverse: sums of z[t] exp(-+ 2 pi i f t / n), times a factor by `norm`, as in torch.fft. */
typedef enum moire_norm {
  MOIRE_NORM_BACKWARD, /* fft 1, ifft 1 / n */
  MOIRE_NORM_ORTHO,    /* both 1 / sqrt n */
  MOIRE_NORM_FORWARD,  /* fft 1 / n, ifft 1 */
} moire_norm;
moire_value moire_fft_at(moire_source at, moire_value z, int axis, moire_norm norm);
moire_value moire_ifft_at(moire_source at, moire_value z, int axis, moire_norm norm);

/* The short-time Fourier transform of x [B, L] or [L], real or complex, as torch.stft: frames of n_fft points,
 * every hop_length, times the window, transformed -> c64[B, bins, frames] or [bins, frames]. */
typedef struct moire_stft_options {
  int64_t n_fft;
  int64_t hop_length; /* 0: n_fft / 4 */
  int64_t win_length; /* of the window, with zeros on both sides to n_fft; 0: n_fft */
  moire_value window; /* [win_length], real or complex, or null: ones */
  bool center;        /* x is reflected at its ends, n_fft / 2 on each side, so that frame t is around t hop */
  bool normalized;    /* by 1 / sqrt n_fft */
  bool onesided;      /* bins 0 to n_fft / 2, for a real x and a real window; else all n_fft */
} moire_stft_options;
moire_value moire_stft_at(moire_source at, moire_value x, moire_stft_options options);

/* A recurrence whose coefficients depend on the position: x and dt [B, L, D], a [D, N], b and c [B, L, N] ->
 * [B, L, D]. Every channel d has a state of N: h_t = exp(dt_t a) h_{t-1} + dt_t x_t b_t, y_t = c_t . h_t. */
moire_value moire_selective_scan_at(moire_source at, moire_value x, moire_value dt, moire_value a,
                                    moire_value b, moire_value c);
/* A linear recurrence of every channel: a and b [B, L, D] -> h [B, L, D], h_t = a_t h_{t-1} + b_t, h_0 = b_0.
 * Both are broadcast to their common shape, so that a of [D] is the same at every position; where one is
 * complex, the result is. D is a fixed extent, L any. */
moire_value moire_linear_scan_at(moire_source at, moire_value a, moire_value b);

/* ---- codebooks ---------------------------------------------------------------------------------------------
 */

/* x [B, D], codes [K, D] -> i32[B]: the code that is nearest to each row, the lowest on ties. The distances are
 * not kept. No gradient: moire_gather takes the codes, moire_straight_through sends gradients past them. */
moire_value moire_nearest_code_at(moire_source at, moire_value x, moire_value codes);
/* y, with the gradient of x: x + stop_gradient(y - x). In inference, y as it is. */
moire_value moire_straight_through_at(moire_source at, moire_value x, moire_value y);

/* What a codebook of K codes is after rows x [B, D] have picked codes rows i32[B]: sizes [K] and sums [K, D]
 * are moving averages of how many rows picked a code and of what they add up to, codes [K, D] their quotient,
 * counts [K] how many did in this step. Hand the first three to moire_update. The equations:
 * ops/code/ema_update.c.
 */
typedef struct moire_ema {
  moire_value sizes, sums, codes, counts;
} moire_ema;
moire_ema moire_ema_update_at(moire_source at, moire_value sizes, moire_value sums, moire_value x,
                              moire_value rows, double decay, double epsilon);

typedef enum moire_score {
  MOIRE_SCORE_DOT,          /* q . k */
  MOIRE_SCORE_INTERFERENCE, /* |q k^H|^2, q and k complex */
} moire_score;

/* softmax(score * scale + mask) v, by head. Masked positions are not removed: mask_value is added to their
 * score, so a row with nothing allowed is a softmax over its raw scores. */
typedef struct moire_attention_options {
  moire_score score;
  double scale;
  double mask_value; /* usually -10000 */
  bool causal;       /* key j is allowed for query i only if j <= i + (keys - queries); named lengths: equal */
  moire_value key_valid; /* bool[B, keys], or null: all valid */
  moire_value bias;      /* f32 broadcast to [B, H, queries, keys], or null; added to the scaled score */
  double dropout;        /* on the weights, in training graphs */
} moire_attention_options;

/* q [B, H, queries, d], k and v [B, H, keys, d], real or complex -> [B, H, queries, d] of v's type. */
moire_value moire_attention_at(moire_source at, moire_value q, moire_value k, moire_value v,
                               moire_attention_options options);
/* Causal attention of new positions behind those of a cache, for inference: q [B, H, T, d], k and v [B, K, T,
 * d] on the first first[b] keys and values of [B, K, S, d], first i32[B], and on themselves up to each query's
 * own. Query head h reads key head h div (H / K). All are real or all complex. Of the options score and scale
 * are read. Returns [B, H, T, d]. */
moire_value moire_attention_past_at(moire_source at, moire_value q, moire_value k, moire_value v,
                                    moire_value past_k, moire_value past_v, moire_value first,
                                    moire_attention_options options);

#include "moire/graph_here.h"

#ifdef __cplusplus
}
#endif
#endif
