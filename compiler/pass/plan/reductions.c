/* What reductions are made of, and in which parts long sums are taken.
 *
 * A sum of n numbers of one size, taken one by one, may be off by n/2 units in the last place. So long ones are
 * sums of sums of parts, whose sizes are fixed: results depend on shapes alone.
 */
#include "compiler/pass/plan/lower_private.h"

const int64_t moire__sum_parts[MOIRE__SUM_LEVELS] = {1024, 65536};

bool moire__is_long_sum(moire_dim columns) {
  return !moire__dim_is_static(columns) || columns > moire__sum_parts[MOIRE__SUM_LEVELS - 1];
}

moire__reduction moire__reduction_of(const moire__node *node) {
  if (node->op == MOIRE__OP_sum) return (moire__reduction){MOIRE__LOOP_add, 0};
  if (node->op == MOIRE__OP_reduce_prod) return (moire__reduction){MOIRE__LOOP_mul, 1};
  return (moire__reduction){MOIRE__LOOP_max, -__builtin_inf()};
}
