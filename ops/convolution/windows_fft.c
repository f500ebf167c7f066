/* windows_fft and windows_ifft: Fourier transforms of overlapping windows of a sequence, and the sum of
 * windows.
 *
 *   windows_fft    y[f,b,i,c] = scale sum_{t < kept} x[b, c, i step + t - start] exp(-2 pi i f t / n)
 *   windows_ifft   x[b,c,l] = scale sum over i step + t - start = l, t < kept, of
 *                             sum_f y[f,b,i,c] exp(2 pi i f t / n)
 *
 * Each is the adjoint of the other. Operands and results are planes: re, im, and the tables cos and sin of
 * 2 pi j / n. A convolution is a product for each f between the two (conv_spectral.c); the axes are exchanged
 * on the way, so that x is channels first and each f has a matrix.
 */
#include "ops/convolution/windows.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/sequence/fft.h"
#include "ops/support.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

moire__windows moire__windows_in(const moire_graph *g, const moire__node *node) {
  const moire_shape *from = &g->values[node->operands[0]].shape, *to = &g->values[node->first_result].shape;
  bool back = node->op == MOIRE__OP_windows_ifft;
  return moire__windows_of(node, back ? to : from, back ? from : to);
}

moire__windows moire__windows_of(const moire__node *node, const moire_shape *x, const moire_shape *y) {
  return (moire__windows){.points = y->dims[0],
                          .step = moire__node_int(node, "step"),
                          .kept = moire__node_int(node, "kept"),
                          .start = moire__node_int(node, "start"),
                          .n = y->dims[2],
                          .channels = x->dims[1],
                          .length = x->dims[2],
                          .scale = moire__node_real(node, "scale")};
}

/* ---- making nodes ---------------------------------------------------------------------------------------- */

static void emit(moire__op op, const moire_value operands[4], const moire__windows *w, moire_value results[2]) {
  moire__attr attrs[] = {moire__attr_make_int("step", w->step), moire__attr_make_int("kept", w->kept),
                         moire__attr_make_int("start", w->start), moire__attr_make_real("scale", w->scale),
                         op == MOIRE__OP_windows_fft ? moire__attr_make_int("windows", w->n)
                                                     : moire__attr_make_int("length", w->length)};
  results[0] = moire__graph_emit(operands[0].graph, MOIRE_HERE, op, operands, 4, attrs, 5);
  results[1] = results[0];
  if (!moire_value_is_null(results[0])) results[1] = moire__value(operands[0].graph, results[0].id + 1);
}

static moire_value turns(moire_graph *g, moire__op op, int64_t n) {
  moire_value k = moire_iota(g, MOIRE_SHAPE(n), 0);
  moire__attr attr = moire__attr_make_int("n", n);
  return moire__graph_emit(g, MOIRE_HERE, op, &k, 1, &attr, 1);
}

static void transform(moire__op op, moire_value re, moire_value im, const moire__windows *w,
                      moire_value results[2]) {
  moire_value operands[] = {re, im, turns(re.graph, MOIRE__OP_cos_turn, w->points),
                            turns(re.graph, MOIRE__OP_sin_turn, w->points)};
  emit(op, operands, w, results);
}

void moire__windows_transform(moire_value re, moire_value im, const moire__windows *w, moire_value y[2]) {
  transform(MOIRE__OP_windows_fft, re, im, w, y);
}

void moire__windows_join(moire_value re, moire_value im, const moire__windows *w, moire_value x[2]) {
  transform(MOIRE__OP_windows_ifft, re, im, w, x);
}

/* ---- infer ----------------------------------------------------------------------------------------------- */

static moire_status operands_infer(moire__infer *c, int rank) {
  MOIRE__TRY(moire__infer_dtype(c, 0, 1u << MOIRE_F32));
  MOIRE__TRY(moire__infer_alike(c, 0, 1));
  MOIRE__TRY(moire__infer_rank(c, 0, rank, rank));
  MOIRE__TRY(moire__infer_dtype(c, 2, 1u << MOIRE_F32));
  MOIRE__TRY(moire__infer_rank(c, 2, 1, 1));
  MOIRE__TRY(moire__infer_alike(c, 2, 3));
  for (int d = 0; d < rank; d++)
    if (d != rank - 3 && !moire__dim_is_static(c->operands[0]->shape.dims[d]))
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "operand 0 is %s, wanted fixed extents beside the batch",
                        moire__operand_type(c, 0).text);
  return MOIRE_OK;
}

static moire_status attributes_infer(moire__infer *c, int64_t *n, moire__windows *w) {
  enum { MOST = 1 << 30 };
  int radices[MOIRE__FFT_MOST_RADICES];
  w->points = moire__dim_is_static(c->operands[2]->shape.dims[0]) ? c->operands[2]->shape.dims[0] : -1;
  if (moire__fft_radices(w->points, radices) < 1)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "tables are %s, wanted 2 to %d points, prime factors to 13",
                      moire__operand_type(c, 2).text, MOIRE__FFT_MOST_POINTS);
  MOIRE__TRY(moire__infer_int(c, "kept", 1, w->points, &w->kept));
  MOIRE__TRY(moire__infer_int(c, "step", (w->kept + 1) / 2, w->kept, &w->step));
  MOIRE__TRY(moire__infer_int(c, "start", 0, w->kept - 1, &w->start));
  MOIRE__TRY(moire__infer_real(c, "scale", &w->scale));
  return moire__infer_int(c, n == &w->n ? "windows" : "length", 1, MOST, n);
}

moire_status moire__windows_fft_infer(moire__infer *c) {
  moire__windows w = {0};
  MOIRE__TRY(operands_infer(c, 3));
  MOIRE__TRY(attributes_infer(c, &w.n, &w));
  const moire_shape *x = &c->operands[0]->shape;
  moire_shape y = MOIRE_SHAPE(w.points, x->dims[0], w.n, x->dims[1]);
  moire_dim all = 0;
  if (!moire__shape_elements(&y, &all))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "more elements than can be counted");
  moire__infer_result(c, 0, MOIRE_F32, y);
  return moire__infer_result(c, 1, MOIRE_F32, y);
}

moire_status moire__windows_ifft_infer(moire__infer *c) {
  moire__windows w = {0};
  MOIRE__TRY(operands_infer(c, 4));
  MOIRE__TRY(attributes_infer(c, &w.length, &w));
  const moire_shape *y = &c->operands[0]->shape;
  if (y->dims[0] != w.points)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                      "operand 0 is %s, wanted the %lld points of the tables first",
                      moire__operand_type(c, 0).text, (long long)w.points);
  if ((y->dims[2] - 1) * w.step + w.kept - w.start < w.length)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "the windows of %s do not reach over a length of %lld",
                      moire__operand_type(c, 0).text, (long long)w.length);
  moire_shape x = MOIRE_SHAPE(y->dims[1], y->dims[3], w.length);
  moire__infer_result(c, 0, MOIRE_F32, x);
  return moire__infer_result(c, 1, MOIRE_F32, x);
}

/* ---- gradient -------------------------------------------------------------------------------------------- */

static void gradient(moire__gradient *c, moire__op op) {
  moire_shape from = moire_value_shape(c->operands[0]), to = moire_value_shape(c->results[0]);
  bool back = op == MOIRE__OP_windows_fft; /* the gradient of windows_ifft */
  moire__windows w = moire__windows_of(c->node, back ? &to : &from, back ? &from : &to);
  moire_value operands[] = {c->result_gradients[0], c->result_gradients[1], c->operands[2], c->operands[3]};
  for (int i = 0; i < 2; i++)
    if (moire_value_is_null(operands[i]))
      operands[i] = moire_constant(c->g, MOIRE_F32, moire_value_shape(c->results[i]), 0);
  emit(op, operands, &w, c->operand_gradients);
}

void moire__windows_fft_gradient(moire__gradient *c) { gradient(c, MOIRE__OP_windows_ifft); }
void moire__windows_ifft_gradient(moire__gradient *c) { gradient(c, MOIRE__OP_windows_fft); }

/* ---- reference ------------------------------------------------------------------------------------------- */

/* Every pair of a place of x and a number of a window, once: place `at` of x, number `to` of y, turn f t. */
typedef struct pairing {
  moire__windows w;
  int64_t batch;
  const moire__reference *c;
  bool back;
} pairing;

static void add_pair(const pairing *p, int64_t at, int64_t to, int64_t turn) {
  const moire__tensor *const *from = (const moire__tensor *const *)p->c->operands;
  moire__tensor *const *into = p->c->results;
  int64_t source = p->back ? to : at, target = p->back ? at : to;
  double angle = 2 * pi * (double)(turn % p->w.points) / (double)p->w.points, cosine = cos(angle),
         sine = p->back ? sin(angle) : -sin(angle);
  double re = from[0]->re[source], im = from[1]->re[source];
  into[0]->re[target] += p->w.scale * (re * cosine - im * sine);
  into[1]->re[target] += p->w.scale * (re * sine + im * cosine);
}

static void pair_window(const pairing *p, int64_t b, int64_t i, int64_t channel) {
  const moire__windows *w = &p->w;
  for (int64_t t = 0; t < w->kept; t++) {
    int64_t l = i * w->step + t - w->start;
    if (l < 0 || l >= w->length) continue;
    for (int64_t f = 0; f < w->points; f++)
      add_pair(p, (b * w->channels + channel) * w->length + l,
               ((f * p->batch + b) * w->n + i) * w->channels + channel, f * t);
  }
}

static void reference(moire__reference *c, bool back) {
  pairing p = {moire__windows_in(c->g, c->node), (back ? c->results[0] : c->operands[0])->dims[0], c, back};
  for (int64_t b = 0; b < p.batch; b++)
    for (int64_t i = 0; i < p.w.n; i++)
      for (int64_t channel = 0; channel < p.w.channels; channel++) pair_window(&p, b, i, channel);
}

void moire__windows_fft_reference(moire__reference *c) { reference(c, false); }
void moire__windows_ifft_reference(moire__reference *c) { reference(c, true); }

/* ---- samples --------------------------------------------------------------------------------------------- */

typedef struct windows_case {
  moire__sample_kind kind;
  moire_dim batch;
  int64_t channels, length, points, step, kept, start, windows;
  double scale;
  moire_status expected;
} windows_case;

static bool sample(moire__sampler *s, bool back) {
  moire_dim b = moire__sample_batch(s);
  const windows_case cases[] = {
      {GOOD, b, 3, 20, 8, 6, 8, 1, 4, 0.5, ACCEPTED},        {GOOD, 2, 17, 70, 24, 20, 20, 0, 4, 1, ACCEPTED},
      {GOOD, b, 16, 100, 40, 32, 40, 4, 4, 0.025, ACCEPTED}, {GOOD, 1, 33, 64, 32, 24, 32, 8, 3, 1, ACCEPTED},
      {HARD, 2, 1, 1, 2, 1, 2, 1, 1, 1, ACCEPTED},           {HARD, b, 5, 31, 22, 8, 16, 15, 6, 3, ACCEPTED},
      {HARD, 0, 4, 20, 8, 6, 8, 1, 4, 1, ACCEPTED},          {HARD, 1, 18, 300, 72, 64, 72, 4, 5, 1, ACCEPTED},
      {HARD, 3, 16, 32, 16, 16, 16, 0, 2, 1, ACCEPTED},      {WRONG, 2, 3, 20, 17, 6, 8, 1, 4, 1, BAD_SHAPE},
      {WRONG, 2, 3, 20, 8, 6, 9, 1, 4, 1, BAD_ARGUMENT},     {WRONG, 2, 3, 20, 8, 3, 8, 1, 4, 1, BAD_ARGUMENT},
      {WRONG, 2, 3, 20, 8, 6, 8, 8, 4, 1, BAD_ARGUMENT},     {WRONG, 2, b, 20, 8, 6, 8, 1, 4, 1, BAD_SHAPE},
  };
  int n = MOIRE__SAMPLE_ROW(s, cases);
  if (n < 0) return false;
  const windows_case *k = &cases[n];
  moire_shape whole = MOIRE_SHAPE(k->batch, k->channels, k->length),
              parts = MOIRE_SHAPE(k->points, k->batch, k->windows, k->channels);
  moire_value x[4];
  for (int i = 0; i < 2; i++) x[i] = moire__sample_input(s, F32, back ? parts : whole, -1, 1);
  x[2] = turns(s->g, MOIRE__OP_cos_turn, k->points);
  x[3] = turns(s->g, MOIRE__OP_sin_turn, k->points);
  moire__windows w = {.step = k->step,
                      .kept = k->kept,
                      .start = k->start,
                      .n = k->windows,
                      .length = k->length,
                      .scale = k->scale};
  moire_value y[2];
  emit(back ? MOIRE__OP_windows_ifft : MOIRE__OP_windows_fft, x, &w, y);
  if (s->kind == WRONG) return moire__sample_refuse(s, k->expected);
  if (!moire_value_is_null(y[1])) moire_output(s->g, "y1", y[1]);
  return moire__sample_finish(s, y[0]);
}

bool moire__windows_fft_sample(moire__sampler *s) { return sample(s, false); }
bool moire__windows_ifft_sample(moire__sampler *s) { return sample(s, true); }
