/* Running a model for a profile: the same batches as training or evaluation would make. */
#ifndef MOIRE_TOOLS_PROFILE_PROFILE_RUN_H
#define MOIRE_TOOLS_PROFILE_PROFILE_RUN_H

#include "runtime/profile/counters.h"
#include "runtime/profile/recording.h"
#include "runtime/train/train_step.h"
#include "compiler/profile/work.h"
#include "tools/tool.h"

/* What to run; strings are borrowed. */
typedef struct tool_profile_job {
  moire__sources sources; /* the checkpoint is NULL: initial weights */
  moire__data_files files;
  bool infer;
  int steps, warmup, sampled;
} tool_profile_job;

/* Zero-initialise; free with tool_profile_run_free. */
typedef struct tool_profile_run {
  const tool_profile_job *job;
  moire__predictor predictor; /* its setup; its program and runner are those below */
  moire_program *program;
  moire_store *store;
  moire_threads *threads;
  moire_runner *runner;
  moire__recording *recording;
  moire__train_step step;
  moire__samples queries; /* of inference */
  int64_t *order;         /* [n]: the first epoch's samples, or what is asked about, in order */
  int64_t n, batch;
  int64_t *batches;                /* [steps]: nanoseconds of making each batch */
  moire__counters counters;        /* of the recorded steps */
  moire_error no_counters;         /* why there are none */
  moire__profile_counter *counter; /* of tool_profile_count */
} tool_profile_run;

/* Reads, compiles, and makes everything ready. */
moire_status tool_profile_open(tool_profile_run *run, const tool_profile_job *job, moire_error *error);
/* The job's warm-up, then its steps, recorded. */
moire_status tool_profile_record(tool_profile_run *run, moire_error *error);
/* Runs the first of the recorded steps once more, and counts their work. */
moire_status tool_profile_count(tool_profile_run *run, const moire__peaks *peaks, moire_error *error);
/* Makes batch `number` and runs it; *batch_ns (may be NULL) is what making it took. */
moire_status tool_profile_step(tool_profile_run *run, int64_t number, int64_t *batch_ns, moire_error *error);
void tool_profile_run_free(tool_profile_run *run);

#endif
