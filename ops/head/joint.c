/* linear_log_softmax_joint: what its kernels share (ops/head/joint.h). */
#include "ops/head/joint.h"

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

moire__loop_buffer moire__joint_extra(const moire__joint *f, int extra, moire__buffer_role role) {
  return moire__lower_add_extra(f->h.l, extra, role);
}

moire__loop_buffer moire__joint_add_bounds(const moire__joint *f) {
  return moire__joint_extra(f, f->bounds, MOIRE__BUFFER_IN);
}

static moire__loop_value load_index(const moire__joint *f, moire__loop_buffer buffer, int64_t at) {
  moire__loop_builder *b = &f->h.l->builder;
  moire__loop_value x = moire__loop_load(b, buffer, moire__head_index(&f->h, at));
  return moire__loop_cast(b, x, MOIRE__LOOP_I64);
}

void moire__joint_read_bounds(moire__joint *f, moire__loop_buffer bounds) {
  f->begin = load_index(f, bounds, f->chunk);
  f->end = load_index(f, bounds, f->chunk + 1);
  f->most = load_index(f, bounds, f->chunks + 1);
}

/* A chunk of n rows in all has ceil(n / (chunks * 16)) units, and n is a multiple of its factor. */
moire_dim moire__joint_capacity(const moire__joint *f, int64_t each) {
  moire_dim rows = f->h.rows;
  int64_t units = ceil_div(moire__dim_factor(rows), f->chunks * MOIRE__HEAD_UNIT);
  return moire__dim_make((units ? units : 1) * each, moire__dim_extents(rows));
}

moire__loop_value moire__joint_units(const moire__joint *f, moire__loop_value n) {
  moire__loop_value up = moire__lower_add(f->h.l, n, moire__head_index(&f->h, MOIRE__HEAD_UNIT - 1));
  return moire__loop_binary(&f->h.l->builder, MOIRE__LOOP_div, up, moire__head_index(&f->h, MOIRE__HEAD_UNIT));
}

moire__loop_value moire__joint_at(const moire__joint *f, moire__loop_value unit, int64_t middle,
                                  moire__loop_value at, moire__loop_value lane) {
  return moire__head_at(&f->h, moire__head_at(&f->h, unit, middle, at), MOIRE__HEAD_UNIT, lane);
}

moire__loop_value moire__joint_lanes(const moire__joint *f) {
  return moire__head_vectors(&f->h, MOIRE__HEAD_UNIT);
}
