/* Scoring users against all items. See ratings.h. */
#include "tasks/ratings/ratings.h"

#include "runtime/base/memory.h"
#include "tasks/gather.h"

#include <inttypes.h>
#include <string.h>

/* What items and parameters alone decide: outputs of the model, and inputs or states where it serves, as far as
 * it has both views. */
static const char *const tables[] = {"item_text",
                                     "item_graph",
                                     "attended",
                                     "text_scores.items",
                                     "text_scores.ratings",
                                     "graph_scores.items",
                                     "graph_scores.ratings",
                                     "graph_scores.times"};
enum { TABLES = sizeof tables / sizeof *tables };

const char *moire__ratings_table(int i) { return i < TABLES ? tables[i] : NULL; }

static int find_tables(const moire__setup *setup, const char **names, moire_error *error) {
  moire_graph *graph = moire__setup_graph(setup, MOIRE_INFERENCE, error);
  int n = 0;
  for (int i = 0; i < TABLES && graph; i++)
    if (moire_graph_find_output(graph, tables[i]).name) names[n++] = tables[i];
  moire_graph_destroy(graph);
  return n;
}

moire_status moire__ratings_vary(const moire__setup *setup, moire__setup *other, const char *items,
                                 int64_t users, moire_error *error) {
  moire__text json = {0}, part = {0};
  moire__config_to_json(setup->config, &json);
  moire_status status = moire__config_table_add_json(&other->table, "the model", json.data, error);
  moire__text_clear(&json);
  moire__config_to_json(setup->training, &json);
  if (!status) status = moire__config_table_add_json(&other->table, "the training", json.data, error);
  moire__text_add(&part, "items=%s", items);
  if (!status) status = moire__config_table_set(&other->table, "--set", part.data, error);
  if (!status) status = moire__setup_add_int(other, "--set", "user_size", users, error);
  other->model = setup->model;
  other->task = setup->task;
  moire__text_free(&json);
  moire__text_free(&part);
  return status ? status : moire__setup_build(other, setup->model->name, error);
}

static moire_program *compile(const moire__setup *setup, const char *items, int64_t users,
                              const char *const *outputs, int n, int threads, moire_error *error) {
  moire__setup other = {0};
  moire_program *program = NULL;
  if (!moire__ratings_vary(setup, &other, items, users, error))
    program = moire__setup_compile(&other, outputs, n, threads, error);
  moire__setup_free(&other);
  return program;
}

moire_status moire__ratings_scoring_compile(moire__ratings_scoring *s, const moire__setup *setup, int64_t batch,
                                            int threads, moire_error *error) {
  static const char *const scores[] = {"scores"};
  s->batch = batch;
  s->n_items = moire_config_int(setup->config, "item_size");
  s->history = moire_config_int(setup->config, "max_history");
  const char *names[TABLES];
  int n = find_tables(setup, names, error);
  s->items = n ? compile(setup, "compute", 1, names, n, threads, error) : NULL;
  s->users = s->items ? compile(setup, "input", 0, scores, 1, threads, error) : NULL;
  return s->users ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

moire_status moire__ratings_scoring_open(moire__ratings_scoring *s, const moire__ratings *data,
                                         moire_store *store, uint64_t seed, moire_threads *threads,
                                         moire_error *error) {
  s->data = data;
  const moire_plan *items = moire_program_plan(s->items), *users = moire_program_plan(s->users);
  moire_status status = moire_store_declare(store, items, seed, error);
  if (!status) status = moire_store_declare(store, users, seed, error);
  if (status) return status;
  s->item_runner = moire_runner_create(items, store, threads, error);
  s->user_runner = s->item_runner ? moire_runner_create(users, store, threads, error) : NULL;
  return s->user_runner ? moire_runner_set_extent(s->item_runner, "B", 1, error) : MOIRE_ERROR_ARGUMENT;
}

void moire__ratings_scoring_free(moire__ratings_scoring *s) {
  moire_runner_destroy(s->item_runner);
  moire_runner_destroy(s->user_runner);
  moire_program_destroy(s->items);
  moire_program_destroy(s->users);
  *s = (moire__ratings_scoring){0};
}

moire_status moire__ratings_scoring_begin(moire__ratings_scoring *s, moire_error *error) {
  moire_status status = moire__ratings_give_items(s->data, s->item_runner, error);
  if (!status) status = moire_runner_run(s->item_runner, error);
  for (int i = 0; i < TABLES && !status; i++) {
    int64_t n = 0;
    if (!moire_runner_has_input(s->user_runner, tables[i])) continue;
    const void *table = moire_runner_output(s->item_runner, tables[i], &n);
    status = moire_runner_set_input(s->user_runner, tables[i], table, n, error);
  }
  return status;
}

/* The histories of a batch, in arrays of its own. */
typedef struct batch_of {
  int32_t *values[4]; /* ids, ratings, times, mask */
} batch_of;

static moire_status score_batch(moire__ratings_scoring *s, const int32_t *rows, int64_t n, batch_of *b,
                                moire_error *error) {
  static const char *const names[] = {"history_ids", "history_ratings", "history_times", "history_mask"};
  const moire__ratings_histories *h = &s->data->histories;
  const int32_t *from[] = {h->ids, h->ratings, h->times, h->mask};
  size_t width = (size_t)s->history;
  moire_status status = moire_runner_set_extent(s->user_runner, "B", n, error);
  for (int k = 0; k < 4 && !status; k++) {
    if (!moire_runner_has_input(s->user_runner, names[k])) continue; /* texts know no times */
    for (int64_t i = 0; i < n; i++)
      memcpy(b->values[k] + (size_t)i * width, from[k] + (size_t)rows[i] * width, width * sizeof(int32_t));
    status = moire_runner_set_input(s->user_runner, names[k], b->values[k], n * s->history, error);
  }
  return status ? status : moire_runner_run(s->user_runner, error);
}

moire_status moire__ratings_lists(moire__ratings_scoring *s, const int32_t *rows, int64_t n, int top,
                                  int32_t *items, float *scores, moire_error *error) {
  batch_of b;
  for (int k = 0; k < 4; k++)
    b.values[k] = moire__allocate_array((size_t)(s->batch * s->history), sizeof(int32_t));
  moire_status status = moire__ratings_scoring_begin(s, error);
  for (int64_t first = 0; first < n && !status; first += s->batch) {
    int64_t many = n - first < s->batch ? n - first : s->batch;
    status = score_batch(s, rows + first, many, &b, error);
    const float *all = status ? NULL : moire_runner_output(s->user_runner, "scores", NULL);
    for (int64_t i = 0; i < many && all; i++) {
      const float *own = all + i * s->n_items;
      int32_t *list = items + (first + i) * top;
      moire__list_best(own, s->data->seen + rows[first + i] * s->n_items, s->n_items, top, list);
      for (int j = 0; j < top && scores; j++) scores[(first + i) * top + j] = list[j] < 0 ? 0 : own[list[j]];
    }
  }
  for (int k = 0; k < 4; k++) moire__release(b.values[k]);
  return status;
}

void moire__ratings_tested(const moire__ratings *data, const moire__ratings_events *e, int32_t **rows,
                           uint8_t **relevant, int64_t *n) {
  int64_t n_items = data->items.ids.n;
  *rows = moire__allocate_array((size_t)e->n_users + 1, sizeof **rows);
  *relevant = moire__allocate_array((size_t)(e->n_users * n_items) + 1, 1);
  *n = 0;
  for (int64_t u = 0; u < e->n_users; u++) {
    bool any = false;
    for (int64_t i = e->first[u]; i < e->first[u + 1]; i++) {
      bool liked = e->ratings[i] >= MOIRE__RATINGS_LIKED;
      if (liked) (*relevant)[*n * n_items + e->items[i]] = 1;
      any = any || liked;
    }
    if (any) (*rows)[(*n)++] = (int32_t)u;
  }
}

moire_status moire__ratings_collect(moire__ratings_scoring *s, const moire__ratings_events *events,
                                    moire__part *part, moire__terms *terms, moire_error *error) {
  const moire__ratings *d = s->data;
  int32_t *rows = NULL;
  uint8_t *relevant = NULL;
  int64_t all = 0, first = 0, n = 0;
  moire__ratings_tested(d, events, &rows, &relevant, &all);
  moire__part_take(part, MOIRE__PART_TERMS, "user", all, 1, &first, &n);
  int32_t *items = moire__allocate_array((size_t)(n * MOIRE__RATINGS_TOP) + 1, sizeof *items);
  moire_status status =
      all ? MOIRE_OK
          : moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: no user has a rating of %d or more to be tested with",
                       d->path, MOIRE__RATINGS_LIKED);
  if (!status) status = moire__ratings_lists(s, rows + first, n, MOIRE__RATINGS_TOP, items, NULL, error);
  const moire__lists lists = {n,
                              d->items.ids.n,
                              d->items.n_genres,
                              d->train.n_users,
                              items,
                              relevant + first * d->items.ids.n,
                              d->popularity,
                              d->items.n_genres ? d->items.genres : NULL};
  if (!status) moire__lists_collect(&lists, terms);
  moire__release(items);
  moire__release(relevant);
  moire__release(rows);
  return status;
}

moire_status moire__ratings_measure(moire__ratings_scoring *s, const moire__ratings_events *events,
                                    moire__team *team, moire__measures *measures, moire_error *error) {
  moire__terms terms = {0};
  moire__part part;
  moire_status status = moire__ratings_collect(s, events, moire__gather_part(team, &part), &terms, error);
  if (!status) status = moire__gather_measures(team, &terms, moire__lists_measured_of, measures, error);
  moire__terms_free(&terms);
  return status;
}
