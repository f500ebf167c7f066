/* Typed configurations: a table judged by field tables. */
#include "runtime/config/config.h"

#include "runtime/config/config_value.h"
#include "runtime/config/config_wrong.h"

#include <string.h>

/* The default is read as an assignment, and judged like any other value. */
static moire_status build_default(moire_config *config, int index, const char *where, moire_error *error) {
  const moire_config_field *field = &config->fields.fields[index];
  if (!field->text) {
    moire__text wanted = {0};
    moire__config_add_wanted(&wanted, field);
    moire_status missing = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: %s: is missing; wanted %s (%s)", where,
                                      field->key, wanted.data, field->help ? field->help : "");
    moire__text_free(&wanted);
    return missing;
  }
  moire__config_table table = {0};
  moire__text assignment = {0};
  moire__text_add(&assignment, "%s=%s", field->key, field->text);
  moire_status status = moire__config_table_set(&table, "default", assignment.data, error);
  if (!status &&
      !moire__config_parse_value(&config->arena, &table.map.entries[0], field, &config->values[index])) {
    status = moire__config_wrong_value(&table.map.entries[0], field, error);
  }
  moire__text_free(&assignment);
  moire__config_table_free(&table);
  return status;
}

static bool is_known(const char *key, const moire__config_fields *sets, int n_sets) {
  for (int s = 0; s < n_sets; s++) {
    for (int i = 0; i < sets[s].n; i++) {
      if (!strcmp(sets[s].fields[i].key, key)) return true;
    }
  }
  return false;
}

static moire_status check_known(const moire__config_map *map, const moire__config_fields *sets, int n_sets,
                                moire_error *error) {
  for (int i = 0; i < map->n; i++) {
    if (!is_known(map->entries[i].key, sets, n_sets))
      return moire__config_unknown_key(&map->entries[i], sets, n_sets, error);
  }
  return MOIRE_OK;
}

static moire_config *start(moire__config_fields fields) {
  moire_config *config = moire__allocate(sizeof *config);
  config->fields = fields;
  config->values = moire__arena_array(&config->arena, (size_t)fields.n, sizeof *config->values);
  return config;
}

/* Of any kind but MAPS, or an empty list. */
static moire_status build_plain(moire_config *config, int i, const moire__config_map *map, const char *where,
                                moire_error *error) {
  const moire_config_field *field = &config->fields.fields[i];
  for (int e = 0; e < map->n; e++) {
    const moire__config_entry *entry = &map->entries[e];
    if (strcmp(entry->key, field->key) != 0) continue;
    if (moire__config_parse_value(&config->arena, entry, field, &config->values[i])) return MOIRE_OK;
    return moire__config_wrong_value(entry, field, error);
  }
  return build_default(config, i, where, error);
}

static moire_status build_map(const moire__config_entry *entry, int i, const moire_config_field *fields,
                              moire_config **out, moire_error *error) {
  moire__config_fields set = {fields, 0};
  while (fields[set.n].key) set.n++;
  moire__text where = {0};
  moire__config_add_place(&where, entry);
  moire__text_add(&where, "map %d", i);
  moire_status status = check_known(&entry->maps[i], &set, 1, error);
  *out = status ? NULL : start(set);
  for (int f = 0; f < set.n && !status; f++) status = build_plain(*out, f, &entry->maps[i], where.data, error);
  moire__text_free(&where);
  return status;
}

static moire_status build_maps(moire_config *config, int index, const moire__config_entry *entry,
                               moire_error *error) {
  const moire_config_field *field = &config->fields.fields[index];
  moire__config_value *v = &config->values[index];
  if (!moire__config_has_form(entry, field->kind)) return moire__config_wrong_value(entry, field, error);
  v->maps = moire__arena_array(&config->arena, (size_t)entry->n, sizeof *v->maps);
  moire_status status = MOIRE_OK;
  for (v->n = 0; v->n < entry->n && !status; v->n++)
    status = build_map(entry, v->n, field->choices, &v->maps[v->n], error);
  return status;
}

static moire_status build_one(const moire__config_table *table, const char *where, moire__config_fields fields,
                              moire_config **out, moire_error *error) {
  moire_config *config = start(fields);
  moire_status status = MOIRE_OK;
  for (int i = 0; i < fields.n && !status; i++) {
    const moire__config_entry *entry = moire__config_table_find(table, fields.fields[i].key);
    if (entry && entry->n && fields.fields[i].kind == MOIRE_CONFIG_MAPS)
      status = build_maps(config, i, entry, error);
    else
      status = build_plain(config, i, &table->map, where, error);
  }
  *out = config;
  return status;
}

/* A key that two sets have would be set for both at once. */
static moire_status check_distinct(const moire__config_fields *sets, int n_sets, moire_error *error) {
  for (int s = 1; s < n_sets; s++) {
    for (int i = 0; i < sets[s].n; i++) {
      if (!is_known(sets[s].fields[i].key, sets, s)) continue;
      return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "the model's key '%s' is also a key of training, so that it would mean two things",
                        sets[s].fields[i].key);
    }
  }
  return MOIRE_OK;
}

moire_status moire__config_build(const moire__config_table *table, const char *where,
                                 const moire__config_fields *sets, int n_sets, moire_config **out,
                                 moire_error *error) {
  if (check_distinct(sets, n_sets, error)) return MOIRE_ERROR_ARGUMENT;
  if (check_known(&table->map, sets, n_sets, error)) return MOIRE_ERROR_ARGUMENT;
  moire_config **built = moire__allocate_array((size_t)n_sets, sizeof *built);
  moire_status status = MOIRE_OK;
  for (int s = 0; s < n_sets && !status; s++) status = build_one(table, where, sets[s], &built[s], error);
  for (int s = 0; s < n_sets; s++) {
    if (status) {
      moire__config_free(built[s]);
    } else {
      out[s] = built[s];
    }
  }
  moire__release(built);
  return status;
}

void moire__config_free(moire_config *config) {
  if (!config) return;
  for (int i = 0; i < config->fields.n; i++) {
    const moire__config_value *v = &config->values[i];
    for (int m = 0; v->maps && m < v->n; m++) moire__config_free(v->maps[m]);
  }
  moire__arena_free(&config->arena);
  moire__release(config);
}
