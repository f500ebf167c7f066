/* Reading a golden: everything in it is checked before anything is computed. See golden.h. */
#include "tools/golden.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static bool begins(const char *text, const char *prefix) { return !strncmp(text, prefix, strlen(prefix)); }

static moire_status need_metadata(const tool_golden *g, const char *key, const char **out, moire_error *error) {
  *out = moire__safetensors_metadata(g->file, key);
  if (*out) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has no metadata %s", g->path, key);
}

static moire_status read_number(const tool_golden *g, const json_t *object, const char *key, double low,
                                double high, double *out, moire_error *error) {
  const json_t *value = json_object_get(object, key);
  *out = json_number_value(value);
  if (json_is_number(value) && *out >= low && *out <= high) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata optimizer: %s: wanted a number from %g to %g",
                    g->path, key, low, high);
}

static moire_status read_optimizer(tool_golden *g, moire_error *error) {
  const char *text = NULL;
  moire_status status = need_metadata(g, "optimizer", &text, error);
  if (status) return status;
  json_t *root = json_loads(text, 0, NULL);
  const char *name = json_string_value(json_object_get(root, "name"));
  moire_compile_options *o = &g->optimizer;
  *o = moire_compile_defaults();
  bool adam = name && !strcmp(name, "adam"), adamw = name && !strcmp(name, "adamw");
  o->optimizer = adamw ? MOIRE_OPTIMIZER_ADAMW : MOIRE_OPTIMIZER_ADAM;
  if (!adam && !adamw) {
    status =
        moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata optimizer: name: wanted adam or adamw", g->path);
  }
  if (!status) status = read_number(g, root, "lr", 0, 100, &o->lr, error);
  if (!status) status = read_number(g, root, "beta1", 0, 0.999999999, &o->beta1, error);
  if (!status) status = read_number(g, root, "beta2", 0, 0.999999999, &o->beta2, error);
  if (!status) status = read_number(g, root, "eps", 0, 1, &o->eps, error);
  if (!status) status = read_number(g, root, "weight_decay", 0, 100, &o->weight_decay, error);
  json_decref(root);
  return status;
}

static moire_status read_ids(tool_golden *g, const char *name, int rank, double **out, moire_error *error) {
  const moire__st_tensor *t = NULL;
  moire_status status = moire__safetensors_need(g->file, name, &t, error);
  if (status) return status;
  if (t->rank != rank || t->shape[0] != (rank == 2 ? t->shape[0] : g->batch) ||
      (rank == 2 && t->shape[1] != g->length)) {
    return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: %s: wanted shape [%s%s], as the configuration says",
                      g->path, name, "B", rank == 2 ? ", max_seq_length" : "");
  }
  int32_t *ids = moire__arena_array(&g->arena, (size_t)t->count + 1, sizeof *ids);
  status = moire__st_to_int32(t, ids, error);
  if (status) return status;
  int64_t item_size = moire_config_int(g->setup.config, "item_size");
  *out = moire__arena_array(&g->arena, (size_t)t->count + 1, sizeof **out);
  for (int64_t i = 0; i < t->count; i++) {
    if (ids[i] < 0 || ids[i] >= item_size) {
      return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "%s: %s: holds item %" PRId32 ", but item_size is %" PRId64, g->path, name, ids[i],
                        item_size);
    }
    (*out)[i] = ids[i];
  }
  if (rank == 2) g->batch = t->shape[0];
  return MOIRE_OK;
}

/* One batch a step, and one for the last loss: f32[steps + 1, B, feature_dim]. */
static moire_status read_features(tool_golden *g, moire_error *error) {
  const moire__st_tensor *t = NULL;
  moire_status status = moire__safetensors_need(g->file, "input/features", &t, error);
  if (status) return status;
  g->length = moire_config_int(g->setup.config, "feature_dim");
  if (t->rank != 3 || t->shape[0] != g->steps + 1 || t->shape[2] != g->length) {
    return moire_fail(error, MOIRE_ERROR_SHAPE,
                      "%s: input/features: wanted shape [%" PRId64 ", B, %" PRId64
                      "], as steps and feature_dim say",
                      g->path, g->steps + 1, g->length);
  }
  g->batch = t->shape[1];
  g->features = moire__arena_array(&g->arena, (size_t)t->count + 1, sizeof *g->features);
  moire__st_to_double(t, g->features);
  return MOIRE_OK;
}

static moire_status read_inputs(tool_golden *g, moire_error *error) {
  if (g->setup.model->kind == MOIRE_MODEL_ITEM_CODER) return read_features(g, error);
  g->length = moire_config_int(g->setup.config, "max_seq_length");
  moire_status status = read_ids(g, "input/input_ids", 2, &g->ids, error);
  return status ? status : read_ids(g, "input/answers", 1, &g->answers, error);
}

/* Every name must be of a kind that is compared or given. */
static moire_status check_names(const tool_golden *g, moire_error *error) {
  static const char *const kinds[] = {"param/", "output/", "grad/", "trained/"};
  static const char *const whole[] = {"loss", "train_losses", "reconstruction_losses", "commitment_losses"};
  static const char *const inputs[][2] = {[MOIRE_MODEL_SEQUENTIAL] = {"input/input_ids", "input/answers"},
                                          [MOIRE_MODEL_ITEM_CODER] = {"input/features", "input/ids"}};
  for (int i = 0; i < moire__safetensors_count(g->file); i++) {
    const char *name = moire__safetensors_at(g->file, i)->name;
    bool known = false;
    for (size_t k = 0; k < 4; k++) known = known || begins(name, kinds[k]) || !strcmp(name, whole[k]);
    for (size_t k = 0; k < 2; k++) known = known || !strcmp(name, inputs[g->setup.model->kind][k]);
    if (!known)
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s: is nothing that a golden holds", g->path, name);
  }
  return MOIRE_OK;
}

moire_status tool_golden_open(tool_golden *g, const char *path, moire_error *error) {
  g->path = path;
  const char *format = NULL, *model = NULL, *config = NULL, *steps = NULL;
  moire_status status = moire__safetensors_open(path, &g->file, error);
  if (!status) status = need_metadata(g, "format", &format, error);
  if (!status && strcmp(format, "golden/1") != 0) {
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata format: wanted golden/1, but %.80s came", path,
                        format);
  }
  if (!status) status = need_metadata(g, "model", &model, error);
  if (!status) status = need_metadata(g, "config", &config, error);
  if (!status) status = need_metadata(g, "steps", &steps, error);
  if (!status) status = moire__config_table_add_json(&g->setup.table, path, config, error);
  if (!status) status = tool_setup_build(&g->setup, model, path, error);
  if (!status) status = check_names(g, error);
  if (!status) status = read_optimizer(g, error);
  if (status) return status;
  char *end = NULL;
  g->steps = strtol(steps, &end, 10);
  if (end == steps || *end || g->steps < 1 || g->steps > 1000) {
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata steps: wanted a whole number from 1 to 1000",
                      path);
  }
  return read_inputs(g, error);
}

void tool_golden_free(tool_golden *g) {
  moire__safetensors_close(g->file);
  tool_setup_free(&g->setup);
  moire__arena_free(&g->arena);
}
