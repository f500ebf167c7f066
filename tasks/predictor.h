/* A trained model: from a checkpoint to a runner.
 *
 * A checkpoint of Moire's says itself which model it holds; weights with config.json beside them (one file,
 * shards with an index, or their folder) are of the model that this calls model_type; a state dict of PyTorch's
 * needs the names of a model and of a configuration. A checkpoint names models of the library only: code is
 * loaded from nowhere but where the user says.
 */
#ifndef MOIRE_TASKS_PREDICTOR_H
#define MOIRE_TASKS_PREDICTOR_H

#include "moire/run.h"
#include "runtime/files/safetensors.h"
#include "tasks/setup.h"

/* What --checkpoint, --model, --config and --precision say; all but the checkpoint may be NULL. */
typedef struct moire__sources {
  const char *checkpoint, *model, *config, *precision;
  const char *const *assignments; /* of --set, on top of all */
  int n_assignments, threads;
} moire__sources;

/* Zero-initialise; free with moire__predictor_free. */
typedef struct moire__predictor {
  const moire__sources *sources;
  moire__setup setup;
  moire__safetensors *file;
  char *config_path; /* of config.json beside the weights, where they hold no configuration; owned */
  moire_program *program;
  moire_store *store;
  moire_threads *threads;
  moire_runner *runner;
} moire__predictor;

/* Opens the checkpoint, finds its model and task, and fills the table of the setup, which is not built yet. */
moire_status moire__predictor_open(moire__predictor *predictor, const moire__sources *sources,
                                   moire_error *error);
/* The file that a message about the configuration names. */
const char *moire__predictor_where(const moire__predictor *predictor);
/* The setup is built: does the checkpoint hold what its configuration claims? Says so before anything is
 * compiled. */
moire_status moire__predictor_check(const moire__predictor *predictor, moire_error *error);
/* The setup is built: compiles these outputs, loads the weights and makes the runner. */
moire_status moire__predictor_compile(moire__predictor *predictor, const char *const *outputs, int n,
                                      moire_error *error);
void moire__predictor_free(moire__predictor *predictor);

#endif
