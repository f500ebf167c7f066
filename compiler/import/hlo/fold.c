/* What is known when the program is imported. See fold.h. */
#include "compiler/import/hlo/fold.h"

#include <math.h>
#include <string.h>

typedef enum folded {
  NOTHING,
  SAME, /* the first operand, in another shape */
  ADD,
  SUBTRACT,
  MULTIPLY,
  DIVIDE,
  REMAINDER,
  MINIMUM,
  MAXIMUM,
  AND,
  OR,
  NOT,
  NEGATE,
  ABS,
  SIGN,
  SELECT,
  CLAMP,
  CONVERT,
  COMPARE,
} folded;

static const struct {
  const char *op;
  folded is;
  int n;
} table[] = {{"stablehlo.broadcast_in_dim", SAME, 1},
             {"stablehlo.reshape", SAME, 1},
             {"stablehlo.transpose", SAME, 1},
             {"stablehlo.slice", SAME, 1},
             {"stablehlo.reverse", SAME, 1},
             {"stablehlo.add", ADD, 2},
             {"stablehlo.subtract", SUBTRACT, 2},
             {"stablehlo.multiply", MULTIPLY, 2},
             {"stablehlo.divide", DIVIDE, 2},
             {"stablehlo.remainder", REMAINDER, 2},
             {"stablehlo.minimum", MINIMUM, 2},
             {"stablehlo.maximum", MAXIMUM, 2},
             {"stablehlo.and", AND, 2},
             {"stablehlo.or", OR, 2},
             {"stablehlo.not", NOT, 1},
             {"stablehlo.negate", NEGATE, 1},
             {"stablehlo.abs", ABS, 1},
             {"stablehlo.sign", SIGN, 1},
             {"stablehlo.select", SELECT, 3},
             {"stablehlo.clamp", CLAMP, 3},
             {"stablehlo.convert", CONVERT, 1},
             {"stablehlo.compare", COMPARE, 2}};

static bool compared(const char *direction, double a, double b) {
  if (!strcmp(direction, "EQ")) return a == b;
  if (!strcmp(direction, "NE")) return a != b;
  if (!strcmp(direction, "LT")) return a < b;
  if (!strcmp(direction, "LE")) return a <= b;
  return !strcmp(direction, "GT") ? a > b : a >= b;
}

/* NaN where it is not known. */
static double whole_result(folded is, const double *x, bool boolean) {
  switch (is) {
    case ADD: return boolean ? x[0] || x[1] : x[0] + x[1];
    case SUBTRACT: return x[0] - x[1];
    case MULTIPLY: return x[0] * x[1];
    case DIVIDE: return x[1] != 0 ? trunc(x[0] / x[1]) : (double)NAN;
    case REMAINDER: return x[1] != 0 ? fmod(x[0], x[1]) : (double)NAN;
    case MINIMUM: return fmin(x[0], x[1]);
    case MAXIMUM: return fmax(x[0], x[1]);
    case AND: return boolean ? x[0] && x[1] : (double)NAN;
    case OR: return boolean ? x[0] || x[1] : (double)NAN;
    case NOT: return boolean ? x[0] == 0 : -1 - x[0];
    case NEGATE: return -x[0];
    case ABS: return fabs(x[0]);
    case SIGN: return (x[0] > 0) - (x[0] < 0);
    case SELECT: return x[0] != 0 ? x[1] : x[2];
    case CLAMP: return fmin(fmax(x[0], x[1]), x[2]);
    case CONVERT: return boolean ? x[0] != 0 : trunc(x[0]);
    case NOTHING:
    case SAME:
    case COMPARE: break;
  }
  return (double)NAN;
}

/* Is the number one of the type, that all engines hold exactly? */
static bool holds(moire_dtype dtype, double x) {
  double most = dtype == MOIRE_I32 ? 0x1p31 : dtype == MOIRE_I64 ? 0x1p53 : 2;
  return x == floor(x) && x >= -most && x < most;
}

bool moire__hlo_fold(moire__hlo_call *c) {
  folded is = NOTHING;
  double x[3] = {0};
  int n = 0;
  for (int i = 0; i < c->n_operands; i++) {
    if (!c->operands[i].uniform) return false;
  }
  for (size_t i = 0; i < sizeof table / sizeof *table && is == NOTHING; i++) {
    if (!strcmp(c->op->name, table[i].op)) is = table[i].is;
    n = table[i].n;
  }
  if (is == NOTHING || c->n_operands != n || c->op->n_results != 1 || c->op->types.n != 1 ||
      c->builder->elementwise)
    return false;
  const moire__hlo_type *type = &c->op->types.items[0];
  if (type->why) return false;
  for (int i = 0; i < n; i++) {
    x[i] = c->operands[i].real;
    if (is != SAME && c->operands[i].imaginary != 0) return false;
  }
  if (is == SAME) {
    if (moire_value_dtype(c->operands[0].value) != moire__hlo_dtype(c->builder, type)) return false;
    c->call.result = moire__hlo_number(c, type, x[0], c->operands[0].imaginary);
    return true;
  }
  if (type->dtype != MOIRE_I32 && type->dtype != MOIRE_I64 && type->dtype != MOIRE_BOOL) return false;
  double y = is == COMPARE ? compared(moire__hlo_direction(c), x[0], x[1])
                           : whole_result(is, x, type->dtype == MOIRE_BOOL);
  if (!holds(type->dtype, y)) return false;
  c->call.result = moire__hlo_number(c, type, y, 0);
  return true;
}
