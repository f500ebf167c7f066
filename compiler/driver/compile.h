/* What the files of the driver share: from public options to a goal, and a module. */
#ifndef MOIRE_COMPILER_DRIVER_COMPILE_H
#define MOIRE_COMPILER_DRIVER_COMPILE_H

#include "compiler/pass/module.h"
#include "compiler/pass/pass.h"
#include "moire/compile.h"

moire__goal moire__goal_from_options(const moire_compile_options *options);

#endif
