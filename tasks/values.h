/* The measures of single samples, which a test leaves in a run's folder for comparisons pair by pair: a
 * safetensors file with a vector of each measure. */
#ifndef MOIRE_TASKS_VALUES_H
#define MOIRE_TASKS_VALUES_H

#include "tasks/terms.h"

#include <stdint.h>

#define MOIRE__TASK_VALUES "values.safetensors"

/* Writes it by a task's `leave`. */
moire_status moire__task_leave_values(const char *directory, const moire__terms *terms,
                                      moire_status (*leave)(const moire__terms *terms, const char *path,
                                                            moire_error *error),
                                      moire_error *error);
/* A task's `values`: of such a folder, or of a file like that. */
double *moire__task_values(const char *path, const char *measure, int64_t *n, moire_error *error);

#endif
