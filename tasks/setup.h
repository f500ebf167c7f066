/* A model with its configuration and its data: what every command begins with. */
#ifndef MOIRE_TASKS_SETUP_H
#define MOIRE_TASKS_SETUP_H

#include "runtime/train/training_options.h"
#include "moire/compile.h"
#include "moire/import.h"
#include "moire/model.h"
#include "runtime/config/config.h"
#include "runtime/files/safetensors.h"

typedef struct moire__task moire__task;

/* Zero-initialise; free with moire__setup_free. */
typedef struct moire__setup {
  const moire_model *model;          /* NULL until moire__setup_find */
  moire_import *imported;            /* the file that the model is made of; NULL: of none */
  const moire__task *task;           /* its */
  moire__config_table table;         /* where the values came from */
  moire_config *config;              /* of the model */
  moire_config *training;            /* of the task's keys */
  void *data;                        /* the task's own; NULL until it has read */
  const moire__safetensors *weights; /* the file of a trained model, until it is compiled; NULL in training */
  bool keep_kernels;                 /* programs keep what they were made of, for a profile */
  bool plain;                        /* the program of a step has a kernel for each operation, and keeps them */
  moire_part part;                   /* of a step that is compiled */
} moire__setup;

/* What names the data on a command line; all but `data` may be NULL. */
typedef struct moire__data_files {
  const char *data;
  const char *valid, *test;   /* of their own, instead of parts of `data` */
  const char *tensor, *names; /* of features: which tensor, and the rows' names */
  const char *format;         /* of interactions: instead of the configuration's `format` */
  bool unmeasured;            /* nothing is held out of the data: users of any length will do */
} moire__data_files;

void moire__setup_free(moire__setup *setup);

/* Reads a configuration file, or a program that is a model by itself, into the table, and the assignments
 * ("key=value") on top of it. */
moire_status moire__setup_read_yaml(moire__setup *setup, const char *config, const char *const *assignments,
                                    int n, moire_error *error);
/* The model's name in the table, borrowed; NULL with a sentence that names `where`. */
const char *moire__setup_model_name(const moire__setup *setup, const char *where, moire_error *error);

/* Does the name mean a file: a shared object, or a program of torch.export? Whoever gives it has code loaded: a
 * user may, a file may not. */
bool moire__setup_is_path(const char *model);
/* Finds the model and its task; `where` names the source in messages. */
moire_status moire__setup_find(moire__setup *setup, const char *model, const char *where, moire_error *error);
/* The key that the task's data say becomes `size`, where the table does not say it. The model has been found.
 */
moire_status moire__setup_assume(moire__setup *setup, const char *origin, int64_t size, moire_error *error);
/* Adds one key with a whole number to the table. */
moire_status moire__setup_add_int(moire__setup *setup, const char *origin, const char *key, int64_t value,
                                  moire_error *error);
/* Makes both configurations of the table, again if they were made before. The model has been found. */
moire_status moire__setup_build(moire__setup *setup, const char *where, moire_error *error);
/* Finds the model (NULL: it has been found), reads the data and builds, as the task does it. files->data may be
 * NULL: the table's `data`. */
moire_status moire__setup_read(moire__setup *setup, const char *model, const char *where,
                               const moire__data_files *files, moire_error *error);

/* The model's graph: owned, NULL with a sentence. */
moire_graph *moire__setup_graph(const moire__setup *setup, moire_mode mode, moire_error *error);

/* Optimizer, precision, and the optimizations that are turned off, as the training's configuration has them.
 * They point into `room`, which is set; `steps` is for moire__training_read. */
moire_status moire__setup_options(const moire_config *training, int64_t steps, moire__training *room,
                                  moire_compile_options *options, moire_error *error);
/* The same for a program of inference. */
moire_compile_options moire__setup_inference_options(const moire_config *training);

/* The model's inference program with these outputs. Owned, NULL with a sentence. */
moire_program *moire__setup_compile(const moire__setup *setup, const char *const *outputs, int n, int threads,
                                    moire_error *error);
/* The same for sizes of named extents that are known. */
moire_program *moire__setup_compile_fixed(const moire__setup *setup, const char *const *outputs, int n,
                                          const moire_fixed_extent *fixed, int n_fixed, int threads,
                                          moire_error *error);
/* The same with what the trained model is asked for. */
moire_program *moire__setup_compile_served(const moire__setup *setup, int threads, moire_error *error);
/* The program of one step of training: loss, gradients, the optimizer's step. Owned, NULL with a sentence. */
moire_program *moire__setup_compile_step(const moire__setup *setup, int threads, moire_error *error);

#endif
