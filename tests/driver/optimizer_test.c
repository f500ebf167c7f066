/* Ten steps of every optimizer and option, on a small model, beside what PyTorch's optimizers give in double:
 * the oracle within 1e-12, compiled code within 1e-5 and the same to the last bit for any number of threads.
 *
 * The model looks rows of a table up (never its last), multiplies them, and has a parameter that nothing reads.
 */
#include "moire/compile.h"
#include "moire/run.h"
#include "tests/support/machine.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { BATCH = 4, STEPS = 10, SEEN = 6 };

/* ---- The model ----------------------------------------------------------------------------------------------
 */

typedef struct parameter {
  const char *name;
  int n;
} parameter;

static const parameter parameters[] = {{"table", 15}, {"weight", 12}, {"bias", 4}, {"unused", 3}};

static double initial(int k, int i) { return 0.5 * sin(1 + 0.7 * i + 2 * k); }

static moire_graph *build(void) {
  moire_graph *g = moire_graph_create("small", MOIRE_TRAINING);
  moire_init zero = moire_init_constant(0);
  moire_value ids = moire_input(g, "ids", MOIRE_I32, MOIRE_SHAPE(BATCH));
  moire_value wanted = moire_input(g, "wanted", MOIRE_F32, MOIRE_SHAPE(BATCH, 4));
  moire_value table = moire_parameter(g, "table", MOIRE_SHAPE(5, 3), zero);
  moire_value weight = moire_parameter(g, "weight", MOIRE_SHAPE(4, 3), zero);
  moire_value bias = moire_parameter(g, "bias", MOIRE_SHAPE(4), zero);
  moire_parameter(g, "unused", MOIRE_SHAPE(3), zero);
  moire_value y = moire_tanh(moire_linear(moire_gather(table, ids), weight, bias));
  moire_value error = moire_sub(y, wanted);
  moire_output(g, "loss", moire_mean_all(moire_mul(error, error)));
  return g;
}

static void make_batch(int batch, int32_t *ids, double *wanted) {
  for (int j = 0; j < BATCH; j++) ids[j] = (batch + 2 * j + j * j) % 4;
  for (int i = 0; i < BATCH * 4; i++) wanted[i] = cos(0.3 * i);
}

/* ---- What PyTorch 2.13 gives --------------------------------------------------------------------------------
 */

static const char *const biases[] = {"bias"}, *const tables[] = {"t?ble", "unused"}, *const weights[] = {"w*"};

typedef struct change {
  const char *const *match;
  int n_match;
  double lr, weight_decay, beta1, beta2, eps, momentum, dampening; /* -1: as the options have it */
} change;

typedef struct expectation {
  const char *name;
  moire_training_options options; /* 0 is the default */
  double wanted[SEEN]; /* table[2][1], table[4][0], weight[1][2], bias[3], unused[1], average of weight[1][2] */
  change groups[2];
} expectation;

#define ADAM .optimizer = MOIRE_OPTIMIZER_ADAM
#define ADAMW .optimizer = MOIRE_OPTIMIZER_ADAMW
#define SGD .optimizer = MOIRE_OPTIMIZER_SGD
#define COSINE .kind = MOIRE_SCHEDULE_COSINE
#define LINEAR .kind = MOIRE_SCHEDULE_LINEAR

static const expectation expectations[] = {
    {"sgd",
     {SGD},
     {-0.18346625486290105, 0.012387712726679771, 0.11356529080355596, 0.26012475266631829,
      0.49408411693850018},
     {{0}}},
    {"sgd, weight decay",
     {SGD, .weight_decay = .3},
     {-0.15824033051152492, 0.010650093741087614, 0.097346299605099537, 0.21492064170554048,
      0.49408411693850018},
     {{0}}},
    {"momentum",
     {SGD, .momentum = .9},
     {-0.16917335349980014, 0.012387712726679771, 0.13309931112656509, -0.034417325527470788,
      0.49408411693850018},
     {{0}}},
    {"momentum, dampening, weight decay",
     {SGD, .momentum = .8, .dampening = .3, .weight_decay = .2},
     {-0.13777375656767585, 0.0096115704459674833, 0.097636794099472818, 0.058146465638652216,
      0.49408411693850018},
     {{0}}},
    {"nesterov",
     {SGD, .momentum = .9, .nesterov = true, .weight_decay = .1},
     {-0.12869501947658651, 0.0096369522882468889, 0.10586861723519826, -0.1154713226842789,
      0.49408411693850018},
     {{0}}},
    {"adam",
     {ADAM},
     {0.067370525398893349, 0.012387712726679771, 0.18316601661455131, -0.10472709687314592,
      0.49408411693850018},
     {{0}}},
    {"adam, weight decay, betas, eps",
     {ADAM, .weight_decay = .2, .beta1 = .8, .beta2 = .95, .eps = 1e-3},
     {0.089771763637418955, 0.005978970305110208, -0.032497598081969455, -0.1013525275340659,
      0.49408411693850018},
     {{0}}},
    {"adamw, weight decay",
     {ADAMW, .weight_decay = .5},
     {0.085118610978096795, 0.0096169483243817733, 0.14986472094295697, -0.13452863469313864,
      0.49408411693850018},
     {{0}}},
    {"clip_norm",
     {SGD, .momentum = .9, .clip_norm = .1},
     {-0.18325691976688716, 0.012387712726679771, 0.11330630756105933, 0.2457804036409442, 0.49408411693850018},
     {{0}}},
    {"clip_value",
     {ADAMW, .clip_value = .01, .eps = .01, .weight_decay = .1},
     {-0.072723471848613053, 0.011782079067644901, 0.20283423409852519, 0.10221557175867486,
      0.49408411693850018},
     {{0}}},
    {"groups",
     {ADAMW, .weight_decay = .3},
     {-0.12931582282608056, 0.010650093741087613, 0.19652583576460092, -0.51047342708214349,
      0.49408411693850018},
     {{biases, 1, .2, 0, -1, -1, -1, -1, -1}, {tables, 2, -1, -1, .5, .9, .1, -1, -1}}},
    {"groups of sgd",
     {SGD, .weight_decay = .3},
     {-0.15779352781852346, 0.010629877712497881, 0.099668460795160965, 0.21551526939014679,
      0.49408411693850018},
     {{weights, 1, .01, -1, -1, -1, -1, .9, -1}, {tables, 1, -1, -1, -1, -1, -1, .5, .5}}},
    {"accumulate",
     {ADAM, .accumulate = 4},
     {0.23370341954662119, 0.012387712726679771, 0.12845824497610478, -0.095235757889751665,
      0.49408411693850018},
     {{0}}},
    {"ema",
     {ADAMW, .weight_decay = .1, .ema = .7},
     {0.071490474514458585, 0.011782079067644901, 0.1760184190590609, -0.11173985027798744, 0.49408411693850018,
      0.18507403577277023},
     {{0}}},
    {"freeze",
     {ADAMW, .weight_decay = .1, .clip_norm = .1, .freeze = weights, .n_freeze = 1},
     {0.062668133194584752, 0.011782079067644901, 0.10755999404390776, -0.13356901889503173,
      0.49408411693850018},
     {{0}}},
    {"cosine",
     {ADAMW, .weight_decay = .4, .schedule = {COSINE, .total_steps = 10, .lr_min = .01}},
     {-0.024173066038931108, 0.010888617772948254, 0.17497116039848637, 0.026644665376632869,
      0.49408411693850018},
     {{0}}},
    {"cosine, warm-up",
     {ADAMW, .weight_decay = .4, .schedule = {COSINE, .warmup_steps = 4, .total_steps = 9, .lr_min = .002}},
     {-0.016353338815214391, 0.011061099549362368, 0.18267434926532636, 0.063982033055251117,
      0.49408411693850018},
     {{0}}},
    {"linear",
     {SGD, .schedule = {LINEAR, .total_steps = 10}},
     {-0.18517479399327669, 0.012387712726679771, 0.11138699165678706, 0.30542634186636514,
      0.49408411693850018},
     {{0}}},
    {"linear, warm-up",
     {SGD, .momentum = .9, .schedule = {LINEAR, .warmup_steps = 3, .total_steps = 9, .lr_min = .004}},
     {-0.17937011234380928, 0.012387712726679771, 0.12141289579761172, 0.14104855173373829,
      0.49408411693850018},
     {{0}}},
    {"step",
     {ADAM, .schedule = {.kind = MOIRE_SCHEDULE_STEP, .step_size = 3, .gamma = .4}},
     {-0.096593959682138714, 0.012387712726679771, 0.18948613160996189, 0.13128990222216871,
      0.49408411693850018},
     {{0}}},
    {"step, warm-up",
     {ADAM,
      .schedule = {.kind = MOIRE_SCHEDULE_STEP, .warmup_steps = 3, .step_size = 2, .gamma = .4, .lr_min = .01}},
     {-0.041992854579987832, 0.012387712726679771, 0.19380925186750075, 0.1010995572643768,
      0.49408411693850018},
     {{0}}},
    {"inverse_sqrt",
     {SGD, .schedule = {.kind = MOIRE_SCHEDULE_INVERSE_SQRT, .warmup_steps = 3}},
     {-0.18460315482904771, 0.012387712726679771, 0.11135015040612882, 0.29133609871747601,
      0.49408411693850018},
     {{0}}},
    {"constant, warm-up",
     {ADAM, .schedule = {.warmup_steps = 6}},
     {0.035893794261891529, 0.012387712726679771, 0.2140196977613423, 0.0036491752774330116,
      0.49408411693850018},
     {{0}}},
    {"everything",
     {SGD, .momentum = .9, .nesterov = true, .weight_decay = .1, .clip_value = .03, .clip_norm = .08,
      .accumulate = 2, .ema = .8, .schedule = {COSINE, .warmup_steps = 2, .total_steps = 10, .lr_min = .01}},
     {-0.16903303786016738, 0.011481659418404809, 0.10336022876701115, 0.21773723730906322, 0.49408411693850018,
      0.10480227194674098},
     {{biases, 1, .3, 0, -1, -1, -1, -1, -1}, {tables, 1, -1, -1, -1, -1, -1, .6, -1}}},
};

static double either(double value, double otherwise) { return value < 0 ? otherwise : value; }

/* The options, with defaults filled in; `groups` has room for two. */
static moire_training_options options_of(const expectation *e, moire_parameter_group *groups) {
  moire_training_options o = e->options, usual = moire_training_defaults();
  o.lr = .05;
  if (!(o.beta1 > 0)) o.beta1 = usual.beta1;
  if (!(o.beta2 > 0)) o.beta2 = usual.beta2;
  if (!(o.eps > 0)) o.eps = usual.eps;
  o.groups = groups;
  for (int i = 0; i < 2 && e->groups[i].match; i++) {
    const change *g = &e->groups[i];
    groups[i] = (moire_parameter_group){g->match,
                                        g->n_match,
                                        either(g->lr, o.lr),
                                        either(g->beta1, o.beta1),
                                        either(g->beta2, o.beta2),
                                        either(g->eps, o.eps),
                                        either(g->weight_decay, o.weight_decay),
                                        either(g->momentum, o.momentum),
                                        either(g->dampening, o.dampening)};
    o.n_groups = i + 1;
  }
  return o;
}

static moire_compile_options compile_options(const moire_training_options *training) {
  static const char *const loss[] = {"loss"};
  moire_compile_options o = moire_compile_defaults();
  o.outputs = loss;
  o.n_outputs = 1;
  o.loss = "loss";
  o.training = *training;
  return o;
}

/* ---- The oracle ---------------------------------------------------------------------------------------------
 */

static double oracle_value(moire_oracle *o, const char *state, int i) {
  const double *data = moire_oracle_state_data(o, state, NULL);
  return data ? data[i] : 0;
}

static void run_oracle(moire_oracle *o, const moire_training_options *t, int batch) {
  moire_error error = {0};
  int32_t ids[BATCH];
  double real_ids[BATCH], wanted[BATCH * 4], scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
  make_batch(batch, ids, wanted);
  for (int i = 0; i < BATCH; i++) real_ids[i] = ids[i];
  moire_batch_place place = moire_batch_place_at(batch, t->accumulate);
  moire_optimizer_scalars(t, &place, scalars);
  moire_oracle_set_input(o, "ids", real_ids, BATCH, &error);
  moire_oracle_set_input(o, "wanted", wanted, BATCH * 4, &error);
  moire_oracle_set_input(o, "optimizer.scalars", scalars, moire_optimizer_scalar_count(t), &error);
  cr_assert_eq(moire_oracle_run(o, &error), MOIRE_OK, "%s", error.message);
}

Test(optimizer, the_oracle_gives_what_torch_gives) {
  moire_graph *g = build();
  for (size_t c = 0; c < sizeof expectations / sizeof *expectations; c++) {
    const expectation *e = &expectations[c];
    moire_parameter_group groups[2];
    moire_training_options t = options_of(e, groups);
    moire_compile_options options = compile_options(&t);
    moire_error error = {0};
    moire_oracle *o = moire_oracle_create(g, &options, &error);
    cr_assert(o, "%s: %s", e->name, error.message);
    for (int k = 0; k < 4; k++) {
      double *data = moire_oracle_state_data(o, parameters[k].name, NULL);
      for (int i = 0; i < parameters[k].n; i++) data[i] = initial(k, i);
    }
    int n = STEPS * (t.accumulate > 1 ? t.accumulate : 1);
    for (int batch = 0; batch < n; batch++) run_oracle(o, &t, batch);
    const double got[SEEN] = {oracle_value(o, "table", 7),  oracle_value(o, "table", 12),
                              oracle_value(o, "weight", 5), oracle_value(o, "bias", 3),
                              oracle_value(o, "unused", 1), oracle_value(o, "optimizer.ema.weight", 5)};
    for (int i = 0; i < SEEN; i++)
      cr_expect(fabs(got[i] - e->wanted[i]) <= 1e-12, "%s: number %d is %.17g, torch has %.17g", e->name, i,
                got[i], e->wanted[i]);
    moire_oracle_destroy(o);
  }
  moire_graph_destroy(g);
}

/* ---- Compiled code ------------------------------------------------------------------------------------------
 */

static double machine_value(const test_machine *m, const char *state, int i) {
  const float *data = moire_store_data(m->store, state, NULL);
  return data ? (double)data[i] : 0;
}

static void run_machine(test_machine *m, const moire_training_options *t, int batch) {
  moire_error error = {0};
  int32_t ids[BATCH];
  double exact[BATCH * 4];
  float wanted[BATCH * 4], scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
  make_batch(batch, ids, exact);
  for (int i = 0; i < BATCH * 4; i++) wanted[i] = (float)exact[i];
  moire_batch_place place = moire_batch_place_at(batch, t->accumulate);
  moire_optimizer_scalars_f32(t, &place, scalars);
  moire_runner_set_input(m->runner, "ids", ids, BATCH, &error);
  moire_runner_set_input(m->runner, "wanted", wanted, BATCH * 4, &error);
  moire_runner_set_input(m->runner, "optimizer.scalars", scalars, moire_optimizer_scalar_count(t), &error);
  cr_assert_eq(moire_runner_run(m->runner, &error), MOIRE_OK, "%s", error.message);
}

static void train_machine(test_machine *m, const moire_training_options *t) {
  for (int k = 0; k < 4; k++) {
    float *data = moire_store_data(m->store, parameters[k].name, NULL);
    for (int i = 0; i < parameters[k].n; i++) data[i] = (float)initial(k, i);
  }
  int n = STEPS * (t->accumulate > 1 ? t->accumulate : 1);
  for (int batch = 0; batch < n; batch++) run_machine(m, t, batch);
}

static void expect_same_states(const test_machine *a, const test_machine *b, const char *name) {
  cr_assert_eq(moire_store_count(a->store), moire_store_count(b->store));
  for (int i = 0; i < moire_store_count(a->store); i++) {
    const char *state = moire_store_at(a->store, i).name;
    int64_t n = 0;
    const void *x = moire_store_data(a->store, state, &n), *y = moire_store_data(b->store, state, NULL);
    cr_expect(!memcmp(x, y, (size_t)n * sizeof(float)), "%s: %s depends on the threads", name, state);
  }
}

Test(optimizer, compiled_code_gives_what_torch_gives) {
  moire_graph *g = build();
  for (size_t c = 0; c < sizeof expectations / sizeof *expectations; c++) {
    const expectation *e = &expectations[c];
    moire_parameter_group groups[2];
    moire_training_options t = options_of(e, groups);
    moire_compile_options options = compile_options(&t);
    test_machine m = test_machine_make(g, &options, 1, 1), three = test_machine_make(g, &options, 3, 1);
    train_machine(&m, &t);
    train_machine(&three, &t);
    expect_same_states(&m, &three, e->name);
    const double got[SEEN] = {machine_value(&m, "table", 7),  machine_value(&m, "table", 12),
                              machine_value(&m, "weight", 5), machine_value(&m, "bias", 3),
                              machine_value(&m, "unused", 1), machine_value(&m, "optimizer.ema.weight", 5)};
    for (int i = 0; i < SEEN; i++)
      cr_expect(fabs(got[i] - e->wanted[i]) <= 1e-5, "%s: number %d is %.9g, torch has %.9g", e->name, i,
                got[i], e->wanted[i]);
    test_machine_destroy(&m);
    test_machine_destroy(&three);
  }
  moire_graph_destroy(g);
}

/* ---- What is frozen, and what is refused --------------------------------------------------------------------
 */

Test(optimizer, what_is_frozen_has_no_states_and_no_gradient) {
  moire_graph *g = build();
  moire_training_options t = moire_training_defaults();
  t.optimizer = MOIRE_OPTIMIZER_ADAM;
  t.ema = 0.9;
  t.accumulate = 2;
  t.freeze = weights;
  t.n_freeze = 1;
  moire_compile_options options = compile_options(&t);
  options.keep_gradients = true;
  test_machine m = test_machine_make(g, &options, 1, 1);
  train_machine(&m, &t);
  for (int i = 0; i < 12; i++) cr_expect_eq(machine_value(&m, "weight", i), (double)(float)initial(1, i));
  static const char *const absent[] = {"adam.m.weight", "adam.v.weight", "optimizer.sum.weight",
                                       "optimizer.ema.weight", "adam.m.unused"};
  for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
    cr_expect_null(moire_store_data(m.store, absent[i], NULL), "%s is there", absent[i]);
  cr_expect_not_null(moire_store_data(m.store, "optimizer.sum.bias", NULL));
  cr_expect_null(moire_runner_output(m.runner, "grad.weight", NULL));
  cr_expect_not_null(moire_runner_output(m.runner, "grad.unused", NULL));
  test_machine_destroy(&m);
  moire_graph_destroy(g);
}

/* Every number here is a multiple of a power of two, and no sum is rounded: then the gradients of two batches
 * are that of one of both, to the last bit. */
static void train_exactly(int accumulate, int rows, float *w) {
  moire_graph *g = moire_graph_create("exact", MOIRE_TRAINING);
  moire_dim b = moire_extent(g, "B");
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, 4));
  moire_value p = moire_parameter(g, "w", MOIRE_SHAPE(4), moire_init_constant(0.5));
  moire_output(g, "loss", moire_mean_all(moire_mul(x, moire_mul(p, p))));
  moire_training_options t = moire_training_defaults();
  t.optimizer = MOIRE_OPTIMIZER_ADAM;
  t.accumulate = accumulate;
  moire_compile_options options = compile_options(&t);
  test_machine m = test_machine_make(g, &options, 2, 1);
  moire_error error = {0};
  float data[16 * 4], scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
  for (int i = 0; i < 64; i++) data[i] = (float)(i % 7 - 2);
  for (int batch = 0; batch < 16 / rows; batch++) {
    moire_batch_place place = moire_batch_place_at(batch, accumulate);
    moire_optimizer_scalars_f32(&t, &place, scalars);
    moire_runner_set_extent(m.runner, "B", rows, &error);
    moire_runner_set_input(m.runner, "x", data + batch * rows * 4, rows * 4, &error);
    moire_runner_set_input(m.runner, "optimizer.scalars", scalars, moire_optimizer_scalar_count(&t), &error);
    cr_assert_eq(moire_runner_run(m.runner, &error), MOIRE_OK, "%s", error.message);
  }
  memcpy(w, moire_store_data(m.store, "w", NULL), 4 * sizeof *w);
  test_machine_destroy(&m);
  moire_graph_destroy(g);
}

Test(optimizer, batches_of_a_step_are_one_batch_of_all) {
  float one[4], two[4], four[4];
  train_exactly(1, 16, one);
  train_exactly(2, 8, two);
  train_exactly(4, 4, four);
  cr_expect(!memcmp(one, two, sizeof one) && !memcmp(one, four, sizeof one), "%.9g %.9g %.9g", (double)one[0],
            (double)two[0], (double)four[0]);
  cr_expect_neq(one[0], 0.5f);
}

static void refuse(moire_training_options t, const char *word, const char *other) {
  moire_graph *g = build();
  moire_error error = {0};
  moire_compile_options options = compile_options(&t);
  cr_expect_null(moire_compile(g, &options, &error), "%s is taken", word);
  cr_expect(strstr(error.message, word) && strstr(error.message, other), "%s", error.message);
  moire_graph_destroy(g);
}

Test(optimizer, refuses_with_a_sentence) {
  static const char *const none[] = {"*bias*", "nothing.*"};
  moire_training_options t = moire_training_defaults();
  t.optimizer = MOIRE_OPTIMIZER_SGD;
  moire_training_options bad = t;
  bad.momentum = -1;
  refuse(bad, "momentum is -1", "wanted 0 or more");
  bad = t;
  bad.nesterov = true;
  refuse(bad, "nesterov", "momentum");
  bad = t;
  bad.ema = 1;
  refuse(bad, "ema is 1", "below 1");
  bad = t;
  bad.lr = (double)NAN;
  refuse(bad, "lr is nan", "wanted");
  bad = t;
  bad.freeze = none;
  bad.n_freeze = 2;
  refuse(bad, "freeze: \"nothing.*\" matches no parameter", "table, weight, bias, unused");
  moire_parameter_group group = moire_parameter_group_of(&t);
  group.match = none;
  group.n_match = 2;
  bad = t;
  bad.groups = &group;
  bad.n_groups = 1;
  refuse(bad, "groups[0]: match: \"nothing.*\"", "table");
  group.n_match = 1;
  group.beta2 = 1;
  refuse(bad, "groups[0]: beta2 is 1", "below 1");
}
