/* Reading a configuration by key. A key that is not among the fields, or of another kind, is an error of the
 * model that asks, not of its user: the process ends. */
#include "runtime/config/config_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const moire__config_value *get(const moire_config *config, const char *key, moire_config_kind kind) {
  static const char *const kinds[] = {"an int",         "a real",          "a bool",
                                      "a string",       "a list of ints",  "a list of strings",
                                      "a list of maps", "a list of reals", "anything"};
  for (int i = 0; i < config->fields.n; i++) {
    const moire_config_field *field = &config->fields.fields[i];
    if (strcmp(field->key, key)) continue;
    if (field->kind == kind) return &config->values[i];
    fprintf(stderr, "moire: a model asks for the config key '%s' as %s, but its field is %s\n", key,
            kinds[kind], kinds[field->kind]);
    abort();
  }
  fprintf(stderr, "moire: a model asks for the config key '%s', which is not among its fields\n", key);
  abort();
}

int64_t moire_config_int(const moire_config *config, const char *key) {
  return get(config, key, MOIRE_CONFIG_INT)->ints[0];
}

double moire_config_real(const moire_config *config, const char *key) {
  return get(config, key, MOIRE_CONFIG_REAL)->real;
}

bool moire_config_bool(const moire_config *config, const char *key) {
  return get(config, key, MOIRE_CONFIG_BOOL)->truth;
}

const char *moire_config_string(const moire_config *config, const char *key) {
  return get(config, key, MOIRE_CONFIG_STRING)->text;
}

int moire_config_ints(const moire_config *config, const char *key, const int64_t **values) {
  const moire__config_value *v = get(config, key, MOIRE_CONFIG_INTS);
  *values = v->ints;
  return v->n;
}

int moire_config_reals(const moire_config *config, const char *key, const double **values) {
  const moire__config_value *v = get(config, key, MOIRE_CONFIG_REALS);
  *values = v->reals;
  return v->n;
}

int moire_config_strings(const moire_config *config, const char *key, const char *const **values) {
  const moire__config_value *v = get(config, key, MOIRE_CONFIG_STRINGS);
  *values = v->strings;
  return v->n;
}

int moire_config_maps(const moire_config *config, const char *key, const moire_config *const **maps) {
  const moire__config_value *v = get(config, key, MOIRE_CONFIG_MAPS);
  *maps = (const moire_config *const *)v->maps;
  return v->n;
}

bool moire_config_is_nothing(const moire_config *config, const char *key) {
  for (int i = 0; i < config->fields.n; i++) {
    if (!strcmp(config->fields.fields[i].key, key)) return config->values[i].nothing;
  }
  fprintf(stderr, "moire: a model asks for the config key '%s', which is not among its fields\n", key);
  abort();
}
