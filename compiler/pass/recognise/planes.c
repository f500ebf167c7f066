/* Two planes as one complex value: what unite and recognise write where a network kept them apart. */
#include "compiler/pass/recognise/recognise_private.h"

#include <string.h>

/* Does the same reshape or the same permutation make both values, of values that have one shape? */
static bool turned_alike(const moire_graph *g, const moire__node *a, const moire__node *b) {
  if (a->op != b->op || (a->op != MOIRE__OP_permute && a->op != MOIRE__OP_reshape)) return false;
  const moire__value_info *values = g->values;
  if (!moire__shape_equal(&values[a->operands[0]].shape, &values[b->operands[0]].shape)) return false;
  if (a->op == MOIRE__OP_reshape)
    return moire__shape_equal(&values[a->first_result].shape, &values[b->first_result].shape);
  int n = 0, m = 0;
  const int64_t *x = moire__node_ints(a, "axes", &n), *y = moire__node_ints(b, "axes", &m);
  return n == m && !memcmp(x, y, (size_t)n * sizeof *x);
}

moire_value moire__join_planes(moire_value re, moire_value im) {
  if (moire_value_is_null(re) || moire_value_is_null(im)) return moire_complex(re, im);
  moire_graph *g = re.graph;
  const moire__node *a = moire__node_of(g, re.id), *b = moire__node_of(g, im.id);
  if (a->op == MOIRE__OP_real && b->op == MOIRE__OP_imag && a->operands[0] == b->operands[0])
    return moire__value(g, a->operands[0]);
  if (!turned_alike(g, a, b)) return moire_complex(re, im);
  moire_shape shape = moire_value_shape(re);
  int axes[MOIRE_MAX_RANK], n = 0;
  const int64_t *turn = a->op == MOIRE__OP_permute ? moire__node_ints(a, "axes", &n) : NULL;
  for (int i = 0; i < n; i++) axes[i] = (int)turn[i];
  moire_value z = moire__join_planes(moire__value(g, a->operands[0]), moire__value(g, b->operands[0]));
  return turn ? moire_permute(z, n, axes) : moire_reshape(z, shape);
}
