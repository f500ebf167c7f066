/* What the compiler knows of the steps of a program, as parts of a profile's document. */
#ifndef MOIRE_COMPILER_PROFILE_DESCRIBE_H
#define MOIRE_COMPILER_PROFILE_DESCRIBE_H

#include "compiler/pass/plan/module.h"
#include "moire/compile.h"
#include "runtime/base/text.h"
#include "compiler/profile/work.h"

#include <jansson.h>

/* How a step's time is divided among the nodes of the fused graph: [n_nodes], their sum is 1. Nodes that its
 * kernel computes or reads through without an instruction of their own have 0, all others -1. */
double *moire__profile_shares(const moire__module *module, const moire__profile_counter *work, int step,
                              moire__arena *arena);

/* "models/qia.c", whatever folder it was compiled from. */
const char *moire__profile_file(const char *file);
const char *moire__profile_phase(moire__phase phase); /* "forward", "backward", "optimizer" */

/* Appends " (models/qia.c:88, 91; backward)": the lines of the model that the kernel of step `step` computes.
 */
void moire__profile_locate(const moire__module *module, int step, moire__text *out);

/* Adds to `out` what step `step` of the plan is: scope, direction, ops, words, lines of the model, buffers. */
void moire__profile_describe(const moire__module *module, int step, const double *shares, json_t *out);

/* What was decided about it: owned. */
json_t *moire__profile_decisions(const moire__module *module, int step);

/* Adds the tables "lines", "scopes" and "operations" to a document with "kernels". `shares` by step; `model`:
 * the graph as it was written, whose lines all appear; NULL: only those that a kernel serves. */
void moire__profile_add_totals(const moire__module *module, double *const *shares, const moire_graph *model,
                               json_t *document);

/* {"loop", "llvm", "assembly"} of distinct kernel `kernel`; NULL with a sentence. Owned. */
json_t *moire__profile_code(const moire_program *program, int kernel, moire_error *error);

#endif
