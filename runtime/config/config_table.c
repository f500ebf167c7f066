/* Reading configurations: YAML, JSON and `key=value`, into one table of texts.
 *
 * Each source is read into a table of its own first; only when all of it is good do its keys replace those of
 * the sources before. Nothing is typed here: a text and whether it was quoted is all that is kept. */
#include "runtime/config/config.h"

#include "runtime/files/file.h"

#include <jansson.h>
#include <string.h>
#include <yaml.h>

/* Keys are looked up one by one, so that a source of many thousand keys would take minutes. */
enum { LARGEST_SOURCE = 1 << 16 };

void moire__config_table_free(moire__config_table *table) {
  moire__arena_free(&table->arena);
  *table = (moire__config_table){0};
}

static moire__config_entry *find(const moire__config_map *map, const char *key) {
  for (int i = 0; i < map->n; i++) {
    if (!strcmp(map->entries[i].key, key)) return &map->entries[i];
  }
  return NULL;
}

const moire__config_entry *moire__config_table_find(const moire__config_table *table, const char *key) {
  return find(&table->map, key);
}

const char *moire__config_table_text(const moire__config_table *table, const char *key) {
  const moire__config_entry *entry = moire__config_table_find(table, key);
  return entry && !entry->list && !entry->values[0].null ? entry->values[0].text : NULL;
}

static void add_entry(moire__arena *arena, moire__config_map *map, moire__config_entry entry) {
  MOIRE__PUSH(arena, map->entries, map->n, map->capacity, entry);
}

static moire__config_scalar *copy_values(moire__arena *arena, const moire__config_entry *from) {
  moire__config_scalar *values = moire__arena_array(arena, (size_t)from->n, sizeof *values);
  for (int v = 0; v < from->n; v++) {
    values[v] = from->values[v];
    values[v].text = moire__arena_copy_string(arena, values[v].text);
  }
  return values;
}

/* A copy without its maps. */
static moire__config_entry copy_entry(moire__arena *arena, const moire__config_entry *from) {
  moire__config_entry entry = *from;
  entry.key = moire__arena_copy_string(arena, entry.key);
  entry.origin = moire__arena_copy_string(arena, entry.origin);
  if (from->values) entry.values = copy_values(arena, from);
  return entry;
}

static moire__config_map *copy_maps(moire__arena *arena, const moire__config_entry *from) {
  moire__config_map *maps = moire__arena_array(arena, (size_t)from->n, sizeof *maps);
  for (int m = 0; m < from->n; m++) {
    for (int i = 0; i < from->maps[m].n; i++)
      add_entry(arena, &maps[m], copy_entry(arena, &from->maps[m].entries[i]));
  }
  return maps;
}

/* Copies the entries of `from` over into `table`, where they replace those with the same key. */
static void merge(moire__config_table *table, const moire__config_table *from) {
  moire__arena *arena = &table->arena;
  for (int i = 0; i < from->map.n; i++) {
    moire__config_entry entry = copy_entry(arena, &from->map.entries[i]);
    if (entry.maps) entry.maps = copy_maps(arena, &from->map.entries[i]);
    moire__config_entry *old = find(&table->map, entry.key);
    if (old) {
      *old = entry;
    } else {
      add_entry(arena, &table->map, entry);
    }
  }
}

/* ---- YAML -------------------------------------------------------------------------------------------------
 */

typedef struct yaml_reader {
  moire__config_table *table;
  const char *origin, *bytes;
  bool has_lines; /* false for the value of an assignment */
  yaml_parser_t parser;
  yaml_event_t event; /* the current one; zeroed when there is none */
  moire_error *error;
} yaml_reader;

static int line_of(const yaml_reader *r, yaml_mark_t mark) { return r->has_lines ? (int)mark.line + 1 : 0; }

static moire_status bad_yaml(const yaml_reader *r, yaml_mark_t mark, const char *what) {
  if (!r->has_lines) return moire_fail(r->error, MOIRE_ERROR_FORMAT, "%s: %s", r->origin, what);
  return moire_fail(r->error, MOIRE_ERROR_FORMAT, "%s:%d: %s", r->origin, line_of(r, mark), what);
}

/* Moves on to the next event. Aliases and tags end here. */
static moire_status next_event(yaml_reader *r) {
  yaml_event_delete(&r->event);
  if (yaml_parser_parse(&r->parser, &r->event)) {
    yaml_mark_t mark = r->event.start_mark;
    if (r->event.type == YAML_ALIAS_EVENT) return bad_yaml(r, mark, "aliases are not allowed here");
    if ((r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.tag) ||
        (r->event.type == YAML_SEQUENCE_START_EVENT && r->event.data.sequence_start.tag) ||
        (r->event.type == YAML_MAPPING_START_EVENT && r->event.data.mapping_start.tag)) {
      return bad_yaml(r, mark, "tags are not allowed here");
    }
    return MOIRE_OK;
  }
  const yaml_parser_t *p = &r->parser;
  yaml_mark_t mark = p->problem_mark;
  if (p->error == YAML_READER_ERROR) { /* such as a control character: only its offset is known */
    mark.line = 0;
    for (size_t i = 0; i < p->problem_offset; i++) mark.line += r->bytes[i] == '\n';
  }
  moire__text what = {0};
  moire__text_add(&what, "not valid YAML: %s", p->problem ? p->problem : "unknown problem");
  if (p->context) moire__text_add(&what, " (%s)", p->context);
  moire_status status = bad_yaml(r, mark, moire__text_string(&what));
  moire__text_free(&what);
  return status;
}

static bool is_null(const char *text) {
  return !*text || !strcmp(text, "~") || !strcmp(text, "null") || !strcmp(text, "Null") ||
         !strcmp(text, "NULL");
}

/* The current event, a scalar, as a value. */
static moire_status read_scalar(yaml_reader *r, moire__config_scalar *out) {
  const char *text = (const char *)r->event.data.scalar.value;
  if (strlen(text) != r->event.data.scalar.length) {
    return bad_yaml(r, r->event.start_mark, "there is a NUL character in a value");
  }
  out->quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
  out->null = !out->quoted && is_null(text);
  out->text = moire__arena_copy_string(&r->table->arena, text);
  return MOIRE_OK;
}

/* The current event begins a list; on return it is the list's last. Lists of maps are for read_value. */
static moire_status read_list(yaml_reader *r, moire__config_entry *entry) {
  int capacity = 0;
  moire__config_scalar scalar = {0};
  entry->list = true;
  moire_status status = next_event(r);
  for (; !status && r->event.type == YAML_SCALAR_EVENT; status = next_event(r)) {
    status = read_scalar(r, &scalar);
    if (status) return status;
    MOIRE__PUSH(&r->table->arena, entry->values, entry->n, capacity, scalar);
  }
  return status;
}

/* The current event begins a scalar or a list of scalars; on return it is the value's last. */
static moire_status read_flat(yaml_reader *r, moire__config_entry *entry) {
  if (r->event.type == YAML_SEQUENCE_START_EVENT) {
    moire_status status = read_list(r, entry);
    if (status || r->event.type == YAML_SEQUENCE_END_EVENT) return status;
    return bad_yaml(r, r->event.start_mark, "wanted a scalar in the list, but a list or mapping came");
  }
  if (r->event.type != YAML_SCALAR_EVENT)
    return bad_yaml(r, r->event.start_mark, "wanted a scalar or a list of scalars, but a mapping came");
  entry->values = moire__arena_array(&r->table->arena, 1, sizeof *entry->values);
  entry->n = 1;
  return read_scalar(r, entry->values);
}

/* The current event is a key, which must be new in the map. */
static moire_status read_key(yaml_reader *r, const moire__config_map *map, moire__config_entry *entry) {
  if (r->event.type != YAML_SCALAR_EVENT)
    return bad_yaml(r, r->event.start_mark, "wanted a key that is a word");
  moire__config_scalar key = {0};
  *entry = (moire__config_entry){.origin = r->origin, .line = line_of(r, r->event.start_mark)};
  moire_status status = read_scalar(r, &key);
  if (status) return status;
  entry->key = key.text;
  const moire__config_entry *old = find(map, key.text);
  if (!old) return next_event(r);
  moire__printable_buffer shown;
  return moire_fail(r->error, MOIRE_ERROR_FORMAT, "%s:%d: %s: was given before, in line %d", r->origin,
                    entry->line, moire__printable(key.text, strlen(key.text), shown), old->line);
}

/* The current event begins a map in a list; on return it is the map's last. */
static moire_status read_map(yaml_reader *r, moire__config_map *map) {
  moire_status status = next_event(r);
  for (; !status && r->event.type != YAML_MAPPING_END_EVENT; status = next_event(r)) {
    moire__config_entry entry;
    status = read_key(r, map, &entry);
    if (!status) status = read_flat(r, &entry);
    if (status) return status;
    add_entry(&r->table->arena, map, entry);
  }
  return status;
}

/* The current event begins a value; on return it is the value's last. */
static moire_status read_value(yaml_reader *r, moire__config_entry *entry) {
  if (r->event.type != YAML_SEQUENCE_START_EVENT) return read_flat(r, entry);
  moire_status status = read_list(r, entry);
  if (status || r->event.type == YAML_SEQUENCE_END_EVENT) return status;
  int capacity = 0;
  for (; !status && !entry->values && r->event.type == YAML_MAPPING_START_EVENT; status = next_event(r)) {
    moire__config_map map = {0};
    status = read_map(r, &map);
    if (status) return status;
    MOIRE__PUSH(&r->table->arena, entry->maps, entry->n, capacity, map);
  }
  if (status || r->event.type == YAML_SEQUENCE_END_EVENT) return status;
  return bad_yaml(r, r->event.start_mark,
                  entry->maps ? "wanted a mapping in the list, but something else came"
                              : "wanted a scalar in the list, but a list or mapping came");
}

static moire_status read_pair(yaml_reader *r) {
  moire__config_entry entry;
  moire_status status = read_key(r, &r->table->map, &entry);
  if (!status) status = read_value(r, &entry);
  if (!status) add_entry(&r->table->arena, &r->table->map, entry);
  return status;
}

/* Moves to the start of the first document's content, or to the end of the stream. */
static moire_status open_document(yaml_reader *r) {
  moire_status status = next_event(r);                                               /* the stream's start */
  if (!status) status = next_event(r);                                               /* the document's start */
  if (!status && r->event.type == YAML_DOCUMENT_START_EVENT) status = next_event(r); /* its content */
  return status;
}

/* The content was read: nothing may follow. */
static moire_status close_document(yaml_reader *r) {
  moire_status status = next_event(r); /* the document's end */
  if (!status) status = next_event(r); /* the stream's end */
  if (status || r->event.type == YAML_STREAM_END_EVENT) return status;
  return bad_yaml(r, r->event.start_mark, "a second document begins here");
}

static moire_status read_mapping(yaml_reader *r) {
  moire_status status = open_document(r);
  if (status) return status;
  if (r->event.type == YAML_STREAM_END_EVENT) {
    return moire_fail(r->error, MOIRE_ERROR_FORMAT, "%s: is empty; wanted lines 'key: value'", r->origin);
  }
  if (r->event.type != YAML_MAPPING_START_EVENT) {
    return bad_yaml(r, r->event.start_mark, "wanted lines 'key: value', but something else came");
  }
  for (status = next_event(r); !status && r->event.type != YAML_MAPPING_END_EVENT; status = next_event(r)) {
    status = read_pair(r);
    if (status) return status;
  }
  return status ? status : close_document(r);
}

/* Runs `read` over the bytes with a fresh table, and merges that into `table` if all is well. */
static moire_status read_yaml(moire__config_table *table, const char *origin, const char *bytes, size_t n,
                              bool has_lines, moire_status (*read)(yaml_reader *), moire_error *error) {
  moire__config_table fresh = {0};
  yaml_reader r = {.table = &fresh, .origin = origin, .bytes = bytes, .has_lines = has_lines, .error = error};
  if (!yaml_parser_initialize(&r.parser)) {
    return moire_fail(error, MOIRE_ERROR_MEMORY, "%s: no memory to read it", origin);
  }
  yaml_parser_set_input_string(&r.parser, (const unsigned char *)bytes, n);
  moire_status status = read(&r);
  if (!status) merge(table, &fresh);
  yaml_event_delete(&r.event);
  yaml_parser_delete(&r.parser);
  moire__config_table_free(&fresh);
  return status;
}

moire_status moire__config_table_add_yaml_text(moire__config_table *table, const char *path, const char *bytes,
                                               size_t n, moire_error *error) {
  return read_yaml(table, path, bytes, n, true, read_mapping, error);
}

moire_status moire__config_table_add_yaml(moire__config_table *table, const char *path, moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  moire_status status = moire__file_read(path, LARGEST_SOURCE, &bytes, &n, error);
  if (status) return status;
  status = moire__config_table_add_yaml_text(table, path, bytes, n, error);
  moire__release(bytes);
  return status;
}

/* ---- key=value --------------------------------------------------------------------------------------------
 */

/* The document is one value; its entry's key is set by the caller. */
static moire_status read_lone_value(yaml_reader *r) {
  moire__config_entry entry = {.key = "", .origin = r->origin};
  moire_status status = open_document(r);
  if (status) return status;
  if (r->event.type == YAML_STREAM_END_EVENT) return bad_yaml(r, r->event.start_mark, "has no value");
  status = read_value(r, &entry);
  if (!status) status = close_document(r);
  if (!status) add_entry(&r->table->arena, &r->table->map, entry);
  return status;
}

moire_status moire__config_table_set(moire__config_table *table, const char *origin, const char *assignment,
                                     moire_error *error) {
  moire__printable_buffer shown;
  const char *equals = strchr(assignment, '=');
  if (!equals || equals == assignment) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: wanted key=value, but '%s' came", origin,
                      moire__printable(assignment, strlen(assignment), shown));
  }
  moire__config_table fresh = {0};
  moire__text place = {0};
  moire__text_add(&place, "%s %s", origin, moire__printable(assignment, strlen(assignment), shown));
  moire_status status =
      read_yaml(&fresh, place.data, equals + 1, strlen(equals + 1), false, read_lone_value, error);
  if (!status) {
    char *key = moire__arena_copy_string(&fresh.arena, assignment);
    key[equals - assignment] = 0;
    fresh.map.entries[0].key = key;
    fresh.map.entries[0].origin = origin;
    merge(table, &fresh);
  }
  moire__text_free(&place);
  moire__config_table_free(&fresh);
  return status;
}

/* ---- JSON -------------------------------------------------------------------------------------------------
 */

static moire_status json_scalar(moire__arena *arena, const char *origin, const char *key, const json_t *value,
                                moire__config_scalar *out, moire_error *error) {
  switch (json_typeof(value)) {
    case JSON_STRING:
      *out = (moire__config_scalar){moire__arena_copy_string(arena, json_string_value(value)), true, false};
      return MOIRE_OK;
    case JSON_INTEGER:
      out->text = moire__arena_printf(arena, "%jd", (intmax_t)json_integer_value(value));
      break;
    case JSON_REAL: {
      moire__text digits = {0};
      moire__config_add_real(&digits, json_real_value(value));
      out->text = moire__arena_copy_string(arena, digits.data);
      moire__text_free(&digits);
      break;
    }
    case JSON_TRUE: out->text = "true"; break;
    case JSON_FALSE: out->text = "false"; break;
    case JSON_NULL: *out = (moire__config_scalar){"null", false, true}; return MOIRE_OK;
    case JSON_OBJECT:
    case JSON_ARRAY: {
      moire__printable_buffer shown;
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s: wanted a scalar or a list of scalars", origin,
                        moire__printable(key, strlen(key), shown));
    }
  }
  out->quoted = out->null = false;
  return MOIRE_OK;
}

/* A scalar or a list of scalars. */
static moire_status json_flat(moire__arena *arena, const char *origin, const char *key, json_t *value,
                              moire__config_entry *out, moire_error *error) {
  *out = (moire__config_entry){
      .key = moire__arena_copy_string(arena, key), .origin = origin, .list = json_is_array(value)};
  out->n = out->list ? (int)json_array_size(value) : 1;
  out->values = moire__arena_array(arena, (size_t)out->n, sizeof *out->values);
  moire_status status = MOIRE_OK;
  for (int i = 0; i < out->n && !status; i++) {
    const json_t *element = out->list ? json_array_get(value, (size_t)i) : value;
    status = json_scalar(arena, origin, key, element, &out->values[i], error);
  }
  return status;
}

static moire_status json_map(moire__arena *arena, const char *origin, const char *key, json_t *object,
                             moire__config_map *out, moire_error *error) {
  if (!json_is_object(object))
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %.80s: wanted a list of objects alone", origin, key);
  const char *inner = NULL;
  json_t *value = NULL;
  json_object_foreach(object, inner, value) {
    moire__config_entry entry;
    moire_status status = json_flat(arena, origin, inner, value, &entry, error);
    if (status) return status;
    add_entry(arena, out, entry);
  }
  return MOIRE_OK;
}

/* Whether all that the object holds are whole numbers. */
static bool are_counts(json_t *object) {
  const char *inner = NULL;
  json_t *value = NULL;
  bool all = json_object_size(object) > 0;
  json_object_foreach(object, inner, value) all = all && json_is_integer(value);
  return all;
}

/* Such an object is a list of words, "key=number". */
static moire_status json_pairs(moire__arena *arena, const char *origin, const char *key, json_t *object,
                               moire__config_entry *out, moire_error *error) {
  int capacity = 0;
  const char *inner = NULL;
  json_t *value = NULL;
  *out = (moire__config_entry){.key = moire__arena_copy_string(arena, key), .origin = origin, .list = true};
  json_object_foreach(object, inner, value) {
    moire__config_scalar scalar = {0};
    moire_status status = json_scalar(arena, origin, key, value, &scalar, error);
    if (status) return status;
    scalar = (moire__config_scalar){moire__arena_printf(arena, "%s=%s", inner, scalar.text), true, false};
    MOIRE__PUSH(arena, out->values, out->n, capacity, scalar);
  }
  return MOIRE_OK;
}

static moire_status json_entry(moire__config_table *table, const char *origin, const char *key, json_t *value,
                               moire_error *error) {
  moire__arena *arena = &table->arena;
  moire__config_entry entry = {.key = key, .origin = origin, .list = true};
  moire_status status = MOIRE_OK;
  if (json_object_size(value) && !are_counts(value)) { /* its keys with a point: "rope_scaling.type" */
    const char *inner = NULL;
    json_t *part = NULL;
    json_object_foreach(value, inner, part) {
      const char *full = moire__arena_printf(arena, "%s.%s", key, inner);
      if (find(&table->map, full))
        return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %.80s: duplicate key", origin, full);
      status = json_flat(arena, origin, full, part, &entry, error);
      if (status) return status;
      add_entry(arena, &table->map, entry);
    }
    return MOIRE_OK;
  }
  if (json_is_object(json_array_get(value, 0))) {
    entry.n = (int)json_array_size(value);
    entry.maps = moire__arena_array(arena, (size_t)entry.n, sizeof *entry.maps);
    for (int i = 0; i < entry.n && !status; i++)
      status = json_map(arena, origin, key, json_array_get(value, (size_t)i), &entry.maps[i], error);
  } else if (are_counts(value)) {
    status = json_pairs(arena, origin, key, value, &entry, error);
  } else {
    status = json_flat(arena, origin, key, value, &entry, error);
  }
  if (!status) add_entry(arena, &table->map, entry);
  return status;
}

moire_status moire__config_table_add_json(moire__config_table *table, const char *origin, const char *json,
                                          moire_error *error) {
  if (strlen(json) > LARGEST_SOURCE) {
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has %zu bytes of JSON, more than %d", origin,
                      strlen(json), (int)LARGEST_SOURCE);
  }
  json_error_t why;
  json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, &why);
  if (!object || !json_is_object(object)) {
    moire__printable_buffer shown;
    const char *what = object ? "not an object" : moire__printable(why.text, strlen(why.text), shown);
    json_decref(object);
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: wanted a JSON object of keys and values: %s", origin,
                      what);
  }
  moire__config_table fresh = {0};
  moire_status status = MOIRE_OK;
  const char *key = NULL;
  json_t *value = NULL;
  json_object_foreach(object, key, value) {
    status = json_entry(&fresh, origin, key, value, error);
    if (status) break;
  }
  if (!status) merge(table, &fresh);
  moire__config_table_free(&fresh);
  json_decref(object);
  return status;
}
