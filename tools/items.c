/* moire items: tables of items, which are searched apart from the model that makes queries. */
#include "moire/items.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/files/tensor_source.h"
#include "tools/tool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct arguments {
  const char *table, *from, *append, *retire, *tensor, *names, *output;
  bool check;
  moire__arena arena;
} arguments;

enum { FROM = 0x100, APPEND, RETIRE, TENSOR, NAMES, CHECK };

static const struct argp_option options[] = {
    {"from", FROM, "FILE", 0, "Make the table of these rows: a checkpoint, safetensors or .npy", 0},
    {"append", APPEND, "FILE", 0, "Add these rows behind those that it has", 0},
    {"retire", RETIRE, "FILE", 0, "Rows that are not found any more: their names (or numbers), one a line", 0},
    {"tensor", TENSOR, "NAME", 0, "The tensor of FILE (item_embeddings.weight, or the only matrix)", 0},
    {"names", NAMES, "FILE", 0,
     "Names of the rows of FILE, one a line (a checkpoint's own, else their numbers)", 0},
    {"output", 'o', "FILE", 0, "Where the new table goes (TABLE, at once)", 0},
    {"check", CHECK, NULL, 0, "Read all of the table against its checksums", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case FROM: a->from = tool_path_argument(state, "--from", "a file", text); return 0;
    case APPEND: a->append = tool_path_argument(state, "--append", "a file", text); return 0;
    case RETIRE: a->retire = tool_path_argument(state, "--retire", "a file", text); return 0;
    case NAMES: a->names = tool_path_argument(state, "--names", "a file", text); return 0;
    case 'o': a->output = tool_path_argument(state, "--output", "a file", text); return 0;
    case TENSOR: a->tensor = text; return 0;
    case CHECK: a->check = true; return 0;
    case ARGP_KEY_ARG:
      if (a->table) argp_error(state, "one table at a time: '%s' came too", text);
      a->table = tool_path_argument(state, "TABLE", "a file", text);
      return 0;
    case ARGP_KEY_END:
      if (!a->table) argp_error(state, "wanted the TABLE");
      if (a->from && a->append)
        argp_error(state, "--from makes a table and --append changes one: wanted one of them");
      if (a->names && !a->from && !a->append) argp_error(state, "--names: wanted --from or --append");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

/* ---- What is read -----------------------------------------------------------------------------------------
 */

/* Lines of a text, the last with or without its newline: in the arena. */
static const char **lines_of(moire__arena *arena, const char *text, size_t n, int64_t *count) {
  const char **lines = NULL;
  int found = 0, capacity = 0;
  for (const char *at = text, *end = text + n; at < end;) {
    const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
    const char *line = moire__arena_printf(arena, "%.*s", (int)(stop - at), at);
    MOIRE__PUSH(arena, lines, found, capacity, line);
    at = stop + 1;
  }
  *count = found;
  return lines;
}

static const char **read_lines(arguments *a, const char *path, int64_t *count, moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  if (moire__file_read(path, 0, &bytes, &n, error)) return NULL;
  const char **lines = lines_of(&a->arena, bytes, n, count);
  moire__release(bytes);
  if (!lines) moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is empty, wanted names, one a line", path);
  return lines;
}

/* The tensor that is named, that of the items' embeddings, or the only matrix. */
static moire_status find_tensor(const arguments *a, const moire__tensor_source *source,
                                const moire__array **out, moire_error *error) {
  if (a->tensor) return moire__tensor_source_need(source, a->tensor, out, error);
  *out = moire__tensor_source_find(source, "item_embeddings.weight");
  int matrices = 0;
  for (int i = 0; i < moire__tensor_source_count(source) && !*out; i++)
    matrices += moire__tensor_source_at(source, i)->rank == 2;
  for (int i = 0; i < moire__tensor_source_count(source) && matrices == 1 && !*out; i++)
    if (moire__tensor_source_at(source, i)->rank == 2) *out = moire__tensor_source_at(source, i);
  return *out ? MOIRE_OK
              : moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: has %d matrices: wanted --tensor NAME",
                           moire__tensor_source_path(source), matrices);
}

/* Names: those of --names, or of a recommender's checkpoint, in which row 0 is the padding. */
static moire_status find_names(arguments *a, const moire__tensor_source *source, moire_items_contents *c,
                               moire_error *error) {
  int64_t n = 0;
  if (a->names) {
    c->names = read_lines(a, a->names, &n, error);
    if (!c->names) return MOIRE_ERROR_FORMAT;
    if (n != c->n)
      return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: has %" PRId64 " names, but there are %" PRId64 " rows",
                        a->names, n, c->n);
    return MOIRE_OK;
  }
  const char *map = moire__tensor_source_metadata(source, "items");
  const char **names = map ? lines_of(&a->arena, map, strlen(map), &n) : NULL;
  if (!names || n + 1 != c->n) return MOIRE_OK;
  const char **all = moire__arena_array(&a->arena, (size_t)c->n, sizeof *all);
  all[0] = "";
  memcpy(all + 1, names, (size_t)n * sizeof *all);
  c->names = all;
  return MOIRE_OK;
}

/* *values is to be released. */
static moire_status read_rows(arguments *a, const char *path, moire_items_contents *c, float **values,
                              moire_error *error) {
  moire__tensor_source *source = NULL;
  const moire__array *array = NULL;
  moire_status status = moire__tensor_source_open(path, &source, error);
  if (!status) status = find_tensor(a, source, &array, error);
  if (!status && array->rank != 2)
    status = moire_fail(error, MOIRE_ERROR_SHAPE, "%s: %s has %d axes, wanted rows of numbers", path,
                        array->name, array->rank);
  if (!status) status = moire__array_check_type(array, MOIRE_F32, error);
  if (!status) {
    c->n = array->shape[0];
    c->width = array->shape[1];
    *values = moire__allocate_array((size_t)array->count + 1, sizeof **values);
    status = moire__array_read_rows(array, MOIRE_F32, NULL, c->n, *values, NULL, error);
    c->rows = *values;
  }
  if (!status) status = find_names(a, source, c, error);
  moire__tensor_source_close(source);
  return status;
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Is the name of `row` among the sorted lines? Marks those that are. */
static bool is_listed(const char *const *lines, bool *found, int64_t n, const char *name, int length) {
  int64_t low = 0;
  for (int64_t left = n; left > 0;) {
    int64_t half = left / 2;
    int order = strncmp(lines[low + half], name, (size_t)length);
    bool below = order < 0;
    low = below ? low + half + 1 : low;
    left = below ? left - half - 1 : half;
  }
  bool any = false;
  for (; low < n && !strncmp(lines[low], name, (size_t)length); low++) {
    if (lines[low][length]) continue;
    found[low] = any = true;
  }
  return any;
}

/* Rows of the old table by their names, or, where it has none, numbers. */
static moire_status read_retired(arguments *a, const moire_items *old, moire_items_contents *c,
                                 moire_error *error) {
  int64_t n = 0, rows = moire_items_count(old);
  const char **lines = read_lines(a, a->retire, &n, error);
  if (!lines) return MOIRE_ERROR_FORMAT;
  qsort(lines, (size_t)n, sizeof *lines, by_text);
  bool *found = moire__arena_array(&a->arena, (size_t)n, sizeof *found);
  int64_t *retired = moire__arena_array(&a->arena, (size_t)rows, sizeof *retired);
  for (int64_t i = 0; i < rows; i++) {
    char number[24];
    int length = 0;
    const char *name = moire_items_name(old, i, &length);
    if (!name) {
      length = snprintf(number, sizeof number, "%" PRId64, i);
      name = number;
    }
    if (length && is_listed(lines, found, n, name, length)) retired[c->n_retired++] = i;
  }
  c->retired = retired;
  for (int64_t i = 0; i < n; i++) {
    if (!found[i])
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: '%.60s' is no item of %s", a->retire, lines[i],
                        a->table);
  }
  return MOIRE_OK;
}

/* ---- The command ------------------------------------------------------------------------------------------
 */

static moire_status change(arguments *a, moire_error *error) {
  const char *path = a->from ? a->from : a->append;
  moire_items_contents c = {0};
  float *values = NULL;
  moire_items *old = a->from ? NULL : moire_items_open(a->table, error);
  moire_status status = a->from || old ? MOIRE_OK : MOIRE_ERROR_IO;
  c.old = old;
  if (!status && path) status = read_rows(a, path, &c, &values, error);
  if (!status && a->retire && old) status = read_retired(a, old, &c, error);
  if (!status && a->retire && !old)
    status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "--retire: wanted a table that is there, not --from");
  if (!status) status = moire_items_write(a->output ? a->output : a->table, &c, error);
  moire_items_close(old);
  moire__release(values);
  return status;
}

static moire_status describe(const char *path, bool check, moire_error *error) {
  moire_items *t = moire_items_open(path, error);
  moire_status status = !t ? MOIRE_ERROR_IO : check ? moire_items_check(t, error) : MOIRE_OK;
  if (!status)
    printf("%s: %" PRId64 " items of %" PRId64 " numbers, %" PRId64 " retired%s\n", path, moire_items_count(t),
           moire_items_width(t), moire_items_count(t) - moire_items_live(t),
           check ? ", checksums as they say" : "");
  moire_items_close(t);
  return status;
}

int tool_items(int argc, char **argv) {
  static const struct argp parser = {options,
                                     parse,
                                     "TABLE",
                                     "Makes a table of items, or changes one: their rows in float32 and in "
                                     "eight bits, by which `moire recommend "
                                     "--items` finds the best of millions. A table is replaced at once; who "
                                     "has it open goes on with what it was. "
                                     "Says what the table has.",
                                     NULL,
                                     NULL,
                                     NULL};
  arguments a = {0};
  moire_error error = {0};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  moire_status status = a.from || a.append || a.retire ? change(&a, &error) : MOIRE_OK;
  if (!status) status = describe(a.output ? a.output : a.table, a.check, &error);
  moire__arena_free(&a.arena);
  return status ? tool_fail("items", &error) : 0;
}
