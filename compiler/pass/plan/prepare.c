/* prepare: the steps of a plan that depend on states alone, such as transposing weights.
 *
 * For serving they are done once: ahead of time by the interpreter, or when a state has been trained further.
 * That must not show in the results, so only exact kernels are taken.
 *
 * Requires: lower. Ensures: prepared steps in their order, then the others in theirs, compute what the plan
 * does.
 */
#include "compiler/pass/plan/prepare.h"

#include <string.h>

static bool is_approximate(moire__loop_op op) {
  static const moire__loop_op functions[] = {
      MOIRE__LOOP_exp,  MOIRE__LOOP_exp2, MOIRE__LOOP_log,   MOIRE__LOOP_sin, MOIRE__LOOP_cos,
      MOIRE__LOOP_tanh, MOIRE__LOOP_erf,  MOIRE__LOOP_atan2, MOIRE__LOOP_pow, MOIRE__LOOP_dot};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    if (op == functions[i]) return true;
  }
  return false;
}

static bool reduces_floats(const moire__loop_kernel *k, const moire__loop_statement *list) {
  for (const moire__loop_statement *s = list; s; s = s->next) {
    bool ordered =
        s->kind == MOIRE__LOOP_REDUCE && s->combine != MOIRE__LOOP_max && s->combine != MOIRE__LOOP_min;
    if (ordered && moire__loop_type_is_float(k->vars[s->var].type)) return true;
    if (reduces_floats(k, s->body)) return true;
  }
  return false;
}

bool moire__kernel_is_exact(const moire__loop_kernel *k) {
  bool multiplies = false, adds = false;
  if (k->has_tiles) return false;
  for (int i = 1; i < k->n_values; i++) {
    const moire__loop_value_info *v = &k->values[i];
    if (v->is_index || !moire__loop_type_is_float(v->type)) continue;
    if (is_approximate(v->op)) return false;
    multiplies = multiplies || v->op == MOIRE__LOOP_mul;
    adds = adds || v->op == MOIRE__LOOP_add || v->op == MOIRE__LOOP_sub;
  }
  return !(multiplies && adds) && !reduces_floats(k, k->body);
}

static bool writes(const moire__loop_kernel *k, int parameter) {
  return k->buffers[1 + parameter].role != MOIRE__BUFFER_IN;
}

/* How many steps write each buffer; an update counts as one. */
static void count_writers(const moire__module *m, int *writers) {
  const moire_plan *plan = &m->plan;
  for (int s = 0; s < plan->n_steps; s++) {
    for (int i = 0; i < plan->steps[s].n_buffers; i++)
      writers[plan->steps[s].buffers[i]] += writes(m->kernels[plan->steps[s].kernel], i);
  }
  for (int i = 0; i < plan->n_updates; i++) writers[plan->updates[i].state]++;
}

static bool can_prepare(const moire__module *m, const moire_plan_step *step, const int *writers, bool exact,
                        const bool *prepared) {
  const moire_plan *plan = &m->plan;
  if (!moire__dim_is_static(step->count)) return false;
  if (exact && !moire__kernel_is_exact(m->kernels[step->kernel])) return false;
  for (int i = 0; i < step->n_buffers; i++) {
    int b = step->buffers[i];
    moire_plan_role role = plan->buffers[b].role;
    bool fixed_state = role == MOIRE_PLAN_STATE && !writers[b];
    bool written_here = writes(m->kernels[step->kernel], i);
    if (!moire__dim_is_static(plan->buffers[b].elements)) return false; /* one piece may write a named extent */
    if (written_here && (role != MOIRE_PLAN_TEMPORARY || writers[b] != 1)) return false;
    if (!written_here && !fixed_state && !prepared[b]) return false;
  }
  return true;
}

static void find(const moire__module *m, bool exact, bool *steps, bool *buffers) {
  const moire_plan *plan = &m->plan;
  int *writers = moire__allocate_array((size_t)plan->n_buffers + 1, sizeof *writers);
  count_writers(m, writers);
  memset(buffers, 0, (size_t)plan->n_buffers * sizeof *buffers);
  for (int s = 0; s < plan->n_steps; s++) {
    const moire_plan_step *step = &plan->steps[s];
    steps[s] = can_prepare(m, step, writers, exact, buffers);
    for (int i = 0; i < step->n_buffers && steps[s]; i++)
      buffers[step->buffers[i]] = buffers[step->buffers[i]] || writes(m->kernels[step->kernel], i);
  }
  moire__release(writers);
}

void moire__pass_prepare(const moire__module *m, bool *steps, bool *buffers) { find(m, true, steps, buffers); }

void moire__pass_prepare_all(const moire__module *m, bool *steps, bool *buffers) {
  find(m, false, steps, buffers);
}

void moire__pass_settle(moire__module *m) {
  bool *steps = moire__arena_array(&m->arena, (size_t)m->plan.n_steps + 1, sizeof *steps);
  bool *buffers = moire__arena_array(&m->arena, (size_t)m->plan.n_buffers + 1, sizeof *buffers);
  find(m, false, steps, buffers);
  m->plan.settled_steps = steps;
  m->plan.settled_buffers = buffers;
}
