/* Rows of the table: complex numbers and their parts. */
#include "compiler/import/torch/rows.h"

static bool is_complex(moire_value x) { return moire__type_of(x) == MOIRE__TORCH_C64; }

static void complex_of(moire__call *c) {
  moire__give(c, moire_complex_at(c->at, moire__tensor(c, "real"), moire__tensor(c, "imag")));
}

static void polar_of(moire__call *c) {
  const moire__argument *size = moire__find(c, "abs");
  moire_value modulus = moire__tensor(c, "abs"), phase = moire__tensor(c, "angle");
  moire_value like = moire_value_is_null(phase) ? phase : modulus;
  if (size && size->uniform && size->real == 1 && !moire_value_is_null(like)) { /* of size 1: cos + i sin */
    moire__give(c, moire_complex_at(c->at, moire_cos_at(c->at, phase), moire_sin_at(c->at, phase)));
    return;
  }
  moire__give(c, moire_polar_at(c->at, modulus, phase));
}

static void real_of(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  moire__give(c, is_complex(x) ? moire_real_at(c->at, x) : x);
}

static void imag_of(moire__call *c) { moire__give(c, moire_imag_at(c->at, moire__tensor(c, "self"))); }

static void conj_of(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  moire__give(c, is_complex(x) ? moire_conj_at(c->at, x) : x);
}

/* Of a real number 0, or pi where it is negative; a NaN stays one. */
static void angle_of(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  if (is_complex(x)) {
    moire__give(c, moire_angle_at(c->at, x));
    return;
  }
  x = moire__to_float(c, x);
  moire_value below = moire_less_at(c->at, x, moire__number_like(c, x, 0));
  moire_value angle = moire_where_at(c->at, below, moire__number_like(c, x, 3.14159265358979323846),
                                     moire__number_like(c, x, 0));
  moire__give(c, moire_where_at(c->at, moire_equal_at(c->at, x, x), angle, x));
}

static void view_as_real(moire__call *c) {
  moire_value z = moire__tensor(c, "self");
  if (moire_value_is_null(z)) return;
  int rank = moire_value_shape(z).rank;
  moire_value planes[2] = {moire__unsqueeze(c, moire_real_at(c->at, z), rank),
                           moire__unsqueeze(c, moire_imag_at(c->at, z), rank)};
  moire__give(c, moire_concat_at(c->at, planes, 2, -1));
}

static void view_as_complex(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  if (moire_value_is_null(x)) return;
  int last = moire_value_shape(x).rank - 1;
  if (moire__fixed(c, x, last) != 2) {
    moire__refuse(c, "wanted a last axis of 2");
    return;
  }
  moire_value planes[2];
  for (int i = 0; i < 2; i++) planes[i] = moire__squeeze(c, moire_slice_at(c->at, x, last, i, 1), last);
  moire__give(c, moire_complex_at(c->at, planes[0], planes[1]));
}

/* z / |z|, 0 at 0 */
static void sgn_of(moire__call *c) {
  moire_value z = moire__tensor(c, "self");
  if (!is_complex(z)) {
    moire__give(c, moire_sign_at(c->at, z));
    return;
  }
  moire_value size = moire_abs_at(c->at, z);
  moire_value none = moire_equal_at(c->at, size, moire__number_like(c, size, 0));
  moire_value by = moire_where_at(c->at, none, moire__number_like(c, size, 1), size);
  moire__give(c, moire_div_at(c->at, z, by));
}

const moire__aten_row moire__rows_complex[] = {{"aten.complex.default", complex_of, false},
                                               {"aten.polar.default", polar_of, false},
                                               {"aten.real.default", real_of, true},
                                               {"aten.imag.default", imag_of, true},
                                               {"aten.conj.default", conj_of, true},
                                               {"aten._conj.default", conj_of, true},
                                               {"aten.conj_physical.default", conj_of, false},
                                               {"aten._conj_physical.default", conj_of, false},
                                               {"aten.angle.default", angle_of, false},
                                               {"aten.sgn.default", sgn_of, false},
                                               {"aten.view_as_real.default", view_as_real, true},
                                               {"aten.view_as_complex.default", view_as_complex, true},
                                               {NULL, NULL, false}};
