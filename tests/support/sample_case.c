/* A sample of an op as what passes and compiled code can take: see tests/support/sample_case.h. */
#include "tests/support/sample_case.h"

#include "compiler/ir/graph/rewrite.h"
#include "runtime/base/planes.h"

#include <string.h>

static bool is_complex_input(const moire_graph *g, const moire__node *node) {
  return node->op == MOIRE__OP_input && g->values[node->first_result].dtype == MOIRE_C64;
}

static const char *plane_name(sample_case *c, const char *name, int plane) {
  return moire__arena_printf(&c->arena, "%s%s", name, moire__plane_suffix(plane));
}

/* The graph with each complex input put together from its planes. */
static moire_graph *with_real_inputs(sample_case *c) {
  const moire_graph *g = c->sample.s.g;
  moire__rewrite r = moire__rewrite_begin(g);
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (!is_complex_input(g, node)) {
      moire__rewrite_clone(&r, node);
      continue;
    }
    moire_value planes[2];
    for (int p = 0; p < 2; p++)
      planes[p] = moire_input(r.to, plane_name(c, moire__node_text(node, "name"), p), MOIRE_F32,
                              g->values[node->first_result].shape);
    moire__rewrite_set(&r, node->first_result, moire_complex(planes[0], planes[1]));
  }
  return moire__rewrite_finish(&r, NULL);
}

/* The data of the sampler's inputs, complex ones as two. */
static void take_inputs(sample_case *c) {
  moire__named_tensor all[OP_SAMPLE_MAX_INPUTS];
  int n = op_sample_inputs(&c->sample, all);
  for (int i = 0; i < n; i++) {
    if (all[i].tensor->im)
      moire__tensor_destroy(all[i].tensor);
    else
      c->inputs[c->n_inputs++] = all[i];
  }
}

bool sample_case_make(moire__op op, moire__sample_kind kind, int index, sample_case *c) {
  *c = (sample_case){0};
  if (!op_sample_make(op, kind, index, &c->sample)) return false;
  c->graph = c->sample.s.g;
  if (kind == MOIRE__SAMPLE_WRONG || moire_graph_status(c->graph, NULL) != MOIRE_OK) return true;
  c->n_states = op_sample_states(&c->sample, c->states);
  take_inputs(c);
  c->graph = with_real_inputs(c);
  return true;
}

void sample_case_free(sample_case *c) {
  op_sample_release(c->inputs, c->n_inputs);
  op_sample_release(c->states, c->n_states);
  if (c->graph != c->sample.s.g) moire_graph_destroy(c->graph);
  moire_graph_destroy(c->sample.s.g); /* last: the names of states are its */
  moire__arena_free(&c->arena);
}

const char *sample_case_name(sample_case *c) {
  return moire__arena_printf(&c->arena, "%s %s %d", OP_SAMPLE_NAME(&c->sample));
}

moire_status sample_case_run(const sample_case *c, const moire_graph *g, moire__graph_results *results,
                             moire_error *error) {
  moire__graph_feed feed = {.extents = op_sample_extents,
                            .inputs = c->inputs,
                            .n_inputs = c->n_inputs,
                            .states = c->states,
                            .n_states = c->n_states};
  return moire__graph_interpret(g, &feed, results, error);
}
