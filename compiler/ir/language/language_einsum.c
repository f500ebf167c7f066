/* The language: einsum, sums of products by the names of axes.
 *
 * An equation is read into labels, one for each axis: letters, and for the axes of "..." numbers behind the
 * letters, counted from the last. Operands are then joined from the left. Joining a and b:
 *
 *   - a label that nobody asks for later and that only one of them has is summed over at once;
 *   - what both have and somebody asks for is the batch, what both have and nobody asks for is summed over by a
 *     matmul [batch, rows of a, sum] x [batch, sum, columns of b]; without any it is a product of elements.
 *
 * What is left is summed over and put in the order of the result.
 */
#include "compiler/ir/language/language.h"

#include <string.h>

enum { LETTERS = 52, LABELS = LETTERS + MOIRE_MAX_RANK, MOST_OPERANDS = 16 };

typedef struct term {
  moire_value x;
  int labels[MOIRE_MAX_RANK]; /* of each axis */
  int rank;
} term;

typedef struct einsum {
  moire_source at;
  moire_graph *g;
  const char *equation;
  term terms[MOST_OPERANDS], out; /* of the result only the labels */
  int n;
} einsum;

#define REFUSE(e, status, ...) (moire__graph_fail_at((e)->g, (e)->at, "einsum", status, __VA_ARGS__), false)

static int label_of(char c) {
  return c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= 'A' && c <= 'Z' ? c - 'A' : -1;
}

static char letter_of(int label) {
  return (char)(label >= LETTERS ? '.' : label >= 26 ? 'a' + label - 26 : 'A' + label);
}

static int find(const term *t, int label) {
  for (int i = 0; i < t->rank; i++)
    if (t->labels[i] == label) return i;
  return -1;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

/* Labels of the text up to `end`; `dots`: how many axes "..." stands for. */
static bool read_labels(einsum *e, const char *text, const char *end, int dots, term *t) {
  bool had_dots = false;
  t->rank = 0;
  for (const char *c = text; c < end; c++) {
    if (*c == ' ') continue;
    bool is_dots = end - c >= 3 && strncmp(c, "...", 3) == 0;
    if (is_dots && had_dots)
      return REFUSE(e, MOIRE_ERROR_ARGUMENT, "\"%s\" has \"...\" twice in a part", e->equation);
    int n = is_dots ? dots : 1;
    if (t->rank + n > MOIRE_MAX_RANK)
      return REFUSE(e, MOIRE_ERROR_ARGUMENT, "\"%s\" has a part of more than %d axes", e->equation,
                    MOIRE_MAX_RANK);
    for (int i = 0; i < n; i++) t->labels[t->rank++] = is_dots ? LETTERS + n - 1 - i : label_of(*c);
    had_dots = had_dots || is_dots;
    if (is_dots) c += 2;
  }
  return true;
}

/* Is there nothing else than labels? */
static bool is_readable(einsum *e, const char *text, const char *end) {
  for (const char *c = text; c < end; c++) {
    bool is_dots = end - c >= 3 && strncmp(c, "...", 3) == 0;
    if (is_dots) c += 2;
    if (!is_dots && *c != ' ' && label_of(*c) < 0)
      return REFUSE(e, MOIRE_ERROR_ARGUMENT, "\"%s\" has a '%c' at %d, wanted letters, \"...\", ',' and \"->\"",
                    e->equation, *c, (int)(c - e->equation) + 1);
  }
  return true;
}

static int letters_in(const char *text, const char *end, bool *dots) {
  int n = 0;
  *dots = false;
  for (const char *c = text; c < end; c++) {
    n += label_of(*c) >= 0;
    *dots = *dots || *c == '.';
  }
  return n;
}

static bool read_operand(einsum *e, int index, const char *text, const char *end, int *most_dots) {
  bool dots = false;
  if (!is_readable(e, text, end)) return false;
  int rank = moire_value_shape(e->terms[index].x).rank, left = rank - letters_in(text, end, &dots);
  if (left < 0 || (left > 0 && !dots))
    return REFUSE(e, MOIRE_ERROR_SHAPE, "\"%.*s\" does not name the %d axes of operand %d", (int)(end - text),
                  text, rank, index);
  if (dots && left > *most_dots) *most_dots = left;
  return read_labels(e, text, end, left, &e->terms[index]) && e->terms[index].rank == rank;
}

/* Without an arrow: the axes of "...", then the letters that stand once, in alphabetical order. Letters are
 * ordered as torch does it, capitals first. */
static bool imply_result(einsum *e, int dots) {
  int count[LABELS] = {0};
  for (int i = 0; i < e->n; i++)
    for (int d = 0; d < e->terms[i].rank; d++) count[e->terms[i].labels[d]]++;
  e->out.rank = 0;
  for (int i = 0; i < dots; i++) e->out.labels[e->out.rank++] = LETTERS + dots - 1 - i;
  for (int label = 0; label < LETTERS; label++) {
    if (count[label] != 1) continue;
    if (e->out.rank == MOIRE_MAX_RANK)
      return REFUSE(e, MOIRE_ERROR_SHAPE, "\"%s\" has a result of more than %d axes", e->equation,
                    MOIRE_MAX_RANK);
    e->out.labels[e->out.rank++] = label;
  }
  return true;
}

static bool check_result(einsum *e) {
  for (int d = 0; d < e->out.rank; d++) {
    int label = e->out.labels[d];
    bool there = false;
    for (int i = 0; i < e->n; i++) there = there || find(&e->terms[i], label) >= 0;
    if (!there || find(&e->out, label) != d)
      return REFUSE(e, MOIRE_ERROR_ARGUMENT, "\"%s\" has '%c' %s", e->equation, letter_of(label),
                    there ? "twice in the result" : "in the result, but in no operand");
  }
  return true;
}

static bool read_equation(einsum *e) {
  const char *arrow = strstr(e->equation, "->"), *text = e->equation;
  const char *end = arrow ? arrow : text + strlen(text);
  int dots = 0;
  for (int i = 0; i < e->n; i++) {
    const char *comma = memchr(text, ',', (size_t)(end - text)), *stop = comma ? comma : end;
    if ((comma != NULL) != (i < e->n - 1))
      return REFUSE(e, MOIRE_ERROR_ARGUMENT, "\"%s\" is not for %d operands", e->equation, e->n);
    if (!read_operand(e, i, text, stop, &dots)) return false;
    text = stop + 1;
  }
  if (!arrow) return imply_result(e, dots);
  const char *last = arrow + strlen(arrow);
  return is_readable(e, arrow + 2, last) && read_labels(e, arrow + 2, last, dots, &e->out) && check_result(e);
}

/* ---- one operand ----------------------------------------------------------------------------------------- */

static moire_value reshape_to(einsum *e, moire_value x, moire_shape shape) {
  return moire_reshape_at(e->at, x, shape);
}

static void drop_axis(term *t, int axis) {
  for (int d = axis; d + 1 < t->rank; d++) t->labels[d] = t->labels[d + 1];
  t->rank--;
}

static void sum_axis(einsum *e, term *t, int axis) {
  t->x = moire_sum_at(e->at, t->x, axis, false);
  drop_axis(t, axis);
}

/* t with its axes in the order of `order`, places of axes in t. */
static void permute(einsum *e, term *t, const int *order) {
  term old = *t;
  bool same = true;
  for (int d = 0; d < t->rank; d++) same = same && order[d] == d;
  if (same) return;
  t->x = moire_permute_at(e->at, t->x, t->rank, order);
  for (int d = 0; d < t->rank; d++) t->labels[d] = old.labels[order[d]];
}

/* "ii": the diagonal, every (n + 1)-th of the n n elements. */
static bool take_diagonal(einsum *e, term *t, int first, int second) {
  moire_dim n = moire_value_dim(t->x, first);
  if (n != moire_value_dim(t->x, second) || !moire__dim_is_static(n) || n < 1)
    return REFUSE(e, MOIRE_ERROR_SHAPE,
                  "'%c' stands twice in operand \"%s\", whose extents there are not one fixed number",
                  letter_of(t->labels[first]), e->equation);
  int order[MOIRE_MAX_RANK], k = 0;
  for (int d = 0; d < t->rank; d++)
    if (d != first && d != second) order[k++] = d;
  order[k] = first;
  order[k + 1] = second;
  permute(e, t, order);
  moire_shape shape = moire_value_shape(t->x);
  shape.rank--;
  shape.dims[k] = n * n;
  t->x = moire_slice_by_at(e->at, reshape_to(e, t->x, shape), k, 0, n, n + 1);
  t->rank--;
  return true;
}

static bool take_diagonals(einsum *e, term *t) {
  for (int d = 0; d < t->rank; d++) {
    int first = find(t, t->labels[d]);
    if (first == d) continue;
    if (!take_diagonal(e, t, first, d)) return false;
    d = -1;
  }
  return true;
}

/* ---- two operands ---------------------------------------------------------------------------------------- */

/* Extents of 1 that meet others are left out, and others must be equal. */
static bool match_extents(einsum *e, term *a, term *b) {
  for (int d = 0; d < a->rank; d++) {
    int other = find(b, a->labels[d]);
    if (other < 0) continue;
    moire_dim m = moire_value_dim(a->x, d), n = moire_value_dim(b->x, other);
    if (m == n) continue;
    if (m != 1 && n != 1)
      return REFUSE(e, MOIRE_ERROR_SHAPE, "\"%s\": the extents of '%c' differ", e->equation,
                    letter_of(a->labels[d]));
    if (n == 1) {
      sum_axis(e, b, other);
    } else {
      sum_axis(e, a, d--);
    }
  }
  return true;
}

/* Sums over what `t` alone has and nobody asks for. */
static void sum_private(einsum *e, term *t, const term *other, const bool *wanted) {
  for (int d = t->rank - 1; d >= 0; d--)
    if (!wanted[t->labels[d]] && find(other, t->labels[d]) < 0) sum_axis(e, t, d);
}

/* The axes of the two by their part in the product: batch, own, summed. */
typedef struct parts {
  int batch[MOIRE_MAX_RANK], own[MOIRE_MAX_RANK], summed[MOIRE_MAX_RANK];
  int n_batch, n_own, n_summed;
} parts;

/* In the order of `leader`'s axes, places in `t`. */
static parts parts_of(const term *t, const term *leader, const term *other, const bool *wanted) {
  parts p = {.n_batch = 0};
  for (int d = 0; d < leader->rank; d++) {
    int label = leader->labels[d], place = find(t, label);
    if (place < 0 || find(other, label) < 0) continue;
    if (wanted[label])
      p.batch[p.n_batch++] = place;
    else
      p.summed[p.n_summed++] = place;
  }
  for (int d = 0; d < t->rank; d++)
    if (find(other, t->labels[d]) < 0) p.own[p.n_own++] = d;
  return p;
}

static void append(int *order, int *n, const int *axes, int count) {
  for (int i = 0; i < count; i++) order[(*n)++] = axes[i];
}

/* One extent for `count` axes of x from `first` on. */
static bool merged(einsum *e, moire_value x, int first, int count, moire_dim *product) {
  *product = 1;
  for (int i = 0; i < count; i++)
    if (!moire__dim_multiply(*product, moire_value_dim(x, first + i), product))
      return REFUSE(e, MOIRE_ERROR_SHAPE, "\"%s\" multiplies more than %d named extents", e->equation,
                    MOIRE_MAX_FACTORS);
  return true;
}

/* [batch, own, summed], or [batch, summed, own]; without a batch two axes. `apart`: the axes of the batch stay
 * apart, so that nothing is reshaped and attention can be known by its products. */
static bool as_matrices(einsum *e, term *t, const parts *p, bool own_first, bool apart, moire_value *matrices) {
  int order[MOIRE_MAX_RANK], n = 0;
  append(order, &n, p->batch, p->n_batch);
  append(order, &n, own_first ? p->own : p->summed, own_first ? p->n_own : p->n_summed);
  append(order, &n, own_first ? p->summed : p->own, own_first ? p->n_summed : p->n_own);
  permute(e, t, order);
  moire_shape shape = {0};
  int counts[3] = {p->n_batch, own_first ? p->n_own : p->n_summed, own_first ? p->n_summed : p->n_own};
  for (int i = 0; i < p->n_batch && apart; i++) shape.dims[shape.rank++] = moire_value_dim(t->x, i);
  for (int i = apart ? 1 : 0, first = apart ? p->n_batch : 0; i < 3; first += counts[i++])
    if ((i || p->n_batch) && !merged(e, t->x, first, counts[i], &shape.dims[shape.rank++])) return false;
  *matrices = reshape_to(e, t->x, shape);
  return true;
}

/* The labels of the product: batch, a's own, b's own; its shape. */
static bool product_labels(einsum *e, const term *a, const term *b, const parts *pa, const parts *pb, term *y,
                           moire_shape *shape) {
  y->rank = 0;
  if (pa->n_batch + pa->n_own + pb->n_own > MOIRE_MAX_RANK)
    return REFUSE(e, MOIRE_ERROR_SHAPE, "\"%s\" has a product of more than %d axes", e->equation,
                  MOIRE_MAX_RANK);
  const struct {
    const term *of;
    const int *axes;
    int n;
  } list[] = {{a, pa->batch, pa->n_batch}, {a, pa->own, pa->n_own}, {b, pb->own, pb->n_own}};
  for (int i = 0; i < 3; i++)
    for (int d = 0; d < list[i].n; d++) {
      shape->dims[y->rank] = moire_value_dim(list[i].of->x, list[i].axes[d]);
      y->labels[y->rank++] = list[i].of->labels[list[i].axes[d]];
    }
  shape->rank = y->rank;
  return true;
}

/* Nothing is summed over: a product of elements. */
static moire_value multiplied(einsum *e, const term *a, const term *b, const term *y) {
  moire_value factors[2];
  for (int i = 0; i < 2; i++) {
    const term *t = i ? b : a;
    int order[MOIRE_MAX_RANK], n = 0;
    moire_shape shape = {.rank = y->rank};
    for (int d = 0; d < y->rank; d++) {
      int place = find(t, y->labels[d]);
      shape.dims[d] = place < 0 ? 1 : moire_value_dim(t->x, place);
      if (place >= 0) order[n++] = place;
    }
    factors[i] = reshape_to(e, moire_permute_at(e->at, t->x, n, order), shape);
  }
  return moire_mul_at(e->at, factors[0], factors[1]);
}

static bool join(einsum *e, term *a, term *b, const bool *wanted) {
  term y = {.rank = 0};
  moire_shape shape = {0};
  if (!match_extents(e, a, b)) return false;
  sum_private(e, a, b, wanted);
  sum_private(e, b, a, wanted);
  parts pa = parts_of(a, a, b, wanted), pb = parts_of(b, a, a, wanted);
  if (!product_labels(e, a, b, &pa, &pb, &y, &shape)) return false;
  if (pa.n_summed == 0) {
    y.x = multiplied(e, a, b, &y);
  } else {
    moire_value left, right;
    bool apart = pa.n_own == 1 && pb.n_own == 1 && pa.n_summed == 1;
    if (!as_matrices(e, a, &pa, true, apart, &left) || !as_matrices(e, b, &pb, false, apart, &right))
      return false;
    y.x = reshape_to(e, moire_matmul_at(e->at, left, right), shape);
  }
  *a = y;
  return true;
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

static moire_value finish(einsum *e, term *y) {
  for (int d = y->rank - 1; d >= 0; d--)
    if (find(&e->out, y->labels[d]) < 0) sum_axis(e, y, d);
  int order[MOIRE_MAX_RANK];
  for (int d = 0; d < e->out.rank; d++) order[d] = find(y, e->out.labels[d]);
  permute(e, y, order);
  return y->x;
}

moire_value moire_einsum_at(moire_source at, const char *equation, const moire_value *operands, int n) {
  if (n < 1) return (moire_value){0};
  const moire_value none = moire__null_like(operands[0], operands[n - 1]);
  einsum e = {.at = at, .g = operands[0].graph, .equation = equation, .n = n};
  for (int i = 0; i < n; i++)
    if (moire_value_is_null(operands[i])) return none;
  if (n > MOST_OPERANDS) {
    (void)REFUSE(&e, MOIRE_ERROR_ARGUMENT, "%d operands, wanted 1 to %d", n, MOST_OPERANDS);
    return none;
  }
  for (int i = 0; i < n; i++) e.terms[i].x = operands[i];
  if (!read_equation(&e)) return none;
  for (int i = 0; i < n; i++)
    if (!take_diagonals(&e, &e.terms[i])) return none;
  term y = e.terms[0];
  for (int i = 1; i < n; i++) {
    bool wanted[LABELS] = {false};
    for (int d = 0; d < e.out.rank; d++) wanted[e.out.labels[d]] = true;
    for (int j = i + 1; j < n; j++)
      for (int d = 0; d < e.terms[j].rank; d++) wanted[e.terms[j].labels[d]] = true;
    if (!join(&e, &y, &e.terms[i], wanted)) return none;
  }
  return finish(&e, &y);
}
