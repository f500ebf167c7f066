/* Values of a typed configuration, within the files that make and read one. */
#ifndef MOIRE_RUNTIME_CONFIG_CONFIG_VALUE_H
#define MOIRE_RUNTIME_CONFIG_CONFIG_VALUE_H

#include "runtime/config/config.h"

/* The form that a field's kind asks for. */
typedef struct moire__config_value {
  const char *text; /* STRING */
  double real;
  bool truth, nothing;
  int n; /* elements: 1 for INT */
  int64_t *ints;
  double *reals;
  const char **strings;
  moire_config **maps; /* owned */
} moire__config_value;

struct moire_config {
  moire__config_fields fields;
  moire__config_value *values; /* [fields.n] */
  moire__arena arena;
};

/* Whether the entry is a list where the kind is one, and of maps where it is of maps. */
bool moire__config_has_form(const moire__config_entry *entry, moire_config_kind kind);

/* Of any kind but MAPS. False: the entry is no value of the field. What `out` points to lies in the arena. */
bool moire__config_parse_value(moire__arena *arena, const moire__config_entry *entry,
                               const moire_config_field *field, moire__config_value *out);

#endif
