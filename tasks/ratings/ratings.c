/* The task of recommenders that go by rated histories, texts and a graph: its row. */
#include "tasks/ratings/ratings.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "runtime/train/log.h"
#include "runtime/train/trainer_fields.h"
#include "tasks/ratings/measure.h"
#include "tasks/values.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const moire_config_field keys[] = {
    MOIRE__TRAINER_FIELDS("folder of ratings, features, texts and a graph; --data replaces it", "10",
                          "1000000"),
    {"item_data", MOIRE_CONFIG_STRING, "\"\"", 0, 0, NULL,
     "folder of what items are, where the ratings are in no folder with them"},
    {"split", MOIRE_CONFIG_STRING, "u1", 0, 0, NULL,
     "SPLIT.base and SPLIT.test of the data are trained on and tested"},
    {"history_mask_prob", MOIRE_CONFIG_REAL, "0.1", 0, 1, NULL, "with which a position of a history is hidden"},
    {"history_leak", MOIRE_CONFIG_STRING, "held_out", 0, 0, "held_out|notebook",
     "whether the position of the liked item itself is hidden too"},
    {"negatives", MOIRE_CONFIG_STRING, "unliked", 0, 0, "unliked|unseen",
     "what is drawn as an item that is not liked"},
    {"valid_per_user", MOIRE_CONFIG_INT, "0", 0, 1000, NULL,
     "last liked ratings held out of training to validate with"},
    {"stop_metric", MOIRE_CONFIG_STRING, "NDCG@10", 0, 0, NULL, "what the best epoch is best in"},
    {"eval_batch_size", MOIRE_CONFIG_INT, "16", 1, 1000000, NULL, "users that are scored at once"},
    MOIRE__TRAINER_SWITCHES};

static const moire__task_need needs[] = {{"item_size", MOIRE_CONFIG_INT}, {"hidden_size", MOIRE_CONFIG_INT}};

/* Those of all[0 .. n_all) that the model has in this mode: a view alone has no scores, or no contrast. */
static const char *const *outputs_of(const moire__setup *setup, moire_mode mode, const char *const *all,
                                     int n_all, moire__arena *arena, int *n, moire_error *error) {
  moire_graph *graph = moire__setup_graph(setup, mode, error);
  if (!graph) return NULL;
  const char **names = moire__arena_array(arena, (size_t)n_all, sizeof *names);
  *n = 0;
  for (int i = 0; i < n_all; i++)
    if (moire_graph_find_output(graph, all[i]).name) names[(*n)++] = all[i];
  moire_graph_destroy(graph);
  return names;
}

static const char *const *served(const moire__setup *setup, moire__arena *arena, int *n, moire_error *error) {
  static const char *const all[] = {"scores"};
  return outputs_of(setup, MOIRE_INFERENCE, all, 1, arena, n, error);
}

static const char *const *step(const moire__setup *setup, moire__arena *arena, int *n, moire_error *error) {
  static const char *const all[] = {"loss", "main", "aux"};
  return outputs_of(setup, MOIRE_TRAINING, all, 3, arena, n, error);
}

/* ---- sizes that a golden's inputs say -------------------------------------------------------------------- */

static moire_status say(moire__setup *setup, const moire__safetensors *file, const char *key,
                        const char *tensor, int axis, moire_error *error) {
  const moire__st_tensor *t = moire__safetensors_find(file, tensor);
  if (!t || t->rank <= axis || moire__config_table_find(&setup->table, key)) return MOIRE_OK;
  return moire__setup_add_int(setup, moire__safetensors_path(file), key, t->shape[axis], error);
}

static moire_status say_edges(moire__setup *setup, const moire__safetensors *file, moire_error *error) {
  const moire__config_entry *relations = moire__config_table_find(&setup->table, "relations");
  if (!relations || !relations->values || moire__config_table_find(&setup->table, "edge_counts"))
    return MOIRE_OK;
  moire__text text = {0}, name = {0};
  moire__text_add(&text, "edge_counts=[");
  bool all = true;
  for (int i = 0; i < relations->n; i++) {
    moire__text_clear(&name);
    moire__text_add(&name, "input/edges.%s", relations->values[i].text);
    const moire__st_tensor *t = moire__safetensors_find(file, name.data);
    all = all && t && t->rank == 2;
    moire__text_add(&text, "%s%" PRId64, i ? ", " : "", all ? t->shape[1] : 0);
  }
  moire__text_add(&text, "]");
  moire_status status =
      all ? moire__config_table_set(&setup->table, moire__safetensors_path(file), text.data, error) : MOIRE_OK;
  moire__text_free(&text);
  moire__text_free(&name);
  return status;
}

static moire_status complete(moire__setup *setup, const moire__safetensors *file, moire_error *error) {
  static const struct {
    const char *key, *tensor;
    int axis;
  } sizes[] = {{"item_size", "input/overview", 0},
               {"item_size", "input/context", 0},
               {"user_size", "input/history_ids", 0},
               {"max_history", "input/history_ids", 1},
               {"review_slots", "input/reviews", 1}};
  moire_status status = MOIRE_OK;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes && !status; i++) {
    bool known = false;
    for (int f = 0; f < setup->model->n_fields; f++)
      known = known || !strcmp(setup->model->fields[f].key, sizes[i].key);
    if (known) status = say(setup, file, sizes[i].key, sizes[i].tensor, sizes[i].axis, error);
  }
  return status ? status : say_edges(setup, file, error);
}

/* Whole numbers of a golden's input are rows of something; of edges, movies come first and then nodes. */
static moire_status check_input(const moire__setup *setup, const char *path, const char *name,
                                const double *values, int64_t n, moire_error *error) {
  static const struct {
    const char *input, *key;
  } rows[] = {{"input/history_ids", "item_size"},
              {"input/positives", "item_size"},
              {"input/negatives", "item_size"},
              {"input/users", "user_size"},
              {"input/history_ratings", "num_rating_levels"},
              {"input/history_times", "num_time_buckets"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (strcmp(name, rows[i].input) != 0) continue;
    bool known = false;
    for (int f = 0; f < setup->model->n_fields; f++)
      known = known || !strcmp(setup->model->fields[f].key, rows[i].key);
    int64_t size = known ? moire_config_int(setup->config, rows[i].key) : INT64_MAX;
    for (int64_t j = 0; j < n; j++)
      if (values[j] < 0 || values[j] >= (double)size)
        return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: %s: holds %.0f, but %s is %" PRId64, path, name,
                          values[j], rows[i].key, size);
  }
  return MOIRE_OK;
}

/* ---- data ------------------------------------------------------------------------------------------------ */

/* A key becomes what the data say; where something else was said, that is a sentence. */
static moire_status agree(moire__setup *setup, const char *path, const char *key, const char *text,
                          moire_error *error) {
  moire__text assignment = {0};
  moire__text_add(&assignment, "%s=%s", key, text);
  moire_status status = moire__config_table_set(&setup->table, path, assignment.data, error);
  moire__text_free(&assignment);
  return status;
}

/* "[1, 2]", or "["genre=1", ...]" with names, which may hold anything. */
static moire_status agree_list(moire__setup *setup, const char *path, const char *key, const int64_t *values,
                               const char *const *names, int n, moire_error *error) {
  moire__text text = {0}, entry = {0};
  moire__text_add(&text, "[");
  for (int i = 0; i < n; i++) {
    moire__text_clear(&entry);
    moire__text_add(&text, "%s", i ? ", " : "");
    moire__text_add(&entry, "%s=%" PRId64, names ? names[i] : "", values[i]);
    if (names)
      moire__log_add_string(&text, entry.data);
    else
      moire__text_add(&text, "%" PRId64, values[i]);
  }
  moire__text_free(&entry);
  moire__text_add(&text, "]");
  moire_status status = agree(setup, path, key, text.data, error);
  moire__text_free(&text);
  return status;
}

/* Does what a trained model was made for fit the data? */
static moire_status check_sizes(const moire__setup *setup, const moire__ratings *d, moire_error *error) {
  const int64_t *sizes = NULL;
  const char *const *counts = NULL;
  const moire__ratings_items *x = &d->items;
  if (!moire__config_table_find(&setup->table, "context_sizes")) return MOIRE_OK;
  int n = moire_config_ints(setup->config, "context_sizes", &sizes);
  bool same = n == x->n_features || !n;
  for (int i = 0; i < n && same; i++) same = sizes[i] == x->feature_sizes[i];
  if (!same)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: context_sizes of the model are not those of the data",
                      d->path);
  n = moire_config_strings(setup->config, "node_counts", &counts);
  for (int i = 0; i < n; i++)
    for (int r = 0; r < x->n_relations; r++) {
      size_t length = strlen(x->relations[r]);
      if (strncmp(counts[i], x->relations[r], length) || counts[i][length] != '=') continue;
      if (strtoll(counts[i] + length + 1, NULL, 10) != x->node_counts[r])
        return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: the model has %s nodes, the data %" PRId64, d->path,
                          counts[i], x->node_counts[r]);
    }
  return MOIRE_OK;
}

static moire_status take_sizes(moire__setup *setup, const moire__ratings *d, moire_error *error) {
  const moire__ratings_items *x = &d->items;
  moire_status status = check_sizes(setup, d, error);
  if (!status) status = moire__setup_add_int(setup, d->path, "item_size", x->ids.n, error);
  if (!status) status = moire__setup_add_int(setup, d->path, "user_size", d->histories.n, error);
  if (!status) status = moire__setup_add_int(setup, d->path, "review_rows", x->n_reviews, error);
  if (!status) status = moire__setup_add_int(setup, d->path, "reviewed_items", x->n_reviewed, error);
  if (!status)
    status = agree_list(setup, d->path, "context_sizes", x->feature_sizes, NULL, x->n_features, error);
  if (!status)
    status = agree_list(setup, d->path, "node_counts", x->node_counts, x->relations, x->n_relations, error);
  return status ? status
                : agree_list(setup, d->path, "edge_counts", x->edge_counts, NULL, x->n_relations, error);
}

/* A first configuration says how wide the texts are and what relations there are; that of the model is made
 * when the data have been read. */
static moire_status read_data(moire__setup *setup, const moire__data_files *files, const char *where,
                              moire_error *error) {
  const moire_model *model = setup->model;
  moire_model unchecked = *model;
  unchecked.check = NULL;
  setup->model = &unchecked; /* the sizes that it checks are not known yet */
  moire_status status = moire__setup_build(setup, where, error);
  setup->model = model;
  if (status) return status;
  bool whole = false;
  for (int f = 0; f < model->n_fields; f++) whole = whole || !strcmp(model->fields[f].key, "predictor_hidden");
  if (!whole)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                      "%s: is a part of a model, for its goldens: wanted one that scores users and items",
                      model->name);
  const char *map = setup->weights ? moire__safetensors_metadata(setup->weights, MOIRE__RATINGS_MAP) : NULL;
  const char *names = setup->weights ? moire__safetensors_metadata(setup->weights, MOIRE__RATINGS_NAMES) : NULL;
  moire__ratings_options o = {.split = moire_config_string(setup->training, "split"),
                              .test = files->test,
                              .max_history = (int)moire_config_int(setup->config, "max_history"),
                              .time_buckets = (int)moire_config_int(setup->config, "num_time_buckets"),
                              .levels = (int)moire_config_int(setup->config, "num_rating_levels"),
                              .valid_per_user = (int)moire_config_int(setup->training, "valid_per_user"),
                              .texts = strcmp(moire_config_string(setup->config, "views"), "graph") != 0,
                              .graph = strcmp(moire_config_string(setup->config, "views"), "text") != 0,
                              .width = moire_config_int(setup->config, "hidden_size"),
                              .folder = moire_config_string(setup->training, "item_data"),
                              .map = map,
                              .names = names};
  o.n_relations = moire_config_strings(setup->config, "relations", &o.relations);
  moire__ratings *data = NULL;
  status = moire__ratings_read(files->data, &o, &data, error);
  if (status) return status;
  setup->data = data;
  status = take_sizes(setup, data, error);
  if (!status) status = moire__setup_build(setup, where, error);
  if (status) return status;
  moire_config_strings(setup->config, "relations", &o.relations); /* the names are the configuration's */
  for (int r = 0; r < data->items.n_relations; r++) data->items.relations[r] = o.relations[r];
  return MOIRE_OK;
}

static void free_data(void *data) { moire__ratings_free(data); }

static moire__samples samples(const moire__setup *setup, int64_t batch) {
  return moire__ratings_samples(setup, batch);
}

static const char *const leaves[] = {MOIRE__TASK_VALUES, NULL};
static const char *const shown[] = {"P@10",       "R@10",         "NDCG@10",     "Hit@10", "MAP@10",
                                    "Novelty@10", "Diversity@10", "Coverage@10", NULL};

const moire__task moire__task_ratings = {.name = "ratings",
                                         .title = "a model of ratings",
                                         .keys = {keys, (int)(sizeof keys / sizeof *keys)},
                                         .needs = needs,
                                         .n_needs = 2,
                                         .needs_hint = "",
                                         .size_key = "item_size",
                                         .headline = "NDCG@10",
                                         .shown = shown,
                                         .leaves = leaves,
                                         .values = moire__task_values,
                                         .read = read_data,
                                         .free_data = free_data,
                                         .served = served,
                                         .step = step,
                                         .interface = "ratings",
                                         .map = MOIRE__RATINGS_MAP,
                                         .library = moire__ratings_library,
                                         .samples = samples,
                                         .queries = samples,
                                         .train = moire__ratings_train,
                                         .complete = complete,
                                         .check_input = check_input,
                                         .golden = moire__ratings_golden,
                                         .has_baselines = true,
                                         .eval = moire__ratings_eval,
                                         .measure = moire__lists_measured_of,
                                         .leave = moire__lists_leave,
                                         .recommend = moire__ratings_recommend};
