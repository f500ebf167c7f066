/* The keys that the training of every model has; a task's own come after them (tasks/task.h). */
#ifndef MOIRE_RUNTIME_TRAIN_TRAINER_FIELDS_H
#define MOIRE_RUNTIME_TRAIN_TRAINER_FIELDS_H

#include "moire/compile.h"
#include "moire/model.h"

/* The keys of a group of parameters; what is not given is as for all others. */
extern const moire_config_field moire__group_fields[];

/* What the optimizer does beside Adam's own numbers (docs/training.md). */
#define MOIRE__OPTIMIZER_FIELDS                                                                                \
  {"momentum", MOIRE_CONFIG_REAL, "0.0", 0, 1, NULL, "of sgd"},                                                \
      {"dampening", MOIRE_CONFIG_REAL, "0.0", 0, 1, NULL, "of sgd: the new gradient's part is 1 minus it"},    \
      {"nesterov", MOIRE_CONFIG_BOOL, "false", 0, 0, NULL, "of sgd: look ahead"},                              \
      {"clip_norm", MOIRE_CONFIG_REAL, "0.0", 0, 1e30, NULL, "largest norm of all gradients; 0: any"},         \
      {"clip_value", MOIRE_CONFIG_REAL, "0.0", 0, 1e30, NULL, "largest element of a gradient; 0: any"},        \
      {"accumulate", MOIRE_CONFIG_INT, "1", 1, 65536, NULL, "batches of a step"},                              \
      {"batch_groups", MOIRE_CONFIG_INT, "0", 0, 1024, NULL, "groups that a batch is summed by; 0: none"},     \
      {"ema", MOIRE_CONFIG_REAL, "0.0", 0, 0.999999999, NULL, "decay of averaged weights; 0: none"},           \
      {"sparse",                                                                                               \
       MOIRE_CONFIG_STRING,                                                                                    \
       "off",                                                                                                  \
       0,                                                                                                      \
       0,                                                                                                      \
       "off|exact|lazy",                                                                                       \
       "adam and adamw: step rows of tables that are looked up alone"},                                        \
      {"table",                                                                                                \
       MOIRE_CONFIG_STRING,                                                                                    \
       "memory",                                                                                               \
       0,                                                                                                      \
       0,                                                                                                      \
       NULL,                                                                                                   \
       "where sparse tables and their moments lie: memory, file (in --out), or a folder"},                     \
      {"schedule",                                                                                             \
       MOIRE_CONFIG_STRING,                                                                                    \
       "constant",                                                                                             \
       0,                                                                                                      \
       0,                                                                                                      \
       "constant|linear|cosine|step|inverse_sqrt",                                                             \
       "how the learning rate goes"},                                                                          \
      {"warmup_steps", MOIRE_CONFIG_INT, "0", 0, 1e12, NULL, "steps until lr is reached"},                     \
      {"total_steps", MOIRE_CONFIG_INT, "null", 0, 1e12, NULL, "of the schedule; nothing: all of training"},   \
      {"lr_min", MOIRE_CONFIG_REAL, "0.0", 0, 100, NULL, "where the schedule ends"},                           \
      {"step_size", MOIRE_CONFIG_INT, "1", 1, 1e12, NULL, "of schedule step: steps of one rate"},              \
      {"gamma", MOIRE_CONFIG_REAL, "0.1", 0, 1, NULL, "of schedule step: what a rate is of the one before"},   \
      {"freeze", MOIRE_CONFIG_STRINGS, "[]", 0, 0, NULL, "patterns of parameters that keep their values"},     \
      {"groups",                                                                                               \
       MOIRE_CONFIG_MAPS,                                                                                      \
       "[]",                                                                                                   \
       0,                                                                                                      \
       0,                                                                                                      \
       moire__group_fields,                                                                                    \
       "parameters with numbers of their own: match, lr, weight_decay, ..."}

/* `epochs` and `patience` are the task's defaults, as text. */
#define MOIRE__TRAINER_FIELDS(data_help, epochs, patience)                                                      \
  {"model", MOIRE_CONFIG_STRING, NULL, 0, 0, NULL, "name of a model, or path of a shared object with one"},     \
      {"data", MOIRE_CONFIG_STRING, "\"\"", 0, 0, NULL, data_help},                                             \
      {"epochs", MOIRE_CONFIG_INT, epochs, 1, 1000000, NULL, "most epochs"},                                    \
      {"batch_size", MOIRE_CONFIG_INT, "256", 1, 1000000, NULL, "samples of a step"},                           \
      {"optimizer", MOIRE_CONFIG_STRING, "adam", 0, 0, "adam|adamw|sgd", "adamw decays weights by themselves"}, \
      {"lr", MOIRE_CONFIG_REAL, "0.001", 0, 100, NULL, "learning rate"},                                        \
      {"beta1", MOIRE_CONFIG_REAL, "0.9", 0, 0.999999, NULL, "decay of the first moment"},                      \
      {"beta2", MOIRE_CONFIG_REAL, "0.999", 0, 0.99999999, NULL, "decay of the second moment"},                 \
      {"eps", MOIRE_CONFIG_REAL, "1e-8", 0, 1, NULL, "added to the root of the second moment"},                 \
      {"weight_decay", MOIRE_CONFIG_REAL, "0.0", 0, 100, NULL, "strength of the decay"},                        \
      MOIRE__OPTIMIZER_FIELDS, {"patience",                                                                     \
                                MOIRE_CONFIG_INT,                                                               \
                                patience,                                                                       \
                                1,                                                                              \
                                1000000,                                                                        \
                                NULL,                                                                           \
                                "epochs without a new best before training ends"},                              \
      {"save_minutes",                                                                                          \
       MOIRE_CONFIG_REAL,                                                                                       \
       "10.0",                                                                                                  \
       0,                                                                                                       \
       1e9,                                                                                                     \
       NULL,                                                                                                    \
       "after which an epoch is saved within; 0: only where it is stopped"},                                    \
      {"precision",                                                                                             \
       MOIRE_CONFIG_STRING,                                                                                     \
       "f32",                                                                                                   \
       0,                                                                                                       \
       0,                                                                                                       \
       "f32|bf16|int8",                                                                                         \
       "of what products multiply; sums are f32; int8: of inference"},                                          \
      {"seed", MOIRE_CONFIG_INT, "42", 0, 9007199254740992, NULL, "of all randomness"}

#define MOIRE__TRAINER_SWITCH(name, purpose) {#name, MOIRE_CONFIG_BOOL, "true", 0, 0, NULL, purpose},
/* A key for each optimization, to turn it off: the last of a table. */
#define MOIRE__TRAINER_SWITCHES MOIRE_OPTIMIZATIONS(MOIRE__TRAINER_SWITCH)

#endif
