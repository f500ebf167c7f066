/* Looking things up in what goes into a library, for all of its files. */
#include "compiler/driver/ahead.h"
#include "runtime/base/layout.h"

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
