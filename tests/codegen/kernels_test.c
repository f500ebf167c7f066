/* Whole kernels, compiled, against the interpreter: control flow, variables, reductions and tiles. */
#include "tests/support/compiled_kernels.h"
#include "tests/support/loop_kernels.h"

#include <criterion/criterion.h>

static const char *const targets[] = {"host", "x86-64-v3", "generic"};
enum { N_TARGETS = 3 };

static const int64_t sizes[][MOIRE_MAX_EXTENTS + 1] = {{0, 1}, {0, 2}, {0, 7}, {0, 33}, {0, 64}, {0, 65}};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static void expect_agreement(const moire__loop_kernel *k, test_compiled_case how) {
  for (int t = 0; t < N_TARGETS; t++) {
    how.target = targets[t];
    if (!test_target_runs(targets[t])) continue;
    if (k->n_extents)
      test_compiled_agrees_for(k, &how, sizes, N_SIZES);
    else
      test_compiled_agrees(k, &how);
  }
}

Test(kernels, hand_built) {
  for (size_t i = 0; i < sizeof test_kernels / sizeof *test_kernels; i++) {
    moire__arena arena = {0};
    expect_agreement(test_kernels[i](&arena), (test_compiled_case){.ulps = 16, .low = 0.1, .high = 2});
    moire__arena_free(&arena);
  }
}

/* c = a b with 6 rows by 32 columns of accumulators, the depth of K and the columns cut off at 50. */
static moire__loop_kernel *tiled_product(moire__arena *arena) {
  enum { ROWS = 6, DEPTH = 19, COLUMNS = 50, TILE = 32 };
  moire__text text = {0};
  moire__text_add(
      &text,
      "kernel @tile <B> (in f32 %%a[%d*B], in f32 %%b[%d], out f32 %%c[%d*B]) parallel %%p < B {\n"
      "  %%row = mul %%p, %d : i64\n  %%out = mul %%p, %d : i64\n"
      "  for %%j0 = 0 to %d step %d {\n    %%j1 = add %%j0, %d : i64\n    %%j2 = min %%j1, %d : i64\n"
      "    for %%j = %%j0 to %%j2 vector %d {\n",
      ROWS * DEPTH, DEPTH * COLUMNS, ROWS * COLUMNS, ROWS * DEPTH, ROWS * COLUMNS, COLUMNS, TILE, TILE, COLUMNS,
      TILE);
  for (int r = 0; r < ROWS; r++) moire__text_add(&text, "      var $%d = 0.0 : f32\n", r + 1);
  moire__text_add(&text,
                  "      for %%k = 0 to %d {\n        %%b0 = mul %%k, %d : i64\n"
                  "        %%b1 = add %%b0, %%j : i64\n        %%b2 = load %%b[%%b1] : f32\n",
                  DEPTH, COLUMNS);
  for (int r = 0; r < ROWS; r++)
    moire__text_add(&text,
                    "        %%a%d.0 = add %%row, %d : i64\n        %%a%d.1 = add %%a%d.0, %%k : i64\n"
                    "        %%a%d.2 = load %%a[%%a%d.1] : f32\n        %%a%d.3 = get $%d : f32\n"
                    "        %%a%d.4 = fma %%a%d.2, %%b2, %%a%d.3 : f32\n        set $%d = %%a%d.4\n",
                    r, r * DEPTH, r, r, r, r, r, r + 1, r, r, r, r + 1, r);
  moire__text_add(&text, "      }\n");
  for (int r = 0; r < ROWS; r++)
    moire__text_add(&text,
                    "      %%c%d.0 = add %%out, %d : i64\n      %%c%d.1 = add %%c%d.0, %%j : i64\n"
                    "      %%c%d.2 = get $%d : f32\n      store %%c[%%c%d.1] = %%c%d.2\n",
                    r, r * COLUMNS, r, r, r, r + 1, r, r);
  moire__text_add(&text, "    }\n  }\n}\n");
  moire__loop_kernel *k = test_kernel_text(arena, "%s", moire__text_string(&text));
  moire__text_free(&text);
  return k;
}

/* Squares from rows of 23 numbers, which need not be a multiple of anything. */
static moire__loop_kernel *squares(moire__arena *arena, int side) {
  return test_kernel_text(arena,
                          "kernel @squares <B> (in f32 %%x[%d*B], out f32 %%y[%d*B]) parallel %%p < B {\n"
                          "  %%from = mul %%p, %d : i64\n  %%to = mul %%p, %d : i64\n"
                          "  turn %%y[%%to] pitch %d = %%x[%%from] pitch 23 side %d\n}\n",
                          23 * side, side * side, 23 * side, side * side, side, side);
}

Test(kernels, squares) {
  for (int side = 4; side <= 16; side *= 2) {
    moire__arena arena = {0};
    expect_agreement(squares(&arena, side), (test_compiled_case){0});
    moire__arena_free(&arena);
  }
}

/* Also of places before and behind a buffer, where nothing may be read. */
Test(kernels, fetches) {
  moire__arena arena = {0};
  moire__loop_kernel *k =
      test_kernel_text(&arena, "kernel @fetches <B> (in f32 %%x[64*B], out f32 %%y[64*B]) parallel %%p < B {\n"
                               "  %%from = mul %%p, 64 : i64\n  %%far = add %%from, 1000000000 : i64\n"
                               "  %%before = sub %%from, 1000000000 : i64\n  fetch %%x[%%far]\n"
                               "  for %%i = 0 to 64 vector 16 {\n    %%at = add %%from, %%i : i64\n"
                               "    %%back = add %%before, %%i : i64\n    fetch %%x[%%back]\n"
                               "    %%v = load %%x[%%at] : f32\n    store %%y[%%at] = %%v\n  }\n}\n");
  expect_agreement(k, (test_compiled_case){0});
  moire__arena_free(&arena);
}

Test(kernels, tiled_product) {
  moire__arena arena = {0};
  expect_agreement(tiled_product(&arena), (test_compiled_case){0});
  moire__arena_free(&arena);
}

/* reduce over `lanes` with each combine, the value changing or the same in all lanes, in a serial loop around
 * and within. */
static moire__loop_kernel *reductions(moire__arena *arena, const char *type, int lanes, const char *start) {
  return test_kernel_text(
      arena,
      "kernel @reduce.%s <B> (in %s %%x[3*B], in %s %%c[1], out %s %%y[5]) parallel %%p < 1 {\n"
      "  var $1 = %s : %s\n  var $2 = %s : %s\n  var $3 = %s : %s\n  var $4 = %s : %s\n  var $5 = %s : %s\n"
      "  %%u = load %%c[0] : %s\n"
      "  for %%k = 0 to 3 {\n    %%o = mul %%k, B : i64\n"
      "    for %%i = 0 to B vector %d {\n"
      "      %%a = add %%o, %%i : i64\n      %%v = load %%x[%%a] : %s\n"
      "      reduce $1 add %%v\n      reduce $3 min %%v\n      reduce $4 max %%v\n"
      "      for %%n = 0 to 2 {\n        reduce $5 add %%u\n      }\n"
      "    }\n  }\n"
      "  for %%j = 0 to 5 vector %d {\n    %%w = load %%x[%%j] : %s\n    reduce $2 mul %%w\n  }\n"
      "  %%1 = get $1 : %s\n  store %%y[0] = %%1\n  %%2 = get $2 : %s\n  store %%y[1] = %%2\n"
      "  %%3 = get $3 : %s\n  store %%y[2] = %%3\n  %%4 = get $4 : %s\n  store %%y[3] = %%4\n"
      "  %%5 = get $5 : %s\n  store %%y[4] = %%5\n}\n",
      type, type, type, type, start, type, start, type, start, type, start, type, start, type, type, lanes,
      type, lanes, type, type, type, type, type, type);
}

Test(kernels, reductions) {
  static const struct {
    const char *type, *start;
  } kinds[] = {{"f32", "1.5"}, {"f64", "1.5_f64"}, {"i32", "3_i32"}, {"i64", "3"}};
  static const int64_t long_enough[][MOIRE_MAX_EXTENTS + 1] = {{0, 2}, {0, 7}, {0, 33}, {0, 64}, {0, 65}};
  for (int i = 0; i < 4; i++) {
    for (int lanes = 4; lanes <= 64; lanes *= 4) {
      moire__arena arena = {0};
      moire__loop_kernel *k = reductions(&arena, kinds[i].type, lanes, kinds[i].start);
      for (int t = 0; t < N_TARGETS; t++) {
        test_compiled_case how = {
            .target = targets[t], .ulps = 256, .low = 0.5, .high = 1.5, .least = -4, .most = 9};
        if (test_target_runs(targets[t])) test_compiled_agrees_for(k, &how, long_enough, 5);
      }
      moire__arena_free(&arena);
    }
  }
}

/* Whether a bool is true in any lane: of whole vectors, of a rest, and of none. */
Test(kernels, any_of_bools) {
  for (int lanes = 4; lanes <= 64; lanes *= 4) {
    moire__arena arena = {0};
    moire__loop_kernel *k = test_kernel_text(
        &arena,
        "kernel @any <B> (in i32 %%x[B], out bool %%y[2*B]) parallel %%p < B {\n"
        "  %%o = add %%p, B : i64\n  %%n = cast %%p : i32\n  var $1 = false : bool\n  var $2 = false : bool\n"
        "  for %%i = 0 to B vector %d {\n"
        "    %%v = load %%x[%%i] : i32\n    %%c = eq %%v, %%n : bool\n    reduce $1 or %%c\n  }\n"
        "  for %%j = 0 to %%p vector %d {\n"
        "    %%w = load %%x[%%j] : i32\n    %%d = eq %%w, %%n : bool\n    reduce $2 or %%d\n  }\n"
        "  %%1 = get $1 : bool\n  store %%y[%%p] = %%1\n  %%2 = get $2 : bool\n  store %%y[%%o] = %%2\n}\n",
        lanes, lanes);
    expect_agreement(k, (test_compiled_case){.least = 0, .most = 40});
    moire__arena_free(&arena);
  }
}

/* A reduction over nothing leaves the variable as it was, even -0 and NaN. */
Test(kernels, empty_reductions) {
  for (int i = 0; i < 2; i++) {
    moire__arena arena = {0};
    moire__loop_kernel *k = test_kernel_text(
        &arena,
        "kernel @empty <B> (in f32 %%x[B], out f32 %%y[3]) parallel %%p < 1 {\n"
        "  var $1 = -0.0 : f32\n  var $2 = nan : f32\n  var $3 = -0.0 : f32\n"
        "  for %%i = %s to %s vector 16 {\n    %%v = load %%x[0] : f32\n"
        "    reduce $1 add %%v\n    reduce $2 max %%v\n    reduce $3 max %%v\n  }\n"
        "  %%1 = get $1 : f32\n  store %%y[0] = %%1\n  %%2 = get $2 : f32\n  store %%y[1] = %%2\n"
        "  %%3 = get $3 : f32\n  store %%y[2] = %%3\n}\n",
        i ? "9" : "B", i ? "5" : "0");
    expect_agreement(k, (test_compiled_case){0});
    moire__arena_free(&arena);
  }
}

/* Branches and serial loops inside a vector loop, variables that are uniform there, that come to vary, and that
 * are reduced into per lane; bool and integer variables. */
Test(kernels, control_flow_in_vector_loops) {
  for (int lanes = 8; lanes <= 32; lanes *= 2) {
    moire__arena arena = {0};
    moire__loop_kernel *k = test_kernel_text(
        &arena,
        "kernel @control <B> (in f32 %%x[B], in i32 %%n[2], out f32 %%y[B], out i64 %%z[B], out bool %%w[B])\n"
        "    parallel %%p < 1 {\n"
        "  %%limit = load %%n[0] : i32\n  %%most = cast %%limit : i64\n  %%big = lt 4_i32, %%limit : bool\n"
        "  for %%i = 0 to B vector %d {\n"
        "    %%v = load %%x[%%i] : f32\n"
        "    var $1 = 0.0 : f32\n    var $2 = 1 : i64\n    var $3 = false : bool\n    var $4 = 2.0 : f32\n"
        "    for %%k = 0 to %%most {\n"
        "      %%s = get $1 : f32\n      %%t = get $4 : f32\n"
        "      reduce $1 add %%v\n      %%d = mul %%t, 0.5 : f32\n      set $4 = %%d\n"
        "      %%c = get $2 : i64\n      %%e = mul %%c, 3 : i64\n      set $2 = %%e\n"
        "      %%b = lt %%s, %%t : bool\n      set $3 = %%b\n"
        "      if %%big {\n        reduce $2 max 50\n        %%g = add %%i, %%k : i64\n        reduce $2 add "
        "%%g\n"
        "      }\n"
        "    }\n"
        "    %%1 = get $1 : f32\n    %%4 = get $4 : f32\n    %%5 = sub %%1, %%4 : f32\n    store %%y[%%i] = "
        "%%5\n"
        "    %%2 = get $2 : i64\n    store %%z[%%i] = %%2\n    %%3 = get $3 : bool\n    store %%w[%%i] = %%3\n"
        "  }\n}\n",
        lanes);
    expect_agreement(k, (test_compiled_case){.least = 0, .most = 8});
    moire__arena_free(&arena);
  }
}

/* Serial loops that do not run, or once, with steps; an `if` around a vector loop; nested parallel pieces. */
Test(kernels, control_flow_outside) {
  moire__arena arena = {0};
  moire__loop_kernel *k = test_kernel_text(
      &arena,
      "kernel @outside <B> (in f32 %%x[B], in i32 %%n[B], out f32 %%y[B]) parallel %%p < ceil(B / 6) {\n"
      "  local f32 %%kept[6]\n"
      "  %%low = mul %%p, 6 : i64\n  %%up = add %%low, 6 : i64\n  %%high = min %%up, B : i64\n"
      "  %%m = sub %%high, %%low : i64\n"
      "  for %%i = %%low to %%high vector 8 {\n    %%a = sub %%i, %%low : i64\n    %%v = load %%x[%%i] : f32\n"
      "    store %%kept[%%a] = %%v\n  }\n"
      "  for %%j = %%low to %%high {\n"
      "    var $1 = 0.25 : f32\n    %%c = load %%n[%%j] : i32\n    %%e = cast %%c : i64\n"
      "    for %%k = %%e to %%m step 2 {\n      %%b = load %%kept[%%k] : f32\n"
      "      %%t = get $1 : f32\n      %%s = sub %%b, %%t : f32\n      set $1 = %%s\n    }\n"
      "    %%z = eq %%c, 3_i32 : bool\n"
      "    if %%z {\n      for %%h = 0 to %%m vector 8 {\n        %%q = load %%kept[%%h] : f32\n"
      "        reduce $1 max %%q\n      }\n    }\n"
      "    %%r = get $1 : f32\n    store %%y[%%j] = %%r\n"
      "  }\n}\n");
  expect_agreement(k, (test_compiled_case){0});
  moire__arena_free(&arena);
}

/* Trip counts that are constant: no full vector, one, several, with and without a rest; and such as are known
 * to divide evenly. */
Test(kernels, constant_trip_counts) {
  static const int counts[] = {1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 50, 64};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    moire__arena arena = {0};
    moire__loop_kernel *k = test_kernel_text(&arena,
                                             "kernel @constant.%d <B> (in f32 %%x[%d*B], out f32 %%y[%d*B])\n"
                                             "    parallel %%p < B {\n"
                                             "  %%low = mul %%p, %d : i64\n  %%high = add %%low, %d : i64\n"
                                             "  for %%i = %%low to %%high vector 16 {\n"
                                             "    %%v = load %%x[%%i] : f32\n    %%w = mul %%v, %%v : f32\n"
                                             "    store %%y[%%i] = %%w\n  }\n"
                                             "  for %%j = %%low to %%high vector 8 {\n"
                                             "    %%t = load %%y[%%j] : f32\n    %%s = sqrt %%t : f32\n"
                                             "    store %%y[%%j] = %%s\n  }\n}\n",
                                             counts[i], counts[i], counts[i], counts[i], counts[i]);
    test_compiled_agrees_for(k, &(test_compiled_case){.target = targets[i % 2]}, sizes, N_SIZES);
    moire__arena_free(&arena);
  }
}
