/* Rows of the table: products over axes. */
#include "compiler/import/hlo/rows.h"

#include <string.h>

static int rank_of(moire_value x) { return moire_value_is_null(x) ? 0 : moire_value_shape(x).rank; }

/* The axes of an operand as three groups: batches, those of its own, and those that are summed over. */
typedef struct axes {
  int batch[MOIRE_MAX_RANK], own[MOIRE_MAX_RANK], summed[MOIRE_MAX_RANK];
  int n_batch, n_own, n_summed;
} axes;

static int read_axes(moire__hlo_call *c, const char *name, const char *other, int rank, int *out, bool *used) {
  int64_t there[MOIRE_MAX_RANK];
  int n = moire__integers(&c->call, moire__find(&c->call, name) ? name : other, there, MOIRE_MAX_RANK);
  if (n > rank) moire__refuse(&c->call, "names more axes than there are");
  for (int i = 0; i < n && !c->call.why; i++) {
    out[i] = moire__import_axis(&c->call, there[i], rank);
    if (used[out[i]]) moire__refuse(&c->call, "names an axis twice");
    used[out[i]] = true;
  }
  return n < 0 || c->call.why ? 0 : n;
}

static axes axes_of(moire__hlo_call *c, moire_value x, bool right) {
  axes a = {0};
  bool used[MOIRE_MAX_RANK] = {false};
  int rank = rank_of(x);
  a.n_batch = read_axes(c, right ? "batching_dims.rhs" : "batching_dims",
                        right ? "dot_dimension_numbers.rhs_batching_dimensions"
                              : "dot_dimension_numbers.lhs_batching_dimensions",
                        rank, a.batch, used);
  a.n_summed = read_axes(c, right ? "contracting_dims.rhs" : "contracting_dims",
                         right ? "dot_dimension_numbers.rhs_contracting_dimensions"
                               : "dot_dimension_numbers.lhs_contracting_dimensions",
                         rank, a.summed, used);
  for (int i = 0; i < rank; i++) {
    if (!used[i]) a.own[a.n_own++] = i;
  }
  return a;
}

static moire_dim size_of(moire_value x, const int *list, int n) {
  moire_dim size = 1;
  for (int i = 0; i < n; i++) size = moire_dim_times(size, moire_value_dim(x, list[i]));
  return size;
}

/* [batch, own, summed] or [batch, summed, own], each group as one axis. */
static moire_value grouped(moire__hlo_call *c, moire_value x, const axes *a, bool right) {
  int order[MOIRE_MAX_RANK], n = 0;
  for (int i = 0; i < a->n_batch; i++) order[n++] = a->batch[i];
  for (int i = 0; i < a->n_own && !right; i++) order[n++] = a->own[i];
  for (int i = 0; i < a->n_summed; i++) order[n++] = a->summed[i];
  for (int i = 0; i < a->n_own && right; i++) order[n++] = a->own[i];
  moire_dim batch = size_of(x, a->batch, a->n_batch), own = size_of(x, a->own, a->n_own),
            summed = size_of(x, a->summed, a->n_summed);
  if (n > 1) x = moire_permute_at(c->call.at, x, n, order);
  return moire_reshape_at(c->call.at, x,
                          right ? MOIRE_SHAPE(batch, summed, own) : MOIRE_SHAPE(batch, own, summed));
}

/* Of whole numbers and bools: products and a sum that wraps around. */
static moire_value whole_matmul(moire__hlo_call *c, moire_value a, moire_value b) {
  moire_source at = c->call.at;
  a = moire__unsqueeze(&c->call, a, 2);
  b = moire__unsqueeze(&c->call, moire_swap_axes_at(at, b, 1, 2), 1);
  moire_value products = moire_mul_at(at, a, b);
  int64_t n = moire__fixed(&c->call, products, 3);
  if (c->call.why || n < 1) return moire__null(&c->call);
  return moire__squeeze(&c->call, moire_slice_at(at, moire_cumsum_at(at, products, 3), 3, n - 1, 1), 3);
}

static void product(moire__hlo_call *c, const axes *left, const axes *right) {
  moire_value a = moire__hlo_operand(c, 0), b = moire__hlo_operand(c, 1);
  moire__hlo_type type = moire__hlo_result(c, 0);
  moire__torch_type element = moire__torch_type_of(type.dtype);
  bool fits = left->n_batch == right->n_batch && left->n_summed == right->n_summed;
  for (int i = 0; fits && i < left->n_batch; i++)
    fits = moire_value_dim(a, left->batch[i]) == moire_value_dim(b, right->batch[i]);
  for (int i = 0; fits && i < left->n_summed; i++)
    fits = moire_value_dim(a, left->summed[i]) == moire_value_dim(b, right->summed[i]);
  if (!fits) moire__refuse(&c->call, "the sizes of the axes that go together differ");
  if (c->call.why) return;
  a = grouped(c, moire__to_type(&c->call, a, element), left, false);
  b = grouped(c, moire__to_type(&c->call, b, element), right, true);
  moire_value y = moire__hlo_is_whole(a) ? whole_matmul(c, a, b)
                                         : moire_matmul_at(c->call.at, moire__without_imaginary(&c->call, a),
                                                           moire__without_imaginary(&c->call, b));
  moire__give(&c->call, moire_reshape_at(c->call.at, moire__to_type(&c->call, y, element), type.shape));
}

static void dot_general(moire__hlo_call *c) {
  static const char *const without_meaning[] = {"precision", "precision_config", "algorithm"};
  axes left = axes_of(c, moire__hlo_operand(c, 0), false), right = axes_of(c, moire__hlo_operand(c, 1), true);
  moire__hlo_pass_over(c, without_meaning, 3);
  if (!c->call.why) product(c, &left, &right);
}

/* The last axis of the first with the first of the second. */
static void dot(moire__hlo_call *c) {
  static const char *const without_meaning[] = {"precision", "precision_config"};
  int m = rank_of(moire__hlo_operand(c, 0)), n = rank_of(moire__hlo_operand(c, 1));
  moire__hlo_pass_over(c, without_meaning, 2);
  if (m < 1 || m > 2 || n < 1 || n > 2) moire__refuse(&c->call, "wanted vectors or matrices");
  axes left = {.summed = {m - 1}, .n_summed = 1, .n_own = m - 1};
  axes right = {.own = {1}, .n_summed = 1, .n_own = n - 1};
  if (!c->call.why) product(c, &left, &right);
}

/* ---- Fourier transforms of the last axes ------------------------------------------------------------------
 */

static void fft(moire__hlo_call *c) {
  moire_value x = moire__hlo_operand(c, 0);
  int64_t length[3];
  const char *name = moire__find(&c->call, "type") ? "type" : "fft_type";
  const char *type = moire__text_or(&c->call, name, "");
  int rank = rank_of(x),
      n = moire__integers(&c->call, moire__find(&c->call, "length") ? "length" : "fft_length", length, 3);
  bool real = !strcmp(type, "RFFT"), back = !strcmp(type, "IRFFT"), inverse = !strcmp(type, "IFFT");
  if (!real && !back && !inverse && strcmp(type, "FFT") != 0)
    moire__refuse(&c->call, "wanted FFT, IFFT, RFFT or IRFFT");
  if (n < 1 || n > rank) moire__refuse(&c->call, "wanted 1 to 3 of the last axes");
  moire_source at = c->call.at;
  for (int i = 0; i < n && !c->call.why;
       i++) { /* the last axis of a real one first, of what becomes real last */
    int k = real ? n - 1 - i : i, axis = rank - n + k;
    int64_t there = moire__fixed(&c->call, x, axis),
            wanted = back && k == n - 1 ? length[k] / 2 + 1 : length[k];
    if (length[k] < 1 || there != wanted) {
      moire__refuse(&c->call, "axis %d has %lld elements, wanted %lld", axis, (long long)there,
                    (long long)wanted);
    } else if (real && i == 0) {
      x = moire_slice_at(at, moire_fft_at(at, x, axis, MOIRE_NORM_BACKWARD), axis, 0, length[k] / 2 + 1);
    } else if (back && k == n - 1) {
      double scale = 1 / __builtin_sqrt((double)length[k]);
      x = moire_scale_at(at, moire_irfft_at(at, x, axis, length[k]), scale);
    } else {
      x = inverse || back ? moire_ifft_at(at, x, axis, MOIRE_NORM_BACKWARD)
                          : moire_fft_at(at, x, axis, MOIRE_NORM_BACKWARD);
    }
  }
  moire__give(&c->call, x);
}

const moire__hlo_row moire__hlo_rows_product[] = {
    {"stablehlo.dot_general", dot_general}, {"stablehlo.dot", dot}, {"stablehlo.fft", fft}, {NULL, NULL}};
