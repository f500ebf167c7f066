/* Training on examples: the inputs of a step, and what the loss compares with. */
#include "runtime/aot/packed.h"
#include "runtime/aot/ports.h"
#include "runtime/aot/train.h"

static size_t example_bytes(const moire__aot_plan *plan, int64_t batch) {
  return moire__aot_add_bytes(moire__aot_ports_bytes(moire__aot_examples, moire__aot_n_examples, batch), 1,
                              moire__aot_packed_bytes(plan, batch));
}

static void feed_examples(moire__aot_run *run, const void *from, int64_t batch, unsigned char *memory) {
  moire__aot_feed_ports(run, moire__aot_examples, moire__aot_n_examples, from, 0, batch, memory);
  moire__aot_pack(run, batch,
                  memory + moire__aot_ports_bytes(moire__aot_examples, moire__aot_n_examples, batch));
}

/* Positions of the whole batch are numbered by 32 bits. */
static bool can_train_on(const moire__aot_level *level, int64_t batch) {
  int64_t length = level->step.length > level->loss.length ? level->step.length : level->loss.length;
  return moire__aot_batch_is_good(batch) && (!length || batch <= INT32_MAX / length);
}

static library_status check_examples(const moire__aot_training *c) {
  if (!c->state || !c->workspace) return LIBRARY_ERROR_NULL;
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level) return LIBRARY_ERROR_CPU;
  if (!can_train_on(level, c->batch)) return LIBRARY_ERROR_BATCH;
  library_status status = moire__aot_check_ports(moire__aot_examples, moire__aot_n_examples, c->from, c->batch);
  return status ? status : moire__aot_check_threads(c->workspace);
}

size_t library_training_bytes(int64_t batch) {
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  const moire__aot_training c = {.batch = batch, .feed_bytes = example_bytes};
  return level && can_train_on(level, batch) ? moire__aot_training_bytes(&c, level) : 0;
}

library_status library_step(library_state *state, library_workspace *workspace, int64_t n,
                            const library_examples *examples, uint64_t seed, int64_t step, float *loss) {
  const moire__aot_training c = {state, workspace, n, examples, example_bytes, feed_examples};
  library_status status = check_examples(&c);
  return status ? status : moire__aot_train(&c, seed, step, loss);
}

library_status library_loss(library_state *state, library_workspace *workspace, int64_t n,
                            const library_examples *examples, float *loss) {
  const moire__aot_training c = {state, workspace, n, examples, example_bytes, feed_examples};
  if (!loss) return LIBRARY_ERROR_NULL;
  library_status status = check_examples(&c);
  return status ? status : moire__aot_find_loss(&c, loss);
}
