/* A graph under the compiler or under the interpreter. See session.h. */
#include "tools/session.h"

#include "runtime/base/memory.h"

#include <inttypes.h>
#include <string.h>

struct tool_session {
  moire_oracle *oracle; /* the interpreter, or NULL: the rest */
  moire_program *program;
  moire_store *store;
  moire_runner *runner;
  void **inputs; /* [buffers of the plan]: what was set, in the type of the plan */
};

static const moire_plan *plan_of(const tool_session *s) { return moire_program_plan(s->program); }

tool_session *tool_session_create(tool_engine engine, const moire_graph *graph,
                                  const moire_compile_options *options, moire_threads *threads,
                                  moire_error *error) {
  tool_session *s = moire__allocate(sizeof *s);
  bool good = false;
  if (engine == TOOL_ENGINE_INTERPRETER) {
    s->oracle = moire_oracle_create(graph, options, error);
    good = s->oracle != NULL;
  } else {
    s->program = moire_compile(graph, options, error);
    s->store = moire_store_create();
    good = s->program && !moire_store_declare(s->store, plan_of(s), 0, error);
    if (good) s->runner = moire_runner_create(plan_of(s), s->store, threads, error);
    good = s->runner != NULL;
    if (good) s->inputs = moire__allocate_array((size_t)plan_of(s)->n_buffers + 1, sizeof *s->inputs);
  }
  if (good) return s;
  tool_session_destroy(s);
  return NULL;
}

void tool_session_destroy(tool_session *s) {
  if (!s) return;
  for (int i = 0; s->inputs && i < plan_of(s)->n_buffers; i++) moire__release(s->inputs[i]);
  moire__release(s->inputs);
  moire_runner_destroy(s->runner);
  moire_store_destroy(s->store);
  moire_program_destroy(s->program);
  moire_oracle_destroy(s->oracle);
  moire__release(s);
}

/* ---- Numbers ----------------------------------------------------------------------------------------------
 */

static bool holds_numbers(moire_dtype dtype) {
  return dtype == MOIRE_F32 || dtype == MOIRE_F64 || dtype == MOIRE_I32 || dtype == MOIRE_I64 ||
         dtype == MOIRE_BOOL;
}

static void widen(const void *from, moire_dtype dtype, int64_t n, double *to) {
  for (int64_t i = 0; i < n; i++) {
    switch (dtype) {
      case MOIRE_F32: to[i] = (double)((const float *)from)[i]; break;
      case MOIRE_F64: to[i] = ((const double *)from)[i]; break;
      case MOIRE_I32: to[i] = ((const int32_t *)from)[i]; break;
      case MOIRE_I64: to[i] = (double)((const int64_t *)from)[i]; break;
      case MOIRE_BOOL: to[i] = ((const bool *)from)[i]; break;
      case MOIRE_BF16:
      case MOIRE_C64: to[i] = 0; break;
    }
  }
}

static void narrow(const double *from, moire_dtype dtype, int64_t n, void *to) {
  for (int64_t i = 0; i < n; i++) {
    switch (dtype) {
      case MOIRE_F32: ((float *)to)[i] = (float)from[i]; break;
      case MOIRE_F64: ((double *)to)[i] = from[i]; break;
      case MOIRE_I32: ((int32_t *)to)[i] = (int32_t)from[i]; break;
      case MOIRE_I64: ((int64_t *)to)[i] = (int64_t)from[i]; break;
      case MOIRE_BOOL: ((bool *)to)[i] = from[i] != 0; break;
      case MOIRE_BF16:
      case MOIRE_C64: break;
    }
  }
}

/* ---- States -----------------------------------------------------------------------------------------------
 */

int tool_session_state_count(const tool_session *s) {
  return s->oracle ? moire_oracle_state_count(s->oracle) : moire_store_count(s->store);
}

moire_plan_state tool_session_state(const tool_session *s, int i) {
  return s->oracle ? moire_oracle_state(s->oracle, i) : moire_store_at(s->store, i);
}

static moire_dtype state_dtype(const tool_session *s, const char *name) {
  for (int i = 0; i < tool_session_state_count(s); i++) {
    moire_plan_state state = tool_session_state(s, i);
    if (!strcmp(state.name, name)) return state.dtype;
  }
  return MOIRE_BOOL;
}

int64_t tool_session_state_elements(const tool_session *s, const char *name) {
  int64_t n = 0;
  const void *data =
      s->oracle ? moire_oracle_state_data(s->oracle, name, &n) : moire_store_data(s->store, name, &n);
  return data ? n : -1;
}

void tool_session_set_state(tool_session *s, const char *name, const double *values) {
  int64_t n = 0;
  if (s->oracle) {
    double *data = moire_oracle_state_data(s->oracle, name, &n);
    if (data) memcpy(data, values, (size_t)n * sizeof *data);
  } else {
    void *data = moire_store_data(s->store, name, &n);
    if (data) narrow(values, state_dtype(s, name), n, data);
  }
}

void tool_session_get_state(const tool_session *s, const char *name, double *values) {
  int64_t n = 0;
  if (s->oracle) {
    const double *data = moire_oracle_state_data(s->oracle, name, &n);
    if (data) memcpy(values, data, (size_t)n * sizeof *data);
  } else {
    const void *data = moire_store_data(s->store, name, &n);
    if (data) widen(data, state_dtype(s, name), n, values);
  }
}

/* ---- Runs -------------------------------------------------------------------------------------------------
 */

static int find_buffer(const tool_session *s, moire_plan_role role, const char *name) {
  const moire_plan *plan = plan_of(s);
  for (int i = 0; i < plan->n_buffers; i++) {
    if (plan->buffers[i].role == role && !strcmp(plan->buffers[i].name, name)) return i;
  }
  return -1;
}

moire_status tool_session_set_extent(tool_session *s, const char *name, int64_t size, moire_error *error) {
  return s->oracle ? moire_oracle_set_extent(s->oracle, name, size, error)
                   : moire_runner_set_extent(s->runner, name, size, error);
}

moire_status tool_session_set_input(tool_session *s, const char *name, const double *values, int64_t n,
                                    moire_error *error) {
  if (s->oracle) {
    if (!moire_oracle_has_input(s->oracle, name)) return MOIRE_OK;
    return moire_oracle_set_input(s->oracle, name, values, n, error);
  }
  int i = find_buffer(s, MOIRE_PLAN_INPUT, name);
  if (i < 0) return MOIRE_OK;
  moire_dtype dtype = plan_of(s)->buffers[i].dtype;
  if (!holds_numbers(dtype)) return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "input %s: is no number", name);
  moire__release(s->inputs[i]);
  s->inputs[i] = moire__allocate_array((size_t)n + 1, sizeof(double));
  narrow(values, dtype, n, s->inputs[i]);
  return moire_runner_set_input(s->runner, name, s->inputs[i], n, error);
}

moire_status tool_session_run(tool_session *s, moire_error *error) {
  return s->oracle ? moire_oracle_run(s->oracle, error) : moire_runner_run(s->runner, error);
}

moire_status tool_session_output(const tool_session *s, const char *name, double *values, int64_t n,
                                 moire_error *error) {
  int64_t there = 0;
  moire_dtype dtype = MOIRE_F64;
  const void *data = NULL;
  if (s->oracle) {
    data = moire_oracle_output(s->oracle, name, &there);
  } else {
    data = moire_runner_output(s->runner, name, &there);
    if (data) dtype = plan_of(s)->buffers[find_buffer(s, MOIRE_PLAN_OUTPUT, name)].dtype;
  }
  if (!data || there != n || !holds_numbers(dtype)) {
    return moire_fail(error, MOIRE_ERROR_SHAPE, "output %s: wanted %" PRId64 " numbers, but %" PRId64 " came",
                      name, n, there);
  }
  widen(data, dtype, n, values);
  return MOIRE_OK;
}
