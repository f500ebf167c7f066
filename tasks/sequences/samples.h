/* What a step is given of sequences. */
#ifndef MOIRE_TASKS_SEQUENCES_SAMPLES_H
#define MOIRE_TASKS_SEQUENCES_SAMPLES_H

#include "runtime/train/samples.h"
#include "tasks/sequences/dataset.h"

/* Prefixes of sequences, at most `batch` at once: inputs "input_ids" and "answers", and
 * "answer_ends" of so many items where a runner has that (moire/model.h). Borrows the data set. */
moire__samples moire__samples_of_sequences(const moire__dataset *dataset, int64_t item_size, int64_t batch);

/* The users' inputs of a split, at most `batch` at once: the input "input_ids". Borrows the data set. */
moire__samples moire__samples_of_users(const moire__dataset *dataset, moire__split split, int64_t batch);

#endif
