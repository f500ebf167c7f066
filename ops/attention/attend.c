/* attend, attend_real: attention by planes as one kernel, what `attention` expands to where it can
 * (ops/attention/attend.h).
 *
 * Attributes are attention's: scale, mask_value, causal, has_valid, has_rng, dropout, stream and, of a part of
 * the random mask, mask_shape and mask_start; of a packed batch also packed, last and length; bf16
 * (ops/attention/attend.h). Heads and widths are static, lengths too unless packed, and there is at least one
 * key.
 */
#include "ops/attention/attend.h"
#include "ops/source/mask.h"
#include "ops/parts.h"
#include "ops/support.h"

#include <math.h>

moire__attend_layout moire__attend_layout_of(const moire__node *node) {
  bool backward = node->op == MOIRE__OP_attend_backward || node->op == MOIRE__OP_attend_real_backward;
  int planes = node->op == MOIRE__OP_attend || node->op == MOIRE__OP_attend_backward ? 2 : 1;
  moire__attend_layout at = {.planes = planes,
                             .bf16 = moire__node_int_or(node, "bf16", 0) != 0,
                             .k = planes,
                             .v = 2 * planes,
                             .y = 3 * planes,
                             .largest = 4 * planes,
                             .sum = 4 * planes + 1,
                             .g = 4 * planes + 2,
                             .valid = -1,
                             .rng = -1,
                             .tokens = -1,
                             .starts = -1,
                             .counts = -1,
                             .n = backward ? 5 * planes + 2 : 3 * planes};
  if (moire__node_int(node, "has_valid")) at.valid = at.n++;
  if (moire__node_int(node, "has_rng")) at.rng = at.n++;
  if (!moire__node_int_or(node, "packed", 0)) return at;
  at.tokens = at.n++;
  at.starts = at.n++;
  at.counts = at.n++;
  return at;
}

/* ---- infer ---- */

static moire_status infer_attributes(moire__infer *c) {
  static const char *const flags[] = {"causal", "has_valid", "has_rng"};
  static const char *const reals[] = {"scale", "mask_value", "dropout"};
  int64_t value = 0;
  for (int i = 0; i < 3; i++) MOIRE__TRY(moire__infer_int(c, flags[i], 0, 1, &value));
  for (int i = 0; i < 3; i++) {
    double real = 0;
    MOIRE__TRY(moire__infer_real(c, reals[i], &real));
    if (!isfinite(real))
      return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "%s is %g, wanted a finite number", reals[i], real);
  }
  MOIRE__TRY(moire__infer_int_or(c, "stream", 0, 0, UINT32_MAX, &value));
  MOIRE__TRY(moire__infer_int_or(c, "bf16", 0, 0, 1, &value));
  MOIRE__TRY(moire__infer_int_or(c, "packed", 0, 0, 1, &value));
  MOIRE__TRY(moire__infer_int_or(c, "last", 0, 0, value, &value));
  if (moire__node_int_or(c->node, "packed", 0)) MOIRE__TRY(moire__infer_int(c, "length", 1, INT32_MAX, &value));
  int wanted = moire__attend_layout_of(c->node).n;
  if (c->n_operands == wanted) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "%d operands, but has_valid and has_rng want %d",
                    c->n_operands, wanted);
}

static moire_status wanted_shape(moire__infer *c, int operand, moire_dtype dtype, moire_shape shape) {
  MOIRE__TRY(moire__infer_dtype(c, operand, 1u << dtype));
  if (moire__shape_equal(&c->operands[operand]->shape, &shape)) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "operand %d is %s, wanted %s", operand,
                    moire__operand_type(c, operand).text, moire__type_print(c->g, dtype, &shape).text);
}

/* The operands that only a packed batch has, and its rng: the mask is over the whole batch. */
static moire_status infer_packed(moire__infer *c, moire_dim tokens) {
  moire__attend_layout at = moire__attend_layout_of(c->node);
  MOIRE__TRY(moire__infer_rank(c, at.starts, 1, 1));
  moire_dim samples = c->operands[at.starts]->shape.dims[0];
  if (at.valid >= 0) MOIRE__TRY(wanted_shape(c, at.valid, MOIRE_BOOL, MOIRE_SHAPE(tokens)));
  MOIRE__TRY(wanted_shape(c, at.tokens, MOIRE_I32, MOIRE_SHAPE(tokens)));
  MOIRE__TRY(wanted_shape(c, at.starts, MOIRE_I32, MOIRE_SHAPE(samples)));
  MOIRE__TRY(wanted_shape(c, at.counts, MOIRE_I32, MOIRE_SHAPE(samples)));
  if (moire__node_int_or(c->node, "last", 0) && c->operands[0]->shape.dims[0] != samples) {
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "q is %s, but starts is %s", moire__operand_type(c, 0).text,
                      moire__operand_type(c, at.starts).text);
  }
  moire_dim length = moire__node_int(c->node, "length");
  moire_shape scores = MOIRE_SHAPE(samples, c->operands[0]->shape.dims[1], length, length);
  return at.rng >= 0 ? moire__mask_infer(c, at.rng, "dropout", &scores) : MOIRE_OK;
}

/* Every operand of q, k and v: f32, and of fixed extents but for samples and packed tokens. */
static moire_status infer_operands(moire__infer *c, moire__attend_layout at) {
  bool packed = at.tokens >= 0;
  for (int i = 0; i < at.y; i++) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << MOIRE_F32));
    MOIRE__TRY(moire__infer_rank(c, i, 4, 4));
    MOIRE__TRY(moire__infer_alike(c, i / at.planes * at.planes, i));
    for (int d = 1; d < 4; d++) {
      if (moire__dim_is_static(c->operands[i]->shape.dims[d]) || (packed && d == 2)) continue;
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "operand %d is %s, wanted fixed heads, length and width",
                        i, moire__operand_type(c, i).text);
    }
  }
  return MOIRE_OK;
}

static moire_status infer_planes(moire__infer *c) {
  MOIRE__TRY(infer_attributes(c));
  moire__attend_layout at = moire__attend_layout_of(c->node);
  MOIRE__TRY(infer_operands(c, at));
  const moire_dim *q = c->operands[0]->shape.dims, *k = c->operands[at.k]->shape.dims,
                  *v = c->operands[at.v]->shape.dims;
  bool fit = q[1] == k[1] && q[3] == k[3] && k[0] == v[0] && k[1] == v[1] && k[2] == v[2] && k[2] != 0;
  bool packed = at.tokens >= 0, last = moire__node_int_or(c->node, "last", 0) != 0;
  if (!packed) fit = fit && q[0] == k[0];
  if (packed) fit = fit && k[0] == 1 && (last ? q[2] == 1 : q[0] == 1 && q[2] == k[2]);
  if (!fit) {
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "q, k and v do not fit: %s, %s, %s",
                      moire__operand_type(c, 0).text, moire__operand_type(c, at.k).text,
                      moire__operand_type(c, at.v).text);
  }
  if (packed) return infer_packed(c, k[2]);
  if (at.valid >= 0) MOIRE__TRY(wanted_shape(c, at.valid, MOIRE_BOOL, MOIRE_SHAPE(k[0], k[2])));
  moire_shape scores = MOIRE_SHAPE(q[0], q[1], q[2], k[2]);
  return at.rng >= 0 ? moire__mask_infer(c, at.rng, "dropout", &scores) : MOIRE_OK;
}

static moire_shape output_shape(const moire__infer *c) {
  moire_shape y = c->operands[0]->shape;
  y.dims[3] = c->operands[moire__attend_layout_of(c->node).v]->shape.dims[3];
  return y;
}

static moire_shape row_shape(const moire__infer *c) {
  moire_shape rows = c->operands[0]->shape;
  rows.rank = 3;
  rows.dims[3] = 0;
  return rows;
}

/* Of a result: positions before heads. */
static moire_shape by_position(moire_shape shape) {
  moire_dim heads = shape.dims[1];
  shape.dims[1] = shape.dims[2];
  shape.dims[2] = heads;
  return shape;
}

moire_status moire__attend_infer(moire__infer *c) {
  MOIRE__TRY(infer_planes(c));
  int planes = moire__attend_layout_of(c->node).planes;
  for (int p = 0; p < planes; p++)
    MOIRE__TRY(moire__infer_result(c, p, MOIRE_F32, by_position(output_shape(c))));
  MOIRE__TRY(moire__infer_result(c, planes, MOIRE_F32, row_shape(c)));
  return moire__infer_result(c, planes + 1, MOIRE_F32, row_shape(c));
}

moire_status moire__attend_backward_infer(moire__infer *c) {
  MOIRE__TRY(infer_planes(c));
  moire__attend_layout at = moire__attend_layout_of(c->node);
  MOIRE__TRY(wanted_shape(c, at.largest, MOIRE_F32, row_shape(c)));
  MOIRE__TRY(wanted_shape(c, at.sum, MOIRE_F32, row_shape(c)));
  for (int p = 0; p < at.planes; p++) {
    MOIRE__TRY(wanted_shape(c, at.y + p, MOIRE_F32, output_shape(c)));
    MOIRE__TRY(wanted_shape(c, at.g + p, MOIRE_F32, output_shape(c)));
  }
  for (int i = 0; i < at.y; i++)
    MOIRE__TRY(moire__infer_result(c, i, MOIRE_F32, by_position(c->operands[i]->shape)));
  return MOIRE_OK;
}

moire_status moire__attend_real_infer(moire__infer *c) { return moire__attend_infer(c); }
moire_status moire__attend_real_backward_infer(moire__infer *c) { return moire__attend_backward_infer(c); }

/* ---- gradient ---- */

static moire_value or_zeros(moire_value x, moire_value like) {
  if (!moire_value_is_null(x)) return x;
  return moire_constant(like.graph, MOIRE_F32, moire_value_shape(like), 0);
}

static void gradient(moire__gradient *c, moire__op backward) {
  moire__attend_layout at = moire__attend_layout_of(c->node);
  moire_value operands[MOIRE__ATTEND_OPERANDS];
  for (int i = 0; i < at.y; i++) operands[i] = c->operands[i];
  for (int i = 0; i < at.planes + 2; i++)
    operands[at.y + i] = i < at.planes ? moire_swap_axes(c->results[i], 1, 2) : c->results[i];
  for (int p = 0; p < at.planes; p++)
    operands[at.g + p] = moire_swap_axes(or_zeros(c->result_gradients[p], c->results[p]), 1, 2);
  int n = at.g + at.planes;
  for (int i = at.y; i < c->node->n_operands; i++) operands[n++] = c->operands[i];
  moire_value first =
      moire__graph_emit(c->g, MOIRE_HERE, backward, operands, n, c->node->attrs, c->node->n_attrs);
  for (int i = 0; i < at.y; i++) {
    if (moire_value_is_null(first)) continue;
    c->operand_gradients[i] = moire_swap_axes(moire__value(c->g, first.id + i), 1, 2);
  }
}

/* No gradient flows through the last two results: only the backward op reads them. */
void moire__attend_gradient(moire__gradient *c) { gradient(c, MOIRE__OP_attend_backward); }
void moire__attend_real_gradient(moire__gradient *c) { gradient(c, MOIRE__OP_attend_real_backward); }
