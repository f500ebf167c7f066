/* A step of a plan in the words of the model: the nodes of the fused graph that its kernel computes. */
#include "tools/profile_describe.h"

#include "compiler/driver/compile.h"
#include "compiler/ir/op.h"

#include <string.h>

static bool belongs(const moire__node *node, int group) { return node->kernel == group; }

static json_t *ops_of(const moire__module *m, int group) {
  json_t *list = json_array();
  for (int i = 0; i < m->graph->n_nodes; i++) {
    const moire__node *node = &m->graph->nodes[i];
    if (belongs(node, group)) json_array_append_new(list, json_string(moire__op_get(node->op)->name));
  }
  return list;
}

static const char *access_name(moire__buffer_role role) {
  switch (role) {
    case MOIRE__BUFFER_IN: return "in";
    case MOIRE__BUFFER_OUT: return "out";
    case MOIRE__BUFFER_INOUT: return "inout";
    case MOIRE__BUFFER_LOCAL: return "local";
  }
  return "?";
}

static json_t *buffers_of(const moire__module *m, int step) {
  const moire_plan_step *s = &m->plan.steps[step];
  const moire__loop_kernel *kernel = m->steps[step].kernel;
  json_t *list = json_array();
  for (int i = 0; i < s->n_buffers; i++) {
    json_array_append_new(
        list, json_pack("{s:i, s:s}", "id", s->buffers[i], "access", access_name(kernel->buffers[i + 1].role)));
  }
  return list;
}

void tool_profile_describe(const moire__module *m, int step, json_t *out) {
  int group = m->steps[step].group;
  const char *scope = "";
  for (int i = 0; i < m->graph->n_nodes; i++) {
    if (belongs(&m->graph->nodes[i], group)) scope = m->graph->nodes[i].scope;
  }
  json_object_set_new(out, "scope", json_string(scope));
  json_object_set_new(out, "ops", ops_of(m, group));
  json_object_set_new(out, "buffers", buffers_of(m, step));
}

json_t *tool_profile_code(const moire_program *program, int kernel, moire_error *error) {
  const moire__module *m = moire__program_module(program);
  const moire__target *target = moire__program_target(program);
  const moire__loop_kernel *const one[] = {m->kernels[kernel]};
  moire__codegen_options options = {.first_index = kernel};
  moire__text loop = {0}, llvm = {0}, assembly = {0};
  moire__loop_print(one[0], &loop);
  moire_status status =
      moire__codegen_emit_text(one, 1, target, &options, MOIRE__CODEGEN_LLVM_OPTIMIZED, &llvm, error);
  if (!status)
    status = moire__codegen_emit_text(one, 1, target, &options, MOIRE__CODEGEN_ASSEMBLY, &assembly, error);
  json_t *out = NULL;
  if (!status) {
    out = json_pack("{s:s, s:s, s:s}", "loop", moire__text_string(&loop), "llvm", moire__text_string(&llvm),
                    "assembly", moire__text_string(&assembly));
  }
  moire__text_free(&loop);
  moire__text_free(&llvm);
  moire__text_free(&assembly);
  return out;
}
