/* The files of a training run: see runtime/train/trainer.h for what they are and when they are written. */
#ifndef MOIRE_RUNTIME_TRAIN_TRAINER_FILES_H
#define MOIRE_RUNTIME_TRAIN_TRAINER_FILES_H

#include "runtime/base/text.h"
#include "runtime/train/trainer.h"

/* How far a run has come. */
typedef struct moire__trained {
  int64_t epochs, steps; /* whole epochs, and the steps in them */
  int64_t best_epoch;    /* -1: none yet */
  double best_value;     /* of the monitored metric */
  /* Of the epoch that has begun: its steps so far, the sum of their losses, and the seconds that they took. */
  int64_t part;
  double part_loss, part_seconds;
} moire__trained;

typedef struct moire__trainer_files {
  const moire__trainer_job *job;
  char *best, *last, *part, *metrics; /* paths, owned */
  moire__text journal;                /* what metrics.jsonl holds, or will hold when it is next written */
  bool fresh;                         /* nothing of this run is on disk yet */
} moire__trainer_files;

/* One line of metrics.jsonl. */
typedef struct moire__epoch_record {
  int64_t epoch;
  double train_loss, train_seconds, valid_seconds;
  moire__measures valid;
} moire__epoch_record;

/* Makes the directory and the paths, and clears away what killed writers left. */
moire_status moire__trainer_files_open(moire__trainer_files *files, const moire__trainer_job *job,
                                       moire_error *error);
void moire__trainer_files_close(moire__trainer_files *files);

/* Fills the store and `trained` from last.safetensors or, `within` an epoch, from part.safetensors if that goes
 * on from there, and the journal from metrics.jsonl. Without any of them *found is false and nothing else
 * happens. A run with another model, configuration or data set is an error that names what differs. */
moire_status moire__trainer_files_resume(moire__trainer_files *files, moire_store *store, bool within,
                                         moire__trained *trained, bool *found, moire_error *error);

/* The weights that were measured: the averages, where there are any (runtime/train/average.h). */
moire_status moire__trainer_files_save_best(const moire__trainer_files *files, moire_store *store,
                                            int64_t epoch, moire_error *error);
/* All three files of a run's first epoch, which is its best: they replace those of an earlier run at once, and
 * anything that fails before leaves these as they were. Clears `fresh`. */
moire_status moire__trainer_files_save_first(moire__trainer_files *files, moire_store *store,
                                             const moire__epoch_record *record, const moire__trained *trained,
                                             moire_error *error);
/* Everything within an epoch: metrics.jsonl with the lines of its steps, then part.safetensors. A new run's
 * first replaces an earlier run, as moire__trainer_files_save_first does. */
moire_status moire__trainer_files_save_part(moire__trainer_files *files, const moire_store *store,
                                            const moire__trained *trained, moire_error *error);
moire_status moire__trainer_files_load_best(const moire__trainer_files *files, moire_store *store,
                                            moire_error *error);
/* Removes part.safetensors, which it makes stale. */
moire_status moire__trainer_files_save_last(const moire__trainer_files *files, const moire_store *store,
                                            const moire__trained *trained, moire_error *error);

/* The members of an epoch's object in metrics.jsonl, without the braces. */
void moire__trainer_files_add_record(const moire__epoch_record *record, moire__text *out);

/* Add a line to the journal and write metrics.jsonl. */
moire_status moire__trainer_files_add_epoch(moire__trainer_files *files, const moire__epoch_record *record,
                                            moire_error *error);
moire_status moire__trainer_files_add_test(moire__trainer_files *files, const moire__measures *test,
                                           const moire__trained *trained, moire_error *error);

/* Opens a checkpoint of this run's. Where its tables lie in files it is mapped, since it may be larger than
 * memory. */
moire_status moire__trainer_files_read(const moire__trainer_files *files, const char *path,
                                       moire__safetensors **file, moire_error *error);

#endif
