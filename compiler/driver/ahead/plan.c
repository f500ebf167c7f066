/* Plans as tables: which kernels, where each buffer lies, and what is done ahead.
 *
 * In plans that serve, states and what the prepared steps make of them lie in one block of constants, the
 * model; the prepared steps themselves are left out, and become the plan `prepare` of a library that trains.
 * All else lies in the workspace, which has a part for sizes that are fixed and one for each product of named
 * extents, where an offset for a product of 1, times the product, serves every size.
 *
 * Requires: modules that were lowered for the level's target. Breaks nothing. */
#include "compiler/driver/ahead/interface.h"
#include "compiler/pass/plan/prepare.h"
#include "runtime/base/hash.h"
#include "runtime/base/layout.h"

#include <stdio.h>
#include <string.h>

typedef struct maker {
  moire__ahead *a;
  moire__ahead_level *level;
  const moire__module *m;
  moire__ahead_plan *plan;
  const bool *taken; /* steps */
  bool *placed;      /* buffers that have a place; the others go to the workspace */
  const char *const *outputs;
  int n_outputs;
  moire_error *error;
} maker;

/* ---- Kernels ---------------------------------------------------------------------------------------- */

static char *symbol_of(maker *k, int number) {
  char *symbol =
      moire__arena_printf(&k->a->arena, "moire__%s_%s_k%d", k->a->options->name, k->level->target.name, number);
  for (char *c = symbol; *c; c++) {
    if (*c == '-') *c = '_';
  }
  return symbol;
}

/* The level's number of a kernel: those of equal text are one. */
static int intern_kernel(maker *k, moire__loop_kernel *kernel) {
  moire__ahead_level *level = k->level;
  moire__text text = {0};
  moire__loop_print_bare(kernel, &text);
  int found = moire__names_find(&level->texts, moire__text_string(&text));
  if (found < 0) {
    moire__arena *arena = &k->a->arena;
    int room = level->kernel_capacity;
    found = level->n_kernels;
    MOIRE__PUSH(arena, level->kernels, level->n_kernels, level->kernel_capacity, kernel);
    if (level->kernel_capacity != room)
      level->symbols = moire__arena_grow(arena, level->symbols, found, &room, sizeof *level->symbols);
    moire__names_add(&level->texts, arena, moire__arena_copy_string(arena, moire__text_string(&text)));
    level->symbols[found] = symbol_of(k, found);
  }
  moire__text_free(&text);
  return found;
}

/* ---- Steps ------------------------------------------------------------------------------------------ */

static void make_steps(maker *k) {
  const moire_plan *from = &k->m->plan;
  moire__ahead_plan *plan = k->plan;
  int arguments = 0, constants = 0;
  for (int i = 0; i < from->n_steps; i++) {
    arguments += from->steps[i].n_buffers;
    constants += from->steps[i].n_constants;
  }
  plan->n_extents = from->n_extents;
  plan->constants = moire__arena_array(&k->a->arena, (size_t)constants + 1, sizeof *plan->constants);
  plan->steps = moire__arena_array(&k->a->arena, (size_t)from->n_steps + 1, sizeof *plan->steps);
  plan->arguments = moire__arena_array(&k->a->arena, (size_t)arguments + 1, sizeof *plan->arguments);
  for (int i = 0; i < from->n_steps; i++) {
    const moire_plan_step *step = &from->steps[i];
    if (!k->taken[i]) continue;
    plan->steps[plan->n_steps++] = (moire__ahead_step){.kernel = intern_kernel(k, k->m->kernels[step->kernel]),
                                                       .first_argument = plan->n_arguments,
                                                       .n_arguments = step->n_buffers,
                                                       .extents = moire__dim_extents(step->count),
                                                       .count = moire__dim_factor(step->count),
                                                       .block = step->block,
                                                       .name = step->name,
                                                       .first_constant = plan->n_constants,
                                                       .n_constants = step->n_constants};
    for (int j = 0; j < step->n_constants; j++) plan->constants[plan->n_constants++] = step->constants[j];
    for (int j = 0; j < step->n_buffers; j++) plan->arguments[plan->n_arguments++] = step->buffers[j];
  }
}

/* ---- Places ----------------------------------------------------------------------------------------- */

static void place(maker *k, int buffer, moire__ahead_place where, int64_t offset) {
  k->plan->buffers[buffer] = (moire__ahead_buffer){where, 0, offset};
  k->placed[buffer] = true;
}

/* The number of an input among those that all interfaces have, in the order of runtime/aot/tables.h; -1: it is
 * the interface's own. */
static int common_input(const moire_plan *plan, int buffer) {
  static const char *const names[] = {"rng", "optimizer.scalars"};
  const moire_plan_packing *p = &plan->packing;
  const int packed[] = {p->tokens, p->slots, p->last, p->ends, p->starts, p->counts, p->valid};
  enum { NAMED = sizeof names / sizeof *names, PACKED = sizeof packed / sizeof *packed };
  _Static_assert(NAMED + PACKED == MOIRE__AHEAD_COMMON_INPUTS, "as many as in moire__aot_input");
  for (int i = 0; i < NAMED; i++) {
    if (!strcmp(names[i], plan->buffers[buffer].name)) return i;
  }
  for (int i = 0; i < PACKED && p->extent; i++) {
    if (packed[i] == buffer) return NAMED + i;
  }
  return -1;
}

static moire_status place_inputs(maker *k) {
  const moire_plan *plan = &k->m->plan;
  int n = 0;
  while (k->a->inputs[n]) n++;
  k->plan->reads =
      moire__arena_array(&k->a->arena, (size_t)(MOIRE__AHEAD_COMMON_INPUTS + n) + 1, sizeof *k->plan->reads);
  const moire_plan_packing *packing = &plan->packing;
  k->plan->ids = k->plan->lengths = k->plan->targets = -1;
  for (int b = 0; b < plan->n_buffers; b++) {
    if (plan->buffers[b].role != MOIRE_PLAN_INPUT) continue;
    int number = common_input(plan, b), i = 0;
    while (number < 0 && i < n && strcmp(k->a->inputs[i], plan->buffers[b].name) != 0) i++;
    if (number < 0 && i == n)
      return moire_fail(k->error, MOIRE_ERROR_UNSUPPORTED,
                        "input %s: a library with the interface \"%s\" has no such input to give",
                        plan->buffers[b].name, k->a->interface->name);
    if (number < 0) number = MOIRE__AHEAD_COMMON_INPUTS + i;
    place(k, b, MOIRE__AHEAD_INPUT, number);
    k->plan->reads[number] = true;
    if (packing->extent && packing->ids == b) k->plan->ids = number;
    if (packing->extent && packing->lengths == b) k->plan->lengths = number;
    if (packing->extent && packing->targets == b) k->plan->targets = number;
  }
  if (packing->extent && k->plan->ids < 0 && k->plan->lengths < 0 && k->plan->targets < 0)
    return moire_fail(k->error, MOIRE_ERROR_INTERNAL, "the graph %s is packed by inputs that it does not read",
                      plan->name);
  k->plan->length = packing->extent ? packing->length : 0;
  k->plan->block = packing->extent ? packing->block : 1;
  k->plan->ignored = packing->ignored;
  k->plan->wide_ids = k->plan->ids >= 0 && plan->buffers[packing->ids].dtype == MOIRE_I64;
  k->plan->flush = plan->flush;
  return MOIRE_OK;
}

static moire_status place_states(maker *k) {
  for (int b = 0; b < k->m->plan.n_buffers; b++) {
    const moire_plan_buffer *buffer = &k->m->plan.buffers[b];
    if (buffer->role != MOIRE_PLAN_STATE || k->placed[b]) continue;
    int i = 0;
    while (i < k->a->n_states && strcmp(k->a->states[i].info.name, buffer->name) != 0) i++;
    if (i == k->a->n_states)
      return moire_fail(k->error, MOIRE_ERROR_ARGUMENT,
                        "state %s: the graph for inference has it, but the one for training does not",
                        buffer->name);
    place(k, b, MOIRE__AHEAD_STATE, k->a->states[i].offset);
  }
  return MOIRE_OK;
}

/* Lifetimes over the steps that are taken; first > last where none touches the buffer. */
static moire__layout_item *find_lives(maker *k) {
  const moire_plan *from = &k->m->plan;
  moire__layout_item *lives = moire__arena_array(&k->a->arena, (size_t)from->n_buffers + 1, sizeof *lives);
  for (int b = 0; b < from->n_buffers; b++) {
    lives[b].bytes = (size_t)moire__ahead_bytes(from->buffers[b].dtype, from->buffers[b].elements);
    lives[b].first = k->plan->n_steps;
    lives[b].last = -1;
  }
  for (int s = 0; s < k->plan->n_steps; s++) {
    const moire__ahead_step *step = &k->plan->steps[s];
    for (int i = 0; i < step->n_arguments; i++) {
      moire__layout_item *life = &lives[k->plan->arguments[step->first_argument + i]];
      if (s < life->first) life->first = s;
      life->last = s;
    }
  }
  for (int i = 0; i < k->plan->n_copies; i++) lives[k->plan->copies[i].from].last = k->plan->n_steps;
  for (int i = 0; i < k->plan->n_outputs; i++) lives[k->plan->outputs[i]].last = k->plan->n_steps;
  return lives;
}

/* Lays out the workspace's buffers whose size is a multiple of `extents`, as the next part. */
static void lay_out(maker *k, const moire__layout_item *lives, int extents) {
  const moire_plan *from = &k->m->plan;
  size_t n = (size_t)from->n_buffers + 1;
  moire__layout_item *items = moire__arena_array(&k->a->arena, n, sizeof *items);
  size_t *offsets = moire__arena_array(&k->a->arena, n, sizeof *offsets);
  int *members = moire__arena_array(&k->a->arena, n, sizeof *members), n_members = 0;
  for (int b = 0; b < from->n_buffers; b++) {
    bool is_here = moire__dim_extents(from->buffers[b].elements) == extents;
    if (k->placed[b] || lives[b].first > lives[b].last || !is_here) continue;
    items[n_members] = lives[b];
    members[n_members++] = b;
  }
  size_t bytes = moire__layout_assign(items, n_members, &k->a->arena, offsets);
  int part = k->plan->n_parts++;
  for (int i = 0; i < n_members; i++)
    k->plan->buffers[members[i]] = (moire__ahead_buffer){MOIRE__AHEAD_WORKSPACE, part, (int64_t)offsets[i]};
  k->plan->parts[part] = (moire__ahead_part){extents, (int64_t)bytes};
}

/* A part for each product of extents that is the size of a buffer there. */
static void lay_out_all(maker *k) {
  moire__layout_item *lives = find_lives(k);
  for (int b = 0; b < k->m->plan.n_buffers; b++) {
    int extents = moire__dim_extents(k->m->plan.buffers[b].elements), i = 0;
    if (k->placed[b] || lives[b].first > lives[b].last) continue;
    while (i < k->plan->n_parts && k->plan->parts[i].extents != extents) i++;
    if (i == k->plan->n_parts) lay_out(k, lives, extents);
  }
}

static moire_status make_copies(maker *k) {
  const moire_plan *from = &k->m->plan;
  k->plan->copies = moire__arena_array(&k->a->arena, (size_t)from->n_updates + 1, sizeof *k->plan->copies);
  for (int i = 0; i < from->n_updates; i++) {
    const moire_plan_update *update = &from->updates[i];
    const moire_plan_buffer *source = &from->buffers[update->from];
    if (source->role == MOIRE_PLAN_STATE)
      return moire_fail(k->error, MOIRE_ERROR_UNSUPPORTED, "state %s: is updated from the state %s as it is",
                        from->buffers[update->state].name, source->name);
    int64_t bytes = moire__dim_factor(source->elements) * (int64_t)moire__dtype_bytes(source->dtype);
    k->plan->copies[k->plan->n_copies++] = (moire__ahead_copy){update->state, update->from, bytes};
  }
  return MOIRE_OK;
}

static moire_status find_outputs(maker *k) {
  const moire_plan *from = &k->m->plan;
  k->plan->outputs = moire__arena_array(&k->a->arena, (size_t)k->n_outputs + 1, sizeof *k->plan->outputs);
  for (int i = 0; i < k->n_outputs; i++) {
    const moire_plan_buffer *found = moire__ahead_find_buffer(from, MOIRE_PLAN_OUTPUT, k->outputs[i]);
    if (!found)
      return moire_fail(k->error, MOIRE_ERROR_ARGUMENT, "the graph %s has no output %s that it computes",
                        from->name, k->outputs[i]);
    k->plan->outputs[k->plan->n_outputs++] = (int)(found - from->buffers);
  }
  return MOIRE_OK;
}

/* The rest, once the buffers outside of the workspace have their places. */
static moire_status finish(maker *k) {
  moire_status status = place_inputs(k);
  make_steps(k);
  if (!status) status = find_outputs(k);
  if (status) return status;
  lay_out_all(k);
  return MOIRE_OK;
}

/* ---- Plans ------------------------------------------------------------------------------------------ */

/* A plan named `name` with the steps that are `taken`; NULL: all. */
static maker start(moire__ahead *a, moire__ahead_level *level, int which, int module, const char *name,
                   const bool *taken, moire_error *error) {
  const moire__module *m = level->modules[module];
  size_t n = (size_t)m->plan.n_buffers * 2 + 1; /* `prepare` adds the places that states are copied to */
  maker k = {.a = a, .level = level, .m = m, .plan = &level->plans[which], .taken = taken, .error = error};
  k.placed = moire__arena_array(&a->arena, n, sizeof *k.placed);
  k.plan->name = name;
  k.plan->block = 1;
  k.plan->n_buffers = m->plan.n_buffers;
  k.plan->buffers = moire__arena_array(&a->arena, n, sizeof *k.plan->buffers);
  if (taken) return k;
  bool *all = moire__arena_array(&a->arena, (size_t)m->plan.n_steps + 1, sizeof *all);
  memset(all, 1, (size_t)m->plan.n_steps);
  k.taken = all;
  return k;
}

/* Which buffers the remaining steps of a plan read of the model. */
static bool *find_constants(moire__ahead *a, const moire__module *m, const moire__ahead_plan *plan) {
  bool *constants = moire__arena_array(&a->arena, (size_t)m->plan.n_buffers + 1, sizeof *constants);
  for (int s = 0; s < m->plan.n_steps; s++) {
    if (plan->ahead[s]) continue;
    for (int i = 0; i < m->plan.steps[s].n_buffers; i++) {
      int b = m->plan.steps[s].buffers[i];
      constants[b] = plan->prepared[b] || m->plan.buffers[b].role == MOIRE_PLAN_STATE;
    }
  }
  return constants;
}

static uint64_t add_number(uint64_t hash, int64_t number) { return moire__fnv(hash, (uint64_t)number); }

/* What a step does to its buffers, and to which. */
static uint64_t origin_of(const moire__module *m, const moire_plan_step *step, const uint64_t *origins) {
  moire__text text = {0};
  moire__loop_print_bare(m->kernels[step->kernel], &text);
  uint64_t hash = moire__hash_bytes((const unsigned char *)text.data, text.length);
  moire__text_free(&text);
  hash = add_number(add_number(hash, step->count), step->block);
  for (int i = 0; i < step->n_constants; i++) hash = add_number(hash, step->constants[i]);
  for (int i = 0; i < step->n_buffers; i++) hash = moire__fnv(hash, origins[step->buffers[i]]);
  return hash;
}

/* States are known by their names, what steps make ahead of them by how it is made. */
static uint64_t *find_origins(moire__ahead *a, const moire__module *m, const moire__ahead_plan *plan) {
  uint64_t *origins = moire__arena_array(&a->arena, (size_t)m->plan.n_buffers + 1, sizeof *origins);
  for (int b = 0; b < m->plan.n_buffers; b++) {
    const moire_plan_buffer *buffer = &m->plan.buffers[b];
    if (buffer->role == MOIRE_PLAN_STATE)
      origins[b] = moire__hash_bytes((const unsigned char *)buffer->name, strlen(buffer->name));
  }
  for (int s = 0; s < m->plan.n_steps; s++) {
    const moire_plan_step *step = &m->plan.steps[s];
    uint64_t origin = plan->ahead[s] ? origin_of(m, step, origins) : 0;
    for (int i = 0; i < step->n_buffers && plan->ahead[s]; i++) {
      int b = step->buffers[i];
      if (m->plan.buffers[b].role != MOIRE_PLAN_STATE && !origins[b]) origins[b] = add_number(origin, i);
    }
  }
  return origins;
}

/* The place of a constant in the block. Plans share what is the same. */
static int64_t place_constant(moire__ahead_level *level, int which, int buffer) {
  const moire_plan_buffer *wanted = &level->modules[which]->plan.buffers[buffer];
  int64_t bytes = moire__ahead_bytes(wanted->dtype, wanted->elements);
  for (int p = 0; p < which; p++) {
    const moire_plan *earlier = &level->modules[p]->plan;
    const moire__ahead_plan *plan = &level->plans[p];
    for (int b = 0; b < earlier->n_buffers; b++) {
      if (plan->is_constant[b] && plan->origins[b] == level->plans[which].origins[buffer] &&
          moire__ahead_bytes(earlier->buffers[b].dtype, earlier->buffers[b].elements) == bytes)
        return plan->buffers[b].offset;
    }
  }
  int64_t offset = level->block_bytes;
  level->block_bytes += bytes;
  return offset;
}

static moire_status make_served(moire__ahead *a, moire__ahead_level *level, int which, moire_error *error) {
  const moire__module *m = level->modules[which];
  moire__ahead_plan *plan = &level->plans[which];
  bool *rest = moire__arena_array(&a->arena, (size_t)m->plan.n_steps + 1, sizeof *rest);
  plan->ahead = moire__arena_array(&a->arena, (size_t)m->plan.n_steps + 1, sizeof *plan->ahead);
  plan->prepared = moire__arena_array(&a->arena, (size_t)m->plan.n_buffers + 1, sizeof *plan->prepared);
  bool runs = a->served[which].folds_all && moire__target_runs_here(&level->target, NULL) == MOIRE_OK;
  if (a->served[which].folds)
    (runs ? moire__pass_prepare_all : moire__pass_prepare)(m, plan->ahead, plan->prepared);
  for (int s = 0; s < m->plan.n_steps; s++) rest[s] = !plan->ahead[s];
  plan->is_constant = find_constants(a, m, plan);
  plan->origins = find_origins(a, m, plan);
  maker k = start(a, level, which, which, a->served[which].name, rest, error);
  k.outputs = a->served[which].outputs;
  k.n_outputs = a->served[which].n_outputs;
  for (int b = 0; b < m->plan.n_buffers; b++) {
    if (plan->is_constant[b]) place(&k, b, MOIRE__AHEAD_MODEL, place_constant(level, which, b));
  }
  if (m->plan.n_updates)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "the graph for inference updates the state %s",
                      m->plan.buffers[m->plan.updates[0].state].name);
  return finish(&k);
}

/* From the states to what a plan that serves reads of them: copies of those that it reads as they are, and the
 * steps that make the rest. */
static moire_status make_prepare(moire__ahead *a, moire__ahead_level *level, int which, moire_error *error) {
  const moire__module *m = level->modules[which];
  const moire__ahead_plan *served = &level->plans[which];
  const char *name = moire__arena_printf(&a->arena, "prepare%d", which);
  maker k = start(a, level, MOIRE__AHEAD_PREPARE + which, which, name, served->ahead, error);
  moire__ahead_plan *plan = k.plan;
  int64_t end = level->block_bytes;
  plan->copies = moire__arena_array(&a->arena, (size_t)m->plan.n_buffers + 1, sizeof *plan->copies);
  for (int b = 0; b < m->plan.n_buffers; b++) {
    const moire_plan_buffer *buffer = &m->plan.buffers[b];
    bool is_constant = served->is_constant[b];
    if (served->prepared[b]) {
      int64_t bytes = moire__ahead_bytes(buffer->dtype, buffer->elements);
      place(&k, b, MOIRE__AHEAD_MODEL, is_constant ? served->buffers[b].offset : end);
      if (!is_constant) end += bytes;
    } else if (is_constant) {
      int64_t bytes = moire__dim_factor(buffer->elements) * (int64_t)moire__dtype_bytes(buffer->dtype);
      plan->buffers[plan->n_buffers] = served->buffers[b];
      k.placed[plan->n_buffers] = true;
      plan->copies[plan->n_copies++] = (moire__ahead_copy){plan->n_buffers++, b, bytes};
    }
  }
  if (end > level->prepare_bytes) level->prepare_bytes = end;
  moire_status status = place_states(&k);
  return status ? status : finish(&k);
}

static moire_status make_training(moire__ahead *a, moire__ahead_level *level, int which, moire_error *error) {
  static const char *const loss[] = {"loss"};
  maker k = start(a, level, which, which, which == MOIRE__AHEAD_STEP ? "step" : "loss", NULL, error);
  k.outputs = loss;
  k.n_outputs = 1;
  moire_status status = place_states(&k);
  if (!status) status = make_copies(&k);
  return status ? status : finish(&k);
}

moire_status moire__ahead_make_plans(moire__ahead *a, moire__ahead_level *level, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; a->served[i].name && !status; i++) status = make_served(a, level, i, error);
  if (!status && a->model->weights) status = moire__ahead_fold(a, level, error);
  if (status || !a->model->training) return status;
  for (int i = 0; a->served[i].name && !status; i++) status = make_prepare(a, level, i, error);
  if (!status) status = make_training(a, level, MOIRE__AHEAD_STEP, error);
  return status ? status : make_training(a, level, MOIRE__AHEAD_LOSS, error);
}
