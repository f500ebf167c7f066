/* Training a recommender: histories, and the item that follows each. */
#include "runtime/aot/recommend/lists.h"
#include "runtime/aot/train.h"

#include <string.h>

typedef struct examples {
  const library_lists *histories;
  const int32_t *targets;
} examples;

static size_t answer_bytes(int64_t batch) { return ((size_t)batch * sizeof(int32_t) + 63) / 64 * 64; }

static size_t example_bytes(const moire__aot_plan *plan, int64_t batch) {
  return moire__aot_add_bytes(moire__aot_feed_bytes(plan, batch), 1, answer_bytes(batch));
}

static void feed_examples(moire__aot_run *run, const void *from, int64_t batch, unsigned char *memory) {
  const examples *e = from;
  unsigned char *answers = memory + moire__aot_feed_bytes(run->plan, batch);
  memcpy(answers, e->targets, (size_t)batch * sizeof *e->targets);
  run->inputs[MOIRE__AOT_ANSWERS] = answers;
  moire__aot_feed(run, e->histories, 0, batch, memory);
}

/* Positions of the whole batch are numbered by 32 bits. */
static int can_train_on(int64_t batch) {
  return moire__aot_batch_is_good(batch) && batch <= INT32_MAX / LIBRARY_LENGTH;
}

static library_status check_examples(const moire__aot_training *c) {
  const examples *e = c->from;
  if (!c->state || !c->workspace || !e->targets) return LIBRARY_ERROR_NULL;
  if (!can_train_on(c->batch)) return LIBRARY_ERROR_BATCH;
  library_status status = moire__aot_check_lists(e->histories, c->batch);
  for (int64_t i = 0; i < c->batch && !status; i++) {
    if (e->targets[i] < 1 || e->targets[i] >= LIBRARY_ITEM_SIZE) status = LIBRARY_ERROR_ITEM;
  }
  return status ? status : moire__aot_check_threads(c->workspace);
}

size_t library_training_bytes(int64_t batch) {
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  const moire__aot_training c = {.batch = batch, .feed_bytes = example_bytes};
  return level && can_train_on(batch) ? moire__aot_training_bytes(&c, level) : 0;
}

library_status library_step(library_state *state, library_workspace *workspace, int64_t batch,
                            const library_lists *histories, const int32_t *targets, uint64_t seed, int64_t step,
                            float *loss) {
  const examples e = {histories, targets};
  const moire__aot_training c = {state, workspace, batch, &e, example_bytes, feed_examples};
  library_status status = check_examples(&c);
  return status ? status : moire__aot_train(&c, seed, step, loss);
}

library_status library_loss(library_state *state, library_workspace *workspace, int64_t batch,
                            const library_lists *histories, const int32_t *targets, float *loss) {
  const examples e = {histories, targets};
  const moire__aot_training c = {state, workspace, batch, &e, example_bytes, feed_examples};
  if (!loss) return LIBRARY_ERROR_NULL;
  library_status status = check_examples(&c);
  return status ? status : moire__aot_find_loss(&c, loss);
}
