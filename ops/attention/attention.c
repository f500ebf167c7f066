/* attention: softmax(score(q, k) scale + bias + mask) v by head; q [B,H,Lq,d], k [B,H,Lk,d], v [B,H,Lk,e].
 *
 * Operands after q, k, v, each where its attribute has_… is 1: key_valid bool[B,Lk], bias (broadcast to
 * [B,H,Lq,Lk]), rng. Attributes: score 0 is Re(q k^H), 1 is |q k^H|^2; scale; mask_value is added where a key
 * is not allowed: key_valid says so, or causal and j > i + (Lk - Lq); dropout and stream of the weights (with
 * rng); mask_shape and mask_start of a part (ops/source/mask.h).
 *
 * The expansion keeps the additive mask at [B,1,Lq,Lk] or [1,1,Lq,Lk], computed from iotas and comparisons, and
 * broadcasts it: nothing of it need be stored. A row with no key allowed has mask_value added everywhere, and
 * is a softmax over its raw scores.
 */
#include "compiler/ir/language/language_attend.h"
#include "ops/source/mask.h"
#include "ops/parts.h"
#include "ops/product/product.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <math.h>

enum { DOT, WAVES }; /* the values of `score` */

/* Where the operands that need not be there are; -1: not there. */
typedef struct layout {
  int valid, bias, rng, n;
} layout;

static layout layout_of(const moire__node *node) {
  layout at = {.valid = -1, .bias = -1, .rng = -1, .n = 3};
  if (moire__node_int(node, "has_valid")) at.valid = at.n++;
  if (moire__node_int(node, "has_bias")) at.bias = at.n++;
  if (moire__node_int(node, "has_rng")) at.rng = at.n++;
  return at;
}

/* ---- infer ----------------------------------------------------------------------------------------------- */

static moire_status attention_attributes(moire__infer *c) {
  static const char *const flags[] = {"score", "causal", "has_valid", "has_bias", "has_rng"};
  static const char *const factors[] = {"scale", "mask_value"};
  int64_t value;
  for (int i = 0; i < 2; i++) {
    double factor;
    MOIRE__TRY(moire__infer_real(c, factors[i], &factor));
    if (!isfinite(factor))
      return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "%s is %g, wanted a finite number", factors[i], factor);
  }
  for (int i = 0; i < 5; i++) MOIRE__TRY(moire__infer_int(c, flags[i], 0, 1, &value));
  double dropout;
  MOIRE__TRY(moire__infer_real(c, "dropout", &dropout));
  MOIRE__TRY(moire__infer_int_or(c, "stream", 0, 0, UINT32_MAX, &value));
  int wanted = layout_of(c->node).n;
  if (c->n_operands == wanted) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "%d operands, but has_valid, has_bias and has_rng want %d",
                    c->n_operands, wanted);
}

/* q, k and v, and the shape of the scores. */
static moire_status attention_shapes(moire__infer *c, moire_shape *scores) {
  for (int i = 0; i < 3; i++) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << MOIRE_F32 | MOIRE__SET_COMPLEX));
    MOIRE__TRY(moire__infer_rank(c, i, 4, 4));
  }
  const moire_dim *q = c->operands[0]->shape.dims, *k = c->operands[1]->shape.dims,
                  *v = c->operands[2]->shape.dims;
  if (q[0] != k[0] || q[1] != k[1] || q[3] != k[3])
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "q and k do not fit: q is %s, k is %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  if (k[0] != v[0] || k[1] != v[1] || k[2] != v[2])
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "k and v do not fit: k is %s, v is %s",
                      moire__operand_type(c, 1).text, moire__operand_type(c, 2).text);
  bool placed = q[2] == k[2] || (moire__dim_is_static(q[2]) && moire__dim_is_static(k[2]));
  if (moire__node_int(c->node, "causal") && !placed)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                      "causal needs lengths that are fixed or the same: q is %s, k is %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  bool real = c->operands[0]->dtype != MOIRE_C64 && c->operands[1]->dtype != MOIRE_C64;
  if (moire__node_int(c->node, "score") == WAVES && real)
    return moire_fail(c->error, MOIRE_ERROR_TYPE, "interference needs complex waves: q is %s, k is %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  *scores = MOIRE_SHAPE(q[0], q[1], q[2], k[2]);
  return MOIRE_OK;
}

moire_status moire__attention_infer(moire__infer *c) {
  moire_shape scores;
  MOIRE__TRY(attention_attributes(c));
  MOIRE__TRY(attention_shapes(c, &scores));
  layout at = layout_of(c->node);
  if (at.valid >= 0) {
    MOIRE__TRY(moire__infer_dtype(c, at.valid, MOIRE__SET_BOOL));
    moire_shape wanted = MOIRE_SHAPE(scores.dims[0], scores.dims[3]);
    if (!moire__shape_equal(&c->operands[at.valid]->shape, &wanted))
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "key_valid is %s, wanted %s",
                        moire__operand_type(c, at.valid).text,
                        moire__type_print(c->g, MOIRE_BOOL, &wanted).text);
  }
  if (at.bias >= 0) {
    MOIRE__TRY(moire__infer_dtype(c, at.bias, 1u << MOIRE_F32));
    moire_shape bias = c->operands[at.bias]->shape;
    bool fits = bias.rank <= 4;
    for (int i = 0; i < bias.rank && fits; i++)
      fits = bias.dims[i] == 1 || bias.dims[i] == scores.dims[4 - bias.rank + i];
    if (!fits)
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "bias is %s, which does not broadcast to %s",
                        moire__operand_type(c, at.bias).text, moire__type_print(c->g, MOIRE_F32, &scores).text);
  }
  if (at.rng >= 0) MOIRE__TRY(moire__mask_infer(c, at.rng, "dropout", &scores));
  moire_shape shape = c->operands[0]->shape;
  shape.dims[3] = c->operands[2]->shape.dims[3];
  return moire__infer_result(c, 0, c->operands[2]->dtype, shape);
}

/* ---- expand ---------------------------------------------------------------------------------------------- */

/* bool, broadcast to [B,1,Lq,Lk] or [1,1,Lq,Lk]: the allowed keys; null if all are. */
static moire_value allowed_keys(moire__expand *c, int valid, moire_shape scores) {
  moire_value allowed = {0};
  if (moire__node_int(c->node, "causal")) {
    moire_shape pairs = MOIRE_SHAPE(1, 1, scores.dims[2], scores.dims[3]);
    /* named lengths are the same */
    moire_value offset = moire_constant(c->g, MOIRE_I32, pairs, (double)(scores.dims[3] - scores.dims[2]));
    allowed = moire_less_equal(moire_iota(c->g, pairs, 3), moire_add(moire_iota(c->g, pairs, 2), offset));
  }
  if (valid < 0) return allowed;
  moire_shape samples = MOIRE_SHAPE(scores.dims[0], 1, scores.dims[2], scores.dims[3]);
  moire_value keys = moire_reshape(c->operands[valid], MOIRE_SHAPE(scores.dims[0], 1, 1, scores.dims[3]));
  keys = moire_broadcast(keys, samples);
  return moire_value_is_null(allowed) ? keys : moire_and(moire_broadcast(allowed, samples), keys);
}

static bool is_complex(moire_value x) { return moire_value_dtype(x) == MOIRE_C64; }

/* One kernel does it (ops/attention/attend.h) without a bias and of fixed lengths, for interference if q, k and
 * v are complex. */
static bool is_one_kernel(const moire__expand *c, layout at) {
  bool waves = moire__node_int(c->node, "score") == WAVES, fits = at.bias < 0;
  if (c->off >> MOIRE_OPTIMIZATION_attend & 1) return false;
  for (int i = 0; i < 3; i++) {
    moire_shape shape = moire_value_shape(c->operands[i]);
    fits = fits && (!waves || is_complex(c->operands[i]));
    for (int d = 1; d < 4; d++) fits = fits && moire__dim_is_static(shape.dims[d]);
  }
  return fits && moire_value_dim(c->operands[1], 2) > 0;
}

static moire_value one_kernel(moire__expand *c, layout at) {
  moire_value x[8];
  bool waves = moire__node_int(c->node, "score") == WAVES;
  int n = moire__attend_planes(c->operands, waves, x);
  if (at.valid >= 0) x[n++] = c->operands[at.valid];
  if (at.rng >= 0) x[n++] = c->operands[at.rng];
  static const char *const kept[] = {"scale",   "mask_value", "causal",     "has_valid", "has_rng",
                                     "dropout", "stream",     "mask_shape", "mask_start"};
  moire__attr attrs[9];
  int n_attrs = 0;
  for (int i = 0; i < 9; i++) {
    const moire__attr *attr = moire__node_attr(c->node, kept[i]);
    if (attr) attrs[n_attrs++] = *attr;
  }
  moire__op op = waves ? MOIRE__OP_attend : MOIRE__OP_attend_real;
  moire_value y = moire__graph_emit(c->g, MOIRE_HERE, op, x, n, attrs, n_attrs);
  if (moire_value_is_null(y)) return y;
  return moire__attend_by_head(c->operands[2], waves, y, waves ? moire__value(c->g, y.id + 1) : y);
}

/* ---- a named length: the samples are packed, with nothing left out --------------------------------------- */

enum {
  MOST_POSITIONS = 1 << 16
}; /* of a sample; how the interpreter numbers tokens, which nothing else reads */

/* Without random masks, whose elements would be numbered otherwise. Queries and keys are as many. */
static bool is_packed_kernel(const moire__expand *c, layout at) {
  const moire_shape q = moire_value_shape(c->operands[0]), k = moire_value_shape(c->operands[1]);
  moire_dim tokens = 0;
  bool waves = moire__node_int(c->node, "score") == WAVES;
  bool fits = at.bias < 0 && at.rng < 0 && !(c->off >> MOIRE_OPTIMIZATION_attend & 1) &&
              q.dims[0] == k.dims[0] && q.dims[2] == k.dims[2] && !moire__dim_is_static(q.dims[2]) &&
              moire__dim_multiply(q.dims[0], q.dims[2], &tokens);
  for (int i = 0; i < 3; i++) {
    moire_shape shape = moire_value_shape(c->operands[i]);
    fits = fits && moire__dim_is_static(shape.dims[1]) && moire__dim_is_static(shape.dims[3]);
    fits = fits && (!waves || is_complex(c->operands[i]));
  }
  return fits;
}

static moire_value integer(moire__expand *c, int64_t x) {
  return moire_constant(c->g, MOIRE_I32, MOIRE_SCALAR, (double)x);
}

/* i32[]: the size of a dim, below 2^21: the number whose inverse the dim divides 1 to. */
static moire_value size_of(moire__expand *c, moire_dim dim) {
  moire_value share = moire__divide_by_dim(MOIRE_HERE, moire_constant(c->g, MOIRE_F32, MOIRE_SCALAR, 1), dim);
  moire_value size = moire_div(moire_constant(c->g, MOIRE_F32, MOIRE_SCALAR, 1), share);
  return moire_cast(moire_add_scalar(size, 0.5), MOIRE_I32);
}

/* [B, H, T, d] as [1, H, B T, d] */
static moire_value as_tokens(moire_value x, moire_dim tokens) {
  moire_shape shape = moire_value_shape(x);
  return moire_reshape(moire_swap_axes(x, 0, 1), MOIRE_SHAPE(1, shape.dims[1], tokens, shape.dims[3]));
}

static moire_value packed_kernel(moire__expand *c, layout at) {
  moire_value x[12];
  bool waves = moire__node_int(c->node, "score") == WAVES;
  const moire_shape q = moire_value_shape(c->operands[0]);
  moire_dim samples = q.dims[0], length = q.dims[2], tokens = 0;
  moire__dim_multiply(samples, length, &tokens);
  int n = moire__attend_planes(c->operands, waves, x);
  for (int i = 0; i < n; i++) x[i] = as_tokens(x[i], tokens);
  if (at.valid >= 0) x[n++] = moire_reshape(c->operands[at.valid], MOIRE_SHAPE(tokens));
  moire_shape places = MOIRE_SHAPE(samples, length);
  moire_value size = size_of(c, length), sample = moire_iota(c->g, MOIRE_SHAPE(samples), 0);
  moire_value first = moire_mul(moire_iota(c->g, places, 0), integer(c, MOST_POSITIONS));
  x[n++] = moire_reshape(moire_add(first, moire_iota(c->g, places, 1)), MOIRE_SHAPE(tokens));
  x[n++] = moire_mul(sample, size);
  x[n++] = moire_broadcast(size, MOIRE_SHAPE(samples));
  const moire__attr attrs[] = {moire__attr_make_real("scale", moire__node_real(c->node, "scale")),
                               moire__attr_make_real("mask_value", moire__node_real(c->node, "mask_value")),
                               moire__attr_make_int("causal", moire__node_int(c->node, "causal")),
                               moire__attr_make_int("has_valid", at.valid >= 0),
                               moire__attr_make_int("has_rng", 0),
                               moire__attr_make_real("dropout", 0),
                               moire__attr_make_int("packed", 1),
                               moire__attr_make_int("last", 0),
                               moire__attr_make_int("length", MOST_POSITIONS)};
  moire_value y =
      moire__graph_emit(c->g, MOIRE_HERE, waves ? MOIRE__OP_attend : MOIRE__OP_attend_real, x, n, attrs, 9);
  if (moire_value_is_null(y)) return y;
  moire_value planes[] = {y, waves ? moire__value(c->g, y.id + 1) : y};
  moire_shape by_position = moire_value_shape(y); /* [1, B T, H, e] */
  for (int i = 0; i < 2; i++)
    planes[i] =
        moire_reshape(planes[i], MOIRE_SHAPE(samples, length, by_position.dims[2], by_position.dims[3]));
  return moire__attend_by_head(c->operands[2], waves, planes[0], planes[1]);
}

void moire__attention_expand(moire__expand *c) {
  layout at = layout_of(c->node);
  if (is_one_kernel(c, at)) {
    c->results[0] = one_kernel(c, at);
    return;
  }
  if (is_packed_kernel(c, at)) {
    c->results[0] = packed_kernel(c, at);
    return;
  }
  moire_value q = c->operands[0], k = c->operands[1], v = c->operands[2];
  moire_shape scores = moire_value_shape(q);
  scores.dims[3] = moire_value_shape(k).dims[2];
  moire_value s = moire__product(c->g, q, k, (moire__product_flags){.transpose_b = true, .conj_b = true});
  if (moire__node_int(c->node, "score") == WAVES) s = moire_abs2(s);
  if (moire_value_dtype(s) == MOIRE_C64) s = moire_real(s);
  s = moire_scale(s, moire__node_real(c->node, "scale"));
  if (at.bias >= 0) s = moire_add(s, moire_broadcast(c->operands[at.bias], scores));
  moire_value allowed = allowed_keys(c, at.valid, scores);
  if (!moire_value_is_null(allowed)) {
    moire_shape shape = moire_value_shape(allowed);
    double mask_value = moire__node_real(c->node, "mask_value");
    moire_value mask = moire_where(allowed, moire_constant(c->g, MOIRE_F32, shape, 0),
                                   moire_constant(c->g, MOIRE_F32, shape, mask_value));
    s = moire_add(s, moire_broadcast(mask, scores));
  }
  moire_value p = moire_softmax(s);
  if (at.rng >= 0) p = moire_mul(p, moire__mask_expand(c, c->operands[at.rng], "dropout", &scores));
  c->results[0] = moire__product(c->g, p, v, (moire__product_flags){0});
}

/* ---- demand ---------------------------------------------------------------------------------------------- */

/* Samples, heads and queries are independent of each other, and so are the channels of v. Causality counts
 * queries from the last one, so of queries a suffix can be had. */
bool moire__attention_demand(moire__demand *c) {
  layout at = layout_of(c->node);
  moire_shape scores = moire_value_shape(c->operands[0]);
  scores.dims[3] = moire_value_shape(c->operands[1]).dims[2];
  if (c->axis == 3) {
    moire__demand_slice(c, 2, 3, c->start, c->length);
    return true;
  }
  if (c->axis == 2 && moire__node_int(c->node, "causal") && c->start + c->length != c->extent) return false;
  moire__demand_slice(c, 0, c->axis, c->start, c->length);
  for (int i = 1; i < 3 && c->axis < 2; i++) moire__demand_slice(c, i, c->axis, c->start, c->length);
  if (c->axis == 0 && at.valid >= 0) moire__demand_slice(c, at.valid, 0, c->start, c->length);
  if (at.bias >= 0) {
    moire_shape bias = moire_value_shape(c->operands[at.bias]);
    int axis = c->axis - (4 - bias.rank);
    bool repeated = axis < 0 || (bias.dims[axis] == 1 && c->extent != 1);
    if (!repeated) moire__demand_slice(c, at.bias, axis, c->start, c->length);
  }
  if (at.rng >= 0) moire__mask_demand(c, &scores, c->axis, c->start);
  return true;
}

/* ---- reference ------------------------------------------------------------------------------------------- */

/* The element of `bias` that is broadcast to `index` of [B,H,Lq,Lk]. */
static double bias_element(const moire__tensor *bias, const int64_t index[4]) {
  int64_t own[MOIRE_MAX_RANK];
  for (int i = 0; i < bias->rank; i++) own[i] = bias->dims[i] == 1 ? 0 : index[4 - bias->rank + i];
  return bias->re[moire__tensor_offset(bias, own)];
}

/* The score of query and key (of d elements each from these offsets), scaled and masked. */
static double masked_score(const moire__reference *c, layout at, const int64_t index[4], int64_t queries) {
  const moire__tensor *q = c->operands[0], *k = c->operands[1];
  int64_t d = q->dims[3], heads = q->dims[1], keys = k->dims[2];
  int64_t qi = ((index[0] * heads + index[1]) * queries + index[2]) * d;
  int64_t ki = ((index[0] * heads + index[1]) * keys + index[3]) * d;
  double re = 0, im = 0;
  for (int64_t i = 0; i < d; i++) {
    double qr = q->re[qi + i], qm = q->im ? q->im[qi + i] : 0;
    double kr = k->re[ki + i], km = k->im ? k->im[ki + i] : 0;
    re += qr * kr + qm * km;
    im += qm * kr - qr * km;
  }
  double s = moire__node_int(c->node, "score") == WAVES ? re * re + im * im : re;
  s *= moire__node_real(c->node, "scale");
  if (at.bias >= 0) s += bias_element(c->operands[at.bias], index);
  bool allowed = at.valid < 0 || c->operands[at.valid]->re[index[0] * keys + index[3]] != 0;
  if (moire__node_int(c->node, "causal")) allowed = allowed && index[3] <= index[2] + keys - queries;
  return allowed ? s : s + moire__node_real(c->node, "mask_value");
}

void moire__attention_reference(moire__reference *c) {
  layout at = layout_of(c->node);
  const moire__tensor *q = c->operands[0], *v = c->operands[2];
  moire__tensor *y = c->results[0];
  int64_t heads = q->dims[1], queries = q->dims[2], keys = v->dims[2], e = v->dims[3];
  int64_t scores[] = {q->dims[0], heads, queries, keys}, rows = q->dims[0] * heads * queries;
  double *p = moire__arena_array(c->scratch, (size_t)keys + 1, sizeof *p);
  for (int64_t row = 0; row < rows; row++) {
    int64_t index[] = {row / queries / heads, row / queries % heads, row % queries, 0};
    double largest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < keys; j++) {
      index[3] = j;
      p[j] = masked_score(c, at, index, queries);
      largest = fmax(largest, p[j]);
    }
    for (int64_t j = 0; j < keys; j++) sum += exp(p[j] - largest);
    for (int64_t j = 0; j < keys; j++) {
      index[3] = j;
      double weight = exp(p[j] - largest) / sum;
      if (at.rng >= 0) weight *= moire__mask_element(c, c->operands[at.rng], "dropout", 4, scores, index);
      for (int64_t i = 0; i < e; i++) {
        int64_t from = (row / queries * keys + j) * e + i;
        y->re[row * e + i] += weight * v->re[from];
        if (y->im) y->im[row * e + i] += weight * v->im[from];
      }
    }
  }
}

/* ---- sample ---------------------------------------------------------------------------------------------- */

typedef struct attention_case {
  moire__sample_kind kind;
  moire_dtype types[3];
  moire_shape q;
  moire_dim keys, width; /* width: e */
  int score, causal, has_valid, has_rng;
  moire_shape bias; /* of rank 0: none */
  moire_shape whole;
  int64_t start[4]; /* of the random mask's part, if `whole` has a rank */
  double range;     /* of q and k */
  moire_status expected;
} attention_case;

#define FFF {F32, F32, F32}
#define CCC {C64, C64, C64}
#define CCF {C64, C64, F32}

static bool attention_row(moire__sampler *s, attention_case *found) {
  moire_dim b = moire__sample_batch(s), t = moire__sample_time(s);
  const attention_case cases[] = {
      {GOOD, FFF, S(2, 2, 5, 4), 5, 4, DOT, 0, 0, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {GOOD, FFF, S(b, 2, 7, 8), 7, 8, DOT, 1, 1, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {GOOD, CCC, S(b, 2, 7, 8), 7, 8, WAVES, 1, 1, 1, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {GOOD, CCC, S(b, 1, 1, 8), 7, 8, WAVES, 1, 1, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {GOOD, CCF, S(2, 2, 3, 4), 5, 4, WAVES, 0, 0, 0, S(2, 1, 5), SCALAR, {0}, 1, ACCEPTED},
      {GOOD, CCC, S(2, 2, 3, 4), 5, 4, DOT, 0, 1, 0, S(2, 2, 3, 5), SCALAR, {0}, 1, ACCEPTED},
      {HARD, FFF, S(1, 1, 1, 1), 1, 1, DOT, 1, 1, 1, S(1), SCALAR, {0}, 1, ACCEPTED},
      {HARD, CCC, S(3, 1, 13, 17), 13, 3, WAVES, 1, 1, 1, S(3, 1, 13, 13), SCALAR, {0}, 1, ACCEPTED},
      {HARD, FFF, S(1, 3, 5, 7), 3, 7, DOT, 1, 0, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED}, /* rows with no key */
      {HARD, CCC, S(b, 1, 2, 3), 33, 5, WAVES, 1, 0, 0, SCALAR, SCALAR, {0}, 4, ACCEPTED},
      {HARD, {F32, C64, C64}, S(1, 2, 3, 4), 3, 4, WAVES, 0, 0, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {HARD, {F32, C64, F32}, S(1, 2, 3, 4), 3, 4, DOT, 0, 0, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {HARD, CCC, S(0, 2, 3, 4), 3, 4, WAVES, 1, 1, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {HARD, FFF, S(2, 1, 0, 4), 3, 4, DOT, 1, 1, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {HARD, FFF, S(2, 1, 3, 4), 0, 4, DOT, 0, 1, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {HARD, FFF, S(2, 1, 3, 0), 3, 4, DOT, 1, 1, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {HARD, FFF, S(2, 1, 3, 4), b, 4, DOT, 0, 1, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {HARD, FFF, S(b, 2, t, 4), t, 5, DOT, 1, 1, 1, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {HARD, FFF, S(b, 2, t, 4), t, 5, DOT, 1, 1, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {HARD, CCC, S(b, 2, t, 3), t, 3, WAVES, 1, 0, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {HARD, {C64, C64, C64}, S(3, 1, t, 4), t, 4, DOT, 0, 1, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {HARD, CCF, S(t, 2, b, 4), b, 4, WAVES, 1, 1, 0, SCALAR, SCALAR, {0}, 1, ACCEPTED},
      {HARD, CCC, S(b, 1, t, 3), t, 3, WAVES, 1, 0, 0, S(t, t), SCALAR, {0}, 1, ACCEPTED},
      {HARD, CCC, S(b, 2, 1, 4), 7, 4, WAVES, 1, 1, 1, SCALAR, S(b, 2, 7, 7), {0, 0, 6, 0}, 1, ACCEPTED},
      {WRONG, FFF, S(2, 2, 5, 4), 5, 4, WAVES, 0, 0, 0, SCALAR, SCALAR, {0}, 1, BAD_TYPE},
      {WRONG, {F32, I32, F32}, S(2, 2, 5, 4), 5, 4, DOT, 0, 0, 0, SCALAR, SCALAR, {0}, 1, BAD_TYPE},
      {WRONG, FFF, S(2, 5, 4), 5, 4, DOT, 0, 0, 0, SCALAR, SCALAR, {0}, 1, BAD_SHAPE},
      {WRONG, FFF, S(2, 2, 5, 4), b, 4, DOT, 1, 0, 0, SCALAR, SCALAR, {0}, 1, BAD_SHAPE},
      {WRONG, FFF, S(2, 2, 5, 4), 5, 4, DOT, 0, 0, 0, S(2, 3, 5, 5), SCALAR, {0}, 1, BAD_SHAPE},
      {WRONG, FFF, S(2, 2, 5, 4), 5, 4, 2, 0, 0, 0, SCALAR, SCALAR, {0}, 1, BAD_ARGUMENT},
      {WRONG, FFF, S(2, 2, 5, 4), 5, 4, DOT, 0, 0, 1, SCALAR, S(2, 2, 5, 4), {0}, 1, BAD_SHAPE},
      {WRONG, FFF, S(2, 2, 5, 4), 5, 4, DOT, 0, 2, 0, SCALAR, SCALAR, {0}, 1, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i >= 0) *found = cases[i];
  return i >= 0;
}

bool moire__attention_sample(moire__sampler *s) {
  attention_case row;
  if (!attention_row(s, &row)) return false;
  const moire_dim *q = row.q.dims;
  moire_shape k = row.q, v = row.q;
  k.dims[2] = v.dims[2] = row.keys;
  v.dims[3] = row.width;
  moire_value operands[6] = {
      moire__sample_input(s, row.types[0], row.q, -row.range, row.range),
      moire__sample_input(s, row.types[1], row.q.rank == 4 ? k : row.q, -row.range, row.range),
      moire__sample_input(s, row.types[2], row.q.rank == 4 ? v : row.q, -1, 1),
  };
  int n = 3;
  if (row.has_valid == 1) operands[n++] = moire__sample_input(s, MOIRE_BOOL, S(q[0], row.keys), 0, 2);
  if (row.bias.rank) operands[n++] = moire__sample_input(s, MOIRE_F32, row.bias, -1, 1);
  if (row.has_rng) operands[n++] = moire__sample_input(s, MOIRE_I32, S(3), -1000, 1000);
  moire__attr attrs[] = {
      moire__attr_make_int("score", row.score),
      moire__attr_make_real("scale", 0.5),
      moire__attr_make_real("mask_value", -10000),
      moire__attr_make_int("causal", row.causal),
      moire__attr_make_int("has_valid", row.has_valid),
      moire__attr_make_int("has_bias", row.bias.rank != 0),
      moire__attr_make_int("has_rng", row.has_rng),
      moire__attr_make_real("dropout", row.has_rng ? 0.3 : 0),
      moire__attr_make_int("stream", s->index),
      moire__attr_make_dims("mask_shape", &row.whole),
      moire__attr_make_ints("mask_start", row.start, row.whole.rank),
  };
  moire_value y = moire__sample_emit(s, MOIRE__OP_attention, operands, n, attrs, row.whole.rank ? 11 : 9);
  return s->kind == WRONG ? moire__sample_refuse(s, row.expected) : moire__sample_finish(s, y);
}
