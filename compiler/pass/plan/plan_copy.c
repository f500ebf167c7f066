/* A plan of its own: what is left of a module once its kernels are code. */
#include "compiler/pass/plan/module.h"

#include <string.h>

static void *copy_array(const void *from, int n, size_t size, moire__arena *arena) {
  void *to = moire__arena_array(arena, (size_t)n + 1, size);
  if (n) memcpy(to, from, (size_t)n * size);
  return to;
}

static const char *copy_name(const char *name, moire__arena *arena) {
  return name ? moire__arena_copy_string(arena, name) : NULL;
}

static const moire_plan_buffer *copy_buffers(const moire_plan *plan, moire__arena *arena) {
  moire_plan_buffer *to = copy_array(plan->buffers, plan->n_buffers, sizeof *to, arena);
  for (int i = 0; i < plan->n_buffers; i++) to[i].name = copy_name(to[i].name, arena);
  return to;
}

static const moire_plan_step *copy_steps(const moire_plan *plan, moire__arena *arena) {
  moire_plan_step *to = copy_array(plan->steps, plan->n_steps, sizeof *to, arena);
  for (int i = 0; i < plan->n_steps; i++) {
    to[i].buffers = copy_array(to[i].buffers, to[i].n_buffers, sizeof *to[i].buffers, arena);
    to[i].name = copy_name(to[i].name, arena);
    to[i].constants = copy_array(to[i].constants, to[i].n_constants, sizeof *to[i].constants, arena);
  }
  return to;
}

static const moire_plan_state *copy_states(const moire_plan *plan, moire__arena *arena) {
  moire_plan_state *to = copy_array(plan->states, plan->n_states, sizeof *to, arena);
  for (int i = 0; i < plan->n_states; i++) {
    moire_init *init = &to[i].init;
    to[i].name = copy_name(to[i].name, arena);
    init->stream = copy_name(init->stream, arena);
    if (init->values) init->values = copy_array(init->values, init->n_values, sizeof *init->values, arena);
  }
  return to;
}

/* Names of extents are numbered from 1. */
static const char *const *copy_extents(const moire_plan *plan, moire__arena *arena) {
  const char **to = moire__arena_array(arena, (size_t)plan->n_extents + 1, sizeof *to);
  for (int i = 1; i <= plan->n_extents; i++) to[i] = copy_name(plan->extents[i], arena);
  return to;
}

moire_plan moire__plan_copy(const moire_plan *plan, moire__arena *arena) {
  moire_plan to = *plan;
  to.name = copy_name(plan->name, arena);
  to.extents = copy_extents(plan, arena);
  to.buffers = copy_buffers(plan, arena);
  to.steps = copy_steps(plan, arena);
  to.updates = copy_array(plan->updates, plan->n_updates, sizeof *plan->updates, arena);
  to.states = copy_states(plan, arena);
  if (plan->settled_steps) {
    to.settled_steps = copy_array(plan->settled_steps, plan->n_steps, sizeof *plan->settled_steps, arena);
    to.settled_buffers =
        copy_array(plan->settled_buffers, plan->n_buffers, sizeof *plan->settled_buffers, arena);
  }
  return to;
}
