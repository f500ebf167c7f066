/* Functions of compiled code over the whole range of f32: a strided sweep of all bit patterns, those around the
 * points where formulas change, and hard arguments, against libm in double. The bounds are those that the
 * functions state. MOIRE_MATH_STRIDE=1 in the environment sweeps every f32 (minutes). */
#include "tests/support/compiled_kernels.h"

#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/float_mode.h"
#include "runtime/base/philox.h"

enum { CHUNK = 1 << 14 };

typedef struct function {
  const char *text; /* of %a and %b */
  double ulps;
  double (*one)(double);
  double (*two)(double, double);
} function;

/* pow for a >= 0, where -0 counts as 0. */
static double power(double a, double b) {
  if (a < 0 || isnan(a)) return b == 0 ? 1 : (double)NAN;
  return pow(fabs(a), b);
}

static const function functions[] = {
    {"exp %a", 1.05, exp, NULL},  {"exp2 %a", 1.1, exp2, NULL},       {"log %a", 1.0, log, NULL},
    {"tanh %a", 1.5, tanh, NULL}, {"erf %a", 1.5, erf, NULL},         {"sin %a", 2.0, sin, NULL},
    {"cos %a", 2.0, cos, NULL},   {"atan2 %a, %b", 2.0, NULL, atan2}, {"pow %a, %b", 1.0, NULL, power},
};

typedef struct harness {
  const function *f;
  bool flush;
  moire_kernel_function run;
  float x[CHUNK], y[CHUNK], r[CHUNK];
  int n;
} harness;

static void flush(harness *h) {
  const int64_t extents[] = {0, h->n};
  h->run((void *[]){h->x, h->y, h->r}, extents, 0, 1);
  for (int i = 0; i < h->n; i++) {
    double x = (double)h->x[i], y = (double)h->y[i], want = h->f->one ? h->f->one(x) : h->f->two(x, y);
    double ulps = test_ulps((double)h->r[i], want, true);
    if (h->flush && fabs(want) < 0x1p-125) ulps = fabs(want - (double)h->r[i]) < 0x1p-125 ? 0 : INFINITY;
    cr_assert(ulps <= h->f->ulps, "%s of %a and %a is %a, not %a: %g ulp", h->f->text, x, y, (double)h->r[i],
              want, ulps);
  }
  h->n = 0;
}

static void try(harness *h, float x, float y) {
  h->x[h->n] = x;
  h->y[h->n++] = y;
  if (h->n == CHUNK) flush(h);
}

static float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* A partner that makes the result ordinary: near in size for angles; for powers such that a^b is in range. */
static float partner(const function *f, float x, uint64_t random) {
  double part = (double)(random >> 40) / 0x1p24 * 2 - 1; /* in [-1, 1) */
  if (f->two == atan2) return ldexpf(x, (int)(random % 41) - 20) * (float)(1 + part / 2);
  return (float)(part * 150 / (fabs(log2(fabs((double)x))) + 1e-3));
}

static void sweep(harness *h, uint64_t stride) {
  moire__random random = moire__random_start(11, 0);
  for (uint64_t bits = 0; bits < 1ull << 32; bits += stride) {
    float x = float_of((uint32_t)bits);
    uint64_t draw = moire__random_bits(&random);
    try(h, x, h->f->one || draw & 1 << 24 ? float_of((uint32_t)(draw >> 32)) : partner(h->f, x, draw));
    if (h->f->two == power) try(h, fabsf(x), partner(h->f, x, draw));
  }
}

static const double special[] = {
    0,      1,        0.5,      2,         0.55,     0.9,        3.95,        9.02,    10,         88.7228, 89,
    -87.34, -103.97,  -104,     0.70710678, 1.41421356, 0x1p-126, 0x1p-149,   0x1p127, 0x1p46,     0x1p47,
    0x1p24, 128, -149.5, 2.5, 1.5707963, 3.1415927, 0.78539816, 16777216, 1e-8,     6381956970095103.0 * 0x1p20 /* next to a multiple of
                                                                                                  pi/2 */};

/* 40 neighbours of each special point on both sides, with both signs, against each other. */
static void try_special(harness *h) {
  int n = (int)(sizeof special / sizeof *special);
  for (int i = 0; i < n; i++) {
    for (int32_t near = -40; near <= 40; near++) {
      float x = float_of(bits_of((float)special[i]) + (uint32_t)near), y = (float)special[abs(near) % n];
      try(h, x, y);
      try(h, -x, y);
      try(h, x, -y);
      try(h, -x, -y);
    }
  }
  static const float hard[] = {0.0f, -0.0f,     1.0f,       -1.0f,   INFINITY, -INFINITY,
                               NAN,  0x1p-149f, -0x1p-149f, 3.4e38f, 0.5f};
  for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) {
    for (size_t j = 0; j < sizeof hard / sizeof *hard; j++) try(h, hard[i], hard[j]);
  }
}

static void check_with(const char *target_name, int lanes, const function *f, uint64_t stride, bool flushed) {
  if (!test_target_runs(target_name)) return;
  moire__arena arena = {0};
  moire__target target;
  moire_error error = {0};
  moire__target_named(target_name, &target, &error);
  const moire__loop_kernel *k =
      test_kernel_text(&arena,
                       "kernel @sweep <N> (in f32 %%x[N], in f32 %%y[N], out f32 %%r[N]) parallel %%p < 1 {\n"
                       "  for %%i = 0 to N %s {\n    %%a = load %%x[%%i] : f32\n    %%b = load %%y[%%i] : f32\n"
                       "    %%c = %s : f32\n    store %%r[%%i] = %%c\n  }\n}\n",
                       lanes == 1    ? ""
                       : lanes == 16 ? "vector 16"
                                     : "vector 64",
                       f->text);
  harness *h = moire__allocate_aligned(sizeof *h, 64);
  moire__jit *jit = moire__jit_create(&error);
  const moire__codegen_options how = {.flush = flushed};
  cr_assert_eq(moire__jit_compile(jit, &k, 1, &target, &how, 1, &h->run, &error), MOIRE_OK, "%s",
               error.message);
  h->f = f;
  h->flush = flushed;
  try_special(h);
  sweep(h, stride);
  flush(h);
  moire__jit_destroy(jit);
  moire__release_aligned(h);
  moire__arena_free(&arena);
}

static void check(const char *target_name, int lanes, const function *f, uint64_t stride) {
  check_with(target_name, lanes, f, stride, false);
}

enum { N_FUNCTIONS = sizeof functions / sizeof *functions };

Test(math, sweep) {
  const char *asked = getenv("MOIRE_MATH_STRIDE");
  uint64_t stride = asked ? strtoull(asked, NULL, 10) : 4099;
  for (int i = 0; i < N_FUNCTIONS; i++) check("host", 16, &functions[i], stride ? stride : 1);
}

/* The same formulas, in other registers and in none. */
Test(math, other_widths) {
  for (int i = 0; i < N_FUNCTIONS; i++) {
    check("host", 64, &functions[i], 800011);
    check("host", 1, &functions[i], 800011);
    check("x86-64-v3", 16, &functions[i], 800011);
    check("generic", 16, &functions[i], 800011);
  }
}

/* Powers where numbers below the normal range count as zero, by the caller's mode. */
Test(math, flushed) {
  static const function powers[] = {{"exp %a", 1.2, exp, NULL}, {"exp2 %a", 1.9, exp2, NULL}};
  const char *asked = getenv("MOIRE_MATH_STRIDE");
  uint64_t stride = asked ? strtoull(asked, NULL, 10) : 4099;
  uint64_t before = moire__float_flush(MOIRE__FLOAT_FLUSH);
  for (int i = 0; i < 2; i++) {
    check_with("host", 16, &powers[i], stride ? stride : 1, true);
    check_with("host", 1, &powers[i], 800011, true);
    check_with("x86-64-v3", 64, &powers[i], 4099, true);
    check_with("generic", 16, &powers[i], 800011, true);
  }
  moire__float_flush(before);
}
