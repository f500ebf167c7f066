/* The language: inputs, outputs, metrics, constants. */
#include "compiler/ir/language/language.h"

moire_value moire_input_at(moire_source at, moire_graph *g, const char *name, moire_dtype dtype,
                           moire_shape shape) {
  MOIRE__NEED_GRAPH(g);
  const moire__attr attrs[] = {
      moire__attr_make_text("name", name),
      moire__attr_make_int("dtype", dtype),
      moire__attr_make_dims("shape", &shape),
  };
  return moire__graph_emit(g, at, MOIRE__OP_input, NULL, 0, attrs, 3);
}

void moire_output_at(moire_source at, moire_graph *g, const char *name, moire_value value) {
  MOIRE__NEED_GRAPH(g);
  moire__graph_add_output(g, at, name, value);
}

void moire_metric_at(moire_source at, moire_graph *g, const char *name, moire_value value) {
  MOIRE__NEED_GRAPH(g);
  if (g->error.status) return;
  if (!name[0]) {
    moire__graph_fail_at(g, at, "metric", MOIRE_ERROR_ARGUMENT, "the name is empty");
    return;
  }
  moire__graph_add_output(g, at, moire__arena_printf(&g->arena, MOIRE__METRIC_PREFIX "%s", name), value);
}

moire_value moire_constant_at(moire_source at, moire_graph *g, moire_dtype dtype, moire_shape shape,
                              double value) {
  MOIRE__NEED_GRAPH(g);
  const moire__attr attrs[] = {
      moire__attr_make_real("value", value),
      moire__attr_make_int("dtype", dtype),
      moire__attr_make_dims("shape", &shape),
  };
  return moire__graph_emit(g, at, MOIRE__OP_constant, NULL, 0, attrs, 3);
}

moire_value moire_iota_at(moire_source at, moire_graph *g, moire_shape shape, int axis) {
  MOIRE__NEED_GRAPH(g);
  const int from_front = moire__axis(axis, shape.rank);
  const moire__attr attrs[] = {
      moire__attr_make_int("axis", from_front < 0 ? axis : from_front),
      moire__attr_make_dims("shape", &shape),
  };
  return moire__graph_emit(g, at, MOIRE__OP_iota, NULL, 0, attrs, 2);
}

moire_value moire__graph_rng(moire_graph *g, moire_source at) {
  const moire_shape shape = MOIRE_SHAPE(3);
  int32_t found = moire__graph_find_input(g, "rng");
  if (!found && moire_graph_mode(g) == MOIRE_INFERENCE) return moire_constant_at(at, g, MOIRE_I32, shape, 0);
  if (!found) return moire_input_at(at, g, "rng", MOIRE_I32, shape);
  const moire__value_info *info = &g->values[found];
  if (info->dtype != MOIRE_I32 || !moire__shape_equal(&info->shape, &shape)) {
    moire__graph_fail_at(g, at, "rng", MOIRE_ERROR_TYPE, "the input rng is not i32[3]");
    return (moire_value){g, 0};
  }
  return (moire_value){g, found};
}
