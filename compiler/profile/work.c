/* Counting: before a step runs, its loop nest is counted with the buffers and sizes that it is about to get.
 *
 * Where bytes come from is a matter of the plan: memory is divided into blocks, each with the time it was last
 * touched, on a clock that counts touched bytes. A block that was touched less than a cache ago is taken to be
 * in it, the nearest one that is large enough; any other comes from memory. So a value that the next kernel
 * reads is in the cache if it fits there, and a weight that comes up once a step is not if the step touches
 * more than the cache holds. */
#include "compiler/profile/work.h"

#include "compiler/driver/compile.h"
#include "runtime/base/layout.h"
#include "runtime/base/memory.h"

#include <string.h>

enum { BLOCK = 4096 };

/* When a block was last touched. */
typedef struct entry {
  uintptr_t block; /* address / BLOCK; 0: empty */
  double time;
} entry;

struct moire__profile_counter {
  moire__arena arena;
  const moire__module *module;
  double cache[MOIRE__MOST_LEVELS]; /* bytes that the caches of a level hold together; nearest first */
  int n_caches;
  double clock;
  moire__loop_slice *slices;  /* [n_steps] */
  moire__profile_work *steps; /* [n_steps] */
  int n_runs;
  bool primed;    /* the first run has filled the caches, and counts for nothing else if another follows */
  entry *entries; /* open addressing */
  size_t n_entries, capacity;
};

/* Every thread has a cache of its own, or shares one. That each holds what its thread will want is more than
 * can be hoped for; but a roof must not be too low. */
static void find_caches(moire__profile_counter *c, const moire__peaks *peaks) {
  enum { USUAL = 32 << 20 };
  for (int i = 0; i + 1 < peaks->n_levels; i++) {
    const moire__peak_level *l = &peaks->levels[i];
    int caches = l->sharers > 0 ? (peaks->threads + l->sharers - 1) / l->sharers : 1;
    c->cache[c->n_caches++] = (double)l->bytes * (caches > 0 ? caches : 1);
  }
  if (!c->n_caches) c->cache[c->n_caches++] = USUAL;
}

moire__profile_counter *moire__profile_counter_create(const moire_program *program, const moire__peaks *peaks) {
  const moire__module *module = moire__program_module(program);
  moire__profile_counter *c = moire__allocate(sizeof *c);
  int n = module->plan.n_steps;
  c->module = module;
  find_caches(c, peaks);
  c->slices = moire__arena_array(&c->arena, (size_t)n + 1, sizeof *c->slices);
  c->steps = moire__arena_array(&c->arena, (size_t)n + 1, sizeof *c->steps);
  for (int i = 0; i < n; i++) {
    c->slices[i] = moire__loop_slice_make(module->steps[i].kernel, &c->arena);
    c->steps[i].exact = c->slices[i].exact;
    c->steps[i].cost = moire__arena_array(&c->arena, (size_t)module->graph->n_nodes + 1, sizeof(double));
  }
  c->capacity = 1 << 12;
  c->entries = moire__allocate_array(c->capacity, sizeof *c->entries);
  return c;
}

void moire__profile_counter_destroy(moire__profile_counter *c) {
  if (!c) return;
  moire__release(c->entries);
  moire__arena_free(&c->arena);
  moire__release(c);
}

int moire__profile_counter_runs(const moire__profile_counter *c) { return c->n_runs; }

const moire__profile_work *moire__profile_counter_step(const moire__profile_counter *c, int step) {
  return &c->steps[step];
}

/* ---- Blocks -----------------------------------------------------------------------------------------------
 */

static entry *find(entry *entries, size_t capacity, uintptr_t block) {
  size_t at = (size_t)((uint64_t)block * 0x9e3779b97f4a7c15u >> 20) & (capacity - 1);
  while (entries[at].block && entries[at].block != block) at = (at + 1) & (capacity - 1);
  return &entries[at];
}

static void grow(moire__profile_counter *c) {
  size_t capacity = 2 * c->capacity;
  entry *entries = moire__allocate_array(capacity, sizeof *entries);
  for (size_t i = 0; i < c->capacity; i++) {
    if (c->entries[i].block) *find(entries, capacity, c->entries[i].block) = c->entries[i];
  }
  moire__release(c->entries);
  c->entries = entries;
  c->capacity = capacity;
}

/* [data, data + bytes) is touched `now`: adds its bytes to those of the levels that hold them. */
static void touch(moire__profile_counter *c, const void *data, double bytes, double now, double *from) {
  uintptr_t first = (uintptr_t)data / BLOCK, n = (uintptr_t)((bytes + BLOCK - 1) / BLOCK);
  for (uintptr_t i = 0; i < n; i++) {
    if (2 * c->n_entries >= c->capacity) grow(c);
    entry *e = find(c->entries, c->capacity, first + i);
    int level = e->block ? 0 : c->n_caches;
    while (level < c->n_caches && now - e->time > c->cache[level]) level++;
    from[level] += bytes / (double)n;
    c->n_entries += !e->block;
    *e = (entry){first + i, now};
  }
}

/* ---- Steps ------------------------------------------------------------------------------------------------
 */

static void count_buffers(moire__profile_counter *c, int step, const moire__loop_work *work,
                          void *const *buffers, const int64_t *extents) {
  const moire__loop_kernel *k = c->module->steps[step].kernel;
  moire__profile_work *out = &c->steps[step];
  double now = c->clock;
  for (int i = 1; i <= k->n_parameters; i++) {
    double bytes = (double)moire__dim_size(k->buffers[i].elements, extents) *
                   (double)moire__loop_type_bytes(k->buffers[i].type);
    if (work->buffers[i] < bytes) bytes = work->buffers[i];
    out->touched += bytes;
    touch(c, buffers[i - 1], bytes, now, out->from);
    c->clock += bytes;
  }
  out->memory = out->from[c->n_caches];
}

static void add_costs(const moire__loop_statement *s, const moire__loop_runs *runs,
                      const moire__loop_work *work, moire__profile_work *out) {
  for (; s; s = s->next) {
    if (s->origin) out->cost[s->origin - 1] += work->cost[s->number];
    if (s->kind == MOIRE__LOOP_IF && s->body) {
      out->asked += (double)runs->times[s->number];
      out->taken += (double)runs->times[s->body->number];
    }
    add_costs(s->body, runs, work, out);
  }
}

static void begin_run(moire__profile_counter *c) {
  bool forget = c->n_runs == 1 && !c->primed;
  c->primed = c->primed || forget;
  if (!forget) c->n_runs++;
  for (int i = 0; forget && i < c->module->plan.n_steps; i++) {
    moire__profile_work *w = &c->steps[i];
    memset(w->cost, 0, (size_t)c->module->graph->n_nodes * sizeof *w->cost);
    *w = (moire__profile_work){.cost = w->cost, .exact = w->exact};
  }
}

void moire__profile_watch(void *context, int step, void *const *buffers, const int64_t *extents) {
  moire__profile_counter *c = context;
  const moire__loop_kernel *k = c->module->steps[step].kernel;
  moire__arena scratch = {0};
  moire__loop_runs runs = moire__loop_runs_make(k, &scratch);
  if (step == 0) begin_run(c);
  moire_status failed = moire__loop_count(k, &c->slices[step], buffers, extents, &runs, NULL);
  moire__loop_work work = moire__loop_work_make(k, &runs, &scratch);
  moire__profile_work *out = &c->steps[step];
  out->exact = out->exact && !failed;
  out->flop += work.flop;
  out->accessed += work.accessed;
  add_costs(k->body, &runs, &work, out);
  count_buffers(c, step, &work, buffers, extents);
  moire__arena_free(&scratch);
}
