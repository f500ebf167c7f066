/* Targets, objects, texts and the loader: what is refused, what symbols there are, and that compiling in
 * parallel gives the same code. */
#include "tests/support/compiled_kernels.h"
#include "tests/support/loop_kernels.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

Test(target, host_is_one_of_the_levels) {
  moire__target host = moire__target_host(), named = {0};
  moire_error error = {0};
  cr_assert_eq(moire__target_named(host.name, &named, &error), MOIRE_OK, "%s", error.message);
  cr_assert_str_eq(named.name, host.name);
  cr_assert_str_eq(named.triple, host.triple);
  cr_assert_eq(moire__target_runs_here(&host, &error), MOIRE_OK, "%s", error.message);
  cr_assert(host.vector_bits == 512 || host.vector_bits == 256 || host.vector_bits == 128);
  cr_assert_geq(host.n_vector_registers, 16);
}

Test(target, unknown_names_are_refused) {
  moire__target target = {0};
  moire_error error = {0};
  cr_assert_eq(moire__target_named("skylake", &target, &error), MOIRE_ERROR_ARGUMENT);
  cr_assert_not_null(strstr(error.message, "skylake"));
}

Test(target, a_missing_feature_is_named) {
  moire__target target = {0};
  moire_error error = {0};
  cr_assert_eq(moire__target_named("x86-64-v4", &target, NULL), MOIRE_OK);
  target.features = "+avx2,+madeup,+fma";
  cr_assert_eq(moire__target_runs_here(&target, &error), MOIRE_ERROR_UNSUPPORTED);
  cr_assert_not_null(strstr(error.message, "x86-64-v4"), "%s", error.message);
  const char *x86 = strstr(error.message, "x86-64 ");
  cr_assert(x86 || strstr(error.message, "feature madeup"), "%s", error.message);
  moire__arena arena = {0};
  const moire__loop_kernel *k = test_kernel_affine(&arena);
  moire__jit *jit = moire__jit_create(NULL);
  moire_kernel_function function = NULL;
  cr_assert_eq(moire__jit_compile(jit, &k, 1, &target, NULL, 1, &function, NULL), MOIRE_ERROR_UNSUPPORTED);
  moire__jit_destroy(jit);
  moire__arena_free(&arena);
}

static void make_all(moire__arena *arena, const moire__loop_kernel *kernels[5]) {
  for (int i = 0; i < 5; i++) kernels[i] = test_kernels[i](arena);
}

Test(object, named_levels_compile_anywhere) {
  static const char *const names[] = {"x86-64-v3", "x86-64-v4", "generic"};
  moire__arena arena = {0};
  const moire__loop_kernel *kernels[5];
  make_all(&arena, kernels);
  for (int i = 0; i < 3; i++) {
    moire__target target = {0};
    moire__object object = {0};
    moire_error error = {0};
    cr_assert_eq(moire__target_named(names[i], &target, &error), MOIRE_OK, "%s", error.message);
    cr_assert_eq(moire__codegen_emit_object(kernels, 5, &target, NULL, &object, &error), MOIRE_OK, "%s",
                 error.message);
    cr_assert_gt(object.size, 0);
    moire__object_free(&object);
  }
  moire__arena_free(&arena);
}

Test(object, is_the_same_every_time) {
  moire__arena arena = {0};
  const moire__loop_kernel *kernels[5];
  moire__target target = moire__target_host();
  moire__object first = {0}, second = {0};
  make_all(&arena, kernels);
  cr_assert_eq(moire__codegen_emit_object(kernels, 5, &target, NULL, &first, NULL), MOIRE_OK);
  cr_assert_eq(moire__codegen_emit_object(kernels, 5, &target, NULL, &second, NULL), MOIRE_OK);
  cr_assert_eq(first.size, second.size);
  cr_assert_eq(memcmp(first.bytes, second.bytes, first.size), 0);
  moire__object_free(&first);
  moire__object_free(&second);
  moire__arena_free(&arena);
}

static void expect_words(moire__codegen_text_kind kind, moire__codegen_options options,
                         const char *const *words) {
  moire__arena arena = {0};
  const moire__loop_kernel *k = test_kernel_softmax(&arena);
  moire__target target = {0};
  moire__text text = {0};
  moire_error error = {0};
  moire__target_named("x86-64-v4", &target, NULL);
  cr_assert_eq(moire__codegen_emit_text(&k, 1, &target, &options, kind, &text, &error), MOIRE_OK, "%s",
               error.message);
  for (; *words; words++)
    cr_assert_not_null(strstr(moire__text_string(&text), *words), "no %s in\n%s", *words,
                       moire__text_string(&text));
  moire__text_free(&text);
  moire__arena_free(&arena);
}

Test(object, texts) {
  expect_words(MOIRE__CODEGEN_LLVM, (moire__codegen_options){0},
               (const char *const[]){"define void @moire_kernel_0", "@layers.0.softmax", "alloca", NULL});
  expect_words(MOIRE__CODEGEN_LLVM_OPTIMIZED, (moire__codegen_options){.first_index = 7},
               (const char *const[]){"define void @moire_kernel_7", "<16 x float>", "noalias", NULL});
  expect_words(MOIRE__CODEGEN_ASSEMBLY,
               (moire__codegen_options){.symbols = (const char *const[]){"my_softmax"}},
               (const char *const[]){"my_softmax:", "%zmm", NULL});
  expect_words(
      MOIRE__CODEGEN_LLVM, (moire__codegen_options){.debug_info = true},
      (const char *const[]){"DISubprogram(name: \"layers.0.softmax\"", "line: 41", "models/qia.c", NULL});
}

/* Whether some instruction is at `line` of a file whose name ends with `file`, as assembly has it. */
static bool has_line(const char *assembly, const char *file, int line) {
  int numbers[8] = {0}, n = 0;
  for (const char *at = assembly; (at = strstr(at, "\t.file\t")); at++) {
    const char *end = strchr(at + 1, '\n');
    int number = 0;
    if (sscanf(at, " .file %d", &number) != 1 || !end || n == 8) continue;
    size_t length = strlen(file);
    bool is = (size_t)(end - at) > length && !strncmp(end - 1 - length, file, length);
    if (is) numbers[n++] = number;
  }
  for (const char *at = assembly; (at = strstr(at, "\t.loc\t")); at++) {
    int number = 0, found = 0;
    if (sscanf(at, " .loc %d %d", &number, &found) != 2 || found != line) continue;
    for (int i = 0; i < n; i++) {
      if (numbers[i] == number) return true;
    }
  }
  return false;
}

Test(object, instructions_know_their_lines) {
  const char *text = "kernel @k (in f32 %x[64], out f32 %y[64]) parallel %p < 1 {\n"
                     "  source \"models/a.c\":40\n"
                     "  for %i1 = 0 to 64 vector 16 at \"models/a.c\":41 {\n"
                     "    %v1 = load %x[%i1] : f32 at \"models/a.c\":42\n"
                     "    %v2 = mul %v1, %v1 : f32 at \"models/b.c\":7\n"
                     "    store %y[%i1] = %v2 at \"models/a.c\":43\n"
                     "  }\n"
                     "}\n";
  moire__arena arena = {0};
  moire_error error = {0};
  const moire__loop_kernel *k = moire__loop_parse(&arena, text, "t", &error);
  cr_assert_not_null(k, "%s", error.message);
  moire__target target = {0};
  moire__target_named("x86-64-v3", &target, NULL);
  moire__text with = {0}, without = {0};
  moire__codegen_options options = {.debug_info = true};
  cr_assert_eq(moire__codegen_emit_text(&k, 1, &target, &options, MOIRE__CODEGEN_ASSEMBLY, &with, &error),
               MOIRE_OK, "%s", error.message);
  cr_assert(has_line(with.data, "models/a.c", 42) && has_line(with.data, "models/a.c", 43), "%s", with.data);
  cr_assert(has_line(with.data, "models/b.c", 7), "%s", with.data);
  cr_assert_not(has_line(with.data, "models/b.c", 42));
  cr_assert_eq(moire__codegen_emit_text(&k, 1, &target, NULL, MOIRE__CODEGEN_ASSEMBLY, &without, &error),
               MOIRE_OK);
  cr_assert_null(strstr(without.data, ".loc"));
  moire__text_free(&with);
  moire__text_free(&without);
  moire__arena_free(&arena);
}

/* Runs the affine kernel. */
static void expect_affine(moire_kernel_function function) {
  _Alignas(64) float x[100], y[100] = {0};
  const int64_t extents[] = {0, 2};
  for (int i = 0; i < 100; i++) x[i] = (float)i;
  function((void *[]){x, y}, extents, 0, 2);
  for (int i = 0; i < 100; i++) cr_assert_eq(y[i], 2 * (float)i + 1);
}

Test(jit, several_objects_and_names) {
  moire__arena arena = {0};
  const moire__loop_kernel *k = test_kernel_affine(&arena);
  moire__target target = moire__target_host();
  moire_error error = {0};
  moire__jit *jit = moire__jit_create(&error);
  cr_assert_not_null(jit, "%s", error.message);
  for (int i = 0; i < 3; i++) {
    moire__codegen_options options = {.first_index = 10 * i, .debug_info = i == 1, .no_optimize = i == 2};
    moire_kernel_function function = NULL;
    cr_assert_eq(moire__jit_compile(jit, &k, 1, &target, &options, 1, &function, &error), MOIRE_OK, "%s",
                 error.message);
    expect_affine(function);
  }
  moire_kernel_function again = moire__jit_find(jit, "moire_kernel_10", &error);
  cr_assert_not_null(again, "%s", error.message);
  expect_affine(again);
  cr_assert_null(moire__jit_find(jit, "moire_kernel_11", &error));
  cr_assert_not_null(strstr(error.message, "moire_kernel_11"), "%s", error.message);
  moire__jit_destroy(jit);
  moire__arena_free(&arena);
}

Test(jit, damaged_objects_are_refused) {
  char garbage[] = "this is not an object file, not even nearly";
  moire__object object = {garbage, sizeof garbage};
  moire_error error = {0};
  moire__jit *jit = moire__jit_create(&error);
  bool refused =
      moire__jit_add(jit, &object, &error) != MOIRE_OK || !moire__jit_find(jit, "moire_kernel_0", &error);
  cr_assert(refused);
  cr_assert_neq(error.status, MOIRE_OK);
  moire__jit_destroy(jit);
}

Test(jit, the_same_symbol_twice_is_refused) {
  moire__arena arena = {0};
  const moire__loop_kernel *k = test_kernel_affine(&arena);
  moire__target target = moire__target_host();
  moire_error error = {0};
  moire__jit *jit = moire__jit_create(&error);
  moire_kernel_function function = NULL;
  cr_assert_eq(moire__jit_compile(jit, &k, 1, &target, NULL, 1, &function, &error), MOIRE_OK, "%s",
               error.message);
  cr_assert_neq(moire__jit_compile(jit, &k, 1, &target, NULL, 1, &function, &error), MOIRE_OK);
  cr_assert_not_null(strstr(error.message, "moire_kernel_0"), "%s", error.message);
  moire__jit_destroy(jit);
  moire__arena_free(&arena);
}

Test(jit, any_number_of_threads) {
  moire__arena arena = {0};
  const moire__loop_kernel *kernels[15];
  for (int i = 0; i < 15; i++) kernels[i] = test_kernels[i % 5](&arena);
  moire__target target = moire__target_host();
  for (int n_threads = 1; n_threads <= 17; n_threads += 4) {
    moire_kernel_function functions[15] = {0};
    moire_error error = {0};
    moire__jit *jit = moire__jit_create(&error);
    cr_assert_eq(moire__jit_compile(jit, kernels, 15, &target, NULL, n_threads, functions, &error), MOIRE_OK,
                 "%s", error.message);
    for (int i = 0; i < 15; i += 5) expect_affine(functions[i]);
    for (int i = 1; i < 15; i++) cr_assert_neq(functions[i], functions[i - 1]);
    moire__jit_destroy(jit);
  }
  moire__arena_free(&arena);
}

/* What cannot be compiled is a sentence that names the kernel. */
Test(jit, refusals) {
  static const struct {
    const char *text, *word;
  } cases[] = {
      {"kernel @odd (out f32 %y[9]) parallel %p < 1 {\n  for %i = 0 to 9 vector 3 {\n    store %y[%i] = 1.0\n  "
       "}\n}\n",
       "power of two"},
      {"kernel @wide (out f32 %y[9]) parallel %p < 1 {\n  local f32 %t[9999999]\n  store %y[%p] = 1.0\n}\n",
       "local buffers"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    moire__arena arena = {0};
    const moire__loop_kernel *kernels[] = {test_kernel_affine(&arena),
                                           test_kernel_text(&arena, "%s", cases[i].text)};
    moire__target target = moire__target_host();
    moire__object objects[2];
    moire_error error = {0};
    cr_assert_eq(moire__codegen_compile_parallel(kernels, 2, &target, NULL, 2, objects, &error),
                 MOIRE_ERROR_UNSUPPORTED);
    cr_assert_not_null(strstr(error.message, cases[i].word), "%s", error.message);
    cr_assert_not_null(strstr(error.message, kernels[1]->name), "%s", error.message);
    cr_assert(!objects[0].bytes && !objects[1].bytes);
    moire__arena_free(&arena);
  }
}
