/* attend_past, attend_past_real: attention of new positions on those in a cache and on themselves.
 *
 *   s_j = q k_j^*             over the first `first[b]` keys of the cache, then over the new ones up to the
 * query's own p = softmax(scale s)      interference: of |s|^2; else of the real part y = sum_j p_j v_j
 *
 * Operands by planes (two of attend_past): q [B,H,T,d], k [B,K,T,d], v [B,K,T,e], past k [B,K,S,d], past v
 * [B,K,S,e]; then first i32[B], which counts as 0 to S. Query head h reads key head h div (H / K). Result
 * [B,T,H,e], positions before heads. Keys that are not read may hold anything. */
#include "ops/attention/attend_past.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

#include <math.h>

moire__past_layout moire__past_layout_of(const moire__node *node) {
  int planes = node->op == MOIRE__OP_attend_past ? 2 : 1;
  return (moire__past_layout){planes, planes, 2 * planes, 3 * planes, 4 * planes, 5 * planes};
}

/* ---- infer ---- */

static moire_status fail_shapes(moire__infer *c, moire__past_layout at) {
  return moire_fail(
      c->error, MOIRE_ERROR_SHAPE, "q, k, v and what is in the cache do not fit: %s, %s, %s, %s, %s",
      moire__operand_type(c, 0).text, moire__operand_type(c, at.k).text, moire__operand_type(c, at.v).text,
      moire__operand_type(c, at.past_k).text, moire__operand_type(c, at.past_v).text);
}

static bool shapes_fit(const moire__infer *c, moire__past_layout at) {
  const moire_dim *q = c->operands[0]->shape.dims, *k = c->operands[at.k]->shape.dims,
                  *v = c->operands[at.v]->shape.dims, *pk = c->operands[at.past_k]->shape.dims,
                  *pv = c->operands[at.past_v]->shape.dims;
  bool heads = moire__dim_is_static(q[1]) && moire__dim_is_static(k[1]) && k[1] > 0 && q[1] % k[1] == 0;
  bool widths = moire__dim_is_static(q[3]) && moire__dim_is_static(v[3]) && q[3] == k[3] && q[3] == pk[3] &&
                v[3] == pv[3];
  bool rows = q[0] == k[0] && q[0] == v[0] && q[0] == pk[0] && q[0] == pv[0] && q[2] == k[2] && q[2] == v[2];
  return heads && widths && rows && k[1] == v[1] && k[1] == pk[1] && k[1] == pv[1] && pk[2] == pv[2];
}

static moire_status infer(moire__infer *c) {
  moire__past_layout at = moire__past_layout_of(c->node);
  int64_t flag = 0;
  double scale = 0;
  MOIRE__TRY(moire__infer_int(c, "interference", 0, 1, &flag));
  MOIRE__TRY(moire__infer_real(c, "scale", &scale));
  if (!isfinite(scale))
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "scale is %g, wanted a finite number", scale);
  for (int i = 0; i < at.first; i++) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << MOIRE_F32));
    MOIRE__TRY(moire__infer_rank(c, i, 4, 4));
    MOIRE__TRY(moire__infer_alike(c, i / at.planes * at.planes, i));
  }
  MOIRE__TRY(moire__infer_dtype(c, at.first, 1u << MOIRE_I32));
  MOIRE__TRY(moire__infer_rank(c, at.first, 1, 1));
  const moire_dim *q = c->operands[0]->shape.dims;
  if (!shapes_fit(c, at) || c->operands[at.first]->shape.dims[0] != q[0]) return fail_shapes(c, at);
  moire_shape y = MOIRE_SHAPE(q[0], q[2], q[1], c->operands[at.v]->shape.dims[3]);
  for (int p = 0; p < at.planes; p++) MOIRE__TRY(moire__infer_result(c, p, MOIRE_F32, y));
  return MOIRE_OK;
}

moire_status moire__attend_past_infer(moire__infer *c) { return infer(c); }
moire_status moire__attend_past_real_infer(moire__infer *c) { return infer(c); }

/* ---- reference ---- */

typedef struct query {
  const moire__reference *c;
  moire__past_layout at;
  int64_t b, h, t, group, seen; /* seen: keys of the cache */
} query;

/* Offset of row `j` among those that the query sees, in the cache or new; *operand is moved to where it lies.
 */
static int64_t row_of(const query *q, int64_t j, bool values, int *operand) {
  bool cached = j < q->seen;
  *operand = values ? (cached ? q->at.past_v : q->at.v) : (cached ? q->at.past_k : q->at.k);
  const moire__tensor *x = q->c->operands[*operand];
  return ((q->b * x->dims[1] + q->h / q->group) * x->dims[2] + (cached ? j : j - q->seen)) * x->dims[3];
}

static double score_of(const query *q, int64_t j) {
  const moire__tensor *const *x = q->c->operands;
  int64_t d = x[0]->dims[3], from = ((q->b * x[0]->dims[1] + q->h) * x[0]->dims[2] + q->t) * d;
  int operand = 0;
  int64_t key = row_of(q, j, false, &operand);
  double s[2] = {0, 0};
  for (int64_t i = 0; i < d; i++) {
    double qr = x[0]->re[from + i], kr = x[operand]->re[key + i];
    s[0] += qr * kr;
    if (q->at.planes == 1) continue;
    double qi = x[1]->re[from + i], ki = x[operand + 1]->re[key + i];
    s[0] += qi * ki;
    s[1] += qi * kr - qr * ki;
  }
  double score = moire__node_int(q->c->node, "interference") ? s[0] * s[0] + s[1] * s[1] : s[0];
  return score * moire__node_real(q->c->node, "scale");
}

static void attend_one(const query *q, double *p) {
  int64_t n = q->seen + q->t + 1, e = q->c->results[0]->dims[3];
  double largest = -INFINITY, sum = 0;
  for (int64_t j = 0; j < n; j++) {
    p[j] = score_of(q, j);
    largest = fmax(largest, p[j]);
  }
  for (int64_t j = 0; j < n; j++) sum += p[j] = exp(p[j] - largest);
  for (int plane = 0; plane < q->at.planes; plane++) {
    const moire__tensor *y = q->c->results[plane];
    double *to = y->re + ((q->b * y->dims[1] + q->t) * y->dims[2] + q->h) * e;
    for (int64_t i = 0; i < e; i++) to[i] = 0;
    for (int64_t j = 0; j < n; j++) {
      int operand = 0;
      int64_t row = row_of(q, j, true, &operand);
      for (int64_t i = 0; i < e; i++) to[i] += p[j] / sum * q->c->operands[operand + plane]->re[row + i];
    }
  }
}

static void reference(moire__reference *c) {
  query q = {.c = c, .at = moire__past_layout_of(c->node)};
  const moire__tensor *x = c->operands[0], *past = c->operands[q.at.past_k];
  double *p = moire__arena_array(c->scratch, (size_t)(past->dims[2] + x->dims[2]) + 1, sizeof *p);
  q.group = x->dims[1] / past->dims[1];
  for (q.b = 0; q.b < x->dims[0]; q.b++) {
    double first = c->operands[q.at.first]->re[q.b];
    q.seen = first<0 ? 0 : first>(double) past->dims[2] ? past->dims[2] : (int64_t)first;
    for (q.h = 0; q.h < x->dims[1]; q.h++) {
      for (q.t = 0; q.t < x->dims[2]; q.t++) attend_one(&q, p);
    }
  }
}

void moire__attend_past_reference(moire__reference *c) { reference(c); }
void moire__attend_past_real_reference(moire__reference *c) { reference(c); }

/* ---- samples ---- */

static bool sample(moire__sampler *s, moire__op op) {
  moire_dim b = moire__sample_batch(s), t = moire__sample_time(s);
  const struct {
    moire__sample_kind kind;
    moire_dim rows, heads, key_heads, here, past, d, e;
    int64_t interference;
    moire_status expected;
  } cases[] = {
      {GOOD, 2, 2, 2, 3, 5, 4, 4, 0, ACCEPTED},    {GOOD, b, 4, 2, 1, t, 8, 8, 0, ACCEPTED},
      {GOOD, 1, 2, 1, 1, 40, 48, 48, 1, ACCEPTED}, {GOOD, b, 2, 2, t, 7, 5, 3, 1, ACCEPTED},
      {HARD, 1, 1, 1, 1, 0, 1, 1, 0, ACCEPTED},    {HARD, 3, 3, 1, 2, 1, 17, 33, 1, ACCEPTED},
      {HARD, 1, 2, 2, 5, 700, 3, 2, 0, ACCEPTED},  {HARD, 1, 1, 1, 300, 3, 2, 2, 1, ACCEPTED},
      {HARD, 0, 2, 2, 3, 5, 4, 4, 0, ACCEPTED},    {HARD, b, 2, 1, t, t, 4, 4, 0, ACCEPTED},
      {WRONG, 2, 3, 2, 3, 5, 4, 4, 0, BAD_SHAPE},  {WRONG, 2, 2, 2, 3, 5, 4, 4, 2, BAD_ARGUMENT},
      {WRONG, 2, 2, 2, 3, 5, b, 4, 0, BAD_SHAPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  const moire_dim rows = cases[i].rows, heads = cases[i].key_heads, d = cases[i].d, e = cases[i].e;
  const moire_shape shapes[] = {S(rows, cases[i].heads, cases[i].here, d), S(rows, heads, cases[i].here, d),
                                S(rows, heads, cases[i].here, e), S(rows, heads, cases[i].past, d),
                                S(rows, heads, cases[i].past, e)};
  int planes = op == MOIRE__OP_attend_past ? 2 : 1;
  moire_value x[11];
  for (int k = 0; k < 5 * planes; k++) x[k] = moire__sample_input(s, MOIRE_F32, shapes[k / planes], -1, 1);
  x[5 * planes] = moire__sample_input(s, MOIRE_I32, S(rows), -1, 600);
  moire__attr attrs[] = {moire__attr_make_real("scale", 0.7),
                         moire__attr_make_int("interference", cases[i].interference)};
  s->no_gradient_check = true;
  moire_value y = moire__sample_emit(s, op, x, 5 * planes + 1, attrs, 2);
  if (s->kind == WRONG) return moire__sample_refuse(s, cases[i].expected);
  if (planes == 2 && !moire_value_is_null(y)) moire_output(s->g, "y1", moire__value(s->g, y.id + 1));
  return moire__sample_finish(s, y);
}

bool moire__attend_past_sample(moire__sampler *s) { return sample(s, MOIRE__OP_attend_past); }
bool moire__attend_past_real_sample(moire__sampler *s) { return sample(s, MOIRE__OP_attend_past_real); }
