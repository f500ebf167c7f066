/* What is printed of a profile. */
#ifndef MOIRE_TOOLS_PROFILE_PROFILE_H
#define MOIRE_TOOLS_PROFILE_PROFILE_H

#include "compiler/profile/document.h"

#include <stdio.h>

/* The tables that a terminal shows: what makes 95 % of the time, or all of it. */
void tool_profile_print(const json_t *profile, bool all, FILE *to);

/* What changed from `a` to `b` beyond noise; `all`: also what did not. */
void tool_profile_print_comparison(const json_t *a, const json_t *b, bool all, FILE *to);
json_t *tool_profile_comparison(const json_t *a, const json_t *b); /* owned */

#endif
