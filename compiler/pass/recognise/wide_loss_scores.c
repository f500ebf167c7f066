/* wide_loss, the scores: sums of products with tables of words, scaled, and with biases. */
#include "compiler/pass/recognise/wide_loss_private.h"

#include <math.h>

enum { MOST_STEPS = 8 };

static bool add_term(moire__wide_loss *h, moire__wide_term t) {
  if (h->n_terms == MOIRE__WIDE_TERMS || !isfinite(t.scale)) return false;
  h->terms[h->n_terms++] = t;
  return true;
}

static bool add_bias(moire__wide_loss *h, int32_t bias, double scale) {
  if (h->n_bias == MOIRE__WIDE_TERMS || !isfinite(scale)) return false;
  h->bias[h->n_bias] = bias;
  h->bias_scale[h->n_bias++] = scale;
  return true;
}

/* The value below broadcasts, if it has one element for each word, or one for all; else 0. */
static int32_t below_broadcasts(const moire__wide_loss *h, int32_t value, moire_dim elements) {
  const moire__node *node = moire__wide_node(h, value);
  while (node->op == MOIRE__OP_broadcast || node->op == MOIRE__OP_reshape) {
    value = node->operands[0];
    node = moire__wide_node(h, value);
  }
  moire_dim n = 0;
  const moire_shape *shape = moire__wide_shape(h, value);
  bool fits = moire__shape_elements(shape, &n) && n == elements;
  return fits && (elements == 1 || shape->rank == 1) ? value : 0;
}

/* [V] repeated over rows; 0 if the value is anything else. */
static int32_t bias_of(const moire__wide_loss *h, int32_t value) {
  const moire__node *node = moire__wide_node(h, value);
  if (node->op != MOIRE__OP_broadcast) return 0;
  const moire_shape *from = moire__wide_shape(h, node->operands[0]);
  if (from->rank < 1 || from->dims[from->rank - 1] != h->words) return 0;
  return below_broadcasts(h, value, h->words);
}

static bool read_linear(moire__wide_loss *h, const moire__node *node, double scale, int32_t factor) {
  for (int i = 0; i < node->n_operands; i++) {
    if (h->g->values[node->operands[i]].dtype != MOIRE_F32) return false;
  }
  if (node->n_operands == 3 && (factor || !add_bias(h, node->operands[2], scale))) return false;
  return add_term(
      h, (moire__wide_term){.x = node->operands[0], .w = node->operands[1], .factor = factor, .scale = scale});
}

static bool is_swap(const moire__node *node) {
  int n = 0;
  const int64_t *axes = node->op == MOIRE__OP_permute ? moire__node_ints(node, "axes", &n) : NULL;
  return n == 2 && axes[0] == 1;
}

static bool read_matmul(moire__wide_loss *h, const moire__node *node, double scale, int32_t factor) {
  if (node->n_attrs > 0 || moire__wide_shape(h, node->first_result)->rank != 2) return false;
  const moire__node *w = moire__wide_node(h, node->operands[1]);
  moire__wide_term t = {
      .x = node->operands[0], .w = node->operands[1], .factor = factor, .scale = scale, .across = true};
  if (is_swap(w)) {
    t.w = w->operands[0];
    t.across = false;
  }
  return add_term(h, t);
}

static bool read_scores(moire__wide_loss *h, int32_t value, double scale, int32_t factor, int steps);

static bool read_product(moire__wide_loss *h, const moire__node *node, double scale, int32_t factor,
                         int steps) {
  double number = 0;
  if (node->op == MOIRE__OP_div)
    return moire__recognise_number(h->g, node->operands[1], &number) &&
           read_scores(h, node->operands[0], scale / number, factor, steps);
  for (int i = 0; i < 2; i++) {
    if (moire__recognise_number(h->g, node->operands[i], &number))
      return read_scores(h, node->operands[1 - i], scale * number, factor, steps);
  }
  for (int i = 0; i < 2 && !factor; i++) {
    int32_t one = below_broadcasts(h, node->operands[i], 1);
    if (one) return read_scores(h, node->operands[1 - i], scale, one, steps);
  }
  return false;
}

/* Scores, or a part of them, that one node reads. */
static bool read_scores(moire__wide_loss *h, int32_t value, double scale, int32_t factor, int steps) {
  const moire__node *node = moire__wide_node(h, value);
  const moire_shape *shape = moire__wide_shape(h, value);
  bool is_whole = steps == MOST_STEPS; /* whose readers are known */
  if (steps == 0 || (h->uses[value] != 1 && !is_whole) || h->g->values[value].dtype != MOIRE_F32) return false;
  if (shape->rank < 1 || shape->dims[shape->rank - 1] != h->words) return false;
  switch ((int)node->op) {
    case MOIRE__OP_reshape: return read_scores(h, node->operands[0], scale, factor, steps - 1);
    case MOIRE__OP_linear: return read_linear(h, node, scale, factor);
    case MOIRE__OP_matmul: return read_matmul(h, node, scale, factor);
    case MOIRE__OP_mul:
    case MOIRE__OP_div: return read_product(h, node, scale, factor, steps - 1);
    case MOIRE__OP_add: break;
    default: return false;
  }
  for (int i = 0; i < 2; i++) {
    int32_t bias = bias_of(h, node->operands[i]);
    if (bias)
      return !factor && add_bias(h, bias, scale) &&
             read_scores(h, node->operands[1 - i], scale, factor, steps - 1);
  }
  return read_scores(h, node->operands[0], scale, factor, steps - 1) &&
         read_scores(h, node->operands[1], scale, factor, steps - 1);
}

moire_dim moire__wide_width(const moire__wide_loss *h, const moire__wide_term *t) {
  const moire_shape *w = moire__wide_shape(h, t->w);
  return w->dims[t->across ? 0 : 1];
}

static bool fits_op(const moire__wide_loss *h) {
  moire_dim width = 0;
  for (int i = 0; i < h->n_terms; i++) {
    moire_dim own = moire__wide_width(h, &h->terms[i]);
    if (!moire__dim_is_static(own)) return false;
    width += own;
  }
  return h->n_terms > 0 && width > 0 && width <= MOIRE__HEAD_WIDEST;
}

bool moire__wide_read_scores(moire__wide_loss *h, int32_t scores) {
  return read_scores(h, scores, 1, 0, MOST_STEPS) && fits_op(h);
}

bool moire__wide_passes(const moire__wide_loss *h, const moire__node *node, int32_t *operand, double *scale) {
  const moire_shape *shape = moire__wide_shape(h, node->first_result);
  double number = 0;
  if (shape->rank < 1 || shape->dims[shape->rank - 1] != h->words) return false;
  *operand = node->n_operands ? node->operands[0] : 0;
  if (node->op == MOIRE__OP_reshape) {
    const moire_shape *from = moire__wide_shape(h, *operand);
    return from->rank >= 1 && from->dims[from->rank - 1] == h->words;
  }
  if (node->op == MOIRE__OP_div) {
    if (!moire__recognise_number(h->g, node->operands[1], &number) || !(number > 0)) return false;
    *scale /= number;
    return true;
  }
  for (int i = 0; i < 2 && node->op == MOIRE__OP_mul; i++) {
    if (!moire__recognise_number(h->g, node->operands[i], &number) || !(number > 0)) continue;
    *operand = node->operands[1 - i];
    *scale *= number;
    return true;
  }
  return false;
}
