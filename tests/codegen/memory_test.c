/* Loads and stores of compiled kernels: every element type, every form of address, in serial and vector loops,
 * with constant and named trip counts. */
#include "tests/support/compiled_kernels.h"

#include <criterion/criterion.h>

static const char *const targets[] = {"host", "x86-64-v3", "generic"};
static const int all_lanes[] = {1, 8, 16, 64};
static const char *const types[] = {"bool", "i32", "i64", "f32", "f64", "bf16"};
enum { N_TARGETS = 3, N_LANES = 4, N_TYPES = 6 };

static const int64_t trips[][MOIRE_MAX_EXTENTS + 1] = {{0, 1, 3},  {0, 7, 5},  {0, 15, 1}, {0, 16, 2},
                                                       {0, 17, 3}, {0, 64, 2}, {0, 65, 7}};
enum { N_TRIPS = sizeof trips / sizeof *trips };

/* "vector 16", or what makes the loop serial. */
static const char *form(int lanes) {
  return lanes == 8 ? "vector 8" : lanes == 16 ? "vector 16" : lanes == 64 ? "vector 64" : "step 1";
}
static const char *loaded(const char *type) { return type[0] == 'b' && type[1] == 'f' ? "f32" : type; }

/* On every target, for every width: `make` gives the kernel. */
typedef moire__loop_kernel *maker(moire__arena *arena, const char *type, const char *loop);

static void expect_agreement(maker *make, const char *type, test_compiled_case how, bool with_trips) {
  for (int t = 0; t < N_TARGETS; t++) {
    how.target = targets[t];
    for (int l = 0; l < N_LANES; l++) {
      if (!test_target_runs(targets[t]) || (t > 0 && (l + t) % 2 == 0)) continue;
      moire__arena arena = {0};
      moire__loop_kernel *k = make(&arena, type, form(all_lanes[l]));
      if (with_trips)
        test_compiled_agrees_for(k, &how, trips, N_TRIPS);
      else
        test_compiled_agrees(k, &how);
      moire__arena_free(&arena);
    }
  }
}

static moire__loop_kernel *copy(moire__arena *arena, const char *type, const char *loop) {
  return test_kernel_text(
      arena,
      "kernel @copy.%s <N, M> (in %s %%x[N], out %s %%y[N], inout %s %%z[N]) parallel %%p < 1 {\n"
      "  local %s %%row[70]\n"
      "  for %%i = 0 to N %s {\n"
      "    %%a = load %%x[%%i] : %s\n    store %%y[%%i] = %%a\n"
      "    %%b = load %%z[%%i] : %s\n    store %%row[%%i] = %%b\n    store %%z[%%i] = %%a\n"
      "    %%c = load %%row[%%i] : %s\n    store %%z[%%i] = %%c\n"
      "  }\n}\n",
      type, type, type, type, type, loop, loaded(type), loaded(type), loaded(type));
}

Test(memory, every_type_in_order) {
  for (int i = 0; i < N_TYPES; i++) expect_agreement(copy, types[i], (test_compiled_case){.hard = true}, true);
}

/* Rounding to bf16: ties, carries into infinity, NaN. */
static moire__loop_kernel *narrow(moire__arena *arena, const char *type, const char *loop) {
  return test_kernel_text(
      arena,
      "kernel @narrow <N, M> (in i32 %%x[N], out bf16 %%y[N], out %s %%z[N]) parallel %%p < 1 {\n"
      "  for %%i = 0 to N %s {\n"
      "    %%a = load %%x[%%i] : i32\n    %%b = cast %%a : f32\n    store %%y[%%i] = %%b\n"
      "    %%c = mul %%b, 3e38 : f32\n    store %%z[%%i] = %%c\n  }\n}\n",
      type, loop);
}

Test(memory, rounding_to_bf16) {
  expect_agreement(narrow, "bf16", (test_compiled_case){.least = 0xff00, .most = 0x1ff00}, true);
  expect_agreement(narrow, "bf16", (test_compiled_case){.least = -3, .most = 3}, true);
}

/* A transpose: the loads are M apart, the stores in order, and the other way round. M is named. */
static moire__loop_kernel *transpose(moire__arena *arena, const char *type, const char *loop) {
  return test_kernel_text(
      arena,
      "kernel @transpose.%s <N, M> (in %s %%x[300*M], out %s %%y[300*M], out %s %%z[300*M])\n"
      "    parallel %%p < M {\n"
      "  %%row = mul %%p, 65 : i64\n"
      "  for %%i = 0 to N %s {\n"
      "    %%f = mul %%i, M : i64\n    %%from = add %%f, %%p : i64\n"
      "    %%to = add %%row, %%i : i64\n"
      "    %%a = load %%x[%%from] : %s\n    store %%y[%%to] = %%a\n"
      "    %%b = load %%x[%%to] : %s\n    store %%z[%%from] = %%b\n"
      "  }\n}\n",
      type, type, type, type, loop, loaded(type), loaded(type));
}

Test(memory, named_strides) {
  for (int i = 0; i < N_TYPES; i++)
    expect_agreement(transpose, types[i], (test_compiled_case){.hard = true}, true);
}

/* Constant strides 2 and -1, an address that does not depend on the lane, and a constant number of elements. */
static moire__loop_kernel *stride(moire__arena *arena, const char *type, const char *loop) {
  return test_kernel_text(
      arena,
      "kernel @stride.%s (in %s %%x[200], out %s %%y[200], out %s %%z[200]) parallel %%p < 2 {\n"
      "  %%o = mul %%p, 100 : i64\n"
      "  for %%i = 3 to 50 %s {\n"
      "    %%d = mul %%i, 2 : i64\n    %%e = add %%d, %%o : i64\n"
      "    %%a = load %%x[%%e] : %s\n    store %%y[%%e] = %%a\n"
      "    %%f = sub %%e, %%i : i64\n    %%g = sub %%f, %%d : i64\n    %%h = add %%g, 99 : i64\n"
      "    %%b = load %%x[%%h] : %s\n    %%c = load %%x[%%o] : %s\n    %%q = eq %%b, %%c : bool\n"
      "    %%s = select %%q, %%a, %%b : %s\n    store %%z[%%h] = %%s\n"
      "  }\n}\n",
      type, type, type, type, loop, loaded(type), loaded(type), loaded(type), loaded(type));
}

Test(memory, constant_strides) {
  for (int i = 0; i < N_TYPES; i++)
    expect_agreement(stride, types[i], (test_compiled_case){.hard = true}, false);
}

/* Rows that are looked up by number, and written to where another number says. */
static moire__loop_kernel *look_up(moire__arena *arena, const char *type, const char *loop) {
  return test_kernel_text(
      arena,
      "kernel @look_up.%s <N, M> (in i32 %%ids[N], in i64 %%places[N], in %s %%x[30], out %s %%y[N],\n"
      "    out %s %%z[10]) parallel %%p < 1 {\n"
      "  for %%i = 0 to N %s {\n"
      "    %%r = load %%ids[%%i] : i32\n    %%w = cast %%r : i64\n    %%v = mul %%w, 3 : i64\n"
      "    %%u = add %%v, 2 : i64\n    %%a = load %%x[%%u] : %s\n    store %%y[%%i] = %%a\n"
      "    %%t = load %%places[%%i] : i64\n    %%b = load %%x[%%t] : %s\n"
      "    store %%z[%%t] = %%b\n"
      "  }\n}\n",
      type, type, type, type, loop, loaded(type), loaded(type));
}

Test(memory, looked_up_addresses) {
  for (int i = 0; i < N_TYPES; i++)
    expect_agreement(look_up, types[i], (test_compiled_case){.hard = true}, true);
}

/* Row and column of a running index: divisors below, at and above the width, a named one, and one of each
 * lane's own, which must not trap in lanes that do not exist. */
static moire__loop_kernel *divide(moire__arena *arena, const char *divisor, const char *loop) {
  return test_kernel_text(
      arena,
      "kernel @divide <N, M> (in f32 %%x[100], in i64 %%by[N], out f32 %%y[N], out f32 %%u[N],\n"
      "    out i64 %%z[N], out i64 %%w[N]) parallel %%p < 1 {\n"
      "  %%m = load %%by[0] : i64\n"
      "  for %%i = 0 to N %s {\n"
      "    %%j = add %%i, 11 : i64\n"
      "    %%q = div %%j, %s : i64\n    %%r = mod %%j, %s : i64\n"
      "    %%a = load %%x[%%q] : f32\n    %%b = load %%x[%%r] : f32\n"
      "    store %%y[%%i] = %%a\n    store %%u[%%i] = %%b\n"
      "    %%d = load %%by[%%i] : i64\n    %%e = div %%j, %%d : i64\n    %%f = mod %%j, %%d : i64\n"
      "    %%g = mul %%e, 1000 : i64\n    %%h = add %%g, %%f : i64\n    store %%z[%%i] = %%h\n"
      "    %%k = mul %%q, 1000 : i64\n    %%l = add %%k, %%r : i64\n    store %%w[%%i] = %%l\n"
      "  }\n}\n",
      loop, divisor, divisor);
}

Test(memory, divided_indices) {
  static const char *const divisors[] = {"1", "3", "8", "16", "50", "64", "100", "1099511627776", "M", "%m"};
  for (int i = 0; i < (int)(sizeof divisors / sizeof *divisors); i++)
    expect_agreement(divide, divisors[i], (test_compiled_case){.least = 1, .most = 9}, true);
}
