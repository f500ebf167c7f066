/* What the files of the driver share: from public options to a goal, and a module. */
#ifndef MOIRE_COMPILER_DRIVER_COMPILE_H
#define MOIRE_COMPILER_DRIVER_COMPILE_H

#include "compiler/codegen/codegen.h"
#include "compiler/pass/plan/module.h"
#include "compiler/pass/pass.h"
#include "moire/compile.h"

/* Of the graph's meaning; and with what the target decides of the form in which it is computed. options->target
 * is not read. */
moire__goal moire__goal_from_options(const moire_compile_options *options);
moire__goal moire__goal_for_target(const moire_compile_options *options, const moire__target *target);

/* All passes, then loop nests and plan: what there is before code. Owned, NULL with a sentence. options->target
 * is not read. */
moire__module *moire__driver_lower(const moire_graph *graph, const moire_compile_options *options,
                                   const moire__target *target, moire_error *error);

/* What a program was made of, borrowed from it; NULL unless it was compiled with keep_kernels. */
const moire__module *moire__program_module(const moire_program *program);
/* What its code was generated for. */
const moire__target *moire__program_target(const moire_program *program);

#endif
