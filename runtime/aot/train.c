/* The training step, the validation loss, and models of a state. See train.h. */
#include "runtime/aot/train.h"
#include "runtime/aot/model.h"

#include <stdlib.h>
#include <string.h>

/* What a plan reads beside the interface's inputs: it lies behind them, each part from a multiple of 64. */
typedef struct scalars {
  int32_t *rng;
  float *optimizer;
} scalars;

enum { SCALAR_BYTES = 64 + (MOIRE_MOST_OPTIMIZER_SCALARS * (int)sizeof(float) + 63) / 64 * 64 };

static size_t plan_bytes(const moire__aot_training *c, const moire__aot_plan *plan) {
  size_t bytes = moire__aot_add_bytes(c->feed_bytes(plan, c->batch), 1, SCALAR_BYTES + 63);
  return moire__aot_add_bytes(bytes, 1, moire__aot_run_bytes(plan, c->batch));
}

static size_t moire__aot_training_bytes(const moire__aot_training *c, const moire__aot_level *level) {
  size_t step = plan_bytes(c, &level->step), loss = plan_bytes(c, &level->loss);
  return step > loss ? step : loss;
}

static scalars find_scalars(const moire__aot_training *c, const moire__aot_plan *plan, unsigned char *memory) {
  unsigned char *at = memory + c->feed_bytes(plan, c->batch);
  memset(at, 0, SCALAR_BYTES);
  return (scalars){.rng = (int32_t *)(void *)at, .optimizer = (float *)(void *)(at + 64)};
}

static float run_plan(const moire__aot_training *c, const moire__aot_plan *plan, const scalars *s,
                      unsigned char *memory) {
  moire__aot_run run = {.plan = plan,
                        .inputs = {[MOIRE__AOT_RNG] = s->rng, [MOIRE__AOT_SCALARS] = s->optimizer},
                        .state = c->state->block,
                        .workspace = memory + c->feed_bytes(plan, c->batch) + SCALAR_BYTES,
                        .threads = c->workspace->threads,
                        .run = c->workspace->run,
                        .context = c->workspace->context,
                        .profile = c->workspace->profile,
                        .profile_context = c->workspace->profile_context};
  float loss = 0;
  c->feed(&run, c->from, c->batch, memory);
  moire__aot_execute(&run);
  memcpy(&loss, moire__aot_output(&run, 0), sizeof loss);
  return loss;
}

static library_status moire__aot_train(const moire__aot_training *c, uint64_t seed, int64_t step, float *loss) {
  if (step < 0 || step > INT32_MAX) return LIBRARY_ERROR_STEP;
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level) return LIBRARY_ERROR_CPU;
  unsigned char *memory = NULL;
  library_status status = moire__aot_reserve(c->workspace, plan_bytes(c, &level->step), &memory);
  if (status) return status;
  scalars s = find_scalars(c, &level->step, memory);
  moire_batch_place place = moire_batch_place_at(step, MOIRE__AOT_TABLES.training->accumulate);
  moire_optimizer_scalars_f32(MOIRE__AOT_TABLES.training, &place, s.optimizer);
  s.rng[0] = (int32_t)(uint32_t)seed;
  s.rng[1] = (int32_t)(uint32_t)(seed >> 32);
  s.rng[2] = (int32_t)step;
  float value = run_plan(c, &level->step, &s, memory);
  if (loss) *loss = value;
  return LIBRARY_OK;
}

static library_status moire__aot_find_loss(const moire__aot_training *c, float *loss) {
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level) return LIBRARY_ERROR_CPU;
  unsigned char *memory = NULL;
  library_status status = moire__aot_reserve(c->workspace, plan_bytes(c, &level->loss), &memory);
  if (status) return status;
  scalars s = find_scalars(c, &level->loss, memory);
  *loss = run_plan(c, &level->loss, &s, memory);
  return LIBRARY_OK;
}

library_status library_freeze(library_state *state, library_model **model) {
  if (!state || !model) return LIBRARY_ERROR_NULL;
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level) return LIBRARY_ERROR_CPU;
  library_model *made = *model ? *model : calloc(1, sizeof *made);
  size_t bytes = 0;
  for (int p = 0; p < MOIRE__AOT_MOST_SERVED; p++) {
    size_t own = moire__aot_run_bytes(&level->prepare[p], 1);
    bytes = own > bytes ? own : bytes;
  }
  bytes += (size_t)level->prepare_bytes + 63;
  if (made && !made->memory) made->memory = malloc(bytes);
  if (!made || !made->memory) {
    if (made != *model) free(made);
    return LIBRARY_ERROR_MEMORY;
  }
  unsigned char *block = made->memory;
  block += (64 - (uintptr_t)block % 64) % 64;
  for (int p = 0; p < MOIRE__AOT_MOST_SERVED; p++) {
    moire__aot_run run = {.plan = &level->prepare[p],
                          .extents = {1, 1, 1},
                          .model = block,
                          .state = state->block,
                          .workspace = block + level->prepare_bytes,
                          .threads = 1};
    moire__aot_execute(&run);
  }
  made->block = block;
  *model = made;
  return LIBRARY_OK;
}
