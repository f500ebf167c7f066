/* The keys that the training of every model has; a task's own come after them (tasks/task.h). */
#ifndef MOIRE_RUNTIME_TRAIN_TRAINER_FIELDS_H
#define MOIRE_RUNTIME_TRAIN_TRAINER_FIELDS_H

#include "moire/compile.h"
#include "moire/model.h"

/* `epochs` and `patience` are the task's defaults, as text. */
#define MOIRE__TRAINER_FIELDS(data_help, epochs, patience)                                                     \
  {"model", MOIRE_CONFIG_STRING, NULL, 0, 0, NULL, "name of a model, or path of a shared object with one"},    \
      {"data", MOIRE_CONFIG_STRING, "\"\"", 0, 0, NULL, data_help},                                            \
      {"epochs", MOIRE_CONFIG_INT, epochs, 1, 1000000, NULL, "most epochs"},                                   \
      {"batch_size", MOIRE_CONFIG_INT, "256", 1, 1000000, NULL, "samples of a step"},                          \
      {"optimizer", MOIRE_CONFIG_STRING, "adam", 0, 0, "adam|adamw", "adamw decays weights by themselves"},    \
      {"lr", MOIRE_CONFIG_REAL, "0.001", 0, 100, NULL, "learning rate"},                                       \
      {"beta1", MOIRE_CONFIG_REAL, "0.9", 0, 0.999999, NULL, "decay of the first moment"},                     \
      {"beta2", MOIRE_CONFIG_REAL, "0.999", 0, 0.99999999, NULL, "decay of the second moment"},                \
      {"eps", MOIRE_CONFIG_REAL, "1e-8", 0, 1, NULL, "added to the root of the second moment"},                \
      {"weight_decay", MOIRE_CONFIG_REAL, "0.0", 0, 100, NULL, "strength of the decay"},                       \
      {"patience",                                                                                             \
       MOIRE_CONFIG_INT,                                                                                       \
       patience,                                                                                               \
       1,                                                                                                      \
       1000000,                                                                                                \
       NULL,                                                                                                   \
       "epochs without a new best before training ends"},                                                      \
      {"precision", MOIRE_CONFIG_STRING, "f32", 0, 0, "f32|bf16", "of what products multiply; sums are f32"},  \
      {"seed", MOIRE_CONFIG_INT, "42", 0, 9007199254740992, NULL, "of all randomness"}

#define MOIRE__TRAINER_SWITCH(name, purpose) {#name, MOIRE_CONFIG_BOOL, "true", 0, 0, NULL, purpose},
/* A key for each optimization, to turn it off: the last of a table. */
#define MOIRE__TRAINER_SWITCHES MOIRE_OPTIMIZATIONS(MOIRE__TRAINER_SWITCH)

#endif
