/* split: every complex value becomes its two planes.
 *
 * An op that treats both planes alike (PLANEWISE: add, reshape, gather) is made once for each; the others say
 * by their `split` part what becomes of them (mul, matmul, abs2). `complex`, `real` and `imag` disappear on the
 * way. A complex input or output "x" becomes two, "x.real" and "x.imag".
 *
 * requires: composites and rows are gone
 * ensures: no value is c64
 */
#include "compiler/pass/walk.h"

#include "runtime/base/planes.h"

typedef struct split {
  moire__rewrite r;      /* its map holds the values that are real */
  moire__planes *planes; /* by old value */
  moire__arena arena;
} split;

static bool is_complex(const moire_graph *g, int32_t value) { return g->values[value].dtype == MOIRE_C64; }

static bool touches_complex(const moire_graph *g, const moire__node *node) {
  for (int i = 0; i < node->n_operands; i++) {
    if (is_complex(g, node->operands[i])) return true;
  }
  for (int i = 0; i < node->n_results; i++) {
    if (is_complex(g, node->first_result + i)) return true;
  }
  return false;
}

static moire_value zeros_like(moire_value x) {
  return moire_constant_at(MOIRE__NOWHERE, x.graph, moire_value_dtype(x), moire_value_shape(x), 0);
}

/* One plane of a planewise op. Operands that are no numbers (conditions, rows) serve both planes; a real number
 * beside complex ones has zeros as its imaginary plane. */
static moire_value emit_plane(const moire__split *c, bool imaginary) {
  moire_value operands[MOIRE__MAX_OPERANDS];
  for (int i = 0; i < c->n_operands; i++) {
    moire__planes p = c->operands[i];
    operands[i] = p.re;
    if (!imaginary) continue;
    if (!moire_value_is_null(p.im))
      operands[i] = p.im;
    else if (moire__dtype_is_float(moire_value_dtype(p.re)))
      operands[i] = zeros_like(p.re);
  }
  return moire__graph_emit(c->g, c->node->source, c->node->op, operands, c->n_operands, c->node->attrs,
                           c->node->n_attrs);
}

static const char *plane_name(split *s, const char *name, int plane) {
  return moire__arena_printf(&s->arena, "%s%s", name, moire__plane_suffix(plane));
}

static moire__planes split_input(split *s, const moire__node *node) {
  const char *name = moire__node_text(node, "name");
  moire_value planes[2];
  for (int i = 0; i < 2; i++)
    planes[i] = moire_input_at(node->source, s->r.to, plane_name(s, name, i), MOIRE_F32,
                               s->r.from->values[node->first_result].shape);
  return (moire__planes){planes[0], planes[1]};
}

static void split_node(split *s, const moire__node *node) {
  const moire__op_info *info = moire__op_get(node->op);
  moire_graph *to = s->r.to;
  moire__split c = {.g = to, .node = node, .n_operands = node->n_operands};
  for (int i = 0; i < node->n_operands; i++) c.operands[i] = s->planes[node->operands[i]];
  moire__graph_pin(to, node);
  if (node->op == MOIRE__OP_input) {
    c.results[0] = split_input(s, node);
  } else if (node->op == MOIRE__OP_state) {
    moire__graph_fail_at(to, node->source, info->name, MOIRE_ERROR_UNSUPPORTED,
                         "%s is complex: give its planes as two and put them together with complex()",
                         moire__node_text(node, "name"));
  } else if (info->split) {
    info->split(&c);
  } else if ((info->traits & MOIRE__TRAIT_PLANEWISE) && node->n_results == 1) {
    c.results[0].re = emit_plane(&c, false);
    c.results[0].im = emit_plane(&c, true);
  } else {
    moire__graph_fail_at(to, node->source, info->name, MOIRE_ERROR_INTERNAL, "it cannot be split into planes");
  }
  moire__graph_unpin(to);
  for (int i = 0; i < node->n_results; i++) {
    int32_t v = node->first_result + i;
    s->planes[v] = c.results[i];
    moire__graph_credit(to, c.results[i].re.id, node);
    moire__graph_credit(to, c.results[i].im.id, node);
    if (!is_complex(s->r.from, v)) moire__rewrite_set(&s->r, v, c.results[i].re);
  }
}

static void keep_node(split *s, const moire__node *node) {
  moire__rewrite_clone(&s->r, node);
  for (int i = 0; i < node->n_results; i++) {
    int32_t v = node->first_result + i;
    s->planes[v] = (moire__planes){.re = moire__rewrite_value(&s->r, v), .im = {s->r.to, 0}};
  }
}

static void add_outputs(split *s) {
  const moire_graph *g = s->r.from;
  for (int i = 0; i < g->n_outputs; i++) {
    const char *name = g->outputs[i].name;
    moire__planes p = s->planes[g->outputs[i].value];
    if (is_complex(g, g->outputs[i].value)) {
      moire_output_at(MOIRE__NOWHERE, s->r.to, plane_name(s, name, 0), p.re);
      moire_output_at(MOIRE__NOWHERE, s->r.to, plane_name(s, name, 1), p.im);
    } else {
      moire_output_at(MOIRE__NOWHERE, s->r.to, name, p.re);
    }
  }
  for (int i = 0; i < g->n_updates; i++) {
    moire_update_at(MOIRE__NOWHERE, s->r.to, g->updates[i].name, s->planes[g->updates[i].value].re);
  }
}

/* A complex state is refused where it is declared, also if nothing reads it. */
static void refuse_complex_states(split *s) {
  for (int i = 0; i < s->r.from->n_states; i++) {
    if (s->r.from->states[i].dtype == MOIRE_C64)
      moire__graph_fail_at(s->r.to, MOIRE__NOWHERE, "state", MOIRE_ERROR_UNSUPPORTED,
                           "%s is complex: give its planes as two and put them together with complex()",
                           s->r.from->states[i].name);
  }
}

static void check_real(split *s) {
  const moire_graph *to = s->r.to;
  for (int32_t v = 1; v < to->n_values; v++) {
    const moire__node *node = moire__node_of(to, v);
    if (is_complex(to, v))
      moire__graph_fail_at(s->r.to, node->source, moire__op_get(node->op)->name, MOIRE_ERROR_INTERNAL,
                           "it is still complex after the split");
  }
}

moire_graph *moire__pass_split(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  (void)goal;
  split s = {.r = moire__rewrite_begin(g)};
  s.planes = moire__arena_array(&s.arena, (size_t)g->n_values, sizeof *s.planes);
  refuse_complex_states(&s);
  for (int n = 0; n < g->n_nodes; n++) {
    if (touches_complex(g, &g->nodes[n]))
      split_node(&s, &g->nodes[n]);
    else
      keep_node(&s, &g->nodes[n]);
  }
  add_outputs(&s);
  check_real(&s);
  moire__arena_free(&s.arena);
  return moire__rewrite_finish_bare(&s.r, error);
}
