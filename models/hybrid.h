/* The hybrid recommender: what its files share. The equations stand at the head of each file; hybrid.c is the
 * whole. Parameters get the names of the published PyTorch state dict.
 *
 * M movies, U users, S history positions, R review slots, B samples of a step, D the width. All but B are
 * fixed: the data say them, and so does the configuration of a trained model. Where items were encoded before,
 * U may be the named extent "B".
 */
#ifndef MOIRE_MODELS_HYBRID_H
#define MOIRE_MODELS_HYBRID_H

#include "moire/graph.h"
#include "moire/model.h"

typedef struct moire__hybrid {
  moire_graph *g;
  const moire_config *config; /* borrows */
  int64_t movies, history, width;
  moire_dim users;
} moire__hybrid;

/* Inputs i32[.., S]: a row a user. Positions whose mask is 0 take no part. */
typedef struct moire__hybrid_inputs {
  moire_value ids, ratings, times, mask; /* times may be null */
} moire__hybrid_inputs;

/* Rated histories as edges from positions to rows. */
typedef struct moire__hybrid_history {
  moire_dim rows;
  moire_value ids, ratings, times; /* i32[rows * S]; times may be null */
  moire_value row;                 /* i32[rows * S]: the row of a valid position, -1 elsewhere */
} moire__hybrid_history;

enum { MOIRE__HYBRID_RELATIONS = 16, MOIRE__HYBRID_FEATURES = 64 }; /* at most */

moire__hybrid moire__hybrid_begin(moire_graph *g, const moire_config *config);

/* ---- layers ---------------------------------------------------------------------------------------------- */

/* x W^T + b with the parameters "<name>.weight" [out, in] and, unless `bias` is false, "<name>.bias" [out]. */
moire_value moire__hybrid_linear(const moire__hybrid *m, const char *name, moire_value x, int64_t out,
                                 bool bias);
/* LayerNorm's "<name>.weight" and "<name>.bias". */
typedef struct moire__hybrid_norm {
  moire_value gain, bias;
} moire__hybrid_norm;
moire__hybrid_norm moire__hybrid_norm_of(const moire__hybrid *m, const char *name);
moire_value moire__hybrid_normalize(moire__hybrid_norm norm, moire_value x);
/* A table of embeddings, "<name>.weight" [rows, D]. */
moire_value moire__hybrid_table(const moire__hybrid *m, const char *name, int64_t rows);
/* Parameters of an attention as PyTorch has them: in_proj_weight, in_proj_bias, out_proj.weight and .bias. */
typedef struct moire__hybrid_mha {
  moire_value query, key, value, out;           /* [D, D] */
  moire_value query_bias, value_bias, out_bias; /* [D]; a key's bias changes no weight */
} moire__hybrid_mha;
moire__hybrid_mha moire__hybrid_mha_of(const moire__hybrid *m, const char *name);
/* Inputs history_ids, history_ratings, history_times (where `times`) and history_mask, i32[U, S]. */
moire__hybrid_inputs moire__hybrid_inputs_of(const moire__hybrid *m, bool times);
moire__hybrid_history moire__hybrid_history_of(const moire__hybrid *m, const moire__hybrid_inputs *in);
/* The rows of these users, i32[B], but for the positions that are hidden, i32[B, S]. */
moire__hybrid_history moire__hybrid_samples_of(const moire__hybrid *m, const moire__hybrid_inputs *in,
                                               moire_value users, moire_value hidden);

/* ---- the two views --------------------------------------------------------------------------------------- */

moire_value moire__hybrid_item_text(const moire__hybrid *m);              /* t [M, D] */
moire_value moire__hybrid_item_graph(const moire__hybrid *m, bool parts); /* g [M, D]; parts as outputs */

/* The users of both: parameters, which are declared once, and what they make of histories. */
typedef struct moire__hybrid_text_user {
  moire_value query, key, value, value_bias, ratings;
  moire__hybrid_norm norm;
} moire__hybrid_text_user;
moire__hybrid_text_user moire__hybrid_text_user_of(const moire__hybrid *m);
/* What attention over a history gives to an item, a rating and a time: [n, heads] each. Text has no times. */
typedef struct moire__hybrid_scores {
  moire_value items, ratings, times;
} moire__hybrid_scores;
moire__hybrid_scores moire__hybrid_text_scores(const moire__hybrid *m, const moire__hybrid_text_user *e,
                                               moire_value items);
moire_value moire__hybrid_user_text(const moire__hybrid *m, const moire__hybrid_text_user *e, moire_value items,
                                    const moire__hybrid_scores *scores,
                                    const moire__hybrid_history *h); /* u_t [rows, D] */

typedef struct moire__hybrid_graph_user {
  moire_value query, ratings, times;
  moire__hybrid_mha mha;
  moire__hybrid_norm norm;
} moire__hybrid_graph_user;
moire__hybrid_graph_user moire__hybrid_graph_user_of(const moire__hybrid *m);
moire__hybrid_scores moire__hybrid_graph_scores(const moire__hybrid *m, const moire__hybrid_graph_user *e,
                                                moire_value items);
moire_value moire__hybrid_user_graph(const moire__hybrid *m, const moire__hybrid_graph_user *e,
                                     moire_value items, const moire__hybrid_scores *scores,
                                     const moire__hybrid_history *h); /* u_g [rows, D] */

/* The nodes of a relation, by "relation=nodes" of the key node_counts; -1 if it is not there. */
int64_t moire__hybrid_nodes(const moire_config *config, const char *relation);
moire_status moire__hybrid_check_graph(const moire_config *config, moire_error *error);

/* Keys that all models of the family have: sizes that the data say. */
#define MOIRE__HYBRID_SIZES                                                                                    \
  {"hidden_size", MOIRE_CONFIG_INT, "384", 1, 65536, NULL, "width D; that of the text embeddings"},            \
      {"item_size", MOIRE_CONFIG_INT, "null", 0, 16777215, NULL, "items M; the data say it"}
#define MOIRE__HYBRID_TEXT                                                                                       \
  {"review_hidden", MOIRE_CONFIG_INT, "128", 1, 65536, NULL, "width of what scores reviews"},                    \
      {"gate_hidden", MOIRE_CONFIG_INT, "64", 1, 65536, NULL, "width of the gate between overview and reviews"}, \
      {"num_rating_levels", MOIRE_CONFIG_INT, "6", 2, 1001, NULL, "ratings are 0 to this, 0 being none"},        \
      {"attention_dropout", MOIRE_CONFIG_REAL, "0.1", 0, 0.99, NULL, "of the weights of a history's text"},      \
      {"user_size", MOIRE_CONFIG_INT, "null", 0, 16777215, NULL, "users U; the data say it"},                    \
      {"max_history", MOIRE_CONFIG_INT, "50", 1, 65536, NULL, "positions S: a user's last ratings"},             \
      {"review_slots", MOIRE_CONFIG_INT, "null", 0, 65536, NULL, "reviews of an item at most; the data say it"}, \
      {"review_rows",                                                                                            \
       MOIRE_CONFIG_INT,                                                                                         \
       "null",                                                                                                   \
       0,                                                                                                        \
       16777215,                                                                                                 \
       NULL,                                                                                                     \
       "reviews as a list of so many rows; 0: in slots"},                                                        \
      {"reviewed_items",                                                                                         \
       MOIRE_CONFIG_INT,                                                                                         \
       "null",                                                                                                   \
       0,                                                                                                        \
       16777215,                                                                                                 \
       NULL,                                                                                                     \
       "items that the list has reviews of; the data say it"}
#define MOIRE__HYBRID_GRAPH                                                                                      \
  {"gat_heads", MOIRE_CONFIG_INT, "2", 1, 64, NULL, "heads of the graph attention; divides hidden_size"},        \
      {"relations",                                                                                              \
       MOIRE_CONFIG_STRINGS,                                                                                     \
       "[genre, director, keyword, writer]",                                                                     \
       0,                                                                                                        \
       0,                                                                                                        \
       NULL,                                                                                                     \
       "the relations of the graph; names are the data's"},                                                      \
      {"context_sizes", MOIRE_CONFIG_INTS, "[]", 1, 16777215, NULL, "buckets of each feature; the data say it"}, \
      {"node_counts", MOIRE_CONFIG_STRINGS, "[]", 0, 0, NULL, "relation=nodes of each; the data say it"},        \
      {"edge_counts", MOIRE_CONFIG_INTS, "[]", 0, 16777215, NULL, "edges of each relation; the data say it"}

#endif
