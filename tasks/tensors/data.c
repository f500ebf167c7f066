/* The tensors of a graph's inputs: which there are, and which rows train, validate and test. See tensors.h. */
#include "tasks/tensors/tensors.h"

#include "runtime/base/hash.h"
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"

#include <inttypes.h>
#include <string.h>

void moire__tensors_free(void *data) {
  moire__tensors *t = data;
  for (int i = 0; i < 3; i++) moire__tensor_source_close(t->sources[i]);
  moire__arena_free(&t->arena);
  moire__release(t);
}

/* ---- Inputs -----------------------------------------------------------------------------------------------
 */

static moire_status add_input(moire__tensors *t, const moire_graph *graph, const moire_port *port,
                              moire_error *error) {
  const char *first = port->shape.rank ? moire_dim_extent_name(graph, port->shape.dims[0], 0) : NULL;
  if (!first || strcmp(first, "B") != 0 || moire_dim_factor(port->shape.dims[0]) != 1)
    return moire_fail(error, MOIRE_ERROR_SHAPE,
                      "the input %s: wanted the batch, moire_extent(g, \"B\"), as its first axis; a program of "
                      "torch.export has it where dynamic_shapes names axis 0",
                      port->name);
  moire__tensors_input *input = &t->inputs[t->n_inputs++];
  *input = (moire__tensors_input){
      .name = moire__arena_copy_string(&t->arena, port->name), .dtype = port->dtype, .rank = port->shape.rank};
  bool complex = port->dtype == MOIRE_C64;
  input->planes[0] = complex ? moire__arena_printf(&t->arena, "%s.real", port->name) : input->name;
  input->planes[1] = complex ? moire__arena_printf(&t->arena, "%s.imag", port->name) : NULL;
  for (int i = 1; i < port->shape.rank; i++) {
    const char *extent = moire_dim_extent_name(graph, port->shape.dims[i], 0);
    int64_t factor = moire_dim_factor(port->shape.dims[i]);
    if (extent && (factor != 1 || !strcmp(extent, "B") || moire_dim_extent_name(graph, port->shape.dims[i], 1)))
      return moire_fail(error, MOIRE_ERROR_SHAPE,
                        "the input %s: axis %d: wanted a number, or a named extent of its own", port->name, i);
    input->shape[i] = extent ? 0 : factor;
    input->extents[i] = extent ? moire__arena_copy_string(&t->arena, extent) : NULL;
  }
  return MOIRE_OK;
}

moire_status moire__tensors_inputs(const moire__setup *setup, moire__tensors *t, moire_error *error) {
  moire_graph *graph = moire__setup_graph(setup, MOIRE_TRAINING, error);
  if (!graph) return MOIRE_ERROR_ARGUMENT;
  t->inputs = moire__arena_array(&t->arena, (size_t)moire_graph_input_count(graph) + 1, sizeof *t->inputs);
  moire_status status = MOIRE_OK;
  for (int i = 0; i < moire_graph_input_count(graph) && !status; i++) {
    moire_port port = moire_graph_input(graph, i);
    if (strcmp(port.name, "rng") != 0) status = add_input(t, graph, &port, error);
  }
  moire_graph_destroy(graph);
  return status;
}

/* ---- Tensors ----------------------------------------------------------------------------------------------
 */

static moire_status take(moire__tensors *t, const moire__tensors_input *input, moire__tensors_rows *rows,
                         const moire__array *array, moire_error *error) {
  int64_t shape[MOIRE_MAX_RANK] = {0};
  for (int i = 1; i < input->rank; i++) {
    shape[i] = input->shape[i];
    if (!input->extents[i] || array->rank != input->rank) continue;
    int64_t known = moire__tensors_extent(t, rows, input->extents[i]);
    shape[i] = known >= 0 ? known : array->shape[i];
  }
  moire_status status = moire__array_check_type(array, input->dtype, error);
  return status ? status : moire__array_check_row(array, input->rank, shape, error);
}

moire_status moire__tensors_open_rows(moire__tensors *t, const moire__tensor_source *source,
                                      moire__tensors_rows *out, moire_error *error) {
  *out = (moire__tensors_rows){.source = source};
  out->arrays = moire__arena_array(&t->arena, (size_t)t->n_inputs + 1, sizeof *out->arrays);
  const moire__array **there = moire__arena_array(&t->arena, (size_t)t->n_inputs + 1, sizeof *there);
  int n = 0;
  for (int i = 0; i < t->n_inputs; i++) {
    const moire__array *array = moire__tensor_source_find(source, t->inputs[i].name);
    if (!array && t->n_inputs == 1 && moire__tensor_source_count(source) == 1)
      array = moire__tensor_source_at(source, 0); /* one tensor for one input: its name says nothing */
    if (!array) continue;
    moire_status status = take(t, &t->inputs[i], out, array, error);
    if (status) return status;
    out->arrays[i] = there[n++] = array;
  }
  return n ? moire__arrays_rows(there, n, &out->n, error) : MOIRE_OK;
}

moire_status moire__tensors_need(const moire__tensors *t, const moire__tensors_rows *rows,
                                 const moire_runner *needed, moire_error *error) {
  for (int i = 0; i < t->n_inputs; i++) {
    const moire__tensors_input *input = &t->inputs[i];
    bool wanted = !needed || moire_runner_has_input(needed, input->planes[0]) ||
                  (input->planes[1] && moire_runner_has_input(needed, input->planes[1]));
    const moire__array *ignored = NULL;
    if (wanted && !rows->arrays[i])
      return moire__tensor_source_need(rows->source, input->name, &ignored, error);
  }
  return MOIRE_OK;
}

int64_t moire__tensors_extent(const moire__tensors *t, const moire__tensors_rows *rows, const char *name) {
  for (int i = 0; i < t->n_inputs; i++) {
    for (int axis = 1; axis < t->inputs[i].rank && rows->arrays[i]; axis++) {
      const char *extent = t->inputs[i].extents[axis];
      if (extent && !strcmp(extent, name)) return rows->arrays[i]->shape[axis];
    }
  }
  return -1;
}

moire_status moire__tensors_set_extents(const moire__tensors *t, const moire__tensors_rows *rows,
                                        moire_runner *runner, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < t->n_inputs && !status; i++) {
    for (int axis = 1; axis < t->inputs[i].rank && rows->arrays[i] && !status; axis++) {
      const char *extent = t->inputs[i].extents[axis];
      if (extent) status = moire_runner_set_extent(runner, extent, rows->arrays[i]->shape[axis], error);
    }
  }
  return status;
}

/* ---- Parts ------------------------------------------------------------------------------------------------
 */

/* One of the three: a file of its own, or NULL. */
static moire_status open_part(moire__tensors *t, int which, const char *path, moire__tensors_rows *out,
                              moire_error *error) {
  moire_status status = moire__tensor_source_open(path, &t->sources[which], error);
  if (!status) status = moire__tensors_open_rows(t, t->sources[which], out, error);
  if (!status) status = moire__tensors_need(t, out, NULL, error);
  for (int i = 0; i < t->n_inputs && !status; i++)
    status = moire__array_check_values(out->arrays[i], t->inputs[i].dtype, error);
  if (!status && out->n == 0) status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: has no rows", path);
  return status;
}

/* Rows order[first .. first + n) of the training's, in the order of the file. */
static moire__tensors_rows part_of(moire__tensors *t, const moire__tensors_rows *all, const int64_t *order,
                                   int64_t first, int64_t n) {
  moire__tensors_rows part = *all;
  bool *chosen = moire__allocate_array((size_t)all->n, sizeof *chosen);
  for (int64_t i = first; i < first + n; i++) chosen[order[i]] = true;
  part.rows = moire__arena_array(&t->arena, (size_t)n + 1, sizeof *part.rows);
  part.n = 0;
  for (int64_t row = 0; row < all->n; row++) {
    if (chosen[row]) part.rows[part.n++] = row;
  }
  moire__release(chosen);
  return part;
}

/* Fractions of the rows, by a permutation that split_seed decides: the first test, the next validate. */
static moire_status divide(moire__tensors *t, const moire_config *training, bool valid, bool test,
                           moire_error *error) {
  int64_t n = t->train.n;
  int64_t n_test = test ? (int64_t)((double)n * moire_config_real(training, "test_fraction") + 0.5) : 0;
  int64_t n_valid = valid ? (int64_t)((double)n * moire_config_real(training, "valid_fraction") + 0.5) : 0;
  const char *path = moire__tensor_source_path(t->train.source);
  if (test && !n_test)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "%s: test_fraction leaves none of its %" PRId64
                      " rows to test with: wanted more, or --test FILE",
                      path, n);
  if (valid && !n_valid)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "%s: valid_fraction leaves none of its %" PRId64
                      " rows to validate with: wanted more, or --valid FILE",
                      path, n);
  if (n_test + n_valid >= n)
    return moire_fail(
        error, MOIRE_ERROR_ARGUMENT,
        "%s: has %" PRId64 " rows, of which valid_fraction and test_fraction leave none to train on", path, n);
  if (!n_test && !n_valid) return MOIRE_OK;
  moire__tensors_rows all = t->train;
  int64_t *order = moire__allocate_array((size_t)n, sizeof *order);
  moire__permutation((uint64_t)moire_config_int(training, "split_seed"), 0, n, order);
  if (test) t->test = part_of(t, &all, order, 0, n_test);
  if (valid) t->valid = part_of(t, &all, order, n_test, n_valid);
  t->train = part_of(t, &all, order, n_test + n_valid, n - n_test - n_valid);
  moire__release(order);
  return MOIRE_OK;
}

/* Of the contents of all files, and of the parts. */
static uint64_t fingerprint_of(const moire__tensors *t) {
  const moire__tensors_rows *parts[] = {&t->train, &t->valid, &t->test};
  uint64_t hash = MOIRE__FNV_START;
  for (int i = 0; i < 3; i++) {
    hash = moire__fnv(hash, moire__arrays_fingerprint(parts[i]->arrays, t->n_inputs));
    for (int64_t row = 0; parts[i]->rows && row < parts[i]->n; row++)
      hash = moire__fnv(hash, (uint64_t)parts[i]->rows[row]);
  }
  return hash;
}

static const char *given(const char *option, const moire_config *training, const char *key) {
  const char *text = option ? option : moire_config_string(training, key);
  return *text ? text : NULL;
}

moire_status moire__tensors_read(moire__setup *setup, const moire__data_files *files, const char *where,
                                 moire_error *error) {
  moire_status status = moire__setup_build(setup, where, error);
  if (status) return status;
  moire__tensors *t = setup->data = moire__allocate(sizeof *t);
  status = moire__tensors_inputs(setup, t, error);
  const char *valid = given(files->valid, setup->training, "valid");
  const char *test = given(files->test, setup->training, "test");
  if (!status) status = open_part(t, 0, files->data, &t->train, error);
  if (!status && valid) status = open_part(t, 1, valid, &t->valid, error);
  if (!status && test) status = open_part(t, 2, test, &t->test, error);
  if (!status) status = divide(t, setup->training, !valid, !test, error);
  if (!status) t->fingerprint = fingerprint_of(t);
  return status;
}
