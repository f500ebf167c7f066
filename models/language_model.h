/* What language models share: inputs, positions, attention with and without a cache, losses, what is reported.
 *
 *   static void forward(moire__language *m) { ... moire__language_finish(m, head); }
 *   static void build(moire_graph *g, const moire_config *config) {
 *     moire__language_build(g, config, width_of_caches, forward);
 *   }
 *
 * `forward` is called twice in inference. The first graph reads whole rows, input_ids i32[B, T]; the second
 * continues rows, tokens i32[B, T] behind `positions` of them, whose keys and values are inputs:
 *
 *   past.NAME f32[B, H, S, d]    what was handed out before, of rows 0 ... positions[b] - 1 (more are not read)
 *   present.NAME f32[B, H, T, d] the same of these tokens
 *   next f32[B, V]               logits behind the last of counts[b] tokens
 */
#ifndef MOIRE_MODELS_LANGUAGE_MODEL_H
#define MOIRE_MODELS_LANGUAGE_MODEL_H

#include "moire/graph.h"
#include "moire/model.h"

typedef struct moire__language {
  moire_graph *g;
  const moire_config *config; /* borrows */
  bool cached;                /* rows are continued */
  moire_dim b, t, s;          /* rows, positions at hand, positions in the cache (of `cached` alone) */
  int64_t words;              /* V */
  moire_value ids;            /* i32[B, T] */
  moire_value lengths;        /* i32[B]: how many of a row's positions are tokens */
  moire_value first;          /* i32[B], of `cached` alone: how many came before */
  moire_value position;       /* i32[T], or i32[B, T] of `cached` */
  moire_value valid;          /* bool[B, T]: position < length */
} moire__language;

typedef void moire__language_forward(moire__language *m);
void moire__language_build(moire_graph *g, const moire_config *config, moire__language_forward *forward);

/* ---- layers: parameters start as PyTorch's do, weights and biases within 1 / sqrt(in) -----------------------
 */

moire_value moire__language_linear(const moire__language *m, const char *name, moire_value x, int64_t out);
/* "<name>.weight" f32[rows, width]. */
moire_value moire__language_table(const moire__language *m, const char *name, int64_t rows, int64_t width,
                                  moire_init init);
/* Rows of a table of positions, in the shape of m->position; past the table's end the last. */
moire_value moire__language_positions(const moire__language *m, moire_value table);

/* [B, T, heads d] <-> [B, heads, T, d] */
moire_value moire__language_split(const moire__language *m, moire_value x, int64_t heads);
moire_value moire__language_merge(const moire__language *m, moire_value x);

/* Causal attention by head, q [B, H, T, d] on k and v [B, K, T, d], where query head h reads key head
 * h div (H / K); with `cached` also on past.NAME.key and past.NAME.value, and k and v become present.NAME. */
moire_value moire__language_attend(const moire__language *m, const char *name, moire_value q, moire_value k,
                                   moire_value v, moire_score score, double scale);

/* ---- outputs ------------------------------------------------------------------------------------------------
 */

/* An output [B, T, ...] that is 0 where there is no token; of whole rows alone. `name` is printf style. */
void moire__language_output(const moire__language *m, moire_value x, const char *name, ...)
    __attribute__((format(printf, 3, 4)));

/* What the head scores words by: logits = x weight^T + bias, x [B, T, width], weight [V, width], bias or null;
 * and the complex state of the last layer [B, T, D], or null: then the loss has no terms of alignment. */
typedef struct moire__language_head {
  moire_value x, weight, bias, state;
} moire__language_head;

/* Of whole rows: logits, loss and its terms, measures of each position; of continued ones: next. */
void moire__language_finish(const moire__language *m, moire__language_head head);

/* models/language_loss.c: the loss of logits [B, T, V] and its terms, and what training reports. */
void moire__language_losses(const moire__language *m, moire_value logits, moire_value state);
/* |state|, whose gradient is finite at 0: sqrt(re^2 + im^2 + 1e-6). */
moire_value moire__language_magnitude(moire_value state);

/* Two losses with one curriculum have a start and an end each. */
moire_status moire__language_check(const moire_config *config, moire_error *error);

#endif
