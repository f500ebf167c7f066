/* The graph in double with error bounds: see bounds.h.
 *
 * Why a bound holds. Let s(x) be the spread of a value x, the most that a variant strays from variant 0, and x'
 * what compiled code has in its place. The claim is |x' - x| <= margin s(x).
 *
 * Rounding. To first order x' - x is a sum of w d over the roundings on the way, |d| <= u, the unit. A variant
 * draws every d uniformly from [-u, u], so its deviation has the standard deviation D = u sqrt(sum w^2 / 3). If
 * roundings are independent, |x' - x| > 32 D has a chance below 2 exp(-32^2 / 6) < 1e-73 (Hoeffding); at their
 * very worst they are u sum |w| <= sqrt(3 n) D, within 32 D for n < 341 of them. That all of V variants stay
 * below D / 4 has a chance of about 0.2^(V - 1): 1e-2 for 4, 1e-27 for the 40 that are asked before a value is
 * called wrong.
 *
 * Sums of n products t = a b round at every partial sum, which the result alone does not show: operands are
 * disturbed by (1 + sqrt(n)) / 2 units. For terms of both signs the partial sums grow like sqrt(k) |t|, so
 * compiled code has a standard deviation of u |t| n / sqrt(6), and a variant u |t| n / sqrt(6) as well: 32 of
 * them are allowed. For terms of one sign it is u |t| n sqrt(n) / 3, and a variant has that of `together`, u
 * |t| n^2 / (64 sqrt(3)), on top of u |t| n / sqrt(6): 32 of these are 8 of compiled code's or more, whatever n
 * is.
 *
 * Like elements round alike: where n of them are equal, so are their roundings, and a sum of them strays by n
 * of what one does, though the sum be 0 (f(x) - g(x), or fma(a, b, -c) of c = a b). So a part of what disturbs
 * a result is one draw for all its elements: 1/16 of the unit, since 32 times that at a draw of 1/4 is half a
 * unit, the most that one rounding is; of what is rounded inside of a sum, |a| + |b|, 1/32, since a product
 * that cancels is half of that.
 *
 * bf16. Operands are rounded first and disturbed afterwards, since what a sum rounds off is not rounded away
 * with its operands. An operand whose tie lies further away than margin s is rounded as x is, for all that x'
 * may be; one that does not is drawn from both neighbours.
 *
 * Bends (max_of, min_of, relu, abs, reduce_max). A variant that stays on one side of a bend shows nothing of
 * the other. Where candidates are within margin times their spreads of each other, each variant of the result
 * takes the largest of their deviations; s of the result is then the largest s of theirs, and |max x' - max x|
 * <= max |x' - x| <= margin max s. Elsewhere the choice is the same for all that is allowed.
 *
 * Comparisons and casts to integers: where operands are within margin times their spreads, both results are
 * among the variants; elsewhere the result is certain.
 *
 * In TEST_DOUBLE the same holds of units 2^-20 as large, so that a tie, a bend or a comparison is in doubt
 * there only where doubles leave it in doubt.
 */
#include "tests/support/bounds.h"

#include "runtime/base/bf16.h"
#include "runtime/base/philox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VARIANTS = 64 };
static const double margin = 32;     /* a bound is so many times the largest deviation that was seen */
static const double finer = 0x1p-20; /* a unit of TEST_DOUBLE, of one of float32 */

typedef struct evaluation {
  test_precision precision;
  const moire_graph *g;
  const test_feed *feed;
  int variants;
  moire__tensor **values[MOST_VARIANTS]; /* by variant and value id */
  bool *given;                           /* by value id: the tensor is the feed's */
  bool *needed;                          /* by node */
  moire__random random;
  double largest;
  moire_error *error;
} evaluation;

/* ---- disturbances ---------------------------------------------------------------------------------------- */

static bool is_single(moire_dtype dtype) { return dtype == MOIRE_F32 || dtype == MOIRE_C64; }

/* What one rounding may do to a value of 1; 0: nothing is rounded. A bf16 is what it is in any precision. */
static double unit_of(const evaluation *e, moire_dtype dtype) {
  if (is_single(dtype)) return e->precision == TEST_DOUBLE ? finer * 0x1p-24 : 0x1p-24;
  return dtype == MOIRE_F64 ? 0x1p-53 : 0;
}

/* Uniform in [-1, 1). */
static double draw(evaluation *e) { return 2 * moire__random_real(&e->random) - 1; }

/* Results are elements of operands, or zero, or their negation: nothing is rounded. */
static bool is_exact(moire__op op) {
  switch ((int)op) {
    case MOIRE__OP_input:
    case MOIRE__OP_state:
    case MOIRE__OP_iota:
    case MOIRE__OP_neg:
    case MOIRE__OP_abs:
    case MOIRE__OP_relu:
    case MOIRE__OP_max_of:
    case MOIRE__OP_min_of:
    case MOIRE__OP_where:
    case MOIRE__OP_stop_gradient:
    case MOIRE__OP_complex:
    case MOIRE__OP_real:
    case MOIRE__OP_imag:
    case MOIRE__OP_conj:
    case MOIRE__OP_reduce_max:
    case MOIRE__OP_concat:
    case MOIRE__OP_take_rows:
    case MOIRE__OP_scatter_max:
    case MOIRE__OP_word_unit: return true;
    default: return moire__op_get(op)->op_class == MOIRE__CLASS_VIEW;
  }
}

/* Correctly rounded operations: their operands are taken as they are. */
static bool is_basic(moire__op op) {
  return op == MOIRE__OP_add || op == MOIRE__OP_sub || op == MOIRE__OP_mul || op == MOIRE__OP_div ||
         op == MOIRE__OP_sqrt || op == MOIRE__OP_cast || op == MOIRE__OP_abs2;
}

/* How many terms an element of the result sums up, about. */
static double terms_of(const evaluation *e, const moire__node *node) {
  const moire__tensor *y = e->values[0][node->first_result];
  if (moire__op_get(node->op)->op_class == MOIRE__CLASS_POINTWISE || !y->elements) return 1;
  double most = 1;
  for (int i = 0; i < node->n_operands; i++)
    most = fmax(most, (double)e->values[0][node->operands[i]]->elements);
  if (node->op == MOIRE__OP_matmul || node->op == MOIRE__OP_cmatmul || node->op == MOIRE__OP_linear) {
    int b = node->op == MOIRE__OP_cmatmul ? 2 : 1;
    double product =
        (double)e->values[0][node->operands[0]]->elements * (double)e->values[0][node->operands[b]]->elements;
    return fmax(1, sqrt(product / (double)y->elements));
  }
  return fmax(1, most / (double)y->elements);
}

static moire__tensor *copy_of(const moire__tensor *x) {
  moire_shape shape = {.rank = x->rank};
  memcpy(shape.dims, x->dims, sizeof shape.dims);
  moire__tensor *copy = moire__tensor_create(x->dtype, &shape, NULL);
  if (x->elements) memcpy(copy->re, x->re, (size_t)x->elements * sizeof *x->re);
  if (x->im && x->elements) memcpy(copy->im, x->im, (size_t)x->elements * sizeof *x->im);
  return copy;
}

/* `together`: of all elements alike. The roundings of a long sum of like terms do not cancel. `whole`: planes
 * by the size of both, as products of complex matrices may (ops/product/triple.h). */
static void disturb(evaluation *e, moire__tensor *x, double amplitude, double together, bool whole) {
  double shared = 1 + together * draw(e);
  for (int64_t i = 0; i < x->elements; i++) {
    double re = x->re[i], im = x->im ? x->im[i] : 0;
    double size = whole && x->im ? hypot(re, im) : 0;
    x->re[i] = re * shared + amplitude * (size > 0 ? size : re) * draw(e);
    if (x->im) x->im[i] = im * shared + amplitude * (size > 0 ? size : im) * draw(e);
  }
}

/* What is rounded on the way to element i and may be larger than the result: 1 + erf, 1 + exp, and the product
 * that one operand of a sum is, if it is rounded with the sum and elsewhere without (fma), by a part of the
 * margin. */
static double inner_size(const evaluation *e, const moire__node *node, int64_t i, bool imaginary) {
  if (node->op == MOIRE__OP_add || node->op == MOIRE__OP_sub) {
    const moire__tensor *a = e->values[0][node->operands[0]], *b = e->values[0][node->operands[1]];
    return (imaginary ? fabs(a->im[i]) + fabs(b->im[i]) : fabs(a->re[i]) + fabs(b->re[i])) * 4 / margin;
  }
  if (node->op == MOIRE__OP_softplus || node->op == MOIRE__OP_log_softmax ||
      node->op == MOIRE__OP_cross_entropy || node->op == MOIRE__OP_linear_log_softmax ||
      node->op == MOIRE__OP_linear_log_softmax_joint)
    return 1;
  if (node->op != MOIRE__OP_gelu) return 0;
  const moire__tensor *x = e->values[0][node->operands[0]];
  return fabs(imaginary ? x->im[i] : x->re[i]);
}

/* What all elements have in common. */
static double alike(double size, double inner, double shared) { return (size / 16 + inner / 4) * shared; }

/* A constant is rounded once, whatever its number of elements. */
static void disturb_result(evaluation *e, const moire__node *node, moire__tensor *y) {
  double unit = unit_of(e, y->dtype), shared = draw(e);
  bool is_constant = node->op == MOIRE__OP_constant || node->op == MOIRE__OP_random_mask;
  for (int64_t i = 0; i < y->elements; i++) {
    double size = y->im ? hypot(y->re[i], y->im[i]) : fabs(y->re[i]);
    if (!isfinite(size)) continue;
    double inner = inner_size(e, node, i, false);
    y->re[i] += unit * (is_constant ? size * shared : (size + inner) * draw(e) + alike(size, inner, shared));
    if (!y->im) continue;
    inner = inner_size(e, node, i, true);
    y->im[i] += unit * ((size + inner) * draw(e) + alike(size, inner, shared));
  }
}

/* ---- what is too close to call --------------------------------------------------------------------------- */

static double plane_of(const evaluation *e, int variant, int32_t value, int64_t i, bool imaginary) {
  const moire__tensor *t = e->values[variant][value];
  return imaginary ? t->im[i] : t->re[i];
}

/* How far the variants of element i of a plane stray. */
static double plane_spread(const evaluation *e, int32_t value, int64_t i, bool imaginary) {
  double most = 0;
  for (int v = 1; v < e->variants; v++)
    most = fmax(most, fabs(plane_of(e, v, value, i, imaginary) - plane_of(e, 0, value, i, imaginary)));
  return most;
}

static double spread(const evaluation *e, int32_t value, int64_t i) { return plane_spread(e, value, i, false); }

static bool always_equal(const evaluation *e, int32_t a, int32_t b, int64_t i) {
  for (int v = 0; v < e->variants; v++) {
    if (!(e->values[v][a]->re[i] == e->values[v][b]->re[i])) return false;
  }
  return true;
}

static void split_comparison(evaluation *e, const moire__node *node) {
  int32_t a = node->operands[0], b = node->operands[1], y = node->first_result;
  for (int64_t i = 0; i < e->values[0][y]->elements; i++) {
    double error = spread(e, a, i) + spread(e, b, i);
    if (error == 0 || always_equal(e, a, b, i)) continue;
    if (fabs(e->values[0][a]->re[i] - e->values[0][b]->re[i]) > margin * error) continue;
    for (int v = 1; v < e->variants; v++) e->values[v][y]->re[i] = v & 1;
  }
}

static void split_cast(evaluation *e, const moire__node *node) {
  int32_t x = node->operands[0], y = node->first_result;
  bool to_bool = e->g->values[y].dtype == MOIRE_BOOL;
  for (int64_t i = 0; i < e->values[0][y]->elements; i++) {
    double error = spread(e, x, i), at = e->values[0][x]->re[i], whole = to_bool ? 0 : round(at);
    if (error == 0 || fabs(at - whole) > margin * error || (!to_bool && whole == 0)) continue;
    for (int v = 1; v < e->variants; v++)
      e->values[v][y]->re[i] = to_bool ? v & 1 : v & 1 ? whole : whole - copysign(1, whole);
  }
}

/* Which of several the largest is where one is a NaN depends on the order: anything goes. */
static void doubt_maximum(evaluation *e, const moire__node *node) {
  const moire__tensor *x = e->values[0][node->operands[0]], *y = e->values[0][node->first_result];
  bool has_nan = false;
  for (int64_t i = 0; i < x->elements; i++) has_nan = has_nan || isnan(x->re[i]);
  for (int v = 1; v < e->variants && has_nan; v++) {
    for (int64_t i = 0; i < y->elements; i++)
      e->values[v][node->first_result]->re[i] = (double)(v & 1 ? NAN : -INFINITY);
  }
}

static void split_undecided(evaluation *e, const moire__node *node) {
  if (node->op == MOIRE__OP_reduce_max) doubt_maximum(e, node);
  if (node->op == MOIRE__OP_equal || node->op == MOIRE__OP_less || node->op == MOIRE__OP_less_equal)
    split_comparison(e, node);
  bool from_float = node->op == MOIRE__OP_cast && moire__dtype_is_float(e->g->values[node->operands[0]].dtype);
  if (from_float && !moire__dtype_is_float(e->g->values[node->first_result].dtype)) split_cast(e, node);
}

/* Rounds an operand to bf16. What lies between two of them so that it may be rounded to either is drawn;
 * elsewhere all that is allowed for x lies on one side of the tie, and is rounded to what x is rounded to. */
static void narrow(evaluation *e, int32_t value, moire__tensor *copy) {
  for (int plane = 0; plane < (copy->im ? 2 : 1); plane++) {
    double *x = plane ? copy->im : copy->re;
    for (int64_t i = 0; i < copy->elements; i++) {
      int exponent = 0;
      if (!isfinite(x[i]) || fabs(x[i]) < 0x1p-126) continue;
      double reach = margin * plane_spread(e, value, i, plane) + fabs(x[i] - plane_of(e, 0, value, i, plane));
      frexp(x[i], &exponent);
      double unit = ldexp(1, exponent - 8), below = floor(x[i] / unit) * unit;
      if (reach > 0 && fabs(x[i] - below - unit / 2) <= reach)
        x[i] = below + unit * (draw(e) < 0 ? 0.25 : 0.75);
      x[i] = moire__bf16_to_double(moire__bf16_from_double(x[i]));
    }
  }
}

/* ---- where a slope changes ------------------------------------------------------------------------------- */

/* Deviations of element i of operand o in a variant; an operand that is not there is the number 0. */
static double deviation(const evaluation *e, const moire__node *node, int o, int variant, int64_t i) {
  if (o >= node->n_operands) return 0;
  return plane_of(e, variant, node->operands[o], i, false) - plane_of(e, 0, node->operands[o], i, false);
}

static double larger_of(double x, double y) { return fabs(x) > fabs(y) ? x : y; }

/* max_of, min_of, and relu and abs, whose other operand is 0 */
static void soften_choice(evaluation *e, const moire__node *node) {
  int32_t a = node->operands[0], b = node->n_operands > 1 ? node->operands[1] : 0, y = node->first_result;
  for (int64_t i = 0; i < e->values[0][y]->elements; i++) {
    double gap = plane_of(e, 0, a, i, false) - (b ? plane_of(e, 0, b, i, false) : 0);
    double error = spread(e, a, i) + (b ? spread(e, b, i) : 0);
    if (!(fabs(gap) <= margin * error)) continue;
    for (int v = 1; v < e->variants; v++) {
      double d = larger_of(deviation(e, node, 0, v, i), deviation(e, node, 1, v, i));
      e->values[v][y]->re[i] = e->values[0][y]->re[i] + d;
    }
  }
}

/* The element of the result that element i of the operand is reduced into. */
static int64_t reduced_index(const moire__tensor *x, const moire__tensor *y, int64_t i) {
  int64_t at = 0, stride = 1;
  for (int d = x->rank - 1; d >= 0; d--) {
    if (y->dims[d] == x->dims[d]) at += i % x->dims[d] * stride;
    stride *= y->dims[d];
    i /= x->dims[d];
  }
  return at;
}

/* Of all elements that may be the largest, the deviation that is the largest, where there is more than one. */
static void soften_maximum(evaluation *e, const moire__node *node) {
  int32_t x = node->operands[0], y = node->first_result;
  const moire__tensor *from = e->values[0][x], *to = e->values[0][y];
  moire__arena scratch = {0};
  double *error = moire__arena_array(&scratch, (size_t)to->elements + 1, sizeof *error);
  int *near = moire__arena_array(&scratch, (size_t)to->elements + 1, sizeof *near);
  double *most = moire__arena_array(&scratch, (size_t)to->elements + 1, sizeof *most);
  for (int64_t i = 0; i < from->elements; i++) {
    int64_t at = reduced_index(from, to, i);
    if (from->re[i] == to->re[at]) error[at] = fmax(error[at], spread(e, x, i));
  }
  for (int v = 0; v < e->variants; v++) {
    for (int64_t i = 0; i < to->elements; i++) most[i] = 0;
    for (int64_t i = 0; i < from->elements; i++) {
      int64_t at = reduced_index(from, to, i);
      if (!(to->re[at] - from->re[i] <= margin * (error[at] + spread(e, x, i)))) continue;
      near[at] += v == 0;
      most[at] = larger_of(most[at], deviation(e, node, 0, v, i));
    }
    for (int64_t i = 0; i < to->elements && v > 0; i++)
      if (near[i] > 1) e->values[v][y]->re[i] = to->re[i] + most[i];
  }
  moire__arena_free(&scratch);
}

/* Where a choice is too close to call, a variant shows little or nothing of what the operand does beyond the
 * bend. There a variant of the result deviates by the most that one of its candidates does, since
 * |max(a', b') - max(a, b)| <= max(|a' - a|, |b' - b|), and so for min, |x| and more candidates. */
static void soften_bends(evaluation *e, const moire__node *node) {
  if (node->op == MOIRE__OP_max_of || node->op == MOIRE__OP_min_of || node->op == MOIRE__OP_relu ||
      node->op == MOIRE__OP_abs)
    soften_choice(e, node);
  if (node->op == MOIRE__OP_reduce_max) soften_maximum(e, node);
}

/* ---- evaluation ------------------------------------------------------------------------------------------ */

static moire_status take_given(evaluation *e, const moire__node *node) {
  const char *name = moire__node_text(node, "name");
  const test_feed *f = e->feed;
  moire__tensor *t = node->op == MOIRE__OP_input ? moire__named_tensor_find(f->inputs, f->n_inputs, name)
                                                 : moire__named_tensor_find(f->states, f->n_states, name);
  if (!t) return moire_fail(e->error, MOIRE_ERROR_ARGUMENT, "%s was not given", name);
  for (int v = 0; v < e->variants; v++) e->values[v][node->first_result] = t;
  e->given[node->first_result] = true;
  return MOIRE_OK;
}

/* What rounds its operands to bf16 by intent: products that say so, and a cast. */
static bool narrows(const evaluation *e, const moire__node *node) {
  bool is_cast = node->op == MOIRE__OP_cast && e->g->values[node->first_result].dtype == MOIRE_BF16;
  if (node->op == MOIRE__OP_nearest_code) return false; /* it only searches in bf16 */
  return (is_cast && is_single(e->g->values[node->operands[0]].dtype)) || moire__node_int_or(node, "bf16", 0);
}

/* A product of operands that are rounded already: what disturbs them is not rounded away. */
static moire__node without_narrowing(const moire__node *node, moire__arena *scratch) {
  moire__node copy = *node;
  moire__attr *attrs = moire__arena_array(scratch, (size_t)node->n_attrs + 1, sizeof *attrs);
  copy.attrs = attrs;
  copy.n_attrs = 0;
  for (int i = 0; i < node->n_attrs; i++)
    if (strcmp(node->attrs[i].name, "bf16") != 0) attrs[copy.n_attrs++] = node->attrs[i];
  return copy;
}

/* How the operands of a node are disturbed. */
typedef struct disturbance {
  double amplitude, together;
  bool narrows, whole;
} disturbance;

/* Owned; NULL: as it is. */
static moire__tensor *disturbed_operand(evaluation *e, int32_t value, int variant, disturbance d) {
  const moire__tensor *x = e->values[variant][value];
  if (variant == 0 || unit_of(e, x->dtype) == 0 || (d.amplitude == 0 && !d.narrows)) return NULL;
  moire__tensor *copy = copy_of(x);
  if (d.narrows) narrow(e, value, copy);
  if (d.amplitude > 0) disturb(e, copy, d.amplitude, d.together, d.whole);
  return copy;
}

static moire_status run_reference(evaluation *e, const moire__node *node, int variant, disturbance d) {
  moire__arena scratch = {0};
  moire_error cause = {0};
  moire__tensor *disturbed[MOIRE__MAX_OPERANDS] = {0};
  moire__node plain = without_narrowing(node, &scratch);
  moire__reference c = {.g = e->g,
                        .node = variant > 0 && d.narrows ? &plain : node,
                        .extents = e->feed->extents,
                        .n_operands = node->n_operands,
                        .scratch = &scratch,
                        .error = &cause};
  for (int i = 0; i < node->n_operands; i++) {
    disturbed[i] = disturbed_operand(e, node->operands[i], variant, d);
    c.operands[i] = disturbed[i] ? disturbed[i] : e->values[variant][node->operands[i]];
  }
  for (int i = 0; i < node->n_results; i++) {
    const moire__value_info *value = &e->g->values[node->first_result + i];
    c.results[i] = moire__tensor_create(value->dtype, &value->shape, e->feed->extents);
    e->values[variant][node->first_result + i] = c.results[i];
  }
  moire__op_get(node->op)->reference(&c);
  for (int i = 0; i < node->n_operands; i++) moire__tensor_destroy(disturbed[i]);
  moire__arena_free(&scratch);
  if (cause.status == MOIRE_OK) return MOIRE_OK;
  return moire_fail(e->error, cause.status, "%s: %s", moire__op_get(node->op)->name, cause.message);
}

static void note_largest(evaluation *e, const moire__tensor *y) {
  if (!is_single(y->dtype)) return;
  for (int64_t i = 0; i < y->elements; i++) {
    if (isfinite(y->re[i])) e->largest = fmax(e->largest, fabs(y->re[i]));
    if (y->im && isfinite(y->im[i])) e->largest = fmax(e->largest, fabs(y->im[i]));
  }
}

static moire_status evaluate(evaluation *e, const moire__node *node) {
  if (node->op == MOIRE__OP_input || node->op == MOIRE__OP_state) return take_given(e, node);
  moire_status status = run_reference(e, node, 0, (disturbance){0});
  if (status != MOIRE_OK) return status;
  bool exact = is_exact(node->op);
  double unit = unit_of(e, e->g->values[node->first_result].dtype), terms = terms_of(e, node);
  disturbance d = {.amplitude = exact || is_basic(node->op) ? 0 : unit * (0.5 + sqrt(terms) / 2),
                   .together = unit * terms / 64,
                   .narrows = narrows(e, node),
                   .whole = node->op == MOIRE__OP_matmul || node->op == MOIRE__OP_linear};
  for (int v = 1; v < e->variants && status == MOIRE_OK; v++) {
    status = run_reference(e, node, v, d);
    for (int i = 0; i < node->n_results && !exact; i++)
      disturb_result(e, node, e->values[v][node->first_result + i]);
  }
  for (int i = 0; i < node->n_results; i++) note_largest(e, e->values[0][node->first_result + i]);
  if (status == MOIRE_OK && e->variants > 1) split_undecided(e, node);
  if (status == MOIRE_OK && e->variants > 1) soften_bends(e, node);
  return status;
}

static void mark_needed(evaluation *e) {
  const moire_graph *g = e->g;
  for (int i = 0; i < g->n_outputs; i++) e->needed[g->values[g->outputs[i].value].node] = true;
  for (int i = 0; i < g->n_updates; i++) e->needed[g->values[g->updates[i].value].node] = true;
  for (int i = g->n_nodes - 1; i >= 0; i--) {
    for (int o = 0; e->needed[i] && o < g->nodes[i].n_operands; o++)
      e->needed[g->values[g->nodes[i].operands[o]].node] = true;
  }
}

/* ---- results --------------------------------------------------------------------------------------------- */

test_value *test_values_add(test_values *values, const char *name, bool is_update, moire_dtype dtype,
                            int64_t elements) {
  test_value value = {moire__arena_copy_string(&values->arena, name),
                      is_update,
                      dtype,
                      elements,
                      moire__arena_array(&values->arena, (size_t)elements + 1, sizeof(double)),
                      NULL};
  MOIRE__PUSH(&values->arena, values->list, values->n, values->capacity, value);
  return &values->list[values->n - 1];
}

static int compare_numbers(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median_of(const double *x, int64_t n) {
  if (n == 0) return 0;
  double *sorted = moire__allocate_array((size_t)n, sizeof *sorted);
  memcpy(sorted, x, (size_t)n * sizeof *sorted);
  qsort(sorted, (size_t)n, sizeof *sorted, compare_numbers);
  double median = sorted[n / 2];
  moire__release(sorted);
  return median;
}

static void add_plane(evaluation *e, test_values *out, const char *name, bool is_update, int32_t value,
                      bool imaginary) {
  const moire__tensor *t = e->values[0][value];
  moire_dtype dtype = t->dtype == MOIRE_C64 ? MOIRE_F32 : t->dtype;
  test_value *entry = test_values_add(out, name, is_update, dtype, t->elements);
  if (t->elements) memcpy(entry->value, imaginary ? t->im : t->re, (size_t)t->elements * sizeof(double));
  if (e->variants == 1) return;
  entry->bound = moire__arena_array(&out->arena, (size_t)t->elements + 1, sizeof(double));
  for (int64_t i = 0; i < t->elements; i++) {
    double x = entry->value[i];
    for (int v = 1; v < e->variants; v++) {
      const moire__tensor *other = e->values[v][value];
      double y = imaginary ? other->im[i] : other->re[i];
      bool same = x == y || (isnan(x) && isnan(y));
      double d = same ? 0 : fabs(x - y);
      entry->bound[i] = isnan(d) ? INFINITY : fmax(entry->bound[i], d);
    }
  }
  double floor_of_all = median_of(entry->bound, t->elements) * margin / 4;
  double unit = unit_of(e, dtype), least = unit > 0 ? 1e-37 * (e->precision == TEST_DOUBLE ? finer : 1) : 0;
  for (int64_t i = 0; i < t->elements; i++) {
    double own = isfinite(entry->value[i]) ? 4 * unit * fabs(entry->value[i]) : 0;
    entry->bound[i] = margin * entry->bound[i] + floor_of_all + own + least;
  }
}

static void add_result(evaluation *e, test_values *out, const char *name, bool is_update, int32_t value) {
  if (e->g->values[value].dtype != MOIRE_C64) {
    add_plane(e, out, name, is_update, value, false);
    return;
  }
  add_plane(e, out, moire__arena_printf(&out->arena, "%s.real", name), is_update, value, false);
  add_plane(e, out, moire__arena_printf(&out->arena, "%s.imag", name), is_update, value, true);
}

moire_status test_bounds_run(const moire_graph *g, const test_feed *feed, int variants,
                             test_precision precision, uint64_t seed, test_values *out, moire_error *error) {
  *out = (test_values){0};
  evaluation e = {
      .precision = precision, .g = g, .feed = feed, .error = error, .random = moire__random_start(seed, 0)};
  e.variants = variants > MOST_VARIANTS ? MOST_VARIANTS : variants;
  moire__arena arena = {0};
  for (int v = 0; v < e.variants; v++)
    e.values[v] = moire__arena_array(&arena, (size_t)g->n_values, sizeof **e.values);
  e.given = moire__arena_array(&arena, (size_t)g->n_values, sizeof *e.given);
  e.needed = moire__arena_array(&arena, (size_t)g->n_nodes + 1, sizeof *e.needed);
  mark_needed(&e);
  moire_status status = MOIRE_OK;
  for (int i = 0; i < g->n_nodes && status == MOIRE_OK; i++) {
    if (e.needed[i]) status = evaluate(&e, &g->nodes[i]);
  }
  for (int i = 0; i < g->n_outputs && status == MOIRE_OK; i++)
    add_result(&e, out, g->outputs[i].name, false, g->outputs[i].value);
  for (int i = 0; i < g->n_updates && status == MOIRE_OK; i++)
    add_result(&e, out, g->updates[i].name, true, g->updates[i].value);
  out->largest = e.largest;
  for (int v = 0; v < e.variants; v++) {
    for (int32_t i = 1; i < g->n_values; i++) {
      if (!e.given[i]) moire__tensor_destroy(e.values[v][i]);
    }
  }
  moire__arena_free(&arena);
  return status;
}

void test_values_free(test_values *values) {
  moire__arena_free(&values->arena);
  *values = (test_values){0};
}

const test_value *test_values_find(const test_values *values, const char *name, bool is_update) {
  for (int i = 0; i < values->n; i++) {
    if (values->list[i].is_update == is_update && strcmp(values->list[i].name, name) == 0)
      return &values->list[i];
  }
  return NULL;
}

/* ---- comparing ------------------------------------------------------------------------------------------- */

static bool element_agrees(double want, double bound, double got) {
  if (isnan(want) || isnan(got)) return (isnan(want) && isnan(got)) || bound == INFINITY;
  if (want == got) return true;
  if (isinf(want) || isinf(got)) return bound == INFINITY;
  return fabs(want - got) <= bound;
}

bool test_values_agree(const test_values *want, const test_values *got, moire__text *why) {
  for (int i = 0; i < want->n; i++) {
    const test_value *w = &want->list[i], *g = test_values_find(got, w->name, w->is_update);
    const char *what = w->is_update ? "update" : "output";
    if (!g || g->elements != w->elements || g->dtype != w->dtype) {
      moire__text_add(why, "%s %s %s", what, w->name, g ? "has another type" : "is not there");
      return false;
    }
    for (int64_t e = 0; e < w->elements; e++) {
      double bound = w->bound ? w->bound[e] : 0;
      if (element_agrees(w->value[e], bound, g->value[e])) continue;
      moire__text_add(why, "%s %s[%lld of %lld] is %.9g, wanted %.9g within %.3g", what, w->name, (long long)e,
                      (long long)w->elements, g->value[e], w->value[e], bound);
      return false;
    }
  }
  return true;
}

bool test_values_identical(const test_values *a, const test_values *b, moire__text *why) {
  for (int i = 0; i < a->n; i++) {
    const test_value *x = &a->list[i], *y = test_values_find(b, x->name, x->is_update);
    if (!y || x->elements != y->elements) {
      moire__text_add(why, "%s is not there", x->name);
      return false;
    }
    for (int64_t e = 0; e < x->elements; e++) {
      bool same = memcmp(&x->value[e], &y->value[e], sizeof *x->value) == 0;
      if (same || (isnan(x->value[e]) && isnan(y->value[e]))) continue;
      moire__text_add(why, "%s[%lld] is %.17g, then %.17g", x->name, (long long)e, x->value[e], y->value[e]);
      return false;
    }
  }
  return true;
}
