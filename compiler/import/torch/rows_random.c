/* Rows of the table: dropout and random numbers. They are drawn by Moire's counters, not by PyTorch's
 * generator. */
#include "compiler/import/torch/rows.h"

static double probability(moire__call *c) {
  double p = moire__real_or(c, "p", 0.5);
  return c->dropout >= 0 && p > 0 ? c->dropout : p;
}

static void dropout(moire__call *c) {
  moire_value x = moire__tensor(c, moire__find(c, "input") ? "input" : "self");
  bool train = moire__bool_or(c, "train", true);
  double p = probability(c);
  moire__give(c, train && p > 0 ? moire_dropout_at(c->at, x, p) : x);
}

/* Whole channels at once: [N, C, ..]. */
static void feature_dropout(moire__call *c) {
  moire_value x = moire__tensor(c, "input");
  bool train = moire__bool_or(c, "train", true);
  double p = probability(c);
  if (moire_value_is_null(x) || !train || p <= 0) {
    moire__give(c, x);
    return;
  }
  moire_shape shape = moire_value_shape(x);
  for (int i = 2; i < shape.rank; i++) shape.dims[i] = 1;
  moire_value ones = moire_constant_at(c->at, c->graph, MOIRE_F32, shape, 1);
  moire__give(c, moire_mul_at(c->at, x, moire_dropout_at(c->at, ones, p)));
}

static bool shape_of(moire__call *c, moire_shape *out) {
  static const char *const without_meaning[] = {"device", "layout", "pin_memory", "memory_format", "generator"};
  for (int i = 0; i < 5; i++) moire__pass_over(c, without_meaning[i]);
  moire__torch_type type = moire__type_or(c, "dtype", MOIRE__TORCH_F32);
  moire_dim dims[MOIRE_MAX_RANK];
  const moire__argument *like = moire__find(c, "self");
  int n = like ? 0 : moire__dims(c, "size", dims, MOIRE_MAX_RANK);
  *out = (moire_shape){.rank = n < 0 ? 0 : n};
  for (int i = 0; i < n; i++) out->dims[i] = dims[i];
  if (like) {
    moire_value x = moire__tensor(c, "self");
    if (moire_value_is_null(x)) return false;
    *out = moire_value_shape(x);
  }
  if (type != MOIRE__TORCH_F32) moire__refuse(c, "of %s is not imported", moire__torch_type_name(type));
  return !c->why;
}

static void uniform(moire__call *c) {
  moire_shape shape;
  if (shape_of(c, &shape)) moire__give(c, moire_uniform_at(c->at, c->graph, shape, 0, 1));
}

static void normal(moire__call *c) {
  moire_shape shape;
  if (shape_of(c, &shape)) moire__give(c, moire_normal_at(c->at, c->graph, shape, 0, 1));
}

static void bernoulli(moire__call *c) {
  moire__pass_over(c, "generator");
  moire__give(c, moire_bernoulli_at(c->at, moire__tensor(c, "self")));
}

const moire__aten_row moire__rows_random[] = {
    {"aten.dropout.default", dropout, false},     {"aten.feature_dropout.default", feature_dropout, false},
    {"aten.rand.default", uniform, false},        {"aten.rand_like.default", uniform, false},
    {"aten.randn.default", normal, false},        {"aten.randn_like.default", normal, false},
    {"aten.bernoulli.default", bernoulli, false}, {NULL, NULL, false}};
