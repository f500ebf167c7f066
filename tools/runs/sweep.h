/* Many trainings of one configuration: every combination of the values of some keys, each in a folder of its
 * own.
 *
 * A folder is named after its combination, "mag_tau=0.2,seed=43". Each run is a process, `moire train --resume`
 * with its folder: one that was cut short continues, and one whose run.json says that it is complete with the
 * same configuration is left alone. A lock in the folder, held by the process that trains there and by whoever
 * started it, keeps two sweeps from training one run twice: the second waits for it, or takes it over if its
 * trainer dies.
 */
#ifndef MOIRE_TOOLS_RUNS_SWEEP_H
#define MOIRE_TOOLS_RUNS_SWEEP_H

#include "tools/runs/runs.h"
#include "tools/tool.h"

enum { TOOL_INTERRUPTED = 130, TOOL_MOST_RUNS = 10000 };

typedef struct tool_axis {
  const char *key;
  const char *const *values;
  int n;
} tool_axis;

/* Everything is borrowed. */
typedef struct tool_sweep_job {
  const char *command; /* in messages: "sweep" */
  const char *config;
  moire__data_files files;        /* files.data may be NULL: the configuration's */
  const char *out;                /* the folder of folders */
  const char *const *assignments; /* of --set */
  int n_assignments;
  const tool_axis *axes; /* the last one varies fastest */
  int n_axes;
  int jobs, threads; /* runs at once, threads of each */
  tool_runs_options table;
} tool_sweep_job;

/* Trains what is missing and prints the table of the folder. Returns the exit status: 0, TOOL_FAILURE if a run
 * failed, TOOL_INTERRUPTED after SIGINT or SIGTERM, which the runs get too. */
int tool_sweep_run(const tool_sweep_job *sweep);

#endif
