/* Item coders ahead of time: the plan `restore` beside the one that encodes.
 *
 * Both read one block of constants. `restore` does nothing ahead: it reads states as they are, so that those
 * which the encoding plan reads too lie in the block once.
 */
#include "compiler/driver/ahead.h"
#include "runtime/base/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_matrix(const moire_plan_buffer *b, moire_dtype dtype) {
  return b && b->dtype == dtype && b->shape.rank == 2 && moire__dim_extent(b->shape.dims[0]) == 1;
}

static moire_status refuse(const moire_plan *plan, const char *wanted, moire_error *error) {
  return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the graph %s: wanted the %s", plan->name, wanted);
}

/* How many codes level l has: rows of its codebook. */
static int64_t codes_of(const moire_plan *plan, int l) {
  char name[64];
  snprintf(name, sizeof name, "quantizers.%d.embedding", l);
  for (int i = 0; i < plan->n_states; i++) {
    if (!strcmp(plan->states[i].name, name) && plan->states[i].shape.rank == 2)
      return plan->states[i].shape.dims[0];
  }
  return 0;
}

moire_status moire__ahead_check_coder(moire__ahead *a, moire_error *error) {
  const moire_plan *encode = &a->levels[0].scores->plan, *restore = &a->levels[0].restore->plan;
  if (a->model->training || !a->model->weights)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                      "%s codes items: its library has weights, and does not train", a->model->name);
  const moire_plan_buffer *x = moire__ahead_find_buffer(encode, MOIRE_PLAN_INPUT, "features");
  const moire_plan_buffer *codes = moire__ahead_find_buffer(encode, MOIRE_PLAN_OUTPUT, "codes");
  const moire_plan_buffer *ids = moire__ahead_find_buffer(restore, MOIRE_PLAN_INPUT, "ids");
  const moire_plan_buffer *y = moire__ahead_find_buffer(restore, MOIRE_PLAN_OUTPUT, "restored");
  if (!is_matrix(x, MOIRE_F32)) return refuse(encode, "input features f32[B, F]", error);
  if (!is_matrix(codes, MOIRE_I32)) return refuse(encode, "output codes i32[B, levels]", error);
  if (!is_matrix(ids, MOIRE_I32) || ids->shape.dims[1] != codes->shape.dims[1])
    return refuse(restore, "input ids i32[B, levels]", error);
  if (!is_matrix(y, MOIRE_F32) || y->shape.dims[1] != x->shape.dims[1])
    return refuse(restore, "output restored f32[B, F]", error);
  a->features = moire__dim_factor(x->shape.dims[1]);
  a->n_codes = (int)moire__dim_factor(codes->shape.dims[1]);
  a->codes = moire__arena_array(&a->arena, (size_t)a->n_codes + 1, sizeof *a->codes);
  for (int l = 0; l < a->n_codes; l++) {
    a->codes[l] = codes_of(encode, l);
    if (!a->codes[l]) return refuse(encode, "states quantizers.<level>.embedding", error);
  }
  return MOIRE_OK;
}

int64_t moire__ahead_place_constant(moire__ahead_level *level, const moire_plan_buffer *state) {
  const moire_plan *encode = &level->scores->plan;
  const moire__ahead_plan *placed = &level->plans[MOIRE__AHEAD_SCORES];
  for (int b = 0; b < encode->n_buffers; b++) {
    const moire_plan_buffer *other = &encode->buffers[b];
    bool is_same = other->role == MOIRE_PLAN_STATE && !strcmp(other->name, state->name);
    if (is_same && placed->buffers[b].place == MOIRE__AHEAD_MODEL && placed->is_constant[b])
      return placed->buffers[b].offset;
  }
  int64_t offset = level->block_bytes;
  level->block_bytes += moire__ahead_bytes(state->dtype, state->elements);
  return offset;
}

moire_status moire__ahead_fold_restore(moire__ahead *a, moire__ahead_level *level, moire_error *error) {
  const moire_plan *plan = &level->restore->plan;
  for (int b = 0; b < plan->n_buffers; b++) {
    const moire_plan_buffer *state = &plan->buffers[b];
    if (state->role != MOIRE_PLAN_STATE) continue;
    const moire_ahead_weight *weight = moire__ahead_find_weight(a, state->name);
    int64_t elements = moire__dim_factor(state->elements);
    if (!weight || weight->elements != elements)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "weight %s: wanted %" PRId64 " elements, but %" PRId64 " were given", state->name,
                        elements, weight ? weight->elements : 0);
    memcpy(level->block + level->plans[MOIRE__AHEAD_RESTORE].buffers[b].offset, weight->data,
           (size_t)elements * moire__dtype_bytes(state->dtype));
  }
  return MOIRE_OK;
}
