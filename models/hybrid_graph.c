/* The graph view of the hybrid recommender.
 *
 * Items: a movie's features are buckets, h = W [E_0[c_0]; E_1[c_1]; ..] + b. For each relation, with x_n the
 * embedding of node n:
 *
 *     y_n = LN(leaky_relu(GAT from movies h to nodes x)),   m += GAT from nodes y to movies h
 *     g   = LN(h + m)                                                       one and the same LN everywhere
 *
 * GAT over edges j -> i, z = W x in heads of width C = D / H:
 *
 *     e = leaky_relu(a_src . z_j + a_dst . z_i),  alpha = softmax over the edges that arrive at i
 *     out_i = sum of alpha z_j + bias
 *
 * a . (W x) is (W^T a) . x, so destinations are never projected; and the sum of alpha z_j is W times that of
 * alpha x_j, so that targets are where they are much fewer; by heads a row costs more. Sources that are looked
 * up themselves are projected as tables (compiler/pass/tables.c).
 *
 * Users: x = g[id] + E[rating] + T[time]; one learned query looks at it by H heads, as in hybrid_text.c.
 */
#include "models/hybrid.h"

#include <math.h>
#include <stdio.h>

static const double slope = 0.2;

typedef struct edges {
  moire_value movie, node; /* i32[E] */
  int64_t n_nodes;
  const char *relation;
} edges;

/* One rule for both sides: [N, D] -> [N, H], (W^T a) . x for each head. w [H, C, D] */
static moire_value side_scores(const moire__hybrid *m, const char *name, moire_value w, moire_value x) {
  int64_t heads = moire_value_dim(w, 0), c = moire_value_dim(w, 1);
  double bound = sqrt(6.0 / (double)(heads + c));
  moire_value a = moire_parameter(m->g, name, MOIRE_SHAPE(1, heads, c), moire_init_uniform(-bound, bound));
  moire_value key = moire_matmul(moire_reshape(a, MOIRE_SHAPE(heads, 1, c)), w); /* [H, 1, D] */
  return moire_linear(x, moire_reshape(key, MOIRE_SHAPE(heads, m->width)), (moire_value){0});
}

/* x [N, H, D] -> [N, D]: head k by W_k. */
static moire_value project_heads(moire_value x, moire_value w) {
  static const int heads_first[] = {1, 0, 2}, rows_first[] = {1, 0, 2};
  moire_dim rows = moire_value_dim(x, 0), width = moire_value_dim(x, 2);
  moire_value y = moire_matmul(moire_permute(x, 3, heads_first), moire_swap_axes(w, 1, 2)); /* [H, N, C] */
  return moire_reshape(moire_permute(y, 3, rows_first), MOIRE_SHAPE(rows, width));
}

/* Attention from rows x along source -> target, to `to`; *alpha is [E, H]. */
static moire_value graph_attention(const moire__hybrid *m, moire_value x, moire_value to, moire_value source,
                                   moire_value target, moire_value *alpha) {
  int64_t d = m->width, heads = moire_config_int(m->config, "gat_heads");
  int64_t n = moire_value_dim(to, 0), n_sources = moire_value_dim(x, 0);
  double bound = sqrt(6.0 / (2 * (double)d));
  moire_value weight =
      moire_parameter(m->g, "lin.weight", MOIRE_SHAPE(d, d), moire_init_uniform(-bound, bound));
  moire_value w = moire_reshape(weight, MOIRE_SHAPE(heads, d / heads, d)), out;
  moire_value from = moire_gather(side_scores(m, "att_src", w, x), source);
  moire_value at = moire_gather(side_scores(m, "att_dst", w, to), target);
  *alpha = moire_segment_softmax(moire_leaky_relu(moire_add(from, at), slope), target, n);
  if (n_sources <= 2 * n) {
    moire_value z = moire_linear(x, weight, (moire_value){0});
    z = moire_edge_sum(*alpha, moire_reshape(z, MOIRE_SHAPE(n_sources, heads, d / heads)), source, target, n);
    out = moire_reshape(z, MOIRE_SHAPE(n, d));
  } else {
    out = project_heads(moire_edge_sum(*alpha, x, source, target, n), w);
  }
  return moire_add(out, moire_parameter(m->g, "bias", MOIRE_SHAPE(d), moire_init_constant(0)));
}

static moire_value movies_of(const moire__hybrid *m) {
  const int64_t *sizes = NULL;
  int n = moire_config_ints(m->config, "context_sizes", &sizes);
  int64_t d = m->width;
  double bound = 1 / sqrt((double)(n * d));
  moire_value features[MOIRE__HYBRID_FEATURES];
  moire_value context = moire_input(m->g, "context", MOIRE_I32, MOIRE_SHAPE(m->movies, n));
  moire_value w =
      moire_parameter(m->g, "movie_lin.weight", MOIRE_SHAPE(d, n * d), moire_init_uniform(-bound, bound));
  moire_value bias = moire_parameter(m->g, "movie_lin.bias", MOIRE_SHAPE(d), moire_init_uniform(-bound, bound));
  for (int f = 0; f < n; f++) {
    char name[48];
    snprintf(name, sizeof name, "movie_feat_embs.%d", f);
    moire_value bucket = moire_reshape(moire_slice(context, 1, f, 1), MOIRE_SHAPE(m->movies));
    features[f] = moire_gather(moire__hybrid_table(m, name, sizes[f]), bucket);
  }
  return n ? moire_linear(moire_concat(features, n, 1), w, bias)
           : moire_broadcast(bias, MOIRE_SHAPE(m->movies, d));
}

static void output_part(const moire__hybrid *m, const char *what, const char *relation, moire_value x) {
  char name[512];
  snprintf(name, sizeof name, "%s.%s", what, relation);
  moire_output(m->g, name, x);
}

/* What a relation adds to the movies. */
static moire_value messages_of(const moire__hybrid *m, const edges *e, moire_value h, moire__hybrid_norm norm,
                               bool parts) {
  char name[512];
  moire_value alpha[2];
  snprintf(name, sizeof name, "attr_embs.%s", e->relation);
  moire_value x = moire__hybrid_table(m, name, e->n_nodes);
  moire_scope_push(m->g, "conv1.convs.<movie___has_%s___%s>", e->relation, e->relation);
  moire_value y = graph_attention(m, h, x, e->movie, e->node, &alpha[0]);
  moire_scope_pop(m->g);
  y = moire__hybrid_normalize(norm, moire_leaky_relu(y, slope));
  moire_scope_push(m->g, "conv2.convs.<%s___%s_of___movie>", e->relation, e->relation);
  moire_value message = graph_attention(m, y, h, e->node, e->movie, &alpha[1]);
  moire_scope_pop(m->g);
  if (parts) {
    output_part(m, "nodes", e->relation, y);
    output_part(m, "conv1", e->relation, alpha[0]);
    output_part(m, "conv2", e->relation, alpha[1]);
  }
  return message;
}

moire_value moire__hybrid_item_graph(const moire__hybrid *m, bool parts) {
  const char *const *relations = NULL;
  const int64_t *counts = NULL;
  int n = moire_config_strings(m->config, "relations", &relations);
  int n_counts = moire_config_ints(m->config, "edge_counts", &counts);
  moire_scope_push(m->g, "graph_pipeline.item_gnn");
  moire__hybrid_norm norm = moire__hybrid_norm_of(m, "norm");
  moire_value h = movies_of(m), messages = moire_constant(m->g, MOIRE_F32, MOIRE_SHAPE(m->movies, m->width), 0);
  for (int r = 0; r < n && r < n_counts; r++) {
    char name[512];
    snprintf(name, sizeof name, "edges.%s", relations[r]);
    moire_value both = moire_input(m->g, name, MOIRE_I32, MOIRE_SHAPE(2, counts[r]));
    edges e = {.movie = moire_reshape(moire_slice(both, 0, 0, 1), MOIRE_SHAPE(counts[r])),
               .node = moire_reshape(moire_slice(both, 0, 1, 1), MOIRE_SHAPE(counts[r])),
               .n_nodes = moire__hybrid_nodes(m->config, relations[r]),
               .relation = relations[r]};
    moire_value message = messages_of(m, &e, h, norm, parts);
    if (counts[r]) messages = moire_add(messages, message); /* without edges: no message, and no bias */
  }
  moire_value g = moire__hybrid_normalize(norm, moire_add(h, messages));
  moire_scope_pop(m->g);
  if (parts) {
    moire_output(m->g, "movies", h);
    moire_output(m->g, "messages", messages);
  }
  return g;
}

/* ---- users ----------------------------------------------------------------------------------------------- */

moire__hybrid_graph_user moire__hybrid_graph_user_of(const moire__hybrid *m) {
  moire_scope_push(m->g, "graph_pipeline.user_encoder");
  moire__hybrid_graph_user e = {
      .ratings = moire__hybrid_table(m, "rating_emb", moire_config_int(m->config, "num_rating_levels")),
      .times = moire__hybrid_table(m, "time_emb", moire_config_int(m->config, "num_time_buckets")),
      .mha = moire__hybrid_mha_of(m, "mha"),
      .query = moire_parameter(m->g, "user_query", MOIRE_SHAPE(1, 1, m->width), moire_init_normal(0, 1)),
      .norm = moire__hybrid_norm_of(m, "norm")};
  moire_scope_pop(m->g);
  return e;
}

moire__hybrid_scores moire__hybrid_graph_scores(const moire__hybrid *m, const moire__hybrid_graph_user *e,
                                                moire_value items) {
  int64_t d = m->width, heads = moire_config_int(m->config, "num_attention_heads"), c = d / heads;
  moire_value none = {0},
              q = moire_linear(moire_reshape(e->query, MOIRE_SHAPE(1, d)), e->mha.query, e->mha.query_bias);
  q = moire_scale(moire_reshape(q, MOIRE_SHAPE(heads, 1, c)), 1 / sqrt((double)c));
  moire_value key = moire_matmul(q, moire_reshape(e->mha.key, MOIRE_SHAPE(heads, c, d)));
  key = moire_reshape(key, MOIRE_SHAPE(heads, d));
  return (moire__hybrid_scores){.items = moire_linear(items, key, none),
                                .ratings = moire_linear(e->ratings, key, none),
                                .times = moire_linear(e->times, key, none)};
}

moire_value moire__hybrid_user_graph(const moire__hybrid *m, const moire__hybrid_graph_user *e,
                                     moire_value items, const moire__hybrid_scores *scores,
                                     const moire__hybrid_history *h) {
  int64_t d = m->width, heads = moire_config_int(m->config, "num_attention_heads"), c = d / heads;
  moire_value tables[] = {items, e->ratings, e->times}, rows[] = {h->ids, h->ratings, h->times};
  moire_value of[] = {scores->items, scores->ratings, scores->times}, score = {0}, sum = {0};
  for (int i = 0; i < 3; i++) {
    moire_value part = moire_gather(of[i], rows[i]);
    score = i ? moire_add(score, part) : part;
  }
  moire_value p = moire_segment_softmax(score, h->row, h->rows); /* [E, H] */
  for (int i = 0; i < 3; i++) {
    moire_value part = moire_edge_sum(p, tables[i], rows[i], h->row, h->rows);
    sum = i ? moire_add(sum, part) : part;
  }
  moire_value whole = moire_reshape(moire_segment_sum(p, h->row, h->rows), MOIRE_SHAPE(h->rows, heads, 1));
  moire_value bias = moire_mul(whole, moire_reshape(e->mha.value_bias, MOIRE_SHAPE(heads, c)));
  moire_value context = moire_add(project_heads(sum, moire_reshape(e->mha.value, MOIRE_SHAPE(heads, c, d))),
                                  moire_reshape(bias, MOIRE_SHAPE(h->rows, d)));
  return moire__hybrid_normalize(e->norm, moire_linear(context, e->mha.out, e->mha.out_bias));
}

/* ---- the view of items alone ----------------------------------------------------------------------------- */

static void build(moire_graph *g, const moire_config *config) {
  moire__hybrid m = moire__hybrid_begin(g, config);
  moire_value items = moire__hybrid_item_graph(&m, true);
  moire_value target = moire_input(g, "target", MOIRE_F32, MOIRE_SHAPE(m.movies, m.width));
  moire_output(g, "item_graph", items);
  moire_output(g, "loss", moire_mse_loss(items, target, MOIRE_REDUCE_MEAN));
}

static const moire_config_field fields[] = {MOIRE__HYBRID_SIZES, MOIRE__HYBRID_GRAPH};

const moire_model moire_model_hybrid_graph = {.abi = MOIRE_MODEL_ABI,
                                              .task = "ratings",
                                              .name = "hybrid_graph",
                                              .summary = "the graph view of hybrid's items, for its goldens",
                                              .fields = fields,
                                              .n_fields = (int)(sizeof fields / sizeof *fields),
                                              .check = moire__hybrid_check_graph,
                                              .build = build};
