/* The errors of vector math: for each function the largest distance from the exact result over all 2^32 values
 * of f32, in units of the last place, and where it is. atan2 and pow, which have 2^64 arguments, get every
 * special value against every other, and for a dense sample of first arguments random second ones, of any size
 * and of the size that makes the result ordinary.
 *
 *   bench/math_errors [STRIDE [TARGET [FUNCTION]]]     (1: every value; host; all)
 *
 * Exact is libm in double, whose own error is far below a unit of f32, or the first terms of a series. Takes
 * some minutes; with STRIDE 4099 some seconds, which is what the tests do.
 */
#include "compiler/codegen/codegen.h"
#include "runtime/base/philox.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 14, MOST_THREADS = 64 };

typedef enum parity { NEITHER, ODD, EVEN } parity;

typedef struct function {
  const char *name, *call; /* in terms of %a and %b */
  double promised;         /* ulp */
  parity parity;
  double (*one)(double);
  double (*two)(double, double);
} function;

/* ---- exact results, without libm where that would only take time -------------------------------------------
 */

static double exact_exp(double x) {
  if (x > 120) return INFINITY;
  if (x < -120) return exp(-120);
  return fabs(x) < 0x1p-20 ? 1 + x + x * x / 2 : exp(x);
}

static double exact_tanh(double x) {
  if (fabs(x) > 20) return copysign(1, x);
  return fabs(x) < 0x1p-12 ? x - x * x * x / 3 : tanh(x);
}

static double exact_erf(double x) {
  if (fabs(x) > 6) return copysign(1, x);
  return fabs(x) < 0x1p-12 ? M_2_SQRTPI * (x - x * x * x / 3) : erf(x);
}

static double exact_sin(double x) { return fabs(x) < 0x1p-12 ? x - x * x * x / 6 : sin(x); }
static double exact_cos(double x) { return fabs(x) < 0x1p-12 ? 1 - x * x / 2 : cos(x); }

/* a^b for a >= 0, where -0 counts as 0. */
static double exact_pow(double a, double b) {
  if (a < 0 || isnan(a)) return b == 0 ? 1 : (double)NAN;
  return pow(fabs(a), b);
}

static const function functions[] = {
    {"exp", "exp %a", 2, NEITHER, exact_exp, NULL},     {"log", "log %a", 2, NEITHER, log, NULL},
    {"tanh", "tanh %a", 2, ODD, exact_tanh, NULL},      {"erf", "erf %a", 2, ODD, exact_erf, NULL},
    {"sin", "sin %a", 4, ODD, exact_sin, NULL},         {"cos", "cos %a", 4, EVEN, exact_cos, NULL},
    {"atan2", "atan2 %a, %b", 4, NEITHER, NULL, atan2}, {"pow", "pow %a, %b", 4, NEITHER, NULL, exact_pow},
};
enum { N_FUNCTIONS = sizeof functions / sizeof *functions };

/* ---- errors -------------------------------------------------------------------------------------------------
 */

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

/* |got - want| in units of the last place of `want` as f32, 0.5 where it is rounded correctly; an infinity that
 * is too near counts as 2^128, and a NaN where there should be none, or none where there should be one, as
 * infinitely wrong. */
static double ulps(float got, double want) {
  float rounded = (float)want;
  if (got == rounded || (isnan(got) && isnan(rounded))) return isfinite(want) ? 0.5 : 0;
  if (isnan(got) || isnan(rounded)) return INFINITY;
  double value = isinf(got) ? copysign(0x1p128, (double)got) : (double)got;
  if (isinf(want)) want = copysign(0x1p128, want);
  uint32_t exponent = bits_of(isinf(rounded) ? 3.4e38f : rounded) >> 23 & 255;
  return fabs(value - want) / ldexp(1, (int)(exponent ? exponent : 1) - 150);
}

typedef struct worst {
  double ulps;
  float x, y;
  uint64_t n;
} worst;

typedef struct sweep {
  const function *f;
  moire_kernel_function run;
  uint64_t stride;
  atomic_uint_fast64_t next; /* chunk of first arguments without sign */
} sweep;

typedef struct worker {
  sweep *s;
  worst worst;
  float x[2 * CHUNK], y[2 * CHUNK], r[2 * CHUNK];
  pthread_t thread;
} worker;

static void note(worker *w, int i, double want) {
  double error = ulps(w->r[i], want);
  w->worst.n++;
  if (error > w->worst.ulps) {
    w->worst.ulps = error;
    w->worst.x = w->x[i];
    w->worst.y = w->y[i];
  }
}

static void call(worker *w, int n) {
  const int64_t extents[] = {0, n};
  w->s->run((void *[]){w->x, w->y, w->r}, extents, 0, 1);
}

/* n values from number `first` on, and their negatives behind them. */
static void try_one(worker *w, uint64_t first, int n) {
  const function *f = w->s->f;
  for (int i = 0; i < n; i++) {
    w->x[i] = float_of((uint32_t)((first + (uint64_t)i) * w->s->stride));
    w->x[n + i] = -w->x[i];
  }
  call(w, 2 * n);
  for (int i = 0; i < n; i++) {
    double x = (double)w->x[i], want = f->one(x);
    note(w, i, want);
    note(w, n + i, f->parity == NEITHER ? f->one(-x) : f->parity == ODD ? -want : want);
  }
}

/* A partner that makes the result ordinary: near in size for angles; for powers such that a^b is in range. */
static float partner(const function *f, float x, uint64_t random) {
  double part = (double)(random >> 40) / 0x1p24 * 2 - 1; /* in [-1, 1) */
  if (f->two == atan2) return ldexpf(x, (int)(random % 41) - 20) * (float)(1 + part / 2);
  return (float)(part * 150 / (fabs(log2(fabs((double)x))) + 1e-3));
}

static void judge_two(worker *w, int n) {
  call(w, n);
  for (int i = 0; i < n; i++) note(w, i, w->s->f->two((double)w->x[i], (double)w->y[i]));
}

static void try_two(worker *w, uint64_t first, int n) {
  moire__random random = moire__random_start(17, first);
  for (int i = 0; i < n; i++) {
    float x = float_of((uint32_t)((first + (uint64_t)i) * w->s->stride));
    uint64_t draw = moire__random_bits(&random);
    w->x[i] = draw & 1 ? -x : x;
    w->y[i] = float_of((uint32_t)(draw >> 32));
    w->x[n + i] = w->s->f->two == exact_pow || draw & 2 ? x : -x;
    w->y[n + i] = partner(w->s->f, x, moire__random_bits(&random));
  }
  judge_two(w, 2 * n);
}

static void *work(void *argument) {
  worker *w = argument;
  /* Two arguments: a dense sample of the first. */
  uint64_t stride = w->s->stride * (w->s->f->two ? 31 : 1), n = (((uint64_t)1 << 31) + stride - 1) / stride;
  sweep sampled = {.f = w->s->f, .run = w->s->run, .stride = stride};
  for (;;) {
    uint64_t first = atomic_fetch_add(&w->s->next, CHUNK);
    if (first >= n) return NULL;
    int here = n - first < CHUNK ? (int)(n - first) : CHUNK;
    sweep *whole = w->s;
    if (w->s->f->one) {
      try_one(w, first, here);
    } else {
      w->s = &sampled;
      try_two(w, first, here);
      w->s = whole;
    }
  }
}

/* Every special value against every other; where there is one argument, each is among all. */
static void try_special(worker *w) {
  static const float special[] = {0,         1,        0.5f,     2,          3,        10,
                                  88.5f,     127,      128,      149,        150,      0x1p-149f,
                                  0x1p-126f, 0x1p127f, 3.4e38f,  1e-8f,      0.99999f, 1.00001f,
                                  16777216,  16777215, 33554432, 1.5707963f, INFINITY, NAN};
  enum { N = 2 * sizeof special / sizeof *special };
  for (int i = 0; i < N; i++) {
    for (int j = 0; j < N; j++) {
      w->x[j] = i % 2 ? -special[i / 2] : special[i / 2];
      w->y[j] = j % 2 ? -special[j / 2] : special[j / 2];
    }
    judge_two(w, N);
  }
}

/* ---- running ------------------------------------------------------------------------------------------------
 */

static void stop(const moire_error *error) {
  fprintf(stderr, "math_errors: %s\n", error->message);
  exit(1);
}

static moire_kernel_function compile(moire__jit *jit, const function *f, const moire__target *target) {
  static const char around[] =
      "kernel @sweep <N> (in f32 %%x[N], in f32 %%y[N], out f32 %%r[N]) parallel %%p < 1 {\n"
      "  for %%i = 0 to N vector 32 {\n    %%a = load %%x[%%i] : f32\n    %%b = load %%y[%%i] : f32\n"
      "    %%c = %s : f32\n    store %%r[%%i] = %%c\n  }\n}\n";
  moire__arena arena = {0};
  moire_error error = {0};
  moire_kernel_function run = NULL;
  const char *text = moire__arena_printf(&arena, around, f->call);
  const moire__loop_kernel *k = moire__loop_parse(&arena, text, "math_errors", &error);
  if (!k || !jit || moire__jit_compile(jit, &k, 1, target, NULL, 1, &run, &error)) stop(&error);
  moire__arena_free(&arena);
  return run;
}

static worst find_worst(const function *f, const moire__target *target, uint64_t stride, int n_threads) {
  static worker *workers[MOST_THREADS];
  moire__jit *jit = moire__jit_create(NULL);
  sweep s = {.f = f, .run = compile(jit, f, target), .stride = stride};
  worst all = {.ulps = 0};
  for (int t = 0; t < n_threads; t++) {
    workers[t] = moire__allocate_aligned(sizeof *workers[t], 64);
    workers[t]->s = &s;
    if (t == 0 && f->two) try_special(workers[t]);
    pthread_create(&workers[t]->thread, NULL, work, workers[t]);
  }
  for (int t = 0; t < n_threads; t++) {
    pthread_join(workers[t]->thread, NULL);
    uint64_t n = all.n + workers[t]->worst.n;
    if (workers[t]->worst.ulps > all.ulps) all = workers[t]->worst;
    all.n = n;
    moire__release_aligned(workers[t]);
  }
  moire__jit_destroy(jit);
  return all;
}

int main(int argc, char **argv) {
  uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
  cpu_set_t cpus;
  int n = sched_getaffinity(0, sizeof cpus, &cpus) ? 1 : CPU_COUNT(&cpus), failed = 0;
  moire_error error = {0};
  moire__target target;
  if (moire__target_named(argc > 2 ? argv[2] : "host", &target, &error)) stop(&error);
  if (moire__target_runs_here(&target, &error)) stop(&error);
  printf("target %s, every %llu. value\nfunction   worst ulp  allowed  at                              "
         "arguments\n",
         target.name, (unsigned long long)(stride ? stride : 1));
  for (int i = 0; i < N_FUNCTIONS; i++) {
    const function *f = &functions[i];
    if (argc > 3 && strcmp(argv[3], f->name) != 0) continue;
    worst w = find_worst(f, &target, stride ? stride : 1, n < MOST_THREADS ? n : MOST_THREADS);
    char at[64];
    snprintf(at, sizeof at, f->two ? "%a, %a" : "%a", (double)w.x, (double)w.y);
    printf("%-8s  %10.3f  %7.0f  %-30s  %llu\n", f->name, w.ulps, f->promised, at, (unsigned long long)w.n);
    fflush(stdout);
    failed += !(w.ulps <= f->promised);
  }
  return failed != 0;
}
