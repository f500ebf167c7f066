/* Typed configurations: a table judged by field tables.
 *
 * Every value is stored in the form its kind asks for. A number is parsed by the grammar of config.h before the
 * C library sees it, so that "0x10", "nan" and "1_000" are refused; comparisons are written so that no value
 * that is not a number could pass a range. */
#include "runtime/files/config.h"

#include "runtime/files/file.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct value {
  const char *text; /* STRING */
  double real;
  bool truth, nothing;
  int n; /* elements: 1 for INT */
  int64_t *ints;
  double *reals;
  const char **strings;
  moire_config **maps; /* owned */
} value;

struct moire_config {
  moire__config_fields fields;
  value *values; /* [fields.n] */
  moire__arena arena;
};

/* ---- Scalars ----------------------------------------------------------------------------------------------
 */

static const char *skip_digits(const char *c) {
  while (*c >= '0' && *c <= '9') c++;
  return c;
}

static const char *skip_sign(const char *c) { return *c == '-' || *c == '+' ? c + 1 : c; }

static bool parse_int(const char *text, int64_t *out) {
  const char *digits = skip_sign(text), *end = skip_digits(digits);
  if (end == digits || *end) return false;
  errno = 0;
  *out = strtoll(text, NULL, 10);
  return errno == 0;
}

/* digits [. digits] [e digits], with a digit on at least one side of the point. */
static bool parse_real(const char *text, double *out) {
  const char *whole = skip_sign(text), *c = skip_digits(whole);
  bool has_digits = c > whole;
  if (*c == '.') {
    const char *fraction = c + 1;
    c = skip_digits(fraction);
    has_digits = has_digits || c > fraction;
  }
  if (!has_digits) return false;
  if (*c == 'e' || *c == 'E') {
    const char *exponent = skip_sign(c + 1);
    c = skip_digits(exponent);
    if (c == exponent) return false;
  }
  if (*c) return false;
  *out = moire__text_to_double(text, NULL);
  return isfinite(*out);
}

static bool parse_bool(const char *text, bool *out) {
  *out = !strcmp(text, "true") || !strcmp(text, "True") || !strcmp(text, "TRUE");
  return *out || !strcmp(text, "false") || !strcmp(text, "False") || !strcmp(text, "FALSE");
}

static bool is_choice(const char *choices, const char *text) {
  size_t length = strlen(text);
  for (const char *c = choices; c; c = strchr(c, '|'), c = c ? c + 1 : NULL) {
    if (strcspn(c, "|") == length && !strncmp(c, text, length)) return true;
  }
  return false;
}

static bool in_range(const moire_config_field *field, double number) {
  return number >= field->min && number <= field->max;
}

/* ---- What went wrong --------------------------------------------------------------------------------------
 */

static void add_place(moire__text *text, const moire__config_entry *entry) {
  moire__printable_buffer shown;
  moire__text_add(text, "%s:", entry->origin);
  if (entry->line) moire__text_add(text, "%d:", entry->line);
  moire__text_add(text, " %s: ", moire__printable(entry->key, strlen(entry->key), shown));
}

static void add_wanted(moire__text *text, const moire_config_field *field) {
  switch (field->kind) {
    case MOIRE_CONFIG_INT:
      moire__text_add(text, "a whole number from %.17g to %.17g", field->min, field->max);
      if (field->text && !strcmp(field->text, "null")) moire__text_add(text, " or nothing");
      break;
    case MOIRE_CONFIG_REAL: moire__text_add(text, "a number from %g to %g", field->min, field->max); break;
    case MOIRE_CONFIG_BOOL: moire__text_add(text, "true or false"); break;
    case MOIRE_CONFIG_STRING:
      moire__text_add(text, field->choices ? "one of %s" : "a word", (const char *)field->choices);
      break;
    case MOIRE_CONFIG_INTS:
      moire__text_add(text, "a list of whole numbers from %.17g to %.17g", field->min, field->max);
      break;
    case MOIRE_CONFIG_STRINGS: moire__text_add(text, "a word or a list of words"); break;
    case MOIRE_CONFIG_MAPS: moire__text_add(text, "a list of maps"); break;
    case MOIRE_CONFIG_REALS:
      moire__text_add(text, "a list of numbers from %g to %g", field->min, field->max);
      break;
    case MOIRE_CONFIG_ANY: moire__text_add(text, "anything"); break;
  }
}

static void add_came(moire__text *text, const moire__config_entry *entry) {
  enum { SHOWN = 8 };
  if (!entry->list && entry->values[0].null) {
    moire__text_add(text, "nothing");
    return;
  }
  if (entry->maps) {
    moire__text_add(text, "a list of maps");
    return;
  }
  if (entry->list) moire__text_add(text, "[");
  for (int i = 0; i < entry->n && i < SHOWN; i++) {
    moire__printable_buffer shown;
    const moire__config_scalar *s = &entry->values[i];
    moire__text_add(text, s->quoted ? "%s\"%s\"" : "%s%s", i ? ", " : "",
                    moire__printable(s->text, strlen(s->text), shown));
  }
  if (entry->n > SHOWN) moire__text_add(text, ", ...");
  if (entry->list) moire__text_add(text, "]");
}

static moire_status wrong_value(const moire__config_entry *entry, const moire_config_field *field,
                                moire_error *error) {
  moire__text text = {0};
  add_place(&text, entry);
  moire__text_add(&text, "wanted ");
  add_wanted(&text, field);
  moire__text_add(&text, ", but ");
  add_came(&text, entry);
  moire__text_add(&text, " came");
  moire_status status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s", text.data);
  moire__text_free(&text);
  return status;
}

/* The number of single-character insertions, deletions and replacements between two keys (Levenshtein), for
 * keys shorter than LONGEST_KEY; a longer key is far from everything. */
enum { LONGEST_KEY = 64 };
static int distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  if (n >= LONGEST_KEY || m >= LONGEST_KEY) return LONGEST_KEY;
  int row[LONGEST_KEY];
  for (size_t j = 0; j <= m; j++) row[j] = (int)j;
  for (size_t i = 1; i <= n; i++) {
    int diagonal = row[0];
    row[0] = (int)i;
    for (size_t j = 1; j <= m; j++) {
      int replaced = diagonal + (a[i - 1] != b[j - 1]), added = row[j - 1] + 1, removed = row[j] + 1;
      diagonal = row[j];
      row[j] = replaced < added ? replaced : added;
      if (removed < row[j]) row[j] = removed;
    }
  }
  return row[m];
}

static moire_status unknown_key(const moire__config_entry *entry, const moire__config_fields *sets, int n_sets,
                                moire_error *error) {
  const char *closest = NULL;
  int least = 3 + (int)strlen(entry->key) / 4;
  for (int s = 0; s < n_sets; s++) {
    for (int i = 0; i < sets[s].n; i++) {
      int d = distance(entry->key, sets[s].fields[i].key);
      if (d >= least) continue;
      least = d;
      closest = sets[s].fields[i].key;
    }
  }
  moire__text text = {0};
  add_place(&text, entry);
  moire__text_add(&text, "there is no such key");
  if (closest) moire__text_add(&text, "; did you mean '%s'?", closest);
  moire_status status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s", text.data);
  moire__text_free(&text);
  return status;
}

/* ---- Building ---------------------------------------------------------------------------------------------
 */

static bool parse_ints(moire__arena *arena, const moire__config_entry *entry, const moire_config_field *field,
                       value *out) {
  out->n = entry->n;
  out->ints = moire__arena_array(arena, (size_t)entry->n, sizeof *out->ints);
  for (int i = 0; i < entry->n; i++) {
    const moire__config_scalar *s = &entry->values[i];
    if (s->quoted || !parse_int(s->text, &out->ints[i]) || !in_range(field, (double)out->ints[i])) return false;
  }
  return true;
}

static bool parse_reals(moire__arena *arena, const moire__config_entry *entry, const moire_config_field *field,
                        value *out) {
  out->n = entry->n;
  out->reals = moire__arena_array(arena, (size_t)entry->n, sizeof *out->reals);
  for (int i = 0; i < entry->n; i++) {
    const moire__config_scalar *s = &entry->values[i];
    if (s->quoted || !parse_real(s->text, &out->reals[i]) || !in_range(field, out->reals[i])) return false;
  }
  return true;
}

/* Nothing came, and the field takes that for 0: its own default is nothing. */
static bool is_nothing(const moire__config_entry *entry, const moire_config_field *field) {
  return !entry->list && entry->values[0].null && field->text && !strcmp(field->text, "null");
}

static bool parse_strings(moire__arena *arena, const moire__config_entry *entry, value *out) {
  out->n = entry->n;
  out->strings = moire__arena_array(arena, (size_t)entry->n, sizeof *out->strings);
  for (int i = 0; i < entry->n; i++) {
    if (entry->values[i].null) return false;
    out->strings[i] = moire__arena_copy_string(arena, entry->values[i].text);
  }
  return true;
}

static bool has_form(const moire__config_entry *entry, moire_config_kind kind) {
  if (kind == MOIRE_CONFIG_MAPS) return entry->list && (entry->maps || !entry->n);
  if (entry->maps) return false;
  if (kind == MOIRE_CONFIG_STRINGS || kind == MOIRE_CONFIG_ANY) return true;
  return (kind == MOIRE_CONFIG_INTS || kind == MOIRE_CONFIG_REALS) == entry->list;
}

/* Of any kind but MAPS. */
static bool parse_value(moire__arena *arena, const moire__config_entry *entry, const moire_config_field *field,
                        value *out) {
  const moire__config_scalar *first = entry->values;
  if (!has_form(entry, field->kind)) return false;
  if (is_nothing(entry, field)) {
    out->nothing = true;
    out->n = 1;
    out->ints = moire__arena_array(arena, 1, sizeof *out->ints);
    return true;
  }
  if (!entry->list && first->null) return false;
  switch (field->kind) {
    case MOIRE_CONFIG_INT:
    case MOIRE_CONFIG_INTS: return parse_ints(arena, entry, field, out);
    case MOIRE_CONFIG_REALS: return parse_reals(arena, entry, field, out);
    case MOIRE_CONFIG_ANY: return true;
    case MOIRE_CONFIG_REAL:
      return !first->quoted && parse_real(first->text, &out->real) && in_range(field, out->real);
    case MOIRE_CONFIG_BOOL: return !first->quoted && parse_bool(first->text, &out->truth);
    case MOIRE_CONFIG_STRING:
      out->text = moire__arena_copy_string(arena, first->text);
      return !field->choices || is_choice(field->choices, first->text);
    case MOIRE_CONFIG_STRINGS: return parse_strings(arena, entry, out);
    case MOIRE_CONFIG_MAPS: return !entry->n;
  }
  return false;
}

/* The default is read as an assignment, and judged like any other value. */
static moire_status build_default(moire_config *config, int index, const char *where, moire_error *error) {
  const moire_config_field *field = &config->fields.fields[index];
  if (!field->text) {
    moire__text wanted = {0};
    add_wanted(&wanted, field);
    moire_status missing = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: %s: is missing; wanted %s (%s)", where,
                                      field->key, wanted.data, field->help ? field->help : "");
    moire__text_free(&wanted);
    return missing;
  }
  moire__config_table table = {0};
  moire__text assignment = {0};
  moire__text_add(&assignment, "%s=%s", field->key, field->text);
  moire_status status = moire__config_table_set(&table, "default", assignment.data, error);
  if (!status && !parse_value(&config->arena, &table.map.entries[0], field, &config->values[index])) {
    status = wrong_value(&table.map.entries[0], field, error);
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
    if (!is_known(map->entries[i].key, sets, n_sets)) return unknown_key(&map->entries[i], sets, n_sets, error);
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
    if (parse_value(&config->arena, entry, field, &config->values[i])) return MOIRE_OK;
    return wrong_value(entry, field, error);
  }
  return build_default(config, i, where, error);
}

static moire_status build_map(const moire__config_entry *entry, int i, const moire_config_field *fields,
                              moire_config **out, moire_error *error) {
  moire__config_fields set = {fields, 0};
  while (fields[set.n].key) set.n++;
  moire__text where = {0};
  add_place(&where, entry);
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
  value *v = &config->values[index];
  if (!has_form(entry, field->kind)) return wrong_value(entry, field, error);
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
    const value *v = &config->values[i];
    for (int m = 0; v->maps && m < v->n; m++) moire__config_free(v->maps[m]);
  }
  moire__arena_free(&config->arena);
  moire__release(config);
}

/* ---- Reading ----------------------------------------------------------------------------------------------
 */

static const value *get(const moire_config *config, const char *key, moire_config_kind kind) {
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
  const value *v = get(config, key, MOIRE_CONFIG_INTS);
  *values = v->ints;
  return v->n;
}

int moire_config_reals(const moire_config *config, const char *key, const double **values) {
  const value *v = get(config, key, MOIRE_CONFIG_REALS);
  *values = v->reals;
  return v->n;
}

int moire_config_strings(const moire_config *config, const char *key, const char *const **values) {
  const value *v = get(config, key, MOIRE_CONFIG_STRINGS);
  *values = v->strings;
  return v->n;
}

int moire_config_maps(const moire_config *config, const char *key, const moire_config *const **maps) {
  const value *v = get(config, key, MOIRE_CONFIG_MAPS);
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

/* ---- Writing ----------------------------------------------------------------------------------------------
 */

static void add_quoted(moire__text *out, const char *text) {
  moire__text_add_char(out, '"');
  for (const char *c = text; *c; c++) {
    if (*c == '"' || *c == '\\') {
      moire__text_add(out, "\\%c", *c);
    } else if ((unsigned char)*c < ' ') {
      moire__text_add(out, "\\u%04x", (unsigned)*c);
    } else {
      moire__text_add_char(out, *c);
    }
  }
  moire__text_add_char(out, '"');
}

static void add_strings(moire__text *out, const value *v) {
  moire__text_add_char(out, '[');
  for (int i = 0; i < v->n; i++) {
    if (i) moire__text_add(out, ", ");
    add_quoted(out, v->strings[i]);
  }
  moire__text_add_char(out, ']');
}

static void add_reals(moire__text *out, const value *v) {
  moire__text_add_char(out, '[');
  for (int i = 0; i < v->n; i++) {
    if (i) moire__text_add(out, ", ");
    moire__config_add_real(out, v->reals[i]);
  }
  moire__text_add_char(out, ']');
}

static void add_value(moire__text *out, const moire_config_field *field, const value *v) {
  switch (field->kind) {
    case MOIRE_CONFIG_INT: moire__text_add(out, "%" PRId64, v->ints[0]); break;
    case MOIRE_CONFIG_REAL:
      if (v->nothing) moire__text_add(out, "null");
      if (!v->nothing) moire__config_add_real(out, v->real);
      break;
    case MOIRE_CONFIG_BOOL: moire__text_add(out, v->truth ? "true" : "false"); break;
    case MOIRE_CONFIG_STRING: add_quoted(out, v->text); break;
    case MOIRE_CONFIG_INTS:
      moire__text_add_char(out, '[');
      for (int i = 0; i < v->n; i++) moire__text_add(out, i ? ", %" PRId64 : "%" PRId64, v->ints[i]);
      moire__text_add_char(out, ']');
      break;
    case MOIRE_CONFIG_STRINGS: add_strings(out, v); break;
    case MOIRE_CONFIG_MAPS: moire__text_add(out, "[]"); break; /* in no map */
    case MOIRE_CONFIG_REALS: add_reals(out, v); break;
    case MOIRE_CONFIG_ANY: moire__text_add(out, "null"); break;
  }
}

static void add_fields(moire__text *out, const moire_config *config, bool with_maps) {
  moire__text_add_char(out, '{');
  for (int i = 0; i < config->fields.n; i++) {
    const moire_config_field *field = &config->fields.fields[i];
    const value *v = &config->values[i];
    if (i) moire__text_add(out, ", ");
    add_quoted(out, field->key);
    moire__text_add(out, ": ");
    if (field->kind != MOIRE_CONFIG_MAPS || !with_maps) {
      add_value(out, field, v);
      continue;
    }
    moire__text_add_char(out, '[');
    for (int m = 0; m < v->n; m++) {
      if (m) moire__text_add(out, ", ");
      add_fields(out, v->maps[m], false);
    }
    moire__text_add_char(out, ']');
  }
  moire__text_add_char(out, '}');
}

void moire__config_to_json(const moire_config *config, moire__text *out) { add_fields(out, config, true); }
