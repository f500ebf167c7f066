/* Functions of compiled code in f64, against libm in long double: random arguments of every size, and hard
 * ones. */
#include "tests/support/compiled_kernels.h"

#include <criterion/criterion.h>

#include <math.h>

#include "runtime/base/philox.h"

enum { CHUNK = 1 << 14 };

typedef struct function {
  const char *text; /* of %a and %b */
  double ulps;
  int least, most; /* binary exponents of arguments */
  long double (*one)(long double);
  long double (*two)(long double, long double);
} function;

static long double power(long double a, long double b) {
  if (a < 0 || isnan(a)) return b == 0 ? 1 : (long double)NAN;
  return powl(fabsl(a), b);
}

static const function functions[] = {
    {"exp %a", 2, -60, 10, expl, NULL},         {"exp2 %a", 2, -60, 10, exp2l, NULL},
    {"log %a", 2, -1074, 1023, logl, NULL},     {"tanh %a", 4, -1074, 6, tanhl, NULL},
    {"erf %a", 4, -1000, 3, erfl, NULL},        {"sin %a", 2, -1074, 45, sinl, NULL},
    {"cos %a", 2, -1074, 45, cosl, NULL},       {"atan2 %a, %b", 3, -60, 60, NULL, atan2l},
    {"pow %a, %b", 32, -100, 100, NULL, power},
};

static double draw(moire__random *random, int least, int most) {
  int exponent = least + (int)moire__random_below(random, (uint64_t)(most - least + 1));
  double x = ldexp(1 + moire__random_real(random), exponent);
  return moire__random_bits(random) & 1 ? x : -x;
}

static void fill(const function *f, double *x, double *y) {
  static const double hard[] = {0.0, -0.0,      1.0,   -1.0, INFINITY, -INFINITY,
                                NAN, 0x1p-1074, 1e308, 0.5,  -708.5,   -745};
  enum { N = sizeof hard / sizeof *hard };
  moire__random random = moire__random_start(3, 3);
  for (int i = 0; i < CHUNK; i++) {
    x[i] = draw(&random, f->least, f->most);
    y[i] = draw(&random, f->least, f->most);
    if (f->two == power && i % 16 != 0) {
      x[i] = fabs(i % 2 ? 1 + draw(&random, -20, -1) : x[i]);
      y[i] = 1100 * (2 * moire__random_real(&random) - 1) / (fabs(log2(x[i])) + 1e-6);
    }
    if (i < N * N) {
      x[i] = hard[i / N];
      y[i] = hard[i % N];
    }
  }
}

static void check(const char *target_name, const char *loop, const function *f) {
  if (!test_target_runs(target_name)) return;
  moire__arena arena = {0};
  moire__target target;
  moire_error error = {0};
  moire__target_named(target_name, &target, &error);
  const moire__loop_kernel *k = test_kernel_text(
      &arena,
      "kernel @sweep (in f64 %%x[%d], in f64 %%y[%d], out f64 %%r[%d]) parallel %%p < 1 {\n"
      "  for %%i = 0 to %d %s {\n    %%a = load %%x[%%i] : f64\n    %%b = load %%y[%%i] : f64\n"
      "    %%c = %s : f64\n    store %%r[%%i] = %%c\n  }\n}\n",
      CHUNK, CHUNK, CHUNK, CHUNK, loop, f->text);
  double *x = moire__allocate_aligned(CHUNK * sizeof *x, 64),
         *y = moire__allocate_aligned(CHUNK * sizeof *y, 64);
  double *r = moire__allocate_aligned(CHUNK * sizeof *r, 64);
  moire__jit *jit = moire__jit_create(&error);
  moire_kernel_function run = NULL;
  cr_assert_eq(moire__jit_compile(jit, &k, 1, &target, NULL, 1, &run, &error), MOIRE_OK, "%s", error.message);
  fill(f, x, y);
  run((void *[]){x, y, r}, (const int64_t[]){0}, 0, 1);
  double worst = 0;
  for (int i = 0; i < CHUNK; i++) {
    double want = (double)(f->one ? f->one(x[i]) : f->two(x[i], y[i]));
    if ((f->one == sinl || f->one == cosl) && fabs(x[i]) >= 0x1p46) want = NAN;
    double ulps = test_ulps(r[i], want, false);
    worst = ulps > worst ? ulps : worst;
    cr_assert(ulps <= f->ulps, "%s of %a and %a is %a, not %a: %g ulp", f->text, x[i], y[i], r[i], want, ulps);
  }
  cr_log_info("%s on %s: %g ulp", f->text, target_name, worst);
  moire__jit_destroy(jit);
  moire__release_aligned(x);
  moire__release_aligned(y);
  moire__release_aligned(r);
  moire__arena_free(&arena);
}

Test(math_f64, random_arguments) {
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    check("host", "vector 8", &functions[i]);
    check("host", "vector 32", &functions[i]);
    check("host", "step 1", &functions[i]);
    check("x86-64-v3", "vector 8", &functions[i]);
  }
}
