/* The task of an item coder: codebooks that start where the data are, dead codes that start again, and what
 * there is to know about the codes after each epoch.
 */
#ifndef MOIRE_TASKS_ITEMS_TRAINING_H
#define MOIRE_TASKS_ITEMS_TRAINING_H

#include "runtime/files/config.h"
#include "tasks/items/features.h"
#include "runtime/train/trainer_task.h"

/* Everything is borrowed. */
typedef struct moire__items_job {
  const moire__features *features;
  const moire_config *config, *training;
  const moire_plan *encode; /* inference: "codes", "loss", "reconstruction", "commitment" */
  const moire_plan *const
      *level; /* inference: "codes.<l>" and "residuals.<l>" of level l alone; with k-means */
} moire__items_job;

/* What is measured, on all items: reconstruction, commitment, loss (means over the items), collisions (the
 * share of items whose codes an earlier item has), and of each level utilisation.<l> and perplexity.<l>. The
 * monitored measure is the reconstruction. */
moire_status moire__trainer_on_items(const moire__items_job *job, moire__trainer_task *task,
                                     moire_error *error);

#endif
