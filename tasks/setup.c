/* Models with their configurations. See setup.h. */
#include "tasks/setup.h"

#include "runtime/base/memory.h"
#include "tasks/task.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void free_configs(moire__setup *setup) {
  moire__config_free(setup->config);
  moire__config_free(setup->training);
  setup->config = setup->training = NULL;
}

void moire__setup_free(moire__setup *setup) {
  free_configs(setup);
  moire__config_table_free(&setup->table);
  if (setup->data) setup->task->free_data(setup->data);
  moire_import_close(setup->imported);
  *setup = (moire__setup){0};
}

/* Adds one key to the table, whatever characters the value has. Takes `value`. */
static moire_status add_value(moire__setup *setup, const char *origin, const char *key, json_t *value,
                              moire_error *error) {
  json_t *object = json_pack("{s:o}", key, value);
  char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
  moire_status status = text ? moire__config_table_add_json(&setup->table, origin, text, error)
                             : moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s: wanted UTF-8", origin, key);
  free(text);
  json_decref(object);
  return status;
}

moire_status moire__setup_add_int(moire__setup *setup, const char *origin, const char *key, int64_t value,
                                  moire_error *error) {
  return add_value(setup, origin, key, json_integer(value), error);
}

moire_status moire__setup_read_yaml(moire__setup *setup, const char *config, const char *const *assignments,
                                    int n, moire_error *error) {
  moire_status status = moire_import_is(config) ? add_value(setup, config, "model", json_string(config), error)
                                                : moire__config_table_add_yaml(&setup->table, config, error);
  for (int i = 0; i < n && !status; i++)
    status = moire__config_table_set(&setup->table, "--set", assignments[i], error);
  return status;
}

const char *moire__setup_model_name(const moire__setup *setup, const char *where, moire_error *error) {
  const char *name = moire__config_table_text(&setup->table, "model");
  if (!name) moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: model: wanted the name of a model", where);
  return name;
}

/* A name that stands in the table is blamed on its place there. */
static const moire_model *find_model(moire__setup *setup, const char *model, moire_error *error) {
  moire_error reason = {0};
  const moire_model *found = NULL;
  if (moire_import_is(model)) {
    moire_import_close(setup->imported);
    setup->imported = moire_import_open(model, &reason);
    if (setup->imported) found = moire_import_model(setup->imported);
  } else {
    found = moire_model_find(model, &reason);
  }
  if (found) return found;
  const moire__config_entry *entry = moire__config_table_find(&setup->table, "model");
  if (!entry) {
    moire_fail(error, reason.status, "%s", reason.message);
  } else if (!entry->line) {
    moire_fail(error, reason.status, "%s: model: %s", entry->origin, reason.message);
  } else {
    moire_fail(error, reason.status, "%s:%d: model: %s", entry->origin, entry->line, reason.message);
  }
  return NULL;
}

bool moire__setup_is_path(const char *model) {
  size_t n = strlen(model);
  return strchr(model, '/') || (n > 3 && !strcmp(model + n - 3, ".so")) || moire_import_is(model);
}

moire_status moire__setup_find(moire__setup *setup, const char *model, const char *where, moire_error *error) {
  setup->model = find_model(setup, model, error);
  setup->task = setup->model ? moire__task_of(setup->model, model, error) : NULL;
  if (!setup->task) return MOIRE_ERROR_ARGUMENT;
  return add_value(setup, where, "model", json_string(model), error);
}

moire_status moire__setup_assume(moire__setup *setup, const char *origin, int64_t size, moire_error *error) {
  const char *key = setup->task->size_key;
  if (!key || moire__config_table_find(&setup->table, key)) return MOIRE_OK;
  return moire__setup_add_int(setup, origin, key, size, error);
}

moire_status moire__setup_build(moire__setup *setup, const char *where, moire_error *error) {
  moire__config_fields sets[2] = {{setup->model->fields, setup->model->n_fields}, setup->task->keys};
  moire_config *configs[2] = {NULL, NULL};
  free_configs(setup);
  moire_status status = moire__config_build(&setup->table, where, sets, 2, configs, error);
  if (status) return status;
  setup->config = configs[0];
  setup->training = configs[1];
  if (!setup->model->check) return MOIRE_OK;
  moire_error reason = {0};
  status = setup->model->check(setup->config, &reason);
  return status ? moire_fail(error, status, "%s: %s", where, reason.message) : MOIRE_OK;
}

moire_status moire__setup_read(moire__setup *setup, const char *model, const char *where,
                               const moire__data_files *files, moire_error *error) {
  moire__data_files named = *files;
  if (!named.data) named.data = moire__config_table_text(&setup->table, "data");
  moire_status status = model ? moire__setup_find(setup, model, where, error) : MOIRE_OK;
  if (status) return status;
  if (!named.data)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: names no data: wanted --data FILE", where);
  const char *before = moire__memory_purpose(named.data);
  status = setup->task->read(setup, &named, where, error);
  moire__memory_purpose(before);
  return status;
}
