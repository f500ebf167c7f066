/* What a model of ratings is trained on and asked about: who rated what and when, and what items are.
 *
 * Items and users are numbered from 0: items in the order of the catalogue (row 0 is a real item), users in the
 * order in which the training's ratings name them. docs/ratings.md says what files there are.
 */
#ifndef MOIRE_TASKS_RATINGS_DATA_H
#define MOIRE_TASKS_RATINGS_DATA_H

#include "moire/model.h"
#include "tasks/interactions/interactions.h"

enum {
  MOIRE__RATINGS_RELATIONS = 16,
  MOIRE__RATINGS_FEATURES = 32,
  MOIRE__RATINGS_LIKED = 4 /* from here on */
};

/* Ratings, user after user, each user's by time. */
typedef struct moire__ratings_events {
  int64_t n_users, n;
  int64_t *first;           /* [n_users + 1] */
  int32_t *items, *ratings; /* [n] */
  double *times;            /* [n] */
} moire__ratings_events;

/* Padded histories [n, S]: what a model is given of a user. */
typedef struct moire__ratings_histories {
  int64_t n, length;
  int32_t *ids, *ratings, *times, *mask;
} moire__ratings_histories;

typedef struct moire__ratings_items {
  moire__id_names ids; /* what the files call them */
  int n_genres;
  uint8_t *genres; /* [n, n_genres] */
  int n_features;
  int64_t feature_sizes[MOIRE__RATINGS_FEATURES];
  int32_t *context; /* [n, n_features] */
  int n_relations;
  const char *relations[MOIRE__RATINGS_RELATIONS]; /* borrows of the configuration */
  int64_t node_counts[MOIRE__RATINGS_RELATIONS], edge_counts[MOIRE__RATINGS_RELATIONS];
  int32_t *edges[MOIRE__RATINGS_RELATIONS]; /* [2, edges]: items, nodes */
  /* What files call nodes, features, and their values from bucket 1 on, where these are no numbers. `known`: a
   * trained model has said so. */
  bool known;
  moire__id_names nodes[MOIRE__RATINGS_RELATIONS], feature_names, buckets[MOIRE__RATINGS_FEATURES];
  int64_t width, n_reviews, n_reviewed;
  float *overview;       /* [n, width] */
  float *reviews;        /* [n_reviews, width] */
  int32_t *reviewed;     /* [n_reviewed]: the items that have reviews */
  int32_t *review_items; /* [n_reviews]: a review's item, as a place in `reviewed` */
} moire__ratings_items;

typedef struct moire__ratings {
  const char *path; /* of the training's ratings; the arena of `paths` */
  moire__id_names users;
  moire__ratings_items items;
  moire__ratings_events train, test, valid; /* test and valid by the training's users */
  moire__ratings_histories histories;       /* of the training's users */
  int64_t n_positives;
  int32_t *positives;    /* [n_positives, 2]: user, item, rated MOIRE__RATINGS_LIKED or more */
  uint8_t *seen, *liked; /* [n_users, n_items]: rated in training at all; liked there */
  int32_t *popularity;   /* [n_items]: ratings in training */
  uint64_t fingerprint;
  char *text; /* paths */
} moire__ratings;

typedef struct moire__ratings_options {
  const char *split, *test; /* of the files; a file of its own, or NULL */
  int max_history, time_buckets, levels, valid_per_user;
  bool texts, graph; /* wanted of the items: embeddings of `width`; context and graph, with `relations` */
  int64_t width;
  const char *const *relations;
  int n_relations;
  const char *folder;      /* of what items are; NULL: that of the ratings */
  const char *map, *names; /* items of a trained model, and its nodes and features (items.h), or NULL */
} moire__ratings_options;

/* *out is owned: moire__ratings_free. */
moire_status moire__ratings_read(const char *path, const moire__ratings_options *options, moire__ratings **out,
                                 moire_error *error);
void moire__ratings_free(moire__ratings *data); /* NULL is fine */

/* Items: the catalogue; then texts, features and graph. */
moire_status moire__ratings_read_catalogue(const char *folder, moire__ratings_items *items, moire_error *error);
moire_status moire__ratings_read_features(const char *folder, const moire__ratings_options *options,
                                          moire__ratings_items *items, moire_error *error);
void moire__ratings_items_free(moire__ratings_items *items);

/* Histories of the events' users: the last `length` ratings each, times as buckets of all the user's. */
moire__ratings_histories moire__ratings_histories_of(const moire__ratings_events *events, int64_t length,
                                                     int buckets);
void moire__ratings_histories_free(moire__ratings_histories *h);
void moire__ratings_events_free(moire__ratings_events *events);

#endif
