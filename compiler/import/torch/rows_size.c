/* Rows of the table: sizes that are numbers of the program, and assertions, which are nothing here: sizes are
 * checked when a program is run. */
#include "compiler/import/torch/rows.h"

#include "compiler/ir/graph/graph.h"

static void size_of(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  if (moire_value_is_null(x)) return;
  int axis = moire__import_axis(c, moire__integer(c, "dim"), moire_value_shape(x).rank);
  moire__give_size(c, moire_value_dim(x, axis));
}

static void count_of(moire__call *c) {
  moire_value x = moire__tensor(c, "self");
  if (moire_value_is_null(x)) return;
  moire_shape shape = moire_value_shape(x);
  moire_dim n = moire__elements(&shape);
  if (n < 0)
    moire__refuse(c, "is more than Moire counts");
  else
    moire__give_size(c, n);
}

static bool operands(moire__call *c, moire__argument out[2]) {
  static const char *const names[] = {"a", "b"};
  for (int i = 0; i < 2; i++) {
    const moire__argument *a = moire__find(c, names[i]);
    if (!a || a->kind != MOIRE__ARGUMENT_INT) {
      moire__refuse(c, "wanted sizes");
      return false;
    }
    out[i] = *a;
  }
  return true;
}

static void give_number(moire__call *c, int64_t n) {
  c->result = (moire__argument){.kind = MOIRE__ARGUMENT_INT, .integer = n, .real = (double)n};
}

static void not_a_product(moire__call *c) {
  moire__refuse(
      c, "makes a size that is no product of numbers and sizes of the inputs; export with that size fixed");
}

static void multiply(moire__call *c) {
  moire__argument v[2];
  if (!operands(c, v)) return;
  if (!v[0].symbolic && !v[1].symbolic) {
    int64_t n;
    if (__builtin_mul_overflow(v[0].integer, v[1].integer, &n))
      not_a_product(c);
    else
      give_number(c, n);
    return;
  }
  bool negative = (!v[0].symbolic && v[0].integer < 0) || (!v[1].symbolic && v[1].integer < 0);
  moire_dim a = v[0].symbolic ? v[0].dim : v[0].integer, b = v[1].symbolic ? v[1].dim : v[1].integer;
  moire_dim product = negative ? -1 : moire_dim_times(a, b);
  if (product < 0)
    not_a_product(c);
  else
    moire__give_size(c, product);
}

/* Sums are of numbers alone, but for 0. */
static void add_or_subtract(moire__call *c, bool subtract) {
  moire__argument v[2];
  int64_t n;
  if (!operands(c, v)) return;
  bool nothing = !v[1].symbolic && v[1].integer == 0;
  if (nothing) {
    c->result = v[0];
  } else if (v[0].symbolic || v[1].symbolic ||
             (subtract ? __builtin_sub_overflow(v[0].integer, v[1].integer, &n)
                       : __builtin_add_overflow(v[0].integer, v[1].integer, &n))) {
    not_a_product(c);
  } else {
    give_number(c, n);
  }
}

static void add(moire__call *c) { add_or_subtract(c, false); }
static void subtract(moire__call *c) { add_or_subtract(c, true); }

static void floor_divide(moire__call *c) {
  moire__argument v[2];
  if (!operands(c, v)) return;
  if (v[1].symbolic || v[1].integer < 1) {
    not_a_product(c);
  } else if (!v[0].symbolic) {
    int64_t q = v[0].integer / v[1].integer;
    give_number(c, v[0].integer % v[1].integer < 0 ? q - 1 : q);
  } else {
    int64_t factor = moire_dim_factor(v[0].dim);
    if (factor % v[1].integer)
      not_a_product(c);
    else
      moire__give_size(c, moire__dim_make(factor / v[1].integer, moire__dim_extents(v[0].dim)));
  }
}

/* Whatever it is told. */
static void nothing(moire__call *c) {
  for (int i = 0; i < c->n_arguments; i++) c->arguments[i].seen = true;
  c->result = (moire__argument){.kind = MOIRE__ARGUMENT_PLACE};
}

const moire__aten_row moire__rows_size[] = {{"aten.sym_size.int", size_of, false},
                                            {"aten.sym_numel.default", count_of, false},
                                            {"_operator.mul", multiply, false},
                                            {"_operator.add", add, false},
                                            {"_operator.sub", subtract, false},
                                            {"_operator.floordiv", floor_divide, false},
                                            {"_operator.ge", nothing, false},
                                            {"_operator.gt", nothing, false},
                                            {"_operator.le", nothing, false},
                                            {"_operator.lt", nothing, false},
                                            {"_operator.eq", nothing, false},
                                            {"_operator.ne", nothing, false},
                                            {"_operator.mod", nothing, false},
                                            {"_operator.and_", nothing, false},
                                            {"aten._assert_scalar.default", nothing, false},
                                            {"aten._assert_tensor_metadata.default", nothing, false},
                                            {"aten._assert_async.msg", nothing, false},
                                            {"aten.sym_constrain_range.default", nothing, false},
                                            {"aten.sym_constrain_range_for_size.default", nothing, false},
                                            {NULL, NULL, false}};
