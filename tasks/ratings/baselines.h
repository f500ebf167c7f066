/* What a model of ratings has to beat, from who liked what in training alone: tasks/baselines/baselines.h on
 * the model's own users, candidates and measures. */
#ifndef MOIRE_TASKS_RATINGS_BASELINES_H
#define MOIRE_TASKS_RATINGS_BASELINES_H

#include "tasks/baselines/baselines.h"
#include "tasks/ratings/data.h"

moire_status moire__ratings_baselines(const moire__ratings *data, const moire__ratings_events *events,
                                      moire_threads *threads, moire__baselines *out, moire_error *error);

#endif
