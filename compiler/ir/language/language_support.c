/* What the language's calls share: see language.h. */
#include "compiler/ir/language/language.h"

moire_value moire__emit_unary(moire_source at, moire__op op, moire_value x) {
  if (moire_value_is_null(x)) return x;
  return moire__graph_emit(x.graph, at, op, &x, 1, NULL, 0);
}

moire_value moire__emit_binary(moire_source at, moire__op op, moire_value a, moire_value b) {
  if (moire_value_is_null(a) || moire_value_is_null(b)) return moire__null_like(a, b);
  return moire__graph_emit(a.graph, at, op, (moire_value[]){a, b}, 2, NULL, 0);
}

moire_value moire__emit_shape(moire_source at, moire__op op, moire_value x, const moire_shape *shape) {
  if (moire_value_is_null(x)) return x;
  if (moire__shape_equal(shape, &moire__info(x)->shape)) return x;
  const moire__attr attr = moire__attr_make_dims("shape", shape);
  return moire__graph_emit(x.graph, at, op, &x, 1, &attr, 1);
}

moire_value moire__refuse_pair(moire_source at, const char *what, moire_status status, const char *why,
                               const char *name_a, moire_value a, const char *name_b, moire_value b) {
  moire__text text = {0};
  moire__text_add(&text, "%s: %s is ", why, name_a);
  moire__text_add_type(&text, a.graph, moire__info(a)->dtype, &moire__info(a)->shape);
  moire__text_add(&text, ", %s is ", name_b);
  moire__text_add_type(&text, b.graph, moire__info(b)->dtype, &moire__info(b)->shape);
  moire__graph_fail_at(a.graph, at, what, status, "%s", moire__text_string(&text));
  moire__text_free(&text);
  return moire__null_like(a, b);
}

/* ---- complex --------------------------------------------------------------------------------------------- */

moire_value moire__to_complex(moire_source at, moire_value x) {
  if (moire_value_is_null(x) || moire_value_dtype(x) != MOIRE_F32) return x;
  moire_value zero = moire_constant_at(at, x.graph, MOIRE_F32, moire_value_shape(x), 0);
  return moire__emit_binary(at, MOIRE__OP_complex, x, zero);
}

void moire__promote(moire_source at, moire_value *values, int n) {
  bool any = false;
  for (int i = 0; i < n; i++) any = any || moire__is_complex(values[i]);
  for (int i = 0; any && i < n; i++) values[i] = moire__to_complex(at, values[i]);
}

/* ---- broadcasting ---------------------------------------------------------------------------------------- */

bool moire__broadcast_shape(const moire_shape *a, int keep_a, const moire_shape *b, int keep_b,
                            moire_shape *out) {
  int rank_a = a->rank - keep_a, rank_b = b->rank - keep_b;
  moire_shape common = {.rank = rank_a > rank_b ? rank_a : rank_b}; /* `out` may be `a` or `b` */
  for (int i = 1; i <= common.rank; i++) {
    moire_dim x = i <= rank_a ? a->dims[rank_a - i] : 1;
    moire_dim y = i <= rank_b ? b->dims[rank_b - i] : 1;
    if (x != y && x != 1 && y != 1) return false;
    common.dims[common.rank - i] = x == 1 ? y : x;
  }
  *out = common;
  return true;
}

void moire__broadcast_together(moire_source at, const char *what, moire_value *values, int n) {
  moire_shape common = {0};
  for (int i = 0; i < n; i++) {
    if (moire_value_is_null(values[i])) return;
    moire_shape shape = moire_value_shape(values[i]);
    if (moire__broadcast_shape(&common, 0, &shape, 0, &common)) continue;
    moire_value none = moire__refuse_pair(at, what, MOIRE_ERROR_SHAPE, "shapes do not broadcast", "a",
                                          values[0], i == 1 ? "b" : "c", values[i]);
    for (int j = 0; j < n; j++) values[j] = none;
    return;
  }
  for (int i = 0; i < n; i++) values[i] = moire__emit_shape(at, MOIRE__OP_broadcast, values[i], &common);
}
