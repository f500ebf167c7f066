/* sum, reduce_max and reduce_prod: over attribute axes (ascending), which stay with extent 1.
 *
 * An empty reduction is 0 for the sum, -infinity for the maximum and 1 for the product. Where an element is a
 * NaN, the maximum is a NaN or that of some of the others.
 */
#include <math.h>

#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

static moire_status reduce_infer(moire__infer *c, unsigned set) {
  MOIRE__TRY(moire__infer_dtype(c, 0, set));
  moire_shape shape = c->operands[0]->shape;
  int n = 0;
  const int64_t *axes = NULL;
  MOIRE__TRY(moire__infer_ints(c, "axes", &axes, &n));
  for (int i = 0; i < n; i++) {
    if (axes[i] < 0 || axes[i] >= shape.rank)
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "%s has no axis %lld", moire__operand_type(c, 0).text,
                        (long long)axes[i]);
    if (i > 0 && axes[i] <= axes[i - 1])
      return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "axes must ascend, %lld comes after %lld",
                        (long long)axes[i], (long long)axes[i - 1]);
    shape.dims[axes[i]] = 1;
  }
  return moire__infer_result(c, 0, c->operands[0]->dtype, shape);
}

/* The axes attribute as a mask by axis. */
static void reduced_axes(const moire__node *node, bool reduced[MOIRE_MAX_RANK]) {
  int n = 0;
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  for (int i = 0; i < MOIRE_MAX_RANK; i++) reduced[i] = false;
  for (int i = 0; i < n; i++) reduced[axes[i]] = true;
}

static bool reduce_demand(moire__demand *c) {
  bool reduced[MOIRE_MAX_RANK];
  reduced_axes(c->node, reduced);
  if (reduced[c->axis]) return false;
  moire__demand_slice(c, 0, c->axis, c->start, c->length);
  return true;
}

/* Element of the result that element `index` of the operand goes to. */
static int64_t reduce_target(const moire__tensor *x, const bool reduced[MOIRE_MAX_RANK], int64_t index) {
  int64_t target = 0, stride = 1;
  for (int axis = x->rank - 1; axis >= 0; axis--) {
    if (!reduced[axis]) {
      target += index % x->dims[axis] * stride;
      stride *= x->dims[axis];
    }
    index /= x->dims[axis];
  }
  return target;
}

/* ---- samples of all ---- */

static bool reduce_build(moire__sampler *s, moire__op op, moire_dtype dtype, moire_shape shape, int n,
                         const int64_t *axes) {
  moire_value x = moire__sample_input(s, dtype, shape, -2, 2);
  moire__attr attr = moire__attr_make_ints("axes", axes, n);
  return moire__sample_finish(s, moire__sample_emit(s, op, &x, 1, &attr, 1));
}

static bool reduce_wrong(moire__sampler *s, moire__op op) {
  const struct {
    moire_dtype dtype;
    int64_t axes[2];
    moire_status expected;
  } cases[] = {
      {F32, {0, 2}, BAD_SHAPE},    {F32, {-1, 1}, BAD_SHAPE},
      {F32, {1, 0}, BAD_ARGUMENT}, {F32, {1, 1}, BAD_ARGUMENT},
      {BOOL, {0, 1}, BAD_TYPE},    {op == MOIRE__OP_sum ? I32 : C64, {0, 1}, BAD_TYPE},
  };
  if (s->index >= (int)(sizeof cases / sizeof *cases)) return false;
  reduce_build(s, op, cases[s->index].dtype, MOIRE_SHAPE(3, 4), 2, cases[s->index].axes);
  return moire__sample_refuse(s, cases[s->index].expected);
}

/* Shapes and axes that all are sampled with; sums also with complex elements. */
static bool reduce_sample(moire__sampler *s, moire__op op) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_shape shape;
    int n;
    int64_t axes[3];
  } cases[] = {
      {GOOD, S(4, 6), 1, {1}},       {GOOD, S(4, 6), 1, {0}},
      {GOOD, S(2, 3, 4), 2, {0, 2}}, {GOOD, S(b, 5, 4), 2, {0, 1}},
      {GOOD, S(b, 2, 8), 1, {2}},    {GOOD, S(2, b, 3), 3, {0, 1, 2}},
      {HARD, S(1, 33), 1, {1}},      {HARD, S(33, 1), 1, {1}},
      {HARD, S(17, 13), 1, {0}},     {HARD, S(7, 3, 13, 2), 2, {1, 3}},
      {HARD, S(3, 0), 1, {1}},       {HARD, S(0, 3), 1, {1}},
      {HARD, S(257), 1, {0}},        {HARD, S(b, 7), 0, {0}},
      {HARD, SCALAR, 0, {0}},        {HARD, S(moire__dim_make(7, moire__dim_extents(b)), 17), 1, {0}},
  };
  if (s->kind == MOIRE__SAMPLE_WRONG) return reduce_wrong(s, op);
  int types = op == MOIRE__OP_sum ? 2 : 1;
  bool complex = s->index % types == 1;
  moire__sampler row = *s;
  row.index /= types;
  int i = MOIRE__SAMPLE_ROW(&row, cases);
  if (i < 0) return false;
  return reduce_build(s, op, complex ? MOIRE_C64 : MOIRE_F32, cases[i].shape, cases[i].n, cases[i].axes);
}

/* ---- sum ------------------------------------------------------------------------------------------------- */

moire_status moire__sum_infer(moire__infer *c) { return reduce_infer(c, MOIRE__SET_REAL | MOIRE__SET_COMPLEX); }

void moire__sum_gradient(moire__gradient *c) {
  c->operand_gradients[0] = moire_broadcast(c->result_gradients[0], moire_value_shape(c->operands[0]));
}

bool moire__sum_demand(moire__demand *c) { return reduce_demand(c); }

void moire__sum_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  bool reduced[MOIRE_MAX_RANK];
  reduced_axes(c->node, reduced);
  for (int64_t i = 0; i < x->elements; i++) {
    int64_t y = reduce_target(x, reduced, i);
    c->results[0]->re[y] += x->re[i];
    if (x->im) c->results[0]->im[y] += x->im[i];
  }
}

bool moire__sum_sample(moire__sampler *s) { return reduce_sample(s, MOIRE__OP_sum); }

/* ---- reduce_max ------------------------------------------------------------------------------------------ */

moire_status moire__reduce_max_infer(moire__infer *c) { return reduce_infer(c, MOIRE__SET_REAL); }

/* Equal largest elements share the gradient equally. */
void moire__reduce_max_gradient(moire__gradient *c) {
  moire_value x = c->operands[0];
  moire_shape shape = moire_value_shape(x);
  moire_dtype dtype = moire_value_dtype(x);
  moire_value largest = moire_equal(x, moire_broadcast(c->results[0], shape));
  int n = 0;
  const int64_t *axes = moire__node_ints(c->node, "axes", &n);
  moire__attr attr = moire__attr_make_ints("axes", axes, n);
  moire_value indicator = moire_cast(largest, dtype);
  moire_value count = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_sum, &indicator, 1, &attr, 1);
  moire_value share = moire_broadcast(moire_div(c->result_gradients[0], count), shape);
  c->operand_gradients[0] = moire_where(largest, share, moire_constant(c->g, dtype, shape, 0));
}

bool moire__reduce_max_demand(moire__demand *c) { return reduce_demand(c); }

void moire__reduce_max_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  moire__tensor *y = c->results[0];
  bool reduced[MOIRE_MAX_RANK];
  reduced_axes(c->node, reduced);
  for (int64_t i = 0; i < y->elements; i++) y->re[i] = -INFINITY;
  for (int64_t i = 0; i < x->elements; i++) {
    int64_t target = reduce_target(x, reduced, i);
    if (x->re[i] > y->re[target]) y->re[target] = x->re[i];
  }
}

/* Beside those of all: ties, where finite differences mean nothing. */
bool moire__reduce_max_sample(moire__sampler *s) {
  if (s->kind != MOIRE__SAMPLE_HARD || s->index > 0) {
    s->index -= s->kind == MOIRE__SAMPLE_HARD;
    bool more = reduce_sample(s, MOIRE__OP_reduce_max);
    s->index += s->kind == MOIRE__SAMPLE_HARD;
    return more;
  }
  s->no_gradient_check = true;
  moire_value few = moire_cast(moire__sample_input(s, MOIRE_I32, MOIRE_SHAPE(5, 33), 0, 3), MOIRE_F32);
  moire__attr attr = moire__attr_make_ints("axes", (const int64_t[]){1}, 1);
  return moire__sample_finish(s, moire__sample_emit(s, MOIRE__OP_reduce_max, &few, 1, &attr, 1));
}

/* ---- reduce_prod ----------------------------------------------------------------------------------------- */

moire_status moire__reduce_prod_infer(moire__infer *c) { return reduce_infer(c, MOIRE__SET_REAL); }

static moire_value over_axes(moire_value x, moire__op op, const moire__node *node) {
  int n = 0;
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  moire__attr attr = moire__attr_make_ints("axes", axes, n);
  return moire__graph_emit(x.graph, MOIRE_HERE, op, &x, 1, &attr, 1);
}

/* The product of the others. Where no element is 0 that is y / x; where one is, it alone has a gradient, the
 * product of all that are not 0; where several are, nothing has. */
void moire__reduce_prod_gradient(moire__gradient *c) {
  moire_value x = c->operands[0];
  moire_shape shape = moire_value_shape(x);
  moire_dtype dtype = moire_value_dtype(x);
  moire_value zero = moire_constant(c->g, dtype, shape, 0), one = moire_constant(c->g, dtype, shape, 1);
  moire_value is_zero = moire_equal(x, zero), filled = moire_where(is_zero, one, x);
  moire_value zeros = moire_broadcast(over_axes(moire_cast(is_zero, dtype), MOIRE__OP_sum, c->node), shape);
  moire_value rest = moire_broadcast(over_axes(filled, MOIRE__OP_reduce_prod, c->node), shape);
  moire_value alone = moire_where(moire_equal(zeros, one), rest, zero);
  moire_value usual = moire_where(moire_equal(zeros, zero), moire_div(rest, filled), zero);
  moire_value others = moire_where(is_zero, alone, usual);
  c->operand_gradients[0] = moire_mul(moire_broadcast(c->result_gradients[0], shape), others);
}

bool moire__reduce_prod_demand(moire__demand *c) { return reduce_demand(c); }

void moire__reduce_prod_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  moire__tensor *y = c->results[0];
  bool reduced[MOIRE_MAX_RANK];
  reduced_axes(c->node, reduced);
  for (int64_t i = 0; i < y->elements; i++) y->re[i] = 1;
  for (int64_t i = 0; i < x->elements; i++) y->re[reduce_target(x, reduced, i)] *= x->re[i];
}

bool moire__reduce_prod_sample(moire__sampler *s) {
  if (s->kind != MOIRE__SAMPLE_HARD || s->index > 0) {
    s->index -= s->kind == MOIRE__SAMPLE_HARD;
    bool more = reduce_sample(s, MOIRE__OP_reduce_prod);
    s->index += s->kind == MOIRE__SAMPLE_HARD;
    return more;
  }
  moire_value few = moire_cast(moire__sample_input(s, MOIRE_I32, MOIRE_SHAPE(17, 5), 0, 5), MOIRE_F32);
  moire__attr attr = moire__attr_make_ints("axes", (const int64_t[]){1}, 1);
  return moire__sample_finish(s, moire__sample_emit(s, MOIRE__OP_reduce_prod, &few, 1, &attr, 1));
}
