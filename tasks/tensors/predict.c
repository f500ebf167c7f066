/* moire predict: the outputs of a model for every row of some tensors. See tensors.h. */
#include "tasks/tensors/tensors.h"

#include "runtime/base/memory.h"
#include "runtime/files/tensor_writer.h"

#include <string.h>

typedef struct prediction {
  const moire__tensors *t;
  const moire__tensors_rows *rows;
  moire_runner *runner;
  const char *const *outputs; /* [n] */
  const char **planes;        /* [2 n]: what the runner calls them; the second of two is NULL if it is real */
  moire__st_tensor *tensors;  /* [n] */
  int n;
  int64_t first, count; /* rows that are predicted */
} prediction;

static moire__st_dtype dtype_of(moire_dtype dtype) {
  switch (dtype) {
    case MOIRE_F64: return MOIRE__ST_F64;
    case MOIRE_I32: return MOIRE__ST_I32;
    case MOIRE_I64: return MOIRE__ST_I64;
    case MOIRE_BOOL: return MOIRE__ST_BOOL;
    case MOIRE_C64: return MOIRE__ST_C64;
    case MOIRE_BF16:
    case MOIRE_F32: break;
  }
  return MOIRE__ST_F32;
}

/* The tensor that an output becomes; named extents are what the data have there. */
static moire_status describe(prediction *p, const moire_graph *graph, int i, moire__arena *arena,
                             moire_error *error) {
  moire_port port = moire_graph_find_output(graph, p->outputs[i]);
  const char *first = port.name && port.shape.rank ? moire_dim_extent_name(graph, port.shape.dims[0], 0) : NULL;
  if (!port.name)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "--tensors: the model has no output %s", p->outputs[i]);
  if (!first || strcmp(first, "B") != 0)
    return moire_fail(error, MOIRE_ERROR_SHAPE, "--tensors: the output %s has no row a sample", port.name);
  moire__st_tensor *tensor = &p->tensors[i];
  *tensor = (moire__st_tensor){.name = p->outputs[i], .dtype = dtype_of(port.dtype), .rank = port.shape.rank};
  tensor->count = tensor->shape[0] = p->count;
  for (int axis = 1; axis < port.shape.rank; axis++) {
    const char *extent = moire_dim_extent_name(graph, port.shape.dims[axis], 0);
    int64_t size = extent ? moire__tensors_extent(p->t, p->rows, extent) : 1;
    if (size < 0)
      return moire_fail(error, MOIRE_ERROR_SHAPE, "the output %s: no input says how long %s is", port.name,
                        extent);
    tensor->shape[axis] = size * moire_dim_factor(port.shape.dims[axis]);
    tensor->count *= tensor->shape[axis];
  }
  bool complex = port.dtype == MOIRE_C64;
  p->planes[2 * i] = complex ? moire__arena_printf(arena, "%s.real", port.name) : p->outputs[i];
  p->planes[2 * i + 1] = complex ? moire__arena_printf(arena, "%s.imag", port.name) : NULL;
  return MOIRE_OK;
}

static moire_status describe_all(prediction *p, const moire__setup *setup, moire__arena *arena,
                                 moire_error *error) {
  moire_graph *graph = moire__setup_graph(setup, MOIRE_INFERENCE, error);
  if (!graph) return MOIRE_ERROR_ARGUMENT;
  p->planes = moire__arena_array(arena, 2 * (size_t)p->n, sizeof *p->planes);
  p->tensors = moire__arena_array(arena, (size_t)p->n, sizeof *p->tensors);
  moire_status status = MOIRE_OK;
  for (int i = 0; i < p->n && !status; i++) status = describe(p, graph, i, arena, error);
  moire_graph_destroy(graph);
  return status;
}

static moire_status run_all(const prediction *p, int64_t batch, moire__tensor_writer *writer,
                            moire_error *error) {
  moire__samples samples = moire__tensors_samples(p->t, p->rows, batch);
  int64_t *order = moire__allocate_array((size_t)batch, sizeof *order);
  moire_status status = MOIRE_OK;
  for (int64_t first = 0; first < p->count && !status; first += batch) {
    int64_t n = p->count - first < batch ? p->count - first : batch;
    for (int64_t i = 0; i < n; i++) order[i] = p->first + first + i;
    status = moire_runner_set_extent(p->runner, "B", n, error);
    if (!status) status = samples.give(samples.context, p->runner, order, n, error);
    if (!status) status = moire_runner_run(p->runner, error);
    for (int i = 0; i < p->n && !status; i++) {
      const char *second = p->planes[2 * i + 1];
      status =
          moire__tensor_writer_append(writer, i, moire_runner_output(p->runner, p->planes[2 * i], NULL),
                                      second ? moire_runner_output(p->runner, second, NULL) : NULL, n, error);
    }
  }
  moire__release(order);
  moire__samples_free(&samples);
  return status;
}

moire_status moire__tensors_predict(moire__predictor *predictor, const moire__predict_job *job,
                                    moire_error *error) {
  moire__setup *setup = &predictor->setup;
  moire__arena arena = {0};
  moire__tensors_rows rows = {0};
  prediction p = {.rows = &rows, .outputs = job->outputs, .n = job->n_outputs};
  moire_status status = moire__setup_build(setup, moire__predictor_where(predictor), error);
  if (status) return status;
  moire__tensors *t = setup->data = moire__allocate(sizeof *t);
  p.t = t;
  status = moire__tensors_inputs(setup, t, error);
  if (!status && !p.outputs) p.outputs = setup->task->served(setup, &arena, &p.n, error);
  if (!p.outputs) status = MOIRE_ERROR_ARGUMENT;
  if (!status) status = moire__tensor_source_open(job->files.data, &t->sources[0], error);
  if (!status) status = moire__tensors_open_rows(t, t->sources[0], &rows, error);
  int64_t batch = job->batch ? job->batch : moire_config_int(setup->training, "eval_batch_size");
  moire__part_take(job->part, MOIRE__PART_TENSORS, "row", rows.n, batch, &p.first, &p.count);
  if (!status) status = describe_all(&p, setup, &arena, error);
  if (!status) status = moire__predictor_compile(predictor, p.outputs, p.n, error);
  if (!status) status = moire__tensors_need(t, &rows, predictor->runner, error);
  if (!status) {
    moire__tensor_writer *writer = NULL;
    p.runner = predictor->runner;
    status = moire__tensor_writer_open(job->path, p.tensors, p.n, NULL, 0, &writer, error);
    if (!status) status = run_all(&p, batch, writer, error);
    status = moire__tensor_writer_close(writer, status, error);
  }
  moire__arena_free(&arena);
  return status;
}
