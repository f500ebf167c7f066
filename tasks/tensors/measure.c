/* What a model of tensors is measured by: its loss, and the metrics that it declares. See tensors.h. */
#include "tasks/tensors/tensors.h"

#include "runtime/base/memory.h"
#include "runtime/train/progress.h"

#include <stdio.h>
#include <string.h>

moire_status moire__tensors_find_measures(const moire__setup *setup, moire__arena *arena,
                                          moire__tensors_measured *out, moire_error *error) {
  moire_graph *graph = moire__setup_graph(setup, MOIRE_INFERENCE, error);
  if (!graph) return MOIRE_ERROR_ARGUMENT;
  int n = moire_graph_metric_count(graph);
  *out = (moire__tensors_measured){.n = 1};
  out->outputs = moire__arena_array(arena, (size_t)n + 1, sizeof *out->outputs);
  out->names = moire__arena_array(arena, (size_t)n + 1, sizeof *out->names);
  out->by_sample = moire__arena_array(arena, (size_t)n + 1, sizeof *out->by_sample);
  out->outputs[0] = out->names[0] = "loss";
  moire_status status =
      moire_graph_find_output(graph, "loss").name
          ? MOIRE_OK
          : moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: has no output loss", setup->model->name);
  for (int i = 0; i < n && !status; i++) {
    moire_port port = moire_graph_metric(graph, i);
    if (strlen(port.name) >= sizeof((moire__measures *)0)->at[0].name || out->n == MOIRE__MOST_MEASURES)
      status =
          moire_fail(error, MOIRE_ERROR_ARGUMENT,
                     "the metric %.80s: wanted at most %d metrics with names of "
                     "at most %d letters",
                     port.name, MOIRE__MOST_MEASURES - 1, (int)sizeof((moire__measures *)0)->at[0].name - 1);
    out->names[out->n] = moire__arena_copy_string(arena, port.name);
    out->outputs[out->n] = moire__arena_printf(arena, "metric.%s", port.name);
    out->by_sample[out->n++] = port.shape.rank == 1;
  }
  moire_graph_destroy(graph);
  return status;
}

/* Adds what measure i is for the n samples that the runner has run last; keeps their values from `first` on. */
static moire_status add(const moire__tensors_measured *m, int i, const moire_runner *runner, int64_t first,
                        int64_t n, double *sum, float *const *values, moire_error *error) {
  int64_t elements = 0;
  const float *x = moire_runner_output(runner, m->outputs[i], &elements);
  if (!x || elements != (m->by_sample[i] ? n : 1))
    return moire_fail(error, MOIRE_ERROR_SHAPE, "the model has no output %s of that shape", m->outputs[i]);
  if (!m->by_sample[i]) *sum += (double)*x * (double)n;
  for (int64_t j = 0; j < n && m->by_sample[i]; j++) *sum += (double)x[j];
  if (values && values[i]) memcpy(values[i] + first, x, (size_t)n * sizeof *x);
  return MOIRE_OK;
}

moire_status moire__tensors_measure(const moire__tensors *t, const moire__tensors_rows *rows,
                                    const moire__tensors_measured *m, moire_runner *runner, int64_t batch,
                                    const char *label, moire__measures *out, float *const *values,
                                    moire_error *error) {
  moire__samples samples = moire__tensors_samples(t, rows, batch);
  int64_t *order = moire__allocate_array((size_t)batch, sizeof *order);
  double *sums = moire__allocate_array((size_t)m->n, sizeof *sums);
  moire_status status = MOIRE_OK;
  moire__progress bar = moire__progress_start(label, "sample", rows->n);
  for (int64_t first = 0; first < rows->n && !status; first += batch) {
    int64_t n = rows->n - first < batch ? rows->n - first : batch;
    for (int64_t i = 0; i < n; i++) order[i] = first + i;
    status = moire_runner_set_extent(runner, "B", n, error);
    if (!status) status = samples.give(samples.context, runner, order, n, error);
    if (!status) status = moire_runner_run(runner, error);
    for (int i = 0; i < m->n && !status; i++) status = add(m, i, runner, first, n, &sums[i], values, error);
    moire__progress_update(&bar, first, "loss %.4f", sums[0] / (double)(first + n));
  }
  moire__progress_finish(&bar);
  *out = (moire__measures){0};
  for (int i = 0; i < m->n && !status; i++)
    moire__measures_add(out, sums[i] / (double)rows->n, "%s", m->names[i]);
  moire__release(order);
  moire__release(sums);
  moire__samples_free(&samples);
  return status;
}

bool moire__tensors_is_least(const char *measure, const char *stop_mode) {
  static const char *const words[] = {"loss", "error", "mse", "mae", "perplexity"};
  if (strcmp(stop_mode, "auto") != 0) return !strcmp(stop_mode, "min");
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strstr(measure, words[i])) return true;
  }
  return false;
}
