/* The text view of the hybrid recommender.
 *
 * Items: overview o and reviews v are fixed embeddings; a movie without reviews is its overview.
 *
 *     s_r = w2 . relu(W1 v_r + b1),  a = softmax over a movie's reviews,  h = sum of a_r v_r
 *     alpha = sigmoid(w4 . relu(W3 [o; h] + b3) + b4), 1 without reviews
 *     t = LN(alpha o + (1 - alpha) h) = LN(o + (1 - alpha) (h - o))
 *
 * Where reviews come as a list, all but the last is computed of the items that have some.
 *
 * Users: x = t[id] + E[rating] of each rated position,
 *
 *     p = dropout(softmax of q . (W_k x + b_k) / sqrt D),   u = LN(sum of p (W_v x + b_v))
 *
 * q . (W_k x) is (W_k^T q) . x, one number an item and one a rating, and b_k adds the same to all scores of a
 * row, which changes no softmax. A sum of projections is the projection of the sum: what is summed up are rows
 * of t and E, and b_v is counted by the sum of p, which is 1, or 0 in a row with nothing, or what dropout
 * leaves.
 */
#include "models/hybrid.h"

#include <math.h>

/* Reviews as rows of a list, and the item of each among those that have reviews, -1 where a slot is empty. */
typedef struct reviews {
  moire_value rows, item; /* [R, D]; i32[R]. Without reviews: null */
  moire_value items;      /* i32[n]: the rows of those items; null: all, in order */
  int64_t n;
} reviews;

static reviews reviews_of(const moire__hybrid *m) {
  int64_t slots = moire_config_int(m->config, "review_slots"),
          rows = moire_config_int(m->config, "review_rows"), n = moire_config_int(m->config, "reviewed_items");
  if (rows)
    return (reviews){.rows = moire_input(m->g, "reviews", MOIRE_F32, MOIRE_SHAPE(rows, m->width)),
                     .item = moire_input(m->g, "review_items", MOIRE_I32, MOIRE_SHAPE(rows)),
                     .items = moire_input(m->g, "reviewed", MOIRE_I32, MOIRE_SHAPE(n)),
                     .n = n};
  if (!slots) return (reviews){.n = 0};
  moire_shape shape = MOIRE_SHAPE(m->movies, slots), list = MOIRE_SHAPE(m->movies * slots);
  moire_value all = moire_input(m->g, "reviews", MOIRE_F32, MOIRE_SHAPE(m->movies, slots, m->width));
  moire_value mask = moire_input(m->g, "review_mask", MOIRE_I32, shape);
  moire_value there = moire_less(moire_constant(m->g, MOIRE_I32, shape, 0), mask);
  moire_value item = moire_where(there, moire_iota(m->g, shape, 0), moire_constant(m->g, MOIRE_I32, shape, -1));
  return (reviews){.rows = moire_reshape(all, MOIRE_SHAPE(list.dims[0], m->width)),
                   .item = moire_reshape(item, list),
                   .n = m->movies};
}

/* What to take of the overview, [n, 1], and h. */
static moire_value gate(const moire__hybrid *m, moire_value overview, const reviews *r, moire_value *summary) {
  int64_t rows = moire_value_dim(r->rows, 0), n = r->n;
  moire_scope_push(m->g, "review_agg.query");
  moire_value hidden =
      moire_relu(moire__hybrid_linear(m, "0", r->rows, moire_config_int(m->config, "review_hidden"), true));
  moire_value score = moire_reshape(moire__hybrid_linear(m, "2", hidden, 1, false), MOIRE_SHAPE(rows));
  moire_scope_pop(m->g);
  moire_value weight = moire_segment_softmax(score, r->item, n);
  moire_value list = moire_iota(m->g, MOIRE_SHAPE(rows), 0);
  *summary = moire_edge_sum(weight, r->rows, list, r->item, n);
  moire_scope_push(m->g, "gate_net");
  moire_value both = moire_concat((moire_value[]){overview, *summary}, 2, 1);
  both = moire_relu(moire__hybrid_linear(m, "0", both, moire_config_int(m->config, "gate_hidden"), true));
  moire_value alpha = moire_sigmoid(moire__hybrid_linear(m, "2", both, 1, true));
  moire_scope_pop(m->g);
  moire_value one = moire_constant(m->g, MOIRE_F32, MOIRE_SHAPE(rows), 1);
  moire_value count = moire_reshape(moire_segment_sum(one, r->item, n), MOIRE_SHAPE(n, 1));
  moire_value has = moire_less(moire_constant(m->g, MOIRE_F32, MOIRE_SHAPE(n, 1), 0), count);
  return moire_where(has, alpha, moire_constant(m->g, MOIRE_F32, MOIRE_SHAPE(n, 1), 1));
}

moire_value moire__hybrid_item_text(const moire__hybrid *m) {
  moire_value summary = {0};
  moire_value x = moire_input(m->g, "overview", MOIRE_F32, MOIRE_SHAPE(m->movies, m->width));
  reviews r = reviews_of(m);
  moire_scope_push(m->g, "text_pipeline.item_encoder");
  if (r.n) {
    moire_value own = r.items.graph ? moire_gather(x, r.items) : x;
    moire_value alpha = gate(m, own, &r, &summary);
    moire_value one = moire_constant(m->g, MOIRE_F32, MOIRE_SHAPE(r.n, 1), 1);
    moire_value change = moire_mul(moire_sub(one, alpha), moire_sub(summary, own));
    x = moire_add(x, r.items.graph ? moire_segment_sum(change, r.items, m->movies) : change);
  }
  moire_value t = moire__hybrid_normalize(moire__hybrid_norm_of(m, "norm"), x);
  moire_scope_pop(m->g);
  return t;
}

moire__hybrid_text_user moire__hybrid_text_user_of(const moire__hybrid *m) {
  int64_t d = m->width;
  double bound = 1 / sqrt((double)d);
  moire_init uniform = moire_init_uniform(-bound, bound);
  moire_scope_push(m->g, "text_pipeline.user_encoder");
  moire__hybrid_text_user e = {
      .query = moire_parameter(m->g, "user_query", MOIRE_SHAPE(1, d), moire_init_normal(0, 1)),
      .ratings = moire__hybrid_table(m, "rating_emb", moire_config_int(m->config, "num_rating_levels")),
      .key = moire_parameter(m->g, "key_layer.weight", MOIRE_SHAPE(d, d), uniform)};
  moire_parameter(m->g, "key_layer.bias", MOIRE_SHAPE(d), uniform);
  e.value = moire_parameter(m->g, "value_layer.weight", MOIRE_SHAPE(d, d), uniform);
  e.value_bias = moire_parameter(m->g, "value_layer.bias", MOIRE_SHAPE(d), uniform);
  e.norm = moire__hybrid_norm_of(m, "norm");
  moire_scope_pop(m->g);
  return e;
}

moire__hybrid_scores moire__hybrid_text_scores(const moire__hybrid *m, const moire__hybrid_text_user *e,
                                               moire_value items) {
  moire_value key = moire_scale(moire_matmul(e->query, e->key), 1 / sqrt((double)m->width)); /* [1, D] */
  moire_value none = {0};
  return (moire__hybrid_scores){.items = moire_linear(items, key, none),
                                .ratings = moire_linear(e->ratings, key, none)};
}

moire_value moire__hybrid_user_text(const moire__hybrid *m, const moire__hybrid_text_user *e, moire_value items,
                                    const moire__hybrid_scores *scores, const moire__hybrid_history *h) {
  moire_value none = {0};
  moire_value score = moire_add(moire_gather(scores->items, h->ids), moire_gather(scores->ratings, h->ratings));
  moire_value p = moire_segment_softmax(score, h->row, h->rows);
  p = moire_reshape(moire_dropout(p, moire_config_real(m->config, "attention_dropout")),
                    moire_value_shape(h->row));
  moire_value sum = moire_add(moire_edge_sum(p, items, h->ids, h->row, h->rows),
                              moire_edge_sum(p, e->ratings, h->ratings, h->row, h->rows));
  moire_value whole = moire_reshape(moire_segment_sum(p, h->row, h->rows), MOIRE_SHAPE(h->rows, 1));
  return moire__hybrid_normalize(e->norm,
                                 moire_add(moire_linear(sum, e->value, none), moire_mul(whole, e->value_bias)));
}

/* ---- the view alone -------------------------------------------------------------------------------------- */

static void build(moire_graph *g, const moire_config *config) {
  moire__hybrid m = moire__hybrid_begin(g, config);
  m.users = moire_config_int(config, "user_size");
  m.history = moire_config_int(config, "max_history");
  moire_value items = moire__hybrid_item_text(&m);
  moire__hybrid_inputs in = moire__hybrid_inputs_of(&m, false);
  moire__hybrid_history history = moire__hybrid_history_of(&m, &in);
  moire__hybrid_text_user encoder = moire__hybrid_text_user_of(&m);
  moire__hybrid_scores scores = moire__hybrid_text_scores(&m, &encoder, items);
  moire_value users = moire__hybrid_user_text(&m, &encoder, items, &scores, &history);
  moire_value target = moire_input(g, "target", MOIRE_F32, MOIRE_SHAPE(m.users, m.width));
  moire_output(g, "item_text", items);
  moire_output(g, "user_text", users);
  moire_output(g, "loss", moire_mse_loss(users, target, MOIRE_REDUCE_MEAN));
}

static const moire_config_field fields[] = {MOIRE__HYBRID_SIZES, MOIRE__HYBRID_TEXT};

const moire_model moire_model_hybrid_text = {.abi = MOIRE_MODEL_ABI,
                                             .task = "ratings",
                                             .name = "hybrid_text",
                                             .summary = "the text view of hybrid, for its goldens",
                                             .fields = fields,
                                             .n_fields = (int)(sizeof fields / sizeof *fields),
                                             .build = build};
