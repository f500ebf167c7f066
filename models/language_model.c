/* What language models share. See language_model.h. */
#include "models/language_model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- Inputs ------------------------------------------------------------------------------------------------
 */

/* i32[B, 1] against the columns. */
static moire_value column(const moire__language *m, moire_value x) {
  return moire_reshape(x, MOIRE_SHAPE(m->b, 1));
}

static moire_value zeros(const moire__language *m) {
  return moire_constant(m->g, MOIRE_I32, MOIRE_SHAPE(m->b, m->t), 0);
}

static void begin_rows(moire__language *m) {
  int64_t length = moire_config_int(m->config, "sequence_length");
  m->t = length ? length : moire_extent(m->g, "T");
  m->ids = moire_input(m->g, "input_ids", MOIRE_I32, MOIRE_SHAPE(m->b, m->t));
  m->lengths = moire_input(m->g, "lengths", MOIRE_I32, MOIRE_SHAPE(m->b));
  m->position = moire_iota(m->g, MOIRE_SHAPE(m->t), 0);
  m->valid = moire_less(moire_add(zeros(m), m->position), column(m, m->lengths));
}

static void begin_cached(moire__language *m) {
  m->t = moire_extent(m->g, "T");
  m->s = moire_extent(m->g, "S");
  m->ids = moire_input(m->g, "tokens", MOIRE_I32, MOIRE_SHAPE(m->b, m->t));
  m->lengths = moire_input(m->g, "counts", MOIRE_I32, MOIRE_SHAPE(m->b));
  m->first = moire_input(m->g, "positions", MOIRE_I32, MOIRE_SHAPE(m->b));
  moire_value at = moire_iota(m->g, MOIRE_SHAPE(m->b, m->t), 1);
  m->position = moire_add(at, column(m, m->first));
  m->valid = moire_less(at, column(m, m->lengths));
}

void moire__language_build(moire_graph *g, const moire_config *config, moire__language_forward *forward) {
  bool infers = moire_graph_mode(g) == MOIRE_INFERENCE;
  for (int cached = 0; cached <= infers; cached++) {
    moire__language m = {.g = g,
                         .config = config,
                         .cached = cached != 0,
                         .b = moire_extent(g, "B"),
                         .words = moire_config_int(config, "vocab_size")};
    if (cached) {
      begin_cached(&m);
    } else {
      begin_rows(&m);
    }
    forward(&m);
  }
}

/* ---- Layers ------------------------------------------------------------------------------------------------
 */

moire_value moire__language_linear(const moire__language *m, const char *name, moire_value x, int64_t out) {
  moire_dim in = moire_value_dim(x, -1);
  double bound = 1 / sqrt((double)in);
  moire_scope_push(m->g, "%s", name);
  moire_value weight = moire_parameter(m->g, "weight", MOIRE_SHAPE(out, in), moire_init_uniform(-bound, bound));
  moire_value bias = moire_parameter(m->g, "bias", MOIRE_SHAPE(out), moire_init_uniform(-bound, bound));
  moire_scope_pop(m->g);
  return moire_linear(x, weight, bias);
}

moire_value moire__language_table(const moire__language *m, const char *name, int64_t rows, int64_t width,
                                  moire_init init) {
  moire_scope_push(m->g, "%s", name);
  moire_value table = moire_parameter(m->g, "weight", MOIRE_SHAPE(rows, width), init);
  moire_scope_pop(m->g);
  return table;
}

moire_value moire__language_positions(const moire__language *m, moire_value table) {
  moire_value last = moire_constant(m->g, MOIRE_I32, MOIRE_SCALAR, (double)(moire_value_dim(table, 0) - 1));
  return moire_gather(table, moire_min_of(m->position, last));
}

static const int swap_length_and_heads[] = {0, 2, 1, 3};

moire_value moire__language_split(const moire__language *m, moire_value x, int64_t heads) {
  x = moire_reshape(x, MOIRE_SHAPE(m->b, m->t, heads, moire_value_dim(x, -1) / heads));
  return moire_permute(x, 4, swap_length_and_heads);
}

moire_value moire__language_merge(const moire__language *m, moire_value x) {
  moire_dim width = moire_value_dim(x, 1) * moire_value_dim(x, 3);
  return moire_reshape(moire_permute(x, 4, swap_length_and_heads), MOIRE_SHAPE(m->b, m->t, width));
}

/* ---- Attention ---------------------------------------------------------------------------------------------
 */

/* [B, K, T, d] -> [B, K group, T, d], each head `group` times in a row. */
static moire_value repeat_heads(const moire__language *m, moire_value x, int64_t group) {
  if (group == 1) return x;
  moire_dim heads = moire_value_dim(x, 1), d = moire_value_dim(x, 3);
  x = moire_reshape(x, MOIRE_SHAPE(m->b, heads, 1, m->t, d));
  x = moire_broadcast(x, MOIRE_SHAPE(m->b, heads, group, m->t, d));
  return moire_reshape(x, MOIRE_SHAPE(m->b, heads * group, m->t, d));
}

static moire_value past(const moire__language *m, const char *name, const char *what, moire_value present) {
  char full[96];
  snprintf(full, sizeof full, "present.%s.%s", name, what);
  moire_output(m->g, full, present);
  snprintf(full, sizeof full, "past.%s.%s", name, what);
  moire_shape shape = moire_value_shape(present);
  shape.dims[2] = m->s;
  return moire_input(m->g, full, moire_value_dtype(present), shape);
}

static moire_value attend_cached(const moire__language *m, const char *name, moire_value q, moire_value k,
                                 moire_value v, moire_score score, double scale) {
  moire_value old_k = past(m, name, "key", k), old_v = past(m, name, "value", v);
  moire_attention_options options = {.score = score, .scale = scale};
  return moire_attention_past(q, k, v, old_k, old_v, m->first, options);
}

moire_value moire__language_attend(const moire__language *m, const char *name, moire_value q, moire_value k,
                                   moire_value v, moire_score score, double scale) {
  if (m->cached) return attend_cached(m, name, q, k, v, score, scale);
  int64_t group = moire_value_dim(q, 1) / moire_value_dim(k, 1);
  moire_attention_options causal = {.score = score, .scale = scale, .mask_value = -1e9, .causal = true};
  return moire_attention(q, repeat_heads(m, k, group), repeat_heads(m, v, group), causal);
}

/* ---- Outputs -----------------------------------------------------------------------------------------------
 */

void moire__language_output(const moire__language *m, moire_value x, const char *name, ...) {
  if (m->cached) return;
  char full[64];
  va_list arguments;
  va_start(arguments, name);
  vsnprintf(full, sizeof full, name, arguments);
  va_end(arguments);
  moire_shape shape = moire_value_shape(x);
  moire_shape rows = {.rank = shape.rank, .dims = {m->b, m->t, 1, 1}};
  moire_value valid = moire_broadcast(moire_reshape(m->valid, rows), shape);
  moire_output(m->g, full, moire_where(valid, x, moire_constant(m->g, MOIRE_F32, shape, 0)));
}

/* The row's last token: [B, T, D] -> [B, 1, D], by a sum over positions of which one is not 0. */
static moire_value last_token(const moire__language *m, moire_value x) {
  moire_value one = moire_constant(m->g, MOIRE_I32, MOIRE_SCALAR, 1);
  moire_value at = moire_iota(m->g, MOIRE_SHAPE(m->b, m->t), 1);
  moire_value last = moire_equal(at, column(m, moire_sub(m->lengths, one)));
  moire_shape shape = moire_value_shape(x);
  last = moire_broadcast(moire_reshape(last, MOIRE_SHAPE(m->b, m->t, 1)), shape);
  return moire_sum(moire_where(last, x, moire_constant(m->g, MOIRE_F32, shape, 0)), 1, true);
}

void moire__language_finish(const moire__language *m, moire__language_head head) {
  if (m->cached) {
    moire_value next = moire_linear(last_token(m, head.x), head.weight, head.bias);
    moire_output(m->g, "next", moire_reshape(next, MOIRE_SHAPE(m->b, m->words)));
    return;
  }
  moire_value logits = moire_linear(head.x, head.weight, head.bias);
  moire__language_output(m, logits, "logits");
  moire__language_losses(m, logits, head.state);
}
