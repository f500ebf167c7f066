/* The table of a kernel's values. Constants and extents are values without a statement, shared through a small
 * hash table in the kernel, and visible everywhere.
 */
#include "compiler/ir/loop/loop_private.h"

#include <math.h>
#include <string.h>

moire__loop_value moire__loop_add_value(moire__loop_kernel *k, moire__loop_value_info info) {
  MOIRE__PUSH(k->arena, k->values, k->n_values, k->value_capacity, info);
  return k->n_values - 1;
}

static bool same_constant(const moire__loop_value_info *a, const moire__loop_value_info *b) {
  return a->op == b->op && a->type == b->type && a->integer == b->integer &&
         memcmp(&a->real, &b->real, sizeof a->real) == 0; /* tells -0 from 0, and finds a NaN */
}

moire__loop_value moire__loop_share(moire__loop_kernel *k, moire__loop_value_info info) {
  if (isnan(info.real)) info.real = (double)NAN;
  uint64_t bits;
  memcpy(&bits, &info.real, sizeof bits);
  bits ^= (uint64_t)info.integer + (uint64_t)info.type * 7;
  bits *= 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio: spreads neighbouring integers */
  moire__loop_value *bucket = &k->shared[bits >> 58];
  for (moire__loop_value v = *bucket; v; v = k->values[v].next_shared) {
    if (same_constant(&k->values[v], &info)) return v;
  }
  info.next_shared = *bucket;
  return *bucket = moire__loop_add_value(k, info);
}
