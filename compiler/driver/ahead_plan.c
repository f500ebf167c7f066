/* Plans as tables: which kernels, where each buffer lies, and what is done ahead.
 *
 * In the plan `scores`, states and what the prepared steps make of them lie in one block of constants, the
 * model; the prepared steps themselves are left out, and become the plan `prepare` of a library that trains.
 * All else lies in the workspace, which has a part for sizes that are fixed and one for each named extent,
 * where an offset for an extent of 1, times the extent, serves every size.
 *
 * Requires: modules that were lowered for the level's target. Breaks nothing. */
#include "compiler/driver/ahead.h"
#include "compiler/pass/plan/prepare.h"
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
  const char *output;
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
  int arguments = 0;
  for (int i = 0; i < from->n_steps; i++) arguments += from->steps[i].n_buffers;
  plan->steps = moire__arena_array(&k->a->arena, (size_t)from->n_steps + 1, sizeof *plan->steps);
  plan->arguments = moire__arena_array(&k->a->arena, (size_t)arguments + 1, sizeof *plan->arguments);
  for (int i = 0; i < from->n_steps; i++) {
    const moire_plan_step *step = &from->steps[i];
    if (!k->taken[i]) continue;
    plan->steps[plan->n_steps++] = (moire__ahead_step){.kernel = intern_kernel(k, k->m->kernels[step->kernel]),
                                                       .first_argument = plan->n_arguments,
                                                       .n_arguments = step->n_buffers,
                                                       .extent = moire__dim_extent(step->count),
                                                       .count = moire__dim_factor(step->count),
                                                       .block = step->block,
                                                       .name = step->name};
    for (int j = 0; j < step->n_buffers; j++) plan->arguments[plan->n_arguments++] = step->buffers[j];
  }
}

/* ---- Places ----------------------------------------------------------------------------------------- */

static void place(maker *k, int buffer, moire__ahead_place where, int64_t offset) {
  k->plan->buffers[buffer] = (moire__ahead_buffer){where, 0, offset};
  k->placed[buffer] = true;
}

static moire_status place_inputs(maker *k) {
  static const char *const names[] = {"input_ids",
                                      "answers",
                                      "rng",
                                      "adam.step_size",
                                      "adam.bias2",
                                      "features",
                                      "ids",
                                      "input_ids.tokens",
                                      "input_ids.slots",
                                      "input_ids.last",
                                      "input_ids.ends",
                                      "input_ids.starts",
                                      "input_ids.counts",
                                      "input_ids.valid"};
  for (int b = 0; b < k->m->plan.n_buffers; b++) {
    const moire_plan_buffer *buffer = &k->m->plan.buffers[b];
    if (buffer->role != MOIRE_PLAN_INPUT) continue;
    size_t i = 0, n = sizeof names / sizeof *names;
    while (i < n && strcmp(names[i], buffer->name) != 0) i++;
    if (i == n)
      return moire_fail(k->error, MOIRE_ERROR_UNSUPPORTED,
                        "input %s: a library that recommends has no such input to give", buffer->name);
    place(k, b, MOIRE__AHEAD_INPUT, (int64_t)i);
    k->plan->inputs |= 1u << i;
  }
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
  if (k->plan->output >= 0) lives[k->plan->output].last = k->plan->n_steps;
  return lives;
}

/* Lays out the workspace's buffers of one extent. Returns their bytes. */
static int64_t lay_out(maker *k, const moire__layout_item *lives, int extent) {
  const moire_plan *from = &k->m->plan;
  size_t n = (size_t)from->n_buffers + 1;
  moire__layout_item *items = moire__arena_array(&k->a->arena, n, sizeof *items);
  size_t *offsets = moire__arena_array(&k->a->arena, n, sizeof *offsets);
  int *members = moire__arena_array(&k->a->arena, n, sizeof *members), n_members = 0;
  for (int b = 0; b < from->n_buffers; b++) {
    bool is_here = moire__dim_extent(from->buffers[b].elements) == extent;
    if (k->placed[b] || lives[b].first > lives[b].last || !is_here) continue;
    items[n_members] = lives[b];
    members[n_members++] = b;
  }
  size_t bytes = moire__layout_assign(items, n_members, &k->a->arena, offsets);
  for (int i = 0; i < n_members; i++)
    k->plan->buffers[members[i]] = (moire__ahead_buffer){MOIRE__AHEAD_WORKSPACE, extent, (int64_t)offsets[i]};
  return (int64_t)bytes;
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

static void find_output(maker *k) {
  k->plan->output = -1;
  for (int b = 0; b < k->m->plan.n_buffers && k->output; b++) {
    const moire_plan_buffer *buffer = &k->m->plan.buffers[b];
    if (buffer->role == MOIRE_PLAN_OUTPUT && !strcmp(buffer->name, k->output)) k->plan->output = b;
  }
}

/* The rest, once the buffers outside of the workspace have their places. */
static moire_status finish(maker *k) {
  moire_status status = place_inputs(k);
  make_steps(k);
  find_output(k);
  if (!status && k->output && k->plan->output < 0)
    status = moire_fail(k->error, MOIRE_ERROR_ARGUMENT, "the graph %s has no output %s that it computes",
                        k->m->plan.name, k->output);
  if (status) return status;
  moire__layout_item *lives = find_lives(k);
  for (int i = 0; i < MOIRE__AHEAD_EXTENTS; i++) k->plan->bytes[i] = lay_out(k, lives, i);
  return MOIRE_OK;
}

/* ---- Plans ------------------------------------------------------------------------------------------ */

static maker start(moire__ahead *a, moire__ahead_level *level, const moire__module *m, int which,
                   const char *name, const char *output, const bool *taken, moire_error *error) {
  size_t n = (size_t)m->plan.n_buffers * 2 + 1; /* `prepare` adds the places that states are copied to */
  maker k = {a, level, m, &level->plans[which], taken, NULL, output, error};
  k.placed = moire__arena_array(&a->arena, n, sizeof *k.placed);
  k.plan->name = name;
  k.plan->packed = m->plan.n_extents > 1;
  k.plan->n_buffers = m->plan.n_buffers;
  k.plan->buffers = moire__arena_array(&a->arena, n, sizeof *k.plan->buffers);
  return k;
}

/* Which buffers the remaining steps of `scores` read of the model. */
static bool *find_constants(moire__ahead *a, const moire__module *m, const bool *prepared_steps,
                            const bool *prepared) {
  bool *constants = moire__arena_array(&a->arena, (size_t)m->plan.n_buffers + 1, sizeof *constants);
  for (int s = 0; s < m->plan.n_steps; s++) {
    if (prepared_steps[s]) continue;
    for (int i = 0; i < m->plan.steps[s].n_buffers; i++) {
      int b = m->plan.steps[s].buffers[i];
      constants[b] = prepared[b] || m->plan.buffers[b].role == MOIRE_PLAN_STATE;
    }
  }
  return constants;
}

/* From the block to the states that go into it as they are, and the steps that make the rest. */
static moire_status make_prepare(moire__ahead *a, moire__ahead_level *level, const bool *steps,
                                 const bool *prepared, const bool *constants, moire_error *error) {
  const moire__module *m = level->scores;
  maker k = start(a, level, m, MOIRE__AHEAD_PREPARE, "prepare", NULL, steps, error);
  moire__ahead_plan *plan = k.plan;
  const moire__ahead_buffer *scores = level->plans[MOIRE__AHEAD_SCORES].buffers;
  plan->copies = moire__arena_array(&a->arena, (size_t)m->plan.n_buffers + 1, sizeof *plan->copies);
  level->prepare_bytes = level->block_bytes;
  for (int b = 0; b < m->plan.n_buffers; b++) {
    const moire_plan_buffer *buffer = &m->plan.buffers[b];
    if (prepared[b]) {
      int64_t bytes = moire__ahead_bytes(buffer->dtype, buffer->elements);
      place(&k, b, MOIRE__AHEAD_MODEL, constants[b] ? scores[b].offset : level->prepare_bytes);
      if (!constants[b]) level->prepare_bytes += bytes;
    } else if (constants[b]) {
      int64_t bytes = moire__dim_factor(buffer->elements) * (int64_t)moire__dtype_bytes(buffer->dtype);
      plan->buffers[plan->n_buffers] = scores[b];
      k.placed[plan->n_buffers] = true;
      plan->copies[plan->n_copies++] = (moire__ahead_copy){plan->n_buffers++, b, bytes};
    }
  }
  moire_status status = place_states(&k);
  return status ? status : finish(&k);
}

/* From codes to features, all of it at every call. */
static moire_status make_restore(moire__ahead *a, moire__ahead_level *level, moire_error *error) {
  const moire__module *m = level->restore;
  bool *all = moire__arena_array(&a->arena, (size_t)m->plan.n_steps + 1, sizeof *all);
  memset(all, 1, (size_t)m->plan.n_steps);
  maker k = start(a, level, m, MOIRE__AHEAD_RESTORE, "restore", "restored", all, error);
  for (int b = 0; b < m->plan.n_buffers; b++) {
    if (m->plan.buffers[b].role == MOIRE_PLAN_STATE)
      place(&k, b, MOIRE__AHEAD_MODEL, moire__ahead_place_constant(level, &m->plan.buffers[b]));
  }
  return finish(&k);
}

static moire_status make_scores(moire__ahead *a, moire__ahead_level *level, moire_error *error) {
  const moire__module *m = level->scores;
  bool *steps = moire__arena_array(&a->arena, (size_t)m->plan.n_steps + 1, sizeof *steps);
  bool *rest = moire__arena_array(&a->arena, (size_t)m->plan.n_steps + 1, sizeof *rest);
  bool *prepared = moire__arena_array(&a->arena, (size_t)m->plan.n_buffers + 1, sizeof *prepared);
  moire__pass_prepare(m, steps, prepared);
  for (int s = 0; s < m->plan.n_steps; s++) rest[s] = !steps[s];
  bool *constants = find_constants(a, m, steps, prepared);
  const char *output = a->model->item_coder ? "codes" : "logits";
  maker k = start(a, level, m, MOIRE__AHEAD_SCORES, "scores", output, rest, error);
  k.plan->is_constant = constants;
  for (int b = 0; b < m->plan.n_buffers; b++) {
    if (!constants[b]) continue;
    place(&k, b, MOIRE__AHEAD_MODEL, level->block_bytes);
    level->block_bytes += moire__ahead_bytes(m->plan.buffers[b].dtype, m->plan.buffers[b].elements);
  }
  if (m->plan.n_updates)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "the graph for inference updates the state %s",
                      m->plan.buffers[m->plan.updates[0].state].name);
  moire_status status = finish(&k);
  if (!status && level->restore) status = make_restore(a, level, error);
  if (!status && a->model->weights) status = moire__ahead_fold(a, level, steps, constants, error);
  if (!status && level->restore) status = moire__ahead_fold_restore(a, level, error);
  if (!status && a->model->training) status = make_prepare(a, level, steps, prepared, constants, error);
  return status;
}

static moire_status make_training(moire__ahead *a, moire__ahead_level *level, int which, moire_error *error) {
  const moire__module *m = which == MOIRE__AHEAD_STEP ? level->step : level->loss;
  bool *all = moire__arena_array(&a->arena, (size_t)m->plan.n_steps + 1, sizeof *all);
  memset(all, 1, (size_t)m->plan.n_steps);
  maker k = start(a, level, m, which, which == MOIRE__AHEAD_STEP ? "step" : "loss", "loss", all, error);
  moire_status status = place_states(&k);
  if (!status) status = make_copies(&k);
  return status ? status : finish(&k);
}

moire_status moire__ahead_make_plans(moire__ahead *a, moire__ahead_level *level, moire_error *error) {
  moire_status status = make_scores(a, level, error);
  if (!status && level->step) status = make_training(a, level, MOIRE__AHEAD_STEP, error);
  if (!status && level->loss) status = make_training(a, level, MOIRE__AHEAD_LOSS, error);
  return status;
}
