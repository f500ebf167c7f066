/* What items are: catalogue, features, texts. See data.h and items.h. */
#include "tasks/ratings/items.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/files/safetensors.h"
#include "runtime/files/stream.h"
#include "runtime/train/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH = MOIRE__RATINGS_PATH };

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

/* The row of an item, whose number the trained model says where there is one; -1 with a sentence. */
static int64_t take_id(const char *path, const moire__lines *lines, bool known, moire__id_names *rows,
                       moire__id_names *ids, moire_error *error) {
  const char *bar = memchr(lines->line, '|', lines->n);
  size_t length = bar ? (size_t)(bar - lines->line) : 0;
  int64_t before = rows->n;
  if (!length) {
    moire_fail(error, MOIRE_ERROR_FORMAT, "%s:%lld: wanted id|title|...", path, lines->number);
    return -1;
  }
  int shown = (int)(length < 60 ? length : 60);
  if (moire__id_names_add(rows, lines->line, length) < before) {
    moire_fail(error, MOIRE_ERROR_FORMAT, "%s:%lld: item '%.*s' is there twice", path, lines->number, shown,
               lines->line);
    return -1;
  }
  if (!known) return moire__id_names_add(ids, lines->line, length);
  int64_t item = moire__id_names_find(ids, lines->line, length);
  if (item < 0)
    moire_fail(error, MOIRE_ERROR_FORMAT,
               "%s:%lld: item '%.*s' is none of the %" PRId64 " items that the model knows", path,
               lines->number, shown, lines->line, ids->n);
  return item;
}

static moire_status read_movielens(const char *folder, const char *path, moire__ratings_items *items,
                                   moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  moire__id_names seen = {0};
  bool known = items->ids.n > 0;
  items->n_genres = count_lines(folder, "u.genre", error);
  int rows = items->n_genres < 0 ? -1 : count_lines(folder, "u.item", error);
  if (rows < 0) return MOIRE_ERROR_IO;
  moire_status status = moire__stream_read(path, &bytes, &n, error);
  if (status) return status;
  if (known && rows < items->ids.n) rows = (int)items->ids.n;
  items->genres = moire__allocate_array((size_t)rows * (size_t)items->n_genres + 1, 1);
  moire__lines lines = moire__lines_of(bytes, n);
  while (!status && moire__lines_next(&lines)) {
    int64_t item = take_id(path, &lines, known, &seen, &items->ids, error);
    status = item < 0
                 ? MOIRE_ERROR_FORMAT
                 : take_flags(path, &lines, items->n_genres, items->genres + item * items->n_genres, error);
  }
  moire__id_names_free(&seen);
  moire__release(bytes);
  return status;
}

moire_status moire__ratings_read_catalogue(const char *folder, moire__ratings_items *items,
                                           moire_error *error) {
  char path[PATH];
  snprintf(path, sizeof path, "%s/u.item", folder);
  if (!access(path, F_OK)) return read_movielens(folder, path, items, error);
  moire__sheet s = {0};
  moire_status status = moire__recbole_find(folder, ".item", path, error);
  if (status || !*path) return status; /* items are those that are rated */
  status = moire__sheet_open(&s, path, error);
  if (!status) status = moire__recbole_catalogue(&s, items, error);
  moire__sheet_close(&s);
  return status;
}

/* ---- features ---------------------------------------------------------------------------------------------
 */

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
    status = moire__ratings_find_item(s, id, items, &item, error);
    for (int f = 0; f < items->n_features && !status; f++) {
      status = moire__sheet_int(s, columns[f], 0, items->feature_sizes[f] - 1, &bucket, error);
      items->context[item * items->n_features + f] = (int32_t)bucket;
    }
  }
  return status;
}

static moire_status read_context(const char *folder, const char *path, moire__ratings_items *items,
                                 moire_error *error) {
  char sizes_path[PATH];
  int columns[MOIRE__RATINGS_FEATURES];
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

/* Without features an item is its own: else all would be the same to the graph. */
static void number_items(const char *folder, moire__ratings_items *items) {
  moire__log("data", NULL, "%s: has no features of items: each item is its own", folder);
  items->n_features = 1;
  items->feature_sizes[0] = items->ids.n;
  moire__release(items->context);
  items->context = moire__allocate_array((size_t)items->ids.n + 1, sizeof *items->context);
  for (int64_t i = 0; i < items->ids.n; i++) items->context[i] = (int32_t)i;
}

/* context.tsv, or the columns of NAME.item. */
static moire_status read_features(const char *folder, const moire__ratings_options *o,
                                  moire__ratings_items *items, moire_error *error) {
  char path[PATH];
  moire__sheet s = {0};
  snprintf(path, sizeof path, "%s/context.tsv", folder);
  if (!access(path, F_OK)) return read_context(folder, path, items, error);
  moire_status status = moire__recbole_find(folder, ".item", path, error);
  if (!status && *path) status = moire__sheet_open(&s, path, error);
  if (!status && *path) status = moire__recbole_features(&s, o, items, error);
  moire__sheet_close(&s);
  if (!status && !items->n_features) number_items(folder, items);
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
  int64_t n = t[1]->shape[0];
  if (t[1]->shape[1] != width)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "%s: overview is %" PRId64 " wide, but hidden_size is %" PRId64 ": wanted the same", path,
                      t[1]->shape[1], width);
  bool good = (!t[0] || t[0]->shape[0] == n) && t[2]->shape[0] == n && t[3]->shape[0] == n &&
              t[2]->shape[2] == width && t[2]->shape[1] == t[3]->shape[1];
  if (good) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_SHAPE,
                    "%s: wanted movie_ids [N], overview [N, D], reviews [N, R, D] and review_mask [N, R]",
                    path);
}

/* The items that rows of the file are of, or -1 where the catalogue lacks them. */
static moire_status find_rows(const moire__safetensors *file, const moire__st_tensor *ids,
                              const moire__ratings_items *items, int32_t *rows, moire_error *error) {
  moire_status status = moire__st_to_int32(ids, rows, error);
  uint8_t *taken = moire__allocate_array((size_t)items->ids.n + 1, 1);
  for (int64_t i = 0; i < ids->shape[0] && !status; i++) {
    char name[16];
    int n = snprintf(name, sizeof name, "%d", (int)rows[i]);
    int64_t item = moire__id_names_find(&items->ids, name, (size_t)n);
    if (item < 0)
      status = moire_fail(error, MOIRE_ERROR_FORMAT,
                          "%s: movie_ids[%" PRId64 "] is %d, which is none of the %" PRId64 " items",
                          moire__safetensors_path(file), i, (int)rows[i], items->ids.n);
    else if (taken[item]++)
      status =
          moire_fail(error, MOIRE_ERROR_FORMAT, "%s: movie_ids[%" PRId64 "] is %d, which stands there before",
                     moire__safetensors_path(file), i, (int)rows[i]);
    rows[i] = (int32_t)item;
  }
  moire__release(taken);
  return status;
}

static void take_texts(const moire__st_tensor *const t[4], const int32_t *rows, moire__ratings_items *items) {
  int64_t n = t[1]->shape[0], slots = t[3]->shape[1], d = items->width;
  float *overview = moire__allocate_array((size_t)t[1]->count + 1, sizeof *overview);
  float *reviews = moire__allocate_array((size_t)t[2]->count + 1, sizeof *reviews);
  double *mask = moire__allocate_array((size_t)t[3]->count + 1, sizeof *mask);
  moire__st_to_float(t[1], overview);
  moire__st_to_float(t[2], reviews);
  moire__st_to_double(t[3], mask);
  for (int64_t i = 0; i < n * slots; i++) items->n_reviews += mask[i] != 0;
  items->reviews = moire__allocate_array((size_t)(items->n_reviews * d) + 1, sizeof *items->reviews);
  items->review_items = moire__allocate_array((size_t)items->n_reviews + 1, sizeof *items->review_items);
  items->reviewed = moire__allocate_array((size_t)n + 1, sizeof *items->reviewed);
  int64_t taken = 0;
  for (int64_t i = 0; i < n; i++) {
    memcpy(items->overview + rows[i] * d, overview + i * d, (size_t)d * sizeof *overview);
    int64_t before = taken;
    for (int64_t s = 0; s < slots; s++) {
      if (mask[i * slots + s] == 0) continue;
      memcpy(items->reviews + taken * d, reviews + (i * slots + s) * d, (size_t)d * sizeof *reviews);
      items->review_items[taken++] = (int32_t)items->n_reviewed;
    }
    if (taken > before) items->reviewed[items->n_reviewed++] = rows[i];
  }
  moire__release(overview);
  moire__release(reviews);
  moire__release(mask);
}

/* text_ids.tsv: the item of each row, where items are no numbers. */
static moire_status read_text_ids(const char *path, int64_t n, const moire__ratings_items *items, int32_t *rows,
                                  moire_error *error) {
  moire__sheet s = {0};
  int id = 0;
  bool more = true;
  moire_status status = moire__sheet_open(&s, path, error);
  if (!status) status = moire__sheet_column(&s, "item_id", &id, error);
  for (int64_t i = 0; !status; i++) {
    int64_t item = 0;
    status = moire__sheet_next(&s, &more, error);
    if (!status && more == (i == n))
      status = moire__sheet_fail(&s, error, "wanted %" PRId64 " items, one for each row of the embeddings", n);
    if (status || !more) break;
    status = moire__ratings_find_item(&s, id, items, &item, error);
    rows[i] = (int32_t)item;
  }
  moire__sheet_close(&s);
  return status;
}

static moire_status read_texts(const char *folder, moire__ratings_items *items, moire_error *error) {
  static const char *const names[] = {"movie_ids", "overview", "reviews", "review_mask"};
  static const int ranks[] = {1, 2, 3, 2};
  char path[PATH], ids[PATH];
  snprintf(path, sizeof path, "%s/text_embeddings.safetensors", folder);
  snprintf(ids, sizeof ids, "%s/text_ids.tsv", folder);
  int first = access(ids, F_OK) ? 0 : 1;
  moire__safetensors *file = NULL;
  const moire__st_tensor *t[4] = {NULL, NULL, NULL, NULL};
  moire_status status = moire__safetensors_open(path, &file, error);
  for (int i = first; i < 4 && !status; i++) status = need(file, names[i], ranks[i], &t[i], error);
  if (!status) status = check_shapes(file, t, items->width, error);
  if (!status) {
    int64_t n = t[1]->shape[0];
    int32_t *rows = moire__allocate_array((size_t)n + 1, sizeof *rows);
    status = first ? read_text_ids(ids, n, items, rows, error) : find_rows(file, t[0], items, rows, error);
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
  moire_status status = o->graph ? read_features(folder, o, items, error) : MOIRE_OK;
  if (!status && o->graph) status = moire__ratings_read_graph(folder, o, items, error);
  return status || !o->texts ? status : read_texts(folder, items, error);
}
