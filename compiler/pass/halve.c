/* halve: what products round to bf16 is stored so.
 *
 *   y = gelu(x);  matmul(y, w) {bf16 = 1}     ->  y = gelu(x), z = cast(y) : bf16;  matmul(z, w) {bf16 = 1}
 *
 * A product that rounds its operands reads the same numbers from a bf16 as from the f32 that it was rounded
 * from, in half the bytes, and nobody but products needs y any more. Views between the value and the product
 * are of the bf16, too. The kernel that computes a value rounds it where it is stored, so the value must come
 * from element-wise nodes; or be read through a view that is copied in any case, where the copy rounds.
 *
 * A value that others read as well is stored twice if at least two products read it, so that less is read than
 * is written more; but not if both copies would be kept from the forward to the backward pass. Weights and
 * inputs stay as they are; so does everything where products of bf16 go the ways of float32 (`by_fma`), whose
 * blocks and three real products read floats.
 *
 * Requires: narrow, split. Ensures: nothing that is no product reads a bf16 of its making. Breaks: nothing.
 */
#include "compiler/ir/graph/view.h"
#include "compiler/pass/walk.h"

typedef struct readers { /* of a value, through the views of it */
  int products, others;
  bool kept; /* some other reader is of the backward pass */
} readers;

typedef struct halve {
  moire__rewrite r;
  readers *readers; /* of every old value */
  bool *halved;     /* of every old value: products read a bf16 */
  int32_t *half;    /* of every old value: that, in the new graph */
} halve;

static bool rounds(const moire__node *node) {
  return (node->op == MOIRE__OP_matmul || node->op == MOIRE__OP_cmatmul) && moire__node_int_or(node, "bf16", 0);
}

/* Elements of one operand, each once at most. */
static bool is_passed_through(const moire__node *node) {
  return moire__is_view(node) && !moire__is_lookup(node) && node->op != MOIRE__OP_broadcast;
}

/* ---- which values ------------------------------------------------------------------------------------------
 */

/* A view that no strides write: whoever reads it has it copied. */
static bool is_copied(const moire_graph *g, int32_t value) {
  moire__view view = {0};
  return moire__is_view(moire__node_of(g, value)) && !moire__view_of(g, value, &view) && view.base == value;
}

static bool pays(const moire_graph *g, int32_t value, const readers *of) {
  const moire__node *node = moire__node_of(g, value);
  if (!of->products || g->values[value].dtype != MOIRE_F32) return false;
  if (moire__is_view(node)) return !of->others && is_copied(g, value);
  if (moire__op_get(node->op)->op_class != MOIRE__CLASS_POINTWISE) return false;
  if (!of->others) return true;
  return of->products > 1 && !(of->kept && node->phase == MOIRE__PHASE_FORWARD);
}

static void add(readers *to, const readers *more) {
  to->products += more->products;
  to->others += more->others;
  to->kept = to->kept || more->kept;
}

/* What the node is to its operands. A copy is one reader, whoever reads it. */
static readers as_reader(const halve *h, const moire__node *node) {
  const readers *own = &h->readers[node->first_result];
  if (is_passed_through(node) && !is_copied(h->r.from, node->first_result)) return *own;
  if (rounds(node)) return (readers){.products = 1};
  return (readers){.others = 1, .kept = node->phase != MOIRE__PHASE_FORWARD};
}

/* From users to operands. */
static void choose(halve *h) {
  const moire_graph *g = h->r.from;
  for (int i = 0; i < g->n_outputs; i++) h->readers[g->outputs[i].value].others++;
  for (int i = 0; i < g->n_updates; i++) h->readers[g->updates[i].value].others++;
  for (int n = g->n_nodes - 1; n >= 0; n--) {
    const moire__node *node = &g->nodes[n];
    for (int i = 0; i < node->n_results; i++) {
      int32_t value = node->first_result + i;
      h->halved[value] = pays(g, value, &h->readers[value]);
    }
    readers reader = as_reader(h, node);
    for (int i = 0; i < node->n_operands; i++) add(&h->readers[node->operands[i]], &reader);
  }
}

/* ---- the graph with them -----------------------------------------------------------------------------------
 */

/* A clone that reads bf16 where there are. */
static void clone_of_halves(halve *h, const moire__node *node) {
  int32_t wide[MOIRE__MAX_OPERANDS];
  for (int i = 0; i < node->n_operands; i++) {
    int32_t x = node->operands[i];
    wide[i] = h->r.map[x];
    if (h->half[x]) h->r.map[x] = h->half[x];
  }
  moire__rewrite_clone(&h->r, node);
  for (int i = node->n_operands - 1; i >= 0; i--) h->r.map[node->operands[i]] = wide[i];
}

/* The value as it is, and its bf16 if some product wants it. */
static void clone_both(halve *h, const moire__node *node) {
  int32_t value = node->first_result;
  bool through = is_passed_through(node) && h->half[node->operands[0]] && h->readers[value].products;
  if (through) {
    clone_of_halves(h, node);
    h->half[value] = h->r.map[value];
  }
  moire__rewrite_clone(&h->r, node);
  for (int i = 0; i < node->n_results; i++) {
    if (!h->halved[value + i]) continue;
    moire__graph_pin(h->r.to, node);
    h->half[value + i] = moire_cast(moire__rewrite_value(&h->r, value + i), MOIRE_BF16).id;
    moire__graph_unpin(h->r.to);
  }
}

moire_graph *moire__pass_halve(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  halve h = {.r = moire__rewrite_begin(g)};
  moire__arena arena = {0};
  h.readers = moire__arena_array(&arena, (size_t)g->n_values, sizeof *h.readers);
  h.halved = moire__arena_array(&arena, (size_t)g->n_values, sizeof *h.halved);
  h.half = moire__arena_array(&arena, (size_t)g->n_values, sizeof *h.half);
  if (!goal->by_fma) choose(&h);
  for (int i = 0; i < g->n_nodes; i++) {
    if (rounds(&g->nodes[i]))
      clone_of_halves(&h, &g->nodes[i]);
    else
      clone_both(&h, &g->nodes[i]);
  }
  moire__arena_free(&arena);
  return moire__pass_keep_needed(moire__rewrite_finish(&h.r, error), goal, error);
}
