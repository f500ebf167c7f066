/* expand: composites become the ops that they are short for.
 *
 * What is left afterwards either has a gradient of its own or never needs one. Composites that are FIXED (adam)
 * stay for decompose: nothing is ever differentiated through them. A step in two programs needs them in parts,
 * of which one is a sum over the batch (divide).
 *
 * requires: demand has run, since slices pass through a composite as a whole (attention: queries)
 */
#include "compiler/pass/expansion.h"

static bool is_expanded(const moire__op_info *info) {
  return info->op_class == MOIRE__CLASS_COMPOSITE && !(info->traits & MOIRE__TRAIT_FIXED);
}

static bool is_composite(const moire__op_info *info) { return info->op_class == MOIRE__CLASS_COMPOSITE; }

moire_graph *moire__pass_expand(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  return moire__expand_chosen(g, goal, goal->part == MOIRE_PART_WHOLE ? is_expanded : is_composite, error);
}
