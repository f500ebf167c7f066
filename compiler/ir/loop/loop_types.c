/* Types and operations of the loop IR: names, sizes, and which operands an operation takes.
 *
 * Everything here is a pure function of an enumerator. moire__loop_result_type is the one place that knows the
 * typing rules; the builder uses it to give values their types, the verifier to refuse wrong ones.
 */
#include "compiler/ir/loop/loop.h"

moire__loop_type moire__loop_type_from_dtype(moire_dtype dtype) {
  switch (dtype) {
    case MOIRE_F32: return MOIRE__LOOP_F32;
    case MOIRE_F64: return MOIRE__LOOP_F64;
    case MOIRE_BF16: return MOIRE__LOOP_BF16;
    case MOIRE_I32: return MOIRE__LOOP_I32;
    case MOIRE_I64: return MOIRE__LOOP_I64;
    case MOIRE_BOOL: return MOIRE__LOOP_BOOL;
    case MOIRE_C64: break;
  }
  return MOIRE__LOOP_VOID;
}

size_t moire__loop_type_bytes(moire__loop_type type) {
  switch (type) {
    case MOIRE__LOOP_VOID: return 0;
    case MOIRE__LOOP_BOOL: return 1;
    case MOIRE__LOOP_BF16: return 2;
    case MOIRE__LOOP_I32:
    case MOIRE__LOOP_F32: return 4;
    case MOIRE__LOOP_I64:
    case MOIRE__LOOP_F64: return 8;
  }
  return 0;
}

const char *moire__loop_type_name(moire__loop_type type) {
  switch (type) {
    case MOIRE__LOOP_VOID: return "void";
    case MOIRE__LOOP_BOOL: return "bool";
    case MOIRE__LOOP_I32: return "i32";
    case MOIRE__LOOP_I64: return "i64";
    case MOIRE__LOOP_F32: return "f32";
    case MOIRE__LOOP_F64: return "f64";
    case MOIRE__LOOP_BF16: return "bf16";
  }
  return "?";
}

bool moire__loop_type_is_float(moire__loop_type type) {
  return type == MOIRE__LOOP_F32 || type == MOIRE__LOOP_F64;
}

bool moire__loop_type_is_int(moire__loop_type type) {
  return type == MOIRE__LOOP_I32 || type == MOIRE__LOOP_I64;
}

moire__loop_type moire__loop_type_loaded(moire__loop_type type) {
  return type == MOIRE__LOOP_BF16 ? MOIRE__LOOP_F32 : type;
}

const char *moire__loop_op_name(moire__loop_op op) {
  static const char *const names[] = {
#define NAME(name, n, equation) #name,
      MOIRE__LOOP_OPS(NAME)
#undef NAME
  };
  return (unsigned)op < MOIRE__LOOP_OP_COUNT ? names[op] : "index";
}

int moire__loop_op_arity(moire__loop_op op) {
  static const int arities[] = {
#define ARITY(name, n, equation) n,
      MOIRE__LOOP_OPS(ARITY)
#undef ARITY
  };
  return (unsigned)op < MOIRE__LOOP_OP_COUNT ? arities[op] : 0;
}

moire__loop_type moire__loop_result_type(moire__loop_op op, const moire__loop_type *operands) {
  moire__loop_type a = moire__loop_op_arity(op) > 0 ? operands[0] : MOIRE__LOOP_VOID;
  moire__loop_type b = moire__loop_op_arity(op) > 1 ? operands[1] : a;
  moire__loop_type c = moire__loop_op_arity(op) > 2 ? operands[2] : b;
  bool floats = moire__loop_type_is_float(a), ints = moire__loop_type_is_int(a);
  bool fits = false;
  moire__loop_type result = a;
  switch (op) {
    case MOIRE__LOOP_add:
    case MOIRE__LOOP_sub:
    case MOIRE__LOOP_mul:
    case MOIRE__LOOP_div:
    case MOIRE__LOOP_min:
    case MOIRE__LOOP_max:
    case MOIRE__LOOP_neg:
    case MOIRE__LOOP_abs: fits = (floats || ints) && a == b; break;
    case MOIRE__LOOP_mod: fits = ints && a == b; break;
    case MOIRE__LOOP_fma: fits = floats && a == b && a == c; break;
    case MOIRE__LOOP_sqrt:
    case MOIRE__LOOP_exp:
    case MOIRE__LOOP_exp2:
    case MOIRE__LOOP_log:
    case MOIRE__LOOP_sin:
    case MOIRE__LOOP_cos:
    case MOIRE__LOOP_tanh:
    case MOIRE__LOOP_erf:
    case MOIRE__LOOP_atan2:
    case MOIRE__LOOP_pow:
    case MOIRE__LOOP_floor: fits = floats && a == b; break;
    case MOIRE__LOOP_single:
    case MOIRE__LOOP_narrow: fits = a == MOIRE__LOOP_F32; break;
    case MOIRE__LOOP_pair:
      fits = a == MOIRE__LOOP_F32 && a == b;
      result = MOIRE__LOOP_I32;
      break;
    case MOIRE__LOOP_byte: fits = a == MOIRE__LOOP_I32 && a == b; break;
    case MOIRE__LOOP_dot:
      fits = a == MOIRE__LOOP_I32 && a == b && c == MOIRE__LOOP_F32;
      result = MOIRE__LOOP_F32;
      break;
    case MOIRE__LOOP_eq:
    case MOIRE__LOOP_lt:
    case MOIRE__LOOP_le:
      fits = (floats || ints || (op == MOIRE__LOOP_eq && a == MOIRE__LOOP_BOOL)) && a == b;
      result = MOIRE__LOOP_BOOL;
      break;
    case MOIRE__LOOP_and: fits = (ints || a == MOIRE__LOOP_BOOL) && a == b; break;
    case MOIRE__LOOP_or:
    case MOIRE__LOOP_not: fits = a == MOIRE__LOOP_BOOL && a == b; break;
    case MOIRE__LOOP_select:
      fits = a == MOIRE__LOOP_BOOL && b == c && b != MOIRE__LOOP_VOID && b != MOIRE__LOOP_BF16;
      result = b;
      break;
    case MOIRE__LOOP_random:
    case MOIRE__LOOP_random16:
      fits = operands[4] == MOIRE__LOOP_I64;
      for (int i = 0; i < 4; i++) fits = fits && operands[i] == MOIRE__LOOP_I32;
      break;
    case MOIRE__LOOP_extent: return MOIRE__LOOP_I64;
    case MOIRE__LOOP_const:
    case MOIRE__LOOP_cast:
    case MOIRE__LOOP_load:
    case MOIRE__LOOP_word:
    case MOIRE__LOOP_get:
    case MOIRE__LOOP_OP_COUNT: break;
  }
  return fits ? result : MOIRE__LOOP_VOID;
}
