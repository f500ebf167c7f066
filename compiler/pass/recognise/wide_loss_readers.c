/* wide_loss, the readers: cross entropies and look-ups in a log_softmax, and which rows they count. */
#include "compiler/pass/recognise/wide_loss_private.h"

#include <math.h>
#include <string.h>

enum { MOST_STEPS = 12 };

static bool is_read_outside(const moire__wide_loss *h, int32_t value) {
  for (int i = 0; i < h->g->n_outputs; i++) {
    if (h->g->outputs[i].value == value) return true;
  }
  for (int i = 0; i < h->g->n_updates; i++) {
    if (h->g->updates[i].value == value) return true;
  }
  return false;
}

/* ---- who reads the scores -------------------------------------------------------------------------------- */

static bool add_reader(moire__wide_loss *h, const moire__node *node, int32_t ids, double scale) {
  if (h->n_readers == MOIRE__WIDE_READERS || !(scale > 0) || !isfinite(scale)) return false;
  int at = h->n_readers++;
  if (node->op == MOIRE__OP_cross_entropy && at) { /* it comes first, and there is one */
    if (h->readers[0].node->op == MOIRE__OP_cross_entropy) return false;
    h->readers[at--] = h->readers[0];
  }
  h->readers[at] = (moire__wide_reader){.node = node, .ids = ids, .scale = scale};
  return true;
}

/* A log_softmax of which nothing is read but some words of each row. */
static bool read_look_up(moire__wide_loss *h, const moire__node *log_softmax, double scale) {
  int32_t value = log_softmax->first_result;
  if (h->uses[value] != 1 || is_read_outside(h, value)) return false;
  for (int n = h->g->values[value].node + 1; n < h->g->n_nodes; n++) {
    const moire__node *node = &h->g->nodes[n];
    if (!node->n_operands || node->operands[0] != value) continue;
    const moire_shape *rows = moire__wide_shape(h, value);
    bool fits = node->op == MOIRE__OP_take_rows && moire__node_int(node, "lead") == rows->rank - 1 &&
                moire__wide_shape(h, node->operands[1])->rank == rows->rank &&
                h->g->values[node->operands[1]].dtype == MOIRE_I32;
    return fits && add_reader(h, node, node->operands[1], scale);
  }
  return false;
}

static bool read_users(moire__wide_loss *h, int32_t value, double scale, int steps) {
  if (steps == 0 || is_read_outside(h, value)) return false;
  for (int n = h->g->values[value].node + 1; n < h->g->n_nodes; n++) {
    const moire__node *node = &h->g->nodes[n];
    bool reads = false;
    for (int i = 0; i < node->n_operands; i++) reads = reads || node->operands[i] == value;
    if (!reads) continue;
    int32_t operand = 0;
    double more = scale;
    if (node->op == MOIRE__OP_cross_entropy) {
      if (!add_reader(h, node, node->operands[1], scale)) return false;
    } else if (node->op == MOIRE__OP_log_softmax) {
      if (!read_look_up(h, node, scale)) return false;
    } else if (!moire__wide_passes(h, node, &operand, &more) || operand != value ||
               !read_users(h, node->first_result, more, steps - 1)) {
      return false;
    }
  }
  return true;
}

/* ---- rows that count ------------------------------------------------------------------------------------- */

static int32_t below_reshapes(const moire__wide_loss *h, int32_t value) {
  while (moire__wide_node(h, value)->op == MOIRE__OP_reshape) value = moire__wide_node(h, value)->operands[0];
  return value;
}

/* Are the values the same but for reshapes? Of what masks are made: comparisons, numbers, inputs. */
static bool are_alike(const moire__wide_loss *h, int32_t a, int32_t b, int steps) {
  a = below_reshapes(h, a);
  b = below_reshapes(h, b);
  if (a == b) return true;
  const moire__node *x = moire__wide_node(h, a), *y = moire__wide_node(h, b);
  double left = 0, right = 0;
  if (steps == 0 || x->op != y->op) return false;
  if (x->op == MOIRE__OP_constant)
    return moire__constant_number(h->g, a, &left) && moire__constant_number(h->g, b, &right) && left == right;
  bool pure = x->op == MOIRE__OP_not || x->op == MOIRE__OP_equal || x->op == MOIRE__OP_less ||
              x->op == MOIRE__OP_less_equal || x->op == MOIRE__OP_and;
  for (int i = 0; i < x->n_operands && pure; i++)
    pure = are_alike(h, x->operands[i], y->operands[i], steps - 1);
  return pure;
}

/* Is the value 0 at the rows that do not count, a number or a bool? */
static bool is_mask(const moire__wide_loss *h, int32_t value) {
  const moire__node *node = moire__wide_node(h, below_reshapes(h, value));
  if (node->op == MOIRE__OP_cast) return is_mask(h, node->operands[0]);
  return are_alike(h, value, h->counts, MOST_STEPS);
}

/* Does the node give its operand's rows, each made of that row alone? */
static bool keeps_rows(const moire__wide_loss *h, const moire__node *node, int32_t operand) {
  const moire_shape *shape = moire__wide_shape(h, operand);
  if (moire__op_get(node->op)->op_class == MOIRE__CLASS_POINTWISE) return true;
  int n = 0;
  const int64_t *axes = node->op == MOIRE__OP_sum ? moire__node_ints(node, "axes", &n) : NULL;
  moire_dim rows = 0, others = 0;
  const moire_shape *counts = moire__wide_shape(h, h->counts);
  bool has_columns =
      moire__shape_elements(shape, &others) && moire__shape_elements(counts, &rows) && others != rows;
  if (n == 1) return axes[0] == shape->rank - 1 && has_columns;
  return node->op == MOIRE__OP_reshape && moire__wide_shape(h, node->first_result)->rank >= 1;
}

/* Does everything that comes of it row by row end where the rows that do not count are left out? */
static bool is_masked(const moire__wide_loss *h, int32_t value, int steps) {
  if (steps == 0 || is_read_outside(h, value)) return false;
  for (int n = h->g->values[value].node + 1; n < h->g->n_nodes; n++) {
    const moire__node *node = &h->g->nodes[n];
    for (int i = 0; i < node->n_operands; i++) {
      if (node->operands[i] != value) continue;
      if (node->op == MOIRE__OP_where && i == 1 && is_mask(h, node->operands[0])) continue;
      if (node->op == MOIRE__OP_mul && is_mask(h, node->operands[1 - i])) continue;
      if (!keeps_rows(h, node, value) || !is_masked(h, node->first_result, steps - 1)) return false;
    }
  }
  return true;
}

/* The cross entropy's targets may be where(counts, targets, anything). */
static void read_counts(moire__wide_loss *h) {
  moire__wide_reader *first = &h->readers[0];
  const moire__node *targets = moire__wide_node(h, first->ids);
  double other = 0;
  bool chosen = first->node->op == MOIRE__OP_cross_entropy && targets->op == MOIRE__OP_where &&
                moire__recognise_number(h->g, targets->operands[2], &other);
  if (!chosen) return;
  h->counts = targets->operands[0];
  for (int i = 0; i < h->n_readers; i++)
    h->readers[i].masked = is_masked(h, h->readers[i].node->first_result, MOST_STEPS);
  if (first->masked)
    first->ids = targets->operands[1];
  else
    h->counts = 0;
}

bool moire__wide_read_readers(moire__wide_loss *h, int32_t scores) {
  if (!read_users(h, scores, 1, MOST_STEPS) || !h->n_readers) return false;
  read_counts(h);
  return true;
}
