/* The verifier of the loop IR: each invariant broken once, and the sentence that says so. */
#include <criterion/criterion.h>

#include "compiler/ir/loop/loop.h"

#include <stdio.h>
#include <string.h>

/* ---- what text can say ----------------------------------------------------------------------------------- */

static const char head[] = "kernel @k <B> (in f32 %x[B], out f32 %y[B], out bf16 %h[B], inout bool %m[B])\n"
                           "  parallel %p < B {\n  local i32 %t[4]\n";

static const char *const good[] = {
    "%a = load %x[%p] : f32 store %h[%p] = %a %b = load %h[%p] : f32 store %y[%p] = %b",
    "%a = load %m[%p] : bool if %a { store %m[%p] = false }",
    "for %i = 0 to B vector 64 { var $s = 0.0 : f32 for %j = 0 to 4 { set $s = 1.0 } %s = get $s : f32 "
    "store %y[%i] = %s }",
    "var $s = 0.0 : f32 for %i = 0 to B vector 4 { %a = load %x[%i] : f32 reduce $s add %a reduce $s add 1.0 }",
    "for %i = 0 to B step 4 { %h = add %i, 4 : i64 for %j = %i to %h { store %y[%j] = 0.0 } }",
    "for %i = 0 to B vector 4 { %a = load %t[0] : i32 %b = cast %a : i64 for %j = 0 to %b { } }",
    "turn %y[0] pitch 4 = %x[%p] pitch B side 4",
    "fetch %x[%p] for %i = 0 to B vector 4 { fetch %y[%i] store %y[%i] = 0.0 }",
};

static const struct {
  const char *body, *sentence;
} refused[] = {
    {"if true { %a = neg 1.0 : f32 } store %y[0] = %a", "`store %y[0] = %v1`: the value is not visible here"},
    {"for %i = 0 to 4 { } store %y[%i] = 1.0", "`store %y[%i1] = 1.0`: the address is not visible here"},
    {"if true { var $s = 0.0 : f32 } %a = get $s : f32",
     "`%v1 = get $1 : f32`: the variable is not visible here"},
    {"%a = load %x[1_i32] : f32", "`%v1 = load %x[1_i32] : f32`: the address is i32, not i64"},
    {"store %y[1.0] = 1.0", "`store %y[1.0] = 1.0`: the address is f32, not i64"},
    {"fetch %y[1.0]", "`fetch %y[1.0]`: the address is f32, not i64"},
    {"store %x[%p] = 1.0", "`store %x[%p] = 1.0`: %x is an `in` buffer"},
    {"store %y[%p] = 1", "`store %y[%p] = 1`: the value is i64, not f32"},
    {"store %h[%p] = 1.0_f64", "`store %h[%p] = 1.0_f64`: the value is f64, not f32"},
    {"store %m[%p] = 1_i32", "`store %m[%p] = 1_i32`: the value is i32, not bool"},
    {"%a = cast %p : bf16", "`%v1 = cast %p : bf16`: cast of (i64) cannot give bf16"},
    {"var $s = 0.0 : f32 set $s = 1", "`set $1 = 1`: the value is i64, not f32"},
    {"var $s = 0.0 : f32 reduce $s add 1", "`reduce $1 add 1`: the value is i64, not f32"},
    {"var $s = true : bool reduce $s max true", "`reduce $1 max true`: bools are combined by or, not by max"},
    {"var $s = 0.0 : f32 reduce $s sub 1.0",
     "`reduce $1 sub 1.0`: numbers are combined by add, mul, min or max, not by sub"},
    {"var $s = 0 : i64 reduce $s or 1",
     "`reduce $1 or 1`: numbers are combined by add, mul, min or max, not by or"},
    {"turn %x[0] pitch 4 = %y[0] pitch 4 side 4",
     "`turn %x[0] pitch 4 = %y[0] pitch 4 side 4`: %x is an `in` buffer"},
    {"turn %y[0] pitch 4 = %x[0] pitch 4 side 5",
     "`turn %y[0] pitch 4 = %x[0] pitch 4 side 5`: its side is not 4, 8 or 16"},
    {"turn %y[0] pitch 7 = %x[0] pitch 4 side 8",
     "`turn %y[0] pitch 7 = %x[0] pitch 4 side 8`: the rows overlap"},
    {"turn %y[0] pitch 4 = %y[64] pitch 4 side 4",
     "`turn %y[0] pitch 4 = %y[64] pitch 4 side 4`: it turns a buffer into itself"},
    {"turn %h[0] pitch 4 = %x[0] pitch 4 side 4", "`turn %h[0] pitch 4 = %x[0] pitch 4 side 4`: %h is bf16"},
    {"turn %y[0] pitch 4 = %x[0] pitch 4_i32 side 4",
     "`turn %y[0] pitch 4 = %x[0] pitch 4_i32 side 4`: the pitch is i32, not i64"},
    {"for %i = 0 to 4 vector 4 { turn %y[0] pitch 4 = %x[0] pitch 4 side 4 }",
     "`turn %y[0] pitch 4 = %x[0] pitch 4 side 4`: a square is turned in a vector loop"},
    {"if 1 { }", "`if 1`: the condition is i64, not bool"},
    {"for %i = 0_i32 to 4 { }", "`for %i1 = 0_i32 to 4`: the lower bound is i32, not i64"},
    {"for %i = 0 to 4.0 { }", "`for %i1 = 0 to 4.0`: the upper bound is f32, not i64"},
    {"for %i = 0 to 4 step 0 { }", "`for %i1 = 0 to 4 step 0`: its step is not positive"},
    {"for %i = 0 to 4 step -1 { }", "`for %i1 = 0 to 4 step -1`: its step is not positive"},
    {"for %i = 0 to 4 vector 3 { }",
     "`for %i1 = 0 to 4 vector 3`: 3 lanes are not a power of two from 1 to 64"},
    {"for %i = 0 to 4 vector 128 { }",
     "`for %i1 = 0 to 4 vector 128`: 128 lanes are not a power of two from 1 to 64"},
    {"for %i = 0 to 4 vector 0 { }",
     "`for %i1 = 0 to 4 vector 0`: 0 lanes are not a power of two from 1 to 64"},
    {"for %i = 0 to 4 step 2 vector 4 { }", "`for %i1 = 0 to 4 step 2 vector 4`: a vector loop has step 1"},
    {"for %i = 0 to 4 vector 4 { for %j = 0 to 4 { for %l = 0 to 4 vector 4 { } } }",
     "`for %i3 = 0 to 4 vector 4`: a vector loop inside a vector loop"},
    {"for %i = 0 to 4 vector 4 { %a = add %i, 1 : i64 for %j = 0 to %a { } }",
     "`for %i2 = 0 to %v1`: the upper bound varies over the lanes of a vector loop"},
    {"for %i = 0 to 4 vector 4 { for %j = %i to 4 { } }",
     "`for %i2 = %i1 to 4`: the lower bound varies over the lanes of a vector loop"},
    {"for %i = 0 to 4 vector 4 { %a = load %m[%i] : bool if %a { } }",
     "`if %v1`: the condition varies over the lanes of a vector loop"},
    {"for %i = 0 to 4 vector 4 { var $s = true : bool %a = get $s : bool if %a { } }",
     "`if %v1`: the condition varies over the lanes of a vector loop"},
    {"for %i = 0 to 4 vector 4 { store %y[%p] = 1.0 }",
     "`store %y[%p] = 1.0`: all lanes of a vector loop store to one address"},
    {"var $s = 0.0 : f32 for %i = 0 to 4 vector 4 { set $s = 1.0 }",
     "`set $1 = 1.0`: a vector loop sets a variable that was declared outside"},
    {"var $s = 0.0 : f32 for %i = 0 to 4 vector 4 { %a = get $s : f32 }",
     "`%v1 = get $1 : f32`: a vector loop reads a variable that was declared outside"},
    {"var $s = 0.0 : f32 for %i = 0 to 4 vector 4 { reduce $s add 1.0 reduce $s max 1.0 }",
     "`reduce $1 max 1.0`: the same vector loop reduces the variable by add"},
};

static moire__loop_kernel *read_body(moire__arena *arena, const char *body, moire_error *error) {
  char text[1000];
  snprintf(text, sizeof text, "%s%s\n}", head, body);
  return moire__loop_parse(arena, text, "t", error);
}

Test(loop_verify, good_kernels_pass) {
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    moire__arena arena = {0};
    moire_error error = {0};
    moire__loop_kernel *k = read_body(&arena, good[i], &error);
    cr_assert_not_null(k, "%s", error.message);
    cr_assert_eq(moire__loop_verify(k, &error), MOIRE_OK, "%s", error.message);
    moire__arena_free(&arena);
  }
}

Test(loop_verify, each_broken_invariant_is_a_sentence) {
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    moire__arena arena = {0};
    moire_error error = {0};
    char want[400];
    moire__loop_kernel *k = read_body(&arena, refused[i].body, &error);
    cr_assert_not_null(k, "%s", error.message);
    snprintf(want, sizeof want, "kernel @k: %s", refused[i].sentence);
    cr_expect_eq(moire__loop_verify(k, &error), MOIRE_ERROR_INTERNAL);
    cr_expect_str_eq(error.message, want, "%s\nwant %s", error.message, want);
    moire__arena_free(&arena);
  }
}

/* ---- what only a kernel in memory can be ----------------------------------------------------------------- */

typedef struct fixture {
  moire__loop_kernel *kernel;
  moire__loop_builder b;
  moire__loop_buffer x;
  moire__loop_value sum, one;
} fixture;

/* %v1 = add %p, 5: then one thing is broken by hand. */
static fixture start(moire__arena *arena) {
  fixture f = {.kernel = moire__loop_kernel_create(arena, "k", NULL)};
  f.x = moire__loop_add_parameter(f.kernel, "x", MOIRE__BUFFER_INOUT, MOIRE__LOOP_F32, 8);
  moire__loop_add_local(f.kernel, "t", MOIRE__LOOP_F32, 8);
  f.b = moire__loop_begin(f.kernel, 8, 1);
  f.sum = moire__loop_binary(&f.b, MOIRE__LOOP_add, f.kernel->parallel, moire__loop_index(&f.b, 5));
  f.one = moire__loop_const(&f.b, MOIRE__LOOP_F32, 1);
  return f;
}

static void expect_refused(moire__arena *arena, const moire__loop_kernel *k, const char *sentence) {
  moire_error error = {0};
  char want[400];
  moire__text text = {0};
  snprintf(want, sizeof want, "kernel @k: %s", sentence);
  cr_expect_eq(moire__loop_verify(k, &error), MOIRE_ERROR_INTERNAL);
  cr_expect_str_eq(error.message, want, "%s\nwant %s", error.message, want);
  moire__loop_print(k, &text); /* whatever it is, it prints */
  moire__text_free(&text);
  moire__arena_free(arena);
}

Test(loop_verify, operands_that_do_not_exist) {
  moire__arena arena = {0};
  fixture f = start(&arena);
  f.kernel->values[f.sum].operands[1] = 1000;
  expect_refused(&arena, f.kernel,
                 "`%v1 = add %p, %?1000 : i64`: the operand is value 1000, which does not exist");
}

Test(loop_verify, types_that_do_not_fit) {
  moire__arena arena = {0};
  fixture f = start(&arena);
  moire__loop_binary(&f.b, MOIRE__LOOP_add, f.sum, f.one);
  expect_refused(&arena, f.kernel, "`%v2 = add %v1, 1.0 : void`: add of (i64, f32) cannot give void");
}

Test(loop_verify, a_wrong_result_type) {
  moire__arena arena = {0};
  fixture f = start(&arena);
  f.kernel->values[f.sum].type = MOIRE__LOOP_I32;
  expect_refused(&arena, f.kernel, "`%v1 = add %p, 5 : i32`: add of (i64, i64) cannot give i32");
}

Test(loop_verify, a_wrong_number_of_operands) {
  moire__arena arena = {0};
  fixture f = start(&arena);
  f.kernel->values[f.sum].n_operands = 1;
  expect_refused(&arena, f.kernel, "`%v1 = add %p : i64`: it has 1 operands, not 2");
}

Test(loop_verify, a_constant_beyond_its_type) {
  moire__arena arena = {0};
  fixture f = start(&arena);
  moire__loop_value yes = moire__loop_const(&f.b, MOIRE__LOOP_BOOL, 1);
  moire__loop_if(&f.b, yes);
  f.kernel->values[yes].integer = 2;
  expect_refused(&arena, f.kernel, "`if true`: the condition is no constant of its type");
}

Test(loop_verify, an_extent_that_does_not_exist) {
  moire__arena arena = {0};
  fixture f = start(&arena);
  moire__loop_unary(&f.b, MOIRE__LOOP_neg, moire__loop_extent(&f.b, moire__dim_make(2, 3)));
  expect_refused(&arena, f.kernel, "`%v2 = neg 2*?3 : i64`: the operand is no constant of its type");
}

Test(loop_verify, a_let_of_a_constant) {
  moire__arena arena = {0};
  fixture f = start(&arena);
  f.kernel->body->value = f.one;
  expect_refused(&arena, f.kernel,
                 "`%v1 = const : f32`: a constant, an extent or a loop's variable has no let");
}

Test(loop_verify, a_value_with_two_statements) {
  moire__arena arena = {0};
  fixture f = start(&arena);
  moire__loop_unary(&f.b, MOIRE__LOOP_neg, f.sum);
  f.kernel->body->next->value = f.sum;
  expect_refused(&arena, f.kernel, "`%v2 = add %p, 5 : i64`: the value has a second statement");
}

Test(loop_verify, a_variable_declared_twice) {
  moire__arena arena = {0};
  fixture f = start(&arena);
  moire__loop_var var = moire__loop_declare(&f.b, f.one);
  moire__loop_declare(&f.b, f.one);
  f.kernel->body->next->next->var = var;
  expect_refused(&arena, f.kernel, "`var $2 = 1.0 : f32`: the variable is declared twice");
}

Test(loop_verify, a_variable_of_a_storage_type) {
  moire__arena arena = {0};
  fixture f = start(&arena);
  f.kernel->vars[moire__loop_declare(&f.b, f.one)].type = MOIRE__LOOP_BF16;
  expect_refused(&arena, f.kernel, "`var $1 = 1.0 : bf16`: a variable cannot be bf16");
}

Test(loop_verify, one_index_of_two_loops) {
  moire__arena arena = {0};
  fixture f = start(&arena);
  moire__loop_for(&f.b, moire__loop_index(&f.b, 0), f.sum, 1, 1);
  f.kernel->body->next->value = f.kernel->parallel;
  expect_refused(&arena, f.kernel, "`for %p = 0 to %v1`: its variable is that of another loop");
}

Test(loop_verify, a_loop_over_no_index) {
  moire__arena arena = {0};
  fixture f = start(&arena);
  moire__loop_for(&f.b, moire__loop_index(&f.b, 0), f.sum, 1, 1);
  f.kernel->body->next->value = f.one;
  expect_refused(&arena, f.kernel, "`for %v1 = 0 to %v1`: its variable is not an index");
}

Test(loop_verify, buffers_and_variables_that_do_not_exist) {
  moire__arena arena = {0};
  fixture f = start(&arena);
  moire__loop_store(&f.b, f.x, f.sum, f.one);
  f.kernel->body->next->buffer = 9;
  expect_refused(&arena, f.kernel, "`store %?9[%v1] = 1.0`: buffer 9 does not exist");
  arena = (moire__arena){0};
  f = start(&arena);
  moire__loop_set(&f.b, moire__loop_declare(&f.b, f.one), f.one);
  f.kernel->body->next->next->var = 9;
  expect_refused(&arena, f.kernel, "`set $?9 = 1.0`: variable 9 does not exist");
}

Test(loop_verify, heads) {
  moire__arena arena = {0};
  fixture f = start(&arena);
  f.kernel->block = 0;
  expect_refused(&arena, f.kernel, "its parallel extent does not exist");
  arena = (moire__arena){0};
  f = start(&arena);
  f.kernel->buffers[f.x].elements = moire__dim_make(1, 4);
  expect_refused(&arena, f.kernel, "the size of %x does not exist");
  arena = (moire__arena){0};
  f = start(&arena);
  f.kernel->buffers[f.x].type = MOIRE__LOOP_VOID;
  expect_refused(&arena, f.kernel, "%x has no element type");
  arena = (moire__arena){0};
  f = start(&arena);
  f.kernel->buffers[f.x].role = MOIRE__BUFFER_LOCAL;
  expect_refused(&arena, f.kernel, "%x: parameters come before locals");
  arena = (moire__arena){0};
  f = start(&arena);
  f.kernel->buffers[f.x + 1].name = "x";
  expect_refused(&arena, f.kernel, "two buffers are %x");
  arena = (moire__arena){0};
  f = start(&arena);
  f.kernel->parallel = f.one;
  expect_refused(&arena, f.kernel, "it has no parallel index");
}
