/* cmatmul: the product of two complex matrices given as planes; operands ar, ai, br, bi, results re, im.
 *
 * Written by split in place of a matmul of two complex operands, after autodiff, so that one kernel loads each
 * plane once for both results. Attributes, element types and shapes are matmul's.
 */
#include "ops/parts.h"
#include "ops/product/product.h"
#include "ops/sample_row.h"
#include "ops/support.h"

/* The planes of an operand, of which one alone may be stored as it is rounded. */
static moire_status infer_planes(moire__infer *c, int re, unsigned set) {
  MOIRE__TRY(moire__infer_dtype(c, re, set));
  if (!(set & MOIRE__SET_BF16)) return moire__infer_alike(c, re, re + 1);
  MOIRE__TRY(moire__infer_dtype(c, re + 1, set));
  return moire__infer_same_shape(c, re, re + 1);
}

moire_status moire__cmatmul_infer(moire__infer *c) {
  unsigned set = moire__product_planes(c->node);
  MOIRE__TRY(infer_planes(c, 0, set));
  moire_dtype dtype = moire__product_dtype(c->operands[0]);
  MOIRE__TRY(infer_planes(c, 2, set & (1u << dtype | MOIRE__SET_BF16)));
  moire_shape shape;
  MOIRE__TRY(moire__product_shape(c, 0, 2, &shape));
  int64_t triple;
  MOIRE__TRY(moire__infer_int_or(c, "triple", 0, 0, 1, &triple));
  for (int i = 0; triple && i < 4; i++) {
    if (c->operands[i]->dtype != MOIRE_F32)
      return moire_fail(c->error, MOIRE_ERROR_TYPE, "triple: wanted operands of f32");
  }
  moire__infer_result(c, 0, dtype, shape);
  return moire__infer_result(c, 1, dtype, shape);
}

void moire__cmatmul_reference(moire__reference *c) {
  moire__product_flags f = moire__product_flags_of(c->node);
  const moire__tensor *const *x = c->operands;
  moire__product_reference(&(moire__product_operand){x[0], x[0]->re, x[1]->re, f.transpose_a, f.conj_a},
                           &(moire__product_operand){x[2], x[2]->re, x[3]->re, f.transpose_b, f.conj_b}, f.bf16,
                           c->results[0]->re, c->results[1]->re);
}

static bool cmatmul_wrong(moire__sampler *s) {
  const struct {
    moire_shape x[4];
    moire_dtype last;
    moire_status expected;
  } cases[] = {
      {{S(3, 4), S(3, 4), S(5, 2), S(5, 2)}, F32, BAD_SHAPE},
      {{S(3, 4), S(4, 3), S(4, 2), S(4, 2)}, F32, BAD_SHAPE},
      {{S(3, 4), S(3, 4), S(4, 2), S(4, 3)}, F32, BAD_SHAPE},
      {{S(3, 4), S(3, 4), S(4, 2), S(4, 2)}, C64, BAD_TYPE},
      {{S(4), S(4), S(4, 2), S(4, 2)}, F32, BAD_SHAPE},
  };
  if (s->index >= (int)(sizeof cases / sizeof *cases)) return false;
  moire_value x[4];
  for (int i = 0; i < 4; i++)
    x[i] = moire__sample_input(s, i == 3 ? cases[s->index].last : MOIRE_F32, cases[s->index].x[i], -1, 1);
  moire__sample_emit(s, MOIRE__OP_cmatmul, x, 4, NULL, 0);
  return moire__sample_refuse(s, cases[s->index].expected);
}

/* Every combination of flags and every form, plain, bf16 (of what is stored so, too) and triple, for each row
 * of extents. */
bool moire__cmatmul_sample(moire__sampler *s) {
  if (s->kind == MOIRE__SAMPLE_WRONG) return cmatmul_wrong(s);
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dim lead, m, k, n;
  } cases[] = {
      {GOOD, 2, 3, 5, 4}, {GOOD, b, 8, 16, 8},   {HARD, 1, 1, 1, 1},  {HARD, 1, 13, 33, 17},
      {HARD, 1, b, 7, 3}, {HARD, 2, 3, b, 7},    {HARD, 1, 3, 0, 4},  {HARD, 0, 3, 2, 4},
      {HARD, 1, 3, 2, 0}, {HARD, 1, 33, 47, 65}, {HARD, 1, 17, 7, b},
  };
  moire__sampler row = *s;
  row.index /= 48;
  int i = MOIRE__SAMPLE_ROW(&row, cases);
  if (i < 0) return false;
  bool ta = (s->index & 1) != 0, tb = (s->index & 2) != 0;
  moire_dim m = cases[i].m, k = cases[i].k, n = cases[i].n;
  moire_shape a = ta ? MOIRE_SHAPE(cases[i].lead, k, m) : MOIRE_SHAPE(cases[i].lead, m, k);
  moire_shape w = tb ? MOIRE_SHAPE(cases[i].lead, n, k) : MOIRE_SHAPE(cases[i].lead, k, n);
  moire_value x[4];
  int form = s->index / 16 % 3;
  for (int j = 0; j < 4; j++) {
    bool half = form == 1 && s->index >> j & 1; /* of one plane or both */
    x[j] = moire__sample_input(s, half ? MOIRE_BF16 : MOIRE_F32, j < 2 ? a : w, -1, 1);
  }
  moire__attr attrs[MOIRE__PRODUCT_ATTRS + 1];
  int n_attrs = moire__product_attrs(
      (moire__product_flags){ta, (s->index & 4) != 0, tb, (s->index & 8) != 0, form == 1}, attrs);
  if (form == 2) attrs[n_attrs++] = moire__attr_make_int("triple", 1);
  moire_value y = moire__sample_emit(s, MOIRE__OP_cmatmul, x, 4, attrs, n_attrs);
  if (!moire_value_is_null(y)) moire_output(s->g, "y1", moire__value(s->g, y.id + 1));
  return moire__sample_finish(s, y);
}
