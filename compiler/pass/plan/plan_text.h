/* Plans as text, for who has no plan at hand. */
#ifndef MOIRE_COMPILER_PASS_PLAN_PLAN_TEXT_H
#define MOIRE_COMPILER_PASS_PLAN_PLAN_TEXT_H

#include "moire/status.h"
#include "runtime/base/text.h"

/* Reads a plan's text and appends what printing it gives; `out` is as before on failure. */
moire_status moire__plan_reprint(const char *text, const char *file, moire__text *out, moire_error *error);

#endif
