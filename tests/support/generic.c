/* The judge of all ops. See generic.h. */
#include "tests/support/generic.h"

#include "compiler/ir/graph/rewrite.h"
#include "runtime/base/philox.h"
#include "tests/support/judge.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const test_way ways[] = {{.target = "host"}, {.target = "host", .off = 1u << MOIRE_OPTIMIZATION_fuse}};
static const test_way gradient_ways[] = {
    {.target = "host"}, {.target = "host", .off = 1u << MOIRE_OPTIMIZATION_fuse, .loops_only = true}};
enum { N_WAYS = 2, ELEMENTS_TRIED = 6, MOST_RANGES = 2 * MOIRE__MAX_OPERANDS };
static const char *const kind_names[] = {"good", "hard", "wrong"};

/* ---- samples --------------------------------------------------------------------------------------------- */

typedef struct sample {
  moire__sampler s;
  const moire__op_info *op;
  moire_graph *graph; /* with real inputs */
  test_range ranges[MOST_RANGES];
  int n_ranges;
  char name[80];
} sample;

/* False where there are no more. */
static bool make_sample(moire__op op, moire__sample_kind kind, int index, sample *t) {
  *t = (sample){.op = moire__op_get(op)};
  t->s = (moire__sampler){.g = moire_graph_create("sample", MOIRE_TRAINING), .kind = kind, .index = index};
  snprintf(t->name, sizeof t->name, "%s, %s sample %d", t->op->name, kind_names[kind], index);
  if (t->op->sample(&t->s)) {
    for (int i = 0; i < t->s.n_ranges; i++)
      t->ranges[t->n_ranges++] = (test_range){t->s.ranges[i].name, t->s.ranges[i].low, t->s.ranges[i].high};
    return true;
  }
  moire_graph_destroy(t->s.g);
  return false;
}

static void free_sample(sample *t) {
  moire_graph_destroy(t->graph);
  moire_graph_destroy(t->s.g);
}

static void expect(bool good, const sample *t, const char *what, moire__text *why) {
  if (!good) {
    char *text = moire_graph_print(t->graph ? t->graph : t->s.g);
    cr_log_error("%s", text);
    cr_assert_fail("%s%s: %s", t->name, what, moire__text_string(why));
  }
  moire__text_free(why);
}

/* ---- gradients ------------------------------------------------------------------------------------------- */

static bool is_smooth(moire_dtype dtype) { return moire__dtype_is_float(dtype); }

/* x + p */
static moire_value shifted(moire_graph *to, moire_value x, const char *name) {
  moire_shape whole = moire_value_shape(x), shape = whole;
  for (int i = 0; i < shape.rank; i++) {
    if (!moire__dim_is_static(shape.dims[i])) shape.dims[i] = 1;
  }
  char parameter[220];
  snprintf(parameter, sizeof parameter, "p.%s", name);
  moire_value p = moire_parameter(to, parameter, shape, moire_init_constant(0));
  p = moire_broadcast(p, whole);
  moire_dtype dtype = moire_value_dtype(x);
  if (dtype == MOIRE_BF16) return moire_cast(moire_add(moire_cast(x, MOIRE_F32), p), MOIRE_BF16);
  return moire_add(x, moire_cast(p, dtype));
}

static moire_value weighted_sum(moire_graph *to, moire_value y, const char *name) {
  char weight[220];
  snprintf(weight, sizeof weight, "c.%s", name);
  if (moire_value_dtype(y) == MOIRE_BF16) y = moire_cast(y, MOIRE_F32);
  moire_value c = moire_input(to, weight, moire_value_dtype(y), moire_value_shape(y));
  return moire_cast(moire_sum_all(moire_mul(c, y)), MOIRE_F32);
}

/* The sample with parameters and an output "loss"; NULL if there is nothing to differentiate. */
static moire_graph *with_loss(const moire_graph *g) {
  moire__rewrite r = moire__rewrite_begin(g);
  int n_parameters = 0;
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    moire__rewrite_clone(&r, node);
    if (node->op != MOIRE__OP_input || !is_smooth(g->values[node->first_result].dtype)) continue;
    moire_value x = moire__rewrite_value(&r, node->first_result);
    moire__rewrite_set(&r, node->first_result, shifted(r.to, x, moire__node_text(node, "name")));
    n_parameters++;
  }
  moire_value loss = {r.to, 0};
  for (int i = 0; i < g->n_outputs; i++) {
    moire_value y = moire__rewrite_value(&r, g->outputs[i].value);
    bool complex = moire_value_dtype(y) == MOIRE_C64;
    if (!complex && !is_smooth(moire_value_dtype(y))) continue;
    for (int plane = 0; plane < (complex ? 2 : 1); plane++) {
      char name[200];
      snprintf(name, sizeof name, "%s.%d", g->outputs[i].name, plane);
      moire_value part = !complex ? y : plane ? moire_imag(y) : moire_real(y);
      moire_value term = weighted_sum(r.to, part, name);
      loss = moire_value_is_null(loss) ? term : moire_add(loss, term);
    }
  }
  if (!moire_value_is_null(loss)) moire_output(r.to, "loss", loss);
  bool useful = n_parameters > 0 && !moire_value_is_null(loss);
  moire_error error = {0};
  moire_graph *result = moire__rewrite_finish(&r, &error);
  cr_assert(result, "the sample with a loss: %s", error.message);
  if (useful) return result;
  moire_graph_destroy(result);
  return NULL;
}

static double loss_of(const moire_graph *g, const test_feed *feed) {
  test_values values;
  moire_error error = {0};
  cr_assert_eq(test_run_graph(g, feed, &values, &error), MOIRE_OK, "%s", error.message);
  double loss = test_values_find(&values, "loss", false)->value[0];
  test_values_free(&values);
  return loss;
}

/* (L(p + h) - L(p - h)) / 2h */
static double difference(const moire_graph *g, const test_feed *feed, double *p, double h) {
  double at = *p;
  *p = at + h;
  double above = loss_of(g, feed);
  *p = at - h;
  double below = loss_of(g, feed);
  *p = at;
  return (above - below) / (2 * h);
}

static bool judge_differences(const test_subject *s, const test_feed *feed, moire__text *why) {
  test_values values;
  moire_error error = {0};
  cr_assert_eq(test_run_graph(s->stages[s->reference], feed, &values, &error), MOIRE_OK, "%s", error.message);
  bool good = true;
  for (int i = 0; i < feed->n_states && good; i++) {
    char name[200];
    snprintf(name, sizeof name, "grad.%s", feed->states[i].name);
    const test_value *gradient = test_values_find(&values, name, false);
    moire__tensor *p = feed->states[i].tensor;
    if (!gradient) continue;
    double largest = 0;
    for (int64_t e = 0; e < p->elements; e++) largest = fmax(largest, fabs(gradient->value[e]));
    for (int64_t e = 0; e < p->elements && good; e += p->elements / ELEMENTS_TRIED + 1) {
      double want = difference(s->model, feed, &p->re[e], 1e-5);
      good = fabs(gradient->value[e] - want) <= 3e-6 * (1 + largest + fabs(want));
      if (!good)
        moire__text_add(why, "%s[%lld] is %.12g, the difference %.12g", name, (long long)e, gradient->value[e],
                        want);
    }
  }
  test_values_free(&values);
  return good;
}

/* ---- one sample ------------------------------------------------------------------------------------------ */

static bool has_batch(const moire_graph *g) { return g->n_extents > 0; }

static void judge(const sample *t, const moire_graph *g, bool differentiate, const test_pools *pools) {
  moire_compile_options options = moire_compile_defaults();
  const char *outputs[8];
  for (int i = 0; i < g->n_outputs && i < 8; i++) outputs[options.n_outputs++] = g->outputs[i].name;
  options.outputs = outputs;
  if (differentiate) options.loss = "loss";
  options.keep_gradients = differentiate;
  const char *what = differentiate ? ", gradient" : "";
  test_subject subject;
  moire__text why = {0};
  expect(test_subject_make(&subject, g, &options, differentiate ? gradient_ways : ways, N_WAYS, &why), t, what,
         &why);
  static const int64_t sizes[] = {3, 1, 0, 70};
  for (int i = 0; i < (has_batch(g) ? 4 : 1); i++) {
    test_range ranges[MOST_RANGES];
    memcpy(ranges, t->ranges, sizeof ranges);
    for (int p = 0; p < g->n_states && differentiate; p++) {
      if (g->states[p].trained) ranges[t->n_ranges + p] = (test_range){g->states[p].name, 0, 0};
    }
    int n_ranges = t->n_ranges + (differentiate ? g->n_states : 0);
    test_feed feed = test_feed_draw(g, ranges, n_ranges, sizes[i], (uint64_t)t->s.index);
    unsigned checks = sizes[i] <= 3 ? TEST_CHECK_ALL : TEST_CHECK_NATIVE;
    char where[60];
    snprintf(where, sizeof where, "%s, batch %lld", what, (long long)sizes[i]);
    expect(test_subject_judge(&subject, &feed, checks, pools, 1, &why), t, where, &why);
    bool differences = differentiate && i == 0 && !t->s.no_gradient_check;
    if (differences) expect(judge_differences(&subject, &feed, &why), t, what, &why);
    test_feed_free(&feed);
  }
  test_subject_free(&subject);
}

static void judge_sample(sample *t, const test_pools *pools) {
  moire_error error = {0};
  cr_assert_eq(moire_graph_status(t->s.g, &error), MOIRE_OK, "%s: %s", t->name, error.message);
  cr_assert_eq(moire__graph_verify(t->s.g, &error), MOIRE_OK, "%s: %s", t->name, error.message);
  moire__text why = {0};
  expect(test_text_is_stable(t->s.g, &why), t, "", &why);
  judge(t, t->s.g, false, pools);
  t->graph = test_real_inputs(t->s.g);
  bool fixed = t->op->traits & MOIRE__TRAIT_FIXED;
  moire_graph *loss = fixed ? NULL : with_loss(t->graph);
  if (loss) judge(t, loss, true, pools);
  moire_graph_destroy(loss);
}

static void judge_wrong(const sample *t) {
  moire_error error = {0};
  moire_status status = moire_graph_status(t->s.g, &error);
  cr_assert_neq(t->s.expected, MOIRE_OK, "%s expects nothing", t->name);
  cr_assert_eq(status, t->s.expected, "%s: wanted status %s, got %s: %s", t->name,
               moire_status_name(t->s.expected), moire_status_name(status), error.message);
}

/* ---- every op -------------------------------------------------------------------------------------------- */

static test_family family_of(const moire__op_info *op) {
  switch (op->op_class) {
    case MOIRE__CLASS_SOURCE:
    case MOIRE__CLASS_POINTWISE:
    case MOIRE__CLASS_COMPLEX_PART:
    case MOIRE__CLASS_VIEW:
    case MOIRE__CLASS_REDUCE: return TEST_FAMILY_ELEMENTS;
    case MOIRE__CLASS_KERNEL: return op->traits & MOIRE__TRAIT_FIXED ? TEST_FAMILY_INNER : TEST_FAMILY_KERNELS;
    case MOIRE__CLASS_ROW:
    case MOIRE__CLASS_COMPOSITE: return TEST_FAMILY_COMPOSITES;
  }
  abort();
}

int test_generic_ops(test_family family, int ops[MOIRE__OP_COUNT]) {
  int n = 0;
  for (int op = MOIRE__OP_none + 1; op < MOIRE__OP_COUNT; op++) {
    if (family_of(moire__op_get((moire__op)op)) == family) ops[n++] = op;
  }
  return n;
}

void test_generic_judge(moire__op op) {
  test_pools pools = test_pools_make();
  for (int kind = MOIRE__SAMPLE_GOOD; kind <= MOIRE__SAMPLE_WRONG; kind++) {
    sample t;
    int index = 0;
    for (; make_sample(op, (moire__sample_kind)kind, index, &t); index++) {
      if (kind == MOIRE__SAMPLE_WRONG) {
        judge_wrong(&t);
      } else {
        judge_sample(&t, &pools);
      }
      free_sample(&t);
    }
    cr_assert_gt(index, 0, "%s has no %s samples", moire__op_get(op)->name, kind_names[kind]);
  }
  test_pools_free(&pools);
}
