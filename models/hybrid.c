/* Hybrid: recommendations from text, a graph and rated histories.
 *
 * Two views of each item, t from its texts (hybrid_text.c) and g from its graph (hybrid_graph.c), and with them
 * two of a user, u_t and u_g, pooled from the rated history. A gate fuses both, for items and for users alike:
 *
 *     beta = sigmoid(w . tanh(W [t; g] + b) + b'),   f = beta t + (1 - beta) g
 *
 * A user u meets an item by attention over that one key, whose weight is 1 whatever query and key are, so that
 * their projections are never trained:
 *
 *     score(u, i) = MLP((W_o (W_v f_i + b_v) + b_o) * u)
 *     loss = mean of -log sigmoid(score(u, liked) - score(u, other))
 *            + aux_weight * mean over rows of -log softmax over columns of cos(u_t, u_g) / temperature
 *
 * Against all items the user goes to the first layer's weights, (W_1 diag u) a_i: one matrix a user.
 */
#include "models/hybrid.h"

#include <math.h>
#include <stdio.h>

typedef struct predictor {
  moire_value w[3], b[3];
} predictor;

static const char *const layers[] = {"predictor.0", "predictor.3", "predictor.5"};

static predictor predictor_of(const moire__hybrid *m) {
  const int64_t *hidden = NULL;
  moire_config_ints(m->config, "predictor_hidden", &hidden);
  int64_t sizes[] = {m->width, hidden[0], hidden[1], 1};
  predictor p;
  for (int i = 0; i < 3; i++) {
    double bound = 1 / sqrt((double)sizes[i]);
    moire_init start = moire_init_uniform(-bound, bound);
    moire_scope_push(m->g, "%s", layers[i]);
    p.w[i] = moire_parameter(m->g, "weight", MOIRE_SHAPE(sizes[i + 1], sizes[i]), start);
    p.b[i] = moire_parameter(m->g, "bias", MOIRE_SHAPE(sizes[i + 1]), start);
    moire_scope_pop(m->g);
  }
  return p;
}

/* A gate's parameters, used for both items and samples of them. */
typedef struct gate {
  moire_value text, graph, hidden_bias, out, bias;
} gate;

static gate gate_of(const moire__hybrid *m, const char *name) {
  int64_t d = m->width;
  double wide = 1 / sqrt(2 * (double)d), narrow = 1 / sqrt((double)d);
  moire_scope_push(m->g, "%s", name);
  moire_value w = moire_parameter(m->g, "0.weight", MOIRE_SHAPE(d, 2 * d), moire_init_uniform(-wide, wide));
  gate e = {.text = moire_slice(w, 1, 0, d), .graph = moire_slice(w, 1, d, d)};
  e.hidden_bias = moire_parameter(m->g, "0.bias", MOIRE_SHAPE(d), moire_init_uniform(-wide, wide));
  e.out = moire_parameter(m->g, "2.weight", MOIRE_SHAPE(1, d), moire_init_uniform(-narrow, narrow));
  e.bias = moire_parameter(m->g, "2.bias", MOIRE_SHAPE(1), moire_init_uniform(-narrow, narrow));
  moire_scope_pop(m->g);
  return e;
}

/* One view alone is not fused. */
static moire_value fuse(const gate *e, moire_value text, moire_value graph) {
  moire_value none = {0};
  if (moire_value_is_null(text)) return graph;
  if (moire_value_is_null(graph)) return text;
  moire_value hidden = moire_tanh(moire_add(moire_linear(text, e->text, e->hidden_bias),
                                            moire_linear(graph, e->graph, none))); /* W [t; g] + b */
  moire_value beta = moire_sigmoid(moire_linear(hidden, e->out, e->bias));
  return moire_add(graph, moire_mul(beta, moire_sub(text, graph)));
}

/* A f + c, with the one product A = W_o W_v. */
static moire_value attend_one(const moire__hybrid_mha *a, moire_value items) {
  int64_t d = moire_value_dim(a->value_bias, 0);
  moire_value bias = moire_linear(moire_reshape(a->value_bias, MOIRE_SHAPE(1, d)), a->out, a->out_bias);
  return moire_linear(items, moire_matmul(a->out, a->value), moire_reshape(bias, MOIRE_SHAPE(d)));
}

/* users and items [B, D] -> [B] */
static moire_value score(const moire__hybrid *m, const predictor *p, moire_value users, moire_value items) {
  moire_value h = moire_relu(moire_linear(moire_mul(items, users), p->w[0], p->b[0]));
  h = moire_dropout(h, moire_config_real(m->config, "predictor_dropout"));
  h = moire_relu(moire_linear(h, p->w[1], p->b[1]));
  return moire_reshape(moire_linear(h, p->w[2], p->b[2]), MOIRE_SHAPE(moire_value_dim(users, 0)));
}

/* users [U, D], items [M, D] -> [U, M] */
static moire_value score_all(const predictor *p, moire_value users, moire_value items) {
  moire_dim u = moire_value_dim(users, 0), n = moire_value_dim(items, 0), d = moire_value_dim(users, 1);
  moire_value x = moire_mul(p->w[0], moire_reshape(users, MOIRE_SHAPE(u, 1, d))); /* [U, 128, D] */
  x = moire_linear(x, items, (moire_value){0});
  for (int i = 0; i < 3; i++) {
    moire_dim out = moire_value_dim(p->b[i], 0);
    if (i) x = moire_matmul(p->w[i], moire_relu(x));
    x = moire_add(x, moire_reshape(p->b[i], MOIRE_SHAPE(out, 1)));
  }
  return moire_reshape(x, MOIRE_SHAPE(u, n));
}

/* Other rows of the same user are no negatives where duplicates are masked. */
static moire_value contrast(const moire__hybrid *m, moire_value text, moire_value graph, moire_value users) {
  double temperature = moire_config_real(m->config, "temperature");
  if (moire_config_string(m->config, "aux_duplicates")[0] == 'k')
    return moire_info_nce(text, graph, (moire_value){0}, temperature, MOIRE_REDUCE_MEAN);
  moire_dim b = moire_value_dim(users, 0);
  moire_shape all = MOIRE_SHAPE(b, b);
  moire_value same = moire_equal(moire_reshape(users, MOIRE_SHAPE(b, 1)), users);
  moire_value own = moire_equal(moire_iota(m->g, all, 0), moire_iota(m->g, all, 1));
  moire_value lengths[2], views[] = {text, graph};
  for (int i = 0; i < 2; i++) {
    lengths[i] = moire_sqrt(moire_add_scalar(moire_sum(moire_mul(views[i], views[i]), 1, true), 1e-24));
    views[i] = moire_div(views[i], lengths[i]);
  }
  moire_value logits = moire_scale(moire_matmul(views[0], moire_swap_axes(views[1], 0, 1)), 1 / temperature);
  logits = moire_where(moire_and(same, moire_not(own)), moire_constant(m->g, MOIRE_F32, all, -1e30), logits);
  return moire_mean_all(moire_cross_entropy(logits, moire_iota(m->g, MOIRE_SHAPE(b), 0)));
}

/* What was computed of items and parameters alone before: given at every run, or part of a library. */
static moire_value table(const moire__hybrid *m, const char *name, int64_t rows, int64_t width) {
  moire_shape shape = MOIRE_SHAPE(rows, width);
  if (moire_config_string(m->config, "items")[0] == 'i') return moire_input(m->g, name, MOIRE_F32, shape);
  return moire_state(m->g, name, MOIRE_F32, shape, moire_init_constant(0));
}

static moire__hybrid_scores scores_before(const moire__hybrid *m, const char *view, int64_t heads, bool times) {
  const char *const of[] = {"items", "ratings", "times"};
  const int64_t rows[] = {m->movies, moire_config_int(m->config, "num_rating_levels"),
                          moire_config_int(m->config, "num_time_buckets")};
  moire_value tables[3] = {{0}};
  for (int i = 0; i < 2 + times; i++) {
    char name[32];
    snprintf(name, sizeof name, "%s_scores.%s", view, of[i]);
    tables[i] = table(m, name, rows[i], heads);
  }
  return (moire__hybrid_scores){tables[0], tables[1], tables[2]};
}

static void give_scores(const moire__hybrid *m, const char *view, const moire__hybrid_scores *scores) {
  const char *const of[] = {"items", "ratings", "times"};
  const moire_value tables[] = {scores->items, scores->ratings, scores->times};
  for (int i = 0; i < 3 && tables[i].graph; i++) {
    char name[32];
    snprintf(name, sizeof name, "%s_scores.%s", view, of[i]);
    moire_output(m->g, name, tables[i]);
  }
}

/* The views that there are: what they know of items, null for one that is left out, and who looks at them. */
typedef struct views {
  moire_value text, graph;
  moire__hybrid_text_user text_user;
  moire__hybrid_graph_user graph_user;
  moire__hybrid_scores text_scores, graph_scores;
  gate users_gate, items_gate;
} views;

static views views_of(const moire__hybrid *m, bool compute) {
  views v = {0};
  const char *which = moire_config_string(m->config, "views");
  bool text = which[0] != 'g', graph = which[0] != 't';
  if (text) v.text = compute ? moire__hybrid_item_text(m) : table(m, "item_text", m->movies, m->width);
  if (graph)
    v.graph = compute ? moire__hybrid_item_graph(m, false) : table(m, "item_graph", m->movies, m->width);
  if (text) v.text_user = moire__hybrid_text_user_of(m);
  if (graph) v.graph_user = moire__hybrid_graph_user_of(m);
  int64_t heads = moire_config_int(m->config, "num_attention_heads");
  if (text)
    v.text_scores =
        compute ? moire__hybrid_text_scores(m, &v.text_user, v.text) : scores_before(m, "text", 1, false);
  if (graph)
    v.graph_scores = compute ? moire__hybrid_graph_scores(m, &v.graph_user, v.graph)
                             : scores_before(m, "graph", heads, true);
  if (!text || !graph) return v;
  v.users_gate = gate_of(m, "user_fusion_gate");
  v.items_gate = gate_of(m, "item_fusion_gate");
  return v;
}

/* Users by each view, null for one that is left out. */
typedef struct seen {
  moire_value text, graph;
} seen;

static seen see(const moire__hybrid *m, const views *v, const moire__hybrid_history *h) {
  seen u = {0};
  if (!moire_value_is_null(v->text))
    u.text = moire__hybrid_user_text(m, &v->text_user, v->text, &v->text_scores, h);
  if (!moire_value_is_null(v->graph))
    u.graph = moire__hybrid_user_graph(m, &v->graph_user, v->graph, &v->graph_scores, h);
  return u;
}

static moire_value rows_of(moire_value table, moire_value rows) {
  return moire_value_is_null(table) ? table : moire_gather(table, rows);
}

static void output(moire_graph *g, const char *name, moire_value x) {
  if (!moire_value_is_null(x)) moire_output(g, name, x);
}

static void build(moire_graph *g, const moire_config *config) {
  moire__hybrid m = moire__hybrid_begin(g, config);
  int64_t u_size = moire_config_int(config, "user_size");
  m.history = moire_config_int(config, "max_history");
  bool compute = moire_config_string(config, "items")[0] == 'c';
  m.users = u_size || compute ? u_size : moire_extent(g, "B");
  views v = views_of(&m, compute);
  moire__hybrid_inputs in = moire__hybrid_inputs_of(&m, !moire_value_is_null(v.graph));
  moire__hybrid_mha cross = moire__hybrid_mha_of(&m, "cross_attn");
  moire__hybrid_norm_of(&m, "layer_norm"); /* published, and never used */
  predictor p = predictor_of(&m);

  /* Every user against every item. */
  moire__hybrid_history whole = moire__hybrid_history_of(&m, &in);
  seen all = see(&m, &v, &whole);
  moire_value users = fuse(&v.users_gate, all.text, all.graph), items = fuse(&v.items_gate, v.text, v.graph);
  moire_value attended = compute ? attend_one(&cross, items) : table(&m, "attended", m.movies, m.width);
  if (compute) {
    give_scores(&m, "text", &v.text_scores);
    give_scores(&m, "graph", &v.graph_scores);
    output(g, "item_text", v.text);
    output(g, "item_graph", v.graph);
    moire_output(g, "items", items);
    moire_output(g, "attended", attended);
  }
  output(g, "user_text", all.text);
  output(g, "user_graph", all.graph);
  moire_output(g, "users", users);
  moire_output(g, "scores", score_all(&p, users, attended));
  if (!compute) return;

  /* Samples: a user, a liked item and another. */
  moire_dim b = moire_extent(g, "B");
  moire_value rows = moire_input(g, "users", MOIRE_I32, MOIRE_SHAPE(b));
  moire_value chosen[] = {moire_input(g, "positives", MOIRE_I32, MOIRE_SHAPE(b)),
                          moire_input(g, "negatives", MOIRE_I32, MOIRE_SHAPE(b))};
  moire_value hidden = moire_input(g, "hidden", MOIRE_I32, MOIRE_SHAPE(b, m.history)), scores[2];
  moire__hybrid_history part = moire__hybrid_samples_of(&m, &in, rows, hidden);
  seen user = see(&m, &v, &part);
  moire_value u = fuse(&v.users_gate, user.text, user.graph);
  for (int i = 0; i < 2; i++) {
    moire_value item = fuse(&v.items_gate, rows_of(v.text, chosen[i]), rows_of(v.graph, chosen[i]));
    scores[i] = score(&m, &p, u, attend_one(&cross, item));
  }
  moire_value bpr = moire_bpr_loss(scores[0], scores[1], MOIRE_REDUCE_MEAN);
  moire_output(g, "main", bpr);
  if (moire_value_is_null(user.text) || moire_value_is_null(user.graph)) {
    moire_output(g, "loss", bpr); /* one view has nothing to be told from */
    return;
  }
  moire_value aux = contrast(&m, user.text, user.graph, rows);
  moire_output(g, "aux", aux);
  moire_output(g, "loss", moire_add(bpr, moire_scale(aux, moire_config_real(config, "aux_weight"))));
}

static moire_status check(const moire_config *config, moire_error *error) {
  const int64_t *hidden = NULL;
  int64_t width = moire_config_int(config, "hidden_size"),
          heads = moire_config_int(config, "num_attention_heads");
  if (width % heads)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "num_attention_heads: wanted a divisor of hidden_size %d, got %d", (int)width,
                      (int)heads);
  if (moire_config_ints(config, "predictor_hidden", &hidden) != 2)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "predictor_hidden: wanted two widths");
  if (moire_config_int(config, "review_rows") > 0 && !moire_config_int(config, "reviewed_items"))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "reviewed_items: wanted how many items have the %d reviews",
                      (int)moire_config_int(config, "review_rows"));
  bool graph = moire_config_string(config, "views")[0] != 't';
  return graph ? moire__hybrid_check_graph(config, error) : MOIRE_OK;
}

static const moire_config_field fields[] = {
    MOIRE__HYBRID_SIZES,
    MOIRE__HYBRID_TEXT,
    MOIRE__HYBRID_GRAPH,
    {"num_attention_heads", MOIRE_CONFIG_INT, "4", 1, 64, NULL,
     "heads of the graph's history; divides hidden_size"},
    {"num_time_buckets", MOIRE_CONFIG_INT, "64", 1, 65536, NULL, "T: a rating's time, as a part of its user's"},
    {"predictor_hidden", MOIRE_CONFIG_INTS, "[128, 64]", 1, 65536, NULL, "widths of the predictor"},
    {"predictor_dropout", MOIRE_CONFIG_REAL, "0.2", 0, 0.99, NULL, "behind the predictor's first layer"},
    {"temperature", MOIRE_CONFIG_REAL, "0.1", 1e-6, 1e6, NULL, "of the contrast between a user's two views"},
    {"aux_weight", MOIRE_CONFIG_REAL, "0.1", 0, 1e6, NULL, "of that contrast in the loss"},
    {"items", MOIRE_CONFIG_STRING, "compute", 0, 0, "compute|input|state",
     "for serving: items that were encoded before are inputs, or states"},
    {"views", MOIRE_CONFIG_STRING, "both", 0, 0, "both|text|graph",
     "of items and users: one alone has no gates and no contrast"},
    {"aux_duplicates", MOIRE_CONFIG_STRING, "keep", 0, 0, "keep|mask",
     "rows of the same user in a batch: keep as negatives of each other, or mask"}};

const moire_model moire_model_hybrid = {.abi = MOIRE_MODEL_ABI,
                                        .task = "ratings",
                                        .name = "hybrid",
                                        .summary = "text, graph and rated history, fused by gates",
                                        .fields = fields,
                                        .n_fields = (int)(sizeof fields / sizeof *fields),
                                        .check = check,
                                        .build = build};
