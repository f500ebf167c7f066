/* Training on a whole batch at once: what the interfaces share. An interface says how its call becomes the
 * inputs of a plan; the optimizer's numbers and the random counters are given here. */
#ifndef MOIRE_RUNTIME_AOT_TRAIN_H
#define MOIRE_RUNTIME_AOT_TRAIN_H

#include "runtime/aot/execute.h"
#include "runtime/aot/state.h"
#include "runtime/aot/workspace.h"

/* A call; its arguments have been checked. */
typedef struct moire__aot_training {
  library_state *state;
  library_workspace *workspace;
  int64_t batch;
  const void *from; /* what the interface was given */
  /* Bytes of the memory for the inputs of the plan, a multiple of 64. */
  size_t (*feed_bytes)(const moire__aot_plan *plan, int64_t batch);
  /* Sets the extents and the inputs of run->plan; they lie in `memory`, which is aligned to 64 bytes. */
  void (*feed)(moire__aot_run *run, const void *from, int64_t batch, unsigned char *memory);
} moire__aot_training;

/* Bytes of the workspace for a step or the loss. */
static size_t moire__aot_training_bytes(const moire__aot_training *call, const moire__aot_level *level);
/* `loss` may be NULL. */
static library_status moire__aot_train(const moire__aot_training *call, uint64_t seed, int64_t step,
                                       float *loss);
static library_status moire__aot_find_loss(const moire__aot_training *call, float *loss);

#endif
