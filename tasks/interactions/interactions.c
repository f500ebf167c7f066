/* Records to users, sorted, with items by number. See interactions.h. */
#include "tasks/interactions/interactions.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "runtime/files/stream.h"
#include "tasks/interactions/records.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Numbers of items -------------------------------------------------------------------------------------
 */

/* The number that a name is, as it is written: no sign, no zeros before it; 0 if it is none. */
static int64_t number_of(const char *name) {
  int64_t value = 0;
  if (*name == '0') return 0;
  for (; *name; name++) {
    if (*name < '0' || *name > '9' || value > INT32_MAX) return 0;
    value = value * 10 + (*name - '0');
  }
  return value > INT32_MAX ? 0 : value;
}

/* Whether items may keep the numbers that are their names. */
static bool are_dense(const moire__id_names *names, int64_t item_size) {
  enum { FREE = 65536, SPREAD = 16 };
  int64_t largest = 0;
  for (int64_t i = 0; i < names->n; i++) {
    int64_t number = number_of(moire__id_names_at(names, i));
    if (!number) return false;
    if (number > largest) largest = number;
  }
  return (item_size && largest < item_size) || largest <= FREE || largest <= names->n * SPREAD;
}

/* Turns numbers of names into items. */
static void number_items(moire__records *r, const moire__interactions_options *options,
                         moire__interactions *out) {
  if (!r->numbered) {
    bool own = !options->known && are_dense(&r->names, options->item_size);
    for (int64_t i = 0; i < r->n; i++)
      r->items[i] = own ? (int32_t)number_of(moire__id_names_at(&r->names, r->items[i])) : r->items[i] + 1;
    if (own) moire__id_names_free(&r->names);
  }
  for (int64_t i = 0; i < r->n; i++)
    if (r->items[i] >= out->item_size) out->item_size = (int64_t)r->items[i] + 1;
  out->names = r->names;
  r->names = (moire__id_names){0};
}

/* ---- Users ------------------------------------------------------------------------------------------------
 */

typedef struct moment {
  double time;
  int64_t at; /* in the file's order */
} moment;

static int by_time(const void *a, const void *b) {
  const moment *x = a, *y = b;
  if (x->time != y->time) return x->time < y->time ? -1 : 1;
  return (x->at > y->at) - (x->at < y->at);
}

/* Which users stay, by number, or -1; and how many interactions each that stays has, in out->first. */
static int64_t *choose_users(const moire__records *r, int64_t fewest, moire__interactions *out) {
  size_t n = (size_t)r->user_names.n;
  int64_t *counts = moire__allocate_array(n + 1, sizeof *counts);
  for (int64_t i = 0; i < r->n; i++) counts[r->users[i]]++;
  out->first = moire__allocate_array(n + 1, sizeof *out->first);
  for (size_t u = 0; u < n; u++) {
    if (counts[u] < fewest) {
      out->skipped_users++;
      counts[u] = -1;
      continue;
    }
    const char *name = moire__id_names_at(&r->user_names, (int64_t)u);
    out->first[out->n_users + 1] = out->first[out->n_users] + counts[u];
    counts[u] = out->n_users++;
    moire__id_names_add(&out->users, name, strlen(name));
  }
  return counts;
}

/* Puts the users' interactions together, each user's by time. */
static void gather(const moire__records *r, const int64_t *place, moire__interactions *out) {
  out->n = out->first[out->n_users];
  size_t n = (size_t)out->n + 1;
  moment *order = moire__allocate_array(n, sizeof *order);
  int64_t *next = moire__allocate_array((size_t)out->n_users + 1, sizeof *next);
  memcpy(next, out->first, (size_t)out->n_users * sizeof *next);
  for (int64_t i = 0; i < r->n; i++) {
    if (place[r->users[i]] >= 0) order[next[place[r->users[i]]]++] = (moment){r->times ? r->times[i] : 0, i};
  }
  for (int64_t u = 0; u < out->n_users && r->times; u++)
    qsort(order + out->first[u], (size_t)(out->first[u + 1] - out->first[u]), sizeof *order, by_time);
  out->items = moire__allocate_array(n, sizeof *out->items);
  if (r->ratings) out->ratings = moire__allocate_array(n, sizeof *out->ratings);
  if (r->times) out->times = moire__allocate_array(n, sizeof *out->times);
  for (int64_t i = 0; i < out->n; i++) {
    out->items[i] = r->items[order[i].at];
    if (r->ratings) out->ratings[i] = r->ratings[order[i].at];
    if (r->times) out->times[i] = order[i].time;
  }
  moire__release(next);
  moire__release(order);
}

/* ---- Files ------------------------------------------------------------------------------------------------
 */

static moire_status check_bytes(const char *path, const char *bytes, size_t n, moire_error *error) {
  const char *nul = memchr(bytes, 0, n);
  if (!nul) return MOIRE_OK;
  int64_t line = 1;
  for (const char *c = bytes; c < nul; c++) line += *c == '\n';
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s:%" PRId64 ": there is a NUL byte; the file is not text",
                    path, line);
}

static moire_status nobody(const char *path, const moire__interactions *out, int64_t fewest,
                           moire_error *error) {
  if (!out->skipped_users)
    return moire_fail(
        error, MOIRE_ERROR_FORMAT,
        "%s: is empty; wanted one user a line, 'user item item ...', or one interaction a line, 'user item "
        "rating time'",
        path);
  return moire_fail(error, MOIRE_ERROR_FORMAT,
                    "%s: was read as one interaction a line, and none of its %" PRId64 " users has %" PRId64
                    " item%s",
                    path, out->skipped_users, fewest, fewest == 1 ? " that the model knows" : "s");
}

moire_status moire__interactions_parse(const char *path, const char *bytes, size_t n,
                                       const moire__interactions_options *options, moire__interactions *out,
                                       moire_error *error) {
  *out = (moire__interactions){.item_size = 1};
  moire__records records = {0};
  moire_status status = check_bytes(path, bytes, n, error);
  const char *format = options->format ? options->format : "auto";
  if (!status) status = moire__form_of(path, bytes, n, format, &out->form, error);
  if (!status) status = moire__records_read(&records, path, bytes, n, options, out, error);
  if (!status) {
    number_items(&records, options, out);
    int64_t *place = choose_users(&records, options->fewest, out);
    gather(&records, place, out);
    moire__release(place);
    if (!out->n_users) status = nobody(path, out, options->fewest, error);
  }
  moire__records_free(&records);
  if (status) moire__interactions_free(out);
  return status;
}

moire_status moire__interactions_read(const char *path, const moire__interactions_options *options,
                                      moire__interactions *out, moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  moire_status status = moire__stream_read(path, &bytes, &n, error);
  if (status) return status;
  status = moire__interactions_parse(path, bytes, n, options, out, error);
  moire__release(bytes);
  return status;
}

void moire__interactions_free(moire__interactions *interactions) {
  moire__release(interactions->first);
  moire__release(interactions->items);
  moire__release(interactions->ratings);
  moire__release(interactions->times);
  moire__id_names_free(&interactions->users);
  moire__id_names_free(&interactions->names);
  *interactions = (moire__interactions){0};
}

char *moire__interactions_map(const moire__id_names *names) {
  if (!names->n) return NULL;
  char *map = moire__allocate(names->n_bytes + 1);
  memcpy(map, names->bytes, names->n_bytes);
  for (size_t i = 0; i < names->n_bytes; i++) {
    if (!map[i]) map[i] = '\n';
  }
  return map;
}
