/* From a training's configuration to the options of its optimizer. */
#ifndef MOIRE_RUNTIME_TRAIN_TRAINING_OPTIONS_H
#define MOIRE_RUNTIME_TRAIN_TRAINING_OPTIONS_H

#include "moire/model.h"
#include "moire/optimizer.h"

/* Zero-initialise. The options point into it, so that it must stay where it is, and into the configuration. */
typedef struct moire__training {
  moire_training_options options;
  moire_parameter_group groups[MOIRE_MOST_GROUPS];
} moire__training;

/* What the keys of MOIRE__TRAINER_FIELDS say. `steps`: of the optimizer in all epochs, for a schedule that does
 * not say how many there are; 0: nobody knows, so that it must; -1: the schedule is not judged, nor may it be
 * read. */
moire_status moire__training_read(moire__training *training, const moire_config *config, int64_t steps,
                                  moire_error *error);

#endif
