/* What a model of sequences has to beat, on its own split and by its own measures: popularity (popularity.h),
 * item-kNN and EASE (tasks/baselines/baselines.h). They learn from seq[:-2] of all users, and are given what a
 * user had before the target, without order; items of the history score 0, as those of a model do. */
#ifndef MOIRE_TASKS_SEQUENCES_BASELINES_H
#define MOIRE_TASKS_SEQUENCES_BASELINES_H

#include "tasks/baselines/baselines.h"
#include "tasks/sequences/dataset.h"

moire_status moire__sequences_baselines(const moire__dataset *data, moire__split split, moire_threads *threads,
                                        moire__baselines *out, moire_error *error);

#endif
