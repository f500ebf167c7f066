/* What a training will take, said and held against what there is before anything is allocated. */
#ifndef MOIRE_RUNTIME_TRAIN_TRAINER_MEMORY_H
#define MOIRE_RUNTIME_TRAIN_TRAINER_MEMORY_H

#include "moire/run.h"

/* Weights, moments and other states of the plan, but with `files` for tables (trainer_tables.h), which lie in
 * files. Refused where there is no room for them, with the largest. */
moire_status moire__trainer_check_states(const moire_plan *step, bool files, moire_error *error);
/* Says what the states of the plan and a step's workspace take together. Refused where there is no room for
 * the step, with the largest value that it stores; `batch` samples are set in `runner`. */
moire_status moire__trainer_check_step(const moire_plan *step, bool files, moire_runner *runner, int64_t batch,
                                       size_t beside, moire_error *error);

#endif
