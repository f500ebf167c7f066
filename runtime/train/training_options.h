/* From a training's configuration to the options of its optimizer. */
#ifndef MOIRE_RUNTIME_TRAIN_TRAINING_OPTIONS_H
#define MOIRE_RUNTIME_TRAIN_TRAINING_OPTIONS_H

#include "moire/optimizer.h"
#include "runtime/files/config.h"

/* What the keys of moire__trainer_fields say. Borrows from the configuration. */
moire_training_options moire__training_options(const moire_config *training);

#endif
