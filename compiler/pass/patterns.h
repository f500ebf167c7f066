/* Patterns of parameters' names, as options of training have them. */
#ifndef MOIRE_COMPILER_PASS_PATTERNS_H
#define MOIRE_COMPILER_PASS_PATTERNS_H

#include "compiler/ir/graph/graph.h"

/* Whether one of the patterns is the whole name: `*` stands for any characters, `?` for one, `[abc]` for one of
 * those. */
bool moire__patterns_match(const char *const *patterns, int n, const char *name);

/* A pattern that matches none of the graph's parameters is an error; `place` says where it stands. */
moire_status moire__patterns_check(const moire_graph *g, const char *const *patterns, int n, const char *place,
                                   moire_error *error);

#endif
