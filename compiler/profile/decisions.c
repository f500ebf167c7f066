/* What the compiler decided about a kernel, and why its neighbours are not part of it.
 *
 * The reasons are those of compiler/pass/fuse/fuse.c, asked again of the finished graph: between a node and the
 * kernel that reads it stands a loop nest of its own, another way of reading, another shape, or the limit of
 * nodes. */
#include "compiler/profile/describe.h"

#include "compiler/ir/op.h"
#include "compiler/ir/graph/view.h"

#include <string.h>

enum { MOST_NODES = 64, MOST_REASONS = 12 };

typedef struct edge {
  const moire_graph *g;
  const moire__node *from, *to; /* `to` reads a result of `from`, perhaps through views */
  const moire__node *view;      /* the view nearest to `to` that is no repetition of rows, or NULL */
} edge;

static bool is_row_scalar(const moire_graph *g, const moire__node *node) {
  if (node->op != MOIRE__OP_broadcast) return false;
  const moire_shape *from = &g->values[node->operands[0]].shape, *to = &g->values[node->first_result].shape;
  return from->rank == to->rank && from->rank > 0 && from->dims[from->rank - 1] == 1 &&
         !memcmp(from->dims, to->dims, (size_t)(from->rank - 1) * sizeof *from->dims);
}

/* A loop nest that takes nothing in: a product, a convolution, a sum over columns. */
static bool stands_alone(const moire_graph *g, const moire__node *node) {
  moire__op_class class = moire__op_get(node->op)->op_class;
  if (class == MOIRE__CLASS_KERNEL) return true;
  if (class != MOIRE__CLASS_REDUCE) return false;
  int n = 0;
  const int64_t *axes = moire__node_ints(node, "axes", &n);
  return n != 1 || axes[0] != g->values[node->operands[0]].shape.rank - 1;
}

static int nodes_in(const moire_graph *g, int kernel) {
  int n = 0;
  for (int i = 0; i < g->n_nodes; i++) n += g->nodes[i].kernel == kernel;
  return n;
}

static void say_why(const edge *e, moire__text *out) {
  const char *op = moire__op_get(e->from->op)->name;
  if (stands_alone(e->g, e->from)) {
    moire__text_add(out, "%s is a loop nest of its own", op);
  } else if (stands_alone(e->g, e->to)) {
    moire__text_add(out, "%s is a loop nest of its own", moire__op_get(e->to->op)->name);
  } else if (e->view) {
    moire__text_add(out, "it is read at other elements (%s)", moire__op_get(e->view->op)->name);
  } else if (nodes_in(e->g, e->from->kernel) + nodes_in(e->g, e->to->kernel) > MOST_NODES) {
    moire__text_add(out, "together they have more than %d nodes", MOST_NODES);
  } else if (!moire__shape_equal(&e->g->values[e->from->first_result].shape,
                                 &e->g->values[e->to->first_result].shape)) {
    moire__text_add_type(out, e->g, e->g->values[e->from->first_result].dtype,
                         &e->g->values[e->from->first_result].shape);
    moire__text_add(out, " is not walked over like ");
    moire__text_add_type(out, e->g, e->g->values[e->to->first_result].dtype,
                         &e->g->values[e->to->first_result].shape);
  } else {
    moire__text_add(out, "a kernel between them needs the one and is needed by the other");
  }
}

static void add_reason(const edge *e, bool before, json_t *list) {
  moire__text text = {0};
  const moire__node *other = before ? e->from : e->to;
  moire__text_add(&text, "%s %s%s%s: ", before ? "after" : "before", other->scope, other->scope[0] ? " " : "",
                  other->word);
  say_why(e, &text);
  bool known = json_array_size(list) >= MOST_REASONS;
  size_t i;
  json_t *said;
  json_array_foreach(list, i, said) known = known || !strcmp(json_string_value(said), text.data);
  if (!known) json_array_append_new(list, json_string(text.data));
  moire__text_free(&text);
}

/* Edges that cross the kernel's border, below `to`. */
static void visit(const moire_graph *g, int kernel, const moire__node *to, const moire__node *at,
                  const moire__node *view, json_t *list) {
  for (int i = 0; i < at->n_operands; i++) {
    const moire__node *from = moire__node_of(g, at->operands[i]);
    if (from->kernel < 0) {
      bool through = moire__is_view(from) && !is_row_scalar(g, from);
      if (moire__is_view(from)) visit(g, kernel, to, from, through && !view ? from : view, list);
    } else if (from->kernel != to->kernel && (from->kernel == kernel || to->kernel == kernel)) {
      const edge e = {g, from, to, view};
      add_reason(&e, to->kernel == kernel, list);
    }
  }
}

/* The loops of one level, in order; equal ones that follow each other are counted. */
typedef struct level {
  moire__text list;
  const char *last;
  int times, n;
} level;

static void end_run(level *l) {
  if (!l->times) return;
  moire__text_add(&l->list, "%s", l->n++ ? ", " : "");
  if (l->times > 1) moire__text_add(&l->list, "%d x ", l->times);
  moire__text_add(&l->list, "%s", l->last);
  l->times = 0;
}

static void add_level(const moire__loop_statement *s, level *l, moire__arena *arena);

/* "for > (vector 16, 2 x by 4 > vector 16)": what a loop is, and what is in it. */
static const char *describe_loop(const moire__loop_statement *s, moire__arena *arena) {
  level inner = {0};
  moire__text text = {0};
  if (s->lanes > 1)
    moire__text_add(&text, "vector %d", s->lanes);
  else
    moire__text_add(&text, s->step > 1 ? "by %lld" : "for", (long long)s->step);
  add_level(s->body, &inner, arena);
  end_run(&inner);
  const char *list = moire__text_string(&inner.list);
  if (inner.n) moire__text_add(&text, inner.n > 1 ? " > (%s)" : " > %s", list);
  const char *copy = moire__arena_copy_string(arena, moire__text_string(&text));
  moire__text_free(&text);
  moire__text_free(&inner.list);
  return copy;
}

static void add_level(const moire__loop_statement *s, level *l, moire__arena *arena) {
  for (; s; s = s->next) {
    if (s->kind != MOIRE__LOOP_FOR) {
      add_level(s->body, l, arena);
      continue;
    }
    const char *loop = describe_loop(s, arena);
    if (l->times && strcmp(loop, l->last) != 0) end_run(l);
    l->last = loop;
    l->times++;
  }
}

/* The nest from the outside in. */
static void add_loops(const moire__loop_statement *s, moire__text *out) {
  moire__arena arena = {0};
  level outer = {0};
  add_level(s, &outer, &arena);
  end_run(&outer);
  moire__text_add(out, "%s", moire__text_string(&outer.list));
  moire__text_free(&outer.list);
  moire__arena_free(&arena);
}

json_t *moire__profile_decisions(const moire__module *m, int step) {
  const moire__loop_kernel *k = m->steps[step].kernel;
  int group = m->steps[step].group;
  json_t *apart = json_array();
  for (int i = 0; i < m->graph->n_nodes; i++) {
    const moire__node *node = &m->graph->nodes[i];
    if (node->kernel >= 0) visit(m->graph, group, node, node, NULL, apart);
  }
  int64_t locals = 0;
  for (int i = k->n_parameters + 1; i < k->n_buffers; i++) {
    locals += moire__dim_factor(k->buffers[i].elements) * (int64_t)moire__loop_type_bytes(k->buffers[i].type);
  }
  moire__text walk = {0}, loops = {0};
  moire__text_add_dim(&walk, m->graph, k->count);
  moire__text_add(&walk, " in pieces of %lld", (long long)k->block);
  add_loops(k->body, &loops);
  json_t *out =
      json_pack("{s:i, s:o, s:s, s:s, s:I}", "nodes", nodes_in(m->graph, group), "apart", apart, "schedule",
                walk.data, "loops", moire__text_string(&loops), "local_bytes", (json_int_t)locals);
  if (k->way) json_object_set_new(out, "way", json_string(k->way));
  moire__text_free(&walk);
  moire__text_free(&loops);
  return out;
}
