/* wide_loss: scores of many words that only a cross entropy reads are never stored.
 *
 *   a = x w^T + bias,  loss = cross_entropy(a, targets)   ->   loss = -linear_log_softmax(x, w, targets, bias)
 *
 * Scores may be a sum of products, which is one product of longer vectors, and may be scaled by numbers and by
 * values without axes; reshapes that keep the words may stand anywhere between. Where the targets are
 * where(counts, t, 0) and everything that reads the loss leaves out the rows that do not count, as
 * cross_entropy_loss does with an index to ignore, these rows are not computed at all.
 *
 * requires: the language's own form, so before expand; slices moved up (demand)
 * ensures: the logits are no value of the graph any more
 * leaves alone: scores that something else reads (an output, a metric), few words, more columns than the op
 * takes
 */
#include "compiler/pass/recognise/recognise_private.h"
#include "compiler/pass/walk.h"

#include <math.h>

enum { MOST_TERMS = 4, MOST_STEPS = 8 };

typedef struct term {
  int32_t x, w;   /* w: [V, D], or [D, V] where `across` */
  int32_t factor; /* of no axes; 0: none */
  double scale;
  bool across;
} term;

typedef struct head {
  const moire_graph *g;
  const int *uses;
  moire_dim words;
  term terms[MOST_TERMS];
  int n_terms;
  int32_t bias[MOST_TERMS]; /* [V] each */
  double bias_scale[MOST_TERMS];
  int n_bias;
  int32_t counts; /* bool[N]: which rows count; 0: all */
  int32_t targets;
} head;

static const moire__node *node_of(const head *h, int32_t value) { return moire__node_of(h->g, value); }
static const moire_shape *shape_of(const head *h, int32_t value) { return &h->g->values[value].shape; }

/* ---- scores ---------------------------------------------------------------------------------------------- */

static bool add_term(head *h, term t) {
  if (h->n_terms == MOST_TERMS || !isfinite(t.scale)) return false;
  h->terms[h->n_terms++] = t;
  return true;
}

static bool add_bias(head *h, int32_t bias, double scale) {
  if (h->n_bias == MOST_TERMS || !isfinite(scale)) return false;
  h->bias[h->n_bias] = bias;
  h->bias_scale[h->n_bias++] = scale;
  return true;
}

/* The value below broadcasts, if it has one element for each word, or one for all; else 0. */
static int32_t below_broadcasts(const head *h, int32_t value, moire_dim elements) {
  const moire__node *node = node_of(h, value);
  while (node->op == MOIRE__OP_broadcast || node->op == MOIRE__OP_reshape) {
    value = node->operands[0];
    node = node_of(h, value);
  }
  moire_dim n = 0;
  const moire_shape *shape = shape_of(h, value);
  bool fits = moire__shape_elements(shape, &n) && n == elements;
  return fits && (elements == 1 || shape->rank == 1) ? value : 0;
}

/* [V] repeated over rows; 0 if the value is anything else. */
static int32_t bias_of(const head *h, int32_t value) {
  const moire__node *node = node_of(h, value);
  if (node->op != MOIRE__OP_broadcast) return 0;
  const moire_shape *from = shape_of(h, node->operands[0]);
  if (from->rank < 1 || from->dims[from->rank - 1] != h->words) return 0;
  return below_broadcasts(h, value, h->words);
}

static bool read_linear(head *h, const moire__node *node, double scale, int32_t factor) {
  for (int i = 0; i < node->n_operands; i++) {
    if (h->g->values[node->operands[i]].dtype != MOIRE_F32) return false;
  }
  if (node->n_operands == 3 && (factor || !add_bias(h, node->operands[2], scale))) return false;
  return add_term(h, (term){.x = node->operands[0], .w = node->operands[1], .factor = factor, .scale = scale});
}

static bool is_swap(const moire__node *node) {
  int n = 0;
  const int64_t *axes = node->op == MOIRE__OP_permute ? moire__node_ints(node, "axes", &n) : NULL;
  return n == 2 && axes[0] == 1;
}

static bool read_matmul(head *h, const moire__node *node, double scale, int32_t factor) {
  if (node->n_attrs > 0 || shape_of(h, node->first_result)->rank != 2) return false;
  const moire__node *w = node_of(h, node->operands[1]);
  term t = {.x = node->operands[0], .w = node->operands[1], .factor = factor, .scale = scale, .across = true};
  if (is_swap(w)) {
    t.w = w->operands[0];
    t.across = false;
  }
  return add_term(h, t);
}

static bool read_scores(head *h, int32_t value, double scale, int32_t factor, int steps);

static bool read_product(head *h, const moire__node *node, double scale, int32_t factor, int steps) {
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
static bool read_scores(head *h, int32_t value, double scale, int32_t factor, int steps) {
  const moire__node *node = node_of(h, value);
  const moire_shape *shape = shape_of(h, value);
  if (steps == 0 || h->uses[value] != 1 || h->g->values[value].dtype != MOIRE_F32) return false;
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

static moire_dim width_of(const head *h, const term *t) {
  const moire_shape *w = shape_of(h, t->w);
  return w->dims[t->across ? 0 : 1];
}

static bool fits_op(const head *h) {
  moire_dim width = 0;
  for (int i = 0; i < h->n_terms; i++) {
    moire_dim own = width_of(h, &h->terms[i]);
    if (!moire__dim_is_static(own)) return false;
    width += own;
  }
  return h->n_terms > 0 && width > 0 && width <= MOIRE__HEAD_WIDEST;
}

/* ---- rows that count ------------------------------------------------------------------------------------- */

static bool is_read_outside(const head *h, int32_t value) {
  for (int i = 0; i < h->g->n_outputs; i++) {
    if (h->g->outputs[i].value == value) return true;
  }
  for (int i = 0; i < h->g->n_updates; i++) {
    if (h->g->updates[i].value == value) return true;
  }
  return false;
}

/* Does everything that comes of the rows' losses element by element end in where(counts, loss, ..)? */
static bool is_masked(const head *h, int32_t loss, int steps) {
  if (steps == 0 || is_read_outside(h, loss)) return false;
  for (int n = h->g->values[loss].node + 1; n < h->g->n_nodes; n++) {
    const moire__node *node = &h->g->nodes[n];
    for (int i = 0; i < node->n_operands; i++) {
      if (node->operands[i] != loss) continue;
      if (node->op == MOIRE__OP_where && i == 1 && node->operands[0] == h->counts) continue;
      if (moire__op_get(node->op)->op_class != MOIRE__CLASS_POINTWISE || node->op == MOIRE__OP_where)
        return false;
      if (!is_masked(h, node->first_result, steps - 1)) return false;
    }
  }
  return true;
}

static void read_targets(head *h, const moire__node *node) {
  h->targets = node->operands[1];
  const moire__node *targets = node_of(h, h->targets);
  double other = 0;
  if (targets->op != MOIRE__OP_where || !moire__recognise_number(h->g, targets->operands[2], &other)) return;
  h->counts = targets->operands[0];
  if (is_masked(h, node->first_result, MOST_STEPS))
    h->targets = targets->operands[1];
  else
    h->counts = 0;
}

static bool read_head(head *h, const moire__node *node) {
  if (node->op != MOIRE__OP_cross_entropy) return false;
  h->words = shape_of(h, node->operands[0])->dims[1];
  if (!moire__dim_is_static(h->words) || h->words < MOIRE__HEAD_FEWEST) return false;
  if (!read_scores(h, node->operands[0], 1, 0, MOST_STEPS) || !fits_op(h)) return false;
  read_targets(h, node);
  return true;
}

/* ---- the op ---------------------------------------------------------------------------------------------- */

static moire_value scaled(moire_value x, double scale) { return scale == 1 ? x : moire_scale(x, scale); }

static moire_value joined(moire_value *parts, int n) { return n == 1 ? parts[0] : moire_concat(parts, n, 1); }

static moire_value bias_value(const head *h, const moire__rewrite *r) {
  moire_value sum = {r->to, 0};
  for (int i = 0; i < h->n_bias; i++) {
    moire_value one = scaled(moire__rewrite_value(r, h->bias[i]), h->bias_scale[i]);
    sum = i ? moire_add(sum, one) : one;
  }
  return sum;
}

/* i32[N, 1]; below 0 where the row does not count. */
static moire_value ids_value(const head *h, const moire__rewrite *r, moire_dim rows) {
  moire_value ids = moire__rewrite_value(r, h->targets);
  if (h->counts)
    ids = moire_where(moire__rewrite_value(r, h->counts), ids,
                      moire_constant(r->to, MOIRE_I32, moire_value_shape(ids), -1));
  return moire_reshape(ids, MOIRE_SHAPE(rows, 1));
}

static moire_value emit(const head *h, const moire__rewrite *r, moire_dim rows) {
  moire_value x[MOST_TERMS], w[MOST_TERMS];
  for (int i = 0; i < h->n_terms; i++) {
    const term *t = &h->terms[i];
    x[i] = moire_reshape(moire__rewrite_value(r, t->x), MOIRE_SHAPE(rows, width_of(h, t)));
    if (t->factor) x[i] = moire_mul(x[i], moire_reshape(moire__rewrite_value(r, t->factor), MOIRE_SCALAR));
    x[i] = scaled(x[i], t->scale);
    w[i] = moire__rewrite_value(r, t->w);
    if (t->across) w[i] = moire_swap_axes(w[i], 0, 1);
  }
  moire_value operands[] = {joined(x, h->n_terms), joined(w, h->n_terms), ids_value(h, r, rows),
                            bias_value(h, r)};
  const moire__attr attrs[] = {moire__attr_make_real("temperature", 1),
                               moire__attr_make_int("ignores", h->counts != 0)};
  moire_value y =
      moire__graph_emit(r->to, MOIRE_HERE, MOIRE__OP_linear_log_softmax, operands, h->n_bias ? 4 : 3, attrs, 2);
  return moire_reshape(moire_neg(y), MOIRE_SHAPE(rows));
}

moire_graph *moire__pass_wide_loss(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  moire__arena arena = {0};
  const int *uses = moire__graph_count_uses(g, &arena);
  moire__rewrite r = moire__rewrite_begin(g);
  bool found = false;
  for (int n = 0; n < g->n_nodes; n++) {
    const moire__node *node = &g->nodes[n];
    head h = {.g = g, .uses = uses};
    if (!read_head(&h, node)) {
      moire__rewrite_clone(&r, node);
      continue;
    }
    found = true;
    moire__graph_pin(r.to, node);
    moire__rewrite_set(&r, node->first_result, emit(&h, &r, shape_of(&h, node->first_result)->dims[0]));
    moire__graph_unpin(r.to);
  }
  moire__arena_free(&arena);
  moire_graph *whole = moire__rewrite_finish(&r, error);
  if (!whole || !found) return whole;
  moire_graph *needed = moire__pass_dce(whole, goal, error);
  moire_graph_destroy(whole);
  return needed;
}
