/* banks: filters along one sequence that are added up become one filter with the taps of all.
 *
 *   conv(x, v) + conv(x, w)             ->  conv(x, v above w)
 *   P(conv(x, v)) + P(conv(x, w)) + 0   ->  P(conv(x, v above w))      of one permutation P
 *   P(conv(Q(x), w))                    ->  conv(x, w)                 where permutations undo each other
 *
 * A sequence is then read once for all filters, and one result is written instead of one for each and their
 * sums. Systems whose convolutions want channels first turn the sequence around every filter; turned back it is
 * seen to be one sequence, by the rule and by those behind it.
 *
 * requires: slices still behind the filters, so before demand; planes are still apart, so before unite
 * ensures: the same values, but for rounding: taps are added up in another order
 * leaves alone: a sum or a filter that anything else reads, other element types than the first filter's,
 * filters of tokens, more than MOIRE__MOST_TAPS taps
 */
#include "compiler/pass/recognise/recognise_private.h"
#include "compiler/pass/walk.h"

#include <string.h>

enum { RANK = 3, MOST_FILTERS = 32 };

typedef struct axes {
  int of[RANK];
} axes;

/* A sum of filters, seen through `turn`. */
typedef struct bank {
  int32_t x, given; /* the sequence; `given`: the operand of the first filter, `turned` from it */
  axes turned, turn;
  int filters[MOST_FILTERS]; /* their nodes */
  int n_filters, n_taps;     /* 0: the value is none */
  bool rewritten;            /* it is more than one filter as it was written */
  bool taken;                /* another bank is written in its place */
} bank;

typedef struct finder {
  const moire_graph *g;
  const int *uses;
  bank **at; /* [values]; NULL: none */
  moire__arena *arena;
} finder;

static const axes straight = {{0, 1, 2}};

static bool equal(axes a, axes b) { return !memcmp(&a, &b, sizeof a); }

/* ---- finding ----------------------------------------------------------------------------------------------
 */

/* The axes of a permute of as many axes as sequences have; false if the node is none. */
static bool read_turn(const moire__node *node, axes *out) {
  int n = 0;
  const int64_t *given = node->op == MOIRE__OP_permute ? moire__node_ints(node, "axes", &n) : NULL;
  if (n != RANK) return false;
  for (int i = 0; i < RANK; i++) out->of[i] = (int)given[i];
  return true;
}

/* First `inner`, then `outer`. */
static axes composed(axes inner, axes outer) {
  axes both;
  for (int i = 0; i < RANK; i++) both.of[i] = inner.of[outer.of[i]];
  return both;
}

static bank *from_filter(const finder *f, int n) {
  const moire__node *node = &f->g->nodes[n];
  if (node->n_operands != 2 || moire__node_int_or(node, "reverse", 0)) return NULL;
  bank *b = moire__arena_alloc(f->arena, sizeof *b);
  *b = (bank){.x = node->operands[0],
              .given = node->operands[0],
              .turned = straight,
              .turn = straight,
              .filters = {n},
              .n_filters = 1};
  moire__node_ints(node, "shifts", &b->n_taps);
  axes turn;
  while (read_turn(moire__node_of(f->g, b->x), &turn)) {
    b->turned = composed(turn, b->turned);
    b->x = moire__node_of(f->g, b->x)->operands[0];
  }
  b->rewritten = b->x != b->given && equal(b->turned, straight);
  return b;
}

/* The bank that nothing but its one user reads. */
static bank *own(const finder *f, int32_t value) { return f->uses[value] == 1 ? f->at[value] : NULL; }

static bank *from_turn(const finder *f, const moire__node *node) {
  bank *inner = own(f, node->operands[0]);
  axes turn;
  if (!inner || !read_turn(node, &turn)) return NULL;
  bank *b = moire__arena_alloc(f->arena, sizeof *b);
  *b = *inner;
  b->turn = composed(inner->turn, turn);
  b->rewritten = inner->rewritten || !equal(inner->turn, straight);
  return b;
}

static bool fit(const finder *f, const bank *a, const bank *b) {
  const moire__node *first = &f->g->nodes[a->filters[0]], *second = &f->g->nodes[b->filters[0]];
  for (int i = 0; i < 2; i++) {
    if (f->g->values[first->operands[i]].dtype != f->g->values[second->operands[i]].dtype) return false;
  }
  return a->x == b->x && equal(a->turned, b->turned) && equal(a->turn, b->turn) &&
         a->n_filters + b->n_filters <= MOST_FILTERS && a->n_taps + b->n_taps <= MOIRE__MOST_TAPS;
}

static bool is_zero(const finder *f, int32_t value) {
  double number = 1;
  return moire__recognise_number(f->g, value, &number) && number == 0;
}

static bank *from_sum(const finder *f, const moire__node *node) {
  const bank *left = own(f, node->operands[0]), *right = own(f, node->operands[1]);
  bool zero = (left && is_zero(f, node->operands[1])) || (right && is_zero(f, node->operands[0]));
  if (!zero && !(left && right && fit(f, left, right))) return NULL;
  bank *b = moire__arena_alloc(f->arena, sizeof *b);
  *b = left ? *left : *right;
  b->rewritten = true;
  if (zero) return b;
  memcpy(b->filters + left->n_filters, right->filters, (size_t)right->n_filters * sizeof *right->filters);
  b->n_filters += right->n_filters;
  b->n_taps += right->n_taps;
  return b;
}

/* Of what is rewritten, the parts are not. */
static void take_parts(const finder *f) {
  for (int n = f->g->n_nodes - 1; n >= 0; n--) {
    const moire__node *node = &f->g->nodes[n];
    const bank *b = f->at[node->first_result];
    if (!b || !(b->rewritten || b->taken) || node->op == MOIRE__OP_depthwise_conv) continue;
    for (int i = 0; i < node->n_operands; i++) {
      bank *part = f->at[node->operands[i]];
      if (part) part->taken = true;
    }
  }
}

static bool find(finder *f) {
  bool found = false;
  for (int n = 0; n < f->g->n_nodes; n++) {
    const moire__node *node = &f->g->nodes[n];
    bank *b = NULL;
    if (node->op == MOIRE__OP_depthwise_conv) b = from_filter(f, n);
    if (node->op == MOIRE__OP_permute) b = from_turn(f, node);
    if (node->op == MOIRE__OP_add) b = from_sum(f, node);
    f->at[node->first_result] = b;
    found = found || (b && b->rewritten);
  }
  take_parts(f);
  return found;
}

/* ---- rewriting --------------------------------------------------------------------------------------------
 */

static moire_value emit(const moire__rewrite *r, const bank *b) {
  const moire_graph *g = r->from;
  moire_value weights[MOST_FILTERS];
  int64_t shifts[MOIRE__MOST_TAPS];
  int n_shifts = 0;
  for (int i = 0; i < b->n_filters; i++) {
    const moire__node *filter = &g->nodes[b->filters[i]];
    int n = 0;
    const int64_t *own_shifts = moire__node_ints(filter, "shifts", &n);
    memcpy(shifts + n_shifts, own_shifts, (size_t)n * sizeof *shifts);
    n_shifts += n;
    weights[i] = moire__rewrite_value(r, filter->operands[1]);
  }
  moire_value x[] = {moire__rewrite_value(r, equal(b->turned, straight) ? b->x : b->given),
                     b->n_filters > 1 ? moire_concat(weights, b->n_filters, 0) : weights[0]};
  moire__attr attr = moire__attr_make_ints("shifts", shifts, n_shifts);
  moire_value y = moire__graph_emit(r->to, MOIRE_HERE, MOIRE__OP_depthwise_conv, x, 2, &attr, 1);
  for (int i = 1; i < b->n_filters; i++) moire__graph_credit(r->to, y.id, &g->nodes[b->filters[i]]);
  return equal(b->turn, straight) ? y : moire_permute(y, RANK, b->turn.of);
}

moire_graph *moire__pass_banks(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  moire__arena arena = {0};
  finder f = {.g = g, .uses = moire__graph_count_uses(g, &arena), .arena = &arena};
  f.at = moire__arena_array(&arena, (size_t)g->n_values + 1, sizeof *f.at);
  bool found = find(&f);
  moire__rewrite r = moire__rewrite_begin(g);
  for (int n = 0; n < g->n_nodes; n++) {
    const bank *b = f.at[g->nodes[n].first_result];
    if (b && b->taken) continue;
    if (!b || !b->rewritten) {
      moire__rewrite_clone(&r, &g->nodes[n]);
      continue;
    }
    moire__graph_pin(r.to, &g->nodes[b->filters[0]]);
    moire__rewrite_set(&r, g->nodes[n].first_result, emit(&r, b));
    moire__graph_unpin(r.to);
  }
  moire__arena_free(&arena);
  moire_graph *whole = moire__rewrite_finish(&r, error);
  return found ? moire__pass_keep_needed(whole, goal, error) : whole;
}
