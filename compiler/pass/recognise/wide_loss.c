/* wide_loss: scores of many words that only losses read are never stored.
 *
 *   a = x w^T + bias
 *   cross_entropy(a, t)                      ->  -linear_log_softmax(x, w, t, bias)
 *   take_rows(log_softmax(a / tau), ids)     ->  linear_log_softmax at another temperature
 *   both                                     ->  one op of two softmaxes, which reads the scores once
 *
 * Scores may be a sum of products, which is one product of longer vectors, and may be scaled by numbers and by
 * values without axes (wide_loss_scores.c); reshapes that keep the words may stand anywhere between. Where the
 * targets are where(counts, t, 0) and everything that reads a loss leaves out the rows that do not count, by
 * where or by a product with them as numbers, these rows are not computed at all (wide_loss_readers.c).
 *
 * requires: the language's own form, so before expand; slices moved up (demand)
 * ensures: the logits are no value of the graph any more
 * leaves alone: scores that something else reads (an output, a metric, all words of a softmax), few words, more
 * columns than the op takes
 */
#include "compiler/pass/recognise/wide_loss_private.h"

/* ---- recognising ----------------------------------------------------------------------------------------- */

/* The scores that the node reads, from which all their readers are found; 0 if it is no reader. */
static int32_t scores_of(moire__wide_loss *h, const moire__node *node) {
  if (node->op != MOIRE__OP_cross_entropy && node->op != MOIRE__OP_take_rows) return 0;
  int32_t value = node->operands[0];
  if (node->op == MOIRE__OP_take_rows) {
    const moire__node *softmax = moire__wide_node(h, value);
    if (softmax->op != MOIRE__OP_log_softmax) return 0;
    value = softmax->operands[0];
  }
  const moire_shape *shape = moire__wide_shape(h, value);
  h->words = shape->rank >= 1 ? shape->dims[shape->rank - 1] : 0;
  if (!moire__dim_is_static(h->words) || h->words < MOIRE__HEAD_FEWEST) return 0;
  double scale = 1;
  int32_t below = 0;
  while (moire__wide_passes(h, moire__wide_node(h, value), &below, &scale)) value = below;
  return value;
}

static bool read_loss(moire__wide_loss *h, const moire__node *node) {
  int32_t scores = scores_of(h, node);
  return scores && moire__wide_read_scores(h, scores) && moire__wide_read_readers(h, scores);
}

/* ---- the op ---------------------------------------------------------------------------------------------- */

static moire_value scaled(moire_value x, double scale) { return scale == 1 ? x : moire_scale(x, scale); }

static moire_value joined(moire_value *parts, int n) { return n == 1 ? parts[0] : moire_concat(parts, n, 1); }

static moire_value bias_value(const moire__wide_loss *h, const moire__rewrite *r) {
  moire_value sum = {r->to, 0};
  for (int i = 0; i < h->n_bias; i++) {
    moire_value one = scaled(moire__rewrite_value(r, h->bias[i]), h->bias_scale[i]);
    sum = i ? moire_add(sum, one) : one;
  }
  return sum;
}

static int64_t ids_of(const moire__wide_loss *h, const moire__wide_reader *reader) {
  const moire_shape *shape = moire__wide_shape(h, reader->ids);
  return reader->node->op == MOIRE__OP_cross_entropy ? 1 : shape->dims[shape->rank - 1];
}

/* i32[N, K]; below 0 where the row does not count. */
static moire_value ids_value(const moire__wide_loss *h, const moire__rewrite *r,
                             const moire__wide_reader *reader, moire_dim rows) {
  moire_shape shape = MOIRE_SHAPE(rows, ids_of(h, reader));
  moire_value ids = moire_reshape(moire__rewrite_value(r, reader->ids), shape);
  if (!h->counts || !reader->masked) return ids;
  moire_value counts = moire_reshape(moire__rewrite_value(r, h->counts), MOIRE_SHAPE(rows, 1));
  return moire_where(moire_broadcast(counts, shape), ids, moire_constant(r->to, MOIRE_I32, shape, -1));
}

static moire_value emit_op(const moire__wide_loss *h, const moire__rewrite *r, moire_dim rows) {
  moire_value x[MOIRE__WIDE_TERMS], w[MOIRE__WIDE_TERMS], ids[MOIRE__WIDE_READERS];
  for (int i = 0; i < h->n_terms; i++) {
    const moire__wide_term *t = &h->terms[i];
    x[i] = moire_reshape(moire__rewrite_value(r, t->x), MOIRE_SHAPE(rows, moire__wide_width(h, t)));
    if (t->factor) x[i] = moire_mul(x[i], moire_reshape(moire__rewrite_value(r, t->factor), MOIRE_SCALAR));
    x[i] = scaled(x[i], t->scale);
    w[i] = moire__rewrite_value(r, t->w);
    if (t->across) w[i] = moire_swap_axes(w[i], 0, 1);
  }
  for (int i = 0; i < h->n_readers; i++) ids[i] = ids_value(h, r, &h->readers[i], rows);
  moire_value operands[] = {joined(x, h->n_terms), joined(w, h->n_terms), joined(ids, h->n_readers),
                            bias_value(h, r)};
  moire__attr attrs[4] = {moire__attr_make_real("temperature", 1 / h->readers[0].scale),
                          moire__attr_make_int("ignores", h->counts != 0)};
  if (h->n_readers > 1) {
    attrs[2] = moire__attr_make_real("second_temperature", 1 / h->readers[1].scale);
    attrs[3] = moire__attr_make_int("first", ids_of(h, &h->readers[0]));
  }
  return moire__graph_emit(r->to, MOIRE_HERE, MOIRE__OP_linear_log_softmax, operands, h->n_bias ? 4 : 3, attrs,
                           h->n_readers > 1 ? 4 : 2);
}

/* What stands behind the first reader and is an operand of the op is put before it. */
static void bring(moire__rewrite *r, int32_t value) {
  if (r->map[value]) return;
  const moire__node *node = moire__node_of(r->from, value);
  for (int i = 0; i < node->n_operands; i++) bring(r, node->operands[i]);
  moire__rewrite_clone(r, node);
}

static bool depends_on(const moire_graph *g, int32_t value, int32_t on, bool *seen) {
  if (value == on) return true;
  if (value < on || seen[value]) return false;
  seen[value] = true;
  const moire__node *node = moire__node_of(g, value);
  for (int i = 0; i < node->n_operands; i++) {
    if (depends_on(g, node->operands[i], on, seen)) return true;
  }
  return false;
}

/* Ids that are made of a loss cannot be known before it. */
static bool are_ids_known(const moire__wide_loss *h, moire__arena *arena) {
  for (int i = 0; i < h->n_readers; i++) {
    for (int j = 0; j < h->n_readers; j++) {
      bool *seen = moire__arena_array(arena, (size_t)h->g->n_values, sizeof *seen);
      if (depends_on(h->g, h->readers[i].ids, h->readers[j].node->first_result, seen)) return false;
    }
  }
  return true;
}

static void rewrite(const moire__wide_loss *h, moire__rewrite *r, const moire__node *at) {
  const moire__node *first = h->readers[0].node;
  moire_dim rows = 0;
  if (h->counts) bring(r, h->counts);
  for (int i = 0; i < h->n_readers; i++) bring(r, h->readers[i].ids);
  moire_shape lead = *moire__wide_shape(h, first->operands[first->op == MOIRE__OP_cross_entropy ? 1 : 0]);
  if (first->op != MOIRE__OP_cross_entropy) lead.rank--;
  moire__shape_elements(&lead, &rows);
  moire__graph_pin(r->to, at);
  moire_value y = emit_op(h, r, rows);
  int64_t from = 0;
  for (int i = 0; i < h->n_readers; i++) {
    const moire__node *node = h->readers[i].node;
    int64_t n = ids_of(h, &h->readers[i]);
    moire_value part = h->n_readers == 1 ? y : moire_slice(y, 1, from, n);
    if (node->op == MOIRE__OP_cross_entropy) part = moire_neg(part);
    moire__rewrite_set(r, node->first_result, moire_reshape(part, *moire__wide_shape(h, node->first_result)));
    from += n;
  }
  moire__graph_unpin(r->to);
}

moire_graph *moire__pass_wide_loss(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  moire__arena arena = {0};
  const int *uses = moire__graph_count_uses(g, &arena);
  moire__rewrite r = moire__rewrite_begin(g);
  bool found = false;
  for (int n = 0; n < g->n_nodes; n++) {
    const moire__node *node = &g->nodes[n];
    if (node->n_results && r.map[node->first_result]) continue; /* a later reader, or what was brought */
    moire__wide_loss h = {.g = g, .uses = uses};
    if (read_loss(&h, node) && are_ids_known(&h, &arena)) {
      found = true;
      rewrite(&h, &r, node);
    } else {
      moire__rewrite_clone(&r, node);
    }
  }
  moire__arena_free(&arena);
  moire_graph *whole = moire__rewrite_finish(&r, error);
  return found ? moire__pass_keep_needed(whole, goal, error) : whole;
}
