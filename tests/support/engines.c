/* Running graphs: see engines.h. */
#include "tests/support/engines.h"

#include "compiler/ir/graph/rewrite.h"
#include "runtime/base/layout.h"
#include "runtime/base/philox.h"
#include "runtime/base/planes.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- data ------------------------------------------------------------------------------------------------ */

static moire_value planes_of_input(moire_graph *to, const moire__node *node, moire_shape shape) {
  moire_value planes[2];
  for (int i = 0; i < 2; i++) {
    char name[80];
    snprintf(name, sizeof name, "%s%s", moire__node_text(node, "name"), moire__plane_suffix(i));
    planes[i] = moire_input(to, name, MOIRE_F32, shape);
  }
  return moire_complex(planes[0], planes[1]);
}

moire_graph *test_real_inputs(const moire_graph *g) {
  moire__rewrite r = moire__rewrite_begin(g);
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    const moire__value_info *info = &g->values[node->first_result];
    if (node->op == MOIRE__OP_input && info->dtype == MOIRE_C64) {
      moire__rewrite_set(&r, node->first_result, planes_of_input(r.to, node, info->shape));
    } else {
      moire__rewrite_clone(&r, node);
    }
  }
  moire_graph *result = moire__rewrite_finish(&r, NULL);
  assert(result);
  return result;
}

static double draw(moire__random *random, moire_dtype dtype, double low, double high) {
  double x = low + (high - low) * moire__random_real(random);
  if (dtype == MOIRE_BOOL) return (double)moire__random_below(random, 2);
  if (moire__dtype_is_int(dtype)) return floor(x);
  if (dtype == MOIRE_F64) return x;
  float narrow = (float)x;
  if (dtype == MOIRE_BF16) {
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    bits &= 0xffff0000u;
    memcpy(&narrow, &bits, sizeof bits);
  }
  return (double)narrow;
}

static test_range range_of(const test_range *ranges, int n, const char *name) {
  for (int i = 0; i < n; i++) {
    size_t length = strcspn(ranges[i].name, "*");
    if (strncmp(name, ranges[i].name, length) != 0) continue;
    const char *rest = name + length;
    if (!*rest || ranges[i].name[length] || moire__plane_of(name, ranges[i].name) >= 0) return ranges[i];
  }
  return (test_range){name, -1, 1};
}

static moire__named_tensor draw_tensor(moire__random *random, const char *name, moire_dtype dtype,
                                       const moire_shape *shape, const int64_t *extents, test_range range) {
  moire__tensor *t = moire__tensor_create(dtype, shape, extents);
  moire_dtype plane = dtype == MOIRE_C64 ? MOIRE_F32 : dtype;
  for (int64_t i = 0; i < t->elements; i++) {
    t->re[i] = draw(random, plane, range.low, range.high);
    if (t->im) t->im[i] = draw(random, plane, range.low, range.high);
  }
  return (moire__named_tensor){name, t};
}

/* The planes of a complex input beside it, for graphs and plans after the split. */
static void add_planes(test_feed *feed, const moire__named_tensor *input, const moire_shape *shape) {
  for (int plane = 0; plane < 2; plane++) {
    const moire__tensor *whole = input->tensor;
    moire__tensor *t = moire__tensor_create(MOIRE_F32, shape, feed->extents);
    if (t->elements) memcpy(t->re, plane ? whole->im : whole->re, (size_t)t->elements * sizeof *t->re);
    const char *name = moire__arena_printf(&feed->arena, "%s%s", input->name, moire__plane_suffix(plane));
    feed->inputs[feed->n_inputs++] = (moire__named_tensor){name, t};
  }
}

test_feed test_feed_draw(const moire_graph *g, const test_range *ranges, int n_ranges, int64_t size,
                         uint64_t seed) {
  test_feed feed = {.n_inputs = 0};
  moire__random random = moire__random_start(seed, 1);
  for (int i = 1; i <= g->n_extents; i++) feed.extents[i] = i == 1 ? size : (size + i) % 6;
  feed.inputs = moire__allocate_array(3 * (size_t)g->n_nodes + 1, sizeof *feed.inputs);
  feed.states = moire__allocate_array((size_t)g->n_states + 1, sizeof *feed.states);
  for (int i = 0; i < g->n_nodes; i++) {
    if (g->nodes[i].op != MOIRE__OP_input) continue;
    const char *name = moire__node_text(&g->nodes[i], "name");
    if (moire__named_tensor_find(feed.inputs, feed.n_inputs, name)) continue;
    const moire__value_info *info = &g->values[g->nodes[i].first_result];
    moire__named_tensor *input = &feed.inputs[feed.n_inputs++];
    *input =
        draw_tensor(&random, name, info->dtype, &info->shape, feed.extents, range_of(ranges, n_ranges, name));
    if (info->dtype == MOIRE_C64) add_planes(&feed, input, &info->shape);
  }
  for (int i = 0; i < g->n_states; i++) {
    const moire__state_info *state = &g->states[i];
    feed.states[feed.n_states++] = draw_tensor(&random, state->name, state->dtype, &state->shape, feed.extents,
                                               range_of(ranges, n_ranges, state->name));
  }
  return feed;
}

void test_feed_free(test_feed *feed) {
  for (int i = 0; i < feed->n_inputs; i++) moire__tensor_destroy(feed->inputs[i].tensor);
  for (int i = 0; i < feed->n_states; i++) moire__tensor_destroy(feed->states[i].tensor);
  moire__release(feed->inputs);
  moire__release(feed->states);
  moire__arena_free(&feed->arena);
  *feed = (test_feed){0};
}

moire__tensor *test_feed_find(const test_feed *feed, const char *name) {
  moire__tensor *t = moire__named_tensor_find(feed->inputs, feed->n_inputs, name);
  return t ? t : moire__named_tensor_find(feed->states, feed->n_states, name);
}

/* ---- elements in memory ---------------------------------------------------------------------------------- */

static size_t bytes_of(moire_dtype dtype, bool in_double) {
  if (in_double && dtype == MOIRE_F32) return sizeof(double);
  return moire__loop_type_bytes(moire__loop_type_from_dtype(dtype));
}

static void put(void *to, moire_dtype dtype, bool in_double, int64_t i, double x) {
  float narrow = (float)x;
  uint32_t bits;
  memcpy(&bits, &narrow, sizeof bits);
  switch (dtype) {
    case MOIRE_F32:
      if (in_double) {
        ((double *)to)[i] = x;
      } else {
        ((float *)to)[i] = narrow;
      }
      return;
    case MOIRE_F64: ((double *)to)[i] = x; return;
    case MOIRE_BF16: ((uint16_t *)to)[i] = (uint16_t)(bits >> 16); return;
    case MOIRE_I32: ((int32_t *)to)[i] = (int32_t)x; return;
    case MOIRE_I64: ((int64_t *)to)[i] = (int64_t)x; return;
    case MOIRE_BOOL: ((uint8_t *)to)[i] = x != 0; return;
    case MOIRE_C64: return;
  }
}

static double get(const void *from, moire_dtype dtype, bool in_double, int64_t i) {
  uint32_t bits = 0;
  float wide;
  switch (dtype) {
    case MOIRE_F32: return in_double ? ((const double *)from)[i] : (double)((const float *)from)[i];
    case MOIRE_F64: return ((const double *)from)[i];
    case MOIRE_BF16:
      bits = (uint32_t)((const uint16_t *)from)[i] << 16;
      memcpy(&wide, &bits, sizeof wide);
      return (double)wide;
    case MOIRE_I32: return ((const int32_t *)from)[i];
    case MOIRE_I64: return (double)((const int64_t *)from)[i];
    case MOIRE_BOOL: return ((const uint8_t *)from)[i];
    case MOIRE_C64: break;
  }
  return (double)NAN;
}

static void *packed(moire__arena *arena, const moire__tensor *t, bool in_double) {
  void *data = moire__arena_array(arena, (size_t)t->elements + 1, bytes_of(t->dtype, in_double));
  for (int64_t i = 0; i < t->elements; i++) put(data, t->dtype, in_double, i, t->re[i]);
  return data;
}

static void unpack(test_values *out, const test_value *like, const void *data, bool in_double) {
  test_value *to = test_values_add(out, like->name, like->is_update, like->dtype, like->elements);
  for (int64_t i = 0; i < like->elements; i++) to->value[i] = get(data, like->dtype, in_double, i);
}

/* ---- graphs ---------------------------------------------------------------------------------------------- */

static void add_tensor(test_values *out, const moire__named_tensor *from, bool is_update) {
  const moire__tensor *t = from->tensor;
  for (int plane = 0; plane < (t->im ? 2 : 1); plane++) {
    const char *name = from->name;
    if (t->im) name = moire__arena_printf(&out->arena, "%s%s", from->name, moire__plane_suffix(plane));
    test_value *to = test_values_add(out, name, is_update, t->im ? MOIRE_F32 : t->dtype, t->elements);
    if (t->elements) memcpy(to->value, plane ? t->im : t->re, (size_t)t->elements * sizeof *t->re);
  }
}

moire_status test_run_graph(const moire_graph *g, const test_feed *feed, test_values *out, moire_error *error) {
  *out = (test_values){0};
  moire__graph_feed given = {.extents = feed->extents,
                             .inputs = feed->inputs,
                             .n_inputs = feed->n_inputs,
                             .states = feed->states,
                             .n_states = feed->n_states};
  moire__graph_results results = {0};
  moire_status status = moire__graph_interpret(g, &given, &results, error);
  for (int i = 0; i < results.n_outputs; i++) add_tensor(out, &results.outputs[i], false);
  for (int i = 0; i < results.n_updates; i++) add_tensor(out, &results.updates[i], true);
  moire__graph_results_free(&results);
  return status;
}

/* ---- loop nests ------------------------------------------------------------------------------------------ */

static int find_plan_buffer(const moire_plan *plan, moire_plan_role role, const char *name) {
  for (int i = 0; i < plan->n_buffers; i++) {
    if (plan->buffers[i].role == role && strcmp(plan->buffers[i].name, name) == 0) return i;
  }
  return -1;
}

static int64_t buffer_elements(const moire_plan_buffer *buffer, const int64_t *extents) {
  return moire__dim_size(buffer->elements, extents);
}

/* Inputs and states as given, everything else spoiled. */
static void **make_buffers(const moire_plan *plan, const test_feed *feed, moire__arena *arena,
                           moire_error *error) {
  void **buffers = moire__arena_array(arena, (size_t)plan->n_buffers + 1, sizeof *buffers);
  for (int i = 0; i < plan->n_buffers; i++) {
    const moire_plan_buffer *b = &plan->buffers[i];
    int64_t n = buffer_elements(b, feed->extents);
    bool given = b->role == MOIRE_PLAN_INPUT || b->role == MOIRE_PLAN_STATE;
    const moire__tensor *t = given ? test_feed_find(feed, b->name) : NULL;
    if (given && (!t || t->elements != n)) {
      moire_fail(error, MOIRE_ERROR_INTERNAL, "buffer %s was not given, or in another size", b->name);
      return NULL;
    }
    buffers[i] =
        t ? packed(arena, t, true) : moire__arena_array(arena, (size_t)n + 1, bytes_of(b->dtype, true));
    bool is_int = moire__dtype_is_int(b->dtype);
    for (int64_t e = 0; e < n && !t; e++) put(buffers[i], b->dtype, true, e, is_int ? -987654321 : (double)NAN);
  }
  return buffers;
}

static moire_status run_step(const moire__module *m, const moire_plan_step *step, void *const *buffers,
                             const int64_t *extents, bool backwards, moire_error *error) {
  moire__arena arena = {0};
  void **arguments = moire__arena_array(&arena, (size_t)step->n_buffers + 1, sizeof *arguments);
  for (int i = 0; i < step->n_buffers; i++) arguments[i] = buffers[step->buffers[i]];
  int64_t count = moire__dim_size(step->count, extents);
  int64_t pieces = count / step->block + (count % step->block != 0);
  const moire__loop_kernel *k = m->kernels[step->kernel];
  int64_t own[MOIRE_MAX_EXTENTS + 1];
  const int64_t *given = moire__step_extents(&m->plan, step, extents, own);
  moire_status status = MOIRE_OK;
  if (!backwards) status = moire__loop_interpret(k, arguments, given, 0, pieces, true, error);
  for (int64_t p = pieces - 1; backwards && p >= 0 && status == MOIRE_OK; p--)
    status = moire__loop_interpret(k, arguments, given, p, p + 1, true, error);
  moire__arena_free(&arena);
  return status;
}

static void copy_updates(const moire_plan *plan, void **buffers, const int64_t *extents, moire__arena *arena) {
  void **staged = moire__arena_array(arena, (size_t)plan->n_updates + 1, sizeof *staged);
  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; i < plan->n_updates; i++) {
      const moire_plan_update *u = &plan->updates[i];
      const moire_plan_buffer *b = &plan->buffers[u->from];
      size_t bytes = (size_t)buffer_elements(b, extents) * bytes_of(b->dtype, true);
      if (pass == 0) staged[i] = moire__arena_alloc(arena, bytes + 1);
      memcpy(pass ? buffers[u->state] : staged[i], pass ? staged[i] : buffers[u->from], bytes);
    }
  }
}

moire_status test_run_loops(const moire__module *m, const test_feed *feed, bool backwards,
                            const test_values *want, test_values *out, moire_error *error) {
  *out = (test_values){0};
  const moire_plan *plan = &m->plan;
  moire__arena arena = {0};
  void **buffers = make_buffers(plan, feed, &arena, error);
  moire_status status = buffers ? MOIRE_OK : MOIRE_ERROR_INTERNAL;
  for (int i = 0; i < plan->n_steps && status == MOIRE_OK; i++)
    status = run_step(m, &plan->steps[i], buffers, feed->extents, backwards, error);
  if (status == MOIRE_OK) copy_updates(plan, buffers, feed->extents, &arena);
  for (int i = 0; i < want->n && status == MOIRE_OK; i++) {
    const test_value *w = &want->list[i];
    int b = find_plan_buffer(plan, w->is_update ? MOIRE_PLAN_STATE : MOIRE_PLAN_OUTPUT, w->name);
    bool fits = b >= 0 && plan->buffers[b].dtype == w->dtype &&
                buffer_elements(&plan->buffers[b], feed->extents) == w->elements;
    if (fits) unpack(out, w, buffers[b], true);
  }
  moire__arena_free(&arena);
  return status;
}

/* ---- native code ----------------------------------------------------------------------------------------- */

static moire_status fill_store(moire_store *store, const test_feed *feed, moire_error *error) {
  for (int i = 0; i < moire_store_count(store); i++) {
    moire_plan_state state = moire_store_at(store, i);
    const moire__tensor *t = moire__named_tensor_find(feed->states, feed->n_states, state.name);
    int64_t n = 0;
    void *data = moire_store_data(store, state.name, &n);
    if (!t || t->elements != n)
      return moire_fail(error, MOIRE_ERROR_INTERNAL, "state %s was not given, or in another size", state.name);
    for (int64_t e = 0; e < n; e++) put(data, state.dtype, false, e, t->re[e]);
  }
  return MOIRE_OK;
}

static moire_status set_inputs(moire_runner *runner, const moire_plan *plan, const test_feed *feed,
                               moire__arena *arena, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 1; i <= plan->n_extents && status == MOIRE_OK; i++)
    status = moire_runner_set_extent(runner, plan->extents[i], feed->extents[i], error);
  for (int i = 0; i < feed->n_inputs && status == MOIRE_OK; i++) {
    const moire__tensor *t = feed->inputs[i].tensor;
    if (!moire_runner_has_input(runner, feed->inputs[i].name)) continue;
    status = moire_runner_set_input(runner, feed->inputs[i].name, packed(arena, t, false), t->elements, error);
  }
  return status;
}

static void read_results(const moire_runner *runner, moire_store *store, const test_values *want,
                         test_values *out) {
  for (int i = 0; i < want->n; i++) {
    const test_value *w = &want->list[i];
    int64_t n = 0;
    const void *data =
        w->is_update ? moire_store_data(store, w->name, &n) : moire_runner_output(runner, w->name, &n);
    if (data && n == w->elements) unpack(out, w, data, false);
  }
}

moire_status test_run_plan(const moire_plan *plan, const test_feed *feed, moire_threads *threads,
                           const test_values *want, test_values *out, moire_error *error) {
  *out = (test_values){0};
  moire__arena arena = {0};
  moire_store *store = moire_store_create();
  moire_status status = moire_store_declare(store, plan, 1, error);
  if (status == MOIRE_OK) status = fill_store(store, feed, error);
  moire_runner *runner = status == MOIRE_OK ? moire_runner_create(plan, store, threads, error) : NULL;
  if (!runner) status = MOIRE_ERROR_INTERNAL;
  if (runner) status = set_inputs(runner, plan, feed, &arena, error);
  if (status == MOIRE_OK) status = moire_runner_run(runner, error);
  if (status == MOIRE_OK) read_results(runner, store, want, out);
  moire_runner_destroy(runner);
  moire_store_destroy(store);
  moire__arena_free(&arena);
  return status;
}
