/* A program that authors a model, trains it, and compiles it, through Moire's library: no command, no files but
 * those of the compiled model.
 *
 *   successor DIR        writes DIR/successor.h, .so, .a and .pc
 *
 * The model recommends what mostly comes after the last item. */
#include "moire/ahead.h"
#include "moire/graph.h"
#include "moire/train.h"

#include <stdio.h>
#include <stdlib.h>

enum { ITEMS = 9, LENGTH = 3, WIDTH = 16, BATCH = 32, STEPS = 200 };

static moire_graph *build(moire_mode mode) {
  moire_graph *g = moire_graph_create("successor", mode);
  moire_dim b = moire_extent(g, "B");
  moire_value ids = moire_input(g, "input_ids", MOIRE_I32, MOIRE_SHAPE(b, LENGTH));
  moire_value answers = moire_input(g, "answers", MOIRE_I32, MOIRE_SHAPE(b));
  moire_init small = moire_init_normal(0, 0.1);
  moire_value from = moire_parameter(g, "from.weight", MOIRE_SHAPE(ITEMS, WIDTH), small);
  moire_value to = moire_parameter(g, "to.weight", MOIRE_SHAPE(ITEMS, WIDTH), small);
  moire_value last = moire_reshape(moire_slice(ids, 1, LENGTH - 1, 1), MOIRE_SHAPE(b));
  moire_value logits = moire_linear(moire_embedding(from, last, 0), to, (moire_value){0});
  moire_output(g, "logits", logits);
  moire_output(g, "loss", moire_mean_all(moire_cross_entropy(logits, answers)));
  return g;
}

static void stop(const moire_error *error) {
  fprintf(stderr, "successor: %s\n", error->message);
  exit(1);
}

/* After item i comes i + 1, and after the last one the first. */
static void draw_batch(int32_t *ids, int32_t *answers) {
  for (int i = 0; i < BATCH; i++) {
    int first = rand() % (ITEMS - 1);
    for (int j = 0; j < LENGTH; j++) ids[i * LENGTH + j] = 1 + (first + j) % (ITEMS - 1);
    answers[i] = 1 + (first + LENGTH) % (ITEMS - 1);
  }
}

/* Owned: the states are its own. */
static moire_train *train(const moire_graph *graph, const moire_compile_options *options) {
  moire_error error = {0};
  moire_train *trained = moire_train_create(graph, options, 1, 1, &error);
  if (!trained) stop(&error);
  int32_t ids[BATCH * LENGTH], answers[BATCH];
  const moire_train_input inputs[] = {{"input_ids", ids, BATCH * LENGTH}, {"answers", answers, BATCH}};
  for (int step = 1; step <= STEPS; step++) {
    double loss = 0;
    draw_batch(ids, answers);
    if (moire_train_step(trained, inputs, 2, &loss, &error)) stop(&error);
    if (step % 50 == 0) printf("step %d: loss %.4f\n", step, loss);
  }
  return trained;
}

int main(int argc, char **argv) {
  if (argc != 2) return fprintf(stderr, "usage: successor DIR\n"), 2;
  moire_error error = {0};
  moire_graph *training = build(MOIRE_TRAINING), *inference = build(MOIRE_INFERENCE);
  moire_compile_options options = moire_compile_defaults();
  options.loss = "loss";
  options.training.optimizer = MOIRE_OPTIMIZER_ADAM;
  options.training.lr = 0.05;
  moire_train *trained = train(training, &options);
  moire_store *store = moire_train_store(trained);

  moire_ahead_weight weights[2] = {{.name = "from.weight"}, {.name = "to.weight"}};
  for (int i = 0; i < 2; i++) weights[i].data = moire_store_data(store, weights[i].name, &weights[i].elements);
  moire_ahead_model model = {
      .name = "successor", .config = "{}", .inference = inference, .weights = weights, .n_weights = 2};
  moire_ahead_options wanted = moire_ahead_defaults();
  wanted.name = "successor";
  wanted.directory = argv[1];
  if (moire_ahead_write(&model, &wanted, &error)) stop(&error);
  moire_train_destroy(trained);
  moire_graph_destroy(training);
  moire_graph_destroy(inference);
  return 0;
}
