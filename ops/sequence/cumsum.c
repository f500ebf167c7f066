/* cumsum: y[.., t, ..] = sum of x[.., s, ..] for s <= t along attribute axis; with reverse for s >= t, which is
 * its gradient. Sums are kept in double, so that long ones lose no digits.
 */
#include "compiler/ir/loop/lower.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

moire_status moire__cumsum_infer(moire__infer *c) {
  int axis;
  int64_t reverse;
  MOIRE__TRY(moire__infer_dtype(c, 0, MOIRE__SET_NUMBER | MOIRE__SET_COMPLEX));
  MOIRE__TRY(moire__infer_axis(c, "axis", c->operands[0]->shape.rank, &axis));
  MOIRE__TRY(moire__infer_int(c, "reverse", 0, 1, &reverse));
  return moire__infer_as_operand(c, 0);
}

void moire__cumsum_gradient(moire__gradient *c) {
  moire__attr attrs[] = {moire__attr_make_int("axis", moire__node_int(c->node, "axis")),
                         moire__attr_make_int("reverse", !moire__node_int(c->node, "reverse"))};
  c->operand_gradients[0] =
      moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_cumsum, &c->result_gradients[0], 1, attrs, 2);
}

/* Other axes are independent; of its own it needs all that the sum has passed before. */
bool moire__cumsum_demand(moire__demand *c) {
  bool reverse = moire__node_int(c->node, "reverse") != 0;
  if (c->axis == moire__node_int(c->node, "axis") &&
      (reverse ? c->start + c->length != c->extent : c->start != 0))
    return false;
  moire__demand_slice(c, 0, c->axis, c->start, c->length);
  return true;
}

void moire__cumsum_reference(moire__reference *c) {
  const moire__tensor *x = c->operands[0];
  moire__tensor *y = c->results[0];
  bool reverse = moire__node_int(c->node, "reverse") != 0;
  int64_t outer, n, inner;
  moire__tensor_around(x, (int)moire__node_int(c->node, "axis"), &outer, &n, &inner);
  for (int64_t o = 0; o < outer; o++)
    for (int64_t k = 0; k < inner; k++) {
      double re = 0, im = 0;
      for (int64_t i = 0; i < n; i++) {
        int64_t at = (o * n + (reverse ? n - 1 - i : i)) * inner + k;
        y->re[at] = re += x->re[at];
        if (y->im) y->im[at] = im += x->im[at];
      }
    }
}

static moire_dim product_of(const moire_shape *shape, int begin, int end) {
  moire_dim product = 1;
  for (int d = begin; d < end; d++) moire__dim_multiply(product, shape->dims[d], &product);
  return product;
}

/* What stands behind the axis are the lanes, in blocks where it is fixed. */
void moire__cumsum_lower(moire__lowering *l) {
  typedef moire__loop_value value;
  enum { REGISTERS = 4 };
  const moire__node *node = l->node;
  const moire_shape *shape = &l->g->values[node->operands[0]].shape;
  int axis = (int)moire__node_int(node, "axis");
  bool reverse = moire__node_int(node, "reverse") != 0;
  moire__loop_type type = moire__loop_type_from_dtype(l->g->values[node->operands[0]].dtype);
  moire__loop_type kept = moire__loop_type_is_float(type) ? MOIRE__LOOP_F64 : type;
  moire_dim outer = product_of(shape, 0, axis), inner = product_of(shape, axis + 1, shape->rank), count = outer;
  moire__lower_add_reads_of(l, node);
  moire__loop_buffer out = moire__lower_add_write(l, node->first_result);
  moire__loop_buffer in = moire__lower_buffer(l, moire__lower_view(l, node->operands[0]).base);
  bool fixed = moire__dim_is_static(inner);
  int lanes = fixed && inner < l->target.lanes / 2 ? 1 : l->target.lanes;
  int64_t width = lanes == 1 ? inner : lanes * REGISTERS,
          blocks = fixed && width ? (inner + width - 1) / width : 1;
  moire__dim_multiply(outer, blocks, &count);
  moire__lower_body(l, count, 1);
  moire__loop_builder *b = &l->builder;
  value per_outer = moire__loop_index(b, blocks), piece = l->kernel->parallel, zero = moire__loop_index(b, 0);
  value columns = moire__loop_extent(b, inner), n = moire__loop_extent(b, shape->dims[axis]);
  value o = moire__loop_binary(b, MOIRE__LOOP_div, piece, per_outer), low = zero, high = columns;
  if (fixed) {
    low = moire__lower_mul(l, moire__loop_binary(b, MOIRE__LOOP_mod, piece, per_outer),
                           moire__loop_index(b, width));
    high =
        moire__loop_binary(b, MOIRE__LOOP_min, moire__lower_add(l, low, moire__loop_index(b, width)), columns);
  }
  value k = moire__loop_for(b, low, high, 1, lanes);
  moire__loop_var sum = moire__loop_declare(b, moire__loop_const(b, kept, 0));
  value i = moire__loop_for(b, zero, n, 1, 1), last = moire__lower_add(l, n, moire__loop_index(b, -1));
  value t = reverse ? moire__loop_binary(b, MOIRE__LOOP_sub, last, i) : i;
  value row = moire__lower_add(l, moire__lower_mul(l, o, n), t);
  value at = moire__lower_add(l, moire__lower_mul(l, row, columns), k);
  value x = moire__loop_cast(b, moire__loop_load(b, in, at), kept);
  value next = moire__loop_binary(b, MOIRE__LOOP_add, moire__loop_get(b, sum), x);
  moire__loop_set(b, sum, next);
  moire__loop_store(b, out, at, moire__loop_cast(b, next, type));
  moire__loop_end(b);
  moire__loop_end(b);
  moire__lower_finish(l);
}

bool moire__cumsum_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_dtype dtype;
    moire_shape x;
    int64_t axis, reverse;
    moire_status expected;
  } cases[] = {
      {GOOD, F32, S(b, 7), 1, 0, ACCEPTED},     {GOOD, C64, S(b, 5, 16), 1, 0, ACCEPTED},
      {GOOD, F32, S(4, 3, 70), 1, 1, ACCEPTED}, {GOOD, I32, S(b, 9), 1, 0, ACCEPTED},
      {HARD, F32, S(b, 5), 0, 0, ACCEPTED},     {HARD, C64, S(5, b), 0, 1, ACCEPTED},
      {HARD, F32, S(1), 0, 0, ACCEPTED},        {HARD, F32, S(2, 1, 67), 1, 1, ACCEPTED},
      {HARD, F32, S(3, 2, 5), 1, 0, ACCEPTED},  {HARD, F32, S(0, 4), 1, 0, ACCEPTED},
      {HARD, F32, S(4, 0), 1, 0, ACCEPTED},     {HARD, F32, S(3, 4, 0), 1, 0, ACCEPTED},
      {WRONG, BOOL, S(4), 0, 0, BAD_TYPE},      {WRONG, F32, SCALAR, 0, 0, BAD_SHAPE},
      {WRONG, F32, S(4), 1, 0, BAD_ARGUMENT},   {WRONG, F32, S(4), 0, 2, BAD_ARGUMENT},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  moire_value x = moire__sample_input(s, cases[i].dtype, cases[i].x, -3, 3);
  moire__attr attrs[] = {moire__attr_make_int("axis", cases[i].axis),
                         moire__attr_make_int("reverse", cases[i].reverse)};
  s->no_gradient_check = cases[i].dtype == I32;
  moire_value y = moire__sample_emit(s, MOIRE__OP_cumsum, &x, 1, attrs, 2);
  return s->kind == WRONG ? moire__sample_refuse(s, cases[i].expected) : moire__sample_finish(s, y);
}
