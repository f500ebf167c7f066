/* The sequence data set: who consumed what, in which order, and the batches made of it.
 *
 * Files are those of tasks/interactions/interactions.h. A user needs at least 3 items: the last is the target
 * of the test, the one before that of the validation, and training needs what is left.
 *
 * With seq a user's items and L the longest input:
 *   training    t = seq[-(L+2) : -2]; for i = 1 .. len(t) one sample: input t[: i-1], answer t[i-1]
 *   validation  input the last L of seq[:-2], answer seq[-2]
 *   test        input the last L of seq[:-1], answer seq[-1]
 * Inputs are padded with 0 on the left. Samples are numbered user by user, short prefixes first, and exist only
 * as arithmetic on those numbers.
 */
#ifndef MOIRE_TASKS_SEQUENCES_DATASET_H
#define MOIRE_TASKS_SEQUENCES_DATASET_H

#include "tasks/interactions/interactions.h"

#include <stddef.h>
#include <stdint.h>

typedef enum moire__split {
  MOIRE__SPLIT_VALID,
  MOIRE__SPLIT_TEST,
  MOIRE__SPLIT_NEXT, /* input: all of seq; there is no answer: what to recommend next */
} moire__split;

/* Read-only after loading; owns its arrays. */
typedef struct moire__dataset {
  char *path;
  int64_t n_users;
  int64_t n_interactions;
  int64_t item_size;     /* largest item + 1 */
  int max_length;        /* L */
  int64_t n_samples;     /* training samples, over all users */
  int32_t *items;        /* [n_interactions], user after user */
  int64_t *first_item;   /* [n_users + 1] */
  int64_t *first_sample; /* [n_users + 1] */
  moire__id_names users; /* [n_users]: what the file calls them */
  moire__id_names names; /* of items: item i is number i - 1; none where items are the file's numbers */
} moire__dataset;

/* Reads the file at `path` for inputs of `max_length` >= 1 items. Errors name file and line. On success *out is
 * owned by the caller (moire__dataset_free). */
moire_status moire__dataset_load(const char *path, int max_length, moire__dataset **out, moire_error *error);
/* The same from bytes; `path` only names them in messages. */
moire_status moire__dataset_parse(const char *path, const char *bytes, size_t n, int max_length,
                                  moire__dataset **out, moire_error *error);
/* How these two read: any form, at least 3 items a user. */
moire__interactions_options moire__dataset_reading(void);
/* The same of what has been read, which it takes, on failure too. */
moire_status moire__dataset_of(const char *path, moire__interactions *interactions, int max_length,
                               moire__dataset **out, moire_error *error);
void moire__dataset_free(moire__dataset *dataset); /* NULL is fine */

/* 64-bit FNV-1a of what samples and targets are made of: equal for equal data, whatever the files are called.
 */
uint64_t moire__dataset_fingerprint(const moire__dataset *dataset);

/* ids[n, L], answers[n] of the training samples numbered samples[0..n), each in [0, n_samples). */
void moire__dataset_train_batch(const moire__dataset *dataset, const int64_t *samples, int64_t n, int32_t *ids,
                                int32_t *answers);

/* counts[item] += 1 for each training sample of the user whose answer that is. */
void moire__dataset_count_answers(const moire__dataset *dataset, int64_t user, int64_t *counts);

/* ids[n, L], answers[n] of the users first_user .. first_user + n - 1. answers may be NULL; it is filled with 0
 * for MOIRE__SPLIT_NEXT. */
void moire__dataset_eval_batch(const moire__dataset *dataset, moire__split split, int64_t first_user, int64_t n,
                               int32_t *ids, int32_t *answers);

/* What the user had consumed before the split's target, oldest first and uncut: seq[:-2], seq[:-1] or seq.
 * Borrows from the data set. Ranking excludes these. */
const int32_t *moire__dataset_history(const moire__dataset *dataset, moire__split split, int64_t user,
                                      int64_t *n);

/* The split's target: seq[-2], seq[-1], or 0 for MOIRE__SPLIT_NEXT. */
int32_t moire__dataset_target(const moire__dataset *dataset, moire__split split, int64_t user);

#endif
