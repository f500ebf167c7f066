/* moire__loop_op_flop against the code: a kernel of one operation is emitted, and its vector arithmetic
 * counted. */
#include "compiler/codegen/codegen.h"
#include "compiler/ir/loop/loop_work.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 16 };

/* y[i] = op(x[i]) or op(x[i], x[i]), LANES at a time. */
static const moire__loop_kernel *one_operation(moire__arena *arena, moire__loop_op op, moire__loop_type type) {
  moire__loop_kernel *k = moire__loop_kernel_create(arena, "one", NULL);
  moire__loop_buffer x = moire__loop_add_parameter(k, "x", MOIRE__BUFFER_IN, type, 1024);
  moire__loop_buffer y = moire__loop_add_parameter(k, "y", MOIRE__BUFFER_OUT, type, 1024);
  moire__loop_builder b = moire__loop_begin(k, 1, 1);
  moire__loop_value i = moire__loop_for(&b, moire__loop_index(&b, 0), moire__loop_index(&b, 1024), 1, LANES);
  moire__loop_value operands[3];
  for (int o = 0; o < moire__loop_op_arity(op); o++) operands[o] = moire__loop_load(&b, x, i);
  moire__loop_store(&b, y, i, moire__loop_emit(&b, op, operands, moire__loop_op_arity(op)));
  moire__loop_end(&b);
  return k;
}

/* Elements of the first vector type behind `at` in its line; 1: a scalar. */
static int width(const char *at) {
  const char *end = strchr(at, '\n'), *open = strchr(at, '<');
  return open && (!end || open < end) ? atoi(open + 1) : 1;
}

/* Elements that the code's vector instructions of these names compute. */
static int count(const char *text, const char *name) {
  int sum = 0;
  for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
    const char *line = at;
    while (line > text && line[-1] != '\n') line--;
    if (strncmp(line, "declare", 7) != 0 && width(at) > 1) sum += width(at);
  }
  return sum;
}

Test(flop, functions_count_what_their_code_does) {
  static const moire__loop_op ops[] = {MOIRE__LOOP_add,  MOIRE__LOOP_fma, MOIRE__LOOP_sqrt, MOIRE__LOOP_exp,
                                       MOIRE__LOOP_exp2, MOIRE__LOOP_log, MOIRE__LOOP_sin,  MOIRE__LOOP_cos,
                                       MOIRE__LOOP_tanh, MOIRE__LOOP_erf, MOIRE__LOOP_pow,  MOIRE__LOOP_atan2};
  static const char *const ones[] = {" fadd ",      " fsub ",        " fmul ",        " fdiv ",
                                     "@llvm.sqrt.", "@llvm.minnum.", "@llvm.maxnum.", "scalef"};
  moire__target target;
  moire_error error = {0};
  cr_assert_eq(moire__target_named("x86-64-v4", &target, &error), MOIRE_OK, "%s", error.message);
  for (size_t i = 0; i < 2 * sizeof ops / sizeof *ops; i++) {
    moire__loop_op op = ops[i / 2];
    moire__loop_type type = i % 2 ? MOIRE__LOOP_F64 : MOIRE__LOOP_F32;
    moire__arena arena = {0};
    const moire__loop_kernel *kernel = one_operation(&arena, op, type);
    moire__codegen_options options = {0};
    moire__text text = {0};
    moire_status status =
        moire__codegen_emit_text(&kernel, 1, &target, &options, MOIRE__CODEGEN_LLVM_OPTIMIZED, &text, &error);
    cr_assert_eq(status, MOIRE_OK, "%s", error.message);
    int flop = 2 * (count(text.data, "@llvm.fma.") + count(text.data, "@llvm.fmuladd."));
    for (size_t n = 0; n < sizeof ones / sizeof *ones; n++) flop += count(text.data, ones[n]);
    cr_expect_eq((flop + LANES / 2) / LANES, moire__loop_op_flop(op, type),
                 "%s of %s: the code does %d, the table says %d", moire__loop_op_name(op),
                 moire__loop_type_name(type), flop / LANES, moire__loop_op_flop(op, type));
    moire__text_free(&text);
    moire__arena_free(&arena);
  }
}
