/* What the compiler knows of the steps of a program, as parts of a profile's document. */
#ifndef MOIRE_TOOLS_PROFILE_DESCRIBE_H
#define MOIRE_TOOLS_PROFILE_DESCRIBE_H

#include "compiler/pass/module.h"
#include "moire/compile.h"

#include <jansson.h>

/* Adds to `out` what step `step` of the plan is: scope, ops, direction, lines of the model, buffers. */
void tool_profile_describe(const moire__module *module, int step, json_t *out);

/* {"loop", "llvm", "assembly"} of distinct kernel `kernel`; NULL with a sentence. Owned. */
json_t *tool_profile_code(const moire_program *program, int kernel, moire_error *error);

#endif
