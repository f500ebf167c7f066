/* Looking things up in what goes into a library, for all of its files. */
#include "compiler/driver/ahead/ahead.h"
#include "runtime/base/layout.h"

#include <inttypes.h>
#include <string.h>

int64_t moire__ahead_bytes(moire_dtype dtype, moire_dim elements) {
  int64_t bytes = moire__dim_factor(elements) * (int64_t)moire__dtype_bytes(dtype);
  return (bytes + 63) / 64 * 64;
}

const moire_ahead_weight *moire__ahead_find_weight(const moire__ahead *a, const char *name) {
  for (int i = 0; i < a->model->n_weights; i++) {
    if (!strcmp(a->model->weights[i].name, name)) return &a->model->weights[i];
  }
  return NULL;
}

const moire_plan_buffer *moire__ahead_find_buffer(const moire_plan *plan, moire_plan_role role,
                                                  const char *name) {
  for (int i = 0; i < plan->n_buffers; i++) {
    if (plan->buffers[i].role == role && !strcmp(plan->buffers[i].name, name)) return &plan->buffers[i];
  }
  return NULL;
}

const moire__node *moire__ahead_input_behind(const moire_graph *g, int32_t value) {
  const moire__node *node = moire__node_of(g, value);
  while (node->op == MOIRE__OP_reshape || node->op == MOIRE__OP_permute || node->op == MOIRE__OP_broadcast ||
         node->op == MOIRE__OP_stop_gradient)
    node = moire__node_of(g, node->operands[0]);
  return node->op == MOIRE__OP_input ? node : NULL;
}

bool moire__ahead_is_matrix(const moire_plan_buffer *b, moire_dtype dtype) {
  return b && b->dtype == dtype && b->shape.rank == 2 && moire__dim_extents(b->shape.dims[0]) == 1;
}

moire_status moire__ahead_need_weight(const moire__ahead *a, const moire_plan_buffer *state, const void **data,
                                      moire_error *error) {
  const moire_ahead_weight *weight = moire__ahead_find_weight(a, state->name);
  int64_t elements = moire__dim_factor(state->elements);
  if (!weight || weight->elements != elements)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "weight %s: wanted %" PRId64 " elements, but %" PRId64 " were given", state->name,
                      elements, weight ? weight->elements : 0);
  *data = weight->data;
  return MOIRE_OK;
}

void moire__ahead_add_fact(moire__ahead *a, const char *name, int64_t number) {
  if (a->n_facts < MOIRE__AHEAD_MOST_FACTS) a->facts[a->n_facts++] = (moire__ahead_fact){name, number};
}
