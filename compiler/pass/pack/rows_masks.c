/* pack, rows: what values are at the positions that are no tokens.
 *
 * Zeros begin at the masks that say which positions are read, and from there go through whatever makes zeros of
 * zeros; numbers that meet them are taken to be finite.
 *
 *   position < lengths      false        targets = ignored      true
 */
#include "compiler/pass/pack/pack_private.h"
#include "compiler/pass/walk.h"

static const moire_shape *shape_of(const moire__rows *p, int32_t value) { return &p->g->values[value].shape; }

/* ---- the masks ---------------------------------------------------------------------------------------------
 */

static bool is_number(const moire__rows *p, int32_t value, double wanted) {
  const moire__node *node = moire__node_of(p->g, value);
  if (node->op == MOIRE__OP_broadcast || node->op == MOIRE__OP_reshape) value = node->operands[0];
  double number = wanted + 1;
  return moire__constant_number(p->g, value, &number) && number == wanted;
}

/* Is every element the index on the last axis, which is that of positions? */
static bool is_position(const moire__rows *p, int32_t value) {
  const moire__node *node = moire__node_of(p->g, value);
  const moire_shape *shape = shape_of(p, value);
  if (!shape->rank || shape->dims[shape->rank - 1] != p->length) return false;
  switch ((int)node->op) {
    case MOIRE__OP_iota: return moire__node_int(node, "axis") == shape->rank - 1;
    case MOIRE__OP_broadcast:
    case MOIRE__OP_reshape: return is_position(p, node->operands[0]);
    case MOIRE__OP_add:
      for (int i = 0; i < 2; i++) {
        if (is_number(p, node->operands[i], 0) && is_position(p, node->operands[1 - i])) return true;
      }
      return false;
    default: return false;
  }
}

/* The input i32[B] of which [B, L] has the element of its sample everywhere; 0 if it is anything else. */
static int32_t of_samples(const moire__rows *p, int32_t value) {
  const moire__node *node = moire__node_of(p->g, value);
  const moire_shape *shape = shape_of(p, node->n_operands ? node->operands[0] : value);
  if (node->op != MOIRE__OP_broadcast || shape->rank != 2 || shape->dims[1] != 1) return 0;
  node = moire__node_of(p->g, node->operands[0]);
  if (node->op != MOIRE__OP_reshape) return 0;
  int32_t input = node->operands[0];
  shape = shape_of(p, input);
  bool fits = moire__node_of(p->g, input)->op == MOIRE__OP_input && p->g->values[input].dtype == MOIRE_I32;
  return fits && shape->rank == 1 && shape->dims[0] == p->samples ? input : 0;
}

/* The input i32[B, L] that it is, in whatever shape; 0: none. */
static int32_t of_positions(const moire__rows *p, int32_t value) {
  while (moire__node_of(p->g, value)->op == MOIRE__OP_reshape) value = moire__node_of(p->g, value)->operands[0];
  const moire_shape *shape = shape_of(p, value);
  bool fits = moire__node_of(p->g, value)->op == MOIRE__OP_input && p->g->values[value].dtype == MOIRE_I32;
  fits = fits && shape->rank == 2 && shape->dims[0] == p->samples && shape->dims[1] == p->length;
  return fits ? value : 0;
}

/* The first input of its kind that is found counts; another is none. */
static bool is_same_input(int32_t *known, int32_t input) {
  if (!*known) *known = input;
  return *known == input;
}

/* position < lengths, or not(lengths <= position), which is asked for as less_equal. */
static bool is_before_end(moire__rows *p, int32_t position, int32_t end) {
  if (shape_of(p, position)->rank != 2 || !is_position(p, position)) return false;
  int32_t input = of_samples(p, end);
  return input && is_same_input(&p->lengths, input);
}

static bool is_ignored(moire__rows *p, const moire__node *equal) {
  for (int i = 0; i < 2; i++) {
    int32_t input = of_positions(p, equal->operands[i]), other = equal->operands[1 - i];
    const moire__node *node = moire__node_of(p->g, other);
    double number = 0;
    if (node->op == MOIRE__OP_broadcast) other = node->operands[0];
    if (!input || !moire__constant_number(p->g, other, &number)) continue;
    if (number != (double)(int32_t)number || !is_same_input(&p->targets, input)) return false;
    if (!p->knows_ignored) p->ignored = (int32_t)number;
    p->knows_ignored = true;
    return p->ignored == (int32_t)number;
  }
  return false;
}

/* ---- what comes of them ------------------------------------------------------------------------------------
 */

static moire__row_rest rest_of(const moire__rows *p, int32_t value) {
  double number = 1;
  if (p->rest[value] != MOIRE__REST_UNKNOWN) return p->rest[value];
  const moire__node *node = moire__node_of(p->g, value);
  if (node->op == MOIRE__OP_broadcast) value = node->operands[0];
  return moire__constant_number(p->g, value, &number) && number == 0 ? MOIRE__REST_ZERO : MOIRE__REST_UNKNOWN;
}

static bool is_zero(const moire__rows *p, int32_t value) { return rest_of(p, value) == MOIRE__REST_ZERO; }

static bool are_zero(const moire__rows *p, const moire__node *node) {
  for (int i = 0; i < node->n_operands; i++) {
    if (!is_zero(p, node->operands[i])) return false;
  }
  return true;
}

static moire__row_rest rest_of_where(const moire__rows *p, const moire__node *node) {
  moire__row_rest chosen = rest_of(p, node->operands[0]);
  if (chosen != MOIRE__REST_UNKNOWN) return rest_of(p, node->operands[chosen == MOIRE__REST_ONE ? 1 : 2]);
  bool zero = is_zero(p, node->operands[1]) && is_zero(p, node->operands[2]);
  return zero ? MOIRE__REST_ZERO : MOIRE__REST_UNKNOWN;
}

static moire__row_rest rest_of_and(const moire__rows *p, const moire__node *node) {
  moire__row_rest a = rest_of(p, node->operands[0]), b = rest_of(p, node->operands[1]);
  if (a == MOIRE__REST_ZERO || b == MOIRE__REST_ZERO) return MOIRE__REST_ZERO;
  return a == b ? a : MOIRE__REST_UNKNOWN;
}

static bool keeps_zeros(const moire__rows *p, const moire__node *node) {
  switch ((int)node->op) {
    case MOIRE__OP_mul: return is_zero(p, node->operands[0]) || is_zero(p, node->operands[1]);
    case MOIRE__OP_div: return is_zero(p, node->operands[0]) && !p->packed[node->operands[1]];
    case MOIRE__OP_add:
    case MOIRE__OP_sub:
    case MOIRE__OP_max_of:
    case MOIRE__OP_min_of:
    case MOIRE__OP_hypot:
    case MOIRE__OP_complex:
    case MOIRE__OP_concat:
    case MOIRE__OP_neg:
    case MOIRE__OP_expm1:
    case MOIRE__OP_sqrt:
    case MOIRE__OP_abs:
    case MOIRE__OP_sin:
    case MOIRE__OP_tanh:
    case MOIRE__OP_erf:
    case MOIRE__OP_relu:
    case MOIRE__OP_silu:
    case MOIRE__OP_gelu:
    case MOIRE__OP_floor:
    case MOIRE__OP_round:
    case MOIRE__OP_stop_gradient:
    case MOIRE__OP_real:
    case MOIRE__OP_imag:
    case MOIRE__OP_conj:
    case MOIRE__OP_abs2:
    case MOIRE__OP_slice:
    case MOIRE__OP_sum:
    case MOIRE__OP_reduce_max: return are_zero(p, node);
    default: return false;
  }
}

moire__row_rest moire__rows_rest_of(moire__rows *p, const moire__node *node) {
  switch ((int)node->op) {
    case MOIRE__OP_less:
      return is_before_end(p, node->operands[0], node->operands[1]) ? MOIRE__REST_ZERO : MOIRE__REST_UNKNOWN;
    case MOIRE__OP_less_equal:
      return is_before_end(p, node->operands[1], node->operands[0]) ? MOIRE__REST_ONE : MOIRE__REST_UNKNOWN;
    case MOIRE__OP_equal: return is_ignored(p, node) ? MOIRE__REST_ONE : MOIRE__REST_UNKNOWN;
    case MOIRE__OP_not: {
      moire__row_rest x = rest_of(p, node->operands[0]);
      if (x == MOIRE__REST_UNKNOWN) return x;
      return x == MOIRE__REST_ZERO ? MOIRE__REST_ONE : MOIRE__REST_ZERO;
    }
    case MOIRE__OP_cast:
    case MOIRE__OP_reshape:
    case MOIRE__OP_permute:
    case MOIRE__OP_broadcast: return rest_of(p, node->operands[0]);
    case MOIRE__OP_and: return rest_of_and(p, node);
    case MOIRE__OP_where: return rest_of_where(p, node);
    default: return keeps_zeros(p, node) ? MOIRE__REST_ZERO : MOIRE__REST_UNKNOWN;
  }
}
