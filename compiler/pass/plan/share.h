/* share: kernels that differ in whole numbers alone become one, which is given them by each step.
 *
 * Of at least MOIRE__SHARE_FEWEST kernels whose texts differ in operands of integer arithmetic, or in
 * addresses, and in nothing else, one is kept; where they differ it reads further named extents, and the steps
 * say what these are (moire_plan_step.constants). So a recurrence that is written out takes the code of a few
 * of its steps, however many there are. Factors, divisors and bounds of loops are not made arguments: code
 * depends on them.
 *
 * Requires: the module's kernels and steps. Ensures: kernels are numbered by the first step that runs them.
 */
#ifndef MOIRE_COMPILER_PASS_PLAN_SHARE_H
#define MOIRE_COMPILER_PASS_PLAN_SHARE_H

#include "compiler/pass/plan/module.h"

enum { MOIRE__SHARE_FEWEST = 4 };

/* Changes `steps` and the module's kernels and texts. */
moire_status moire__share_kernels(moire__module *m, moire_plan_step *steps, int n_steps, moire_error *error);

#endif
