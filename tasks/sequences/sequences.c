/* The task of recommenders that go by what a user consumed, oldest first: its row, and how its data are read.
 */
#include "tasks/sequences/sequences.h"

#include "runtime/base/memory.h"
#include "runtime/files/checkpoint.h"
#include "runtime/train/log.h"
#include "runtime/train/trainer_fields.h"
#include "tasks/sequences/samples.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define METRICS "HR@5|NDCG@5|HR@10|NDCG@10|HR@20|NDCG@20"

static const moire_config_field keys[] = {
    MOIRE__TRAINER_FIELDS("data set: users or interactions; --data replaces it", "200", "10"),
    {"format", MOIRE_CONFIG_STRING, "auto", 0, 0, "auto|users|interactions", "what a line of the data is"},
    {"eval_batch_size", MOIRE_CONFIG_INT, "256", 1, 1000000, NULL, "users that are scored at once"},
    {"stop_metric", MOIRE_CONFIG_STRING, "NDCG@10", 0, 0, METRICS, "what the best epoch is best in"},
    MOIRE__TRAINER_SWITCHES};

static const moire__task_need needs[] = {{"item_size", MOIRE_CONFIG_INT}, {"max_seq_length", MOIRE_CONFIG_INT}};

/* What was read, and what of it was left out. */
static void say(const char *path, const moire__interactions *read, const char *format) {
  char form[120];
  moire__form_describe(&read->form, form, sizeof form);
  if (!strcmp(format, "auto"))
    moire__log("data", NULL, "%s: %s: %" PRId64 " users, %" PRId64 " interactions", path, form, read->n_users,
               read->n);
  if (read->skipped)
    moire__log("data", NULL,
               "%s: %" PRId64 " interactions with items that the model does not know are left out", path,
               read->skipped);
  if (read->skipped_users)
    moire__log("data", NULL, "%s: %" PRId64 " users with too few interactions are left out", path,
               read->skipped_users);
}

/* A trained model has its items, whose names its checkpoint keeps; in training the file says what they are. */
static moire_status read_file(moire__setup *setup, const moire__data_files *files, bool from_data,
                              moire_error *error) {
  const char *format = files->format ? files->format : moire_config_string(setup->training, "format");
  moire__interactions_options options = {
      .format = format,
      .known = setup->weights,
      .map = setup->weights ? moire__safetensors_metadata(setup->weights, MOIRE__SEQUENCES_MAP) : NULL,
      .item_size = from_data ? 0 : moire_config_int(setup->config, "item_size"),
      .fewest = files->unmeasured ? 1 : moire__dataset_reading().fewest,
      .skip_unknown = files->unmeasured};
  moire__interactions read;
  moire__dataset *data = NULL;
  moire_status status = moire__interactions_read(files->data, &options, &read, error);
  if (status) return status;
  say(files->data, &read, format);
  int length = (int)moire_config_int(setup->config, "max_seq_length");
  status = moire__dataset_of(files->data, &read, length, &data, error);
  setup->data = data;
  return status;
}

/* The length of the inputs is needed to read the data, and the data to know how many items there are: where
 * nobody says, a first configuration is made with the fewest. */
static moire_status read_data(moire__setup *setup, const moire__data_files *files, const char *where,
                              moire_error *error) {
  bool from_data = !moire__config_table_find(&setup->table, "item_size");
  moire_status status = moire__setup_assume(setup, files->data, 2, error);
  if (!status) status = moire__setup_build(setup, where, error);
  if (status) return status;
  status = read_file(setup, files, from_data, error);
  if (status) return status;
  const moire__dataset *data = setup->data;
  if (from_data) {
    status = moire__setup_add_int(setup, files->data, "item_size", data->item_size, error);
    return status ? status : moire__setup_build(setup, where, error);
  }
  int64_t known = moire_config_int(setup->config, "item_size");
  if (data->item_size <= known) return MOIRE_OK;
  if (data->names.n)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "%s: has %" PRId64 " items, but %s says item_size %" PRId64 ": %" PRId64
                      " items and the padding",
                      files->data, data->names.n, where, known, known - 1);
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "%s: has item %" PRId64 ", but %s says item_size %" PRId64 ": items up to %" PRId64,
                    files->data, data->item_size - 1, where, known, known - 1);
}

static void free_data(void *data) { moire__dataset_free(data); }

static const char *const *one_name(moire__arena *arena, const char *name, int *n) {
  const char **names = moire__arena_array(arena, 1, sizeof *names);
  names[0] = name;
  *n = 1;
  return names;
}

static const char *const *served(const moire__setup *setup, moire__arena *arena, int *n, moire_error *error) {
  (void)setup;
  (void)error;
  return one_name(arena, "logits", n);
}

static const char *const *step(const moire__setup *setup, moire__arena *arena, int *n, moire_error *error) {
  (void)setup;
  (void)error;
  return one_name(arena, "loss", n);
}

static moire__samples samples(const moire__setup *setup, int64_t batch) {
  return moire__samples_of_sequences(setup->data, moire_config_int(setup->config, "item_size"), batch);
}

static moire__samples queries(const moire__setup *setup, int64_t batch) {
  return moire__samples_of_users(setup->data, MOIRE__SPLIT_TEST, batch);
}

/* A state dict does not say how many items there are, but the table of their embeddings does. */
static moire_status complete(moire__setup *setup, const moire__safetensors *file, moire_error *error) {
  const moire__st_tensor *items = moire__checkpoint_tensor(file, "item_embeddings.weight");
  if (moire__config_table_find(&setup->table, "item_size") || !items || items->rank != 2) return MOIRE_OK;
  return moire__setup_add_int(setup, moire__safetensors_path(file), "item_size", items->shape[0], error);
}

static moire_status check_input(const moire__setup *setup, const char *path, const char *name,
                                const double *values, int64_t n, moire_error *error) {
  int64_t item_size = moire_config_int(setup->config, "item_size");
  for (int64_t i = 0; i < n; i++) {
    if (values[i] < 0 || values[i] >= (double)item_size)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: %s: holds item %.0f, but item_size is %" PRId64, path,
                        name, values[i], item_size);
  }
  return MOIRE_OK;
}

static const char *const leaves[] = {"ranks.txt", NULL};

const moire__task moire__task_sequences = {.name = "sequences",
                                           .title = "a sequential model",
                                           .keys = {keys, (int)(sizeof keys / sizeof *keys)},
                                           .needs = needs,
                                           .n_needs = 2,
                                           .needs_hint = " (MOIRE_SEQUENTIAL_FIELDS has them)",
                                           .size_key = "item_size",
                                           .interface = "recommend",
                                           .map = MOIRE__SEQUENCES_MAP,
                                           .headline = "NDCG@10",
                                           .read = read_data,
                                           .free_data = free_data,
                                           .served = served,
                                           .step = step,
                                           .samples = samples,
                                           .queries = queries,
                                           .train = moire__sequences_train,
                                           .has_baselines = true,
                                           .leaves = leaves,
                                           .complete = complete,
                                           .check_input = check_input,
                                           .values = moire__sequences_values,
                                           .eval = moire__sequences_eval,
                                           .measure = moire__sequences_measured,
                                           .leave = moire__sequences_leave,
                                           .recommend = moire__sequences_recommend};
