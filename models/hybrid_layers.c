/* What the files of the hybrid recommender share. See hybrid.h. */
#include "models/hybrid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

moire__hybrid moire__hybrid_begin(moire_graph *g, const moire_config *config) {
  return (moire__hybrid){.g = g,
                         .config = config,
                         .movies = moire_config_int(config, "item_size"),
                         .width = moire_config_int(config, "hidden_size")};
}

static moire_init fan_in(int64_t n) {
  double bound = 1 / sqrt((double)n);
  return moire_init_uniform(-bound, bound);
}

moire_value moire__hybrid_linear(const moire__hybrid *m, const char *name, moire_value x, int64_t out,
                                 bool bias) {
  int64_t in = moire_value_dim(x, -1);
  moire_scope_push(m->g, "%s", name);
  moire_value w = moire_parameter(m->g, "weight", MOIRE_SHAPE(out, in), fan_in(in)), b = {0};
  if (bias) b = moire_parameter(m->g, "bias", MOIRE_SHAPE(out), fan_in(in));
  moire_scope_pop(m->g);
  return moire_linear(x, w, b);
}

moire__hybrid_norm moire__hybrid_norm_of(const moire__hybrid *m, const char *name) {
  moire__hybrid_norm norm;
  moire_scope_push(m->g, "%s", name);
  norm.gain = moire_parameter(m->g, "weight", MOIRE_SHAPE(m->width), moire_init_constant(1));
  norm.bias = moire_parameter(m->g, "bias", MOIRE_SHAPE(m->width), moire_init_constant(0));
  moire_scope_pop(m->g);
  return norm;
}

moire_value moire__hybrid_normalize(moire__hybrid_norm norm, moire_value x) {
  return moire_layer_norm(x, norm.gain, norm.bias, 1e-5);
}

moire_value moire__hybrid_table(const moire__hybrid *m, const char *name, int64_t rows) {
  moire_scope_push(m->g, "%s", name);
  moire_value table = moire_parameter(m->g, "weight", MOIRE_SHAPE(rows, m->width), moire_init_normal(0, 1));
  moire_scope_pop(m->g);
  return table;
}

moire__hybrid_mha moire__hybrid_mha_of(const moire__hybrid *m, const char *name) {
  int64_t d = m->width;
  double bound = sqrt(6 / (4 * (double)d));
  moire_scope_push(m->g, "%s", name);
  moire_value in =
      moire_parameter(m->g, "in_proj_weight", MOIRE_SHAPE(3 * d, d), moire_init_uniform(-bound, bound));
  moire_value bias = moire_parameter(m->g, "in_proj_bias", MOIRE_SHAPE(3 * d), moire_init_constant(0));
  moire__hybrid_mha a = {.query = moire_slice(in, 0, 0, d),
                         .key = moire_slice(in, 0, d, d),
                         .value = moire_slice(in, 0, 2 * d, d),
                         .query_bias = moire_slice(bias, 0, 0, d),
                         .value_bias = moire_slice(bias, 0, 2 * d, d)};
  a.out = moire_parameter(m->g, "out_proj.weight", MOIRE_SHAPE(d, d), fan_in(d));
  a.out_bias = moire_parameter(m->g, "out_proj.bias", MOIRE_SHAPE(d), moire_init_constant(0));
  moire_scope_pop(m->g);
  return a;
}

/* ---- histories ------------------------------------------------------------------------------------------- */

moire__hybrid_inputs moire__hybrid_inputs_of(const moire__hybrid *m, bool times) {
  moire_shape shape = MOIRE_SHAPE(m->users, m->history);
  moire__hybrid_inputs in = {.ids = moire_input(m->g, "history_ids", MOIRE_I32, shape),
                             .ratings = moire_input(m->g, "history_ratings", MOIRE_I32, shape)};
  if (times) in.times = moire_input(m->g, "history_times", MOIRE_I32, shape);
  in.mask = moire_input(m->g, "history_mask", MOIRE_I32, shape);
  return in;
}

static moire_value flat(const moire__hybrid *m, moire_value x, moire_dim rows) {
  return moire_value_is_null(x) ? x : moire_reshape(x, MOIRE_SHAPE(moire_dim_times(rows, m->history)));
}

moire__hybrid_history moire__hybrid_history_of(const moire__hybrid *m, const moire__hybrid_inputs *in) {
  moire_dim rows = moire_value_dim(in->mask, 0);
  moire_shape shape = MOIRE_SHAPE(rows, m->history);
  moire_value none = moire_constant(m->g, MOIRE_I32, shape, -1);
  moire_value valid = moire_less(moire_constant(m->g, MOIRE_I32, shape, 0), in->mask);
  moire_value row = moire_where(valid, moire_iota(m->g, shape, 0), none);
  return (moire__hybrid_history){.rows = rows,
                                 .ids = flat(m, in->ids, rows),
                                 .ratings = flat(m, in->ratings, rows),
                                 .times = flat(m, in->times, rows),
                                 .row = flat(m, row, rows)};
}

moire__hybrid_history moire__hybrid_samples_of(const moire__hybrid *m, const moire__hybrid_inputs *in,
                                               moire_value users, moire_value hidden) {
  moire__hybrid_inputs of = {.ids = moire_gather(in->ids, users), .ratings = moire_gather(in->ratings, users)};
  if (!moire_value_is_null(in->times)) of.times = moire_gather(in->times, users);
  of.mask = moire_sub(moire_gather(in->mask, users), hidden);
  return moire__hybrid_history_of(m, &of);
}

/* ---- sizes ----------------------------------------------------------------------------------------------- */

int64_t moire__hybrid_nodes(const moire_config *config, const char *relation) {
  const char *const *counts = NULL;
  int n = moire_config_strings(config, "node_counts", &counts);
  size_t length = strlen(relation);
  for (int i = 0; i < n; i++)
    if (!strncmp(counts[i], relation, length) && counts[i][length] == '=')
      return strtoll(counts[i] + length + 1, NULL, 10);
  return -1;
}

moire_status moire__hybrid_check_graph(const moire_config *config, moire_error *error) {
  const char *const *relations = NULL;
  const int64_t *edges = NULL;
  int n = moire_config_strings(config, "relations", &relations);
  int64_t width = moire_config_int(config, "hidden_size"), heads = moire_config_int(config, "gat_heads");
  if (width % heads)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "gat_heads: wanted a divisor of hidden_size %d, got %d",
                      (int)width, (int)heads);
  if (n > MOIRE__HYBRID_RELATIONS)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "relations: wanted at most %d, got %d",
                      MOIRE__HYBRID_RELATIONS, n);
  for (int i = 0; i < n; i++)
    if (moire__hybrid_nodes(config, relations[i]) < 0)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "node_counts: wanted %s=NODES for the relation %s",
                        relations[i], relations[i]);
  int features = moire_config_ints(config, "context_sizes", &edges);
  if (features > MOIRE__HYBRID_FEATURES)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "context_sizes: wanted at most %d features, got %d",
                      MOIRE__HYBRID_FEATURES, features);
  int n_edges = moire_config_ints(config, "edge_counts", &edges);
  if (n_edges == n) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT, "edge_counts: wanted one for each of %d relations, got %d", n,
                    n_edges);
}
