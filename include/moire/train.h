/* A training loop of one's own: a graph becomes a trainer, every call of a step trains it on a batch.
 *
 *   moire_compile_options options = moire_compile_defaults();
 *   options.loss = "loss";
 *   options.training.optimizer = MOIRE_OPTIMIZER_ADAMW;
 *   moire_train *train = moire_train_create(graph, &options, 1, 2, &error);
 *   while (...) moire_train_step(train, (moire_train_input[]){{"x", x, n}, {"y", y, n}}, 2, &loss, &error);
 *   moire_train_destroy(train);
 *
 * The scalars of the optimizer and the counters of random masks are computed here, from the seed and the number
 * of the batch alone. docs/examples/train/train_loop.c is a whole program. */
#ifndef MOIRE_TRAIN_H
#define MOIRE_TRAIN_H

#include "moire/compile.h"
#include "moire/run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct moire_train moire_train;

/* An input of the graph; `elements` of its type, a complex one is a pair of f32. */
typedef struct moire_train_input {
  const char *name;
  const void *data;
  int64_t elements;
} moire_train_input;

/* Compiles the step and draws the first values of the states from `seed`; `threads` compile and run. The graph
 * is only read and may be destroyed afterwards. options->loss names the loss, which becomes an output if it is
 * none; options->training the optimizer. Owned, NULL with a sentence. */
moire_train *moire_train_create(const moire_graph *graph, const moire_compile_options *options, uint64_t seed,
                                int threads, moire_error *error);
void moire_train_destroy(moire_train *train); /* NULL is fine */

/* One batch: with training.accumulate = n, every n-th makes a step of the optimizer. Named extents follow from
 * the inputs' elements, which must agree. *loss, which may be NULL, is the loss of this batch, before the step.
 * The data are borrowed during the call. */
moire_status moire_train_step(moire_train *train, const moire_train_input *inputs, int n, double *loss,
                              moire_error *error);

/* For an extent that the inputs do not tell, such as both of one input's [B, T]: its size from here on. */
moire_status moire_train_set_extent(moire_train *train, const char *name, int64_t size, moire_error *error);

/* Batches so far; set it to go on with states that were saved after as many. */
int64_t moire_train_batches(const moire_train *train);
void moire_train_set_batches(moire_train *train, int64_t batches);
/* The states: parameters, and the optimizer's (moire_optimizer_owns). Borrowed. */
moire_store *moire_train_store(moire_train *train);
/* For other outputs of the last batch. Borrowed. */
moire_runner *moire_train_runner(moire_train *train);

#ifdef __cplusplus
}
#endif
#endif
