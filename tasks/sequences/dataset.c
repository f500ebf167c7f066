/* Sequences of a file's interactions, and batches by arithmetic.
 *
 * All items stand in one array, user after user. A training sample is a pair (user, prefix length); with c the
 * number of samples of the users before, sample s of a user with first sample c has the prefix t[: s - c + 1],
 * so a binary search over the users' first samples is all it takes to find it. */
#include "tasks/sequences/dataset.h"

#include "runtime/base/hash.h"
#include "runtime/base/memory.h"

#include <string.h>

enum { HELD_OUT = 2 /* the last two items are targets of validation and test */ };

/* ---- Loading ----------------------------------------------------------------------------------------------
 */

static int64_t length_of(const moire__dataset *d, int64_t user) {
  return d->first_item[user + 1] - d->first_item[user];
}

/* len(seq[-(L+2) : -2]): the training items of a user, each of which is the answer of one sample. */
static int64_t samples_of(const moire__dataset *d, int64_t user) {
  int64_t length = length_of(d, user) - HELD_OUT;
  return length < 0 ? 0 : length < d->max_length ? length : d->max_length;
}

static void count_samples(moire__dataset *d) {
  d->first_sample = moire__allocate_array((size_t)d->n_users + 1, sizeof *d->first_sample);
  for (int64_t user = 0; user < d->n_users; user++) {
    d->first_sample[user + 1] = d->first_sample[user] + samples_of(d, user);
  }
  d->n_samples = d->first_sample[d->n_users];
}

moire_status moire__dataset_of(const char *path, moire__interactions *interactions, int max_length,
                               moire__dataset **out, moire_error *error) {
  if (max_length < 1) {
    moire__interactions_free(interactions);
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: inputs of %d items were asked for; the least is 1",
                      path, max_length);
  }
  size_t path_bytes = strlen(path) + 1;
  moire__dataset *d = moire__allocate(sizeof *d);
  *d = (moire__dataset){.path = memcpy(moire__allocate(path_bytes), path, path_bytes),
                        .n_users = interactions->n_users,
                        .n_interactions = interactions->n,
                        .item_size = interactions->item_size,
                        .max_length = max_length,
                        .items = interactions->items,
                        .first_item = interactions->first,
                        .users = interactions->users,
                        .names = interactions->names};
  interactions->items = NULL;
  interactions->first = NULL;
  interactions->users = interactions->names = (moire__id_names){0};
  moire__interactions_free(interactions);
  count_samples(d);
  *out = d;
  return MOIRE_OK;
}

moire_status moire__dataset_parse(const char *path, const char *bytes, size_t n, int max_length,
                                  moire__dataset **out, moire_error *error) {
  moire__interactions read;
  moire__interactions_options options = moire__dataset_reading();
  moire_status status = moire__interactions_parse(path, bytes, n, &options, &read, error);
  return status ? status : moire__dataset_of(path, &read, max_length, out, error);
}

moire_status moire__dataset_load(const char *path, int max_length, moire__dataset **out, moire_error *error) {
  moire__interactions read;
  moire__interactions_options options = moire__dataset_reading();
  moire_status status = moire__interactions_read(path, &options, &read, error);
  return status ? status : moire__dataset_of(path, &read, max_length, out, error);
}

moire__interactions_options moire__dataset_reading(void) {
  return (moire__interactions_options){.format = "auto", .fewest = HELD_OUT + 1};
}

void moire__dataset_free(moire__dataset *dataset) {
  if (!dataset) return;
  moire__release(dataset->path);
  moire__release(dataset->items);
  moire__release(dataset->first_item);
  moire__release(dataset->first_sample);
  moire__id_names_free(&dataset->users);
  moire__id_names_free(&dataset->names);
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

void moire__dataset_count_answers(const moire__dataset *d, int64_t user, int64_t *counts) {
  int64_t n = samples_of(d, user);
  const int32_t *t = d->items + d->first_item[user + 1] - HELD_OUT - n;
  for (int64_t i = 0; i < n; i++) counts[t[i]]++;
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
  for (size_t i = 0; i < d->names.n_bytes; i++) hash = moire__fnv(hash, (unsigned char)d->names.bytes[i]);
  return hash;
}
