/* What items are: catalogue, context, graph, texts. See data.h. */
#include "tasks/ratings/data.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/files/safetensors.h"
#include "runtime/files/stream.h"
#include "tasks/ratings/sheet.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH = 4096 };

void moire__ratings_items_free(moire__ratings_items *items) {
  moire__id_names_free(&items->ids);
  moire__release(items->genres);
  moire__release(items->context);
  for (int r = 0; r < items->n_relations; r++) moire__release(items->edges[r]);
  moire__release(items->overview);
  moire__release(items->reviews);
  moire__release(items->review_movies);
  *items = (moire__ratings_items){0};
}

/* ---- MovieLens' u.item: id|title|...|flags, Latin-1 -------------------------------------------------------
 */

static int count_lines(const char *folder, const char *name, moire_error *error) {
  char path[PATH], *bytes = NULL;
  size_t n = 0;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  if (moire__stream_read(path, &bytes, &n, error)) return -1;
  int lines = 0;
  moire__lines all = moire__lines_of(bytes, n);
  while (moire__lines_next(&all)) lines++;
  moire__release(bytes);
  return lines;
}

/* The last n_genres fields are flags. */
static moire_status take_flags(const char *path, const moire__lines *lines, int n_genres, uint8_t *flags,
                               moire_error *error) {
  const char *end = lines->line + lines->n;
  for (int g = n_genres - 1; g >= 0; g--) {
    bool good = end - lines->line >= 2 && end[-2] == '|' && (end[-1] == '0' || end[-1] == '1');
    if (!good)
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s:%lld: wanted %d flags of genres, 0 or 1, at the end",
                        path, lines->number, n_genres);
    flags[g] = end[-1] == '1';
    end -= 2;
  }
  return MOIRE_OK;
}

moire_status moire__ratings_read_catalogue(const char *folder, moire__ratings_items *items,
                                           moire_error *error) {
  char path[PATH], *bytes = NULL;
  size_t n = 0;
  snprintf(path, sizeof path, "%s/u.item", folder);
  if (access(path, F_OK)) return MOIRE_OK; /* items are those that are rated */
  items->n_genres = count_lines(folder, "u.genre", error);
  int rows = items->n_genres < 0 ? -1 : count_lines(folder, "u.item", error);
  if (rows < 0) return MOIRE_ERROR_IO;
  moire_status status = moire__stream_read(path, &bytes, &n, error);
  if (status) return status;
  items->genres = moire__allocate_array((size_t)rows * (size_t)items->n_genres + 1, 1);
  moire__lines lines = moire__lines_of(bytes, n);
  for (int64_t i = 0; !status && moire__lines_next(&lines); i++) {
    const char *bar = memchr(lines.line, '|', lines.n);
    size_t length = bar ? (size_t)(bar - lines.line) : 0;
    if (!length)
      status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s:%lld: wanted id|title|...", path, lines.number);
    if (!status && moire__id_names_add(&items->ids, lines.line, length) < i)
      status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s:%lld: item '%.*s' is there twice", path, lines.number,
                          (int)(length < 60 ? length : 60), lines.line);
    if (!status) status = take_flags(path, &lines, items->n_genres, items->genres + i * items->n_genres, error);
  }
  moire__release(bytes);
  return status;
}

/* ---- context --------------------------------------------------------------------------------------------- */

/* The item that a field names. */
static moire_status find_item(const moire__sheet *s, int column, const moire__ratings_items *items,
                              int64_t *item, moire_error *error) {
  moire__field f = s->fields[column];
  *item = moire__id_names_find(&items->ids, f.text, f.n);
  if (*item >= 0) return MOIRE_OK;
  moire__printable_buffer shown;
  return moire__sheet_fail(s, error, "item '%s' is none of the %" PRId64 " items",
                           moire__printable(f.text, f.n, shown), items->ids.n);
}

/* The size of a feature's table, by its name. */
static moire_status find_size(moire__sheet *sizes, moire__field feature, int64_t *size, moire_error *error) {
  int name = 0, column = 0;
  bool more = true;
  moire_status status = moire__sheet_column(sizes, "feature", &name, error);
  if (!status) status = moire__sheet_column(sizes, "size", &column, error);
  while (!status) {
    status = moire__sheet_next(sizes, &more, error);
    if (status || !more) break;
    moire__field f = sizes->fields[name];
    if (f.n == feature.n && !memcmp(f.text, feature.text, f.n))
      return moire__sheet_int(sizes, column, 1, 16777215, size, error);
  }
  return status ? status
                : moire_fail(error, MOIRE_ERROR_FORMAT, "%s: says no size of the feature %.*s", sizes->path,
                             (int)feature.n, feature.text);
}

static moire_status read_rows(moire__sheet *s, moire__ratings_items *items, const int *columns,
                              moire_error *error) {
  int id = 0;
  bool more = true;
  moire_status status = moire__sheet_column(s, "movie_id", &id, error);
  while (!status) {
    int64_t item = 0, bucket = 0;
    status = moire__sheet_next(s, &more, error);
    if (status || !more) break;
    status = find_item(s, id, items, &item, error);
    for (int f = 0; f < items->n_features && !status; f++) {
      status = moire__sheet_int(s, columns[f], 0, items->feature_sizes[f] - 1, &bucket, error);
      items->context[item * items->n_features + f] = (int32_t)bucket;
    }
  }
  return status;
}

static moire_status read_context(const char *folder, moire__ratings_items *items, moire_error *error) {
  char path[PATH], sizes_path[PATH];
  int columns[MOIRE__RATINGS_FEATURES];
  snprintf(path, sizeof path, "%s/context.tsv", folder);
  snprintf(sizes_path, sizeof sizes_path, "%s/context_sizes.tsv", folder);
  moire__sheet s = {0};
  int id = 0;
  moire_status status = moire__sheet_open(&s, path, error);
  if (!status) status = moire__sheet_column(&s, "movie_id", &id, error);
  for (int c = 0; c < s.n_columns && !status; c++) {
    if (c == id) continue;
    if (items->n_features == MOIRE__RATINGS_FEATURES) {
      status = moire__sheet_fail(&s, error, "has more than %d features", MOIRE__RATINGS_FEATURES);
      break;
    }
    moire__sheet sizes = {0};
    columns[items->n_features] = c;
    status = moire__sheet_open(&sizes, sizes_path, error);
    if (!status) status = find_size(&sizes, s.names[c], &items->feature_sizes[items->n_features++], error);
    moire__sheet_close(&sizes);
  }
  items->context =
      moire__allocate_array((size_t)(items->ids.n * items->n_features) + 1, sizeof *items->context);
  if (!status) status = read_rows(&s, items, columns, error);
  moire__sheet_close(&s);
  return status;
}

/* ---- graph ----------------------------------------------------------------------------------------------- */

static moire_status count_nodes(const char *path, int64_t *n, moire_error *error) {
  moire__sheet s = {0};
  int column = 0;
  bool more = true;
  moire_status status = moire__sheet_open(&s, path, error);
  if (!status) status = moire__sheet_column(&s, "node", &column, error);
  for (*n = 0; !status; ++*n) {
    int64_t node = 0;
    status = moire__sheet_next(&s, &more, error);
    if (status || !more) break;
    status = moire__sheet_int(&s, column, *n, *n, &node, error); /* numbered in order */
  }
  moire__sheet_close(&s);
  return status;
}

static moire_status read_edges(const char *path, moire__ratings_items *items, int r, moire_error *error) {
  moire__sheet s = {0};
  int id = 0, column = 0;
  bool more = true;
  int64_t n = 0, capacity = 0;
  int32_t *pairs = NULL;
  moire_status status = moire__sheet_open(&s, path, error);
  if (!status) status = moire__sheet_column(&s, "movie_id", &id, error);
  if (!status) status = moire__sheet_column(&s, "node", &column, error);
  while (!status) {
    int64_t item = 0, node = 0;
    status = moire__sheet_next(&s, &more, error);
    if (status || !more) break;
    status = find_item(&s, id, items, &item, error);
    if (!status) status = moire__sheet_int(&s, column, 0, items->node_counts[r] - 1, &node, error);
    if (n == capacity) {
      capacity = capacity ? capacity * 2 : 1024;
      pairs = moire__resize(pairs, (size_t)capacity * 2 * sizeof *pairs);
    }
    pairs[2 * n] = (int32_t)item;
    pairs[2 * n++ + 1] = (int32_t)node;
  }
  moire__sheet_close(&s);
  items->edge_counts[r] = n;
  items->edges[r] = moire__allocate_array((size_t)n * 2 + 1, sizeof *pairs);
  for (int64_t e = 0; e < n; e++) {
    items->edges[r][e] = pairs[2 * e];
    items->edges[r][n + e] = pairs[2 * e + 1];
  }
  moire__release(pairs);
  return status;
}

static moire_status read_graph(const char *folder, const moire__ratings_options *o, moire__ratings_items *items,
                               moire_error *error) {
  char path[PATH];
  moire_status status = MOIRE_OK;
  if (o->n_relations > MOIRE__RATINGS_RELATIONS)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "relations: wanted at most %d", MOIRE__RATINGS_RELATIONS);
  for (int r = 0; r < o->n_relations && !status; r++) {
    items->relations[r] = o->relations[r];
    snprintf(path, sizeof path, "%s/graph/%s.nodes.tsv", folder, o->relations[r]);
    status = count_nodes(path, &items->node_counts[r], error);
    snprintf(path, sizeof path, "%s/graph/%s.edges.tsv", folder, o->relations[r]);
    items->n_relations = r + 1;
    if (!status) status = read_edges(path, items, r, error);
  }
  return status;
}

/* ---- texts ----------------------------------------------------------------------------------------------- */

static moire_status need(const moire__safetensors *file, const char *name, int rank,
                         const moire__st_tensor **out, moire_error *error) {
  moire_status status = moire__safetensors_need(file, name, out, error);
  if (status || (*out)->rank == rank) return status;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s has %d axes, wanted %d", moire__safetensors_path(file),
                    name, (*out)->rank, rank);
}

static moire_status check_shapes(const moire__safetensors *file, const moire__st_tensor *const t[4],
                                 int64_t width, moire_error *error) {
  const char *path = moire__safetensors_path(file);
  int64_t n = t[0]->shape[0];
  if (t[1]->shape[1] != width)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "%s: overview is %" PRId64 " wide, but hidden_size is %" PRId64 ": wanted the same", path,
                      t[1]->shape[1], width);
  bool good = t[1]->shape[0] == n && t[2]->shape[0] == n && t[3]->shape[0] == n && t[2]->shape[2] == width &&
              t[2]->shape[1] == t[3]->shape[1];
  if (good) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_SHAPE,
                    "%s: wanted movie_ids [N], overview [N, D], reviews [N, R, D] and review_mask [N, R]",
                    path);
}

/* The items that rows of the file are of, or -1 where the catalogue lacks them. */
static moire_status find_rows(const moire__safetensors *file, const moire__st_tensor *ids,
                              const moire__ratings_items *items, int32_t *rows, moire_error *error) {
  moire_status status = moire__st_to_int32(ids, rows, error);
  for (int64_t i = 0; i < ids->shape[0] && !status; i++) {
    char name[16];
    int n = snprintf(name, sizeof name, "%d", (int)rows[i]);
    int64_t item = moire__id_names_find(&items->ids, name, (size_t)n);
    if (item < 0)
      status = moire_fail(error, MOIRE_ERROR_FORMAT,
                          "%s: movie_ids[%" PRId64 "] is %d, which is none of the %" PRId64 " items",
                          moire__safetensors_path(file), i, (int)rows[i], items->ids.n);
    rows[i] = (int32_t)item;
  }
  return status;
}

static void take_texts(const moire__st_tensor *const t[4], const int32_t *rows, moire__ratings_items *items) {
  int64_t n = t[0]->shape[0], slots = t[3]->shape[1], d = items->width;
  float *overview = moire__allocate_array((size_t)t[1]->count + 1, sizeof *overview);
  float *reviews = moire__allocate_array((size_t)t[2]->count + 1, sizeof *reviews);
  double *mask = moire__allocate_array((size_t)t[3]->count + 1, sizeof *mask);
  moire__st_to_float(t[1], overview);
  moire__st_to_float(t[2], reviews);
  moire__st_to_double(t[3], mask);
  for (int64_t i = 0; i < n * slots; i++) items->n_reviews += mask[i] != 0;
  items->reviews = moire__allocate_array((size_t)(items->n_reviews * d) + 1, sizeof *items->reviews);
  items->review_movies = moire__allocate_array((size_t)items->n_reviews + 1, sizeof *items->review_movies);
  int64_t taken = 0;
  for (int64_t i = 0; i < n; i++) {
    memcpy(items->overview + rows[i] * d, overview + i * d, (size_t)d * sizeof *overview);
    for (int64_t s = 0; s < slots; s++) {
      if (mask[i * slots + s] == 0) continue;
      memcpy(items->reviews + taken * d, reviews + (i * slots + s) * d, (size_t)d * sizeof *reviews);
      items->review_movies[taken++] = rows[i];
    }
  }
  moire__release(overview);
  moire__release(reviews);
  moire__release(mask);
}

static moire_status read_texts(const char *folder, moire__ratings_items *items, moire_error *error) {
  static const char *const names[] = {"movie_ids", "overview", "reviews", "review_mask"};
  static const int ranks[] = {1, 2, 3, 2};
  char path[PATH];
  snprintf(path, sizeof path, "%s/text_embeddings.safetensors", folder);
  moire__safetensors *file = NULL;
  const moire__st_tensor *t[4] = {NULL, NULL, NULL, NULL};
  moire_status status = moire__safetensors_open(path, &file, error);
  for (int i = 0; i < 4 && !status; i++) status = need(file, names[i], ranks[i], &t[i], error);
  if (!status) status = check_shapes(file, t, items->width, error);
  if (!status) {
    int32_t *rows = moire__allocate_array((size_t)t[0]->shape[0] + 1, sizeof *rows);
    status = find_rows(file, t[0], items, rows, error);
    items->overview = moire__allocate_array((size_t)(items->ids.n * items->width) + 1, sizeof *items->overview);
    if (!status) take_texts(t, rows, items);
    moire__release(rows);
  }
  moire__safetensors_close(file);
  return status;
}

moire_status moire__ratings_read_features(const char *folder, const moire__ratings_options *o,
                                          moire__ratings_items *items, moire_error *error) {
  items->width = o->width;
  moire_status status = o->graph ? read_context(folder, items, error) : MOIRE_OK;
  if (!status && o->graph) status = read_graph(folder, o, items, error);
  return status || !o->texts ? status : read_texts(folder, items, error);
}
