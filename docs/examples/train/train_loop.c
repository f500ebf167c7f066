/* A network with a training loop of its own: y = sin(3 x), learned from noisy points.
 *
 *   cc train_loop.c -o train_loop $(pkg-config --cflags --libs moire) -lm
 */
#include "moire/graph.h"
#include "moire/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { WIDTH = 32, BATCH = 64, STEPS = 600 };

static moire_graph *build(void) {
  moire_graph *g = moire_graph_create("sine", MOIRE_TRAINING);
  moire_dim b = moire_extent(g, "B");
  moire_value x = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(b, 1));
  moire_value y = moire_input(g, "y", MOIRE_F32, MOIRE_SHAPE(b, 1));
  moire_value w1 = moire_parameter(g, "hidden.weight", MOIRE_SHAPE(WIDTH, 1), moire_init_normal(0, 1));
  moire_value b1 = moire_parameter(g, "hidden.bias", MOIRE_SHAPE(WIDTH), moire_init_normal(0, 1));
  moire_value w2 = moire_parameter(g, "out.weight", MOIRE_SHAPE(1, WIDTH), moire_init_normal(0, 0.2));
  moire_value b2 = moire_parameter(g, "out.bias", MOIRE_SHAPE(1), moire_init_constant(0));
  moire_value error = moire_sub(moire_linear(moire_tanh(moire_linear(x, w1, b1)), w2, b2), y);
  moire_output(g, "loss", moire_mean_all(moire_mul(error, error)));
  return g;
}

static double draw(void) { return 2.0 * rand() / RAND_MAX - 1; }

int main(void) {
  static const char *const biases[] = {"*.bias"};
  moire_error error = {0};
  moire_graph *graph = build();
  moire_compile_options options = moire_compile_defaults();
  options.loss = "loss";
  options.training.optimizer = MOIRE_OPTIMIZER_ADAMW;
  options.training.lr = 0.02;
  options.training.weight_decay = 0.01;
  options.training.clip_norm = 1;
  options.training.schedule =
      (moire_schedule){.kind = MOIRE_SCHEDULE_COSINE, .warmup_steps = 20, .total_steps = STEPS, .lr_min = 1e-4};
  moire_parameter_group group = moire_parameter_group_of(&options.training);
  group.match = biases;
  group.n_match = 1;
  group.weight_decay = 0;
  options.training.groups = &group;
  options.training.n_groups = 1;

  moire_train *train = moire_train_create(graph, &options, 1, 2, &error);
  moire_graph_destroy(graph);
  for (int step = 0; train && step < STEPS && !error.status; step++) {
    float x[BATCH], y[BATCH];
    double loss = 0;
    for (int i = 0; i < BATCH; i++) {
      x[i] = (float)draw();
      y[i] = (float)(sin(3 * (double)x[i]) + 0.01 * draw());
    }
    const moire_train_input inputs[] = {{"x", x, BATCH}, {"y", y, BATCH}};
    if (!moire_train_step(train, inputs, 2, &loss, &error) && step % 100 == 99)
      printf("step %d: loss %.5f\n", step + 1, loss);
  }
  moire_train_destroy(train);
  if (error.status) fprintf(stderr, "train_loop: %s\n", error.message);
  return error.status ? 1 : 0;
}
