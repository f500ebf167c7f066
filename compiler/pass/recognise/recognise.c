/* recognise: attention that is spelled in primitives becomes `attention`.
 *
 *   s = q k^H, a = |s|^2 scale + mask            or  a = q k^T scale + q' k'^T scale' + .. + mask,
 *                                                    where a mask may be filled into terms as well
 *   p = softmax(a), or dropout of it             y = p v, of a complex v as complex(p Re v, p Im v)
 *
 * |s|^2 is abs2(s), Re(s conj s) or Re(s)^2 + Im(s)^2; a sum of real products is one product of longer
 * vectors, so that a bias which is itself made of inner products stores nothing either. What a mask may be is
 * said in recognise_mask.c. Without the rule, every step of this writes a value for each pair of query and key.
 *
 * requires: the language's own form, so before demand; rows whole
 * ensures: the composite, with the same random mask; nothing is left behind that only the spelling needed
 * leaves alone: weights or scores that something else reads, other than four axes, other terms of the score
 */
#include "compiler/pass/recognise/recognise_private.h"
#include "compiler/pass/walk.h"

#include <math.h>
#include <string.h>

enum { MOST_PRODUCTS = 4 };

typedef struct product {
  int32_t value, left, right; /* left, right: matrices as they are multiplied */
  double scale;
} product;

typedef struct attention {
  const moire_graph *g;
  const int *uses;
  bool waves;
  product products[MOST_PRODUCTS];
  int n_products;
  moire__recognised_mask mask;
  const moire__node *softmax, *dropout; /* dropout: NULL: none */
  int32_t v[2];                         /* v[1]: 0 where v is real */
} attention;

static const moire__node *node_of(const attention *a, int32_t value) { return moire__node_of(a->g, value); }

static bool is_plain_product(const attention *a, int32_t value, moire_dtype dtype) {
  const moire__node *node = node_of(a, value);
  return node->op == MOIRE__OP_matmul && node->n_attrs == 0 && a->g->values[value].dtype == dtype &&
         a->g->values[value].shape.rank == 4;
}

/* ---- scores ---- */

/* x, of which the value is op(x) op(x); 0 if it is not that. */
static int32_t squared(const attention *a, int32_t value, moire__op op) {
  const moire__node *node = node_of(a, value);
  if (node->op != MOIRE__OP_mul) return 0;
  const moire__node *left = node_of(a, node->operands[0]), *right = node_of(a, node->operands[1]);
  return left->op == op && right->op == op && left->operands[0] == right->operands[0] ? left->operands[0] : 0;
}

/* s, of which the value is s conj(s); 0 if it is not that. */
static int32_t conjugate_square(const attention *a, const moire__node *node) {
  for (int i = 0; i < 2 && node->op == MOIRE__OP_mul; i++) {
    const moire__node *conjugate = node_of(a, node->operands[i]);
    if (conjugate->op == MOIRE__OP_conj && conjugate->operands[0] == node->operands[1 - i])
      return node->operands[1 - i];
  }
  return 0;
}

/* s, of which the value is |s|^2; 0 if it is not that. */
static int32_t square_of(const attention *a, int32_t value) {
  const moire__node *node = node_of(a, value);
  if (node->op == MOIRE__OP_abs2) return node->operands[0];
  if (node->op == MOIRE__OP_real) return conjugate_square(a, node_of(a, node->operands[0]));
  if (node->op != MOIRE__OP_add) return 0;
  for (int i = 0; i < 2; i++) {
    int32_t re = squared(a, node->operands[i], MOIRE__OP_real);
    if (re && re == squared(a, node->operands[1 - i], MOIRE__OP_imag)) return re;
  }
  return 0;
}

static bool add_product(attention *a, int32_t value, bool waves, double scale) {
  moire_dtype dtype = a->g->values[value].dtype;
  if (!is_plain_product(a, value, dtype) || (dtype != MOIRE_F32 && dtype != MOIRE_C64)) return false;
  if (a->n_products == MOST_PRODUCTS || !isfinite(scale)) return false;
  if (a->n_products > 0 && (a->waves || waves)) return false;
  const moire__node *node = node_of(a, value);
  a->waves = waves;
  a->products[a->n_products++] = (product){value, node->operands[0], node->operands[1], scale};
  return true;
}

/* A term of the scores: a product, its square, or the mask. */
static bool read_term(attention *a, int32_t value, double scale) {
  const moire__node *node = node_of(a, value);
  double factor = 0;
  if (moire__recognise_mask(a->g, value, &a->mask)) return scale == 1;
  if (scale > 0) {
    int32_t scores = moire__recognise_fill(a->g, value, &a->mask);
    if (scores) return (scale == 1 || a->mask.of_infinity) && read_term(a, scores, scale);
  }
  int32_t square = square_of(a, value);
  if (square && a->g->values[square].dtype == MOIRE_C64) return add_product(a, square, true, scale);
  if (node->op == MOIRE__OP_matmul)
    return a->g->values[value].dtype == MOIRE_F32 && add_product(a, value, false, scale);
  if (node->op == MOIRE__OP_div && moire__recognise_number(a->g, node->operands[1], &factor))
    return read_term(a, node->operands[0], scale / factor);
  for (int i = 0; i < 2 && node->op == MOIRE__OP_mul; i++) {
    if (moire__recognise_number(a->g, node->operands[i], &factor))
      return read_term(a, node->operands[1 - i], scale * factor);
  }
  if (node->op == MOIRE__OP_add)
    return read_term(a, node->operands[0], scale) && read_term(a, node->operands[1], scale);
  return false;
}

/* The weights: softmax or dropout of one, that `uses` nodes read. */
static bool read_weights(attention *a, int32_t value, int uses) {
  if (a->uses[value] != uses || a->g->values[value].shape.rank != 4) return false;
  const moire__node *node = node_of(a, value);
  if (node->op == MOIRE__OP_dropout) {
    if (moire__node_attr(node, "mask_shape") || a->uses[node->operands[0]] != 1) return false;
    a->dropout = node;
    node = node_of(a, node->operands[0]);
  }
  if (node->op != MOIRE__OP_softmax || a->uses[node->operands[0]] != 1) return false;
  a->mask.scores = a->g->values[value].shape;
  a->softmax = node;
  return read_term(a, node->operands[0], 1) && a->n_products > 0;
}

/* Is the node the last of an attention? */
static bool read_attention(attention *a, const moire__node *node) {
  if (node->op == MOIRE__OP_matmul && is_plain_product(a, node->first_result, MOIRE_F32)) {
    a->v[0] = node->operands[1];
    return read_weights(a, node->operands[0], 1);
  }
  if (node->op != MOIRE__OP_complex) return false;
  const moire__node *planes[2];
  for (int p = 0; p < 2; p++) {
    if (!is_plain_product(a, node->operands[p], MOIRE_F32) || a->uses[node->operands[p]] != 1) return false;
    planes[p] = node_of(a, node->operands[p]);
    a->v[p] = planes[p]->operands[1];
  }
  return planes[0]->operands[0] == planes[1]->operands[0] && read_weights(a, planes[0]->operands[0], 2);
}

/* ---- the composite ---- */

/* Does the permute exchange the last two axes and nothing else? */
static bool is_swap(const moire__node *node) {
  if (node->op != MOIRE__OP_permute) return false;
  int n = 0;
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  bool swap = n >= 2 && axes[n - 1] == n - 2 && axes[n - 2] == n - 1;
  for (int i = 0; i < n - 2; i++) swap = swap && axes[i] == i;
  return swap;
}

/* k, of which `right` is the transposed, conjugated if it is complex. */
static moire_value keys_of(const attention *a, const moire__rewrite *r, int32_t right) {
  const moire__node *outer = node_of(a, right);
  if (a->g->values[right].dtype != MOIRE_C64) {
    if (is_swap(outer)) return moire__rewrite_value(r, outer->operands[0]);
    return moire_swap_axes(moire__rewrite_value(r, right), -1, -2);
  }
  const moire__node *inner = outer->n_operands > 0 ? node_of(a, outer->operands[0]) : outer;
  bool hermitian =
      (outer->op == MOIRE__OP_conj && is_swap(inner)) || (is_swap(outer) && inner->op == MOIRE__OP_conj);
  if (hermitian) return moire__rewrite_value(r, inner->operands[0]);
  return moire_hermitian(moire__rewrite_value(r, right));
}

/* Several products as one, of vectors side by side; the scales go into q where they differ. */
static double join_products(const attention *a, const moire__rewrite *r, moire_value *q, moire_value *k) {
  moire_value left[MOST_PRODUCTS], right[MOST_PRODUCTS];
  double scale = a->products[0].scale;
  bool alike = true;
  for (int i = 0; i < a->n_products; i++) alike = alike && a->products[i].scale == scale;
  for (int i = 0; i < a->n_products; i++) {
    left[i] = moire__rewrite_value(r, a->products[i].left);
    if (!alike && a->products[i].scale != 1) left[i] = moire_scale(left[i], a->products[i].scale);
    right[i] = keys_of(a, r, a->products[i].right);
  }
  *q = a->n_products == 1 ? left[0] : moire_concat(left, a->n_products, 3);
  *k = a->n_products == 1 ? right[0] : moire_concat(right, a->n_products, 3);
  return alike ? scale : 1;
}

static moire_value values_of(const attention *a, const moire__rewrite *r) {
  if (!a->v[1]) return moire__rewrite_value(r, a->v[0]);
  return moire__join_planes(moire__rewrite_value(r, a->v[0]), moire__rewrite_value(r, a->v[1]));
}

/* The lines of what it is made of. */
static void credit(const attention *a, moire_graph *g, int32_t value) {
  for (int i = 0; i < a->n_products; i++) moire__graph_credit(g, value, node_of(a, a->products[i].value));
  moire__graph_credit(g, value, a->softmax);
  if (a->dropout) moire__graph_credit(g, value, a->dropout);
}

static moire_value emit(const attention *a, const moire__rewrite *r) {
  moire_value x[5] = {{0}};
  double scale = join_products(a, r, &x[0], &x[1]);
  x[2] = values_of(a, r);
  int n = 3;
  if (a->mask.valid) {
    moire_value keys = moire__rewrite_value(r, a->mask.valid);
    x[n++] = a->mask.is_blocked ? moire_not(keys) : keys;
  }
  if (a->dropout) x[n++] = moire__rewrite_value(r, a->dropout->operands[1]);
  moire__attr attrs[9] = {
      moire__attr_make_int("score", a->waves),
      moire__attr_make_real("scale", scale),
      moire__attr_make_real("mask_value", a->mask.value),
      moire__attr_make_int("causal", a->mask.causal),
      moire__attr_make_int("has_valid", a->mask.valid != 0),
      moire__attr_make_int("has_bias", 0),
      moire__attr_make_int("has_rng", a->dropout != NULL),
      moire__attr_make_real("dropout", a->dropout ? moire__node_real(a->dropout, "p") : 0),
  };
  int n_attrs = 8;
  if (a->dropout)
    attrs[n_attrs++] = moire__attr_make_int("stream", moire__node_int_or(a->dropout, "stream", 0));
  moire_value y = moire__graph_emit(r->to, MOIRE_HERE, MOIRE__OP_attention, x, n, attrs, n_attrs);
  moire__graph_name(y, a->waves ? "complex_attention" : "attention");
  credit(a, r->to, y.id);
  return y;
}

moire_graph *moire__pass_recognise(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  moire__arena arena = {0};
  const int *uses = moire__graph_count_uses(g, &arena);
  moire__rewrite r = moire__rewrite_begin(g);
  bool found = false;
  for (int n = 0; n < g->n_nodes; n++) {
    attention a = {.g = g, .uses = uses, .mask.value = -10000};
    if (!read_attention(&a, &g->nodes[n])) {
      moire__rewrite_clone(&r, &g->nodes[n]);
      continue;
    }
    found = true;
    moire__graph_pin(r.to, &g->nodes[n]);
    moire__rewrite_set(&r, g->nodes[n].first_result, emit(&a, &r));
    moire__graph_unpin(r.to);
  }
  moire__arena_free(&arena);
  moire_graph *whole = moire__rewrite_finish(&r, error);
  return found ? moire__pass_keep_needed(whole, goal, error) : whole;
}
