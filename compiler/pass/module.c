/* Printing and freeing modules. */
#include "compiler/pass/module.h"

void moire__module_destroy(moire__module *module) {
  if (!module) return;
  moire_graph_destroy(module->graph);
  moire__arena_free(&module->arena);
  moire__release(module);
}

void moire__module_print_kernels(const moire__module *module, moire__text *text) {
  for (int i = 0; i < module->n_kernels; i++) moire__loop_print(module->kernels[i], text);
}

static const char *role_name(moire_plan_role role) {
  switch (role) {
    case MOIRE_PLAN_INPUT: return "input";
    case MOIRE_PLAN_STATE: return "state";
    case MOIRE_PLAN_OUTPUT: return "output";
    case MOIRE_PLAN_TEMPORARY: return "temporary";
  }
  return "?";
}

void moire__module_print_plan(const moire__module *module, moire__text *text) {
  const moire_plan *plan = &module->plan;
  moire__text_add(text, "plan @%s {\n", plan->name);
  for (int i = 0; i < plan->n_buffers; i++) {
    const moire_plan_buffer *b = &plan->buffers[i];
    moire__text_add(text, "  buffer %d %s \"%s\" : ", i, role_name(b->role), b->name);
    moire__text_add_type(text, module->graph, b->dtype, &b->shape);
    moire__text_add(text, " steps %d to %d\n", b->first_step, b->last_step);
  }
  for (int i = 0; i < plan->n_steps; i++) {
    const moire_plan_step *s = &plan->steps[i];
    moire__text_add(text, "  step %d kernel %d over ", i, s->kernel);
    moire__text_add_dim(text, module->graph, s->count);
    moire__text_add(text, " by %lld (", (long long)s->block);
    for (int j = 0; j < s->n_buffers; j++) moire__text_add(text, "%s%d", j ? ", " : "", s->buffers[j]);
    moire__text_add(text, ") \"%s\"\n", s->name);
  }
  for (int i = 0; i < plan->n_updates; i++) {
    moire__text_add(text, "  update %d from %d\n", plan->updates[i].state, plan->updates[i].from);
  }
  moire__text_add(text, "}\n");
}
