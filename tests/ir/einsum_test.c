/* einsum (of a complex one its real part and half of the imaginary one) against loops over all its labels, in
 * double; at every stage, in native code, and its gradient. What is wrong with an equation is said. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "runtime/base/memory.h"
#include "tests/support/call_case.h"

#include <complex.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 3, MOST = 4 };

typedef struct einsum_case {
  char equation[40];
  int n;
  char labels[MOST][9], out[9]; /* the equation without "...", by letters */
  bool is_complex[MOST];
  bool named; /* b is a named extent */
} einsum_case;

static const einsum_case cases[] = {
    {"ij,jk->ik", 2, {"ij", "jk"}, "ik", {0}, false},
    {"ij,jk", 2, {"ij", "jk"}, "ik", {true, true}, false},
    {"ba", 1, {"ba"}, "ab", {0}, false},
    {"bqd, bkd -> bqk", 2, {"bqd", "bkd"}, "bqk", {true, false}, true},
    {"bhqd,bhkd->bhqk", 2, {"bhqd", "bhkd"}, "bhqk", {0}, true},
    {"bhqd,bhkd->qbhk", 2, {"bhqd", "bhkd"}, "qbhk", {true, true}, true},
    {"...d,dh->...h", 2, {"bqd", "dh"}, "bqh", {0}, true},
    {"...ij,...jk", 2, {"bij", "bjk"}, "bik", {0}, true},
    {"i,j->ij", 2, {"i", "j"}, "ij", {false, true}, false},
    {"bi,bi->", 2, {"bi", "bi"}, "", {true, true}, true},
    {"bi,bi->b", 2, {"bi", "bi"}, "b", {0}, true},
    {"ijk->k", 1, {"ijk"}, "k", {0}, false},
    {"aa->a", 1, {"aa"}, "a", {0}, false},
    {"aa", 1, {"aa"}, "", {true}, false},
    {"iji,j->i", 2, {"iji", "j"}, "i", {0}, false},
    {"bi,ij,bj->b", 3, {"bi", "ij", "bj"}, "b", {0}, true},
    {"abc,cd,def,f->abe", 4, {"abc", "cd", "def", "f"}, "abe", {false, true}, false},
    {"bk,n->nb", 2, {"bk", "n"}, "nb", {0}, true},
};

static moire_dim extent_of(char label, moire_dim b) { return label == 'b' ? b : 2 + (label * 7) % 4; }
static int64_t size_of(char label) { return extent_of(label, BATCH); }

static int64_t place_in(const char *labels, const int64_t *at) {
  int64_t place = 0;
  for (const char *c = labels; *c; c++) place = place * size_of(*c) + at[(int)*c];
  return place;
}

/* The next index of all labels; false after the last. */
static bool next(const char *all, int64_t *at) {
  for (const char *c = all; *c; c++) {
    if (++at[(int)*c] < size_of(*c)) return true;
    at[(int)*c] = 0;
  }
  return false;
}

static double _Complex element(const test_feed *feed, const einsum_case *t, int operand, int64_t place) {
  const char *const *names = (const char *const[]){"x0", "x1", "x2", "x3"};
  if (!t->is_complex[operand]) return test_feed_find(feed, names[operand])->re[place];
  char name[2][24];
  for (int i = 0; i < 2; i++) snprintf(name[i], sizeof name[i], "x%d.%s", operand, i ? "imag" : "real");
  return test_feed_find(feed, name[0])->re[place] + I * test_feed_find(feed, name[1])->re[place];
}

static bool has_sums(const void *context, const test_subject *s, const test_feed *feed, moire__text *why) {
  const einsum_case *t = context;
  char all[40] = "";
  for (int i = 0; i < t->n; i++)
    for (const char *c = t->labels[i]; *c; c++)
      if (!strchr(all, *c)) strncat(all, c, 1);
  int64_t at[128] = {0}, elements = 1;
  for (const char *c = t->out; *c; c++) elements *= size_of(*c);
  double _Complex *sums = moire__allocate_array((size_t)elements, sizeof *sums);
  do {
    double _Complex product = 1;
    for (int i = 0; i < t->n; i++) product *= element(feed, t, i, place_in(t->labels[i], at));
    sums[place_in(t->out, at)] += product;
  } while (next(all, at));
  test_values values = {0};
  moire_error error = {0};
  bool good = test_run_graph(s->stages[s->reference], feed, &values, &error) == MOIRE_OK;
  if (!good) moire__text_add(why, "%s", error.message);
  const test_value *y = good ? test_values_find(&values, "y", false) : NULL;
  for (int64_t i = 0; i < elements && good; i++) {
    double wanted = creal(sums[i]) + cimag(sums[i]) / 2;
    good = y->elements == elements && fabs(y->value[i] - wanted) <= 1e-12 * (1 + cabs(sums[i]));
    if (!good) moire__text_add(why, "element %lld is %g, wanted %g", (long long)i, y->value[i], wanted);
  }
  test_values_free(&values);
  moire__release(sums);
  return good;
}

static moire_graph *build(const einsum_case *t) {
  moire_graph *g = moire_graph_create("einsum", MOIRE_TRAINING);
  moire_dim b = t->named ? moire_extent(g, "B") : BATCH;
  moire_value x[MOST], p = moire_parameter(g, "p", MOIRE_SCALAR, moire_init_constant(1));
  for (int i = 0; i < t->n; i++) {
    moire_shape shape = {.rank = (int)strlen(t->labels[i])};
    for (int d = 0; d < shape.rank; d++) shape.dims[d] = extent_of(t->labels[i][d], b);
    char name[2][24];
    for (int k = 0; k < 2; k++)
      snprintf(name[k], sizeof name[k], "x%d%s", i, t->is_complex[i] ? k ? ".imag" : ".real" : "");
    x[i] = moire_input(g, name[0], MOIRE_F32, shape);
    if (t->is_complex[i]) x[i] = moire_complex(x[i], moire_input(g, name[1], MOIRE_F32, shape));
  }
  moire_value y = moire_einsum(t->equation, x, t->n), scaled = moire_mul(y, p);
  bool is_complex = moire_value_dtype(y) == MOIRE_C64;
  moire_output(g, "y", is_complex ? moire_add(moire_real(y), moire_scale(moire_imag(y), 0.5)) : y);
  moire_output(g, "loss", moire_sum_all(is_complex ? moire_abs2(scaled) : moire_mul(scaled, scaled)));
  return g;
}

ParameterizedTestParameters(einsum, loops) {
  static int all[sizeof cases / sizeof *cases];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) all[i] = (int)i;
  return cr_make_param_array(int, all, sizeof cases / sizeof *cases);
}

ParameterizedTest(int *index, einsum, loops) {
  test_pools pools = test_pools_make();
  moire__text why = {0};
  bool good = test_call_agrees(build(&cases[*index]), BATCH, has_sums, &cases[*index], &pools, &why);
  cr_assert(good, "%s: %s", cases[*index].equation, moire__text_string(&why));
  moire__text_free(&why);
  test_pools_free(&pools);
}

/* ---- refusals -------------------------------------------------------------------------------------------- */

static void refuses(const char *equation, int n, moire_shape a, moire_shape b, const char *sentence) {
  moire_graph *g = moire_graph_create("g", MOIRE_TRAINING);
  moire_value x[] = {moire_input(g, "a", MOIRE_F32, a), moire_input(g, "b", MOIRE_F32, b)};
  moire_einsum(equation, x, n);
  moire_error error = {0};
  cr_expect_neq(moire_graph_status(g, &error), MOIRE_OK, "\"%s\" is taken", equation);
  cr_expect(strstr(error.message, sentence), "\"%s\" lacks \"%s\"", error.message, sentence);
  moire_graph_destroy(g);
}

Test(einsum, says_what_is_wrong_with_an_equation) {
  moire_shape s = MOIRE_SHAPE(4, 3), t = MOIRE_SHAPE(3, 4);
  refuses("ij,j?->i", 2, s, t, "has a '?' at 5");
  refuses("ij,jk->ik", 1, s, t, "is not for 1 operands");
  refuses("ij->ij", 2, s, t, "is not for 2 operands");
  refuses("ijk,jk->i", 2, s, t, "\"ijk\" does not name the 2 axes of operand 0");
  refuses("i,jk->i", 2, s, t, "\"i\" does not name the 2 axes of operand 0");
  refuses("ij,jk->il", 2, s, t, "'l' in the result, but in no operand");
  refuses("ij,jk->ii", 2, s, t, "'i' twice in the result");
  refuses("ij,ik->jk", 2, s, t, "the extents of 'i' differ");
  refuses("......ij,jk->ik", 2, s, t, "has \"...\" twice");
  refuses("ii,jk->i", 2, s, t, "'i' stands twice");
}
