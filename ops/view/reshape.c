/* reshape: the same elements in row-major order under other axes.
 *
 * Both shapes fall into runs: the shortest stretches of axes, from the front, with equal products. [B,50,64] as
 * [B,50,2,32] has the runs B | 50 | 64 = 2 32. An index moves from run to run, so division is needed only
 * inside a run with more than one operand axis, and a slice of an axis that is a run by itself passes through.
 */
#include "ops/parts.h"
#include "ops/support.h"

/* Axes [x, x_end) of the operand hold what axes [y, y_end) of the result hold. */
typedef struct run {
  int x, x_end, y, y_end;
} run;

/* The run that begins at or after r's end; false if there is none. Axes of extent 1 before it belong to no run.
 * In a shape without elements the runs may stop early. */
static bool next_run(const moire_shape *x, const moire_shape *y, run *r) {
  r->x = r->x_end;
  r->y = r->y_end;
  while (r->x < x->rank && x->dims[r->x] == 1) r->x++;
  while (r->y < y->rank && y->dims[r->y] == 1) r->y++;
  moire_dim left = 1;
  for (r->x_end = r->x + 1; r->x_end <= x->rank; r->x_end++) {
    if (!moire__dim_multiply(left, x->dims[r->x_end - 1], &left)) return false;
    moire_dim right = 1;
    for (r->y_end = r->y + 1; r->y_end <= y->rank; r->y_end++) {
      if (!moire__dim_multiply(right, y->dims[r->y_end - 1], &right)) break;
      if (left == right) return true;
    }
  }
  return false;
}

moire_status moire__reshape_infer(moire__infer *c) {
  const moire__value_info *x = c->operands[0];
  moire_shape shape;
  MOIRE__TRY(moire__infer_shape(c, "shape", &shape));
  moire_dim before = 0, after = 0;
  bool counted = moire__shape_elements(&x->shape, &before) && moire__shape_elements(&shape, &after);
  if (counted && before == after) return moire__infer_result(c, 0, x->dtype, shape);
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "%s cannot become %s: the number of elements differs",
                    moire__operand_type(c, 0).text, moire__type_print(c->g, x->dtype, &shape).text);
}

void moire__reshape_gradient(moire__gradient *c) {
  c->operand_gradients[0] = moire_reshape(c->result_gradients[0], moire_value_shape(c->operands[0]));
}

/* Spreads the row-major index of a run of result axes over its operand axes. */
static void map_run(moire__index_map *m, const moire_shape *x, const moire_shape *y, const run *r) {
  moire__loop_value linear = 0;
  for (int i = r->y; i < r->y_end; i++) {
    if (y->dims[i] == 1) continue;
    if (linear) {
      linear = moire__loop_binary(m->b, MOIRE__LOOP_mul, linear, moire__loop_extent(m->b, y->dims[i]));
      linear = moire__loop_binary(m->b, MOIRE__LOOP_add, linear, m->result[i]);
    } else {
      linear = m->result[i];
    }
  }
  /* next_run never starts a run on an extent of 1, so r->x is the outermost axis that varies. */
  for (int i = r->x_end - 1; i > r->x; i--) {
    if (x->dims[i] == 1) continue;
    moire__loop_value extent = moire__loop_extent(m->b, x->dims[i]);
    m->operand[i] = moire__loop_binary(m->b, MOIRE__LOOP_mod, linear, extent);
    linear = moire__loop_binary(m->b, MOIRE__LOOP_div, linear, extent);
  }
  m->operand[r->x] = linear;
}

void moire__reshape_map(moire__index_map *m) {
  const moire_shape *x = &m->g->values[m->node->operands[0]].shape;
  const moire_shape *y = &m->g->values[m->node->first_result].shape;
  for (int i = 0; i < x->rank; i++) m->operand[i] = moire__loop_index(m->b, 0);
  run r = {0};
  while (next_run(x, y, &r)) map_run(m, x, y, &r);
}

bool moire__reshape_demand(moire__demand *c) {
  moire_shape x = moire_value_shape(c->operands[0]), y = moire__node_shape(c->node, "shape");
  run r = {0};
  while (next_run(&x, &y, &r)) {
    if (c->axis < r.y || c->axis >= r.y_end) continue;
    if (r.x_end - r.x != 1 || r.y_end - r.y != 1) return false;
    moire__demand_slice(c, 0, r.x, c->start, c->length);
    moire__demand_set_dim(c, "shape", c->axis, c->length);
    return true;
  }
  return false;
}

void moire__reshape_reference(moire__reference *c) {
  for (int64_t i = 0; i < c->results[0]->elements; i++) moire__tensor_copy(c->results[0], i, c->operands[0], i);
}

bool moire__reshape_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s), b6 = moire_dim_times(b, 6);
  moire_dim t = moire__sample_time(s), all = moire_dim_times(b, t);
  const struct {
    moire_shape from, to;
  } rows[][7] = {
      [MOIRE__SAMPLE_GOOD] = {{MOIRE_SHAPE(b, 5, 6), MOIRE_SHAPE(b, 5, 2, 3)},
                              {MOIRE_SHAPE(b, 2, 3), MOIRE_SHAPE(b6)},
                              {MOIRE_SHAPE(4, 6), MOIRE_SHAPE(3, 8)},
                              {MOIRE_SHAPE(6, 4, 5), MOIRE_SHAPE(2, 12, 5)},
                              {MOIRE_SHAPE(b6, 4), MOIRE_SHAPE(2, b, 3, 4)},
                              {MOIRE_SHAPE(b, t, 4), MOIRE_SHAPE(all, 4)},
                              {MOIRE_SHAPE(moire_dim_times(all, 2), 3), MOIRE_SHAPE(2, t, b, 3)}},
      [MOIRE__SAMPLE_HARD] = {{MOIRE_SCALAR, MOIRE_SHAPE(1, 1)},
                              {MOIRE_SHAPE(1, 7, 1), MOIRE_SHAPE(7)},
                              {MOIRE_SHAPE(0, 3), MOIRE_SHAPE(5, 0)},
                              {MOIRE_SHAPE(2, 1, 6, 1), MOIRE_SHAPE(1, 3, 1, 4)},
                              {MOIRE_SHAPE(b, 0, 2), MOIRE_SHAPE(0, 7)},
                              {MOIRE_SHAPE(b, b, 6, t), MOIRE_SHAPE(t, b, 1, b6, 1)},
                              {MOIRE_SHAPE(b, 3, t), MOIRE_SHAPE(all, 3)}},
      [MOIRE__SAMPLE_WRONG] = {{MOIRE_SHAPE(4, 6), MOIRE_SHAPE(5, 5)},
                               {MOIRE_SHAPE(b, 2), MOIRE_SHAPE(6)},
                               {MOIRE_SHAPE(b, t, 2), MOIRE_SHAPE(b, b, 2)},
                               {MOIRE_SHAPE(b, t), MOIRE_SHAPE(b)}},
  };
  bool is_wrong = s->kind == MOIRE__SAMPLE_WRONG;
  if (s->index >= (is_wrong ? 4 : 7)) return false;
  moire_dtype dtype = s->index == 2 ? MOIRE_C64 : MOIRE_F32;
  moire_value x = moire__sample_input(s, dtype, rows[s->kind][s->index].from, -3, 3);
  moire_value y = moire_reshape(x, rows[s->kind][s->index].to);
  return is_wrong ? moire__sample_refuse(s, MOIRE_ERROR_SHAPE) : moire__sample_finish(s, y);
}
