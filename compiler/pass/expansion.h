/* Ops that become other ops: what expand and decompose share. */
#ifndef MOIRE_COMPILER_PASS_EXPANSION_H
#define MOIRE_COMPILER_PASS_EXPANSION_H

#include "compiler/pass/walk.h"

/* Replaces every op that `chosen` accepts by its expansion, and those that appear in expansions too. New nodes
 * carry the source and the scope of the op that they stand for. */
moire_graph *moire__expand_chosen(const moire_graph *g, const moire__goal *goal,
                                  bool (*chosen)(const moire__op_info *info), moire_error *error);

#endif
