/* A profile as a JSON document: times from the recording, everything else from what the compiler knows. */
#include "compiler/profile/document.h"

#include "compiler/driver/compile.h"
#include "moire/version.h"
#include "runtime/base/layout.h"
#include "runtime/base/memory.h"
#include "compiler/profile/describe.h"

#include <stdlib.h>
#include <string.h>

/* ---- Numbers ----------------------------------------------------------------------------------------------
 */

static int compare_times(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static int64_t median_of(int64_t *times, int n) {
  if (!n) return 0;
  qsort(times, (size_t)n, sizeof *times, compare_times);
  return n % 2 ? times[n / 2] : (times[n / 2 - 1] + times[n / 2]) / 2;
}

/* {"median_ns", "mad_ns", "min_ns", "total_ns"}: mad is the median distance from the median. Sorts `times`. */
static json_t *summary(int64_t *times, int n) {
  int64_t total = 0;
  for (int i = 0; i < n; i++) total += times[i];
  int64_t median = median_of(times, n), least = n ? times[0] : 0;
  for (int i = 0; i < n; i++) times[i] = llabs(times[i] - median);
  return json_pack("{s:I, s:I, s:I, s:I}", "median_ns", (json_int_t)median, "mad_ns",
                   (json_int_t)median_of(times, n), "min_ns", (json_int_t)least, "total_ns", (json_int_t)total);
}

static int64_t step_time(const moire__recorded_run *run, int step) {
  return run->steps[step] - (step ? run->steps[step - 1] : run->prepared);
}

/* ---- The run as a whole -----------------------------------------------------------------------------------
 */

typedef struct maker {
  const moire__profile_input *in;
  const moire__module *module;
  const moire_plan *plan;
  int n_runs;
  int64_t *times;  /* [n_runs], scratch */
  int64_t wall;    /* of all runs, with their batches */
  double **shares; /* [n_steps] */
  moire__arena arena;
  int64_t extents[MOIRE_MAX_EXTENTS + 1]; /* the largest of every named extent */
} maker;

static int64_t batch_time(const maker *m, int run) { return m->in->batches ? m->in->batches[run] : 0; }

static int64_t wall_time(const maker *m, int run) {
  const moire__recorded_run *r = moire__recording_at(m->in->recording, run);
  return batch_time(m, run) + r->end - r->begin;
}

/* Where a step's time goes that is no kernel's. */
static json_t *outside(const maker *m) {
  int64_t batch = 0, prepare = 0, update = 0;
  for (int i = 0; i < m->n_runs; i++) {
    const moire__recorded_run *r = moire__recording_at(m->in->recording, i);
    batch += batch_time(m, i);
    prepare += r->prepared - r->begin;
    update += r->end - (m->plan->n_steps ? r->steps[m->plan->n_steps - 1] : r->prepared);
  }
  return json_pack("{s:I, s:I, s:I}", "batch_ns", (json_int_t)batch, "prepare_ns", (json_int_t)prepare,
                   "updates_ns", (json_int_t)update);
}

static json_t *times(const maker *m) {
  int64_t kernels = 0;
  json_t *walls = json_array();
  for (int i = 0; i < m->n_runs; i++) {
    const moire__recorded_run *r = moire__recording_at(m->in->recording, i);
    m->times[i] = wall_time(m, i);
    json_array_append_new(walls, json_integer(m->times[i]));
    if (m->plan->n_steps) kernels += r->steps[m->plan->n_steps - 1] - r->prepared;
  }
  return json_pack("{s:o, s:o, s:I, s:o}", "step", summary(m->times, m->n_runs), "steps_ns", walls,
                   "kernels_ns", (json_int_t)kernels, "outside", outside(m));
}

/* The mean and the largest size of every named extent. */
static json_t *extents(maker *m) {
  json_t *out = json_object();
  for (int e = 1; e <= m->plan->n_extents; e++) {
    double sum = 0;
    for (int i = 0; i < m->n_runs; i++) {
      int64_t size = moire__recording_at(m->in->recording, i)->extents[e];
      sum += (double)size;
      if (size > m->extents[e]) m->extents[e] = size;
    }
    json_object_set_new(
        out, m->plan->extents[e],
        json_pack("{s:f, s:I}", "mean", m->n_runs ? sum / m->n_runs : 0, "max", (json_int_t)m->extents[e]));
  }
  return out;
}

/* {"tokens", "positions"}: means over the steps of a packed plan, which leaves the other positions out. */
static json_t *packing(const maker *m) {
  const moire_plan_packing *p = &m->plan->packing;
  double tokens = 0, positions = 0;
  for (int i = 0; i < m->n_runs; i++) {
    const int64_t *sizes = moire__recording_at(m->in->recording, i)->extents;
    int64_t all = 0;
    int samples = p->lengths; /* has one for each, others have L */
    if (samples < 0) samples = p->ids >= 0 ? p->ids : p->targets;
    moire__extent_size(m->plan->buffers[samples].elements, sizes, &all);
    if (samples == p->lengths) all *= p->length;
    tokens += (double)(sizes[p->extent] * p->block) / m->n_runs;
    positions += (double)all / m->n_runs;
  }
  return json_pack("{s:f, s:f}", "tokens", tokens, "positions", positions);
}

/* What the hardware counted in a step, in the mean. */
static json_t *counters(const maker *m) {
  json_t *out = json_object();
  for (int i = 0; moire__counters_name(i); i++) {
    double value = moire__counters_value(m->in->counters, i);
    if (value >= 0 && m->n_runs) {
      json_object_set_new(out, moire__counters_name(i), json_real(value / m->n_runs));
    }
  }
  return out;
}

/* ---- Kernels ----------------------------------------------------------------------------------------------
 */

static json_t *threads_of(const maker *m, int step, double *balance) {
  json_t *list = json_array();
  int64_t most = 0, sum = 0;
  int n = moire__recording_threads(m->in->recording);
  for (int t = 0; t < n; t++) {
    int64_t busy = moire__recording_busy(m->in->recording, step, t);
    json_array_append_new(list, json_integer(busy));
    sum += busy;
    if (busy > most) most = busy;
  }
  *balance = most ? (double)sum / ((double)most * n) : 1;
  return list;
}

/* How long the machine must take at least, and for what. */
typedef struct roof {
  double seconds;
  const char *bound; /* "arithmetic", "L1", "L2", "L3", "memory" */
} roof;

static void raise_roof(roof *r, double amount, moire__peak peak, const char *bound) {
  double seconds = peak.all > 0 ? amount / peak.all : 0;
  if (seconds > r->seconds) *r = (roof){seconds, bound};
}

static roof roof_of(const moire__peaks *p, const moire__profile_work *w, double runs) {
  roof r = {0, "arithmetic"};
  raise_roof(&r, w->flop / runs, p->fma, "arithmetic");
  if (p->n_levels < 2) return r;
  raise_roof(&r, w->accessed / runs, p->levels[0].read, p->levels[0].name);
  for (int i = 1; i < p->n_levels; i++) raise_roof(&r, w->from[i] / runs, p->levels[i].read, p->levels[i].name);
  return r;
}

/* Operations and bytes of one call, and what that makes of the median time. */
static void add_work(const maker *m, int step, json_t *out) {
  const moire__profile_work *w = moire__profile_counter_step(m->in->work, step);
  int counted = moire__profile_counter_runs(m->in->work);
  double runs = counted ? counted : 1, flop = w->flop / runs, touched = w->touched / runs;
  double seconds = 1e-9 * json_number_value(json_object_get(out, "median_ns"));
  json_object_set_new(out, "flop", json_real(flop));
  json_object_set_new(out, "exact", json_boolean(w->exact));
  json_object_set_new(out, "bytes",
                      json_pack("{s:f, s:f, s:f, s:f}", "accessed", w->accessed / runs, "touched", touched,
                                "cache", (w->touched - w->memory) / runs, "memory", w->memory / runs));
  json_object_set_new(out, "gflops", json_real(seconds > 0 ? 1e-9 * flop / seconds : 0));
  json_object_set_new(out, "gbps", json_real(seconds > 0 ? 1e-9 * touched / seconds : 0));
  json_object_set_new(out, "intensity", json_real(touched > 0 ? flop / touched : 0));
  if (w->asked > 0) {
    json_object_set_new(out, "conditions",
                        json_pack("{s:f, s:f}", "asked", w->asked / runs, "taken", w->taken / runs));
  }
  if (!m->in->peaks) return;
  roof r = roof_of(m->in->peaks, w, runs);
  json_t *levels = json_object();
  for (int i = 0; i < m->in->peaks->n_levels; i++)
    json_object_set_new(levels, m->in->peaks->levels[i].name, json_real(w->from[i] / runs));
  json_object_set_new(json_object_get(out, "bytes"), "levels", levels);
  double share = seconds > 0 ? r.seconds / seconds : 0;
  json_object_set_new(out, "roofline",
                      json_pack("{s:f, s:s, s:f, s:b}", "share", share, "bound", r.bound, "ceiling_ns",
                                1e9 * r.seconds, "exceeds", share > 1.02));
}

static json_t *kernel(const maker *m, int step) {
  const moire_plan_step *s = &m->plan->steps[step];
  for (int i = 0; i < m->n_runs; i++) m->times[i] = step_time(moire__recording_at(m->in->recording, i), step);
  double balance = 1;
  int64_t count = 0;
  moire__extent_size(s->count, m->extents, &count);
  json_t *out =
      json_pack("{s:i, s:s, s:i, s:i}", "id", step, "name", s->name, "code", s->kernel, "calls", m->n_runs);
  json_object_update_new(out, summary(m->times, m->n_runs));
  double total = (double)json_integer_value(json_object_get(out, "total_ns"));
  json_object_set_new(out, "share", json_real(m->wall ? total / (double)m->wall : 0));
  json_object_set_new(out, "threads_ns", threads_of(m, step, &balance));
  json_object_set_new(out, "balance", json_real(balance));
  json_object_set_new(out, "pieces", json_integer(count / s->block + (count % s->block != 0)));
  json_object_set_new(out, "block", json_integer(s->block));
  if (m->in->work) add_work(m, step, out);
  moire__profile_describe(m->module, step, m->shares[step], out);
  return out;
}

static json_t *kernels(const maker *m) {
  json_t *list = json_array();
  for (int i = 0; i < m->plan->n_steps; i++) json_array_append_new(list, kernel(m, i));
  return list;
}

/* ---- Memory and time line ---------------------------------------------------------------------------------
 */

static const char *role_name(moire_plan_role role) {
  switch (role) {
    case MOIRE_PLAN_INPUT: return "input";
    case MOIRE_PLAN_STATE: return "state";
    case MOIRE_PLAN_OUTPUT: return "output";
    case MOIRE_PLAN_TEMPORARY: return "temporary";
  }
  return "?";
}

static json_t *buffers(const maker *m) {
  json_t *list = json_array();
  for (int i = 0; i < m->plan->n_buffers; i++) {
    const moire_plan_buffer *b = &m->plan->buffers[i];
    int64_t elements = 0;
    moire__extent_size(b->elements, m->extents, &elements);
    moire__text type = {0};
    moire__text_add_type(&type, m->module->graph, b->dtype, &b->shape);
    json_t *row = json_pack("{s:i, s:s, s:s, s:s, s:I, s:i, s:i}", "id", i, "name", b->name, "role",
                            role_name(b->role), "type", moire__text_string(&type), "bytes",
                            (json_int_t)(elements * (int64_t)moire__dtype_bytes(b->dtype)), "first_kernel",
                            b->first_step, "last_kernel", b->last_step);
    int64_t offset = moire__runner_offset(m->in->runner, i);
    if (offset >= 0) json_object_set_new(row, "offset", json_integer(offset));
    json_array_append_new(list, row);
    moire__text_free(&type);
  }
  return list;
}

/* Spans as [kernel, thread, begin, end], in nanoseconds since the run's begin. */
static json_t *sampled_run(const maker *m, int run) {
  const moire__recorded_run *r = moire__recording_at(m->in->recording, run);
  json_t *spans = json_array();
  for (int i = 0; i < r->n_spans; i++) {
    const moire__span *s = &r->spans[i];
    json_array_append_new(spans, json_pack("[i, i, I, I]", s->step, s->thread,
                                           (json_int_t)(s->begin - r->begin), (json_int_t)(s->end - r->begin)));
  }
  return json_pack("{s:i, s:I, s:I, s:I, s:o}", "step", run, "begin_ns", (json_int_t)r->begin, "prepared_ns",
                   (json_int_t)(r->prepared - r->begin), "end_ns", (json_int_t)(r->end - r->begin), "spans",
                   spans);
}

static json_t *timeline(const maker *m) {
  json_t *list = json_array();
  for (int i = 0; i < m->n_runs; i++) {
    if (moire__recording_at(m->in->recording, i)->spans) json_array_append_new(list, sampled_run(m, i));
  }
  return list;
}

/* ---- The document -----------------------------------------------------------------------------------------
 */

/* [{"loop", "llvm", "assembly"}], by the `code` of the kernels. */
static json_t *codes(const maker *m, moire_error *error) {
  json_t *list = json_array();
  for (int i = 0; i < m->module->n_kernels; i++) {
    json_t *code = moire__profile_code(m->in->program, i, error);
    if (!code) {
      json_decref(list);
      return NULL;
    }
    json_array_append_new(list, code);
  }
  return list;
}

static json_t *lines(const char *text) {
  json_t *list = json_array();
  for (size_t n = 0; *text; text += n + (text[n] == '\n')) {
    n = strcspn(text, "\n");
    json_array_append_new(list, json_stringn(text, n));
  }
  return list;
}

json_t *moire__profile_document(const moire__profile_input *in, moire_error *error) {
  maker m = {.in = in,
             .module = moire__program_module(in->program),
             .plan = moire_program_plan(in->program),
             .n_runs = moire__recording_count(in->recording)};
  m.times = moire__allocate_array((size_t)m.n_runs + 1, sizeof *m.times);
  for (int i = 0; i < m.n_runs; i++) m.wall += wall_time(&m, i);
  m.shares = moire__arena_array(&m.arena, (size_t)m.plan->n_steps + 1, sizeof *m.shares);
  for (int i = 0; i < m.plan->n_steps; i++)
    m.shares[i] = moire__profile_shares(m.module, in->work, i, &m.arena);
  json_t *out =
      json_pack("{s:s, s:i, s:s, s:s, s:s, s:I, s:i, s:i, s:s}", "format", MOIRE__PROFILE_FORMAT, "version",
                MOIRE__PROFILE_VERSION, "moire", MOIRE_VERSION, "model", in->model, "mode", in->mode, "batch",
                (json_int_t)in->batch, "threads", moire__recording_threads(in->recording), "steps", m.n_runs,
                "target", moire__program_target(in->program)->name);
  json_object_set_new(out, "extents", extents(&m));
  json_object_set_new(out, "time", times(&m));
  if (m.plan->packing.extent) json_object_set_new(out, "packing", packing(&m));
  if (m.module->remarks) json_object_set_new(out, "remarks", lines(m.module->remarks));
  if (in->counters) json_object_set_new(out, "counters", counters(&m));
  if (in->peaks) json_object_set_new(out, "machine", moire__peaks_json(in->peaks));
  json_object_set_new(out, "kernels", kernels(&m));
  moire__profile_add_totals(m.module, m.shares, in->model_graph, out);
  json_object_set_new(out, "workspace_bytes",
                      json_integer((json_int_t)moire_runner_workspace_bytes(in->runner)));
  json_object_set_new(out, "buffers", buffers(&m));
  json_object_set_new(out, "timeline", timeline(&m));
  json_t *code = in->code ? codes(&m, error) : NULL;
  if (code) json_object_set_new(out, "codes", code);
  moire__release(m.times);
  moire__arena_free(&m.arena);
  if (!in->code || code) return out;
  json_decref(out);
  return NULL;
}
