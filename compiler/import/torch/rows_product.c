/* Rows of the table: products of matrices. */
#include "compiler/import/torch/rows.h"

static bool missing(moire_value x) { return moire_value_is_null(x); }

static int rank_of(moire_value x) { return missing(x) ? 0 : moire_value_shape(x).rank; }

/* A whole number of operands is made float, and back: exact up to 2^24. */
static bool floats(moire__call *c, moire_value x) {
  moire__torch_type type = moire__type_of(x);
  if (missing(x) || type == MOIRE__TORCH_F32 || type == MOIRE__TORCH_C64 || type == MOIRE__TORCH_F64)
    return true;
  moire__refuse(c, "of %s is not imported: convert to float before", moire__torch_type_name(type));
  return false;
}

/* PyTorch's matmul: vectors count as a row, or as a column. */
static moire_value product(moire__call *c, moire_value a, moire_value b) {
  if (!floats(c, a) || !floats(c, b) || missing(a) || missing(b)) return moire__null(c);
  a = moire__without_imaginary(c, a);
  b = moire__without_imaginary(c, b);
  bool row = rank_of(a) == 1, column = rank_of(b) == 1;
  if (!rank_of(a) || !rank_of(b)) {
    moire__refuse(c, "wanted tensors with axes");
    return moire__null(c);
  }
  if (row) a = moire__unsqueeze(c, a, 0);
  if (column) b = moire__unsqueeze(c, b, 1);
  moire_value y = moire_matmul_at(c->at, a, b);
  if (column) y = moire__squeeze(c, y, rank_of(y) - 1);
  if (row && !missing(y)) y = moire__squeeze(c, y, rank_of(y) - (column ? 1 : 2));
  return y;
}

static void matmul(moire__call *c) {
  moire__give(c, product(c, moire__tensor(c, "self"), moire__tensor(c, "other")));
}

static void mm(moire__call *c) {
  moire__give(c, product(c, moire__tensor(c, "self"), moire__tensor(c, "mat2")));
}

static void mv(moire__call *c) {
  moire__give(c, product(c, moire__tensor(c, "self"), moire__tensor(c, "vec")));
}

static void dot(moire__call *c) {
  moire__give(
      c, product(c, moire__tensor(c, "self"), moire__tensor(c, moire__find(c, "tensor") ? "tensor" : "other")));
}

static void vdot(moire__call *c) {
  moire_value a = moire__tensor(c, "self");
  if (moire__type_of(a) == MOIRE__TORCH_C64) a = moire_conj_at(c->at, a);
  moire__give(c, product(c, a, moire__tensor(c, "other")));
}

static void outer(moire__call *c) {
  moire_value a = moire__tensor(c, "self"), b = moire__tensor(c, "vec2");
  if (rank_of(a) != 1 || rank_of(b) != 1)
    moire__refuse(c, "wanted two vectors");
  else
    moire__give(c, moire_mul_at(c->at, moire__unsqueeze(c, a, 1), moire__unsqueeze(c, b, 0)));
}

/* y times the number of that name, which is 1 where it does not come. */
static moire_value times(moire__call *c, moire_value y, const char *name) {
  const moire__argument *a = moire__find(c, name);
  if (!a || (a->kind != MOIRE__ARGUMENT_COMPLEX && a->real == 1)) return y;
  if (a->kind != MOIRE__ARGUMENT_COMPLEX && !a->symbolic) return moire_scale_at(c->at, y, a->real);
  return moire_mul_at(c->at, y, moire__as(c, a, moire__type_of(y), (moire_value){0}));
}

/* beta self + alpha a b */
static void add_product(moire__call *c, const char *a, const char *b) {
  moire_value y = times(c, product(c, moire__tensor(c, a), moire__tensor(c, b)), "alpha");
  const moire__argument *beta = moire__find(c, "beta");
  moire_value x = moire__tensor(c, "self");
  bool none = beta && beta->real == 0 && beta->imaginary == 0; /* whatever self holds */
  moire__give(c, none ? y : moire_add_at(c->at, times(c, x, "beta"), y));
}

static void addmm(moire__call *c) { add_product(c, "mat1", "mat2"); }
static void baddbmm(moire__call *c) { add_product(c, "batch1", "batch2"); }
static void addmv(moire__call *c) { add_product(c, "mat", "vec"); }

static void linear(moire__call *c) {
  moire_value x = moire__tensor(c, "input"), w = moire__tensor(c, "weight"),
              bias = moire__tensor_or_none(c, "bias");
  if (!floats(c, x) || missing(x) || missing(w)) return;
  if (rank_of(w) == 1) { /* of one output without an axis */
    moire_value y = product(c, x, w);
    moire__give(c, bias.graph ? moire_add_at(c->at, y, bias) : y);
    return;
  }
  bool vector = rank_of(x) == 1;
  if (vector) x = moire__unsqueeze(c, x, 0);
  moire_value y = moire_linear_at(c->at, x, w, bias);
  moire__give(c, vector ? moire__squeeze(c, y, 0) : y);
}

static void einsum(moire__call *c) {
  int n;
  const char *equation = moire__text_or(c, "equation", "");
  moire_value *operands = moire__tensors(c, "tensors", &n);
  if (moire__find(c, "path")) moire__refuse(c, "with a path is not imported");
  for (int i = 0; i < n; i++) {
    if (!floats(c, operands[i])) return;
  }
  if (n) moire__give(c, moire_einsum_at(c->at, equation, operands, n));
}

const moire__aten_row moire__rows_product[] = {{"aten.matmul.default", matmul, false},
                                               {"aten.mm.default", mm, false},
                                               {"aten.bmm.default", mm, false},
                                               {"aten.mv.default", mv, false},
                                               {"aten.dot.default", dot, false},
                                               {"aten.vdot.default", vdot, false},
                                               {"aten.outer.default", outer, false},
                                               {"aten.addmm.default", addmm, false},
                                               {"aten.addmv.default", addmv, false},
                                               {"aten.baddbmm.default", baddbmm, false},
                                               {"aten.linear.default", linear, false},
                                               {"aten.einsum.default", einsum, false},
                                               {NULL, NULL, false}};
