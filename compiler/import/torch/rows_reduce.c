/* Rows of the table: reductions. */
#include "compiler/import/torch/rows.h"

#include <math.h>

typedef moire_value reduce_axes(moire_source at, moire_value x, int n, const int *axes, bool keep);

static bool missing(moire_value x) { return moire_value_is_null(x); }

static int rank_of(moire_value x) { return missing(x) ? 0 : moire_value_shape(x).rank; }

static bool is_complex(moire_value x) { return moire__type_of(x) == MOIRE__TORCH_C64; }

typedef struct reduction {
  moire_value x;
  int axes[MOIRE_MAX_RANK], n; /* n = 0: nothing is reduced, x has no axes */
  bool keep;
} reduction;

static reduction begin(moire__call *c, const char *axes) {
  reduction r = {.x = moire__tensor(c, "self")};
  r.keep = moire__bool_or(c, "keepdim", false);
  r.n = moire__axes(c, axes, rank_of(r.x), r.axes);
  return r;
}

/* x in the type that the call names; whole numbers and bools become int64, or floats where `floats`. */
static moire_value typed(moire__call *c, moire_value x, bool floats) {
  moire__torch_type type = moire__type_of(x);
  bool whole = type == MOIRE__TORCH_BOOL || type == MOIRE__TORCH_I32 || type == MOIRE__TORCH_I64;
  return moire__to_type(c, x,
                        moire__type_or(c, "dtype",
                                       !whole   ? type
                                       : floats ? MOIRE__TORCH_F32
                                                : MOIRE__TORCH_I64));
}

static void finish(moire__call *c, const reduction *r, reduce_axes *f, moire_value x) {
  moire__give(c, r->n ? f(c->at, x, r->n, r->axes, r->keep) : x);
}

static void sum(moire__call *c) {
  reduction r = begin(c, "dim");
  finish(c, &r, moire_sum_axes_at, typed(c, r.x, false));
}

static void mean(moire__call *c) {
  reduction r = begin(c, "dim");
  finish(c, &r, moire_mean_axes_at, typed(c, r.x, false));
}

static void largest(moire__call *c) {
  reduction r = begin(c, "dim");
  finish(c, &r, moire_max_axes_at, moire__need_real(c, r.x));
}

static void smallest(moire__call *c) {
  reduction r = begin(c, "dim");
  finish(c, &r, moire_min_axes_at, moire__need_real(c, r.x));
}

/* ---- products ---------------------------------------------------------------------------------------------
 */

/* Of complex numbers: the halves of the axis multiplied, again and again. */
static moire_value complex_product(moire__call *c, moire_value x, int axis) {
  int64_t n = moire__fixed(c, x, axis);
  if (n < 1) return moire__number_like(c, moire_sum_at(c->at, x, axis, true), 1);
  while (n > 1 && !missing(x)) {
    int64_t half = n / 2;
    moire_value y = moire_mul_at(c->at, moire_slice_at(c->at, x, axis, 0, half),
                                 moire_slice_at(c->at, x, axis, half, half));
    if (n % 2)
      y = moire_concat_at(c->at, (moire_value[]){y, moire_slice_at(c->at, x, axis, n - 1, 1)}, 2, axis);
    x = y;
    n = half + n % 2;
  }
  return x;
}

static void prod(moire__call *c) {
  reduction r = begin(c, "dim");
  moire_value x = typed(c, r.x, false);
  if (!is_complex(x)) {
    finish(c, &r, moire_prod_axes_at, x);
    return;
  }
  for (int i = 0; i < r.n; i++) x = complex_product(c, x, r.axes[i]);
  if (r.n == 1)
    x = r.keep ? x : moire__squeeze(c, x, r.axes[0]);
  else if (r.n)
    x = missing(x) ? x : moire_reshape_at(c->at, x, MOIRE_SCALAR);
  moire__give(c, x);
}

/* ---- of bools ---------------------------------------------------------------------------------------------
 */

static void any_or_all(moire__call *c, bool all) {
  reduction r = begin(c, "dim");
  moire_value x = moire__to_type(c, r.x, MOIRE__TORCH_BOOL);
  for (int i = 0; i < r.n; i++)
    x = all ? moire_all_at(c->at, x, r.axes[i], true) : moire_any_at(c->at, x, r.axes[i], true);
  if (!r.keep && r.n && !missing(x)) {
    moire_shape shape = moire_value_shape(x), to = {.rank = 0};
    for (int i = 0; i < shape.rank; i++) {
      bool gone = false;
      for (int k = 0; k < r.n; k++) gone = gone || r.axes[k] == i;
      if (!gone) to.dims[to.rank++] = shape.dims[i];
    }
    x = moire_reshape_at(c->at, x, to);
  }
  moire__give(c, x);
}

static void any(moire__call *c) { any_or_all(c, false); }
static void all(moire__call *c) { any_or_all(c, true); }

/* ---- where the largest stands -----------------------------------------------------------------------------
 */

static void arg(moire__call *c, bool least) {
  moire_value x = moire__need_real(c, moire__to_float(c, moire__tensor(c, "self")));
  bool keep = moire__bool_or(c, "keepdim", false), flat = !moire__find(c, "dim");
  int rank = rank_of(x);
  if (missing(x)) return;
  if (!rank) {
    moire__give(c, moire_constant_at(c->at, c->graph, MOIRE_I64, MOIRE_SCALAR, 0));
    moire__pass_over(c, "dim");
    return;
  }
  if (flat) x = moire__merge_axes(c, x, 0, rank - 1);
  int axis = moire__import_axis(c, moire__integer_or(c, "dim", 0), rank_of(x));
  moire_value index =
      least ? moire_argmin_at(c->at, x, axis, keep && !flat) : moire_argmax_at(c->at, x, axis, keep && !flat);
  for (int i = 0; i < rank && flat && keep; i++) index = moire__unsqueeze(c, index, 0);
  moire__give(c, index);
}

static void argmax(moire__call *c) { arg(c, false); }
static void argmin(moire__call *c) { arg(c, true); }

/* The values and their places. */
static void with_places(moire__call *c, bool least) {
  moire_value x = moire__need_real(c, moire__tensor(c, "self"));
  bool keep = moire__bool_or(c, "keepdim", false);
  int axis = moire__import_axis(c, moire__integer(c, "dim"), rank_of(x));
  if (missing(x) || !rank_of(x)) {
    moire__refuse(c, "wanted a tensor with axes");
    return;
  }
  moire_value both[2];
  both[0] = least ? moire_min_at(c->at, x, axis, keep) : moire_max_at(c->at, x, axis, keep);
  both[1] = least ? moire_argmin_at(c->at, x, axis, keep) : moire_argmax_at(c->at, x, axis, keep);
  moire__give_list(c, both, 2);
}

static void max_dim(moire__call *c) { with_places(c, false); }
static void min_dim(moire__call *c) { with_places(c, true); }

/* ---- spread -----------------------------------------------------------------------------------------------
 */

static moire_dim count(const reduction *r) {
  moire_dim n = 1;
  for (int i = 0; i < r->n; i++) n = moire_dim_times(n, moire_value_dim(r->x, r->axes[i]));
  return n;
}

/* sum |x - mean|^2 / max(n - correction, 0); n is known when the program is exported. */
static moire_value variance(moire__call *c, reduction *r) {
  double correction = moire__real_or(c, "correction", moire__bool_or(c, "unbiased", true) ? 1 : 0);
  r->x = moire__to_float(c, r->x);
  if (missing(r->x) || !r->n) {
    moire__refuse(c, "wanted a tensor with axes");
    return moire__null(c);
  }
  moire_dim n = count(r);
  if (n < 0 || moire_dim_extent_name(c->graph, n, 0)) {
    moire__refuse(c, "over an axis whose size is not known when the program is exported is not imported");
    return moire__null(c);
  }
  moire_value away = moire_sub_at(c->at, r->x, moire_mean_axes_at(c->at, r->x, r->n, r->axes, true));
  moire_value square = is_complex(away) ? moire_abs2_at(c->at, away) : moire_mul_at(c->at, away, away);
  double left = (double)moire_dim_factor(n) - correction;
  return moire_scale_at(c->at, moire_sum_axes_at(c->at, square, r->n, r->axes, r->keep),
                        1 / (left > 0 ? left : 0));
}

static void var(moire__call *c) {
  reduction r = begin(c, "dim");
  moire__give(c, variance(c, &r));
}

static void std(moire__call *c) {
  reduction r = begin(c, "dim");
  moire__give(c, moire_sqrt_at(c->at, variance(c, &r)));
}

static void var_mean(moire__call *c) {
  reduction r = begin(c, "dim");
  moire_value both[2] = {variance(c, &r), moire__null(c)};
  if (!c->why) both[1] = moire_mean_axes_at(c->at, r.x, r.n, r.axes, r.keep);
  moire__give_list(c, both, 2);
}

/* (sum |x|^p)^(1/p), the largest, or how many are not 0. */
static moire_value norm_of(moire__call *c, const reduction *r, double p) {
  moire_source at = c->at;
  moire_value x = moire__to_float(c, r->x);
  if (missing(x)) return x;
  if (!r->n)
    return p == 0 ? moire__to_type(c, moire__to_type(c, x, MOIRE__TORCH_BOOL), MOIRE__TORCH_F32)
                  : moire_abs_at(at, x);
  if (p == 2) {
    moire_value square = is_complex(x) ? moire_abs2_at(at, x) : moire_mul_at(at, x, x);
    return moire_sqrt_at(at, moire_sum_axes_at(at, square, r->n, r->axes, r->keep));
  }
  moire_value size = moire_abs_at(at, x);
  if (isinf(p))
    return p > 0 ? moire_max_axes_at(at, size, r->n, r->axes, r->keep)
                 : moire_min_axes_at(at, size, r->n, r->axes, r->keep);
  if (p == 1) return moire_sum_axes_at(at, size, r->n, r->axes, r->keep);
  if (p == 0)
    return moire_sum_axes_at(at,
                             moire__to_type(c, moire__to_type(c, size, MOIRE__TORCH_BOOL), MOIRE__TORCH_F32),
                             r->n, r->axes, r->keep);
  moire_value sum_of = moire_sum_axes_at(at, moire__power_by_number(c, size, p), r->n, r->axes, r->keep);
  return moire__power_by_number(c, sum_of, 1 / p);
}

static void norm(moire__call *c) {
  reduction r = begin(c, "dim");
  moire__give(c, norm_of(c, &r, moire__real_or(c, moire__find(c, "ord") ? "ord" : "p", 2)));
}

/* ---- sums of exponentials, running sums --------------------------------------------------------------------
 */

/* log sum exp: of complex numbers, with the largest real part taken out. */
static void logsumexp(moire__call *c) {
  reduction r = begin(c, "dim");
  moire_value x = moire__to_float(c, r.x);
  if (missing(x) || !r.n) {
    moire__give(c, x);
    return;
  }
  bool complex = is_complex(x);
  if (r.n == 1 && !complex) {
    moire__give(c, moire_logsumexp_at(c->at, x, r.axes[0], r.keep));
    return;
  }
  moire_value re = complex ? moire_real_at(c->at, x) : x;
  moire_value most = moire_stop_gradient_at(c->at, moire_max_axes_at(c->at, re, r.n, r.axes, true));
  moire_value finite = moire_less_at(c->at, moire_abs_at(c->at, most), moire__number_like(c, most, INFINITY));
  most = moire_where_at(c->at, finite, most, moire__number_like(c, most, 0));
  moire_value shares =
      moire_sum_axes_at(c->at, moire_exp_at(c->at, moire_sub_at(c->at, x, most)), r.n, r.axes, true);
  moire_value y = moire_add_at(c->at, moire_log_at(c->at, shares), most);
  moire__give(c, r.keep ? y : moire_sum_axes_at(c->at, y, r.n, r.axes, false));
}

static void cumsum(moire__call *c) {
  moire_value x = typed(c, moire__tensor(c, "self"), false);
  int axis = moire__import_axis(c, moire__integer(c, "dim"), rank_of(x));
  moire__give(c, rank_of(x) ? moire_cumsum_at(c->at, x, axis) : x);
}

const moire__aten_row moire__rows_reduce[] = {{"aten.sum.default", sum, false},
                                              {"aten.sum.dim_IntList", sum, false},
                                              {"aten.mean.default", mean, false},
                                              {"aten.mean.dim", mean, false},
                                              {"aten.prod.default", prod, false},
                                              {"aten.prod.dim_int", prod, false},
                                              {"aten.amax.default", largest, false},
                                              {"aten.amin.default", smallest, false},
                                              {"aten.max.default", largest, false},
                                              {"aten.min.default", smallest, false},
                                              {"aten.max.dim", max_dim, false},
                                              {"aten.min.dim", min_dim, false},
                                              {"aten.argmax.default", argmax, false},
                                              {"aten.argmin.default", argmin, false},
                                              {"aten.any.default", any, false},
                                              {"aten.any.dim", any, false},
                                              {"aten.any.dims", any, false},
                                              {"aten.all.default", all, false},
                                              {"aten.all.dim", all, false},
                                              {"aten.all.dims", all, false},
                                              {"aten.var.default", var, false},
                                              {"aten.var.dim", var, false},
                                              {"aten.var.correction", var, false},
                                              {"aten.std.default", std, false},
                                              {"aten.std.dim", std, false},
                                              {"aten.std.correction", std, false},
                                              {"aten.var_mean.correction", var_mean, false},
                                              {"aten.linalg_vector_norm.default", norm, false},
                                              {"aten.norm.ScalarOpt_dim", norm, false},
                                              {"aten.norm.Scalar", norm, false},
                                              {"aten.logsumexp.default", logsumexp, false},
                                              {"aten.cumsum.default", cumsum, false},
                                              {NULL, NULL, false}};
