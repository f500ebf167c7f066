/* demand: slices move up to the operands, so that only what is read is computed.
 *
 * A model that reads the last position of its last layer alone still says, line by line, that every position is
 * computed. Where all uses of a value are slices of one and the same range, the op that makes it can make just
 * that range from slices of its operands, and these slices look for the next op in turn, until they reach a
 * source or an op that mixes the axis (the keys of an attention):
 *
 *   slice(a + b)      = slice(a) + slice(b)      element-wise ops
 *   slice(constant)   = a smaller constant
 *   slice(slice(x))   = one slice                on the same axis; slices of two axes do not pass each other
 *   slice(x)          = x                        of the whole extent
 *   other ops           by their `demand` part
 *
 * The work is done on a copy of the graph that is appended to: a queue of values to look at, for every value
 * the nodes that use it, and for every value that was replaced its replacement. A node that takes the place of
 * another inherits that place (`key`); sorting by it gives the new graph. A value is looked at again when one
 * of its users changes, so the work grows with the number of uses and of ranges, not with the depth of the
 * graph.
 *
 * breaks: nodes that nothing needs are dropped
 */
#include "compiler/pass/walk.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT = -1 };

typedef struct use {
  int node; /* that has the value as an operand; KEPT: an output or an update */
  struct use *next;
} use;

typedef struct value_track {
  use *uses;     /* living and dead users, of this value and of those that it replaces */
  int32_t alias; /* what replaces the value, 0: nothing */
  bool queued;
} value_track;

typedef struct node_track {
  int key; /* place in the order of the graph as it was */
  bool dead;
} node_track;

typedef struct demand {
  moire_graph *g; /* appended to */
  moire__arena arena;
  value_track *values;
  int n_values, value_capacity;
  node_track *nodes;
  int n_nodes, node_capacity;
  int32_t *queue;
  int queue_end, queue_capacity;
} demand;

typedef struct range {
  int axis;
  int64_t start, length;
} range;

static int32_t resolve(const demand *d, int32_t v) {
  while (d->values[v].alias) v = d->values[v].alias;
  return v;
}

static void enqueue(demand *d, int32_t v) {
  v = resolve(d, v);
  if (d->values[v].queued) return;
  d->values[v].queued = true;
  MOIRE__PUSH(&d->arena, d->queue, d->queue_end, d->queue_capacity, v);
}

static void add_use(demand *d, int32_t v, int node) {
  use *u = moire__arena_alloc(&d->arena, sizeof *u);
  *u = (use){node, d->values[v].uses};
  d->values[v].uses = u;
}

/* Begins to track the nodes appended since the last call, in place `key`, or each in its own if that is < 0. */
static void take_in(demand *d, int key) {
  while (d->n_values < d->g->n_values)
    MOIRE__PUSH(&d->arena, d->values, d->n_values, d->value_capacity, (value_track){0});
  while (d->n_nodes < d->g->n_nodes) {
    int n = d->n_nodes;
    node_track track = {.key = key < 0 ? n : key};
    MOIRE__PUSH(&d->arena, d->nodes, d->n_nodes, d->node_capacity, track);
    const moire__node *node = &d->g->nodes[n];
    for (int i = 0; i < node->n_operands; i++) {
      int32_t v = resolve(d, node->operands[i]);
      add_use(d, v, n);
      enqueue(d, v);
    }
  }
}

static void kill(demand *d, int n) {
  if (d->nodes[n].dead) return;
  d->nodes[n].dead = true;
  const moire__node *node = &d->g->nodes[n];
  for (int i = 0; i < node->n_operands; i++) enqueue(d, node->operands[i]);
}

static range range_of(const moire__node *slice) {
  return (range){(int)moire__node_int(slice, "axis"), moire__node_int(slice, "start"),
                 moire__node_int(slice, "length")};
}

/* What the living users of v want of it. */
typedef enum { WANT_NOTHING, WANT_RANGE, WANT_ALL } want;

static want find_want(const demand *d, int32_t v, range *wanted) {
  want found = WANT_NOTHING;
  for (const use *u = d->values[v].uses; u; u = u->next) {
    if (u->node == KEPT) return WANT_ALL;
    if (d->nodes[u->node].dead) continue;
    const moire__node *user = &d->g->nodes[u->node];
    if (user->op != MOIRE__OP_slice) return WANT_ALL;
    range r = range_of(user);
    if (found == WANT_RANGE &&
        (r.axis != wanted->axis || r.start != wanted->start || r.length != wanted->length))
      return WANT_ALL;
    *wanted = r;
    found = WANT_RANGE;
  }
  return found;
}

static bool is_elementwise(const moire__op_info *info) {
  return info->op_class == MOIRE__CLASS_POINTWISE || info->op_class == MOIRE__CLASS_COMPLEX_PART;
}

/* Emits the op again with operands of which the result is the range alone; null if that cannot be. */
static moire_value emit_range(demand *d, int32_t v, range r) {
  moire_graph *g = d->g;
  const moire__value_info info = g->values[v];
  const moire__node node = g->nodes[info.node];
  const moire__op_info *op = moire__op_get(node.op);
  moire__demand c = {.g = g,
                     .node = &node,
                     .n_operands = node.n_operands,
                     .axis = r.axis,
                     .start = r.start,
                     .length = r.length,
                     .extent = info.shape.dims[r.axis],
                     .n_attrs = node.n_attrs};
  if (node.n_results != 1 || node.n_attrs > (int)(sizeof c.attrs / sizeof *c.attrs)) return (moire_value){g, 0};
  for (int i = 0; i < node.n_attrs; i++) c.attrs[i] = node.attrs[i];
  for (int i = 0; i < node.n_operands; i++) c.operands[i] = moire__value(g, resolve(d, node.operands[i]));
  if (node.op == MOIRE__OP_slice) {
    range inner = range_of(&node);
    if (inner.axis != r.axis) return (moire_value){g, 0};
    return moire_slice_at(node.source, c.operands[0], r.axis, inner.start + r.start, r.length);
  }
  if (node.op == MOIRE__OP_constant) {
    moire_shape shape = info.shape;
    shape.dims[r.axis] = r.length;
    for (int i = 0; i < c.n_attrs; i++) {
      if (strcmp(c.attrs[i].name, "shape") == 0) c.attrs[i] = moire__attr_make_dims("shape", &shape);
    }
    return moire__graph_emit(g, node.source, node.op, NULL, 0, c.attrs, c.n_attrs);
  }
  if (is_elementwise(op)) {
    for (int i = 0; i < c.n_operands; i++)
      c.operands[i] = moire_slice_at(node.source, c.operands[i], r.axis, r.start, r.length);
  } else if (!op->demand || !op->demand(&c)) {
    return (moire_value){g, 0};
  }
  return moire__graph_emit(g, node.source, node.op, c.operands, c.n_operands, c.attrs, c.n_attrs);
}

/* `range_value` stands for all slices of v from now on. */
static void replace_slices(demand *d, int32_t v, int32_t range_value) {
  for (const use *u = d->values[v].uses; u; u = u->next) {
    if (u->node == KEPT || d->nodes[u->node].dead) continue;
    int32_t slice = d->g->nodes[u->node].first_result;
    d->nodes[u->node].dead = true;
    d->values[slice].alias = range_value;
    for (const use *user = d->values[slice].uses; user; user = user->next) add_use(d, range_value, user->node);
  }
}

static void look_at(demand *d, int32_t v) {
  if (d->values[v].alias || d->nodes[d->g->values[v].node].dead) return;
  int producer = d->g->values[v].node;
  range r = {0};
  want found = find_want(d, v, &r);
  if (found == WANT_ALL) return;
  if (found == WANT_NOTHING) {
    if (d->g->nodes[producer].n_results == 1) kill(d, producer);
    return;
  }
  if (r.start == 0 && r.length == d->g->values[v].shape.dims[r.axis]) {
    replace_slices(d, v, v);
    enqueue(d, v);
    return;
  }
  int first_new = d->n_nodes;
  moire__graph_pin(d->g, &d->g->nodes[producer]);
  moire_value made = emit_range(d, v, r);
  moire__graph_unpin(d->g);
  take_in(d, d->nodes[producer].key);
  if (moire_value_is_null(made)) {
    for (int n = d->n_nodes - 1; n >= first_new; n--) d->nodes[n].dead = true;
    return;
  }
  replace_slices(d, v, made.id);
  kill(d, producer);
  enqueue(d, made.id);
}

/* ---- the new graph ----------------------------------------------------------------------------------------
 */

typedef struct place {
  int key, node;
} place;

static int compare_places(const void *a, const void *b) {
  const place *x = a, *y = b;
  if (x->key != y->key) return x->key < y->key ? -1 : 1;
  return (x->node > y->node) - (x->node < y->node);
}

static place *sorted_places(demand *d) {
  place *places = moire__arena_array(&d->arena, (size_t)d->n_nodes + 1, sizeof *places);
  for (int n = 0; n < d->n_nodes; n++) places[n] = (place){d->nodes[n].key, n};
  qsort(places, (size_t)d->n_nodes, sizeof *places, compare_places);
  return places;
}

/* Marks the node that makes v, and all that it needs, as living. */
static void revive(demand *d, int32_t v) {
  int *stack = NULL, depth = 0, capacity = 0;
  MOIRE__PUSH(&d->arena, stack, depth, capacity, d->g->values[resolve(d, v)].node);
  while (depth > 0) {
    int n = stack[--depth];
    if (!d->nodes[n].dead) continue;
    d->nodes[n].dead = false;
    const moire__node *node = &d->g->nodes[n];
    for (int i = 0; i < node->n_operands; i++) {
      int operand = d->g->values[resolve(d, node->operands[i])].node;
      MOIRE__PUSH(&d->arena, stack, depth, capacity, operand);
    }
  }
}

static void map_replaced(const demand *d, moire__rewrite *r, int32_t v) {
  if (d->values[v].alias) moire__rewrite_set(r, v, moire__rewrite_value(r, resolve(d, v)));
}

/* Clones the node behind its operands. Those of a lower key are there already; of one key, a node may be older
 * than what has replaced its operand, but such chains are only as long as a node was replaced often. */
static void place_node(demand *d, moire__rewrite *r, int n) {
  const moire__node *node = &d->g->nodes[n];
  if (r->map[node->first_result] || r->to->error.status) return;
  for (int i = 0; i < node->n_operands; i++) {
    place_node(d, r, d->g->values[resolve(d, node->operands[i])].node);
    map_replaced(d, r, node->operands[i]);
  }
  moire__rewrite_clone(r, node);
}

static moire_graph *rebuild(demand *d, moire_error *error) {
  const place *places = sorted_places(d);
  for (int n = 0; n < d->n_nodes; n++) d->nodes[n].dead = true;
  for (int i = 0; i < d->g->n_outputs; i++) revive(d, d->g->outputs[i].value);
  for (int i = 0; i < d->g->n_updates; i++) revive(d, d->g->updates[i].value);
  moire__rewrite r = moire__rewrite_begin(d->g);
  for (int i = 0; i < d->n_nodes; i++) {
    if (!d->nodes[places[i].node].dead) place_node(d, &r, places[i].node);
  }
  for (int i = 0; i < d->g->n_outputs; i++) map_replaced(d, &r, d->g->outputs[i].value);
  for (int i = 0; i < d->g->n_updates; i++) map_replaced(d, &r, d->g->updates[i].value);
  return moire__rewrite_finish(&r, error);
}

moire_graph *moire__pass_demand(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  (void)goal;
  moire__rewrite copy = moire__rewrite_all(g);
  demand d = {.g = moire__rewrite_finish(&copy, error)};
  if (!d.g) return NULL;
  take_in(&d, -1);
  for (int i = 0; i < d.g->n_outputs; i++) add_use(&d, d.g->outputs[i].value, KEPT);
  for (int i = 0; i < d.g->n_updates; i++) add_use(&d, d.g->updates[i].value, KEPT);
  for (int32_t v = 1; v < d.g->n_values; v++) enqueue(&d, v);
  for (int i = 0; i < d.queue_end; i++) {
    d.values[d.queue[i]].queued = false;
    look_at(&d, d.queue[i]);
  }
  moire_graph *result = NULL;
  if (moire_graph_status(d.g, error) == MOIRE_OK) result = rebuild(&d, error);
  moire__arena_free(&d.arena);
  moire_graph_destroy(d.g);
  return result;
}
