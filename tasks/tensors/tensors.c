/* The task of everybody else: its row. */
#include "tasks/tensors/tensors.h"

#include "runtime/train/trainer_fields.h"
#include "tasks/values.h"

#include <string.h>

static const moire_config_field keys[] = {
    MOIRE__TRAINER_FIELDS(
        "tensors with a row a sample: safetensors, .npy, or a folder of .npy; --data replaces it", "100", "10"),
    {"valid", MOIRE_CONFIG_STRING, "\"\"", 0, 0, NULL, "data to validate with, instead of a part of `data`"},
    {"test", MOIRE_CONFIG_STRING, "\"\"", 0, 0, NULL, "data to test with, instead of a part of `data`"},
    {"valid_fraction", MOIRE_CONFIG_REAL, "0.1", 0, 0.9, NULL, "part of `data` to validate with"},
    {"test_fraction", MOIRE_CONFIG_REAL, "0.1", 0, 0.9, NULL, "part of `data` to test with"},
    {"split_seed", MOIRE_CONFIG_INT, "42", 0, 9007199254740992, NULL, "of the choice of these parts"},
    {"eval_batch_size", MOIRE_CONFIG_INT, "256", 1, 1000000, NULL, "samples that are measured at once"},
    {"stop_metric", MOIRE_CONFIG_STRING, "loss", 0, 0, NULL,
     "what the best epoch is best in: loss, or a metric"},
    {"stop_mode", MOIRE_CONFIG_STRING, "auto", 0, 0, "auto|min|max",
     "whether less is better; auto: of loss, and of names with loss, error, mse, mae or perplexity in them"},
    MOIRE__TRAINER_SWITCHES};

/* Has any input the extent B? A program of fixed shapes has not: it is one sample, or a batch of a size of its
 * own. */
static bool has_batch(const moire_graph *graph) {
  for (int i = 0; i < moire_graph_input_count(graph); i++) {
    moire_port port = moire_graph_input(graph, i);
    for (int k = 0; k < port.shape.rank; k++) {
      if (moire_dim_extent_name(graph, port.shape.dims[k], 0)) return true;
    }
  }
  return false;
}

/* Outputs that have a row a sample, but for the metrics; all of a program of fixed shapes. */
static const char *const *served(const moire__setup *setup, moire__arena *arena, int *n, moire_error *error) {
  moire_graph *graph = moire__setup_graph(setup, MOIRE_INFERENCE, error);
  if (!graph) return NULL;
  const char **names = moire__arena_array(arena, (size_t)moire_graph_output_count(graph) + 1, sizeof *names);
  *n = 0;
  for (int i = 0; i < moire_graph_output_count(graph); i++) {
    moire_port port = moire_graph_output(graph, i);
    const char *extent = port.shape.rank ? moire_dim_extent_name(graph, port.shape.dims[0], 0) : NULL;
    bool is_metric = !strncmp(port.name, "metric.", 7) || !strcmp(port.name, "loss");
    bool has_row = extent ? !strcmp(extent, "B") : !has_batch(graph);
    if (has_row && !is_metric) names[(*n)++] = moire__arena_copy_string(arena, port.name);
  }
  moire_graph_destroy(graph);
  if (*n) return names;
  moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: has no output with a row a sample, f32[B, ...], beside the loss",
             setup->model->name);
  return NULL;
}

static const char *const *step(const moire__setup *setup, moire__arena *arena, int *n, moire_error *error) {
  (void)setup;
  (void)error;
  const char **names = moire__arena_array(arena, 1, sizeof *names);
  names[0] = "loss";
  *n = 1;
  return names;
}

static moire__samples samples(const moire__setup *setup, int64_t batch) {
  const moire__tensors *t = setup->data;
  return moire__tensors_samples(t, &t->train, batch);
}

static moire__samples queries(const moire__setup *setup, int64_t batch) {
  const moire__tensors *t = setup->data;
  return moire__tensors_samples(t, &t->test, batch);
}

static const char *const leaves[] = {MOIRE__TASK_VALUES, NULL};

static bool is_least(const char *measure) { return moire__tensors_is_least(measure, "auto"); }

const moire__task moire__task_tensors = {.name = "tensors",
                                         .title = "a model of tensors",
                                         .keys = {keys, (int)(sizeof keys / sizeof *keys)},
                                         .needs_hint = "",
                                         .interface = "run",
                                         .read = moire__tensors_read,
                                         .free_data = moire__tensors_free,
                                         .served = served,
                                         .step = step,
                                         .samples = samples,
                                         .queries = queries,
                                         .train = moire__tensors_train,
                                         .leaves = leaves,
                                         .values = moire__task_values,
                                         .is_least = is_least,
                                         .eval = moire__tensors_eval,
                                         .measure = moire__tensors_measured_of,
                                         .leave = moire__tensors_leave,
                                         .predict = moire__tensors_predict};
