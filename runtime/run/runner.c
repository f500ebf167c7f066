/* The execution of plans: binds names to memory, sizes to extents, and runs the steps in order.
 *
 * All temporaries and outputs lie in one workspace, at offsets that layout.c computes. A layout stays valid for
 * smaller sizes, so it is made anew only when an extent grows beyond all before; otherwise a run allocates
 * nothing. Outputs live to the end of the run, and so does whatever an update copies into a state.
 *
 * Requires: a plan whose kernels write only what it says. Breaks nothing when a run is refused: states and
 * outputs are as before. */
#include "runtime/run/runner.h"

#include "runtime/base/float_mode.h"
#include "runtime/base/memory.h"
#include "runtime/base/layout.h"
#include "runtime/base/packing.h"
#include "runtime/base/planes.h"
#include "runtime/profile/recording.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct bound {
  void *data;       /* where kernels find it in the current run */
  int64_t elements; /* at the sizes of the last run, or of the current one while it runs */
  size_t offset;    /* in the workspace: temporaries and outputs */
  const void *given;
  int64_t given_elements;
  void *copy; /* an input that did not come aligned */
  size_t copy_bytes;
  float *plane; /* of a complex input that came interleaved */
  int64_t plane_elements;
} bound;

struct moire_runner {
  const moire_plan *plan;
  moire_store *store;
  moire_threads *threads;
  moire__arena arena;
  int64_t extents[MOIRE_MAX_EXTENTS + 1]; /* wanted in the next run; -1: not set */
  int64_t laid_out[MOIRE_MAX_EXTENTS + 1];
  bool has_layout, has_run;
  bool settles, settled; /* states stay; what depends on them alone is there */
  bound *buffers;        /* [plan->n_buffers] */
  int *last;             /* [plan->n_buffers], the last step that needs it */
  void ***arguments;     /* [plan->n_steps][n_buffers of the step] */
  void **staged;         /* [plan->n_updates]: copies of states that are overwritten by one update and read by
                            another, or NULL */
  char *workspace;
  size_t workspace_bytes;
  int64_t packing_capacity;    /* positions that the arrays of a packed plan hold */
  moire__recording *recording; /* NULL: runs are not recorded */
  moire__step_watch *watch;    /* NULL: nobody is told of steps */
  void *watch_context;
};

/* ---- Creating ---------------------------------------------------------------------------------------------
 */

static moire_status broken(const moire_plan *plan, moire_error *error, const char *what, int index) {
  return moire_fail(error, MOIRE_ERROR_INTERNAL, "plan %s: %s %d refers to something that is not there",
                    plan->name, what, index);
}

static bool dim_is_known(const moire_plan *plan, moire_dim dim) {
  bool known = dim >= 0 && dim >> 60 == 0;
  for (int left = known ? (int)(dim >> 48) : 0; left; left >>= 4)
    known = known && (left & 15) >= 1 && (left & 15) <= plan->n_extents;
  return known;
}

/* Everything that the runner later indexes by. */
static moire_status check_plan(const moire_plan *plan, moire_error *error) {
  if (plan->n_extents > MOIRE_MAX_EXTENTS) return broken(plan, error, "extent", plan->n_extents);
  for (int i = 0; i < plan->n_buffers; i++) {
    const moire_plan_buffer *b = &plan->buffers[i];
    if (!moire__dtype_bytes(b->dtype) || !dim_is_known(plan, b->elements) || b->first_step > b->last_step) {
      return broken(plan, error, "buffer", i);
    }
  }
  for (int i = 0; i < plan->n_steps; i++) {
    const moire_plan_step *s = &plan->steps[i];
    bool good = s->kernel >= 0 && s->kernel < plan->n_kernels && s->block >= 1 && dim_is_known(plan, s->count);
    good = good && s->n_constants >= 0 && s->n_constants <= MOIRE_MAX_EXTENTS - plan->n_extents;
    for (int j = 0; j < s->n_buffers; j++) good = good && s->buffers[j] >= 0 && s->buffers[j] < plan->n_buffers;
    if (!good) return broken(plan, error, "step", i);
  }
  for (int i = 0; i < plan->n_updates; i++) {
    const moire_plan_update *u = &plan->updates[i];
    bool good = u->state >= 0 && u->state < plan->n_buffers && u->from >= 0 && u->from < plan->n_buffers;
    if (!good || plan->buffers[u->state].role != MOIRE_PLAN_STATE ||
        plan->buffers[u->state].dtype != plan->buffers[u->from].dtype ||
        plan->buffers[u->state].elements != plan->buffers[u->from].elements) {
      return broken(plan, error, "update", i);
    }
  }
  return MOIRE_OK;
}

static moire_status bind_states(moire_runner *r, moire_error *error) {
  for (int i = 0; i < r->plan->n_buffers; i++) {
    const moire_plan_buffer *b = &r->plan->buffers[i];
    if (b->role != MOIRE_PLAN_STATE) continue;
    bound *to = &r->buffers[i];
    to->data = moire_store_data(r->store, b->name, &to->elements);
    int64_t wanted = 0;
    bool fixed = b->elements >> 48 == 0 && moire__extent_size(b->elements, NULL, &wanted);
    if (!to->data || !fixed || wanted != to->elements) {
      return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "state %s of %s: wanted %" PRId64 " elements in the store, but %" PRId64 " are there",
                        b->name, r->plan->name, wanted, to->elements);
    }
  }
  return MOIRE_OK;
}

static bool is_updated(const moire_plan *plan, int buffer) {
  for (int i = 0; i < plan->n_updates; i++) {
    if (plan->updates[i].state == buffer) return true;
  }
  return false;
}

static void prepare_updates(moire_runner *r) {
  const moire_plan *plan = r->plan;
  r->staged = moire__arena_array(&r->arena, (size_t)plan->n_updates + 1, sizeof *r->staged);
  for (int i = 0; i < plan->n_updates; i++) {
    int from = plan->updates[i].from;
    r->last[from] = plan->n_steps;
    if (plan->buffers[from].role != MOIRE_PLAN_STATE || !is_updated(plan, from)) continue;
    size_t bytes = (size_t)r->buffers[from].elements * moire__dtype_bytes(plan->buffers[from].dtype);
    r->staged[i] = moire__arena_alloc(&r->arena, bytes);
  }
}

moire_runner *moire_runner_create(const moire_plan *plan, moire_store *store, moire_threads *threads,
                                  moire_error *error) {
  if (check_plan(plan, error)) return NULL;
  moire_runner *r = moire__allocate(sizeof *r);
  r->plan = plan;
  r->store = store;
  r->threads = threads;
  r->buffers = moire__arena_array(&r->arena, (size_t)plan->n_buffers + 1, sizeof *r->buffers);
  r->last = moire__arena_array(&r->arena, (size_t)plan->n_buffers + 1, sizeof *r->last);
  r->arguments = moire__arena_array(&r->arena, (size_t)plan->n_steps + 1, sizeof *r->arguments);
  for (int i = 0; i < plan->n_steps; i++) {
    r->arguments[i] = moire__arena_array(&r->arena, (size_t)plan->steps[i].n_buffers + 1, sizeof(void *));
  }
  for (int i = 0; i <= MOIRE_MAX_EXTENTS; i++) r->extents[i] = -1;
  if (bind_states(r, error)) {
    moire_runner_destroy(r);
    return NULL;
  }
  for (int i = 0; i < plan->n_buffers; i++) {
    bool kept = plan->buffers[i].role == MOIRE_PLAN_OUTPUT;
    r->last[i] = kept ? plan->n_steps : plan->buffers[i].last_step;
  }
  prepare_updates(r);
  return r;
}

void moire_runner_destroy(moire_runner *r) {
  if (!r) return;
  for (int i = 0; i < r->plan->n_buffers; i++) {
    moire__release_aligned(r->buffers[i].copy);
    moire__release_aligned(r->buffers[i].plane);
  }
  moire__release_aligned(r->workspace);
  moire__arena_free(&r->arena);
  moire__release(r);
}

/* ---- Sizes and inputs -------------------------------------------------------------------------------------
 */

moire_status moire_runner_set_extent(moire_runner *r, const char *name, int64_t size, moire_error *error) {
  if (size < 0) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "extent %s of %s: wanted at least 0, but %" PRId64 " came",
                      name, r->plan->name, size);
  }
  for (int i = 1; i <= r->plan->n_extents; i++) {
    if (!strcmp(r->plan->extents[i], name)) r->extents[i] = size;
  }
  return MOIRE_OK;
}

static int find_buffer(const moire_runner *r, moire_plan_role role, const char *name) {
  for (int i = 0; i < r->plan->n_buffers; i++) {
    if (r->plan->buffers[i].role == role && !strcmp(r->plan->buffers[i].name, name)) return i;
  }
  return -1;
}

/* The buffers of both planes of what is complex, -1 for one that the plan has no use for; false: it has none.
 */
static bool find_planes(const moire_runner *r, moire_plan_role role, const char *name, int planes[2]) {
  planes[0] = planes[1] = -1;
  for (int i = 0; i < r->plan->n_buffers; i++) {
    const moire_plan_buffer *b = &r->plan->buffers[i];
    int plane = b->role == role && b->dtype == MOIRE_F32 ? moire__plane_of(b->name, name) : -1;
    if (plane >= 0) planes[plane] = i;
  }
  return planes[0] >= 0 || planes[1] >= 0;
}

bool moire_runner_has_input(const moire_runner *r, const char *name) {
  return find_buffer(r, MOIRE_PLAN_INPUT, name) >= 0;
}

moire_status moire_runner_set_input(moire_runner *r, const char *name, const void *data, int64_t elements,
                                    moire_error *error) {
  int i = find_buffer(r, MOIRE_PLAN_INPUT, name), planes[2];
  if (i < 0 && find_planes(r, MOIRE_PLAN_INPUT, name, planes)) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "input %s of %s: is complex; its planes are %s.real and %s.imag", name, r->plan->name,
                      name, name);
  }
  if (i < 0) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s has no input %s", r->plan->name, name);
  }
  r->buffers[i].given = data;
  r->buffers[i].given_elements = elements;
  return MOIRE_OK;
}

static void give_plane(bound *b, const float *pairs, int plane, int64_t elements) {
  if (!b->plane || elements > b->plane_elements) {
    moire__release_aligned(b->plane);
    b->plane = moire__allocate_aligned((size_t)(elements ? elements : 1) * sizeof *b->plane, MOIRE__ALIGNMENT);
    b->plane_elements = elements;
  }
  for (int64_t i = 0; i < elements; i++) b->plane[i] = pairs[2 * i + plane];
  b->given = b->plane;
  b->given_elements = elements;
}

moire_status moire_runner_set_complex_input(moire_runner *r, const char *name, const float *pairs,
                                            int64_t elements, moire_error *error) {
  int planes[2];
  if (!find_planes(r, MOIRE_PLAN_INPUT, name, planes))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s has no complex input %s", r->plan->name, name);
  if (elements < 0 || elements > (int64_t)1 << 47)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "input %s of %s: %" PRId64 " elements came", name,
                      r->plan->name, elements);
  for (int plane = 0; plane < 2; plane++) {
    if (planes[plane] >= 0) give_plane(&r->buffers[planes[plane]], pairs, plane, elements);
  }
  return MOIRE_OK;
}

/* ---- Running ----------------------------------------------------------------------------------------------
 */

static size_t bytes_of(const moire_runner *r, int buffer, int64_t elements) {
  return (size_t)elements * moire__dtype_bytes(r->plan->buffers[buffer].dtype);
}

static moire_status check_run(const moire_runner *r, moire_error *error);

/* The inputs of a packed plan, which the runner computes: buffer number, and entries for each position and
 * sample. */
enum { PACKED_INPUTS = 7 };

static void packed_inputs(const moire_plan_packing *p, int buffers[PACKED_INPUTS]) {
  const int all[] = {p->tokens, p->slots, p->last, p->ends, p->starts, p->counts, p->valid};
  memcpy(buffers, all, sizeof all);
}

static bool is_packed_input(const moire_runner *r, int buffer) {
  int buffers[PACKED_INPUTS];
  bool found = false;
  if (!r->plan->packing.extent) return false;
  packed_inputs(&r->plan->packing, buffers);
  for (int i = 0; i < PACKED_INPUTS; i++) found = found || buffers[i] == buffer;
  return found;
}

static void reserve_packed(moire_runner *r, int64_t positions) {
  int buffers[PACKED_INPUTS];
  packed_inputs(&r->plan->packing, buffers);
  for (int i = 0; i < PACKED_INPUTS && positions > r->packing_capacity; i++) {
    if (buffers[i] < 0) continue;
    bound *b = &r->buffers[buffers[i]];
    moire__release_aligned(b->copy);
    b->copy_bytes = (size_t)positions * sizeof(int32_t);
    b->copy = moire__allocate_aligned(b->copy_bytes, MOIRE__ALIGNMENT);
  }
  if (positions > r->packing_capacity) r->packing_capacity = positions;
}

static const void *given(const moire_runner *r, int buffer) {
  return buffer < 0 ? NULL : r->buffers[buffer].given;
}

/* Samples of the inputs at hand. */
static int64_t packed_samples(const moire_runner *r) {
  const moire_plan_packing *p = &r->plan->packing;
  if (p->lengths >= 0) return r->buffers[p->lengths].given_elements;
  return r->buffers[p->ids >= 0 ? p->ids : p->targets].given_elements / p->length;
}

static int64_t find_tokens(const moire_runner *r, int64_t samples, const moire__packing *out) {
  const moire_plan_packing *p = &r->plan->packing;
  if (p->ids >= 0) {
    bool wide = r->plan->buffers[p->ids].dtype == MOIRE_I64;
    return moire__packing_find(given(r, p->ids), wide, samples, p->length, out);
  }
  const moire__packing_rows rows = {.lengths = given(r, p->lengths),
                                    .targets = given(r, p->targets),
                                    .ignored = p->ignored,
                                    .block = p->block};
  return moire__packing_find_rows(&rows, samples, p->length, out);
}

/* Finds the tokens of the given samples, sets the extent T, and gives the inputs that say where they stand. */
static moire_status pack_inputs(moire_runner *r, moire_error *error) {
  const moire_plan_packing *p = &r->plan->packing;
  if (!p->extent) return MOIRE_OK;
  r->extents[p->extent] = 0;
  moire_status status = check_run(r, error);
  if (status) return status;
  int64_t samples = packed_samples(r), positions = samples * p->length;
  reserve_packed(r, positions ? positions : 1);
  int buffers[PACKED_INPUTS];
  void *data[PACKED_INPUTS];
  packed_inputs(p, buffers);
  for (int i = 0; i < PACKED_INPUTS; i++) data[i] = buffers[i] < 0 ? NULL : r->buffers[buffers[i]].copy;
  moire__packing out = {data[0], data[1], data[2], data[3], data[4], data[5], data[6]};
  r->extents[p->extent] = find_tokens(r, samples, &out) / p->block;
  for (int i = 0; i < PACKED_INPUTS; i++) {
    if (buffers[i] < 0) continue;
    bound *b = &r->buffers[buffers[i]];
    b->given = data[i];
    moire__extent_size(r->plan->buffers[buffers[i]].elements, r->extents, &b->given_elements);
  }
  return MOIRE_OK;
}

/* Fails without a trace in the runner: sizes are stored by `bind`. */
static moire_status check_run(const moire_runner *r, moire_error *error) {
  const moire_plan *plan = r->plan;
  for (int i = 1; i <= plan->n_extents; i++) {
    if (r->extents[i] < 0) {
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "extent %s of %s: has not been set", plan->extents[i],
                        plan->name);
    }
  }
  for (int i = 0; i < plan->n_steps; i++) {
    int64_t count = 0;
    if (!moire__extent_size(plan->steps[i].count, r->extents, &count)) {
      return moire_fail(error, MOIRE_ERROR_MEMORY, "step %s of %s: is too long for the sizes that are set",
                        plan->steps[i].name, plan->name);
    }
  }
  for (int i = 0; i < plan->n_buffers; i++) {
    const moire_plan_buffer *b = &plan->buffers[i];
    int64_t elements = 0;
    if (!moire__extent_size(b->elements, r->extents, &elements)) {
      return moire_fail(error, MOIRE_ERROR_MEMORY, "%s of %s: is too large for the sizes that are set", b->name,
                        plan->name);
    }
    if (b->role != MOIRE_PLAN_INPUT || is_packed_input(r, i)) continue;
    if (!r->buffers[i].given && elements) {
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "input %s of %s: has not been set", b->name, plan->name);
    }
    if (r->buffers[i].given_elements != elements) {
      return moire_fail(error, MOIRE_ERROR_SHAPE,
                        "input %s of %s: wanted %" PRId64 " elements, but %" PRId64 " came", b->name,
                        plan->name, elements, r->buffers[i].given_elements);
    }
  }
  return MOIRE_OK;
}

static bool in_workspace(moire_plan_role role) {
  return role == MOIRE_PLAN_TEMPORARY || role == MOIRE_PLAN_OUTPUT;
}

/* Sizes of extents with room for those of the next runs. */
static void find_sizes(const moire_runner *r, int64_t sizes[MOIRE_MAX_EXTENTS + 1]) {
  for (int i = 1; i <= r->plan->n_extents; i++) {
    sizes[i] = r->laid_out[i];
    if (r->extents[i] <= sizes[i]) continue;
    sizes[i] = r->extents[i];
    if (i != r->plan->packing.extent) continue;
    int64_t most = r->packing_capacity / r->plan->packing.block; /* without padding */
    sizes[i] += r->extents[i] / 8;                               /* the next batch has a few tokens more */
    if (sizes[i] > most) sizes[i] = most;
  }
}

/* Bytes of a workspace for these sizes, and where in it buffers lie: offsets[n_buffers], or NULL. */
static size_t find_offsets(const moire_runner *r, const int64_t *sizes, size_t *offsets) {
  const moire_plan *plan = r->plan;
  moire__arena scratch = {0};
  size_t n = (size_t)plan->n_buffers + 1;
  moire__layout_item *items = moire__arena_array(&scratch, n, sizeof *items);
  size_t *placed = moire__arena_array(&scratch, n, sizeof *placed);
  int *members = moire__arena_array(&scratch, n, sizeof *members), n_members = 0;
  for (int i = 0; i < plan->n_buffers; i++) {
    if (!in_workspace(plan->buffers[i].role)) continue;
    int64_t elements = 0;
    moire__extent_size(plan->buffers[i].elements, sizes, &elements);
    int first = r->settles && plan->settled_buffers[i] ? 0 : plan->buffers[i].first_step;
    items[n_members] = (moire__layout_item){bytes_of(r, i, elements), first, r->last[i]};
    members[n_members++] = i;
  }
  size_t bytes = moire__layout_assign(items, n_members, &scratch, placed);
  for (int i = 0; i < n_members && offsets; i++) offsets[members[i]] = placed[i];
  moire__arena_free(&scratch);
  return bytes;
}

static void lay_out(moire_runner *r) {
  int n = r->plan->n_buffers;
  moire__arena scratch = {0};
  size_t *offsets = moire__arena_array(&scratch, (size_t)n + 1, sizeof *offsets);
  find_sizes(r, r->laid_out);
  size_t bytes = find_offsets(r, r->laid_out, offsets);
  for (int i = 0; i < n; i++) r->buffers[i].offset = offsets[i];
  moire__arena_free(&scratch);
  moire__release_aligned(r->workspace);
  char purpose[200];
  snprintf(purpose, sizeof purpose, "a run of %s: a smaller batch (batch_size, --batch) takes less",
           r->plan->name);
  const char *before = moire__memory_purpose(purpose);
  r->workspace = moire__allocate_aligned_unset(bytes ? bytes : 1, MOIRE__ALIGNMENT);
  moire__memory_purpose(before);
  r->workspace_bytes = bytes;
  r->has_layout = true;
  r->settled = false;
}

moire_status moire__runner_estimate(moire_runner *r, size_t *bytes, moire_error *error) {
  int64_t sizes[MOIRE_MAX_EXTENTS + 1] = {0};
  moire_status status = pack_inputs(r, error);
  if (!status) status = check_run(r, error);
  if (status) return status;
  find_sizes(r, sizes);
  *bytes = find_offsets(r, sizes, NULL);
  return MOIRE_OK;
}

void moire__runner_settle(moire_runner *r) {
  const moire_plan *plan = r->plan;
  if (!plan->settled_steps) return;
  r->settles = true;
  for (int i = 0; i < plan->n_buffers; i++) {
    if (plan->settled_buffers[i]) r->last[i] = plan->n_steps;
  }
}

void moire_runner_rest(moire_runner *r) {
  moire__release_aligned(r->workspace);
  r->workspace = NULL;
  r->workspace_bytes = 0;
  r->has_layout = r->has_run = false;
}

static bool layout_serves(const moire_runner *r) {
  bool serves = r->has_layout;
  for (int i = 1; i <= r->plan->n_extents; i++) serves = serves && r->extents[i] <= r->laid_out[i];
  return serves;
}

static void bind_input(moire_runner *r, int i) {
  bound *b = &r->buffers[i];
  b->data = (void *)(uintptr_t)b->given;
  if ((uintptr_t)b->given % MOIRE__ALIGNMENT == 0 && b->given) return;
  size_t bytes = bytes_of(r, i, b->elements);
  if (!b->copy || bytes > b->copy_bytes) {
    moire__release_aligned(b->copy);
    b->copy = moire__allocate_aligned(bytes ? bytes : 1, MOIRE__ALIGNMENT);
    b->copy_bytes = bytes;
  }
  if (bytes) memcpy(b->copy, b->given, bytes);
  b->data = b->copy;
}

static void bind(moire_runner *r) {
  const moire_plan *plan = r->plan;
  if (!layout_serves(r)) lay_out(r);
  for (int i = 0; i < plan->n_buffers; i++) {
    bound *b = &r->buffers[i];
    moire__extent_size(plan->buffers[i].elements, r->extents, &b->elements);
    if (in_workspace(plan->buffers[i].role)) b->data = r->workspace + b->offset;
    if (plan->buffers[i].role == MOIRE_PLAN_INPUT) bind_input(r, i);
  }
  for (int i = 0; i < plan->n_steps; i++) {
    for (int j = 0; j < plan->steps[i].n_buffers; j++) {
      r->arguments[i][j] = r->buffers[plan->steps[i].buffers[j]].data;
    }
  }
}

typedef struct call {
  moire_kernel_function kernel;
  void *const *buffers;
  const int64_t *extents;
  uint64_t mode; /* runtime/base/float_mode.h */
} call;

static void run_pieces(void *context, int64_t begin, int64_t end) {
  const call *c = context;
  uint64_t before = moire__float_flush(c->mode);
  c->kernel(c->buffers, c->extents, begin, end);
  moire__float_flush(before);
}

static void update_states(moire_runner *r) {
  const moire_plan *plan = r->plan;
  for (int i = 0; i < plan->n_updates; i++) {
    const bound *from = &r->buffers[plan->updates[i].from];
    if (r->staged[i]) memcpy(r->staged[i], from->data, bytes_of(r, plan->updates[i].from, from->elements));
  }
  for (int i = 0; i < plan->n_updates; i++) {
    const bound *from = &r->buffers[plan->updates[i].from];
    const void *source = r->staged[i] ? r->staged[i] : from->data;
    void *target = r->buffers[plan->updates[i].state].data;
    size_t bytes = bytes_of(r, plan->updates[i].from, from->elements);
    if (bytes && target != source) memcpy(target, source, bytes);
  }
}

void moire__runner_record(moire_runner *r, moire__recording *recording) { r->recording = recording; }

void moire__runner_watch(moire_runner *r, moire__step_watch *watch, void *context) {
  r->watch = watch;
  r->watch_context = context;
}

static void run_steps(moire_runner *r, moire__recording *recording) {
  for (int i = 0; i < r->plan->n_steps; i++) {
    const moire_plan_step *step = &r->plan->steps[i];
    int64_t count = 0;
    if (r->settled && r->plan->settled_steps[i]) continue;
    moire__extent_size(step->count, r->extents, &count);
    int64_t pieces = count / step->block + (count % step->block != 0);
    int64_t own[MOIRE_MAX_EXTENTS + 1];
    call c = {r->plan->kernels[step->kernel], r->arguments[i],
              moire__step_extents(r->plan, step, r->extents, own), r->plan->flush ? MOIRE__FLOAT_FLUSH : 0};
    if (r->watch) r->watch(r->watch_context, i, r->arguments[i], r->extents);
    if (recording) {
      moire__recording_run(recording, r->threads, i, pieces, run_pieces, &c);
    } else {
      moire_threads_run(r->threads, pieces, run_pieces, &c);
    }
  }
}

moire_status moire_runner_run(moire_runner *r, moire_error *error) {
  moire__recording *recording = r->recording && moire__recording_begin(r->recording) ? r->recording : NULL;
  moire_status status = pack_inputs(r, error);
  if (status) return status;
  status = check_run(r, error);
  if (status) return status;
  bind(r);
  if (recording) moire__recording_prepared(recording, r->extents);
  run_steps(r, recording);
  r->settled = r->settles;
  update_states(r);
  if (recording) moire__recording_end(recording);
  r->has_run = true;
  return MOIRE_OK;
}

const void *moire_runner_output(const moire_runner *r, const char *name, int64_t *elements) {
  int i = r->has_run ? find_buffer(r, MOIRE_PLAN_OUTPUT, name) : -1;
  if (elements) *elements = i < 0 ? 0 : r->buffers[i].elements;
  return i < 0 ? NULL : r->buffers[i].data;
}

moire_status moire_runner_complex_output(const moire_runner *r, const char *name, float *pairs,
                                         int64_t elements, moire_error *error) {
  int planes[2];
  bool there = find_planes(r, MOIRE_PLAN_OUTPUT, name, planes) && planes[0] >= 0 && planes[1] >= 0;
  if (!there || !r->has_run)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      there ? "output %s of %s: it has not been run" : "there is no complex output %s of %s",
                      name, r->plan->name);
  const bound *re = &r->buffers[planes[0]], *im = &r->buffers[planes[1]];
  if (re->elements != elements)
    return moire_fail(error, MOIRE_ERROR_SHAPE, "output %s of %s: has %" PRId64 " elements, not %" PRId64, name,
                      r->plan->name, re->elements, elements);
  for (int64_t i = 0; i < elements; i++) {
    pairs[2 * i] = ((const float *)re->data)[i];
    pairs[2 * i + 1] = ((const float *)im->data)[i];
  }
  return MOIRE_OK;
}

size_t moire_runner_workspace_bytes(const moire_runner *r) { return r->workspace_bytes; }

int64_t moire__runner_offset(const moire_runner *r, int buffer) {
  bool placed = r->has_layout && in_workspace(r->plan->buffers[buffer].role);
  return placed ? (int64_t)r->buffers[buffer].offset : -1;
}
