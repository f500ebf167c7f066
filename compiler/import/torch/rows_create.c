/* Rows of the table: tensors out of nothing. */
#include "compiler/import/torch/rows.h"

#include <math.h>

/* What says where and how a tensor is kept, which has no meaning here. */
static void pass_over_places(moire__call *c) {
  static const char *const names[] = {"device", "layout", "pin_memory", "memory_format", "requires_grad"};
  for (int i = 0; i < 5; i++) moire__pass_over(c, names[i]);
}

static bool shape_of(moire__call *c, const char *name, moire_shape *out) {
  moire_dim dims[MOIRE_MAX_RANK];
  int n = moire__dims(c, name, dims, MOIRE_MAX_RANK);
  *out = (moire_shape){.rank = n < 0 ? 0 : n};
  for (int i = 0; i < n; i++) {
    out->dims[i] = dims[i];
    if (dims[i] < 0) moire__refuse(c, "has a negative size");
  }
  return !c->why;
}

/* The number everywhere, of the type that the call names, or of `otherwise`. */
static void give_constant(moire__call *c, moire_shape shape, const moire__argument *number,
                          moire__torch_type otherwise) {
  pass_over_places(c);
  moire__torch_type type = moire__type_or(c, "dtype", otherwise);
  moire_value one = moire__as(c, number, type, (moire_value){0});
  if (c->why || moire_value_is_null(one)) return;
  if (type == MOIRE__TORCH_C64) {
    moire__give(c, moire_broadcast_at(c->at, one, shape));
    return;
  }
  double value = type == MOIRE__TORCH_BOOL ? number->real != 0 : number->real;
  bool whole = type == MOIRE__TORCH_I64 || type == MOIRE__TORCH_I32;
  if (whole) value = trunc(value);
  moire__give_uniform(c, moire_constant_at(c->at, c->graph, moire__torch_dtype(type), shape, value), value);
}

static const moire__argument nought = {.kind = MOIRE__ARGUMENT_INT},
                             one = {.kind = MOIRE__ARGUMENT_INT, .integer = 1, .real = 1};

static void constant(moire__call *c, const moire__argument *number, moire__torch_type otherwise) {
  moire_shape shape;
  if (shape_of(c, "size", &shape)) give_constant(c, shape, number, otherwise);
}

static void zeros(moire__call *c) { constant(c, &nought, MOIRE__TORCH_F32); }
static void ones(moire__call *c) { constant(c, &one, MOIRE__TORCH_F32); }

/* What a number is as a tensor of no axes. */
static moire__torch_type type_of_number(const moire__argument *a) {
  return a->kind == MOIRE__ARGUMENT_INT       ? MOIRE__TORCH_I64
         : a->kind == MOIRE__ARGUMENT_BOOL    ? MOIRE__TORCH_BOOL
         : a->kind == MOIRE__ARGUMENT_COMPLEX ? MOIRE__TORCH_C64
                                              : MOIRE__TORCH_F32;
}

static void full(moire__call *c) {
  const moire__argument *number = moire__find(c, "fill_value");
  if (number)
    constant(c, number, type_of_number(number));
  else
    moire__refuse(c, "fill_value: wanted a number");
}

static void scalar_tensor(moire__call *c) {
  const moire__argument *number = moire__find(c, "s");
  if (number) give_constant(c, MOIRE_SCALAR, number, MOIRE__TORCH_F32);
}

static void like(moire__call *c, const moire__argument *number) {
  moire_value x = moire__tensor(c, "self");
  if (!moire_value_is_null(x) && number) give_constant(c, moire_value_shape(x), number, moire__type_of(x));
}

static void zeros_like(moire__call *c) { like(c, &nought); }
static void ones_like(moire__call *c) { like(c, &one); }
static void full_like(moire__call *c) { like(c, moire__find(c, "fill_value")); }

static void new_constant(moire__call *c, const moire__argument *number) {
  moire_value x = moire__tensor(c, "self");
  if (!moire_value_is_null(x) && number) constant(c, number, moire__type_of(x));
}

static void new_zeros(moire__call *c) { new_constant(c, &nought); }
static void new_ones(moire__call *c) { new_constant(c, &one); }
static void new_full(moire__call *c) { new_constant(c, moire__find(c, "fill_value")); }

/* ---- counting ---------------------------------------------------------------------------------------------
 */

/* start + step i in the type, from whole numbers exactly. */
static moire_value ramp(moire__call *c, moire_dim n, const moire__argument *start, const moire__argument *step,
                        moire__torch_type type) {
  moire_value count = moire_iota_at(c->at, c->graph, MOIRE_SHAPE(n), 0);
  bool whole = type == MOIRE__TORCH_I64 || type == MOIRE__TORCH_I32;
  count = moire__to_type(c, count, whole ? type : MOIRE__TORCH_F32);
  if (type == MOIRE__TORCH_F64) count = moire__to_type(c, count, type);
  if (step->real != 1) count = moire_scale_at(c->at, count, step->real);
  if (start->real != 0) count = moire_add_scalar_at(c->at, count, start->real);
  return moire__to_type(c, count, type);
}

static void arange(moire__call *c) {
  static const moire__argument from_zero = {.kind = MOIRE__ARGUMENT_INT},
                               by_one = {.kind = MOIRE__ARGUMENT_INT, .integer = 1, .real = 1};
  const moire__argument *start = moire__find(c, "start"), *end = moire__find(c, "end"),
                        *step = moire__find(c, "step");
  start = start ? start : &from_zero;
  step = step ? step : &by_one;
  pass_over_places(c);
  if (!end) {
    moire__refuse(c, "end: wanted a number");
    return;
  }
  bool reals = start->kind == MOIRE__ARGUMENT_REAL || end->kind == MOIRE__ARGUMENT_REAL ||
               step->kind == MOIRE__ARGUMENT_REAL;
  moire__torch_type type = moire__type_or(c, "dtype", reals ? MOIRE__TORCH_F32 : MOIRE__TORCH_I64);
  if (end->symbolic && !start->symbolic && start->real == 0 && step->real == 1) {
    moire__give(c, ramp(c, end->dim, start, step, type));
    return;
  }
  double n = ceil((end->real - start->real) / step->real);
  if (start->symbolic || end->symbolic || step->symbolic || !(n >= 0 && n < 1 << 24)) {
    moire__refuse(c, "wanted at most 2^24 numbers, from 0 by 1 where their number is a size of the inputs");
    return;
  }
  moire__give(c, ramp(c, (moire_dim)n, start, step, type));
}

/* From both ends, so that both are met exactly. */
static void linspace(moire__call *c) {
  const moire__argument *start = moire__find(c, "start"), *end = moire__find(c, "end");
  int64_t n = moire__integer(c, "steps");
  pass_over_places(c);
  if (!start || !end || n < 0 || n >= 1 << 24) {
    moire__refuse(c, "wanted two numbers, and at most 2^24 steps");
    return;
  }
  bool complex = start->kind == MOIRE__ARGUMENT_COMPLEX || end->kind == MOIRE__ARGUMENT_COMPLEX;
  moire__torch_type type = moire__type_or(c, "dtype", complex ? MOIRE__TORCH_C64 : MOIRE__TORCH_F32);
  if (type != MOIRE__TORCH_C64 && type != MOIRE__TORCH_F32) {
    moire__refuse(c, "of %s is not imported", moire__torch_type_name(type));
    return;
  }
  moire_value at = moire_cast_at(c->at, moire_iota_at(c->at, c->graph, MOIRE_SHAPE(n), 0), MOIRE_F32);
  if (n > 1) at = moire_scale_at(c->at, at, 1 / (double)(n - 1));
  moire_value planes[2];
  for (int p = 0; p < 2; p++) {
    double from = p ? start->imaginary : start->real, to = p ? end->imaginary : end->real;
    moire_value near = moire_add_scalar_at(c->at, moire_scale_at(c->at, at, to - from), from);
    moire_value far =
        moire_add_scalar_at(c->at, moire_scale_at(c->at, moire_add_scalar_at(c->at, at, -1), to - from), to);
    moire_value first = moire_less_at(c->at, at, moire__number_like(c, at, 0.5));
    planes[p] = moire_where_at(c->at, first, near, far);
  }
  moire__give(c, type == MOIRE__TORCH_C64 ? moire_complex_at(c->at, planes[0], planes[1]) : planes[0]);
}

static void eye(moire__call *c) {
  int64_t n = moire__integer(c, "n"), m = moire__integer_or(c, "m", n);
  pass_over_places(c);
  moire__torch_type type = moire__type_or(c, "dtype", MOIRE__TORCH_F32);
  moire_value row = moire_iota_at(c->at, c->graph, MOIRE_SHAPE(n, 1), 0),
              column = moire_iota_at(c->at, c->graph, MOIRE_SHAPE(1, m), 1);
  moire__give(c, moire__to_type(c, moire_equal_at(c->at, row, column), type));
}

const moire__aten_row moire__rows_create[] = {{"aten.zeros.default", zeros, false},
                                              {"aten.ones.default", ones, false},
                                              {"aten.full.default", full, false},
                                              {"aten.scalar_tensor.default", scalar_tensor, false},
                                              {"aten.zeros_like.default", zeros_like, false},
                                              {"aten.ones_like.default", ones_like, false},
                                              {"aten.full_like.default", full_like, false},
                                              {"aten.new_zeros.default", new_zeros, false},
                                              {"aten.new_ones.default", new_ones, false},
                                              {"aten.new_full.default", new_full, false},
                                              {"aten.arange.default", arange, false},
                                              {"aten.arange.start", arange, false},
                                              {"aten.arange.start_step", arange, false},
                                              {"aten.linspace.default", linspace, false},
                                              {"aten.eye.default", eye, false},
                                              {"aten.eye.m", eye, false},
                                              {NULL, NULL, false}};
