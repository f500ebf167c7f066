/* pack: the inputs that say where tokens stand, and what is made with them. */
#include "compiler/pass/pack/pack_private.h"

moire_value moire__pack_node1(moire_graph *g, moire__op op, moire_value x, moire__attr attr) {
  return moire__graph_emit(g, MOIRE_HERE, op, &x, 1, &attr, 1);
}

moire_value moire__pack_reshape(moire_value x, moire_shape shape) {
  return moire__pack_node1(x.graph, MOIRE__OP_reshape, x, moire__attr_make_dims("shape", &shape));
}

static moire_value input(const moire__pack_tokens *t, const char *name, moire_dtype dtype, moire_dim n,
                         const moire__attr *more, int n_more) {
  enum { OWN = 3, MOST = 5 };
  moire_shape shape = MOIRE_SHAPE(n);
  moire__attr attrs[OWN + MOST] = {moire__attr_make_text("name", name), moire__attr_make_int("dtype", dtype),
                                   moire__attr_make_dims("shape", &shape)};
  for (int i = 0; i < n_more && i < MOST; i++) attrs[OWN + i] = more[i];
  return moire__graph_emit(t->g, MOIRE_HERE, MOIRE__OP_input, NULL, 0, attrs, OWN + n_more);
}

void moire__pack_declare(moire__pack_tokens *t, const char *name, int64_t block, const moire__attr *attrs,
                         int n_attrs) {
  moire_graph *g = t->g;
  moire_dim all = 0;
  moire__dim_multiply(t->samples, t->length, &all);
  moire__dim_multiply(moire_extent(g, moire__arena_printf(&g->arena, "T_%s", name)), block, &t->n);
  const struct {
    const char *suffix;
    moire_value *value;
    moire_dtype dtype;
    moire_dim dim;
  } inputs[] = {{"tokens", &t->tokens, MOIRE_I32, t->n},       {"slots", &t->slots, MOIRE_I32, all},
                {"last", &t->last, MOIRE_I32, t->samples},     {"ends", &t->ends, MOIRE_I32, t->n},
                {"starts", &t->starts, MOIRE_I32, t->samples}, {"counts", &t->counts, MOIRE_I32, t->samples},
                {"valid", &t->valid, MOIRE_BOOL, t->n}};
  for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
    const char *full = moire__arena_printf(&g->arena, "%s.%s", name, inputs[i].suffix);
    *inputs[i].value = input(t, full, inputs[i].dtype, inputs[i].dim, attrs, n_attrs);
  }
}

moire_value moire__pack_take(moire_value x, moire_value rows, moire_value inverse) {
  moire_value operands[] = {x, rows, inverse};
  return moire__graph_emit(x.graph, MOIRE_HERE, MOIRE__OP_take, operands, 3, NULL, 0);
}

moire_value moire__pack_take_tokens(const moire__pack_tokens *t, moire_value x) {
  moire_shape shape = moire__info(x)->shape, flat = {.rank = shape.rank - 1};
  moire__dim_multiply(shape.dims[0], shape.dims[1], &flat.dims[0]);
  for (int d = 2; d < shape.rank; d++) flat.dims[d - 1] = shape.dims[d];
  return moire__pack_take(moire__pack_reshape(x, flat), t->tokens, t->slots);
}

moire_value moire__pack_put_back(const moire__pack_tokens *t, moire_value x, moire_shape shape) {
  moire_value all = moire__pack_take(x, t->slots, t->tokens);
  return moire__shape_equal(&moire__info(all)->shape, &shape) ? all : moire__pack_reshape(all, shape);
}

moire_value moire__pack_dropout(const moire__pack_tokens *t, const moire__node *dropout, moire__rewrite *r,
                                moire_value x) {
  moire_shape whole = r->from->values[dropout->operands[0]].shape;
  moire_value rng = moire__rewrite_value(r, dropout->operands[1]);
  moire__attr attrs[] = {moire__attr_make_real("p", moire__node_real(dropout, "p")),
                         moire__attr_make_int("stream", moire__node_int(dropout, "stream")),
                         moire__attr_make_dims("shape", &whole)};
  moire_value mask = moire__graph_emit(t->g, MOIRE_HERE, MOIRE__OP_random_mask, &rng, 1, attrs, 3);
  moire_value product[] = {x, moire__pack_take_tokens(t, mask)};
  return moire__graph_emit(t->g, MOIRE_HERE, MOIRE__OP_mul, product, 2, NULL, 0);
}

moire_value moire__pack_attend(const moire__pack_tokens *t, const moire__node *attention, moire_value *x, int n,
                               moire_value valid, moire_value rng, bool last) {
  bool has_valid = !moire_value_is_null(valid), has_rng = !moire_value_is_null(rng);
  if (has_valid) x[n++] = valid;
  if (has_rng) x[n++] = rng;
  x[n++] = t->tokens;
  x[n++] = t->starts;
  x[n++] = t->counts;
  moire__attr attrs[] = {moire__attr_make_real("scale", moire__node_real(attention, "scale")),
                         moire__attr_make_real("mask_value", moire__node_real(attention, "mask_value")),
                         moire__attr_make_int("causal", 1),
                         moire__attr_make_int("has_valid", has_valid),
                         moire__attr_make_int("has_rng", has_rng),
                         moire__attr_make_real("dropout", moire__node_real(attention, "dropout")),
                         moire__attr_make_int("stream", moire__node_int_or(attention, "stream", 0)),
                         moire__attr_make_int("packed", 1),
                         moire__attr_make_int("last", last),
                         moire__attr_make_int("length", t->length)};
  bool waves = moire__node_int(attention, "score") == 1;
  return moire__graph_emit(t->g, MOIRE_HERE, waves ? MOIRE__OP_attend : MOIRE__OP_attend_real, x, n, attrs, 10);
}
