/* What `moire train` leaves in a run's folder beside the trainer's files, and how it is read back.
 *
 *   config.yaml  the whole configuration, defaults filled in: training with it again is the same run
 *   run.json     once the run is complete: model, configuration, data, results, versions
 *   and what the task's test leaves, such as ranks.txt, the rank of each user's target
 *   log.txt      where a sweep ran it: what the command said
 *   lock         held while somebody trains there
 */
#ifndef MOIRE_TOOLS_RUNS_RUN_FOLDER_H
#define MOIRE_TOOLS_RUNS_RUN_FOLDER_H

#include "runtime/train/trainer.h"
#include "tools/tool.h"

#include <jansson.h>

/* Refuses a new run in a folder that holds anything of one (weights, metrics, a configuration, a record), with
 * the ways out; with `resume`, one that can be neither continued nor taken for a run that was killed in its
 * first epoch. */
moire_status tool_run_refuse(const char *directory, bool resume, moire_error *error);

/* Does the folder hold a complete run of this configuration, on data with this fingerprint (NULL: on any)? The
 * same training gives the same files again, so nothing is lost by it. */
bool tool_run_repeats(const char *directory, const moire__setup *setup, const uint64_t *fingerprint);

/* Makes the folder this run's: removes run.json and what tests leave, since nothing of that is true of the
 * weights that are about to be written, and writes config.yaml. */
moire_status tool_run_begin(const char *directory, const moire__setup *setup, const char *data,
                            moire_error *error);
/* Writes run.json. */
moire_status tool_run_finish(const char *directory, const moire__setup *setup, const char *data, double seconds,
                             const moire__trainer_result *result, moire_error *error);

/* run.json, owned (json_decref); NULL without an error if it is not there. It has what tool_run_finish writes:
 * strings task, model, data, monitored, fingerprint, numbers parameters, epochs, best_epoch, samples, the truth
 * value least, and objects config, training, test. */
json_t *tool_run_read(const char *directory, moire_error *error);
/* The measure that tables of runs like this one compare by: `wanted`, or, where that is NULL, the task's or the
 * run's own. */
const char *tool_run_metric(const json_t *run, const char *wanted);

/* The configuration as JSON objects with the keys of the model and of the training: owned. */
json_t *tool_run_config(const moire_config *config);

/* True if what run.json holds is this configuration; the data, what they say and the model's name aside. */
bool tool_run_is(const json_t *run, const moire__setup *setup);

/* "DIRECTORY/NAME": owned (moire__release). */
char *tool_path(const char *directory, const char *name);

#endif
