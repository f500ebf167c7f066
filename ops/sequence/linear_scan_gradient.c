/* linear_scan_gradient and clinear_scan_gradient: both gradients of a linear scan in one walk.
 *
 * Operands a, g (that of y) and y of a linear_scan with the same attributes; results da, of a's shape, and db.
 *
 *   reverse = 0:  db_t = g_t + conj(a'_{t+1}) db_{t+1},  da'_t = db_t conj(y_{t-1})
 *   reverse = 1:  db_t = g_t + conj(a'_t) db_{t-1},      da'_t = db_{t-1} conj(y_t)
 *
 * da'_0 = 0, and da is da' or, with conj, its conjugate. Of a fixed a [1, 1, D] it is the sum over samples and
 * positions. In either direction da' of the a that joins two positions is the state that the walk comes from
 * times conj(y) where it goes to.
 */
#include "ops/sequence/linear_scan.h"
#include "ops/parts.h"
#include "ops/support.h"

/* ---- linear_scan_gradient ---- */

moire_status moire__linear_scan_gradient_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32 | MOIRE__SET_COMPLEX));
  MOIRE__TRY(moire__linear_scan_infer_operands(c, 1, 2));
  for (int r = 0; r < 2; r++) moire__infer_result(c, r, c->operands[r]->dtype, c->operands[r]->shape);
  return MOIRE_OK;
}

void moire__linear_scan_gradient_split(moire__split *c) {
  moire_value planes[6];
  for (int i = 0; i < 3; i++) {
    planes[2 * i] = c->operands[i].re;
    planes[2 * i + 1] = c->operands[i].im;
  }
  moire_value first = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_clinear_scan_gradient, planes, 6,
                                        c->node->attrs, c->node->n_attrs);
  if (moire_value_is_null(first)) return;
  for (int r = 0; r < 2; r++)
    c->results[r] =
        (moire__planes){moire__value(c->g, first.id + 2 * r), moire__value(c->g, first.id + 2 * r + 1)};
}

void moire__linear_scan_gradient_reference(moire__reference *c) {
  const moire__tensor *const *x = c->operands;
  moire__linear_scan_walk(c->node, x[0]->dims, x[1]->dims,
                          (moire__linear_scan_planes){.ar = x[0]->re,
                                                      .ai = x[0]->im,
                                                      .br = x[1]->re,
                                                      .bi = x[1]->im,
                                                      .yr = x[2]->re,
                                                      .yi = x[2]->im,
                                                      .re = c->results[1]->re,
                                                      .im = c->results[1]->im,
                                                      .dar = c->results[0]->re,
                                                      .dai = c->results[0]->im});
}

bool moire__linear_scan_gradient_sample(moire__sampler *s) {
  return moire__linear_scan_samples(s, MOIRE__OP_linear_scan_gradient, 1, 2);
}

/* ---- clinear_scan_gradient ---- */

moire_status moire__clinear_scan_gradient_infer(moire__infer *c) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  MOIRE__TRY(moire__linear_scan_infer_operands(c, 2, 4));
  for (int r = 0; r < 4; r++) moire__infer_result(c, r, MOIRE_F32, c->operands[r]->shape);
  return MOIRE_OK;
}

void moire__clinear_scan_gradient_reference(moire__reference *c) {
  const moire__tensor *const *x = c->operands;
  moire__linear_scan_walk(c->node, x[0]->dims, x[2]->dims,
                          (moire__linear_scan_planes){.ar = x[0]->re,
                                                      .ai = x[1]->re,
                                                      .br = x[2]->re,
                                                      .bi = x[3]->re,
                                                      .yr = x[4]->re,
                                                      .yi = x[5]->re,
                                                      .re = c->results[2]->re,
                                                      .im = c->results[3]->re,
                                                      .dar = c->results[0]->re,
                                                      .dai = c->results[1]->re});
}

bool moire__clinear_scan_gradient_sample(moire__sampler *s) {
  return moire__linear_scan_samples(s, MOIRE__OP_clinear_scan_gradient, 2, 4);
}
