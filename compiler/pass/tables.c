/* tables: a linear map of rows that are looked up is made of the tables, which are shorter.
 *
 *   linear(concat(T1[i1], T2[i2], ..), [W1 W2 ..], b)  ->  linear(T1, W1)[i1] + linear(T2, W2)[i2] + .. + b
 *   linear(T1[i1] + T2[i2] + .. + v, W, b)             ->  U[i1] + U[n1 + i2] + .. + (v W^T + b),
 *                                                           U = linear of the tables one behind the other
 *
 * T[i] is a gather, v a vector in every row. A table of n rows is mapped instead of as many rows as are looked
 * up; the gradient is summed up by row of the table before it is multiplied. What the first rule writes, the
 * second may read.
 *
 * requires: the language's own form, so before expand; slices moved up (demand)
 * leaves alone: tables that together are more than a quarter of the rows, as far as the rows' number is known;
 * few outputs, where the look-ups are the work; gathers whose gradient leaves out a row; other types than f32
 */
#include "compiler/pass/walk.h"

#include <string.h>

enum { MOST_TERMS = 16, FEWEST_OUTPUTS = 32, SHARE = 4 };

typedef struct terms {
  int32_t table[MOST_TERMS], rows[MOST_TERMS]; /* values of the new graph */
  int n;
  int32_t vectors[MOST_TERMS];
  int n_vectors;
  int64_t table_rows; /* of all tables */
} terms;

static const moire_shape *shape_of(const moire_graph *g, int32_t value) { return &g->values[value].shape; }

static bool read_gather(const moire_graph *g, const moire__node *node, terms *t) {
  const moire_shape *table = shape_of(g, node->operands[0]);
  if (node->op != MOIRE__OP_gather || t->n == MOST_TERMS || table->rank != 2) return false;
  if (g->values[node->operands[0]].dtype != MOIRE_F32 || moire__node_int_or(node, "padding", -1) >= 0)
    return false;
  if (!moire__dim_is_static(table->dims[1])) return false;
  t->table[t->n] = node->operands[0];
  t->rows[t->n++] = node->operands[1];
  t->table_rows += table->dims[0];
  return true;
}

/* A sum of look-ups and vectors. */
static bool read_sum(const moire_graph *g, int32_t value, terms *t) {
  const moire__node *node = moire__node_of(g, value);
  if (node->op == MOIRE__OP_gather) return read_gather(g, node, t);
  if (node->op == MOIRE__OP_add) return read_sum(g, node->operands[0], t) && read_sum(g, node->operands[1], t);
  if (node->op != MOIRE__OP_broadcast || t->n_vectors == MOST_TERMS) return false;
  const moire_shape *from = shape_of(g, node->operands[0]), *to = shape_of(g, value);
  if (from->rank != 1 || from->dims[0] != to->dims[to->rank - 1]) return false;
  t->vectors[t->n_vectors++] = node->operands[0];
  return true;
}

/* Look-ups side by side. */
static bool read_columns(const moire_graph *g, const moire__node *node, terms *t) {
  int rank = shape_of(g, node->first_result)->rank;
  if (node->op != MOIRE__OP_concat || moire__node_int(node, "axis") != rank - 1) return false;
  for (int i = 0; i < node->n_operands; i++)
    if (!read_gather(g, moire__node_of(g, node->operands[i]), t)) return false;
  return true;
}

/* Are the tables short beside what is looked up? */
static bool pays(const terms *t, const moire_shape *x) {
  int64_t rows = 1;
  for (int i = 0; i < x->rank - 1; i++) rows *= moire__dim_factor(x->dims[i]);
  return t->n > 0 && t->table_rows <= rows / SHARE;
}

static moire_value value_of(const moire__rewrite *r, int32_t value) { return (moire_value){r->to, value}; }

static moire_value added(moire_value sum, moire_value term) { return sum.id ? moire_add(sum, term) : term; }

static moire_value map_columns(const moire__rewrite *r, const terms *t, moire_value weight) {
  moire_value sum = {r->to, 0};
  int64_t from = 0;
  for (int i = 0; i < t->n; i++) {
    moire_value table = value_of(r, t->table[i]), none = {r->to, 0};
    int64_t width = moire_value_dim(table, 1);
    moire_value mapped = moire_linear(table, moire_slice(weight, 1, from, width), none);
    sum = added(sum, moire_gather(mapped, value_of(r, t->rows[i])));
    from += width;
  }
  return sum;
}

static moire_value map_sum(const moire__rewrite *r, const terms *t, moire_value weight) {
  moire_value parts[2 * MOST_TERMS], sum = {r->to, 0}, none = sum;
  for (int i = 0; i < t->n; i++) parts[i] = value_of(r, t->table[i]);
  for (int i = 0; i < t->n_vectors; i++)
    parts[t->n + i] = moire_reshape(value_of(r, t->vectors[i]), MOIRE_SHAPE(1, moire_value_dim(weight, 1)));
  int n = t->n + t->n_vectors;
  moire_value mapped = moire_linear(n == 1 ? parts[0] : moire_concat(parts, n, 0), weight, none);
  int64_t from = 0;
  for (int i = 0; i < t->n; i++) {
    moire_value rows = value_of(r, t->rows[i]);
    if (from)
      rows = moire_add(rows,
                       moire_constant(r->to, moire_value_dtype(rows), moire_value_shape(rows), (double)from));
    sum = added(sum, moire_gather(mapped, rows));
    from += moire_value_dim(parts[i], 0);
  }
  for (int i = 0; i < t->n_vectors; i++) {
    moire_value row =
        moire_reshape(moire_slice(mapped, 0, from + i, 1), MOIRE_SHAPE(moire_value_dim(weight, 0)));
    sum = moire_add(sum, row);
  }
  return sum;
}

static void rewrite(moire__rewrite *r, const moire__node *node) {
  const moire_shape *shape = shape_of(r->from, node->first_result);
  moire_value x = moire__rewrite_value(r, node->operands[0]),
              weight = moire__rewrite_value(r, node->operands[1]);
  bool real = r->from->values[node->first_result].dtype == MOIRE_F32 && moire_value_dtype(weight) == MOIRE_F32;
  terms columns = {.n = 0}, sum = {.n = 0};
  bool wide = real && shape->dims[shape->rank - 1] >= FEWEST_OUTPUTS;
  bool is_columns = wide && read_columns(r->to, moire__node_of(r->to, x.id), &columns) && pays(&columns, shape);
  bool is_sum = wide && !is_columns && read_sum(r->to, x.id, &sum) && pays(&sum, shape);
  if (!is_columns && !is_sum) {
    moire__rewrite_clone(r, node);
    return;
  }
  moire__graph_pin(r->to, node);
  moire_value y = is_columns ? map_columns(r, &columns, weight) : map_sum(r, &sum, weight);
  if (node->n_operands == 3) y = moire_add(y, moire__rewrite_value(r, node->operands[2]));
  moire__rewrite_set(r, node->first_result, y);
  moire__graph_unpin(r->to);
}

moire_graph *moire__pass_tables(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  (void)goal;
  moire__rewrite r = moire__rewrite_begin(g);
  for (int n = 0; n < g->n_nodes; n++) {
    if (g->nodes[n].op == MOIRE__OP_linear)
      rewrite(&r, &g->nodes[n]);
    else
      moire__rewrite_clone(&r, &g->nodes[n]);
  }
  return moire__rewrite_finish(&r, error);
}
