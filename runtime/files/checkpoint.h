/* Checkpoints: the states of a store in a safetensors file, under their own names.
 *
 * Whoever knows the format of safetensors can read one, PyTorch included: parameters stand under the names of
 * the state dict. Metadata `format` is "checkpoint/1", `model` the model's name, `config` its configuration as
 * JSON. A file to resume from also holds the optimizer's states, whose names begin with "adam." or
 * "optimizer.". Files are written beside, synced and renamed (runtime/files/file.h), so there is no moment
 * without a readable one.
 */
#ifndef MOIRE_RUNTIME_FILES_CHECKPOINT_H
#define MOIRE_RUNTIME_FILES_CHECKPOINT_H

#include "moire/graph.h"
#include "moire/run.h"
#include "runtime/base/text.h"
#include "runtime/files/safetensors.h"

#define MOIRE__CHECKPOINT_FORMAT "checkpoint/1"

/* Before the names of states that are part of a model, and of no state dict: constants of an imported program.
 * They stand in what a training resumes from alone. */
#define MOIRE__CONSTANT_PREFIX "imported.constant."

/* States that say of each row of a table after which step of the optimizer it stands, where rows are stepped
 * alone. A file without them has all rows after its last step, and so has one with them that is read by a
 * training that steps all rows: MOIRE__CHECKPOINT_EVERYTHING leaves such states and such tensors alone. */
#define MOIRE__SINCE_PREFIX "adam.since."

/* A tensor of a state dict, where that has other tensors than the store has states. */
typedef struct moire__state_name {
  const char *name, *state; /* in the dict, in the store; two names may have one state */
  bool complex;             /* one tensor of the two states <state>.real and <state>.imag */
} moire__state_name;

typedef struct moire__state_dict {
  const moire__state_name *names;
  int n;
} moire__state_dict;

typedef enum moire__checkpoint_part {
  MOIRE__CHECKPOINT_MODEL,      /* what inference needs */
  MOIRE__CHECKPOINT_EVERYTHING, /* the optimizer's states too */
} moire__checkpoint_part;

/* Writes the states in the order of the store. The metadata is the caller's, format included. Equal states and
 * metadata give equal files. */
moire_status moire__checkpoint_save(const char *path, const moire_store *store, moire__checkpoint_part part,
                                    const moire__st_metadata *metadata, int n_metadata, moire_error *error);
/* The same of a model, as the tensors of a state dict; second names of a state are listed in the metadata
 * `also`, by which a loader knows them. */
moire_status moire__checkpoint_save_dict(const char *path, const moire_store *store,
                                         const moire__state_dict *dict, const moire__st_metadata *metadata,
                                         int n_metadata, moire_error *error);

/* Does the file have a tensor of the right shape for each of these states of a model? To be asked before
 * anything is compiled or allocated for what a small file merely claims. */
moire_status moire__checkpoint_check(const moire__safetensors *file, const moire_port *states, int n,
                                     moire_error *error);

/* Fills the states of the store from the file. Every state of `part` must be there with its shape, under a name
 * of runtime/files/checkpoint_names.h, floating point numbers of any width for floating point, the same type
 * otherwise, and no NaN; and every tensor of the file must be a state, but for the optimizer's, which
 * MOIRE__CHECKPOINT_MODEL passes over. On failure the sentence names file and tensor, and the store is as
 * before. */
moire_status moire__checkpoint_load(const moire__safetensors *file, moire_store *store,
                                    moire__checkpoint_part part, moire_error *error);

/* Fills the states of the model for which the file has a tensor of that name and shape, *fitted of them, and
 * adds a line to the report for each state that stays as it is, and for each tensor that is of no use. A NaN, a
 * type that does not convert, and a file of which nothing fits are errors. */
moire_status moire__checkpoint_load_fitting(const moire__safetensors *file, moire_store *store,
                                            moire__text *report, int *fitted, moire_error *error);

/* The tensor of a file that a state of this name is read from, whole; NULL if there is none. */
const moire__st_tensor *moire__checkpoint_tensor(const moire__safetensors *file, const char *state);

#endif
