/* The builder of the loop IR: what folds, what is shared, and what is left as it was written. */
#include <criterion/criterion.h>

#include "compiler/ir/loop/loop.h"

#include <math.h>

typedef struct fixture {
  moire__arena arena;
  moire__loop_kernel *kernel;
  moire__loop_builder b;
  moire__loop_value p; /* some value that is not constant */
} fixture;

static fixture start(void) {
  fixture f = {0};
  moire__arena *arena = moire__allocate(sizeof *arena); /* stays where it is when the fixture is copied */
  f.kernel = moire__loop_kernel_create(arena, "test", NULL);
  f.b = moire__loop_begin(f.kernel, 100, 1);
  f.p = f.kernel->parallel;
  return f;
}

static void stop(fixture *f) {
  moire__arena *arena = f->kernel->arena;
  moire__arena_free(arena);
  moire__release(arena);
}

static moire__loop_value binary(fixture *f, moire__loop_op op, moire__loop_value x, int64_t y) {
  return moire__loop_binary(&f->b, op, x, moire__loop_index(&f->b, y));
}

static void expect_constant(const fixture *f, moire__loop_value v, moire__loop_type type, int64_t value) {
  cr_assert_eq(f->kernel->values[v].op, MOIRE__LOOP_const);
  cr_assert_eq(f->kernel->values[v].type, type);
  cr_assert_eq(f->kernel->values[v].integer, value, "%lld", (long long)f->kernel->values[v].integer);
}

/* v = op(x, c), an instruction. */
static void expect_operation(const fixture *f, moire__loop_value v, moire__loop_op op, moire__loop_value x,
                             int64_t c) {
  const moire__loop_value_info *info = &f->kernel->values[v];
  cr_assert_eq(info->op, op, "%s", moire__loop_op_name(info->op));
  cr_assert_eq(info->operands[0], x);
  expect_constant(f, info->operands[1], MOIRE__LOOP_I64, c);
}

Test(loop_build, constants_are_shared_by_type_and_bits) {
  fixture f = start();
  cr_assert_eq(moire__loop_index(&f.b, 7), moire__loop_index(&f.b, 7));
  cr_assert_eq(moire__loop_index(&f.b, 7), moire__loop_const(&f.b, MOIRE__LOOP_I64, 7));
  cr_assert_neq(moire__loop_index(&f.b, 7), moire__loop_const(&f.b, MOIRE__LOOP_I32, 7));
  cr_assert_eq(moire__loop_const(&f.b, MOIRE__LOOP_F32, 0.1), moire__loop_const(&f.b, MOIRE__LOOP_F32, 0.1));
  cr_assert_neq(moire__loop_const(&f.b, MOIRE__LOOP_F32, 0.1), moire__loop_const(&f.b, MOIRE__LOOP_F64, 0.1));
  cr_assert_neq(moire__loop_const(&f.b, MOIRE__LOOP_F32, 0), moire__loop_const(&f.b, MOIRE__LOOP_F32, -0.0));
  cr_assert_eq(moire__loop_const(&f.b, MOIRE__LOOP_F32, (double)NAN),
               moire__loop_const(&f.b, MOIRE__LOOP_F32, -(double)NAN));
  cr_assert_eq(moire__loop_extent(&f.b, 12), moire__loop_index(&f.b, 12));
  cr_assert_eq(moire__loop_extent(&f.b, moire__dim_make(0, 1)), moire__loop_index(&f.b, 0));
  cr_assert_eq(moire__loop_extent(&f.b, moire__dim_make(5, 1)),
               moire__loop_extent(&f.b, moire__dim_make(5, 1)));
  cr_assert_null(f.kernel->body);
  stop(&f);
}

Test(loop_build, many_constants_keep_their_values) {
  fixture f = start();
  moire__loop_value first[1000];
  for (int i = 0; i < 1000; i++) first[i] = moire__loop_index(&f.b, i * 64 - 300);
  for (int i = 0; i < 1000; i++) {
    cr_assert_eq(moire__loop_index(&f.b, i * 64 - 300), first[i]);
    expect_constant(&f, first[i], MOIRE__LOOP_I64, i * 64 - 300);
  }
  stop(&f);
}

Test(loop_build, integer_constants_are_computed) {
  static const struct {
    moire__loop_op op;
    int64_t x, y, result;
    moire__loop_type type;
  } cases[] = {{MOIRE__LOOP_add, 5, -8, -3, MOIRE__LOOP_I64},  {MOIRE__LOOP_sub, 5, 8, -3, MOIRE__LOOP_I64},
               {MOIRE__LOOP_mul, 5, -8, -40, MOIRE__LOOP_I64}, {MOIRE__LOOP_div, 17, 5, 3, MOIRE__LOOP_I64},
               {MOIRE__LOOP_mod, 17, 5, 2, MOIRE__LOOP_I64},   {MOIRE__LOOP_min, 17, 5, 5, MOIRE__LOOP_I64},
               {MOIRE__LOOP_max, 17, 5, 17, MOIRE__LOOP_I64},  {MOIRE__LOOP_lt, 4, 5, 1, MOIRE__LOOP_BOOL},
               {MOIRE__LOOP_le, 6, 5, 0, MOIRE__LOOP_BOOL},    {MOIRE__LOOP_eq, 5, 5, 1, MOIRE__LOOP_BOOL}};
  fixture f = start();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    moire__loop_value v = binary(&f, cases[i].op, moire__loop_index(&f.b, cases[i].x), cases[i].y);
    expect_constant(&f, v, cases[i].type, cases[i].result);
  }
  expect_constant(&f, moire__loop_unary(&f.b, MOIRE__LOOP_neg, moire__loop_index(&f.b, 9)), MOIRE__LOOP_I64,
                  -9);
  cr_assert_null(f.kernel->body);
  stop(&f);
}

Test(loop_build, what_does_not_exist_or_fit_is_not_computed) {
  fixture f = start();
  moire__loop_value most = moire__loop_index(&f.b, INT64_MAX);
  expect_operation(&f, binary(&f, MOIRE__LOOP_add, most, 1), MOIRE__LOOP_add, most, 1);
  expect_operation(&f, binary(&f, MOIRE__LOOP_mul, most, 2), MOIRE__LOOP_mul, most, 2);
  moire__loop_value five = moire__loop_index(&f.b, 5), minus = moire__loop_index(&f.b, -5);
  expect_operation(&f, binary(&f, MOIRE__LOOP_div, five, 0), MOIRE__LOOP_div, five, 0);
  expect_operation(&f, binary(&f, MOIRE__LOOP_mod, minus, 3), MOIRE__LOOP_mod, minus, 3);
  expect_operation(&f, binary(&f, MOIRE__LOOP_sub, f.p, INT64_MIN), MOIRE__LOOP_sub, f.p, INT64_MIN);
  moire__loop_value big = moire__loop_const(&f.b, MOIRE__LOOP_I32, INT32_MAX);
  moire__loop_value sum = moire__loop_binary(&f.b, MOIRE__LOOP_add, big, big);
  cr_assert_eq(f.kernel->values[sum].op, MOIRE__LOOP_add);
  stop(&f);
}

Test(loop_build, neutral_elements_drop_out) {
  fixture f = start();
  cr_assert_eq(binary(&f, MOIRE__LOOP_add, f.p, 0), f.p);
  cr_assert_eq(moire__loop_binary(&f.b, MOIRE__LOOP_add, moire__loop_index(&f.b, 0), f.p), f.p);
  cr_assert_eq(binary(&f, MOIRE__LOOP_sub, f.p, 0), f.p);
  cr_assert_eq(binary(&f, MOIRE__LOOP_mul, f.p, 1), f.p);
  cr_assert_eq(moire__loop_binary(&f.b, MOIRE__LOOP_mul, moire__loop_index(&f.b, 1), f.p), f.p);
  cr_assert_eq(binary(&f, MOIRE__LOOP_div, f.p, 1), f.p);
  cr_assert_eq(moire__loop_binary(&f.b, MOIRE__LOOP_max, f.p, f.p), f.p);
  expect_constant(&f, binary(&f, MOIRE__LOOP_mul, f.p, 0), MOIRE__LOOP_I64, 0);
  expect_constant(&f, binary(&f, MOIRE__LOOP_mod, f.p, 1), MOIRE__LOOP_I64, 0);
  expect_constant(&f, moire__loop_binary(&f.b, MOIRE__LOOP_sub, f.p, f.p), MOIRE__LOOP_I64, 0);
  cr_assert_null(f.kernel->body);
  stop(&f);
}

Test(loop_build, constants_of_a_chain_are_joined) {
  fixture f = start();
  moire__loop_value v = binary(&f, MOIRE__LOOP_add, binary(&f, MOIRE__LOOP_add, f.p, 5), 7);
  expect_operation(&f, v, MOIRE__LOOP_add, f.p, 12);
  v = binary(&f, MOIRE__LOOP_sub, moire__loop_binary(&f.b, MOIRE__LOOP_add, moire__loop_index(&f.b, 5), f.p),
             7);
  expect_operation(&f, v, MOIRE__LOOP_add, f.p, -2);
  cr_assert_eq(binary(&f, MOIRE__LOOP_sub, binary(&f, MOIRE__LOOP_add, f.p, 5), 5), f.p);
  v = binary(&f, MOIRE__LOOP_mul, binary(&f, MOIRE__LOOP_mul, f.p, 5), 7);
  expect_operation(&f, v, MOIRE__LOOP_mul, f.p, 35);
  stop(&f);
}

Test(loop_build, bools_and_casts_of_constants_fold) {
  fixture f = start();
  moire__loop_value yes = moire__loop_const(&f.b, MOIRE__LOOP_BOOL, 1);
  moire__loop_value no = moire__loop_const(&f.b, MOIRE__LOOP_BOOL, 0);
  moire__loop_value some = binary(&f, MOIRE__LOOP_lt, f.p, 3);
  cr_assert_eq(moire__loop_binary(&f.b, MOIRE__LOOP_and, some, yes), some);
  cr_assert_eq(moire__loop_binary(&f.b, MOIRE__LOOP_and, no, some), no);
  cr_assert_eq(moire__loop_binary(&f.b, MOIRE__LOOP_or, yes, some), yes);
  cr_assert_eq(moire__loop_binary(&f.b, MOIRE__LOOP_or, some, no), some);
  cr_assert_eq(moire__loop_unary(&f.b, MOIRE__LOOP_not, yes), no);
  cr_assert_eq(moire__loop_ternary(&f.b, MOIRE__LOOP_select, no, yes, some), some);
  moire__loop_value seven = moire__loop_index(&f.b, 7);
  cr_assert_eq(moire__loop_cast(&f.b, seven, MOIRE__LOOP_F32), moire__loop_const(&f.b, MOIRE__LOOP_F32, 7));
  cr_assert_eq(moire__loop_cast(&f.b, seven, MOIRE__LOOP_I32), moire__loop_const(&f.b, MOIRE__LOOP_I32, 7));
  cr_assert_eq(moire__loop_cast(&f.b, seven, MOIRE__LOOP_BOOL), yes);
  cr_assert_eq(moire__loop_cast(&f.b, f.p, MOIRE__LOOP_I64), f.p);
  moire__loop_value wide = moire__loop_cast(&f.b, moire__loop_index(&f.b, (int64_t)1 << 40), MOIRE__LOOP_I32);
  cr_assert_eq(f.kernel->values[wide].op, MOIRE__LOOP_cast);
  stop(&f);
}

Test(loop_build, floats_are_left_as_written) {
  fixture f = start();
  moire__loop_value zero = moire__loop_const(&f.b, MOIRE__LOOP_F32, 0);
  moire__loop_value third = moire__loop_const(&f.b, MOIRE__LOOP_F32, 1.0 / 3);
  moire__loop_value sum = moire__loop_binary(&f.b, MOIRE__LOOP_add, third, zero);
  cr_assert_eq(f.kernel->values[sum].op, MOIRE__LOOP_add);
  moire__loop_value wide = moire__loop_cast(&f.b, third, MOIRE__LOOP_F64);
  cr_assert_eq(f.kernel->values[wide].op, MOIRE__LOOP_cast);
  stop(&f);
}

Test(loop_build, results_have_types_and_wrong_ones_are_void) {
  fixture f = start();
  moire__loop_value x = moire__loop_const(&f.b, MOIRE__LOOP_F32, 3);
  cr_assert_eq(moire__loop_type_of(&f.b, moire__loop_binary(&f.b, MOIRE__LOOP_mul, x, x)), MOIRE__LOOP_F32);
  cr_assert_eq(moire__loop_type_of(&f.b, moire__loop_binary(&f.b, MOIRE__LOOP_lt, x, x)), MOIRE__LOOP_BOOL);
  cr_assert_eq(moire__loop_type_of(&f.b, moire__loop_binary(&f.b, MOIRE__LOOP_add, x, f.p)), MOIRE__LOOP_VOID);
  cr_assert_eq(moire__loop_type_of(&f.b, moire__loop_binary(&f.b, MOIRE__LOOP_mod, x, x)), MOIRE__LOOP_VOID);
  cr_assert_eq(moire__loop_type_of(&f.b, moire__loop_unary(&f.b, MOIRE__LOOP_sqrt, f.p)), MOIRE__LOOP_VOID);
  stop(&f);
}

Test(loop_build, buffers_get_names_of_their_own) {
  fixture f = start();
  moire__loop_buffer a = moire__loop_add_parameter(f.kernel, "x", MOIRE__BUFFER_IN, MOIRE__LOOP_BF16, 8);
  moire__loop_buffer b = moire__loop_add_parameter(f.kernel, "x", MOIRE__BUFFER_OUT, MOIRE__LOOP_F32, 8);
  moire__loop_buffer c = moire__loop_add_local(f.kernel, "x", MOIRE__LOOP_F32, 8);
  cr_assert_str_eq(f.kernel->buffers[a].name, "x");
  cr_assert_str_eq(f.kernel->buffers[b].name, "x_2");
  cr_assert_str_eq(f.kernel->buffers[c].name, "x_3");
  cr_assert_eq(f.kernel->n_parameters, 2);
  cr_assert_eq(moire__loop_type_of(&f.b, moire__loop_load(&f.b, a, f.p)), MOIRE__LOOP_F32);
  stop(&f);
}

Test(loop_build, types_of_the_graph_have_element_types) {
  cr_assert_eq(moire__loop_type_from_dtype(MOIRE_BF16), MOIRE__LOOP_BF16);
  cr_assert_eq(moire__loop_type_from_dtype(MOIRE_C64), MOIRE__LOOP_VOID);
  cr_assert_eq(moire__loop_type_bytes(MOIRE__LOOP_BF16), 2);
  cr_assert_eq(moire__loop_type_bytes(MOIRE__LOOP_BOOL), 1);
  cr_assert_str_eq(moire__loop_type_name(MOIRE__LOOP_I64), "i64");
}
