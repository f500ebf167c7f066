/* Interactions as they come: what the two parts of the reader share. */
#ifndef MOIRE_TASKS_INTERACTIONS_RECORDS_H
#define MOIRE_TASKS_INTERACTIONS_RECORDS_H

#include "tasks/interactions/interactions.h"

/* In the order of the file; a user's are not together yet. */
typedef struct moire__records {
  int64_t n, capacity;
  int32_t *users, *items; /* items: numbers in `names`, or, where `numbered`, those that they keep */
  float *ratings;
  double *times;
  bool numbered;
  moire__id_names user_names, names;
} moire__records;

/* Fills the records, whose form is known; `names` holds the model's where the options know some. */
moire_status moire__records_read(moire__records *records, const char *path, const char *bytes, size_t n,
                                 const moire__interactions_options *options, moire__interactions *out,
                                 moire_error *error);
void moire__records_free(moire__records *records);

#endif
