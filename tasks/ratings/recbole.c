/* RecBole's files of items: catalogue, features and graph. See items.h. */
#include "tasks/ratings/items.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/base/text.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- files ----------------------------------------------------------------------------------------------- */

static bool ends_in(const char *name, const char *suffix) {
  size_t n = strlen(name), m = strlen(suffix);
  if (n > 3 && !strcmp(name + n - 3, ".gz")) n -= 3;
  return n > m && !memcmp(name + n - m, suffix, m);
}

/* Is it the folder's own: NAME.item in .../NAME? */
static bool is_named(const char *name, const char *suffix, const char *folder) {
  size_t end = strlen(folder);
  while (end && folder[end - 1] == '/') end--;
  size_t begin = end;
  while (begin && folder[begin - 1] != '/') begin--;
  size_t n = end - begin;
  return !strncmp(name, folder + begin, n) && !strncmp(name + n, suffix, strlen(suffix));
}

moire_status moire__recbole_find(const char *folder, const char *suffix, char *path, moire_error *error) {
  *path = 0;
  DIR *all = opendir(folder);
  char first[256] = "", second[256] = "";
  bool own = false;
  for (struct dirent *e = all ? readdir(all) : NULL; e && !own; e = readdir(all)) {
    if (!ends_in(e->d_name, suffix)) continue;
    own = is_named(e->d_name, suffix, folder);
    if (!own && *first) snprintf(second, sizeof second, "%s", e->d_name);
    if (own || !*first) snprintf(first, sizeof first, "%s", e->d_name);
  }
  if (all) closedir(all);
  if (*second && !own)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "%s: has %.60s and %.60s: wanted one, or one with the folder's name", folder, first,
                      second);
  if (*first) snprintf(path, MOIRE__RATINGS_PATH, "%s/%s", folder, first);
  return MOIRE_OK;
}

/* ---- .item ----------------------------------------------------------------------------------------------- */

/* The column of words that measures tell items apart by; -1: none. */
static int genre_column(const moire__sheet *s) {
  static const char *const names[] = {"class", "genre", "genres"};
  for (int c = 0; c < s->n_columns; c++)
    for (int k = 0; k < 3; k++)
      if (s->names[c].n == strlen(names[k]) && !memcmp(s->names[c].text, names[k], s->names[c].n)) return c;
  return -1;
}

/* Items, and which genres each has: numbers of these in `words`, item after item. */
static moire_status read_catalogue(moire__sheet *s, bool known, moire__ratings_items *items,
                                   moire__id_names *genres, moire__edge_list *words, moire_error *error) {
  int id = 0, genre = genre_column(s);
  bool more = true;
  moire__id_names rows = {0};
  moire_status status = moire__sheet_column(s, "item_id", &id, error);
  while (!status) {
    status = moire__sheet_next(s, &more, error);
    if (status || !more) break;
    moire__field f = s->fields[id], word;
    moire__printable_buffer shown;
    int64_t before = rows.n, item = -1;
    if (!f.n)
      status = moire__sheet_fail(s, error, "has no item_id");
    else if (moire__id_names_add(&rows, f.text, f.n) < before)
      status = moire__sheet_fail(s, error, "item '%s' is there twice", moire__printable(f.text, f.n, shown));
    else if ((item = moire__recbole_number(&items->ids, known, f)) < 0)
      status = moire__ratings_find_item(s, id, items, &item, error);
    moire__field rest = genre < 0 ? (moire__field){0} : s->fields[genre];
    while (!status && moire__sheet_word(&rest, &word))
      moire__edge_list_add(words, item, moire__id_names_add(genres, word.text, word.n));
  }
  moire__id_names_free(&rows);
  return status;
}

moire_status moire__recbole_catalogue(moire__sheet *s, moire__ratings_items *items, moire_error *error) {
  enum { MOST_GENRES = 1024 };
  moire__id_names genres = {0};
  moire__edge_list words = {0};
  moire_status status = read_catalogue(s, items->ids.n > 0, items, &genres, &words, error);
  if (!status && genres.n > MOST_GENRES)
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has %" PRId64 " genres: wanted at most %d", s->path,
                        genres.n, MOST_GENRES);
  if (!status) {
    items->n_genres = (int)genres.n;
    items->genres = moire__allocate_array((size_t)(items->ids.n * genres.n) + 1, 1);
    for (int64_t e = 0; e < words.n; e++)
      items->genres[words.pairs[2 * e] * genres.n + words.pairs[2 * e + 1]] = 1;
  }
  moire__id_names_free(&genres);
  moire__release(words.pairs);
  return status;
}

/* ---- features -------------------------------------------------------------------------------------------- */

static bool is_relation(const moire__ratings_options *o, moire__field name) {
  for (int r = 0; r < o->n_relations; r++)
    if (name.n == strlen(o->relations[r]) && !memcmp(name.text, o->relations[r], name.n)) return true;
  return false;
}

/* The columns that are features; a trained model says which. */
static moire_status find_columns(const moire__sheet *s, const moire__ratings_options *o,
                                 moire__ratings_items *items, int id, int *columns, moire_error *error) {
  moire_status status = MOIRE_OK;
  if (items->known) {
    for (int f = 0; f < items->feature_names.n && !status; f++)
      status = moire__sheet_column(s, moire__id_names_at(&items->feature_names, f), &columns[f], error);
    items->n_features = (int)items->feature_names.n;
    return status;
  }
  for (int c = 0; c < s->n_columns; c++) {
    if (c == id || !moire__sheet_has_type(s, c, "token") || is_relation(o, s->names[c])) continue;
    if (items->n_features == MOIRE__RATINGS_FEATURES)
      return moire__sheet_fail(s, error, "has more than %d columns of tokens", MOIRE__RATINGS_FEATURES);
    if (moire__id_names_add(&items->feature_names, s->names[c].text, s->names[c].n) < items->n_features)
      return moire__sheet_fail(s, error, "names a column twice");
    columns[items->n_features++] = c;
  }
  return MOIRE_OK;
}

moire_status moire__recbole_features(moire__sheet *s, const moire__ratings_options *o,
                                     moire__ratings_items *items, moire_error *error) {
  int id = 0, columns[MOIRE__RATINGS_FEATURES];
  bool more = true;
  moire_status status = moire__sheet_column(s, "item_id", &id, error);
  if (!status) status = find_columns(s, o, items, id, columns, error);
  int n = items->n_features;
  items->context = moire__allocate_array((size_t)(items->ids.n * n) + 1, sizeof *items->context);
  while (!status) {
    int64_t item = 0;
    status = moire__sheet_next(s, &more, error);
    if (status || !more) break;
    status = moire__ratings_find_item(s, id, items, &item, error);
    for (int f = 0; f < n && !status; f++) {
      moire__field value = s->fields[columns[f]];
      if (value.n)
        items->context[item * n + f] =
            (int32_t)(moire__recbole_number(&items->buckets[f], items->known, value) + 1);
    }
  }
  for (int f = 0; f < n; f++) items->feature_sizes[f] = items->buckets[f].n + 1;
  return status;
}

/* ---- names in a checkpoint: "relation\tNAME" or "feature\tNAME", and a line "\tVALUE" for each of its values
 * ---- */

static void add_names(moire__text *out, const char *kind, const char *name, const moire__id_names *values) {
  moire__text_add(out, "%s\t%s\n", kind, name);
  for (int64_t i = 0; i < values->n; i++) moire__text_add(out, "\t%s\n", moire__id_names_at(values, i));
}

char *moire__recbole_names(const moire__ratings_items *items) {
  moire__text out = {0};
  for (int r = 0; r < items->n_relations; r++)
    if (items->nodes[r].n) add_names(&out, "relation", items->relations[r], &items->nodes[r]);
  for (int f = 0; f < items->feature_names.n; f++)
    add_names(&out, "feature", moire__id_names_at(&items->feature_names, f), &items->buckets[f]);
  return out.data;
}

moire_status moire__recbole_take_names(const char *names, const moire__ratings_options *o,
                                       moire__ratings_items *items, moire_error *error) {
  moire__id_names *into = NULL;
  items->known = true;
  for (size_t n = 0; *names; names += n + (names[n] == '\n')) {
    n = strcspn(names, "\n");
    const char *tab = memchr(names, '\t', n);
    if (tab == names && into) {
      moire__id_names_add(into, names + 1, n - 1);
      continue;
    }
    moire__field name = {tab ? tab + 1 : names, tab ? n - (size_t)(tab + 1 - names) : 0};
    into = NULL;
    if (tab && tab - names == 7 && !memcmp(names, "feature", 7) &&
        items->feature_names.n < MOIRE__RATINGS_FEATURES)
      into = &items->buckets[moire__id_names_add(&items->feature_names, name.text, name.n)];
    for (int r = 0; r < o->n_relations && tab && tab - names == 8 && !memcmp(names, "relation", 8); r++)
      if (r < MOIRE__RATINGS_RELATIONS && name.n == strlen(o->relations[r]) &&
          !memcmp(name.text, o->relations[r], name.n))
        into = &items->nodes[r];
    if (!into)
      return moire_fail(error, MOIRE_ERROR_FORMAT,
                        "the checkpoint's names of nodes: '%.*s' is none of the model's",
                        (int)(n < 60 ? n : 60), names);
  }
  return MOIRE_OK;
}
