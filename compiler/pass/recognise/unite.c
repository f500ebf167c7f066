/* unite: complex products that are spelled by planes become complex ones.
 *
 *   linear(x, V, b) - linear(y, W, c)  and  linear(y, V, b) + linear(x, W, c)
 *     are the planes of  linear(x + iy, V + iW, b - c + i(b + c))
 *   p q - r s  and  p s + r q
 *     are the planes of  (p + ir)(q + is), and the imaginary and the real one of (r + ip)(q - is)
 *   w x  and  w y  of the same weights w, a softmax that nothing else reads
 *     are the planes of  w (x + iy)
 *   P(x) + iP(y), of one chain P of reshapes and permutations, is  P(x + iy)
 *
 * A complex product reads its operands once where four real ones read them twice, and attention by interference
 * is recognised from complex scores. Networks that keep their planes apart are written so in systems without
 * complex types.
 *
 * requires: the language's own form, so before recognise
 * ensures: the same values, but for rounding; the real products are left for dce
 * leaves alone: products that something else reads
 */
#include "compiler/ir/names.h"
#include "compiler/pass/recognise/recognise_private.h"
#include "compiler/pass/walk.h"

#include <string.h>

typedef struct product {
  moire__op op;
  int32_t left, right, bias; /* bias: 0 where there is none */
} product;

/* A sum or a difference of two products. */
typedef struct combination {
  int node;
  product first, second;
  int partner; /* of a difference: the index of the sum; -1: none, or it is a sum */
} combination;

typedef struct finder {
  const moire_graph *g;
  const int *uses;
  moire__arena *arena;
  combination *differences, *sums;
  int n_differences, n_sums, difference_capacity, sum_capacity;
  int32_t *same; /* [values]: the first value that is the same state, or permutation of the same; else itself */
  int *twin;     /* [nodes]: of the second product by weights that are used twice: the first; else -1 */
  int *leads;    /* [nodes]: of the first one: the second; else -1 */
} finder;

/* ---- finding ----------------------------------------------------------------------------------------------
 */

static bool equal_axes(const moire__node *a, const moire__node *b) {
  int n = 0, m = 0;
  const int64_t *x = moire__node_ints(a, "axes", &n), *y = moire__node_ints(b, "axes", &m);
  return n == m && !memcmp(x, y, (size_t)n * sizeof *x);
}

/* Weights are read, and permutations written, anew wherever they are needed. */
static void find_same(finder *f) {
  const moire_graph *g = f->g;
  size_t n_values = (size_t)g->n_values + 1, n_nodes = (size_t)g->n_nodes + 1;
  int *last = moire__arena_array(f->arena, n_values, sizeof *last);     /* 1 + permutation of the value */
  int *before = moire__arena_array(f->arena, n_nodes, sizeof *before);  /* the one before it */
  int32_t *read = moire__arena_array(f->arena, n_values, sizeof *read); /* states, in the order of `names` */
  moire__names names = {0};
  for (int32_t v = 0; v < g->n_values; v++) f->same[v] = v;
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (node->op == MOIRE__OP_state) {
      const char *name = moire__node_text(node, "name");
      int known = moire__names_find(&names, name);
      if (known >= 0) f->same[node->first_result] = read[known];
      if (known < 0) read[names.n] = node->first_result;
      if (known < 0) moire__names_add(&names, f->arena, name);
    }
    if (node->op != MOIRE__OP_permute) continue;
    int32_t x = f->same[node->operands[0]];
    int k = last[x];
    while (k && !equal_axes(&g->nodes[k - 1], node)) k = before[k - 1];
    if (k) f->same[node->first_result] = g->nodes[k - 1].first_result;
    if (k) continue;
    before[i] = last[x];
    last[x] = i + 1;
  }
}

static bool read_product(const finder *f, int32_t value, product *out) {
  const moire__node *node = moire__node_of(f->g, value);
  bool linear = node->op == MOIRE__OP_linear, matmul = node->op == MOIRE__OP_matmul;
  if ((!linear && !matmul) || node->n_attrs || f->uses[value] != 1) return false;
  *out = (product){node->op, f->same[node->operands[0]], f->same[node->operands[1]],
                   node->n_operands > 2 ? f->same[node->operands[2]] : 0};
  return f->g->values[value].dtype == MOIRE_F32 && f->g->values[out->left].dtype == MOIRE_F32 &&
         f->g->values[out->right].dtype == MOIRE_F32;
}

static bool read_combination(const finder *f, int n, combination *out) {
  const moire__node *node = &f->g->nodes[n];
  *out = (combination){.node = n, .partner = -1};
  return read_product(f, node->operands[0], &out->first) && read_product(f, node->operands[1], &out->second) &&
         out->first.op == out->second.op;
}

static bool is_product(const product *p, int32_t left, const product *like) {
  return p->left == left && p->right == like->right && p->bias == like->bias;
}

/* Is the sum made of what the difference is made of, with the left sides exchanged? */
static bool belong_together(const finder *f, const combination *d, const combination *s) {
  if (d->first.op != s->first.op) return false;
  const moire__value_info *a = &f->g->values[f->g->nodes[d->node].first_result];
  const moire__value_info *b = &f->g->values[f->g->nodes[s->node].first_result];
  if (!moire__shape_equal(&a->shape, &b->shape)) return false;
  const product *p = &d->first, *q = &d->second;
  return (is_product(&s->first, q->left, p) && is_product(&s->second, p->left, q)) ||
         (is_product(&s->second, q->left, p) && is_product(&s->first, p->left, q));
}

static void find_pairs(finder *f) {
  bool *taken = moire__arena_array(f->arena, (size_t)f->n_sums + 1, sizeof *taken);
  for (int i = 0; i < f->n_differences; i++) {
    for (int k = 0; k < f->n_sums && f->differences[i].partner < 0; k++) {
      if (taken[k] || !belong_together(f, &f->differences[i], &f->sums[k])) continue;
      f->differences[i].partner = k;
      taken[k] = true;
    }
  }
}

/* Weights of attention: a softmax, or dropout of one, that two nodes read. */
static bool are_weights(const finder *f, int32_t value) {
  const moire__node *node = moire__node_of(f->g, value);
  if (f->uses[value] != 2) return false;
  if (node->op == MOIRE__OP_dropout) node = moire__node_of(f->g, node->operands[0]);
  return node->op == MOIRE__OP_softmax;
}

/* Two products by the same weights, of values that are there before the first. */
static void find_twins(finder *f) {
  int *first_of = moire__arena_array(f->arena, (size_t)f->g->n_values, sizeof *first_of);
  for (int n = 0; n < f->g->n_nodes; n++) {
    const moire__node *node = &f->g->nodes[n];
    if (node->op != MOIRE__OP_matmul || node->n_attrs || f->g->values[node->first_result].dtype != MOIRE_F32)
      continue;
    int32_t weights = node->operands[0];
    if (node->operands[1] == weights || !are_weights(f, weights)) continue;
    int first = first_of[weights] - 1;
    if (first < 0) {
      first_of[weights] = n + 1;
      continue;
    }
    const moire__value_info *mine = &f->g->values[node->operands[1]];
    const moire__value_info *others = &f->g->values[f->g->nodes[first].operands[1]];
    if (mine->node >= first || !moire__shape_equal(&mine->shape, &others->shape)) continue;
    f->twin[n] = first;
    f->leads[first] = n;
  }
}

static void find(finder *f) {
  find_same(f);
  for (int n = 0; n < f->g->n_nodes; n++) {
    combination c;
    f->twin[n] = f->leads[n] = -1;
    const moire__node *node = &f->g->nodes[n];
    if (node->op == MOIRE__OP_sub && read_combination(f, n, &c))
      MOIRE__PUSH(f->arena, f->differences, f->n_differences, f->difference_capacity, c);
    if (node->op == MOIRE__OP_add && read_combination(f, n, &c))
      MOIRE__PUSH(f->arena, f->sums, f->n_sums, f->sum_capacity, c);
  }
  find_pairs(f);
  find_twins(f);
}

/* ---- rewriting --------------------------------------------------------------------------------------------
 */

static moire_value pair_of(const moire__rewrite *r, int32_t re, int32_t im) {
  return moire__join_planes(moire__rewrite_value(r, re), moire__rewrite_value(r, im));
}

/* b - c + i(b + c), either of which may be missing. */
static moire_value bias_of(const moire__rewrite *r, int32_t b, int32_t c) {
  moire_value v = moire__rewrite_value(r, b), w = moire__rewrite_value(r, c);
  if (!b && !c) return (moire_value){0};
  if (!c) return moire_complex(v, v);
  return b ? moire_complex(moire_sub(v, w), moire_add(v, w)) : moire_complex(moire_neg(w), w);
}

/* The matrix of which `value` has the last two axes exchanged; 0 if it has not. */
static int32_t turned(const moire_graph *g, int32_t value) {
  const moire__node *node = moire__node_of(g, value);
  if (node->op != MOIRE__OP_permute) return 0;
  int n = 0;
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  bool swap = n >= 2 && axes[n - 1] == n - 2 && axes[n - 2] == n - 1;
  for (int i = 0; i < n - 2; i++) swap = swap && axes[i] == i;
  return swap ? node->operands[0] : 0;
}

/* The conjugate of q + is, as a Hermitian transpose where both are turned. */
static moire_value conjugate_of(const moire__rewrite *r, int32_t q, int32_t s) {
  int32_t re = turned(r->from, q), im = turned(r->from, s);
  return re && im ? moire_hermitian(pair_of(r, re, im)) : moire_conj(pair_of(r, q, s));
}

/* Both planes, at the first of the two nodes; what comes first in the program is the real one. */
static void unite(moire__rewrite *r, const combination *d, const combination *s) {
  const product *p = &d->first, *q = &d->second;
  const moire_graph *g = r->from;
  int32_t difference = g->nodes[d->node].first_result, sum = g->nodes[s->node].first_result;
  bool linear = p->op == MOIRE__OP_linear, conjugate = !linear && s->node < d->node;
  moire__graph_pin(r->to, &g->nodes[d->node < s->node ? d->node : s->node]);
  moire_value z;
  if (linear)
    z = moire_linear(pair_of(r, p->left, q->left), pair_of(r, p->right, q->right),
                     bias_of(r, p->bias, q->bias));
  else if (conjugate)
    z = moire_matmul(pair_of(r, q->left, p->left), conjugate_of(r, p->right, q->right));
  else
    z = moire_matmul(pair_of(r, p->left, q->left), pair_of(r, p->right, q->right));
  moire__graph_name(z, linear ? "complex_linear" : "complex_matmul");
  moire__rewrite_set(r, difference, conjugate ? moire_imag(z) : moire_real(z));
  moire__rewrite_set(r, sum, conjugate ? moire_real(z) : moire_imag(z));
  moire__graph_unpin(r->to);
}

/* Both products by the weights, and their planes again. */
static void unite_values(moire__rewrite *r, const moire__node *first, const moire__node *second) {
  moire__graph_pin(r->to, first);
  moire_value w = moire__rewrite_value(r, first->operands[0]);
  moire_value z = moire_complex(moire_matmul(w, moire__rewrite_value(r, first->operands[1])),
                                moire_matmul(w, moire__rewrite_value(r, second->operands[1])));
  moire__rewrite_set(r, first->first_result, moire_real(z));
  moire__rewrite_set(r, second->first_result, moire_imag(z));
  moire__graph_unpin(r->to);
}

moire_graph *moire__pass_unite(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  moire__arena arena = {0};
  finder f = {.g = g, .uses = moire__graph_count_uses(g, &arena), .arena = &arena};
  f.twin = moire__arena_array(&arena, (size_t)g->n_nodes + 1, sizeof *f.twin);
  f.leads = moire__arena_array(&arena, (size_t)g->n_nodes + 1, sizeof *f.leads);
  f.same = moire__arena_array(&arena, (size_t)g->n_values + 1, sizeof *f.same);
  find(&f);
  const combination **at = moire__arena_array(&arena, (size_t)g->n_nodes + 1, sizeof *at);
  bool found = false;
  for (int i = 0; i < f.n_differences; i++) {
    const combination *d = &f.differences[i];
    if (d->partner < 0) continue;
    at[d->node] = at[f.sums[d->partner].node] = d;
    found = true;
  }
  moire__rewrite r = moire__rewrite_begin(g);
  for (int n = 0; n < g->n_nodes; n++) {
    const combination *d = at[n];
    if (d && !r.map[g->nodes[n].first_result]) {
      unite(&r, d, &f.sums[d->partner]);
    } else if (f.leads[n] >= 0) {
      unite_values(&r, &g->nodes[n], &g->nodes[f.leads[n]]);
      found = true;
    } else if (!d && f.twin[n] < 0) {
      moire__rewrite_clone(&r, &g->nodes[n]);
    }
  }
  moire__arena_free(&arena);
  moire_graph *whole = moire__rewrite_finish(&r, error);
  return found ? moire__pass_keep_needed(whole, goal, error) : whole;
}
