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

/* Columns of terms: "rows" has the samples of each batch; a measure is "mean.NAME", its mean over a batch times
 * their number, or "each.NAME", its value of each sample. */
static const char rows_column[] = "rows", mean_prefix[] = "mean.", each_prefix[] = "each.";
enum { PREFIX = sizeof mean_prefix - 1 };

/* What measure i is for the n samples, from `first` on, of batch `batch`, which the runner has run last. */
static moire_status add(const moire__tensors_measured *m, int i, const moire_runner *runner, int64_t first,
                        int64_t n, int64_t batch, void *column, moire_error *error) {
  int64_t elements = 0;
  const float *x = moire_runner_output(runner, m->outputs[i], &elements);
  if (!x || elements != (m->by_sample[i] ? n : 1))
    return moire_fail(error, MOIRE_ERROR_SHAPE, "the model has no output %s of that shape", m->outputs[i]);
  if (m->by_sample[i])
    memcpy((float *)column + first, x, (size_t)n * sizeof *x);
  else
    ((double *)column)[batch] = (double)*x * (double)n;
  return MOIRE_OK;
}

/* A column for each measure; columns[i] takes measure i. */
static void add_columns(const moire__tensors_measured *m, int64_t rows, int64_t batches, moire__terms *terms,
                        void **columns) {
  for (int i = 0; i < m->n; i++) {
    const char *prefix = m->by_sample[i] ? each_prefix : mean_prefix;
    const char *name = moire__arena_printf(&terms->arena, "%s%s", prefix, m->names[i]);
    columns[i] = m->by_sample[i] ? moire__terms_add(terms, name, MOIRE__ST_F32, rows, 1)
                                 : moire__terms_add(terms, name, MOIRE__ST_F64, batches, 1);
  }
}

moire_status moire__tensors_collect(const moire__tensors *t, const moire__tensors_rows *rows,
                                    const moire__tensors_measured *m, moire_runner *runner, int64_t begin,
                                    int64_t count, int64_t batch, const char *label, moire__terms *terms,
                                    moire_error *error) {
  moire__samples samples = moire__tensors_samples(t, rows, batch);
  int64_t *order = moire__allocate_array((size_t)batch, sizeof *order);
  void **columns = moire__allocate_array((size_t)m->n, sizeof *columns);
  int64_t batches = count / batch + (count % batch != 0);
  int64_t *sizes = moire__terms_add(terms, rows_column, MOIRE__ST_I64, batches, 1);
  add_columns(m, count, batches, terms, columns);
  moire_status status = MOIRE_OK;
  double loss = 0;
  moire__progress bar = moire__progress_start(label, "sample", count);
  for (int64_t first = 0, b = 0; first < count && !status; first += batch, b++) {
    int64_t n = sizes[b] = count - first < batch ? count - first : batch;
    for (int64_t i = 0; i < n; i++) order[i] = begin + first + i;
    status = moire_runner_set_extent(runner, "B", n, error);
    if (!status) status = samples.give(samples.context, runner, order, n, error);
    if (!status) status = moire_runner_run(runner, error);
    for (int i = 0; i < m->n && !status; i++) status = add(m, i, runner, first, n, b, columns[i], error);
    loss += m->by_sample[0] ? (double)((float *)columns[0])[first] * (double)n : ((double *)columns[0])[b];
    moire__progress_update(&bar, first, "loss %.4f", loss / (double)(first + n));
  }
  moire__progress_finish(&bar);
  moire__release(order);
  moire__release(columns);
  moire__samples_free(&samples);
  return status;
}

moire_status moire__tensors_measured_of(const moire__terms *terms, moire__measures *out, moire_error *error) {
  const moire__st_tensor *rows = moire__terms_need(terms, rows_column, MOIRE__ST_I64, 1, error);
  if (!rows) return MOIRE_ERROR_FORMAT;
  int64_t n = 0;
  for (int64_t i = 0; i < rows->count; i++) n += ((const int64_t *)rows->data)[i];
  *out = (moire__measures){0};
  for (int c = 0; c < terms->n; c++) {
    const moire__st_tensor *column = &terms->at[c];
    bool each = !strncmp(column->name, each_prefix, PREFIX) && column->dtype == MOIRE__ST_F32;
    bool mean = !strncmp(column->name, mean_prefix, PREFIX) && column->dtype == MOIRE__ST_F64;
    double sum = 0;
    for (int64_t i = 0; i < column->count && each; i++) sum += (double)((const float *)column->data)[i];
    for (int64_t i = 0; i < column->count && mean; i++) sum += ((const double *)column->data)[i];
    if (each || mean) moire__measures_add(out, sum / (double)n, "%s", column->name + PREFIX);
  }
  return MOIRE_OK;
}

moire_status moire__tensors_leave(const moire__terms *terms, const char *path, moire_error *error) {
  moire__arena arena = {0};
  moire__st_tensor *tensors = moire__arena_array(&arena, (size_t)terms->n + 1, sizeof *tensors);
  int n = 0;
  for (int c = 0; c < terms->n; c++) {
    if (strncmp(terms->at[c].name, each_prefix, PREFIX) != 0) continue;
    tensors[n] = terms->at[c];
    tensors[n].name += PREFIX;
    tensors[n++].rank = 1;
  }
  moire_status status = n ? moire__safetensors_write(path, tensors, n, NULL, 0, error) : MOIRE_OK;
  moire__arena_free(&arena);
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
