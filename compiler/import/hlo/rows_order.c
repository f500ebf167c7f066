/* Rows of the table: sorting by a comparison, and the largest of an axis.
 *
 * A comparison is taken where it says f(a) < f(b), or >, of the two of one operand: f is built for all elements
 * at once, and is what is sorted by.
 */
#include "compiler/import/hlo/rows.h"

#include <string.h>

enum { MOST_OPERANDS = 16, DEEPEST = 32 };

static const moire__hlo_op *maker_of(const moire__hlo_region *r, int value) {
  for (int i = 0; i < r->n_ops; i++) {
    const moire__hlo_op *op = &r->ops[i];
    if (value >= op->first_result && value < op->first_result + op->n_results) return op;
  }
  return NULL;
}

static bool same_attributes(const moire__hlo_op *a, const moire__hlo_op *b) {
  bool same = a->n_attributes == b->n_attributes && !a->literal == !b->literal;
  for (int i = 0; i < a->n_attributes && same; i++) {
    const moire__argument *x = &a->attributes[i].argument, *y = &b->attributes[i].argument;
    same = !strcmp(a->attributes[i].name, b->attributes[i].name) && x->kind == y->kind && x->real == y->real &&
           !strcmp(x->text ? x->text : "", y->text ? y->text : "") && x->kind != MOIRE__ARGUMENT_LIST;
  }
  if (!same || !a->literal) return same;
  const moire__hlo_literal *x = a->literal, *y = b->literal;
  return x->count == 1 && y->count == 1 && !strcmp(x->type->text, y->type->text) &&
         !memcmp(x->re, y->re, sizeof *x->re);
}

/* Is the value b the same function of the argument `second` as a is of `first`? */
static bool mirrors(const moire__hlo_region *r, int a, int b, int first, int second, int depth) {
  if (a == first || b == second) return a == first && b == second;
  const moire__hlo_op *x = maker_of(r, a), *y = maker_of(r, b);
  if (!x || !y || depth > DEEPEST || strcmp(x->name, y->name) != 0 || x->n_operands != y->n_operands ||
      x->n_regions || y->n_regions || x->n_results != 1 || y->n_results != 1 || !same_attributes(x, y))
    return false;
  for (int i = 0; i < x->n_operands; i++) {
    if (!mirrors(r, x->operands[i], y->operands[i], first, second, depth + 1)) return false;
  }
  return true;
}

/* The operand that is compared, and the value that is its key; -1: it is no such comparison. */
static int compared(const moire__hlo_region *r, int *key, bool *descending) {
  const moire__hlo_op *end = r->n_ops ? &r->ops[r->n_ops - 1] : NULL;
  if (!end || strcmp(end->name, "return") != 0 || end->n_operands != 1) return -1;
  const moire__hlo_op *op = maker_of(r, end->operands[0]);
  if (!op || strcmp(op->name, "stablehlo.compare") != 0 || op->n_operands != 2) return -1;
  const moire__argument *word = moire__hlo_word(op);
  bool less = word && (!strcmp(word->text, "LT") || !strcmp(word->text, "LE")),
       greater = word && (!strcmp(word->text, "GT") || !strcmp(word->text, "GE"));
  if (!less && !greater) return -1;
  for (int i = 0; 2 * i + 1 < r->n_arguments; i++) {
    for (int swapped = 0; swapped < 2; swapped++) {
      int first = r->arguments[2 * i + swapped], second = r->arguments[2 * i + !swapped];
      if (!mirrors(r, op->operands[0], op->operands[1], first, second, 0)) continue;
      *key = op->operands[swapped];
      *descending = greater != (swapped == 1);
      return i;
    }
  }
  return -1;
}

/* The key of all elements: the body built as far as it makes it. */
static moire_value key_of(moire__hlo_call *c, const moire__hlo_region *r, int operand, int key, moire_value x) {
  moire__hlo_region part = *r;
  moire__hlo_op end = r->ops[r->n_ops - 1];
  moire__hlo_op *ops = moire__arena_array(c->call.arena, (size_t)r->n_ops, sizeof *ops);
  memcpy(ops, r->ops, (size_t)r->n_ops * sizeof *ops);
  end.operands = moire__arena_alloc(c->call.arena, sizeof *end.operands);
  end.operands[0] = key;
  ops[r->n_ops - 1] = end;
  part.ops = ops;
  moire_value *arguments = moire__arena_array(c->call.arena, (size_t)r->n_arguments, sizeof *arguments), y;
  for (int i = 0; i < r->n_arguments; i++) arguments[i] = moire__hlo_operand(c, i / 2);
  if (r->arguments[2 * operand] == key || r->arguments[2 * operand + 1] == key) return x;
  if (!moire__hlo_run_elementwise(c, &part, arguments, r->n_arguments, &y, 1)) return moire__null(&c->call);
  return moire_broadcast_at(c->call.at, y, moire_value_shape(x));
}

static void sort(moire__hlo_call *c) {
  int n = c->n_operands, key = 0;
  bool descending = false;
  moire_value first = moire__hlo_operand(c, 0), results[MOST_OPERANDS];
  int rank = moire_value_is_null(first) ? 0 : moire_value_shape(first).rank;
  int axis = moire__import_axis(&c->call, moire__integer_or(&c->call, "dimension", -1), rank);
  moire__pass_over(&c->call, "is_stable"); /* it always is */
  const moire__hlo_region *r = c->op->n_regions == 1 ? &c->op->regions[0] : NULL;
  int operand = r && n <= MOST_OPERANDS && r->n_arguments == 2 * n ? compared(r, &key, &descending) : -1;
  if (operand < 0)
    moire__refuse(&c->call, "by this comparison is not imported; by f(a) < f(b) of one operand it is");
  if (c->call.why || !rank) return;
  moire_value x = moire__need_real(&c->call, moire__hlo_operand(c, operand));
  moire_value keys = key_of(c, r, operand, key, x);
  if (moire_value_is_null(keys)) return;
  if (moire_value_dtype(keys) == MOIRE_BOOL) keys = moire_cast_at(c->call.at, keys, MOIRE_I32);
  moire_sorted sorted = moire_sort_at(c->call.at, keys, axis, descending);
  for (int i = 0; i < n; i++)
    results[i] = moire_take_along_at(c->call.at, moire__hlo_operand(c, i), sorted.indices, axis);
  if (n == 1)
    moire__give(&c->call, results[0]);
  else
    moire__give_list(&c->call, results, n);
}

static void top_k(moire__hlo_call *c) {
  moire_value x = moire__need_real(&c->call, moire__hlo_operand(c, 0));
  int64_t k = moire__integer(&c->call, "k");
  bool largest = moire__bool_or(&c->call, "largest", true);
  if (moire_value_is_null(x) || !moire_value_shape(x).rank)
    moire__refuse(&c->call, "wanted a tensor with axes");
  if (c->call.why) return;
  moire_sorted sorted = moire_top_k_at(c->call.at, x, k, -1, largest);
  moire_value both[2] = {sorted.values, sorted.indices};
  moire__give_list(&c->call, both, 2);
}

const moire__hlo_row moire__hlo_rows_order[] = {{"stablehlo.sort", sort}, {"chlo.top_k", top_k}, {NULL, NULL}};
