/* What a model of ratings has to beat, from who liked what in training alone. */
#ifndef MOIRE_TASKS_RATINGS_BASELINES_H
#define MOIRE_TASKS_RATINGS_BASELINES_H

#include "runtime/measure/measures.h"
#include "tasks/ratings/data.h"

enum { MOIRE__RATINGS_BASELINES = 3 };

/* Names, for a table's head. */
extern const char *const moire__ratings_baselines[MOIRE__RATINGS_BASELINES];

/* The measures of each on the events. popularity: likes in training. item-kNN: cosines of the items' likes,
 * each item with its 200 nearest. EASE: ridge regression of items on items in closed form, lambda 300 (Steck,
 * "Embarrassingly shallow autoencoders for sparse data", WWW 2019); it inverts a matrix of items by items, so
 * that more than 20,000 items are refused. */
moire_status moire__ratings_baseline(const moire__ratings *data, const moire__ratings_events *events, int which,
                                     moire__measures *out, moire_error *error);

#endif
