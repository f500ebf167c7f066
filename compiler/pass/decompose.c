/* decompose: rows (softmax, layer_norm, cross_entropy) and the composites still there become primitives.
 *
 * Rows are differentiated as a whole, in closed form; for code generation their primitives are fused again,
 * with whatever stands around them.
 *
 * requires: autodiff has run, if it is going to
 * ensures: no ROW and no COMPOSITE op is left
 */
#include "compiler/pass/expansion.h"

static bool is_decomposed(const moire__op_info *info) {
  return info->op_class == MOIRE__CLASS_ROW || info->op_class == MOIRE__CLASS_COMPOSITE;
}

moire_graph *moire__pass_decompose(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  return moire__expand_chosen(g, goal, is_decomposed, error);
}
