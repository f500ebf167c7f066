/* SASRec as docs/examples/sasrec.c has it: its loss, step by step, beside that of PyTorch on the same numbers.
 *
 * The curves below were made with torch 2.13 in float64: torch.nn.MultiheadAttention with a triangular mask,
 * Conv1d, LayerNorm of eps 1e-8 and Embedding with padding_idx 0, put together as in the usual PyTorch form of
 * the paper; BCEWithLogitsLoss of positives and of negatives where input_ids != 0; Adam with lr 0.003 and betas
 * 0.9, 0.98. In float32 torch strays from them by 1.7e-7. Parameters, batches and negatives are the formulas of
 * fill and draw_batch.
 */
#include <criterion/criterion.h>

#include "docs/examples/sasrec.c"

#include "moire/train.h"
#include "runtime/config/config.h"

#include <stdio.h>
#include <string.h>

enum { ITEMS = 40, LENGTH = 9, WIDTH = 16, BATCH = 16, STEPS = 40 };

static const double norms_first[STEPS] = {
    1.763018777, 1.612272663, 1.732943674, 1.510118834, 1.586090719, 1.501442413, 1.567697963, 1.397504884,
    1.444102819, 1.441208976, 1.442500357, 1.429532264, 1.396895730, 1.407380270, 1.394259210, 1.395449897,
    1.370112314, 1.412781912, 1.376417675, 1.392120651, 1.395414399, 1.387719178, 1.356108261, 1.396481917,
    1.399559181, 1.379610178, 1.388763084, 1.398330885, 1.381411959, 1.389303652, 1.374776646, 1.372813336,
    1.387225116, 1.399426595, 1.388992695, 1.367148311, 1.381493601, 1.373426994, 1.387334003, 1.371840020};

static const double norms_behind[STEPS] = {
    1.896967645, 1.627005612, 1.839436121, 1.570338811, 1.648539524, 1.568030352, 1.614731437, 1.414869219,
    1.460489316, 1.486993968, 1.436793198, 1.441463043, 1.402636879, 1.433266194, 1.396300324, 1.399936705,
    1.379697652, 1.433261456, 1.385743724, 1.404414289, 1.380404945, 1.388539538, 1.377652543, 1.401907026,
    1.393661459, 1.377141592, 1.383569006, 1.400609667, 1.387525963, 1.393998614, 1.386694280, 1.387166211,
    1.387789399, 1.385945175, 1.385278455, 1.388364549, 1.385900422, 1.380230289, 1.397999531, 1.370494113};

static moire_graph *model_graph(const char *keys) {
  char json[400];
  snprintf(json, sizeof json,
           "{\"item_size\": %d, \"max_seq_length\": %d, \"hidden_size\": %d, \"num_attention_heads\": 2, "
           "\"num_hidden_layers\": 2, %s}",
           ITEMS, LENGTH, WIDTH, keys);
  moire_error error = {0};
  moire__config_table table = {0};
  moire_config *config = NULL;
  moire__config_fields list = {fields, (int)(sizeof fields / sizeof *fields)};
  bool good = moire__config_table_add_json(&table, "test", json, &error) == MOIRE_OK &&
              moire__config_build(&table, "test", &list, 1, &config, &error) == MOIRE_OK;
  cr_assert(good, "%s", error.message);
  moire_graph *g = moire_graph_create("sasrec", MOIRE_TRAINING);
  build(g, config);
  cr_assert_eq(moire_graph_status(g, &error), MOIRE_OK, "%s", error.message);
  moire__config_free(config);
  moire__config_table_free(&table);
  return g;
}

/* Element i is 0.2 sin(0.7 i + a number of the name); of norms 1 or 0 and a tenth of that; row 0 of tables is
 * 0. */
static void fill(moire_train *train, const moire_graph *g) {
  for (int s = 0; s < moire_graph_state_count(g); s++) {
    moire_port port = moire_graph_state(g, s);
    int64_t elements = 1, number = 0;
    for (int d = 0; d < port.shape.rank; d++) elements *= port.shape.dims[d];
    for (const char *c = port.name; *c; c++) number = (number * 31 + *c) % 1000;
    bool of_norm = strstr(port.name, "norm"), is_weight = strstr(port.name, "weight");
    bool is_table = strstr(port.name, "_emb.weight");
    float *x = moire_store_data(moire_train_store(train), port.name, NULL);
    for (int64_t i = 0; i < elements; i++) {
      double value = 0.2 * sin(0.7 * (double)i + (double)number);
      if (of_norm) value = is_weight + 0.1 * value;
      x[i] = is_table && i < port.shape.dims[1] ? 0 : (float)value;
    }
  }
}

typedef struct batch {
  int32_t ids[BATCH * LENGTH], answers[BATCH], negatives[BATCH * LENGTH];
} batch;

static void draw_batch(int step, batch *b) {
  for (int r = 0; r < BATCH; r++) {
    int n = 2 + (r * 5 + step) % (LENGTH - 1);
    for (int t = 0; t < LENGTH; t++) {
      b->ids[r * LENGTH + t] = t < LENGTH - n ? 0 : 1 + (r * 7 + step * 3 + t * t) % (ITEMS - 1);
      b->negatives[r * LENGTH + t] = 1 + (r * 11 + step * 5 + t * 3 + 2) % (ITEMS - 1);
    }
    b->answers[r] = 1 + (r * 7 + step * 3 + LENGTH * LENGTH) % (ITEMS - 1);
  }
}

/* The losses of the steps. Batches repeat after `different` of them. */
static void train(const char *keys, int threads, int different, double losses[STEPS]) {
  moire_error error = {0};
  moire_graph *g = model_graph(keys);
  moire_compile_options options = moire_compile_defaults();
  options.loss = "loss";
  options.training.optimizer = MOIRE_OPTIMIZER_ADAM;
  options.training.lr = 0.003;
  options.training.beta2 = 0.98;
  moire_train *train = moire_train_create(g, &options, 1, threads, &error);
  cr_assert(train, "%s", error.message);
  fill(train, g);
  int n = moire_graph_find_input(g, "negatives").name ? 3 : 2;
  for (int step = 0; step < STEPS; step++) {
    batch b;
    draw_batch(step % different, &b);
    moire_train_input inputs[] = {{"input_ids", b.ids, BATCH * LENGTH},
                                  {"answers", b.answers, BATCH},
                                  {"negatives", b.negatives, BATCH * LENGTH}};
    cr_assert_eq(moire_train_step(train, inputs, n, &losses[step], &error), MOIRE_OK, "%s", error.message);
  }
  moire_train_destroy(train);
  moire_graph_destroy(g);
}

#define GIVEN "\"negatives_given\": true, \"hidden_dropout_prob\": 0"

static void follows(const char *keys, const double wanted[STEPS]) {
  double losses[STEPS];
  train(keys, 2, STEPS, losses);
  for (int i = 0; i < STEPS; i++)
    cr_expect(fabs(losses[i] - wanted[i]) < 1e-6, "step %d: %.9f, torch %.9f", i, losses[i], wanted[i]);
}

Test(sasrec, norms_first_as_torch, .timeout = 120) { follows(GIVEN ", \"norm_first\": true", norms_first); }
Test(sasrec, norms_behind_as_torch, .timeout = 120) { follows(GIVEN ", \"norm_first\": false", norms_behind); }

/* With negatives that are drawn in the step, and dropout, it learns a batch; on any number of threads alike. */
Test(sasrec, negatives_are_drawn, .timeout = 120) {
  double one[STEPS], three[STEPS];
  train("\"hidden_dropout_prob\": 0.1", 1, 1, one);
  train("\"hidden_dropout_prob\": 0.1", 3, 1, three);
  cr_assert_arr_eq(one, three, sizeof one);
  double after = 0;
  for (int i = 0; i < 4; i++) after += one[STEPS - 1 - i] / 4;
  cr_assert(after < 1.3, "%g; who knows nothing has 2 ln 2 = 1.386", after);
}
