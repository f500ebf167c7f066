/* What the rules of simplify make: constants of the type of the node that they stand for. */
#include "compiler/pass/simplify/simplify.h"

moire_value moire__simplify_make(const moire__simplify *s, const moire__node *like, double value) {
  moire__attr attrs[4];
  int n = 0;
  attrs[n++] = moire__attr_make_real("value", value);
  const moire__attr *per = like ? moire__node_attr(like, "per") : NULL;
  if (per) attrs[n++] = *per;
  attrs[n++] = moire__attr_make_int("dtype", s->dtype);
  attrs[n++] = moire__attr_make_dims("shape", &s->shape);
  return moire__graph_emit(s->g, s->node->source, MOIRE__OP_constant, NULL, 0, attrs, n);
}
