/* What sequential recommenders share: the two inputs, embeddings, plain layers, logits and loss.
 *
 *   static void build(moire_graph *g, const moire_config *config) {
 *     moire__sequential m = moire__sequential_begin(g, config);
 *     moire_value x = moire__sequential_embed(&m, 2);
 *     ...                                                       // layers, each of them an output
 *     moire__sequential_finish(&m, x, penalty);
 *   }
 *
 * Parameters get the names of the published PyTorch state dicts: those below, behind the scope that is open.
 */
#ifndef MOIRE_MODELS_SEQUENTIAL_H
#define MOIRE_MODELS_SEQUENTIAL_H

#include "moire/graph.h"
#include "moire/model.h"

enum { MOIRE__MOST_BANDS = 32 };

typedef struct moire__sequential {
  moire_graph *g;
  const moire_config *config;    /* borrows */
  moire_dim b;                   /* batch */
  int64_t length, width, layers; /* L, D, blocks */
  double dropout;                /* of embeddings and outputs */
  moire_init weights;            /* of linear layers and embeddings */
  moire_value ids;               /* i32[B, L] */
  moire_value answers;           /* i32[B] */
  moire_value items;             /* f32[item_size, D] */
} moire__sequential;

/* Declares inputs and item embeddings. */
moire__sequential moire__sequential_begin(moire_graph *g, const moire_config *config);

/* f32[B, L, D]: item + position; then, `times` over, LayerNorm and dropout by the same parameters. */
moire_value moire__sequential_embed(const moire__sequential *m, int times);

/* "layers.<i>" is what layer i returns. */
void moire__sequential_output(const moire__sequential *m, int i, moire_value x);

/* The outputs "query", the last position, "logits", its products with all items, and "loss": the mean of what
 * the key `loss` says (in inference cross entropy over all items), plus `penalty` unless it is null. */
void moire__sequential_finish(const moire__sequential *m, moire_value x, moire_value penalty);

/* ---- layers ------------------------------------------------------------------------------------------------
 */

moire_value moire__sequential_zeros(const moire__sequential *m, const char *name, moire_shape shape);
/* x W^T + b: "<name>.weight" [out, in] and, with a bias, "<name>.bias" [out]. */
moire_value moire__sequential_linear(const moire__sequential *m, const char *name, moire_value x, int64_t out);
moire_value moire__sequential_project(const moire__sequential *m, const char *name, moire_value x, int64_t out);
/* LayerNorm over D: "<name>.weight" and "<name>.bias". */
moire_value moire__sequential_norm(const moire__sequential *m, const char *name, moire_value x);
/* LayerNorm(x + dropout(dense_2(gelu(dense_1(x))))); the norm's parameters are called `norm`. */
moire_value moire__sequential_feed_forward(const moire__sequential *m, const char *norm, moire_value x,
                                           int64_t inner);

/* The bands of the configuration, seen by all channels together: z = u + iv, c64[B, L, S], from the parameters
 * "real_convs.<s>.weight" and "imag_convs.<s>.weight". */
moire_value moire__sequential_bands(const moire__sequential *m, moire_value x);
int moire__sequential_band_count(const moire__sequential *m); /* S */

/* Heads divide the width, and bands have a kernel size and a dilation each. */
moire_status moire__sequential_check(const moire_config *config, moire_error *error);

#endif
