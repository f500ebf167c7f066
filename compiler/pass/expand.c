/* expand: composites become the ops that they are short for.
 *
 * What is left afterwards either has a gradient of its own or never needs one. Composites that are FIXED (adam)
 * stay for decompose: nothing is ever differentiated through them.
 *
 * requires: demand has run, since slices pass through a composite as a whole (attention: queries)
 */
#include "compiler/pass/expansion.h"

static bool is_expanded(const moire__op_info *info) {
  return info->op_class == MOIRE__CLASS_COMPOSITE && !(info->traits & MOIRE__TRAIT_FIXED);
}

moire_graph *moire__pass_expand(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  return moire__expand_chosen(g, goal, is_expanded, error);
}
