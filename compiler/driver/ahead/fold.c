/* What depends on weights alone, computed while the library is made: the block of constants that plans read as
 * they serve.
 *
 * The interpreter does it, so that a library for another machine is made in the same way; its steps are exact,
 * so nobody can tell. Steps that are not, which plans have only where this machine runs the level's code, are
 * compiled. */
#include "compiler/driver/ahead/ahead.h"
#include "compiler/pass/plan/prepare.h"
#include "runtime/base/float_mode.h"
#include "runtime/base/layout.h"

#include <inttypes.h>
#include <string.h>

static int64_t plain_bytes(const moire_plan_buffer *buffer) {
  return moire__dim_factor(buffer->elements) * (int64_t)moire__dtype_bytes(buffer->dtype);
}

static moire_status find_states(const moire__ahead *a, const moire_plan *plan, void **values,
                                moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int b = 0; b < plan->n_buffers && !status; b++) {
    const void *data = NULL;
    if (plan->buffers[b].role != MOIRE_PLAN_STATE) continue;
    status = moire__ahead_need_weight(a, &plan->buffers[b], &data, error);
    values[b] = (void *)(uintptr_t)data;
  }
  return status;
}

/* What is approximated is as the library itself would do it. */
static moire_status run_compiled(const moire__loop_kernel *kernel, const moire__target *target, bool flush,
                                 void *const *buffers, const int64_t *extents, int64_t pieces,
                                 moire_error *error) {
  const char *const symbols[] = {"moire_fold"};
  const moire__codegen_options how = {.symbols = symbols, .flush = flush};
  moire_kernel_function run = NULL;
  moire__jit *jit = moire__jit_create(error);
  moire_status status =
      jit ? moire__jit_compile(jit, &kernel, 1, target, &how, 1, &run, error) : MOIRE_ERROR_INTERNAL;
  const uint64_t before = moire__float_flush(flush ? MOIRE__FLOAT_FLUSH : 0);
  if (!status) run(buffers, extents, 0, pieces);
  moire__float_flush(before);
  moire__jit_destroy(jit);
  return status;
}

static moire_status run_step(const moire__module *m, const moire__target *target, int step, void **values,
                             moire_error *error) {
  const moire_plan_step *s = &m->plan.steps[step];
  void **buffers = moire__allocate_array((size_t)s->n_buffers + 1, sizeof *buffers);
  for (int i = 0; i < s->n_buffers; i++) {
    const moire_plan_buffer *buffer = &m->plan.buffers[s->buffers[i]];
    if (!values[s->buffers[i]])
      values[s->buffers[i]] = moire__allocate_aligned((size_t)plain_bytes(buffer) + 1, MOIRE__ALIGNMENT);
    buffers[i] = values[s->buffers[i]];
  }
  int64_t count = moire__dim_factor(s->count), pieces = count / s->block + (count % s->block != 0);
  int64_t extents[MOIRE_MAX_EXTENTS + 1] = {0};
  int64_t own[MOIRE_MAX_EXTENTS + 1];
  const int64_t *given = moire__step_extents(&m->plan, s, extents, own);
  const moire__loop_kernel *kernel = m->kernels[s->kernel];
  moire_status status = moire__kernel_is_exact(kernel)
                            ? moire__loop_interpret(kernel, buffers, given, 0, pieces, false, error)
                            : run_compiled(kernel, target, m->plan.flush, buffers, given, pieces, error);
  moire__release(buffers);
  return status;
}

/* What one plan reads. */
static moire_status fold_plan(const moire__ahead *a, moire__ahead_level *level, int which, moire_error *error) {
  const moire__module *m = level->modules[which];
  const moire__ahead_plan *plan = &level->plans[which];
  void **values = moire__allocate_array((size_t)m->plan.n_buffers + 1, sizeof *values);
  moire_status status = find_states(a, &m->plan, values, error);
  for (int s = 0; s < m->plan.n_steps && !status; s++) {
    if (plan->ahead[s]) status = run_step(m, &level->target, s, values, error);
  }
  for (int b = 0; b < m->plan.n_buffers; b++) {
    if (!status && plan->is_constant[b])
      memcpy(level->block + plan->buffers[b].offset, values[b], (size_t)plain_bytes(&m->plan.buffers[b]));
    if (m->plan.buffers[b].role != MOIRE_PLAN_STATE) moire__release_aligned(values[b]);
  }
  moire__release(values);
  return status;
}

moire_status moire__ahead_fold(moire__ahead *a, moire__ahead_level *level, moire_error *error) {
  moire_status status = MOIRE_OK;
  level->block = moire__arena_alloc(&a->arena, (size_t)level->block_bytes + 1);
  for (int i = 0; a->served[i].name && !status; i++) status = fold_plan(a, level, i, error);
  return status;
}
