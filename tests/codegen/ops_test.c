/* Every operation of the loop IR, compiled, against the interpreter: in serial loops and in vector loops of
 * several widths, with trip counts around multiples of the width, on each level of the instruction set that
 * this machine has. Arithmetic must agree to the bit, functions within their error. */
#include "tests/support/compiled_kernels.h"

#include <criterion/criterion.h>

static const char *const targets[] = {"host", "x86-64-v3", "generic"};
static const int all_lanes[] = {1, 8, 16, 32, 64};

/* N of each run. */
static const int64_t trips[][MOIRE_MAX_EXTENTS + 1] = {{0, 0},  {0, 1},  {0, 7},  {0, 15}, {0, 16},
                                                       {0, 17}, {0, 63}, {0, 65}, {0, 150}};
enum { N_TRIPS = sizeof trips / sizeof *trips };

typedef struct operation {
  const char *text;   /* of operands %a %b %c */
  const char *result; /* its type; NULL: that of the operands */
} operation;

/* o0[i] = operation 0 of x[i], y[i], z[i]; ... */
static moire__loop_kernel *make(moire__arena *arena, const char *type, const operation *ops, int n, int lanes) {
  moire__text text = {0};
  moire__text_add(&text, "kernel @%s.%d <N> (in %s %%x[N], in %s %%y[N], in %s %%z[N]", type, lanes, type, type,
                  type);
  for (int i = 0; i < n; i++)
    moire__text_add(&text, ", out %s %%o%d[N]", ops[i].result ? ops[i].result : type, i);
  moire__text_add(&text, ") parallel %%p < 1 {\n");
  if (lanes > 1)
    moire__text_add(&text, "  for %%i = 0 to N vector %d {\n", lanes);
  else
    moire__text_add(&text, "  for %%i = 0 to N {\n");
  moire__text_add(&text,
                  "    %%a = load %%x[%%i] : %s\n    %%b = load %%y[%%i] : %s\n    %%c = load %%z[%%i] : %s\n",
                  type, type, type);
  moire__text_add(&text, "    %%d = lt %%a, %%b : bool\n");
  for (int i = 0; i < n; i++) {
    moire__text_add(&text, "    %%r%d = %s : %s\n", i, ops[i].text, ops[i].result ? ops[i].result : type);
    moire__text_add(&text, "    store %%o%d[%%i] = %%r%d\n", i, i);
  }
  moire__text_add(&text, "  }\n}\n");
  moire__loop_kernel *k = test_kernel_text(arena, "%s", moire__text_string(&text));
  moire__text_free(&text);
  return k;
}

/* Which widths are tried on which target: all on the host, fewer elsewhere, since compiling takes the time. */
static bool worth_it(size_t target, size_t lanes) {
  return test_target_runs(targets[target]) && (target == 0 || (lanes + target) % 2 == 0);
}

static void expect_agreement(const char *type, const operation *ops, int n, test_compiled_case how) {
  for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
    how.target = targets[t];
    for (size_t l = 0; l < sizeof all_lanes / sizeof *all_lanes; l++) {
      if (!worth_it(t, l)) continue;
      moire__arena arena = {0};
      moire__loop_kernel *k = make(&arena, type, ops, n, all_lanes[l]);
      test_compiled_agrees_for(k, &how, trips, N_TRIPS);
      moire__arena_free(&arena);
    }
  }
}
#define EXPECT(type, ops, ...)                                                                                 \
  expect_agreement(type, ops, (int)(sizeof(ops) / sizeof *(ops)), (test_compiled_case){__VA_ARGS__})

static const operation on_floats[] = {
    {"add %a, %b", NULL},  {"sub %a, %b", NULL},  {"mul %a, %b", NULL},        {"div %a, %b", NULL},
    {"min %a, %b", NULL},  {"max %a, %b", NULL},  {"fma %a, %b, %c", NULL},    {"neg %a", NULL},
    {"abs %a", NULL},      {"sqrt %a", NULL},     {"floor %a", NULL},          {"eq %a, %b", "bool"},
    {"lt %a, %b", "bool"}, {"le %a, %b", "bool"}, {"select %d, %b, %c", NULL}, {"cast %a", "bool"},
    {"cast %a", "i32"},    {"cast %a", "i64"},    {"cast %a", "f32"},          {"cast %a", "f64"},
};

Test(ops, arithmetic_of_f32) { EXPECT("f32", on_floats, .low = -3e4, .high = 3e4); }
Test(ops, arithmetic_of_hard_f32) { EXPECT("f32", on_floats, .hard = true); }
Test(ops, arithmetic_of_f64) { EXPECT("f64", on_floats, .hard = true); }

static const operation on_integers[] = {
    {"add %a, %b", NULL},  {"sub %a, %b", NULL},        {"mul %a, %b", NULL},
    {"min %a, %b", NULL},  {"max %a, %b", NULL},        {"neg %a", NULL},
    {"abs %a", NULL},      {"eq %a, %b", "bool"},       {"lt %a, %b", "bool"},
    {"le %a, %b", "bool"}, {"select %d, %b, %c", NULL}, {"cast %a", "bool"},
    {"cast %a", "i32"},    {"cast %a", "i64"},          {"cast %a", "f32"},
    {"cast %a", "f64"},
};

Test(ops, arithmetic_of_i32) { EXPECT("i32", on_integers, .least = INT32_MIN, .most = INT32_MAX); }
Test(ops, arithmetic_of_i64) { EXPECT("i64", on_integers, .least = -(1LL << 62), .most = (1LL << 62) - 1); }
Test(ops, arithmetic_of_equal_integers) { EXPECT("i32", on_integers, .least = 0, .most = 1); }

static const operation divisions[] = {{"div %a, %b", NULL}, {"mod %a, %b", NULL}};

Test(ops, division_of_i32) { EXPECT("i32", divisions, .least = 1, .most = INT32_MAX); }
Test(ops, division_of_i64) { EXPECT("i64", divisions, .least = 1, .most = 100); }

static const operation on_bools[] = {
    {"and %d, %e", NULL},          {"or %d, %e", NULL}, {"not %d", NULL},   {"eq %d, %e", NULL},
    {"select %d, %e, %f", NULL},   {"cast %d", "i32"},  {"cast %d", "i64"}, {"cast %d", "f32"},
    {"select %d, 1.5, %g", "f32"}, {"cast %d", "f64"},
};

/* Of bools from memory and bools that were computed. */
Test(ops, bools) {
  for (size_t l = 0; l < sizeof all_lanes / sizeof *all_lanes; l++) {
    moire__arena arena = {0};
    moire__text text = {0};
    int lanes = all_lanes[l], n = (int)(sizeof on_bools / sizeof *on_bools);
    moire__text_add(&text, "kernel @bools <N> (in bool %%x[N], in bool %%y[N], in f32 %%z[N]");
    for (int i = 0; i < n; i++)
      moire__text_add(&text, ", out %s %%o%d[N]", on_bools[i].result ? on_bools[i].result : "bool", i);
    moire__text_add(&text, ") parallel %%p < 1 {\n  for %%i = 0 to N %s %d {\n", lanes > 1 ? "vector" : "step",
                    lanes);
    moire__text_add(&text, "    %%d = load %%x[%%i] : bool\n    %%e = load %%y[%%i] : bool\n"
                           "    %%g = load %%z[%%i] : f32\n    %%f = lt %%g, 0.25 : bool\n");
    for (int i = 0; i < n; i++)
      moire__text_add(&text, "    %%r%d = %s : %s\n    store %%o%d[%%i] = %%r%d\n", i, on_bools[i].text,
                      on_bools[i].result ? on_bools[i].result : "bool", i, i);
    moire__text_add(&text, "  }\n}\n");
    moire__loop_kernel *k = test_kernel_text(&arena, "%s", moire__text_string(&text));
    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
      if (worth_it(t, l))
        test_compiled_agrees_for(k, &(test_compiled_case){.target = targets[t]}, trips, N_TRIPS);
    }
    moire__text_free(&text);
    moire__arena_free(&arena);
  }
}

static const operation functions[] = {
    {"exp %a", NULL},  {"log %a", NULL}, {"sin %a", NULL},       {"cos %a", NULL},
    {"tanh %a", NULL}, {"erf %a", NULL}, {"atan2 %a, %b", NULL},
};
static const operation powers[] = {{"pow %a, %b", NULL}};

Test(ops, functions_of_f32) { EXPECT("f32", functions, .ulps = 4, .low = -20, .high = 20, .hard = true); }
Test(ops, powers_of_f32) { EXPECT("f32", powers, .ulps = 4, .low = 0.01, .high = 40); }

/* Counters that run on, from anywhere and from where blocks begin; some lie beyond 2^32 blocks, and keys that
 * differ over the lanes. */
static void expect_random(const char *op) {
  static const int64_t bases[] = {5, (1LL << 36) + 77, 64, (1LL << 36) + 96, 16, (1LL << 37) + 40};
  for (size_t l = 0; l < sizeof all_lanes / sizeof *all_lanes; l++) {
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
      moire__arena arena = {0};
      moire__loop_kernel *k = test_kernel_text(
          &arena,
          "kernel @%s.%d <N> (in i32 %%rng[3], in i32 %%key[N], out i32 %%y[N], out i32 %%z[N], "
          "out i32 %%w[N])\n    parallel %%p < 1 {\n"
          "  %%low = load %%rng[0] : i32\n  %%high = load %%rng[1] : i32\n"
          "  %%step = load %%rng[2] : i32\n"
          "  for %%i = 0 to N %s %d {\n"
          "    %%e = add %%i, %lld : i64\n    %%k = load %%key[%%i] : i32\n"
          "    %%r = %s %%low, %%high, %%step, 7_i32, %%e : i32\n    store %%y[%%i] = %%r\n"
          "    %%s = %s %%k, %%high, %%k, 9_i32, %%e : i32\n    store %%z[%%i] = %%s\n"
          "    %%t = %s %%low, %%k, %%step, %%k, 3 : i32\n    store %%w[%%i] = %%t\n"
          "  }\n}\n",
          op, all_lanes[l], all_lanes[l] > 1 ? "vector" : "step", all_lanes[l], (long long)bases[i], op, op,
          op);
      test_compiled_case how = {.least = INT32_MIN, .most = INT32_MAX};
      for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
        how.target = targets[t];
        if (worth_it(t, l)) test_compiled_agrees_for(k, &how, trips, N_TRIPS);
      }
      moire__arena_free(&arena);
    }
  }
}

Test(ops, random_words) { expect_random("random"); }
Test(ops, random_bits_of_masks) { expect_random("random16"); }
