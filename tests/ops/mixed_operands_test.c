/* Every op with operands and attributes that nobody meant for it: inference refuses them with a sentence, or
 * the node has a meaning, which expand, decompose and split do not change.
 *
 * Operands have the types of a sample's but for some that are drawn from a pool of many types and shapes;
 * attributes are those of a sample with some of them changed. A seed that fails is named in the message.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "compiler/pass/pass.h"
#include "runtime/base/philox.h"
#include "tests/support/sample_case.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TRIES = 300, POOL = 26 };

static int below(moire__random *random, int n) { return (int)moire__random_below(random, (uint64_t)n); }

static int fill_pool(moire_graph *g, moire_value pool[POOL]) {
  moire_dim b = moire_extent(g, "B");
  const moire_shape shapes[] = {
      MOIRE_SCALAR,         MOIRE_SHAPE(3),    MOIRE_SHAPE(3, 4),       MOIRE_SHAPE(4, 3),
      MOIRE_SHAPE(2, 3, 4), MOIRE_SHAPE(b, 4), MOIRE_SHAPE(2, 2, 3, 4), MOIRE_SHAPE(0, 4)};
  int n = 0;
  for (int i = 0; i < 8; i++) {
    char name[3][16];
    for (int plane = 0; plane < 3; plane++) snprintf(name[plane], sizeof name[plane], "p%d%c", i, "abc"[plane]);
    pool[n] = moire_input(g, name[0], MOIRE_F32, shapes[i]);
    pool[n + 1] = moire_complex(pool[n], moire_input(g, name[1], MOIRE_F32, shapes[i]));
    n += 2;
    if (i != 0 && i != 7) pool[n++] = moire_input(g, name[2], i % 2 ? MOIRE_I32 : MOIRE_BOOL, shapes[i]);
  }
  pool[n++] = moire_input(g, "wide", MOIRE_F64, MOIRE_SHAPE(3, 4));
  pool[n++] = moire_input(g, "long", MOIRE_I64, MOIRE_SHAPE(3));
  return n;
}

static void change_attribute(moire__random *random, moire__attr *attr) {
  switch (attr->kind) {
    case MOIRE__ATTR_INT: attr->integer = below(random, 6) - 1; break;
    case MOIRE__ATTR_REAL: attr->real = 2 * moire__random_real(random) - 0.5; break;
    case MOIRE__ATTR_INTS:
    case MOIRE__ATTR_DIMS:
      if (attr->n_ints > 0) attr->n_ints -= below(random, 2);
      break;
    case MOIRE__ATTR_TEXT: break;
  }
}

/* A value of the same type as the sample's; the only named extent of both graphs is B. */
static moire_value value_like(moire_graph *g, const moire__value_info *info, int i) {
  char name[2][16];
  for (int plane = 0; plane < 2; plane++) snprintf(name[plane], sizeof name[plane], "own%d%c", i, "ab"[plane]);
  if (info->dtype != MOIRE_C64) return moire_input(g, name[0], info->dtype, info->shape);
  moire_value re = moire_input(g, name[0], MOIRE_F32, info->shape);
  return moire_complex(re, moire_input(g, name[1], MOIRE_F32, info->shape));
}

/* Emits the op with operands of the sample's types, of the pool, or both; false if it was refused, as it should
 * be with a sentence. */
static bool emit_mixed(moire__random *random, moire_graph *g, const moire_graph *sample,
                       const moire__node *like) {
  const moire__op_info *info = moire__op_get(like->op);
  moire_value pool[POOL], operands[MOIRE__MAX_OPERANDS];
  moire__attr attrs[16];
  int n_pool = fill_pool(g, pool), n = like->n_operands, strange = below(random, 2 * n + 1);
  for (int i = 0; i < n; i++) {
    bool own = strange < n ? i != strange : strange < 2 * n;
    operands[i] = own ? value_like(g, &sample->values[like->operands[i]], i) : pool[below(random, n_pool)];
  }
  for (int i = 0; i < like->n_attrs; i++) {
    attrs[i] = like->attrs[i];
    if (below(random, 6) == 0) change_attribute(random, &attrs[i]);
  }
  moire_value y = moire__graph_emit(g, MOIRE_HERE, like->op, operands, n, attrs, like->n_attrs);
  if (moire_value_is_null(y)) return false;
  for (int i = 0; i < info->n_results; i++) {
    char name[] = {'y', (char)('0' + i), 0};
    moire_output(g, name, moire__value(g, y.id + i));
  }
  return true;
}

/* ---- what an accepted node means --------------------------------------------------------------------------
 */

static int draw_inputs(moire__random *random, const moire_graph *g, moire__named_tensor *inputs) {
  int n = 0;
  for (int i = 0; i < g->n_nodes; i++) {
    if (g->nodes[i].op != MOIRE__OP_input) continue;
    const moire__value_info *info = &g->values[g->nodes[i].first_result];
    moire__tensor *x = moire__tensor_create(info->dtype, &info->shape, op_sample_extents);
    bool real = moire__dtype_is_float(info->dtype);
    for (int64_t e = 0; e < x->elements; e++)
      x->re[e] = real ? 0.25 + moire__random_real(random) : (double)below(random, 2);
    inputs[n++] = (moire__named_tensor){moire__node_text(&g->nodes[i], "name"), x};
  }
  return n;
}

static void expect_same(const char *what, const moire__named_tensor *want, const moire__graph_results *got) {
  const moire__tensor *y = want->tensor;
  for (int plane = 0; plane < (y->im ? 2 : 1); plane++) {
    char name[16];
    snprintf(name, sizeof name, "%s.%s", want->name, plane ? "imag" : "real");
    const moire__tensor *whole = moire__named_tensor_find(got->outputs, got->n_outputs, want->name);
    const moire__tensor *x = whole ? whole : moire__named_tensor_find(got->outputs, got->n_outputs, name);
    cr_assert(x && x->elements == y->elements, "%s: %s has another shape", what, want->name);
    const double *a = whole && plane ? x->im : x->re, *b = plane ? y->im : y->re;
    for (int64_t e = 0; e < y->elements; e++)
      cr_assert(a[e] == b[e] || (isnan(a[e]) && isnan(b[e])) || fabs(a[e] - b[e]) <= 1e-9 * (1 + fabs(b[e])),
                "%s: %s[%lld] is %.15g, wanted %.15g", what, want->name, (long long)e, a[e], b[e]);
  }
}

static void check_meaning(const char *what, moire__random *random, const moire_graph *g) {
  static moire__graph_pass *const passes[] = {moire__pass_expand, moire__pass_decompose, moire__pass_split};
  moire__named_tensor inputs[2 * POOL + 2 * MOIRE__MAX_OPERANDS];
  moire__graph_feed feed = {.extents = op_sample_extents, .inputs = inputs};
  feed.n_inputs = draw_inputs(random, g, inputs);
  moire__graph_results want = {0};
  moire_error error = {0};
  moire__goal goal = {0};
  moire_graph *before = NULL;
  if (moire__graph_interpret(g, &feed, &want, &error) == MOIRE_OK) {
    for (int p = 0; p < 3; p++) {
      moire_graph *after = passes[p](before ? before : g, &goal, &error);
      cr_assert(after, "%s: %s", what, error.message);
      moire__graph_results got = {0};
      cr_assert_eq(moire__graph_interpret(after, &feed, &got, &error), MOIRE_OK, "%s: %s", what, error.message);
      for (int i = 0; i < want.n_outputs; i++) expect_same(what, &want.outputs[i], &got);
      moire__graph_results_free(&got);
      moire_graph_destroy(before);
      before = after;
    }
  } else {
    cr_assert_eq(error.status, MOIRE_ERROR_ARGUMENT, "%s: %s", what, error.message); /* rows out of range */
  }
  moire_graph_destroy(before);
  moire__graph_results_free(&want);
  op_sample_release(inputs, feed.n_inputs);
}

static const moire__node *node_of_op(const sample_case *c, moire__op op) {
  for (int i = 0; i < c->graph->n_nodes; i++)
    if (c->graph->nodes[i].op == op) return &c->graph->nodes[i];
  return NULL;
}

ParameterizedTestParameters(mixed_operands, every_op) {
  static int ops[MOIRE__OP_COUNT];
  size_t n = 0;
  for (int op = MOIRE__OP_none + 1; op < MOIRE__OP_COUNT; op++)
    if (moire__op_get((moire__op)op)->op_class != MOIRE__CLASS_SOURCE) ops[n++] = op;
  return cr_make_param_array(int, ops, n);
}

ParameterizedTest(int *op, mixed_operands, every_op) {
  const char *name = moire__op_get((moire__op)*op)->name;
  for (int try = 0; try < TRIES; try++) {
    moire__random random = moire__random_start(2024, (uint64_t)(*op * TRIES + try));
    sample_case c;
    if (!sample_case_make((moire__op)*op, MOIRE__SAMPLE_GOOD, below(&random, 8), &c)) continue;
    const moire__node *like = node_of_op(&c, (moire__op)*op);
    cr_assert(like, "%s is not in its sample", name);
    moire_graph *g = moire_graph_create("mixed", MOIRE_TRAINING);
    char what[80];
    snprintf(what, sizeof what, "%s, try %d", name, try);
    if (emit_mixed(&random, g, c.graph, like)) check_meaning(what, &random, g);
    moire_error error = {0};
    if (moire_graph_status(g, &error) != MOIRE_OK)
      cr_assert(error.message[0] && error.status != MOIRE_ERROR_INTERNAL, "%s: %s", what, error.message);
    moire_graph_destroy(g);
    sample_case_free(&c);
  }
}
