/* A step of a plan in the words of the model: the nodes of the fused graph that its kernel computes. */
#include "compiler/profile/describe.h"

#include "compiler/driver/compile.h"
#include "compiler/ir/op.h"
#include "compiler/ir/graph/view.h"

#include <string.h>

/* ---- Shares -----------------------------------------------------------------------------------------------
 */

/* The node, and what the kernel reads through to get at its operands. */
static void mark(const moire_graph *g, int node, double *shares) {
  if (shares[node] >= 0) return;
  shares[node] = 0;
  for (int i = 0; i < g->nodes[node].n_operands; i++) {
    const moire__node *below = moire__node_of(g, g->nodes[node].operands[i]);
    bool given = below->op == MOIRE__OP_input || below->op == MOIRE__OP_state;
    if (below->kernel < 0 && !given) mark(g, g->values[g->nodes[node].operands[i]].node, shares);
  }
}

double *moire__profile_shares(const moire__module *m, const moire__profile_counter *work, int step,
                              moire__arena *arena) {
  const moire_graph *g = m->graph;
  int group = m->steps[step].group, own = 0;
  double *shares = moire__arena_array(arena, (size_t)g->n_nodes + 1, sizeof *shares), sum = 0;
  for (int i = 0; i < g->n_nodes; i++) shares[i] = -1;
  for (int i = 0; i < g->n_nodes; i++) {
    if (g->nodes[i].kernel != group) continue;
    own++;
    mark(g, i, shares);
  }
  const double *cost = work ? moire__profile_counter_step(work, step)->cost : NULL;
  for (int i = 0; cost && i < g->n_nodes; i++) sum += cost[i];
  for (int i = 0; i < g->n_nodes; i++) {
    if (sum > 0 && cost[i] > 0) shares[i] = cost[i] / sum;
    if (!(sum > 0) && g->nodes[i].kernel == group) shares[i] = 1.0 / own;
  }
  return shares;
}

/* ---- Lines ------------------------------------------------------------------------------------------------
 */

const char *moire__profile_file(const char *file) {
  while (!strncmp(file, "../", 3)) file += 3;
  return file;
}

const char *moire__profile_phase(moire__phase phase) {
  static const char *const names[] = {[MOIRE__PHASE_FORWARD] = "forward",
                                      [MOIRE__PHASE_BACKWARD] = "backward",
                                      [MOIRE__PHASE_OPTIMIZER] = "optimizer"};
  return names[phase];
}

static void add_line(json_t *lines, moire_source at, const char *direction, double share) {
  if (!at.file) return;
  const char *file = moire__profile_file(at.file);
  size_t i;
  json_t *line;
  json_array_foreach(lines, i, line) {
    bool same = json_integer_value(json_object_get(line, "line")) == at.line &&
                !strcmp(json_string_value(json_object_get(line, "file")), file) &&
                !strcmp(json_string_value(json_object_get(line, "direction")), direction);
    if (!same) continue;
    double sum = json_real_value(json_object_get(line, "share")) + share;
    json_object_set_new(line, "share", json_real(sum));
    return;
  }
  json_array_append_new(lines, json_pack("{s:s, s:i, s:s, s:f}", "file", file, "line", at.line, "direction",
                                         direction, "share", share));
}

static json_t *lines_of(const moire__module *m, const double *shares) {
  json_t *lines = json_array();
  for (int i = 0; i < m->graph->n_nodes; i++) {
    const moire__node *node = &m->graph->nodes[i];
    if (shares[i] < 0) continue;
    const char *direction = moire__profile_phase(node->phase);
    add_line(lines, node->source, direction, shares[i]);
    for (int j = 0; j < node->n_also; j++) add_line(lines, node->also[j], direction, 0);
  }
  return lines;
}

/* ---- The rest ---------------------------------------------------------------------------------------------
 */

static json_t *names_of(const moire__module *m, int group, bool words) {
  json_t *list = json_array();
  for (int i = 0; i < m->graph->n_nodes; i++) {
    const moire__node *node = &m->graph->nodes[i];
    if (node->kernel != group) continue;
    const char *name = words ? node->word : moire__op_get(node->op)->name;
    size_t j;
    json_t *known;
    bool there = false;
    json_array_foreach(list, j, known) there = there || (words && !strcmp(json_string_value(known), name));
    if (!there) json_array_append_new(list, json_string(name));
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

void moire__profile_describe(const moire__module *m, int step, const double *shares, json_t *out) {
  int group = m->steps[step].group;
  const moire__node *last = NULL;
  for (int i = 0; i < m->graph->n_nodes; i++) {
    if (m->graph->nodes[i].kernel == group) last = &m->graph->nodes[i];
  }
  json_object_set_new(out, "scope", json_string(last ? last->scope : ""));
  json_object_set_new(out, "direction",
                      json_string(moire__profile_phase(last ? last->phase : MOIRE__PHASE_FORWARD)));
  json_object_set_new(out, "words", names_of(m, group, true));
  json_object_set_new(out, "ops", names_of(m, group, false));
  json_object_set_new(out, "lines", lines_of(m, shares));
  json_object_set_new(out, "buffers", buffers_of(m, step));
  json_object_set_new(out, "decisions", moire__profile_decisions(m, step));
}

json_t *moire__profile_code(const moire_program *program, int kernel, moire_error *error) {
  const moire__module *m = moire__program_module(program);
  const moire__target *target = moire__program_target(program);
  const moire__loop_kernel *const one[] = {m->kernels[kernel]};
  moire__codegen_options options = {.first_index = kernel, .flush = m->plan.flush, .debug_info = true};
  moire__text loop = {0}, llvm = {0}, assembly = {0};
  moire__loop_print_sources(one[0], &loop);
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
