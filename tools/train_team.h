/* Training by a team of processes, as mpirun starts them: what `moire train` does for it (runtime/team/team.h).
 */
#ifndef MOIRE_TOOLS_TRAIN_TEAM_H
#define MOIRE_TOOLS_TRAIN_TEAM_H

#include "runtime/team/team.h"
#include "runtime/train/groups.h"
#include "tasks/setup.h"

/* The configuration's `batch_groups`, where it does not say it: 32 in a team. The model need not be known yet.
 */
moire_status tool_team_assume(const moire__team *team, moire__setup *setup, moire_error *error);
/* A team whose batch has a group for each rank. */
moire_status tool_team_check(const moire__team *team, const moire__setup *setup, moire_error *error);
/* Says who trains together, after all have the same version, vectors, configuration, program and data. */
moire_status tool_team_agree(moire__team *team, const moire__setup *setup, const moire_program *sums,
                             const moire_program *step, uint64_t fingerprint, moire_error *error);

#endif
