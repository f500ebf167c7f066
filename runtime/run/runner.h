/* The execution of plans, beyond moire/run.h. */
#ifndef MOIRE_RUNTIME_RUN_RUNNER_H
#define MOIRE_RUNTIME_RUN_RUNNER_H

#include "moire/run.h"

/* Bytes of the workspace that a run with the inputs and sizes that are set would take; fails where the run
 * would be refused. Allocates none of it. */
moire_status moire__runner_estimate(moire_runner *runner, size_t *bytes, moire_error *error);

/* The states stay as they are from now on: what depends on them alone (moire_plan) is computed in the next run,
 * and kept for those after it. Before the first run. */
void moire__runner_settle(moire_runner *runner);

#endif
