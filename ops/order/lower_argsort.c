/* argsort as a loop nest: a row is a piece.
 *
 * Few of many are kept in order in a list of their own: an element that comes before the last of the list is
 * put in its place, which seldom happens once the list is good. All of them are merged: runs of 1, 2, 4, ..
 * indices between two halves of a buffer. Both are stable, since an element moves only before what is strictly
 * behind it.
 */
#include "compiler/ir/loop/lower.h"
#include "ops/parts.h"

typedef moire__loop_value value;

enum { MOST_KEPT = 64, INDEX_BITS = 31 };

typedef struct sort {
  moire__lowering *l;
  moire__loop_builder *b; /* after moire__lower_body */
  moire__loop_buffer x, out, runs;
  moire__loop_type type;     /* of x */
  bool descending, may_lack; /* a named row may have fewer than are wanted */
  value n, count;            /* of the row, and of what is wanted of it */
  value first, first_out;    /* places of the row */
} sort;

static value number(sort *s, int64_t x) { return moire__loop_index(s->b, x); }
static value two(sort *s, moire__loop_op op, value x, value y) { return moire__loop_binary(s->b, op, x, y); }
static value add(sort *s, value x, value y) { return two(s, MOIRE__LOOP_add, x, y); }
static value less(sort *s, value x, value y) { return two(s, MOIRE__LOOP_lt, x, y); }
static value smaller(sort *s, value x, value y) { return two(s, MOIRE__LOOP_min, x, y); }
static value choose(sort *s, value c, value x, value y) {
  return moire__loop_ternary(s->b, MOIRE__LOOP_select, c, x, y);
}
static value element(sort *s, value index) { return moire__loop_load(s->b, s->x, add(s, s->first, index)); }
static value narrow(sort *s, value index) { return moire__loop_cast(s->b, index, MOIRE__LOOP_I32); }
static value wide(sort *s, value index) { return moire__loop_cast(s->b, index, MOIRE__LOOP_I64); }

/* Does x come strictly before y? A NaN is the largest. */
static value before(sort *s, value x, value y) {
  value low = s->descending ? y : x, high = s->descending ? x : y, below = less(s, low, high);
  if (!moire__loop_type_is_float(s->type)) return below;
  value low_is_number = two(s, MOIRE__LOOP_eq, low, low);
  value high_is_nan = moire__loop_unary(s->b, MOIRE__LOOP_not, two(s, MOIRE__LOOP_eq, high, high));
  return two(s, MOIRE__LOOP_or, below, two(s, MOIRE__LOOP_and, low_is_number, high_is_nan));
}

/* ---- few of many ----------------------------------------------------------------------------------------- */

static void select_few(sort *s, moire__loop_buffer values, moire__loop_buffer indices) {
  moire__loop_builder *b = s->b;
  value zero = number(s, 0), one = number(s, 1);
  if (s->may_lack) {
    value k = moire__loop_for(b, zero, s->count, 1, 1);
    moire__loop_store(b, indices, k, moire__loop_const(b, MOIRE__LOOP_I32, -1));
    moire__loop_end(b);
  }
  moire__loop_store(b, values, zero, moire__loop_const(b, s->type, 0));
  value i = moire__loop_for(b, zero, s->n, 1, 1), x = element(s, i);
  value last = two(s, MOIRE__LOOP_sub, smaller(s, add(s, i, one), s->count), one); /* after it is put in */
  value worst = moire__loop_load(b, values, last);
  moire__loop_if(b, two(s, MOIRE__LOOP_or, less(s, i, s->count), before(s, x, worst)));
  moire__loop_var to = moire__loop_declare(b, last);
  value back = moire__loop_for(b, zero, last, 1, 1);
  value above = two(s, MOIRE__LOOP_sub, two(s, MOIRE__LOOP_sub, last, one), back);
  value there = moire__loop_load(b, values, above);
  moire__loop_if(b, before(s, x, there));
  moire__loop_store(b, values, add(s, above, one), there);
  moire__loop_store(b, indices, add(s, above, one), moire__loop_load(b, indices, above));
  moire__loop_set(b, to, above);
  moire__loop_end(b);
  moire__loop_end(b);
  moire__loop_store(b, values, moire__loop_get(b, to), x);
  moire__loop_store(b, indices, moire__loop_get(b, to), narrow(s, i));
  moire__loop_end(b);
  moire__loop_end(b);
  value k = moire__loop_for(b, zero, s->count, 1, 1);
  moire__loop_store(b, s->out, add(s, s->first_out, k), moire__loop_load(b, indices, k));
  moire__loop_end(b);
}

/* ---- all of them ----------------------------------------------------------------------------------------- */

/* Merges the runs [low, middle) and [middle, high) of indices at `from` into those at `to`. */
static void merge(sort *s, value from, value to, value low, value middle, value high) {
  moire__loop_builder *b = s->b;
  value one = number(s, 1), zero = number(s, 0);
  moire__loop_var left = moire__loop_declare(b, low), right = moire__loop_declare(b, middle);
  value o = moire__loop_for(b, low, high, 1, 1), i = moire__loop_get(b, left), j = moire__loop_get(b, right);
  value i_there = smaller(s, i, two(s, MOIRE__LOOP_sub, middle, one));
  value j_there = smaller(s, j, two(s, MOIRE__LOOP_sub, high, one));
  value p = moire__loop_load(b, s->runs, add(s, from, i_there));
  value q = moire__loop_load(b, s->runs, add(s, from, j_there));
  value goes_first = before(s, element(s, wide(s, q)), element(s, wide(s, p)));
  value none_left = moire__loop_unary(b, MOIRE__LOOP_not, less(s, i, middle));
  value take_right = two(s, MOIRE__LOOP_and, less(s, j, high), two(s, MOIRE__LOOP_or, none_left, goes_first));
  moire__loop_store(b, s->runs, add(s, to, o), choose(s, take_right, q, p));
  moire__loop_set(b, left, add(s, i, choose(s, take_right, zero, one)));
  moire__loop_set(b, right, add(s, j, choose(s, take_right, one, zero)));
  moire__loop_end(b);
}

/* Runs are twice as long after each pass, and change halves. */
static void merge_all(sort *s, moire_dim n) {
  moire__loop_builder *b = s->b;
  int passes = INDEX_BITS;
  if (moire__dim_is_static(n))
    for (passes = 0; ((int64_t)1 << passes) < n;) passes++;
  value zero = number(s, 0), one = number(s, 1), both = two(s, MOIRE__LOOP_mul, s->n, number(s, 2));
  value base = two(s, MOIRE__LOOP_mul, s->l->kernel->parallel, both);
  value i = moire__loop_for(b, zero, s->n, 1, s->l->target.lanes);
  moire__loop_store(b, s->runs, add(s, base, i), narrow(s, i));
  moire__loop_end(b);
  moire__loop_var run = moire__loop_declare(b, one), half = moire__loop_declare(b, zero);
  moire__loop_for(b, zero, number(s, passes), 1, 1);
  value length = moire__loop_get(b, run), now = moire__loop_get(b, half);
  moire__loop_if(b, less(s, length, s->n));
  value next = two(s, MOIRE__LOOP_sub, one, now), pair = add(s, length, length);
  value from = add(s, base, two(s, MOIRE__LOOP_mul, now, s->n));
  value to = add(s, base, two(s, MOIRE__LOOP_mul, next, s->n));
  value pairs = two(s, MOIRE__LOOP_div, two(s, MOIRE__LOOP_sub, add(s, s->n, pair), one), pair);
  value p = moire__loop_for(b, zero, pairs, 1, 1), low = two(s, MOIRE__LOOP_mul, p, pair);
  merge(s, from, to, low, smaller(s, add(s, low, length), s->n), smaller(s, add(s, low, pair), s->n));
  moire__loop_end(b);
  moire__loop_set(b, run, pair);
  moire__loop_set(b, half, next);
  moire__loop_end(b);
  moire__loop_end(b);
  value found = add(s, base, two(s, MOIRE__LOOP_mul, moire__loop_get(b, half), s->n));
  value there = s->may_lack ? smaller(s, s->count, s->n) : s->count;
  value k = moire__loop_for(b, zero, there, 1, s->l->target.lanes);
  moire__loop_store(b, s->out, add(s, s->first_out, k), moire__loop_load(b, s->runs, add(s, found, k)));
  moire__loop_end(b);
  if (!s->may_lack) return;
  k = moire__loop_for(b, there, s->count, 1, 1);
  moire__loop_store(b, s->out, add(s, s->first_out, k), moire__loop_const(b, MOIRE__LOOP_I32, -1));
  moire__loop_end(b);
}

/* ---- the kernel ------------------------------------------------------------------------------------------ */

void moire__argsort_lower(moire__lowering *l) {
  const moire__node *node = l->node;
  const moire_shape *shape = &l->g->values[node->operands[0]].shape;
  moire_dim n = shape->dims[shape->rank - 1], rows = 1, elements = 0;
  moire_dim count = l->g->values[node->first_result].shape.dims[shape->rank - 1];
  for (int d = 0; d < shape->rank - 1; d++) moire__dim_multiply(rows, shape->dims[d], &rows);
  moire__dim_multiply(rows, n, &elements);
  moire__lower_add_reads_of(l, node);
  sort s = {.l = l, .b = &l->builder, .descending = moire__node_int(node, "descending") != 0};
  s.type = moire__loop_type_from_dtype(l->g->values[node->operands[0]].dtype);
  s.out = moire__lower_add_write(l, node->first_result);
  bool named = !moire__dim_is_static(n);
  s.may_lack = named && moire__dim_is_static(count);
  bool few = moire__dim_is_static(count) && count <= MOST_KEPT && (named || count * 4 <= n);
  moire__loop_buffer values = 0, indices = 0;
  if (!few) {
    moire__dim_multiply(elements, 2, &elements);
    s.runs = moire__lower_add_extra(l, moire__lower_new_extra_of(l, MOIRE_I32, elements), MOIRE__BUFFER_OUT);
  } else if (count) {
    values = moire__loop_add_local(l->kernel, "best", s.type, count);
    indices = moire__loop_add_local(l->kernel, "places", MOIRE__LOOP_I32, count);
  }
  s.x = moire__lower_buffer(l, moire__lower_view(l, node->operands[0]).base);
  moire__lower_body(l, rows, 1);
  s.n = moire__loop_extent(s.b, n);
  s.count = moire__loop_extent(s.b, count);
  s.first = two(&s, MOIRE__LOOP_mul, l->kernel->parallel, s.n);
  s.first_out = two(&s, MOIRE__LOOP_mul, l->kernel->parallel, s.count);
  if (!few)
    merge_all(&s, n);
  else if (count)
    select_few(&s, values, indices);
  moire__lower_finish(l);
}
