/* The task of a sequential recommender: validation and test rank all items for every user's target. */
#ifndef MOIRE_TASKS_SEQUENCES_TRAINING_H
#define MOIRE_TASKS_SEQUENCES_TRAINING_H

#include "runtime/files/config.h"
#include "tasks/sequences/dataset.h"
#include "runtime/train/trainer_task.h"

/* Borrows everything; `scores` is the plan of inference, "input_ids" to "logits". The test leaves ranks.txt,
 * the rank of each user's target, in the run's directory; the baseline is a ranking by popularity. */
moire__trainer_task moire__trainer_on_sequences(const moire_plan *scores, const moire__dataset *dataset,
                                                int64_t item_size, const moire_config *training);

#endif
