/* Ratings and what they are made into. See data.h. */
#include "tasks/ratings/items.h"

#include "runtime/base/hash.h"
#include "runtime/base/memory.h"
#include "runtime/measure/time_bucket.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH = MOIRE__RATINGS_PATH };

void moire__ratings_events_free(moire__ratings_events *e) {
  moire__release(e->first);
  moire__release(e->items);
  moire__release(e->ratings);
  moire__release(e->times);
  *e = (moire__ratings_events){0};
}

void moire__ratings_histories_free(moire__ratings_histories *h) {
  moire__release(h->ids);
  moire__release(h->ratings);
  moire__release(h->times);
  moire__release(h->mask);
  *h = (moire__ratings_histories){0};
}

void moire__ratings_free(moire__ratings *d) {
  if (!d) return;
  moire__ratings_events_free(&d->train);
  moire__ratings_events_free(&d->test);
  moire__ratings_events_free(&d->valid);
  moire__ratings_histories_free(&d->histories);
  moire__ratings_items_free(&d->items);
  moire__id_names_free(&d->users);
  moire__release(d->positives);
  moire__release(d->seen);
  moire__release(d->liked);
  moire__release(d->popularity);
  moire__release(d->text);
  moire__release(d);
}

/* ---- histories ------------------------------------------------------------------------------------------- */

moire__ratings_histories moire__ratings_histories_of(const moire__ratings_events *e, int64_t length,
                                                     int buckets) {
  moire__ratings_histories h = {.n = e->n_users, .length = length};
  size_t n = (size_t)(h.n * length) + 1;
  h.ids = moire__allocate_array(n, sizeof *h.ids);
  h.ratings = moire__allocate_array(n, sizeof *h.ratings);
  h.times = moire__allocate_array(n, sizeof *h.times);
  h.mask = moire__allocate_array(n, sizeof *h.mask);
  for (int64_t u = 0; u < h.n; u++) {
    int64_t low = e->first[u], high = e->first[u + 1], from = high - low > length ? high - length : low;
    for (int64_t i = from; i < high; i++) {
      int64_t at = u * length + i - from;
      h.ids[at] = e->items[i];
      h.ratings[at] = e->ratings[i];
      h.times[at] = moire__time_bucket(e->times[i], e->times[low], e->times[high - 1], buckets);
      h.mask[at] = 1;
    }
  }
  return h;
}

/* ---- ratings --------------------------------------------------------------------------------------------- */

static void add_event(moire__ratings_events *to, const moire__ratings_events *from, int64_t i) {
  to->items[to->n] = from->items[i];
  to->ratings[to->n] = from->ratings[i];
  to->times[to->n++] = from->times[i];
}

static moire__ratings_events make_events(int64_t n_users, int64_t n) {
  moire__ratings_events e = {.n_users = n_users};
  e.first = moire__allocate_array((size_t)n_users + 1, sizeof *e.first);
  e.items = moire__allocate_array((size_t)n + 1, sizeof *e.items);
  e.ratings = moire__allocate_array((size_t)n + 1, sizeof *e.ratings);
  e.times = moire__allocate_array((size_t)n + 1, sizeof *e.times);
  return e;
}

static moire_status no_ratings(const char *path, const moire__interactions *read, moire_error *error) {
  if (read->ratings) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT,
                    "%s:1: names no column of ratings: wanted user, item, rating and time", path);
}

/* Events of the training's users; users that are not among them are left out. */
static moire__ratings_events events_of(const moire__interactions *read, const moire__id_names *users) {
  moire__ratings_events e = make_events(users->n, read->n);
  int64_t *from = moire__allocate_array((size_t)users->n + 1, sizeof *from);
  for (int64_t u = 0; u < read->n_users; u++) {
    const char *name = moire__id_names_at(&read->users, u);
    int64_t row = moire__id_names_find(users, name, strlen(name));
    if (row >= 0) from[row] = u + 1;
  }
  for (int64_t row = 0; row < users->n; row++) {
    for (int64_t i = from[row] ? read->first[from[row] - 1] : 0; from[row] && i < read->first[from[row]]; i++) {
      e.items[e.n] = read->items[i] - 1;
      e.ratings[e.n] = (int32_t)read->ratings[i];
      e.times[e.n++] = read->times ? read->times[i] : 0;
    }
    e.first[row + 1] = e.n;
  }
  moire__release(from);
  return e;
}

/* Items of a file without a catalogue: as the file names them. */
static void name_items(const moire__interactions *read, moire__id_names *ids) {
  char number[24];
  for (int64_t i = 1; i < read->item_size; i++) {
    const char *name = number;
    if (read->names.n)
      name = moire__id_names_at(&read->names, i - 1);
    else
      snprintf(number, sizeof number, "%" PRId64, i);
    moire__id_names_add(ids, name, strlen(name));
  }
}

static moire_status read_file(const char *path, int most, const moire__id_names *ids, moire__interactions *out,
                              moire_error *error) {
  char *map = moire__interactions_map(ids);
  moire__interactions_options options = {
      .format = "interactions", .known = map != NULL, .map = map, .fewest = 1, .most_rating = most};
  moire_status status = moire__interactions_read(path, &options, out, error);
  moire__release(map);
  if (!status) status = no_ratings(path, out, error);
  return status;
}

static moire_status read_training(const char *path, const moire__ratings_options *o, moire__ratings *d,
                                  moire_error *error) {
  moire__interactions read = {0};
  moire_status status = read_file(path, o->levels - 1, &d->items.ids, &read, error);
  if (!status) {
    if (!d->items.ids.n) name_items(&read, &d->items.ids);
    for (int64_t u = 0; u < read.n_users; u++) {
      const char *name = moire__id_names_at(&read.users, u);
      moire__id_names_add(&d->users, name, strlen(name));
    }
    d->train = events_of(&read, &d->users);
  }
  moire__interactions_free(&read);
  return status;
}

static moire_status read_test(const char *path, const moire__ratings_options *o, moire__ratings *d,
                              moire_error *error) {
  moire__interactions read = {0};
  moire_status status = read_file(path, o->levels - 1, &d->items.ids, &read, error);
  if (!status) d->test = events_of(&read, &d->users);
  moire__interactions_free(&read);
  return status;
}

/* Moves to `to` what `moves` says of each user's events, the latest first. */
static void hold_out(moire__ratings_events *from, moire__ratings_events *to, int liked, int fraction) {
  moire__ratings_events stay = make_events(from->n_users, from->n);
  *to = make_events(from->n_users, from->n);
  bool *out = moire__allocate_array((size_t)from->n + 1, sizeof *out);
  for (int64_t u = 0; u < from->n_users; u++) {
    int64_t low = from->first[u], high = from->first[u + 1], left = fraction ? (high - low) / fraction : liked;
    for (int64_t i = high - 1; i > low && left; i--) {
      out[i] = fraction || from->ratings[i] >= MOIRE__RATINGS_LIKED;
      left -= out[i];
    }
    for (int64_t i = low; i < high; i++) add_event(out[i] ? to : &stay, from, i);
    stay.first[u + 1] = stay.n;
    to->first[u + 1] = to->n;
  }
  moire__release(out);
  moire__ratings_events_free(from);
  *from = stay;
}

/* ---- what training asks ---------------------------------------------------------------------------------- */

static void count_ratings(moire__ratings *d) {
  int64_t n = d->items.ids.n;
  size_t cells = (size_t)(d->train.n_users * n) + 1;
  d->seen = moire__allocate_array(cells, 1);
  d->liked = moire__allocate_array(cells, 1);
  d->popularity = moire__allocate_array((size_t)n + 1, sizeof *d->popularity);
  d->positives = moire__allocate_array((size_t)d->train.n * 2 + 1, sizeof *d->positives);
  for (int64_t u = 0; u < d->train.n_users; u++)
    for (int64_t i = d->train.first[u]; i < d->train.first[u + 1]; i++) {
      int32_t item = d->train.items[i];
      d->seen[u * n + item] = 1;
      d->popularity[item]++;
      if (d->train.ratings[i] < MOIRE__RATINGS_LIKED) continue;
      d->liked[u * n + item] = 1;
      d->positives[2 * d->n_positives] = (int32_t)u;
      d->positives[2 * d->n_positives++ + 1] = item;
    }
}

static void fingerprint(moire__ratings *d) {
  uint64_t hash = moire__fnv(MOIRE__FNV_START, (uint64_t)d->items.ids.n);
  const moire__ratings_events *all[] = {&d->train, &d->test, &d->valid};
  for (int k = 0; k < 3; k++)
    for (int64_t i = 0; i < all[k]->n; i++)
      hash = moire__fnv(hash, (uint64_t)all[k]->items[i] * 16 + (uint64_t)all[k]->ratings[i]);
  size_t floats = (size_t)(d->items.ids.n * d->items.width);
  if (d->items.overview)
    hash =
        moire__fnv(hash, moire__hash_bytes((const unsigned char *)d->items.overview, floats * sizeof(float)));
  for (int r = 0; r < d->items.n_relations; r++)
    hash = moire__fnv(hash, moire__hash_bytes((const unsigned char *)d->items.edges[r],
                                              (size_t)d->items.edge_counts[r] * 2 * sizeof(int32_t)));
  d->fingerprint = hash;
}

static moire_status check_training(const moire__ratings *d, moire_error *error) {
  int64_t n = d->items.ids.n;
  for (int64_t u = 0; u < d->train.n_users; u++) {
    int64_t unseen = 0;
    for (int64_t i = 0; i < n && !unseen; i++) unseen += !d->seen[u * n + i];
    if (!unseen)
      return moire_fail(error, MOIRE_ERROR_FORMAT,
                        "%s: user '%.60s' has rated every item: none is left to recommend", d->path,
                        moire__id_names_at(&d->users, u));
  }
  return MOIRE_OK;
}

/* PATH is a folder with SPLIT.base and SPLIT.test, or with one file of ratings, or that file. */
static moire_status find_files(const char *path, const moire__ratings_options *o, char *train, char *test,
                               moire_error *error) {
  struct stat info;
  bool folder = !stat(path, &info) && S_ISDIR(info.st_mode);
  *test = 0;
  if (o->test) snprintf(test, PATH, "%s", o->test);
  snprintf(train, PATH, folder ? "%s/%s.base" : "%s", path, o->split);
  if (!folder) return MOIRE_OK;
  if (!access(train, F_OK)) {
    if (!*test) snprintf(test, PATH, "%s/%s.test", path, o->split);
    return MOIRE_OK;
  }
  snprintf(train, PATH, "%s/u.data", path);
  if (!access(train, F_OK)) return MOIRE_OK;
  moire_status status = moire__recbole_find(path, ".inter", train, error);
  if (!status && !*train) snprintf(train, PATH, "%s/%s.base", path, o->split);
  return status;
}

/* The folder of what items are: the one that is said, the data's own, or the one that the file is in. */
static void find_folder(const char *path, const moire__ratings_options *o, char *folder) {
  struct stat info;
  const char *slash = strrchr(path, '/');
  if (o->folder && *o->folder)
    snprintf(folder, PATH, "%s", o->folder);
  else if (!stat(path, &info) && S_ISDIR(info.st_mode))
    snprintf(folder, PATH, "%s", path);
  else
    snprintf(folder, PATH, "%.*s", slash > path ? (int)(slash - path) : 1, slash ? path : ".");
}

static void read_map(moire__id_names *names, const char *map) {
  while (*map) {
    size_t n = strcspn(map, "\n");
    moire__id_names_add(names, map, n);
    map += n + (map[n] == '\n');
  }
}

moire_status moire__ratings_read(const char *path, const moire__ratings_options *o, moire__ratings **out,
                                 moire_error *error) {
  char train[PATH], test[PATH], folder[PATH];
  moire__ratings *d = moire__allocate(sizeof *d);
  moire_status status = find_files(path, o, train, test, error);
  find_folder(path, o, folder);
  d->text = moire__allocate(strlen(train) + 1);
  d->path = strcpy(d->text, train);
  if (!status && o->map) read_map(&d->items.ids, o->map);
  if (!status && o->names) status = moire__recbole_take_names(o->names, o, &d->items, error);
  if (!status) status = moire__ratings_read_catalogue(folder, &d->items, error);
  if (!status) status = read_training(train, o, d, error);
  if (!status && *test) status = read_test(test, o, d, error);
  if (!status) status = moire__ratings_read_features(folder, o, &d->items, error);
  if (status) {
    moire__ratings_free(d);
    return status;
  }
  enum { TESTED = 5 }; /* a fifth of a user's ratings, the latest */
  if (!*test) hold_out(&d->train, &d->test, 0, TESTED);
  if (o->valid_per_user) hold_out(&d->train, &d->valid, o->valid_per_user, 0);
  d->histories = moire__ratings_histories_of(&d->train, o->max_history, o->time_buckets);
  count_ratings(d);
  fingerprint(d);
  status = check_training(d, error);
  if (status)
    moire__ratings_free(d);
  else
    *out = d;
  return status;
}
