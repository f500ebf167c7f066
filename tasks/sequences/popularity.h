/* What a model of sequences has to beat: recommending to everybody what is consumed most. */
#ifndef MOIRE_TASKS_SEQUENCES_POPULARITY_H
#define MOIRE_TASKS_SEQUENCES_POPULARITY_H

#include "runtime/measure/metrics.h"
#include "tasks/sequences/dataset.h"

/* scores[i] = how often item i stands in the training sequences seq[:-2]. */
void moire__popularity_scores(const moire__dataset *dataset, float *scores /*[item_size]*/);

/* The metrics of ranking by popularity on MOIRE__SPLIT_VALID or _TEST: what a model has to beat. */
void moire__popularity_evaluate(const moire__dataset *dataset, moire__split split, moire__metrics *metrics);

#endif
