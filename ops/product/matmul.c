/* matmul: y = a b over the last two axes; leading axes are equal (the language broadcasts them).
 *
 * An operand may be stored transposed and may be conjugated on reading, by attributes: so the gradients, which
 * need transposes and conjugates of the operands, move no data. Operands are real or complex in any mix.
 */
#include "compiler/ir/graph/view.h"
#include "ops/parts.h"
#include "ops/product/product.h"
#include "ops/sample_row.h"
#include "ops/support.h"

moire_status moire__matmul_infer(moire__infer *c) {
  unsigned set = moire__product_planes(c->node) | MOIRE__SET_COMPLEX;
  for (int i = 0; i < 2; i++) MOIRE__TRY(moire__infer_dtype(c, i, set));
  moire_dtype a = moire__product_dtype(c->operands[0]), b = moire__product_dtype(c->operands[1]);
  bool mixed = (a == MOIRE_C64 && b == MOIRE_F32) || (a == MOIRE_F32 && b == MOIRE_C64);
  if (a != b && !mixed)
    return moire_fail(c->error, MOIRE_ERROR_TYPE, "element types differ: a is %s, b is %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
  moire_shape shape;
  MOIRE__TRY(moire__product_shape(c, 0, 1, &shape));
  return moire__infer_result(c, 0, mixed ? MOIRE_C64 : a, shape);
}

/* With A, B the operands as read and G the gradient of y: dA = G B^H, dB = A^H G. A stored operand that is read
 * conjugated gets the conjugate of that, a transposed one the transpose: dA^T = conj(B) G^T, dB^T = G^T
 * conj(A). A conjugate of a product conjugates both factors. */
static moire_value product_gradient_a(moire__gradient *c, moire__product_flags f) {
  moire_value g = c->result_gradients[0], b = c->operands[1];
  moire__product_flags r = {0};
  if (f.transpose_a) {
    r = (moire__product_flags){
        .transpose_a = f.transpose_b, .conj_a = !f.conj_b != f.conj_a, .transpose_b = true, .conj_b = f.conj_a};
    r.bf16 = f.bf16;
    return moire__product(c->g, b, g, r);
  }
  r = (moire__product_flags){
      .bf16 = f.bf16, .conj_a = f.conj_a, .transpose_b = !f.transpose_b, .conj_b = !f.conj_b != f.conj_a};
  return moire__product(c->g, g, b, r);
}

static moire_value product_gradient_b(moire__gradient *c, moire__product_flags f) {
  moire_value g = c->result_gradients[0], a = c->operands[0];
  moire__product_flags r = {0};
  if (f.transpose_b) {
    r = (moire__product_flags){
        .transpose_a = true, .conj_a = f.conj_b, .transpose_b = f.transpose_a, .conj_b = !f.conj_a != f.conj_b};
    r.bf16 = f.bf16;
    return moire__product(c->g, g, a, r);
  }
  r = (moire__product_flags){
      .bf16 = f.bf16, .transpose_a = !f.transpose_a, .conj_a = !f.conj_a != f.conj_b, .conj_b = f.conj_b};
  return moire__product(c->g, a, g, r);
}

void moire__matmul_gradient(moire__gradient *c) {
  moire__product_flags f = moire__product_flags_of(c->node);
  for (int i = 0; i < 2; i++) {
    if (!c->wanted[i]) continue;
    moire_value d = i == 0 ? product_gradient_a(c, f) : product_gradient_b(c, f);
    bool real = moire_value_dtype(c->operands[i]) != MOIRE_C64 && moire_value_dtype(d) == MOIRE_C64;
    c->operand_gradients[i] = real ? moire_real(d) : d;
  }
}

/* Complex times complex is one cmatmul; a real factor multiplies each plane by itself, and a conjugation of the
 * other one is a sign of the imaginary plane. */
/* Zeros, as the imaginary plane of what was real: a constant, negated and seen through views. */
static bool is_zero(moire_value x) {
  for (;;) {
    if (moire_value_is_null(x)) return false;
    const moire__node *node = moire__node_of(x.graph, x.id);
    if (node->op == MOIRE__OP_constant) return moire__node_real(node, "value") == 0;
    if (node->op != MOIRE__OP_neg && (!moire__is_view(node) || moire__is_lookup(node))) return false;
    x.id = node->operands[0];
  }
}

/* A product of one complex and one real matrix is two real ones, also where the real one came as complex. */
void moire__matmul_split(moire__split *c) {
  moire__product_flags f = moire__product_flags_of(c->node);
  moire__planes a = c->operands[0], b = c->operands[1];
  bool a_complex = !moire_value_is_null(a.im) && !is_zero(a.im);
  bool b_complex = !moire_value_is_null(b.im) && !is_zero(b.im);
  if (a_complex && b_complex) {
    moire__attr attrs[MOIRE__PRODUCT_ATTRS];
    int n = moire__product_attrs(f, attrs);
    moire_value re = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_cmatmul,
                                       (moire_value[]){a.re, a.im, b.re, b.im}, 4, attrs, n);
    c->results[0].re = re;
    if (!moire_value_is_null(re)) c->results[0].im = moire__value(c->g, re.id + 1);
    return;
  }
  c->results[0].re = moire__product(c->g, a.re, b.re, f);
  if (moire_value_is_null(a.im) && moire_value_is_null(b.im)) return;
  if (!a_complex && !b_complex) {
    moire_value re = c->results[0].re;
    c->results[0].im = moire_constant(c->g, moire_value_dtype(re), moire_value_shape(re), 0);
    return;
  }
  moire_value im = moire__product(c->g, a_complex ? a.im : a.re, b_complex ? b.im : b.re, f);
  c->results[0].im = (a_complex ? f.conj_a : f.conj_b) ? moire_neg(im) : im;
}

bool moire__matmul_demand(moire__demand *c) {
  moire__product_flags f = moire__product_flags_of(c->node);
  int rank = moire_value_shape(c->operands[0]).rank;
  int rows = f.transpose_a ? rank - 1 : rank - 2, columns = f.transpose_b ? rank - 2 : rank - 1;
  if (c->axis < rank - 2) rows = columns = c->axis;
  if (c->axis != rank - 1) c->operands[0] = moire_slice(c->operands[0], rows, c->start, c->length);
  if (c->axis != rank - 2) c->operands[1] = moire_slice(c->operands[1], columns, c->start, c->length);
  return true;
}

void moire__matmul_reference(moire__reference *c) {
  moire__product_flags f = moire__product_flags_of(c->node);
  const moire__tensor *a = c->operands[0], *b = c->operands[1];
  moire__product_reference(&(moire__product_operand){a, a->re, a->im, f.transpose_a, f.conj_a},
                           &(moire__product_operand){b, b->re, b->im, f.transpose_b, f.conj_b}, f.bf16,
                           c->results[0]->re, c->results[0]->im);
}

/* One product: a is [lead.., M, K] and b [lead.., K, N] before the flags' transposition. */
typedef struct matmul_case {
  moire_dtype a, b;
  moire_shape lead;
  moire_dim m, k, n;
} matmul_case;

static moire_shape matmul_shape(moire_shape lead, moire_dim rows, moire_dim columns, bool transpose) {
  moire_shape shape = lead;
  shape.dims[shape.rank++] = transpose ? columns : rows;
  shape.dims[shape.rank++] = transpose ? rows : columns;
  return shape;
}

static bool matmul_build(moire__sampler *s, matmul_case m, moire__product_flags f) {
  moire_value operands[] = {
      moire__sample_input(s, m.a, matmul_shape(m.lead, m.m, m.k, f.transpose_a), -1, 1),
      moire__sample_input(s, m.b, matmul_shape(m.lead, m.k, m.n, f.transpose_b), -1, 1),
  };
  moire__attr attrs[MOIRE__PRODUCT_ATTRS];
  int n = moire__product_attrs(f, attrs);
  return moire__sample_finish(s, moire__sample_emit(s, MOIRE__OP_matmul, operands, 2, attrs, n));
}

/* Every combination of element types and flags. */
static bool matmul_good(moire__sampler *s) {
  if (s->index >= 64) return false;
  int i = s->index;
  matmul_case m = {i & 16 ? MOIRE_C64 : MOIRE_F32, i & 32 ? MOIRE_C64 : MOIRE_F32, MOIRE_SCALAR, 3, 5, 4};
  if (i & 1) m.lead = MOIRE_SHAPE(2);
  return matmul_build(s, m,
                      (moire__product_flags){
                          .transpose_a = (i & 1) != 0,
                          .conj_a = (i & 2) != 0,
                          .transpose_b = (i & 4) != 0,
                          .conj_b = (i & 8) != 0,
                      });
}

static bool matmul_hard(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s), t = moire__sample_time(s);
  const matmul_case cases[] = {
      {F32, F32, S(b, 2), 1, 7, 13}, {C64, C64, S(b), 13, 1, 1},
      {F32, F32, SCALAR, b, 17, 33}, {C64, C64, SCALAR, moire__dim_make(5, moire__dim_extents(b)), 33, 17},
      {F32, C64, SCALAR, 7, b, 3},   {C64, C64, SCALAR, 17, b, 7},
      {F32, F32, SCALAR, 3, 17, b},  {F32, F32, SCALAR, 0, 3, 4},
      {F32, F32, SCALAR, 3, 0, 4},   {C64, C64, S(2), 3, 0, 4},
      {F32, F32, S(0), 3, 2, 0},     {F32, F32, S(1), 33, 65, 47},
      {F32, F32, S(b, 2), t, 5, t},  {C64, C64, S(b), t, 4, 3},
      {F32, C64, SCALAR, b, 3, b},   {F32, F32, S(2), t, b, 4},
  };
  enum { CASES = sizeof cases / sizeof *cases };
  if (s->index >= 4 * CASES) return false;
  int flags = s->index / CASES;
  bool c64 = cases[s->index % CASES].a == MOIRE_C64;
  return matmul_build(s, cases[s->index % CASES],
                      (moire__product_flags){.transpose_a = flags == 1 || flags == 3,
                                             .transpose_b = flags >= 2,
                                             .conj_b = c64 && flags >= 2,
                                             .conj_a = c64 && flags == 1});
}

static bool matmul_wrong(moire__sampler *s) {
  const struct {
    moire_dtype a, b;
    moire_shape x, y;
    moire_status expected;
  } cases[] = {
      {F32, F32, S(3, 4), S(5, 2), BAD_SHAPE},
      {F32, F32, S(3, 4), S(2, 4), BAD_SHAPE},
      {F32, F32, S(4), S(4, 2), BAD_SHAPE},
      {F32, F32, S(2, 3, 4), S(4, 2), BAD_SHAPE},
      {F32, F32, S(2, 3, 4), S(3, 4, 2), BAD_SHAPE},
      {F32, F32, S(3, moire__sample_batch(s)), S(3, 2), BAD_SHAPE},
      {I32, F32, S(3, 4), S(4, 2), BAD_TYPE},
      {F32, F64, S(3, 4), S(4, 2), BAD_TYPE},
  };
  int cases_n = (int)(sizeof cases / sizeof *cases);
  if (s->index > cases_n) return false;
  bool flag = s->index == cases_n; /* a flag that is neither 0 nor 1 */
  int i = flag ? 0 : s->index;
  moire_value operands[] = {moire__sample_input(s, cases[i].a, cases[i].x, 0, 1),
                            moire__sample_input(s, cases[i].b, cases[i].y, 0, 1)};
  moire__attr attr = moire__attr_make_int("transpose_a", 2);
  moire__sample_emit(s, MOIRE__OP_matmul, operands, 2, &attr, flag ? 1 : 0);
  return moire__sample_refuse(s, flag ? MOIRE_ERROR_ARGUMENT : cases[i].expected);
}

bool moire__matmul_sample(moire__sampler *s) {
  if (s->kind == MOIRE__SAMPLE_GOOD) return matmul_good(s);
  return s->kind == MOIRE__SAMPLE_HARD ? matmul_hard(s) : matmul_wrong(s);
}
