/* The parts of ops that write loop IR for one element: POINTWISE elements and VIEW index maps.
 *
 * Each sample becomes a kernel of its own, run by the interpreter of the loop IR, which checks every access. In
 * double it must agree with the reference. In f32, elements are also tried where formulas break: at zeros,
 * infinities, NaN, and the ends of the range.
 */
#include <criterion/criterion.h>

#include "compiler/ir/graph/view.h"
#include "tests/support/op_samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- buffers --------------------------------------------------------------------------------------------- */

/* The elements of t as the loop IR's interpreter wants them; NULL for complex. */
static void *buffer_of(const moire__tensor *t, bool in_double) {
  moire__loop_type type = moire__loop_type_from_dtype(t->dtype);
  bool wide = type == MOIRE__LOOP_F64 || (type == MOIRE__LOOP_F32 && in_double);
  void *buffer = moire__allocate_array((size_t)t->elements + 1, sizeof(double));
  for (int64_t i = 0; i < t->elements; i++) {
    if (wide)
      ((double *)buffer)[i] = t->re[i];
    else if (type == MOIRE__LOOP_F32)
      ((float *)buffer)[i] = (float)t->re[i];
    else if (type == MOIRE__LOOP_I64)
      ((int64_t *)buffer)[i] = (int64_t)t->re[i];
    else if (type == MOIRE__LOOP_I32)
      ((int32_t *)buffer)[i] = (int32_t)t->re[i];
    else
      ((uint8_t *)buffer)[i] = t->re[i] != 0;
  }
  return buffer;
}

static double element_of(const void *buffer, moire_dtype dtype, int64_t i, bool in_double) {
  uint32_t bits;
  float single;
  switch (moire__loop_type_from_dtype(dtype)) {
    case MOIRE__LOOP_F64: return ((const double *)buffer)[i];
    case MOIRE__LOOP_F32: return in_double ? ((const double *)buffer)[i] : (double)((const float *)buffer)[i];
    case MOIRE__LOOP_I64: return (double)((const int64_t *)buffer)[i];
    case MOIRE__LOOP_I32: return ((const int32_t *)buffer)[i];
    case MOIRE__LOOP_BF16:
      bits = (uint32_t)((const uint16_t *)buffer)[i] << 16;
      memcpy(&single, &bits, sizeof single);
      return single;
    case MOIRE__LOOP_BOOL: return ((const uint8_t *)buffer)[i];
    case MOIRE__LOOP_VOID: break;
  }
  abort();
}

/* ---- kernels --------------------------------------------------------------------------------------------- */

enum { MAX_OPERANDS = 3 };

typedef struct kernel {
  moire__arena arena;
  moire__loop_kernel *k;
  moire__loop_builder b;
  moire__loop_buffer operands[MAX_OPERANDS], result;
} kernel;

/* A kernel whose parallel index is the row-major element of the node's result. */
static void begin(kernel *k, const moire_graph *g, const moire__node *node) {
  static const char *const names[MAX_OPERANDS] = {"a", "b", "c"};
  *k = (kernel){0};
  k->k = moire__loop_kernel_create(&k->arena, "element", g);
  moire_dim elements = 0;
  for (int i = 0; i < node->n_operands; i++) {
    const moire__value_info *info = &g->values[node->operands[i]];
    cr_assert(moire__shape_elements(&info->shape, &elements));
    k->operands[i] = moire__loop_add_parameter(k->k, names[i], MOIRE__BUFFER_IN,
                                               moire__loop_type_from_dtype(info->dtype), elements);
  }
  const moire__value_info *info = &g->values[node->first_result];
  cr_assert(moire__shape_elements(&info->shape, &elements));
  moire__loop_type type = moire__loop_type_from_dtype(info->dtype);
  k->result = moire__loop_add_parameter(k->k, "y", MOIRE__BUFFER_OUT, type, elements);
  k->b = moire__loop_begin(k->k, elements, 1);
}

static void build_element(kernel *k, const moire_graph *g, const moire__node *node) {
  begin(k, g, node);
  moire__loop_value operands[MAX_OPERANDS];
  for (int i = 0; i < node->n_operands; i++)
    operands[i] = moire__loop_load(&k->b, k->operands[i], k->k->parallel);
  moire__loop_value y = moire__op_get(node->op)->element(&k->b, g, node, operands);
  moire__loop_store(&k->b, k->result, k->k->parallel, y);
}

/* at[] of the row-major element `linear`. */
static void spread(moire__loop_builder *b, const moire_shape *shape, moire__loop_value linear,
                   moire__loop_value *at) {
  for (int i = shape->rank - 1; i >= 0; i--) {
    moire__loop_value extent = moire__loop_extent(b, shape->dims[i]);
    at[i] = moire__loop_binary(b, MOIRE__LOOP_mod, linear, extent);
    linear = moire__loop_binary(b, MOIRE__LOOP_div, linear, extent);
  }
}

static moire__loop_value row_major(moire__loop_builder *b, const moire_shape *shape,
                                   const moire__loop_value *at) {
  moire__loop_value linear = moire__loop_index(b, 0);
  for (int i = 0; i < shape->rank; i++) {
    linear = moire__loop_binary(b, MOIRE__LOOP_mul, linear, moire__loop_extent(b, shape->dims[i]));
    linear = moire__loop_binary(b, MOIRE__LOOP_add, linear, at[i]);
  }
  return linear;
}

static void build_map(kernel *k, const moire_graph *g, const moire__node *node) {
  begin(k, g, node);
  moire__index_map map = {.b = &k->b, .g = g, .node = node};
  spread(&k->b, &g->values[node->first_result].shape, k->k->parallel, map.result);
  if (moire__is_lookup(node)) {
    moire__loop_value at = row_major(&k->b, &g->values[node->operands[1]].shape, map.result);
    map.row = moire__loop_cast(&k->b, moire__loop_load(&k->b, k->operands[1], at), MOIRE__LOOP_I64);
  }
  moire__op_get(node->op)->map(&map);
  moire__loop_value from = row_major(&k->b, &g->values[node->operands[0]].shape, map.operand);
  moire__loop_value y = moire__loop_load(&k->b, k->operands[0], from);
  if (map.valid) {
    moire__loop_value zero = moire__loop_const(&k->b, moire__loop_type_of(&k->b, y), 0);
    y = moire__loop_ternary(&k->b, MOIRE__LOOP_select, map.valid, y, zero);
  }
  moire__loop_store(&k->b, k->result, k->k->parallel, y);
}

/* ---- against the reference ------------------------------------------------------------------------------- */

static bool checked[MOIRE__OP_COUNT]; /* Criterion gives each test a process of its own */

static bool has_complex(const op_sample *t) {
  for (int i = 0; i < t->node.n_operands; i++)
    if (t->s.g->values[t->node.operands[i]].dtype == MOIRE_C64) return true;
  return false;
}

/* What is stored as bf16 or as an integer may fall to either side of a rounding. */
static bool close_to(double got, double want, moire_dtype dtype) {
  if (!moire__dtype_is_float(dtype)) return got == want;
  double tolerance = dtype == MOIRE_BF16 ? 0x1p-8 : 1e-12;
  return got == want || fabs(got - want) <= tolerance * (fabs(want) + 1e-3);
}

/* Operands that are computed (the index arrays of take) become outputs, so that the interpreter gives them. */
static const char *operand_output(int i) {
  static const char *const names[] = {"operand0", "operand1", "operand2"};
  return names[i];
}

static void show_operands(op_sample *t) {
  for (int i = 0; i < t->node.n_operands; i++) {
    int32_t value = t->node.operands[i];
    if (moire__node_of(t->s.g, value)->op == MOIRE__OP_input) continue;
    moire_output(t->s.g, operand_output(i), moire__value(t->s.g, value));
  }
}

static const moire__tensor *operand_tensor(const op_sample *t, int i, const moire__named_tensor *inputs, int n,
                                           const moire__graph_results *results) {
  const moire__node *node = moire__node_of(t->s.g, t->node.operands[i]);
  if (node->op == MOIRE__OP_input) return moire__named_tensor_find(inputs, n, moire__node_text(node, "name"));
  return moire__named_tensor_find(results->outputs, results->n_outputs, operand_output(i));
}

static void run_sample(op_sample *t, void (*build)(kernel *k, const moire_graph *g, const moire__node *node)) {
  moire_error error = {0};
  kernel k;
  build(&k, t->s.g, &t->node);
  cr_assert_eq(moire__loop_verify(k.k, &error), MOIRE_OK, "%s %s %d: %s", OP_SAMPLE_NAME(t), error.message);
  moire__named_tensor inputs[OP_SAMPLE_MAX_INPUTS];
  int n = op_sample_inputs(t, inputs);
  show_operands(t);
  moire__graph_feed feed = {op_sample_extents, inputs, n, NULL, 0, NULL, 0};
  moire__graph_results results = {0};
  cr_assert_eq(moire__graph_interpret(t->s.g, &feed, &results, &error), MOIRE_OK, "%s", error.message);
  const moire__tensor *y = moire__named_tensor_find(results.outputs, results.n_outputs, "y0");
  void *buffers[MAX_OPERANDS + 1];
  for (int i = 0; i < t->node.n_operands; i++) {
    buffers[i] = buffer_of(operand_tensor(t, i, inputs, n, &results), true);
  }
  buffers[t->node.n_operands] = buffer_of(y, true);
  memset(buffers[t->node.n_operands], 0x55, (size_t)y->elements * sizeof(double));
  moire_status status = moire__loop_interpret(k.k, buffers, op_sample_extents, 0, y->elements, true, &error);
  cr_assert_eq(status, MOIRE_OK, "%s %s %d: %s", OP_SAMPLE_NAME(t), error.message);
  for (int64_t e = 0; e < y->elements; e++) {
    double got = element_of(buffers[t->node.n_operands], y->dtype, e, true);
    cr_expect(close_to(got, y->re[e], y->dtype), "%s %s %d: element %lld is %.17g, not %.17g",
              OP_SAMPLE_NAME(t), (long long)e, got, y->re[e]);
  }
  for (int i = 0; i <= t->node.n_operands; i++) moire__release(buffers[i]);
  moire__graph_results_free(&results);
  op_sample_release(inputs, n);
  moire__arena_free(&k.arena);
  checked[t->node.op] = true;
}

static void run_either(op_sample *t) {
  bool usable = t->s.kind != MOIRE__SAMPLE_WRONG && t->single && !has_complex(t);
  usable = usable && t->node.first_result == moire__graph_find_output(t->s.g, "y0");
  if (usable && t->op->element) run_sample(t, build_element);
  if (usable && t->op->map) run_sample(t, build_map);
  moire_graph_destroy(t->s.g);
}

Test(elements, agree_with_the_reference, .timeout = 120) {
  op_sample_each(run_either);
  for (int op = 1; op < MOIRE__OP_COUNT; op++) {
    const moire__op_info *info = moire__op_get((moire__op)op);
    cr_expect(checked[op] || !(info->element || info->map), "%s was not tried", info->name);
  }
}

/* ---- where formulas break -------------------------------------------------------------------------------- */

/* op(x) in f32. */
static float element_at(moire__op op, float x) {
  moire_graph *g = moire_graph_create("one", MOIRE_INFERENCE);
  moire_value operand = moire_input(g, "x", MOIRE_F32, MOIRE_SHAPE(1));
  moire_value y = moire__graph_emit(g, MOIRE_HERE, op, &operand, 1, NULL, 0);
  kernel k;
  build_element(&k, g, moire__node_of(g, y.id));
  float result = 0;
  moire_error error = {0};
  cr_assert_eq(moire__loop_interpret(k.k, (void *const[]){&x, &result}, NULL, 0, 1, false, &error), MOIRE_OK,
               "%s", error.message);
  moire__arena_free(&k.arena);
  moire_graph_destroy(g);
  return result;
}

static const struct {
  moire__op op;
  double x, y;
} limits[] = {
    {MOIRE__OP_sigmoid, INFINITY, 1},   {MOIRE__OP_sigmoid, -INFINITY, 0},
    {MOIRE__OP_sigmoid, 3e38, 1},       {MOIRE__OP_sigmoid, -3e38, 0},
    {MOIRE__OP_sigmoid, 0, 0.5},        {MOIRE__OP_softplus, INFINITY, INFINITY},
    {MOIRE__OP_softplus, -INFINITY, 0}, {MOIRE__OP_softplus, 3e38, 3e38},
    {MOIRE__OP_softplus, -3e38, 0},     {MOIRE__OP_silu, INFINITY, INFINITY},
    {MOIRE__OP_silu, -INFINITY, 0},     {MOIRE__OP_silu, 3e38, 3e38},
    {MOIRE__OP_silu, -3e38, 0},         {MOIRE__OP_gelu, INFINITY, INFINITY},
    {MOIRE__OP_gelu, -INFINITY, 0},     {MOIRE__OP_gelu, 3e38, 3e38},
    {MOIRE__OP_gelu, -3e38, 0},         {MOIRE__OP_relu, INFINITY, INFINITY},
    {MOIRE__OP_relu, -INFINITY, 0},     {MOIRE__OP_rsqrt, INFINITY, 0},
    {MOIRE__OP_rsqrt, 0, INFINITY},     {MOIRE__OP_tanh, INFINITY, 1},
    {MOIRE__OP_tanh, -INFINITY, -1},    {MOIRE__OP_erf, INFINITY, 1},
    {MOIRE__OP_exp, -INFINITY, 0},      {MOIRE__OP_abs, -INFINITY, INFINITY},
};

Test(elements, reach_their_limits) {
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    float got = element_at(limits[i].op, (float)limits[i].x);
    cr_expect_eq(got, (float)limits[i].y, "%s(%g) is %g, not %g", moire__op_get(limits[i].op)->name,
                 limits[i].x, (double)got, limits[i].y);
  }
}

Test(elements, keep_a_nan) {
  static const moire__op ops[] = {MOIRE__OP_relu, MOIRE__OP_sigmoid, MOIRE__OP_softplus, MOIRE__OP_silu,
                                  MOIRE__OP_gelu, MOIRE__OP_rsqrt,   MOIRE__OP_tanh,     MOIRE__OP_exp};
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
    cr_expect(isnan(element_at(ops[i], NAN)), "%s", moire__op_get(ops[i])->name);
}

static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double silu(double x) { return x * sigmoid(x); }

/* To 6 units in the last place where the result is a normal number. */
Test(elements, are_accurate_in_single_precision) {
  static const struct {
    moire__op op;
    double (*exact)(double x);
  } rows[] = {{MOIRE__OP_softplus, softplus}, {MOIRE__OP_sigmoid, sigmoid}, {MOIRE__OP_silu, silu}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (double x = -85; x < 100; x += 0.37) {
      double want = rows[i].exact((double)(float)x), got = (double)element_at(rows[i].op, (float)x);
      cr_expect(fabs(got - want) <= 6 * 0x1p-24 * fabs(want), "%s(%g) is %.9g, not %.9g",
                moire__op_get(rows[i].op)->name, x, got, want);
    }
}

/* gelu cancels for x < -1: its error is absolute there. */
Test(elements, gelu_is_accurate_in_single_precision) {
  for (double x = -12; x < 12; x += 0.0137) {
    double at = (double)(float)x, want = 0.5 * at * erfc(-at * sqrt(0.5));
    double got = (double)element_at(MOIRE__OP_gelu, (float)x);
    cr_expect(fabs(got - want) <= 6 * 0x1p-24 * fmax(fabs(want), fabs(at) / 6), "gelu(%g) is %.9g, not %.9g", x,
              got, want);
  }
}
