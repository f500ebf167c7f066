/* attend, attend_real and their backward ops: the naive meaning, a row of scores at a time
 * (ops/attention/attend.h). */
#include "ops/attention/attend.h"
#include "ops/product/product.h"
#include "ops/source/mask.h"
#include "ops/sequence/packed.h"
#include "ops/parts.h"
#include "ops/support.h"

#include <math.h>

/* One row: s by planes, p (first its scores, then its weights) and the random mask. */
typedef struct row_values {
  double *s[2], *p, *drop, *masked;
} row_values;

/* Where row `row` (of all query rows) stands, and its keys among all key rows of its head. */
typedef struct place {
  int64_t sample, head, query, queries, keys, first_key; /* query: among the sample's */
} place;

static place place_of(const moire__reference *c, moire__attend_layout at, int64_t row) {
  const moire__tensor *q = c->operands[0], *k = c->operands[at.k];
  int64_t heads = q->dims[1], rows = q->dims[2];
  place p = {row / rows / heads, row / rows % heads, row % rows, rows, k->dims[2], 0};
  p.first_key = (p.sample * heads + p.head) * p.keys;
  if (at.starts < 0) return p;
  const double *starts = c->operands[at.starts]->re, *counts = c->operands[at.counts]->re;
  bool last = moire__node_int_or(c->node, "last", 0) != 0;
  for (int64_t b = 0; b < c->operands[at.starts]->elements && !last; b++) {
    if (p.query < (int64_t)starts[b] || p.query >= (int64_t)(starts[b] + counts[b])) continue;
    p.sample = b;
    p.query -= (int64_t)starts[b];
    break;
  }
  p.keys = p.queries = (int64_t)counts[p.sample];
  if (last) p.query = p.keys - 1;
  p.first_key = p.head * k->dims[2] + (int64_t)starts[p.sample];
  return p;
}

/* The row of a result that is row r of an operand. */
static int64_t result_row(const moire__tensor *operand, int64_t r) {
  int64_t heads = operand->dims[1], rows = operand->dims[2];
  return (r / (heads * rows) * rows + r % rows) * heads + r / rows % heads;
}

static double drop_of(const moire__reference *c, moire__attend_layout at, place p, int64_t key) {
  if (at.rng < 0) return 1;
  const moire__tensor *q = c->operands[0];
  int64_t used[] = {q->dims[0], q->dims[1], q->dims[2], c->operands[at.k]->dims[2]};
  int64_t index[] = {p.sample, p.head, p.query, key};
  if (at.tokens >= 0) {
    int64_t length = moire__node_int(c->node, "length");
    const double *tokens = c->operands[at.tokens]->re + (int64_t)c->operands[at.starts]->re[p.sample];
    used[0] = c->operands[at.starts]->elements;
    used[2] = used[3] = length;
    index[2] = (int64_t)tokens[p.query] - p.sample * length;
    index[3] = (int64_t)tokens[key] - p.sample * length;
  }
  return moire__mask_element(c, c->operands[at.rng], "dropout", 4, used, index);
}

static bool is_packing_sound(const moire__reference *c, moire__attend_layout at) {
  return at.starts < 0 ||
         moire__packed_is_sound(c, at.tokens, at.starts, at.counts, moire__node_int(c->node, "length"));
}

/* What a product multiplies. */
static double operand_of(moire__attend_layout at, double x) { return at.bf16 ? moire__product_narrowed(x) : x; }

/* What is multiplied of a weight exp(score - largest) / sum, before the division, where a power of two of its
 * own stands before it. */
static double weight_of(moire__attend_layout at, double score, double largest, double drop) {
  if (!at.bf16) return exp(score - largest) * drop;
  double base = ceil(largest / log(2)) * log(2);
  return operand_of(at, exp(score - base) * drop) * exp(base - largest);
}

/* s of query row `q` and key row `k`, counted over the whole operands. */
static void reference_product(const moire__reference *c, moire__attend_layout at, int64_t q, int64_t k,
                              double s[2]) {
  const moire__tensor *const *x = c->operands;
  int64_t d = x[0]->dims[3];
  s[0] = s[1] = 0;
  for (int64_t i = 0; i < d; i++) {
    double qr = operand_of(at, x[0]->re[q * d + i]), kr = operand_of(at, x[at.k]->re[k * d + i]);
    s[0] += qr * kr;
    if (at.planes == 1) continue;
    double qi = operand_of(at, x[1]->re[q * d + i]), ki = operand_of(at, x[at.k + 1]->re[k * d + i]);
    s[0] += qi * ki;
    s[1] += qi * kr - qr * ki;
  }
}

/* Fills s, drop and leaves the scores in p. */
static place reference_scores(moire__reference *c, int64_t row, row_values v) {
  const moire__tensor *const *x = c->operands;
  moire__attend_layout at = moire__attend_layout_of(c->node);
  place p = place_of(c, at, row);
  int64_t offset = p.keys - p.queries;
  bool any = false;
  for (int64_t j = 0; j < p.keys; j++) {
    double s[2];
    reference_product(c, at, row, p.first_key + j, s);
    v.s[0][j] = s[0];
    v.s[1][j] = s[1];
    int64_t flag = at.starts < 0 ? p.sample * p.keys + j : p.first_key - p.head * x[at.k]->dims[2] + j;
    bool allowed = at.valid < 0 || x[at.valid]->re[flag] != 0;
    if (moire__node_int(c->node, "causal")) allowed = allowed && j <= p.query + offset;
    any = any || allowed;
    double score = at.planes == 1 ? s[0] : s[0] * s[0] + s[1] * s[1];
    v.p[j] = score * moire__node_real(c->node, "scale");
    v.drop[j] = drop_of(c, at, p, j);
    v.masked[j] = allowed ? 0 : moire__node_real(c->node, "mask_value");
  }
  for (int64_t j = 0; j < p.keys && any; j++) v.p[j] += v.masked[j];
  return p;
}

static double largest_of(const double *x, int64_t n) {
  double largest = -INFINITY;
  for (int64_t j = 0; j < n; j++) largest = fmax(largest, x[j]);
  return largest;
}

static row_values row_scratch(moire__reference *c) {
  size_t keys = (size_t)c->operands[moire__attend_layout_of(c->node).k]->dims[2] + 1;
  double *all = moire__arena_array(c->scratch, 5 * keys, sizeof *all);
  return (row_values){{all, all + keys}, all + 2 * keys, all + 3 * keys, all + 4 * keys};
}

void moire__attend_reference(moire__reference *c) {
  moire__attend_layout layout = moire__attend_layout_of(c->node);
  int64_t e = c->operands[layout.v]->dims[3];
  moire__tensor *const *y = c->results, *largests = y[layout.planes], *sums = y[layout.planes + 1];
  if (!is_packing_sound(c, layout)) return;
  row_values row = row_scratch(c);
  for (int64_t r = 0; r < sums->elements; r++) {
    place at = reference_scores(c, r, row);
    double largest = largests->re[r] = largest_of(row.p, at.keys), sum = 0;
    for (int64_t j = 0; j < at.keys; j++) sum += exp(row.p[j] - largest);
    sums->re[r] = sum;
    int64_t to = result_row(c->operands[0], r);
    for (int64_t j = 0; j < at.keys; j++) {
      double weight = weight_of(layout, row.p[j], largest, row.drop[j]) / sum;
      for (int64_t i = 0; i < layout.planes * e; i++) {
        int64_t from = (at.first_key + j) * e + i % e;
        y[i / e]->re[to * e + i % e] += weight * operand_of(layout, c->operands[layout.v + i / e]->re[from]);
      }
    }
  }
}

/* sum over planes and the width of g conj x: the row's of g with row `row` of x; `product`: as one. */
static double reference_dot(const moire__reference *c, moire__attend_layout at, int64_t r, int x, int64_t row,
                            bool product) {
  int64_t e = c->operands[at.v]->dims[3];
  double dot = 0;
  for (int p = 0; p < at.planes; p++) {
    const double *g = c->operands[at.g + p]->re + r * e, *y = c->operands[x + p]->re + row * e;
    for (int64_t i = 0; i < e; i++) dot += product ? operand_of(at, g[i]) * operand_of(at, y[i]) : g[i] * y[i];
  }
  return dot;
}

/* q and k rows of a pair whose slope by s is ds: dq += ds k, dk += conj(ds) q. */
static void reference_slope(moire__reference *c, moire__attend_layout at, int64_t q, int64_t k,
                            const double ds[2]) {
  int64_t d = c->operands[0]->dims[3];
  moire__tensor *const *out = c->results;
  int64_t to_q = result_row(c->operands[0], q), to_k = result_row(c->operands[at.k], k);
  double dr = operand_of(at, ds[0]), di = operand_of(at, ds[1]);
  for (int64_t i = 0; i < d; i++) {
    double qr = operand_of(at, c->operands[0]->re[q * d + i]),
           kr = operand_of(at, c->operands[at.k]->re[k * d + i]);
    out[0]->re[to_q * d + i] += dr * kr;
    out[at.k]->re[to_k * d + i] += dr * qr;
    if (at.planes == 1) continue;
    double qi = operand_of(at, c->operands[1]->re[q * d + i]),
           ki = operand_of(at, c->operands[at.k + 1]->re[k * d + i]);
    out[0]->re[to_q * d + i] -= di * ki;
    out[1]->re[to_q * d + i] += dr * ki + di * kr;
    out[at.k]->re[to_k * d + i] += di * qi;
    out[at.k + 1]->re[to_k * d + i] += dr * qi - di * qr;
  }
}

/* One query row's share of all gradients. */
static void reference_backward_row(moire__reference *c, moire__attend_layout layout, int64_t r,
                                   row_values row) {
  place at = reference_scores(c, r, row);
  int64_t e = c->operands[layout.v]->dims[3];
  double largest = c->operands[layout.largest]->re[r], sum = c->operands[layout.sum]->re[r];
  double dot = reference_dot(c, layout, r, layout.y, r, false);
  for (int64_t j = 0; j < at.keys; j++) {
    double weight = exp(row.p[j] - largest) / sum, kept = operand_of(layout, weight * row.drop[j]);
    double dp = reference_dot(c, layout, r, layout.v, at.first_key + j, true);
    for (int64_t i = 0; i < layout.planes * e; i++) {
      double g = operand_of(layout, c->operands[layout.g + i / e]->re[r * e + i % e]);
      int64_t to = result_row(c->operands[layout.v], at.first_key + j);
      c->results[layout.v + i / e]->re[to * e + i % e] += kept * g;
    }
    double slope = moire__node_real(c->node, "scale") * weight * (dp * row.drop[j] - dot);
    if (layout.planes == 2) slope *= 2;
    double ds[2] = {layout.planes == 1 ? slope : slope * row.s[0][j], slope * row.s[1][j]};
    reference_slope(c, layout, r, at.first_key + j, ds);
  }
}

void moire__attend_backward_reference(moire__reference *c) {
  moire__attend_layout at = moire__attend_layout_of(c->node);
  if (!is_packing_sound(c, at)) return;
  row_values row = row_scratch(c);
  for (int64_t r = 0; r < c->operands[at.sum]->elements; r++) reference_backward_row(c, at, r, row);
}

void moire__attend_real_reference(moire__reference *c) { moire__attend_reference(c); }
void moire__attend_real_backward_reference(moire__reference *c) { moire__attend_backward_reference(c); }
