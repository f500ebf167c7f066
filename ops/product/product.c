/* Matrix products written with attributes: see ops/product/product.h.
 *
 * A stored operand of extents [..., R, C] is read as [..., R, C] or, transposed, as [..., C, R]; its last two
 * axes have strides (C, 1) or (1, C). That is all that the shape rule and the reference need to know.
 */
#include "ops/product/product.h"

#include "ops/support.h"
#include "runtime/base/bf16.h"

#include <math.h>

moire__product_flags moire__product_flags_of(const moire__node *node) {
  return (moire__product_flags){
      .transpose_a = moire__node_int_or(node, "transpose_a", 0) != 0,
      .conj_a = moire__node_int_or(node, "conj_a", 0) != 0,
      .transpose_b = moire__node_int_or(node, "transpose_b", 0) != 0,
      .conj_b = moire__node_int_or(node, "conj_b", 0) != 0,
      .bf16 = moire__node_int_or(node, "bf16", 0) != 0,
  };
}

int moire__product_attrs(moire__product_flags flags, moire__attr attrs[MOIRE__PRODUCT_ATTRS]) {
  int n = 0;
  if (flags.transpose_a) attrs[n++] = moire__attr_make_int("transpose_a", 1);
  if (flags.transpose_b) attrs[n++] = moire__attr_make_int("transpose_b", 1);
  if (flags.conj_a) attrs[n++] = moire__attr_make_int("conj_a", 1);
  if (flags.conj_b) attrs[n++] = moire__attr_make_int("conj_b", 1);
  if (flags.bf16) attrs[n++] = moire__attr_make_int("bf16", 1);
  return n;
}

moire_value moire__product(moire_graph *g, moire_value a, moire_value b, moire__product_flags flags) {
  if (moire_value_is_null(a) || moire_value_is_null(b)) return (moire_value){0};
  flags.conj_a = flags.conj_a && moire_value_dtype(a) == MOIRE_C64;
  flags.conj_b = flags.conj_b && moire_value_dtype(b) == MOIRE_C64;
  moire__attr attrs[MOIRE__PRODUCT_ATTRS];
  int n = moire__product_attrs(flags, attrs);
  return moire__graph_emit(g, MOIRE_HERE, MOIRE__OP_matmul, (moire_value[]){a, b}, 2, attrs, n);
}

unsigned moire__product_planes(const moire__node *node) {
  return moire__product_flags_of(node).bf16 ? MOIRE__SET_REAL | MOIRE__SET_BF16 : MOIRE__SET_REAL;
}

moire_dtype moire__product_dtype(const moire__value_info *operand) {
  return operand->dtype == MOIRE_BF16 ? MOIRE_F32 : operand->dtype;
}

moire_status moire__product_shape(moire__infer *c, int a, int b, moire_shape *shape) {
  static const char *const names[] = {"transpose_a", "transpose_b", "conj_a", "conj_b", "bf16"};
  for (int i = 0; i < MOIRE__PRODUCT_ATTRS; i++) {
    int64_t flag;
    MOIRE__TRY(moire__infer_int_or(c, names[i], 0, 0, 1, &flag));
  }
  moire__product_flags f = moire__product_flags_of(c->node);
  if (f.bf16 && (c->operands[a]->dtype == MOIRE_F64 || c->operands[b]->dtype == MOIRE_F64))
    return moire_fail(c->error, MOIRE_ERROR_TYPE, "bf16: wanted operands of f32 or c64, but a is %s, b is %s",
                      moire__operand_type(c, a).text, moire__operand_type(c, b).text);
  MOIRE__TRY(moire__infer_rank(c, a, 2, MOIRE_MAX_RANK));
  MOIRE__TRY(moire__infer_rank(c, b, 2, MOIRE_MAX_RANK));
  const moire_shape *x = &c->operands[a]->shape, *y = &c->operands[b]->shape;
  const char *wrong = NULL;
  int rank = x->rank;
  if (y->rank != rank) wrong = "ranks differ";
  for (int i = 0; i < rank - 2 && !wrong; i++)
    if (x->dims[i] != y->dims[i]) wrong = "leading extents differ";
  if (!wrong && x->dims[rank - (f.transpose_a ? 2 : 1)] != y->dims[rank - (f.transpose_b ? 1 : 2)])
    wrong = "inner extents differ";
  if (wrong)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "%s: a is %s%s, b is %s%s", wrong,
                      moire__operand_type(c, a).text, f.transpose_a ? " transposed" : "",
                      moire__operand_type(c, b).text, f.transpose_b ? " transposed" : "");
  *shape = *x;
  shape->dims[rank - 2] = x->dims[rank - (f.transpose_a ? 1 : 2)];
  shape->dims[rank - 1] = y->dims[rank - (f.transpose_b ? 2 : 1)];
  return MOIRE_OK;
}

/* Extents and strides of the last two axes as they are read. */
static void product_axes(const moire__product_operand *x, int64_t extent[2], int64_t stride[2]) {
  int rank = x->shape->rank, swapped = x->transpose ? 1 : 0;
  extent[swapped] = x->shape->dims[rank - 2], extent[1 - swapped] = x->shape->dims[rank - 1];
  stride[swapped] = x->shape->dims[rank - 1], stride[1 - swapped] = 1;
}

double moire__product_narrowed(double x) {
  return fabs(x) < 0x1p-126 ? x : moire__bf16_to_double(moire__bf16_from_double(x));
}

/* Owned; NULL for NULL. */
static double *narrowed_copy(const double *x, int64_t n) {
  if (!x) return NULL;
  double *copy = moire__allocate_array((size_t)n, sizeof *copy);
  for (int64_t i = 0; i < n; i++) copy[i] = moire__product_narrowed(x[i]);
  return copy;
}

static void multiply(const moire__product_operand *a, const moire__product_operand *b, double *y_re,
                     double *y_im) {
  int64_t ae[2], as[2], be[2], bs[2], batches = 1;
  product_axes(a, ae, as);
  product_axes(b, be, bs);
  for (int i = 0; i < a->shape->rank - 2; i++) batches *= a->shape->dims[i];
  double a_sign = a->conj ? -1 : 1, b_sign = b->conj ? -1 : 1;
  for (int64_t batch = 0, y = 0; batch < batches; batch++)
    for (int64_t m = 0; m < ae[0]; m++)
      for (int64_t n = 0; n < be[1]; n++, y++)
        for (int64_t k = 0; k < ae[1]; k++) {
          int64_t i = batch * ae[0] * ae[1] + m * as[0] + k * as[1];
          int64_t j = batch * be[0] * be[1] + k * bs[0] + n * bs[1];
          double ar = a->re[i], ai = a->im ? a_sign * a->im[i] : 0;
          double br = b->re[j], bi = b->im ? b_sign * b->im[j] : 0;
          y_re[y] += ar * br - ai * bi;
          if (y_im) y_im[y] += ar * bi + ai * br;
        }
}

void moire__product_reference(const moire__product_operand *a, const moire__product_operand *b, bool bf16,
                              double *y_re, double *y_im) {
  if (!bf16) {
    multiply(a, b, y_re, y_im);
    return;
  }
  const moire__product_operand *from[2] = {a, b};
  moire__product_operand to[2] = {*a, *b};
  double *copies[4];
  for (int i = 0; i < 2; i++) {
    to[i].re = copies[2 * i] = narrowed_copy(from[i]->re, from[i]->shape->elements);
    to[i].im = copies[2 * i + 1] = narrowed_copy(from[i]->im, from[i]->shape->elements);
  }
  multiply(&to[0], &to[1], y_re, y_im);
  for (int i = 0; i < 4; i++) moire__release(copies[i]);
}
