/* QIA as PyTorch spells it is compiled to what models/qia.c is: its complex numbers kept as two planes, filters
 * over channels first that are added up band by band, ids of 64 bits, a mask of products and casts, positions
 * that are looked up. Padding is left out of it, its program has as many steps, and from the same weights loss
 * and gradients are those of models/qia.c, for batches with empty, full and ragged samples. With dropout they
 * are those of the interpreter, which runs it as it is written. */
#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/files/config.h"
#include "tests/support/machine.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ITEMS = 30, LENGTH = 11, WIDTH = 12, HEADS = 2, INNER = 20, LAYERS = 2, BANDS = 2, MOST = 9 };
static const int64_t taps[BANDS] = {3, 5}, dilations[BANDS] = {1, 2};

/* ---- the spelling -----------------------------------------------------------------------------------------
 */

typedef struct planes {
  moire_value re, im;
} planes;

typedef struct spelled {
  moire_graph *g;
  moire_dim b;
  moire_value ids, mask; /* mask: f32[B, 1, L, L] */
  double dropout;
} spelled;

static const int heads_first[] = {0, 2, 1, 3};

static moire_value weight(const spelled *s, const char *name, moire_shape shape) {
  return moire_parameter(s->g, name, shape, moire_init_normal(0, 0.3));
}

static moire_value linear(const spelled *s, const char *name, moire_value x, int64_t in, int64_t out) {
  moire_scope_push(s->g, "%s", name);
  moire_value w = weight(s, "weight", MOIRE_SHAPE(out, in));
  moire_value y = moire_linear(x, w, weight(s, "bias", MOIRE_SHAPE(out)));
  moire_scope_pop(s->g);
  return y;
}

/* fc_r(x) - fc_i(y) and fc_r(y) + fc_i(x) */
static planes complex_linear(const spelled *s, const char *name, planes x, int64_t in, int64_t out) {
  moire_scope_push(s->g, "%s", name);
  planes y = {moire_sub(linear(s, "fc_r", x.re, in, out), linear(s, "fc_i", x.im, in, out)),
              moire_add(linear(s, "fc_r", x.im, in, out), linear(s, "fc_i", x.re, in, out))};
  moire_scope_pop(s->g);
  return y;
}

static moire_value norm(const spelled *s, const char *name, moire_value x) {
  moire_scope_push(s->g, "%s", name);
  moire_value gain = moire_parameter(s->g, "weight", MOIRE_SHAPE(WIDTH), moire_init_constant(1));
  moire_value y = moire_layer_norm(
      x, gain, moire_parameter(s->g, "bias", MOIRE_SHAPE(WIDTH), moire_init_constant(0)), 1e-12);
  moire_scope_pop(s->g);
  return y;
}

static moire_value dropped(const spelled *s, moire_value x) {
  return s->dropout > 0 ? moire_dropout(x, s->dropout) : x;
}

static moire_value embedded(const spelled *s) {
  moire_value items = weight(s, "item_embeddings.weight", MOIRE_SHAPE(ITEMS, WIDTH));
  moire_value positions = weight(s, "position_embeddings.weight", MOIRE_SHAPE(LENGTH, WIDTH));
  moire_value counted = moire_cast(moire_iota(s->g, MOIRE_SHAPE(LENGTH), 0), MOIRE_I64);
  moire_value x = moire_add(moire_embedding(items, s->ids, 0), moire_gather(positions, counted));
  for (int i = 0; i < 2; i++) x = dropped(s, norm(s, "LayerNorm", x));
  return x;
}

/* Channels first around every filter; sums that begin at 0. */
static moire_value filtered(const spelled *s, const char *plane, moire_value x) {
  moire_value first = moire_swap_axes(x, 1, 2);
  moire_value sum = moire_constant(s->g, MOIRE_F32, MOIRE_SHAPE(s->b, WIDTH, LENGTH), 0);
  for (int i = 0; i < BANDS; i++) {
    moire_scope_push(s->g, "state_preparator.%s.%d", plane, i);
    moire_value w = weight(s, "weight", MOIRE_SHAPE(WIDTH, 1, taps[i]));
    moire_scope_pop(s->g);
    moire_value y = moire_depthwise_conv(moire_swap_axes(first, 1, 2), w, dilations[i]);
    sum = moire_add(sum, moire_swap_axes(y, 1, 2));
  }
  return moire_swap_axes(sum, 1, 2);
}

/* (1 - seen) -10000, seen = (ids > 0) tril(1) */
static moire_value mask_of(const spelled *s) {
  moire_value zero = moire_constant(s->g, MOIRE_I64, MOIRE_SCALAR, 0);
  moire_value items = moire_reshape(moire_less(zero, s->ids), MOIRE_SHAPE(s->b, 1, 1, LENGTH));
  moire_value query = moire_iota(s->g, MOIRE_SHAPE(LENGTH, 1), 0),
              key = moire_iota(s->g, MOIRE_SHAPE(1, LENGTH), 1);
  moire_value causal = moire_cast(moire_less_equal(key, query), MOIRE_F32);
  moire_value seen = moire_mul(moire_cast(items, MOIRE_F32), causal);
  moire_value one = moire_constant(s->g, MOIRE_F32, MOIRE_SCALAR, 1);
  return moire_scale(moire_sub(one, seen), -10000);
}

static planes split_heads(const spelled *s, planes x) {
  moire_value of[] = {x.re, x.im};
  for (int p = 0; p < 2; p++)
    of[p] =
        moire_permute(moire_reshape(of[p], MOIRE_SHAPE(s->b, LENGTH, HEADS, WIDTH / HEADS)), 4, heads_first);
  return (planes){of[0], of[1]};
}

static moire_value weighed(const spelled *s, moire_value shares, moire_value v) {
  return moire_reshape(moire_permute(moire_matmul(shares, v), 4, heads_first),
                       MOIRE_SHAPE(s->b, LENGTH, WIDTH));
}

static planes attend(const spelled *s, planes x) {
  moire_scope_push(s->g, "attn");
  planes q = split_heads(s, complex_linear(s, "q_proj", x, WIDTH, WIDTH));
  planes k = split_heads(s, complex_linear(s, "k_proj", x, WIDTH, WIDTH));
  planes v = split_heads(s, complex_linear(s, "v_proj", x, WIDTH, WIDTH));
  moire_value re = moire_add(moire_matmul(q.re, moire_swap_axes(k.re, -1, -2)),
                             moire_matmul(q.im, moire_swap_axes(k.im, -1, -2)));
  moire_value im = moire_sub(moire_matmul(q.im, moire_swap_axes(k.re, -1, -2)),
                             moire_matmul(q.re, moire_swap_axes(k.im, -1, -2)));
  moire_value scores = moire_scale(moire_add(moire_mul(re, re), moire_mul(im, im)), (double)HEADS / WIDTH);
  moire_value shares = dropped(s, moire_softmax(moire_add(scores, s->mask)));
  planes state = {weighed(s, shares, v.re), weighed(s, shares, v.im)};
  planes out = complex_linear(s, "out_proj", state, WIDTH, WIDTH);
  moire_scope_pop(s->g);
  return (planes){dropped(s, out.re), dropped(s, out.im)};
}

static planes feed_forward(const spelled *s, planes x) {
  moire_scope_push(s->g, "ffn");
  planes h = complex_linear(s, "fc1", x, WIDTH, INNER);
  planes out = complex_linear(s, "fc2", (planes){moire_gelu(h.re), moire_gelu(h.im)}, INNER, WIDTH);
  moire_scope_pop(s->g);
  return (planes){dropped(s, out.re), dropped(s, out.im)};
}

static planes add_and_norm(const spelled *s, const char *name, planes x, planes y) {
  moire_scope_push(s->g, "%s", name);
  planes z = {norm(s, "ln_r", moire_add(x.re, y.re)), norm(s, "ln_i", moire_add(x.im, y.im))};
  moire_scope_pop(s->g);
  return z;
}

static moire_graph *spell(double dropout) {
  spelled s = {.g = moire_graph_create("qia", MOIRE_TRAINING), .dropout = dropout};
  s.b = moire_extent(s.g, "B");
  s.ids = moire_input(s.g, "input_ids", MOIRE_I64, MOIRE_SHAPE(s.b, LENGTH));
  moire_value answers = moire_input(s.g, "answers", MOIRE_I32, MOIRE_SHAPE(s.b)), x = embedded(&s);
  planes psi = {filtered(&s, "real_convs", x), filtered(&s, "imag_convs", x)};
  s.mask = mask_of(&s);
  for (int i = 0; i < LAYERS; i++) {
    moire_scope_push(s.g, "layers.%d", i);
    psi = add_and_norm(&s, "ln1", psi, attend(&s, psi));
    psi = add_and_norm(&s, "ln2", psi, feed_forward(&s, psi));
    moire_scope_pop(s.g);
  }
  moire_value size = moire_add(moire_mul(psi.re, psi.re), moire_mul(psi.im, psi.im));
  moire_value y = linear(&s, "collapse_proj", moire_sqrt(moire_add_scalar(size, 1e-8)), WIDTH, WIDTH);
  y = moire_reshape(moire_slice(y, 1, LENGTH - 1, 1), MOIRE_SHAPE(s.b, WIDTH));
  moire_value items = weight(&s, "item_embeddings.weight", MOIRE_SHAPE(ITEMS, WIDTH));
  moire_value logits = moire_matmul(y, moire_swap_axes(items, 0, 1));
  moire_output(s.g, "loss", moire_mean_all(moire_cross_entropy(logits, answers)));
  return s.g;
}

/* ---- models/qia.c ------------------------------------------------------------------------------------------
 */

static moire_graph *build_qia(void) {
  moire_error error = {0};
  const moire_model *model = moire_model_find("qia", &error);
  moire__config_table table = {0};
  static const char *const settings[] = {"item_size=30",
                                         "hidden_size=12",
                                         "num_attention_heads=2",
                                         "inner_size=20",
                                         "num_hidden_layers=2",
                                         "max_seq_length=11",
                                         "band_kernel_sizes=[3,5]",
                                         "band_dilations=[1,2]",
                                         "hidden_dropout_prob=0",
                                         "attention_probs_dropout_prob=0"};
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    moire__config_table_set(&table, "test", settings[i], &error);
  moire__config_fields fields = {model->fields, model->n_fields};
  moire_config *config = NULL;
  moire__config_build(&table, "test", &fields, 1, &config, &error);
  cr_assert_eq(error.status, MOIRE_OK, "%s", error.message);
  moire_graph *g = moire_graph_create("qia", MOIRE_TRAINING);
  model->build(g, config);
  moire__config_free(config);
  moire__config_table_free(&table);
  return g;
}

/* ---- comparing ---------------------------------------------------------------------------------------------
 */

static moire_compile_options options_of(unsigned off) {
  static const char *const outputs[] = {"loss"};
  moire_compile_options options = moire_compile_defaults();
  options.outputs = outputs;
  options.n_outputs = 1;
  options.loss = outputs[0];
  options.keep_gradients = true;
  options.off = off;
  return options;
}

static test_machine start(moire_graph *g, unsigned off) {
  moire_compile_options options = options_of(off);
  test_machine m = test_machine_make(g, &options, 2, 5);
  moire_graph_destroy(g);
  return m;
}

typedef struct batch {
  int64_t n, wide[MOST * LENGTH];
  int32_t ids[MOST * LENGTH], answers[MOST];
} batch;

/* Sample b has `filled[b]` items at its end; in the last batch one ends in padding. */
static batch make_batch(int step, int64_t n) {
  static const int filled[] = {3, 0, LENGTH, 1, 7, 0, 10, 2, 5};
  batch b = {.n = n};
  for (int64_t i = 0; i < n * LENGTH; i++) {
    int64_t sample = i / LENGTH, place = i % LENGTH;
    bool item = LENGTH - place <= filled[(sample + step) % MOST] && !(step == 2 && i == n * LENGTH - 1);
    b.ids[i] = item ? (int32_t)(1 + (sample * 11 + place * 5 + step) % (ITEMS - 1)) : 0;
    b.wide[i] = b.ids[i];
    b.answers[sample] = (int32_t)(1 + (sample * 7 + step) % (ITEMS - 1));
  }
  return b;
}

enum { BATCHES = 3, MOST_ELEMENTS = 400 };
static const int64_t sizes[BATCHES] = {MOST, 1, 4};
static const int32_t rng[] = {7, 0, 3};

static void run(const test_machine *m, const batch *b, bool wide) {
  moire_error error = {0};
  const void *ids = wide ? (const void *)b->wide : b->ids;
  moire_runner_set_extent(m->runner, "B", b->n, &error);
  moire_runner_set_input(m->runner, "input_ids", ids, b->n * LENGTH, &error);
  moire_runner_set_input(m->runner, "answers", b->answers, b->n, &error);
  if (moire_runner_has_input(m->runner, "rng")) moire_runner_set_input(m->runner, "rng", rng, 3, &error);
  moire_runner_run(m->runner, &error);
  cr_assert_eq(error.status, MOIRE_OK, "%s", error.message);
}

/* By the norm of the difference; `wanted` are the n elements of what is right. */
static void expect_near(const test_machine *m, const char *name, const double *wanted, int64_t n,
                        double share) {
  int64_t there = 0;
  const float *x = moire_runner_output(m->runner, name, &there);
  cr_assert(x && wanted && there == n, "%s", name);
  double distance = 0, length = 0;
  for (int64_t i = 0; i < n; i++) {
    distance += pow((double)x[i] - wanted[i], 2);
    length += pow(wanted[i], 2);
  }
  cr_expect(sqrt(distance) <= share * sqrt(length) + 1e-8, "%s: %g of %g", name, sqrt(distance), sqrt(length));
}

/* The loss is output 0, the gradients are those behind it. */
static const char *output_name(const moire_plan *plan, int i) {
  static char name[128];
  snprintf(name, sizeof name, i ? "grad.%s" : "loss", i ? plan->states[i - 1].name : "");
  return name;
}

Test(planes, are_compiled_to_what_the_complex_model_is) {
  test_machine by_planes = start(spell(0), 0), own = start(build_qia(), 0);
  const moire_plan *plan = moire_program_plan(by_planes.program), *wanted = moire_program_plan(own.program);
  cr_expect(plan->packing.extent, "padding is computed");
  cr_expect_eq(plan->n_steps, wanted->n_steps, "%d steps, models/qia.c has %d", plan->n_steps, wanted->n_steps);
  for (int i = 0; i < plan->n_states; i++) {
    int64_t n = 0, other = 0;
    const float *weights = moire_store_data(by_planes.store, plan->states[i].name, &n);
    float *copy = moire_store_data(own.store, plan->states[i].name, &other);
    cr_assert(weights && copy && n == other, "%s", plan->states[i].name);
    memcpy(copy, weights, (size_t)n * sizeof *copy);
  }
  for (int step = 0; step < BATCHES; step++) {
    batch b = make_batch(step, sizes[step]);
    run(&by_planes, &b, true);
    run(&own, &b, false);
    for (int i = 0; i <= plan->n_states; i++) {
      double right[MOST_ELEMENTS];
      int64_t n = 0;
      const float *numbers = moire_runner_output(own.runner, output_name(plan, i), &n);
      cr_assert(numbers && n <= MOST_ELEMENTS, "%s", output_name(plan, i));
      for (int64_t k = 0; k < n; k++) right[k] = (double)numbers[k];
      expect_near(&by_planes, output_name(plan, i), right, n, 2e-5);
    }
  }
  test_machine_destroy(&by_planes);
  test_machine_destroy(&own);
}

static void give(moire_oracle *oracle, const char *name, const int32_t *from, int64_t n) {
  moire_error error = {0};
  double numbers[MOST * LENGTH];
  for (int64_t i = 0; i < n; i++) numbers[i] = (double)from[i];
  cr_assert_eq(moire_oracle_set_input(oracle, name, numbers, n, &error), MOIRE_OK, "%s", error.message);
}

Test(planes, are_what_they_spell) {
  moire_error error = {0};
  moire_graph *g = spell(0.4);
  const unsigned none = 1u << MOIRE_OPTIMIZATION_unite | 1u << MOIRE_OPTIMIZATION_banks |
                        1u << MOIRE_OPTIMIZATION_recognise | 1u << MOIRE_OPTIMIZATION_pack;
  moire_compile_options as_written = options_of(none);
  moire_oracle *oracle = moire_oracle_create(g, &as_written, &error);
  cr_assert(oracle, "%s", error.message);
  test_machine m = start(g, 0);
  const moire_plan *plan = moire_program_plan(m.program);
  cr_expect(plan->packing.extent, "padding is computed");
  for (int i = 0; i < plan->n_states; i++) {
    int64_t n = 0;
    const float *weights = moire_store_data(m.store, plan->states[i].name, &n);
    double *copy = moire_oracle_state_data(oracle, plan->states[i].name, NULL);
    for (int64_t k = 0; k < n; k++) copy[k] = (double)weights[k];
  }
  for (int step = 0; step < BATCHES; step++) {
    batch b = make_batch(step, sizes[step]);
    run(&m, &b, true);
    moire_oracle_set_extent(oracle, "B", b.n, &error);
    give(oracle, "input_ids", b.ids, b.n * LENGTH);
    give(oracle, "answers", b.answers, b.n);
    give(oracle, "rng", rng, 3);
    cr_assert_eq(moire_oracle_run(oracle, &error), MOIRE_OK, "%s", error.message);
    for (int i = 0; i <= plan->n_states; i++) {
      int64_t n = 0;
      const double *right = moire_oracle_output(oracle, output_name(plan, i), &n);
      expect_near(&m, output_name(plan, i), right, n, 1e-4);
    }
  }
  test_machine_destroy(&m);
  moire_oracle_destroy(oracle);
}
