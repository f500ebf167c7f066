/* The moving averages of the weights, which take the weights' place where a model is measured or kept. */
#ifndef MOIRE_RUNTIME_TRAIN_AVERAGE_H
#define MOIRE_RUNTIME_TRAIN_AVERAGE_H

#include "moire/run.h"

/* Exchanges every parameter that has an average with it: what was done is undone by doing it again. Without
 * averages nothing happens. */
void moire__average_swap(moire_store *store);

#endif
