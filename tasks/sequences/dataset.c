/* The data set file's parser, and batches by arithmetic.
 *
 * All items stand in one array, user after user. A training sample is a pair (user, prefix length); with c the
 * number of samples of the users before, sample s of a user with first sample c has the prefix t[: s - c + 1],
 * so a binary search over the users' first samples is all it takes to find it. */
#include "tasks/sequences/dataset.h"

#include "runtime/base/hash.h"
#include "runtime/base/memory.h"
#include "runtime/files/file.h"

#include <stdbool.h>
#include <string.h>

enum { FEWEST_ITEMS = 3, HELD_OUT = 2 /* the last two items are targets of validation and test */ };

/* ---- Parsing ----------------------------------------------------------------------------------------------
 */

/* A cursor over the file, and arrays that grow. */
typedef struct parser {
  moire__dataset *dataset;
  const char *next, *end; /* what is left of the line */
  int64_t line;
  int64_t items_capacity, users_capacity;
  moire_error *error;
} parser;

static moire_status bad(const parser *p, const char *what) {
  return moire_fail(p->error, MOIRE_ERROR_FORMAT, "%s:%jd: %s", p->dataset->path, (intmax_t)p->line, what);
}

static moire_status bad_word(const parser *p, const char *word, size_t n, const char *what) {
  moire__printable_buffer shown;
  return moire_fail(p->error, MOIRE_ERROR_FORMAT, "%s:%jd: item '%s' %s", p->dataset->path, (intmax_t)p->line,
                    moire__printable(word, n, shown), what);
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* The next word of the line, or NULL at its end. */
static const char *next_word(parser *p, size_t *n) {
  while (p->next < p->end && is_blank(*p->next)) p->next++;
  const char *word = p->next;
  while (p->next < p->end && !is_blank(*p->next)) p->next++;
  *n = (size_t)(p->next - word);
  return *n ? word : NULL;
}

static moire_status parse_item(const parser *p, const char *word, size_t n, int32_t *item) {
  int64_t value = 0;
  size_t start = word[0] == '-' || word[0] == '+' ? 1 : 0;
  bool too_large = false;
  for (size_t i = start; i < n; i++) {
    if (word[i] < '0' || word[i] > '9') return bad_word(p, word, n, "is not a whole number");
    if (!too_large) value = value * 10 + (word[i] - '0');
    if (value > INT32_MAX) too_large = true;
  }
  if (n == start) return bad_word(p, word, n, "is not a whole number");
  if (word[0] == '-') return bad_word(p, word, n, "is negative; items are 1 and up");
  if (too_large) return bad_word(p, word, n, "is past the largest item, 2147483647");
  if (value == 0) return bad_word(p, word, n, "is padding; items are 1 and up");
  *item = (int32_t)value;
  return MOIRE_OK;
}

static void add_item(parser *p, int32_t item) {
  moire__dataset *d = p->dataset;
  if (d->n_interactions == p->items_capacity) {
    p->items_capacity = p->items_capacity ? p->items_capacity * 2 : 1024;
    d->items = moire__resize(d->items, (size_t)p->items_capacity * sizeof *d->items);
  }
  d->items[d->n_interactions++] = item;
  if (item >= d->item_size) d->item_size = (int64_t)item + 1;
}

static void add_user(parser *p) {
  moire__dataset *d = p->dataset;
  if (d->n_users + 1 >= p->users_capacity) {
    p->users_capacity = p->users_capacity ? p->users_capacity * 2 : 256;
    d->first_item = moire__resize(d->first_item, (size_t)p->users_capacity * sizeof *d->first_item);
  }
  if (d->n_users == 0) d->first_item[0] = 0;
  d->first_item[++d->n_users] = d->n_interactions;
}

static moire_status parse_line(parser *p) {
  size_t n = 0;
  const char *user = next_word(p, &n);
  if (!user) return MOIRE_OK;
  size_t user_length = n;
  int64_t before = p->dataset->n_interactions;
  for (const char *word = next_word(p, &n); word; word = next_word(p, &n)) {
    int32_t item = 0;
    moire_status status = parse_item(p, word, n, &item);
    if (status) return status;
    add_item(p, item);
  }
  int64_t items = p->dataset->n_interactions - before;
  if (items < FEWEST_ITEMS) {
    moire__printable_buffer shown;
    return moire_fail(
        p->error, MOIRE_ERROR_FORMAT,
        "%s:%jd: user '%s' has %jd item%s, but needs 3: one to train on, one to validate and one to test",
        p->dataset->path, (intmax_t)p->line, moire__printable(user, user_length, shown), (intmax_t)items,
        items == 1 ? "" : "s");
  }
  add_user(p);
  return MOIRE_OK;
}

static moire_status parse_lines(parser *p, const char *bytes, size_t n) {
  const char *end = bytes + n;
  for (const char *line = bytes; line < end;) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    size_t length = (size_t)((newline ? newline : end) - line);
    p->line++;
    if (memchr(line, 0, length)) return bad(p, "there is a NUL byte; the file is not text");
    p->next = line;
    p->end = line + length;
    line = newline ? newline + 1 : end;
    if (length && p->end[-1] == '\r') p->end--;
    moire_status status = parse_line(p);
    if (status) return status;
  }
  if (p->dataset->n_users) return MOIRE_OK;
  return moire_fail(p->error, MOIRE_ERROR_FORMAT, "%s: is empty; wanted one user a line, 'user item item ...'",
                    p->dataset->path);
}

/* ---- Loading ----------------------------------------------------------------------------------------------
 */

static int64_t length_of(const moire__dataset *d, int64_t user) {
  return d->first_item[user + 1] - d->first_item[user];
}

/* len(seq[-(L+2) : -2]): the training items of a user, each of which is the answer of one sample. */
static int64_t samples_of(const moire__dataset *d, int64_t user) {
  int64_t length = length_of(d, user) - HELD_OUT;
  return length < d->max_length ? length : d->max_length;
}

static void count_samples(moire__dataset *d) {
  d->first_sample = moire__allocate_array((size_t)d->n_users + 1, sizeof *d->first_sample);
  for (int64_t user = 0; user < d->n_users; user++) {
    d->first_sample[user + 1] = d->first_sample[user] + samples_of(d, user);
  }
  d->n_samples = d->first_sample[d->n_users];
}

moire_status moire__dataset_parse(const char *path, const char *bytes, size_t n, int max_length,
                                  moire__dataset **out, moire_error *error) {
  if (max_length < 1) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: inputs of %d items were asked for; the least is 1",
                      path, max_length);
  }
  size_t path_bytes = strlen(path) + 1;
  moire__dataset *d = moire__allocate(sizeof *d);
  d->path = memcpy(moire__allocate(path_bytes), path, path_bytes);
  d->max_length = max_length;
  parser p = {.dataset = d, .error = error};
  moire_status status = parse_lines(&p, bytes, n);
  if (status) {
    moire__dataset_free(d);
    return status;
  }
  count_samples(d);
  *out = d;
  return MOIRE_OK;
}

moire_status moire__dataset_load(const char *path, int max_length, moire__dataset **out, moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  moire_status status = moire__file_read(path, 0, &bytes, &n, error);
  if (status) return status;
  status = moire__dataset_parse(path, bytes, n, max_length, out, error);
  moire__release(bytes);
  return status;
}

void moire__dataset_free(moire__dataset *dataset) {
  if (!dataset) return;
  moire__release(dataset->path);
  moire__release(dataset->items);
  moire__release(dataset->first_item);
  moire__release(dataset->first_sample);
  moire__release(dataset);
}

/* ---- Batches ----------------------------------------------------------------------------------------------
 */

/* ids[L] = the last L of items[0..n), with zeros before them. */
static void fill_row(const moire__dataset *d, const int32_t *items, int64_t n, int32_t *ids) {
  int64_t length = d->max_length, kept = n < length ? n : length;
  memset(ids, 0, (size_t)(length - kept) * sizeof *ids);
  memcpy(ids + (length - kept), items + (n - kept), (size_t)kept * sizeof *ids);
}

/* The user u with first_sample[u] <= sample < first_sample[u + 1]. */
static int64_t user_of(const moire__dataset *d, int64_t sample) {
  int64_t low = 0, high = d->n_users;
  while (high - low > 1) {
    int64_t middle = low + (high - low) / 2;
    if (d->first_sample[middle] <= sample) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

void moire__dataset_train_batch(const moire__dataset *dataset, const int64_t *samples, int64_t n, int32_t *ids,
                                int32_t *answers) {
  const moire__dataset *d = dataset;
  for (int64_t i = 0; i < n; i++) {
    int64_t user = user_of(d, samples[i]), prefix = samples[i] - d->first_sample[user];
    const int32_t *t = d->items + d->first_item[user + 1] - HELD_OUT - samples_of(d, user);
    fill_row(d, t, prefix, ids + i * d->max_length);
    answers[i] = t[prefix];
  }
}

const int32_t *moire__dataset_history(const moire__dataset *dataset, moire__split split, int64_t user,
                                      int64_t *n) {
  int64_t held_out = 0;
  switch (split) {
    case MOIRE__SPLIT_VALID: held_out = 2; break;
    case MOIRE__SPLIT_TEST: held_out = 1; break;
    case MOIRE__SPLIT_NEXT: held_out = 0; break;
  }
  *n = length_of(dataset, user) - held_out;
  return dataset->items + dataset->first_item[user];
}

int32_t moire__dataset_target(const moire__dataset *dataset, moire__split split, int64_t user) {
  int64_t n = 0;
  const int32_t *history = moire__dataset_history(dataset, split, user, &n);
  return split == MOIRE__SPLIT_NEXT ? 0 : history[n];
}

void moire__dataset_eval_batch(const moire__dataset *dataset, moire__split split, int64_t first_user, int64_t n,
                               int32_t *ids, int32_t *answers) {
  for (int64_t i = 0; i < n; i++) {
    int64_t length = 0;
    const int32_t *history = moire__dataset_history(dataset, split, first_user + i, &length);
    fill_row(dataset, history, length, ids + i * dataset->max_length);
    if (answers) answers[i] = moire__dataset_target(dataset, split, first_user + i);
  }
}

uint64_t moire__dataset_fingerprint(const moire__dataset *dataset) {
  const moire__dataset *d = dataset;
  uint64_t hash = MOIRE__FNV_START;
  for (int64_t u = 0; u <= d->n_users; u++) hash = moire__fnv(hash, (uint64_t)d->first_item[u]);
  for (int64_t i = 0; i < d->n_interactions; i++) hash = moire__fnv(hash, (uint64_t)d->items[i]);
  return hash;
}
