/* The task of coders, which turn features of items into codes and back: its row, and how its data are read. */
#include "tasks/items/items.h"

#include "runtime/train/trainer_fields.h"

#include <inttypes.h>

static const moire_config_field keys[] = {
    MOIRE__TRAINER_FIELDS("item features: safetensors or .npy; --features replaces it", "50", "5"),
    {"eval_batch_size", MOIRE_CONFIG_INT, "4096", 1, 1000000, NULL, "items that are encoded at once"},
    {"kmeans_iterations", MOIRE_CONFIG_INT, "10", 1, 1000, NULL, "rounds of k-means for a level"},
    {"kmeans_samples", MOIRE_CONFIG_INT, "256", 1, 1000000, NULL,
     "items that k-means takes for a code, at most"},
    MOIRE__TRAINER_SWITCHES};

static const moire__task_need needs[] = {{"feature_dim", MOIRE_CONFIG_INT},
                                         {"codebook_sizes", MOIRE_CONFIG_INTS},
                                         {"initialisation", MOIRE_CONFIG_STRING},
                                         {"restart_after", MOIRE_CONFIG_INT},
                                         {"unique_digit", MOIRE_CONFIG_BOOL}};

static moire_status read_data(moire__setup *setup, const moire__data_files *files, const char *where,
                              moire_error *error) {
  moire__features *f = NULL;
  moire_status status = moire__features_load(files->data, files->tensor, files->names, &f, error);
  if (status) return status;
  setup->data = f;
  status = moire__setup_assume(setup, f->path, f->width, error);
  if (!status) status = moire__setup_build(setup, where, error);
  if (status) return status;
  int64_t known = moire_config_int(setup->config, "feature_dim");
  if (known == f->width) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_SHAPE,
                    "%s: has %" PRId64 " features an item, but %s says feature_dim %" PRId64, f->path, f->width,
                    where, known);
}

static void free_data(void *data) { moire__features_free(data); }

static const char *const *served(const moire__setup *setup, moire__arena *arena, int *n, moire_error *error) {
  (void)setup;
  (void)error;
  const char **names = moire__arena_array(arena, 1, sizeof *names);
  names[0] = "codes";
  *n = 1;
  return names;
}

/* The loss, and what dead codes are put onto. */
static const char *const *step(const moire__setup *setup, moire__arena *arena, int *n, moire_error *error) {
  (void)error;
  const int64_t *sizes = NULL;
  bool restarts = moire_config_int(setup->config, "restart_after") > 0;
  int levels = restarts ? moire_config_ints(setup->config, "codebook_sizes", &sizes) : 0;
  const char **names = moire__arena_array(arena, (size_t)levels + 1, sizeof *names);
  names[0] = "loss";
  for (int l = 0; l < levels; l++) names[l + 1] = moire__arena_printf(arena, "residuals.%d", l);
  *n = levels + 1;
  return names;
}

static moire__samples samples(const moire__setup *setup, int64_t batch) {
  const moire__features *f = setup->data;
  return moire__samples_of_rows("features", f->values, f->n, f->width, batch);
}

const moire__task moire__task_items = {.name = "items",
                                       .title = "a coder of items",
                                       .keys = {keys, (int)(sizeof keys / sizeof *keys)},
                                       .needs = needs,
                                       .n_needs = (int)(sizeof needs / sizeof *needs),
                                       .needs_hint = "",
                                       .size_key = "feature_dim",
                                       .interface = "code",
                                       .read = read_data,
                                       .free_data = free_data,
                                       .served = served,
                                       .step = step,
                                       .samples = samples,
                                       .queries = samples,
                                       .train = moire__items_train,
                                       .eval = moire__items_eval,
                                       .measure = moire__items_measured_of,
                                       .leave = moire__items_leave,
                                       .join = moire__items_join,
                                       .encode = moire__items_encode,
                                       .decode = moire__items_decode};
