/* Configurations: flat tables of keys read from YAML, JSON and the command line, and the typed values made of
 * them by a model's field table (moire/model.h).
 *
 * Two steps. A moire__config_table collects keys and their texts with the place each came from; sources added
 * later replace keys of earlier ones, while within one source a key may stand only once. moire__config_build
 * then judges the table by one or more field tables: unknown keys, wrong kinds, values out of range and missing
 * keys are errors that name the place, the key, what was wanted and what came.
 *
 * Scalars, wherever they come from: a whole number is decimal digits with an optional sign; a number may have a
 * fraction and an exponent; a truth value is true or false; quotes make a string. A list is one level deep; it
 * may hold maps of scalars and such lists. A JSON object of whole numbers is a list of words,
 * "key=number".
 */
#ifndef MOIRE_RUNTIME_CONFIG_CONFIG_H
#define MOIRE_RUNTIME_CONFIG_CONFIG_H

#include "moire/model.h"
#include "moire/status.h"
#include "runtime/base/memory.h"
#include "runtime/base/text.h"

#include <stdbool.h>
#include <stddef.h>

/* One scalar as it stood in its source. */
typedef struct moire__config_scalar {
  const char *text;
  bool quoted; /* a string whatever it looks like */
  bool null;   /* nothing came: `key:`, `~` or JSON's null */
} moire__config_scalar;

typedef struct moire__config_entry moire__config_entry;

/* Keys with their values. */
typedef struct moire__config_map {
  moire__config_entry *entries;
  int n, capacity;
} moire__config_map;

struct moire__config_entry {
  const char *key;
  const char *origin; /* file name, or what the caller called the source */
  int line;           /* from 1; 0 where the source has no lines */
  bool list;
  int n;                        /* of values, 1 for a scalar; or of maps */
  moire__config_scalar *values; /* NULL in a list of maps */
  moire__config_map *maps;      /* NULL in any other */
};

/* Zero-initialise: `moire__config_table table = {0};`. Owns its texts; free with moire__config_table_free. */
typedef struct moire__config_table {
  moire__arena arena;
  moire__config_map map;
} moire__config_table;

void moire__config_table_free(moire__config_table *table);

/* Adds the keys of a YAML file, or of the bytes of one that `path` names: one mapping of words to scalars, to
 * lists of scalars or to lists of maps. Aliases, tags, deeper nesting and further documents are errors. On
 * failure the table is as before.
 */
moire_status moire__config_table_add_yaml(moire__config_table *table, const char *path, moire_error *error);
moire_status moire__config_table_add_yaml_text(moire__config_table *table, const char *path, const char *bytes,
                                               size_t n, moire_error *error);

/* Adds the keys of a JSON object, such as the `config` metadata of a checkpoint; `origin` names it in messages.
 */
moire_status moire__config_table_add_json(moire__config_table *table, const char *origin, const char *json,
                                          moire_error *error);

/* Adds one `key=value` (the argument of --set); the value is read as YAML would. */
moire_status moire__config_table_set(moire__config_table *table, const char *origin, const char *assignment,
                                     moire_error *error);

/* The entry of a key, or NULL. Borrows, until the table changes. */
const moire__config_entry *moire__config_table_find(const moire__config_table *table, const char *key);

/* The text of a key that holds one scalar which is not null; NULL otherwise (`model: qia` -> "qia"). */
const char *moire__config_table_text(const moire__config_table *table, const char *key);

/* A field table to judge by. Borrows; it must outlive the configurations built from it. */
typedef struct moire__config_fields {
  const moire_config_field *fields;
  int n;
} moire__config_fields;

/* Makes one configuration for each of the `n_sets` field tables: out[i] holds the keys of sets[i], defaults
 * filled in (moire__config_free). A key of the table must be in a set; none may be in two.
 * `where` names the whole when a key without a default is missing. On failure no out[i] is touched. */
moire_status moire__config_build(const moire__config_table *table, const char *where,
                                 const moire__config_fields *sets, int n_sets, moire_config **out,
                                 moire_error *error);
void moire__config_free(moire_config *config); /* NULL is fine */

/* Appends a JSON object with all keys in the order of the fields; reading it back gives equal values. */
void moire__config_to_json(const moire_config *config, moire__text *out);

/* Appends the fewest digits that read back as the same finite number, with a point or an exponent ("0.02",
 * "1.0"). */
void moire__config_add_real(moire__text *out, double number);

#endif
