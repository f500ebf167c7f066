/* The training step, the validation loss, and models of a state. */
#include "runtime/aot/feed.h"
#include "runtime/aot/model.h"
#include "runtime/aot/state.h"
#include "runtime/aot/workspace.h"
#include "moire/run.h"

#include <stdlib.h>
#include <string.h>

/* What a step reads beside histories: it lies behind their feed, each part from a multiple of 64. */
typedef struct extras {
  int32_t *answers, *rng;
  float *step_size, *bias2;
} extras;

static size_t answer_bytes(int64_t batch) { return ((size_t)batch * sizeof(int32_t) + 63) / 64 * 64; }

static size_t extra_bytes(int64_t batch) { return answer_bytes(batch) + 3 * 64; }

static size_t plan_bytes(const moire__aot_plan *plan, int64_t batch) {
  return moire__aot_feed_bytes(plan, batch) + extra_bytes(batch) + moire__aot_run_bytes(plan, batch) + 63;
}

/* Positions of the whole batch are numbered by 32 bits. */
static int batch_is_good(int64_t batch) {
  return moire__aot_batch_is_good(batch) && batch <= INT32_MAX / LIBRARY_LENGTH;
}

size_t library_training_bytes(int64_t batch) {
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level || !batch_is_good(batch)) return 0;
  size_t step = plan_bytes(&level->step, batch), loss = plan_bytes(&level->loss, batch);
  return step > loss ? step : loss;
}

/* ---- Calls ------------------------------------------------------------------------------------------ */

typedef struct training_call {
  library_state *state;
  library_workspace *workspace;
  int64_t batch;
  const library_lists *histories;
  const int32_t *targets;
} training_call;

static library_status check_call(const training_call *c) {
  if (!c->state || !c->workspace || !c->targets) return LIBRARY_ERROR_NULL;
  if (!batch_is_good(c->batch)) return LIBRARY_ERROR_BATCH;
  library_status status = moire__aot_check_lists(c->histories, c->batch);
  for (int64_t i = 0; i < c->batch && !status; i++) {
    if (c->targets[i] < 1 || c->targets[i] >= LIBRARY_ITEM_SIZE) status = LIBRARY_ERROR_ITEM;
  }
  return status ? status : moire__aot_check_threads(c->workspace);
}

static extras find_extras(const training_call *c, const moire__aot_plan *plan, unsigned char *memory) {
  unsigned char *answers = memory + moire__aot_feed_bytes(plan, c->batch);
  unsigned char *scalars = answers + answer_bytes(c->batch);
  memset(scalars, 0, 3 * 64);
  return (extras){.answers = (int32_t *)(void *)answers,
                  .rng = (int32_t *)(void *)scalars,
                  .step_size = (float *)(void *)(scalars + 64),
                  .bias2 = (float *)(void *)(scalars + 128)};
}

static float run_plan(const training_call *c, const moire__aot_plan *plan, const extras *e,
                      unsigned char *memory) {
  moire__aot_run run = {.plan = plan,
                        .inputs = {[MOIRE__AOT_ANSWERS] = e->answers,
                                   [MOIRE__AOT_RNG] = e->rng,
                                   [MOIRE__AOT_STEP_SIZE] = e->step_size,
                                   [MOIRE__AOT_BIAS2] = e->bias2},
                        .state = c->state->block,
                        .workspace = memory + moire__aot_feed_bytes(plan, c->batch) + extra_bytes(c->batch),
                        .threads = c->workspace->threads,
                        .run = c->workspace->run,
                        .context = c->workspace->context,
                        .profile = c->workspace->profile,
                        .profile_context = c->workspace->profile_context};
  float loss = 0;
  memcpy(e->answers, c->targets, (size_t)c->batch * sizeof *e->answers);
  moire__aot_feed(&run, c->histories, 0, c->batch, memory);
  memcpy(&loss, moire__aot_execute(&run), sizeof loss);
  return loss;
}

library_status library_step(library_state *state, library_workspace *workspace, int64_t batch,
                            const library_lists *histories, const int32_t *targets, uint64_t seed, int64_t step,
                            float *loss) {
  training_call c = {state, workspace, batch, histories, targets};
  library_status status = check_call(&c);
  if (status) return status;
  if (step < 0 || step > INT32_MAX) return LIBRARY_ERROR_STEP;
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level) return LIBRARY_ERROR_CPU;
  unsigned char *memory = NULL;
  status = moire__aot_reserve(workspace, plan_bytes(&level->step, batch), &memory);
  if (status) return status;
  extras e = find_extras(&c, &level->step, memory);
  double step_size = 0, bias2 = 0;
  moire_optimizer_scalars(MOIRE__AOT_TABLES.lr, MOIRE__AOT_TABLES.beta1, MOIRE__AOT_TABLES.beta2, step + 1,
                          &step_size, &bias2);
  *e.step_size = (float)step_size;
  *e.bias2 = (float)bias2;
  e.rng[0] = (int32_t)(uint32_t)seed;
  e.rng[1] = (int32_t)(uint32_t)(seed >> 32);
  e.rng[2] = (int32_t)step;
  float value = run_plan(&c, &level->step, &e, memory);
  if (loss) *loss = value;
  return LIBRARY_OK;
}

library_status library_loss(library_state *state, library_workspace *workspace, int64_t batch,
                            const library_lists *histories, const int32_t *targets, float *loss) {
  training_call c = {state, workspace, batch, histories, targets};
  if (!loss) return LIBRARY_ERROR_NULL;
  library_status status = check_call(&c);
  if (status) return status;
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level) return LIBRARY_ERROR_CPU;
  unsigned char *memory = NULL;
  status = moire__aot_reserve(workspace, plan_bytes(&level->loss, batch), &memory);
  if (status) return status;
  extras e = find_extras(&c, &level->loss, memory);
  *loss = run_plan(&c, &level->loss, &e, memory);
  return LIBRARY_OK;
}

library_status library_freeze(library_state *state, library_model **model) {
  if (!state || !model) return LIBRARY_ERROR_NULL;
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level) return LIBRARY_ERROR_CPU;
  library_model *made = *model ? *model : calloc(1, sizeof *made);
  size_t bytes = (size_t)level->prepare_bytes + moire__aot_run_bytes(&level->prepare, 1) + 63;
  if (made && !made->memory) made->memory = malloc(bytes);
  if (!made || !made->memory) {
    if (made != *model) free(made);
    return LIBRARY_ERROR_MEMORY;
  }
  unsigned char *block = made->memory;
  block += (64 - (uintptr_t)block % 64) % 64;
  moire__aot_run run = {.plan = &level->prepare,
                        .extents = {1, 1, 1},
                        .model = block,
                        .state = state->block,
                        .workspace = block + level->prepare_bytes,
                        .threads = 1};
  moire__aot_execute(&run);
  made->block = block;
  *model = made;
  return LIBRARY_OK;
}
