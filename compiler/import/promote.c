/* Element types as PyTorch promotes them. See row.h. */
#include "compiler/import/row.h"

#include "compiler/ir/graph/graph.h"

#include <math.h>

moire__torch_type moire__type_of(moire_value x) {
  return moire_value_is_null(x) ? MOIRE__TORCH_NONE : moire__torch_type_of(moire_value_dtype(x));
}

/* bool, whole, float, complex */
static int category(moire__torch_type type) {
  switch (type) {
    case MOIRE__TORCH_BOOL: return 1;
    case MOIRE__TORCH_U8:
    case MOIRE__TORCH_I8:
    case MOIRE__TORCH_I16:
    case MOIRE__TORCH_I32:
    case MOIRE__TORCH_I64: return 2;
    case MOIRE__TORCH_F16:
    case MOIRE__TORCH_BF16:
    case MOIRE__TORCH_F32:
    case MOIRE__TORCH_F64: return 3;
    case MOIRE__TORCH_C32:
    case MOIRE__TORCH_C64:
    case MOIRE__TORCH_C128: return 4;
    case MOIRE__TORCH_NONE: break;
  }
  return 0;
}

static bool is_double(moire__torch_type type) { return type == MOIRE__TORCH_F64 || type == MOIRE__TORCH_C128; }

static moire__torch_type wider(moire__torch_type a, moire__torch_type b) {
  int ca = category(a), cb = category(b);
  if (ca == 4 || cb == 4) {
    bool wide = is_double(a) || is_double(b);
    return wide ? MOIRE__TORCH_C128 : MOIRE__TORCH_C64;
  }
  if (ca != cb) return ca > cb ? a : b;
  return moire__torch_type_size(a) >= moire__torch_type_size(b) ? a : b;
}

/* What a Python number is by itself, where floats are float32. */
static moire__torch_type type_of_number(const moire__argument *a) {
  switch (a->kind) {
    case MOIRE__ARGUMENT_INT: return MOIRE__TORCH_I64;
    case MOIRE__ARGUMENT_REAL: return MOIRE__TORCH_F32;
    case MOIRE__ARGUMENT_COMPLEX: return MOIRE__TORCH_C64;
    case MOIRE__ARGUMENT_BOOL: return MOIRE__TORCH_BOOL;
    case MOIRE__ARGUMENT_UNKNOWN:
    case MOIRE__ARGUMENT_NOTHING:
    case MOIRE__ARGUMENT_TENSOR:
    case MOIRE__ARGUMENT_TEXT:
    case MOIRE__ARGUMENT_TYPE:
    case MOIRE__ARGUMENT_LIST:
    case MOIRE__ARGUMENT_PLACE: break;
  }
  return MOIRE__TORCH_NONE;
}

/* Tensors with axes decide; those without, and then numbers, only where they are of a higher category. */
moire__torch_type moire__promoted(const moire__argument *const *arguments, int n) {
  moire__torch_type level[3] = {MOIRE__TORCH_NONE, MOIRE__TORCH_NONE, MOIRE__TORCH_NONE};
  for (int i = 0; i < n; i++) {
    const moire__argument *a = arguments[i];
    if (!a) continue;
    bool tensor = a->kind == MOIRE__ARGUMENT_TENSOR;
    if (tensor && moire_value_is_null(a->value)) return MOIRE__TORCH_NONE;
    moire__torch_type type = tensor ? moire__type_of(a->value) : type_of_number(a);
    int at = !tensor ? 2 : moire_value_shape(a->value).rank ? 0 : 1;
    level[at] = level[at] ? wider(level[at], type) : type;
  }
  moire__torch_type type = level[0];
  for (int i = 1; i < 3; i++) {
    if (!level[i]) continue;
    if (!type || category(level[i]) > category(type))
      type = type && category(level[i]) == 4 && is_double(type) ? MOIRE__TORCH_C128 : level[i];
  }
  return type;
}

moire_value moire__number_like(moire__call *c, moire_value x, double number) {
  if (moire_value_is_null(x)) return moire__null(c);
  if (moire_value_dtype(x) == MOIRE_C64) return moire__complex_number(c, x, number, 0);
  return moire_constant_at(c->at, c->graph, moire_value_dtype(x), moire_value_shape(x), number);
}

moire_value moire__complex_number(moire__call *c, moire_value like, double re, double im) {
  moire_shape shape = like.graph ? moire_value_shape(like) : MOIRE_SCALAR;
  return moire_complex_at(c->at, moire_constant_at(c->at, c->graph, MOIRE_F32, shape, re),
                          moire_constant_at(c->at, c->graph, MOIRE_F32, shape, im));
}

static moire_value is_zero(moire__call *c, moire_value x) {
  return moire_equal_at(c->at, x, moire__number_like(c, x, 0));
}

moire_value moire__to_type(moire__call *c, moire_value x, moire__torch_type type) {
  moire_dtype wanted = moire__torch_dtype(type);
  if (moire_value_is_null(x)) return moire__null(c);
  moire_dtype there = moire_value_dtype(x);
  if (there == wanted) return x;
  if (!wanted || wanted == MOIRE_BF16) {
    moire__refuse(c, "%s is a type that Moire does not compute with: use float32, complex64, int64 or bool",
                  moire__torch_type_name(type));
    return moire__null(c);
  }
  if (wanted == MOIRE_BOOL && there == MOIRE_C64)
    return moire_not_at(
        c->at, moire_and_at(c->at, is_zero(c, moire_real_at(c->at, x)), is_zero(c, moire_imag_at(c->at, x))));
  if (wanted == MOIRE_BOOL) return moire_not_at(c->at, is_zero(c, x));
  if (there == MOIRE_C64) return moire__to_type(c, moire_real_at(c->at, x), type);
  if (wanted == MOIRE_C64 && there != MOIRE_F32) x = moire_cast_at(c->at, x, MOIRE_F32);
  return moire_cast_at(c->at, x, wanted);
}

moire_value moire__as(moire__call *c, const moire__argument *a, moire__torch_type type, moire_value like) {
  if (!a || !type) return moire__null(c);
  if (a->kind == MOIRE__ARGUMENT_TENSOR) return moire__to_type(c, a->value, type);
  moire_dtype dtype = moire__torch_dtype(type);
  if (!type_of_number(a) || a->symbolic || !dtype) {
    moire__refuse(c, a->symbolic
                         ? "a size that is not known when the program is exported cannot be computed with"
                         : "wanted a tensor or a number of a type that Moire computes with");
    return moire__null(c);
  }
  if (like.graph && moire_value_is_null(like)) return moire__null(c);
  if (dtype == MOIRE_C64) return moire__complex_number(c, like, a->real, a->imaginary);
  double number = dtype == MOIRE_BOOL                        ? a->real != 0
                  : dtype == MOIRE_I32 || dtype == MOIRE_I64 ? trunc(a->real)
                                                             : a->real;
  return moire_constant_at(c->at, c->graph, dtype, like.graph ? moire_value_shape(like) : MOIRE_SCALAR, number);
}

moire__torch_type moire__pair(moire__call *c, const char *a, const char *b, moire_value out[2]) {
  const moire__argument *both[2] = {moire__find(c, a), moire__find(c, b)};
  moire__torch_type type = both[0] && both[1] ? moire__promoted(both, 2) : MOIRE__TORCH_NONE;
  out[0] = out[1] = moire__null(c);
  if (!type) {
    moire__refuse(c, "wanted two tensors, or a tensor and a number");
    return type;
  }
  for (int i = 0; i < 2; i++) {
    bool tensor = both[1 - i]->kind == MOIRE__ARGUMENT_TENSOR;
    out[i] = moire__as(c, both[i], type, tensor ? both[1 - i]->value : (moire_value){0});
  }
  return type;
}

moire_value moire__need_real(moire__call *c, moire_value x) {
  if (moire_value_is_null(x) || moire_value_dtype(x) != MOIRE_C64) return x;
  moire__refuse(c, "is of real numbers here, but complex ones came");
  return moire__null(c);
}

moire_value moire__without_imaginary(moire__call *c, moire_value x) {
  if (moire_value_is_null(x)) return x;
  const moire__node *node = moire__node_of(x.graph, x.id);
  if (node->op != MOIRE__OP_complex) return x;
  const moire__node *imaginary = moire__node_of(x.graph, node->operands[1]);
  bool none = imaginary->op == MOIRE__OP_constant && moire__node_real(imaginary, "value") == 0;
  return none ? moire__value(c->graph, node->operands[0]) : x;
}

moire_value moire__is_size_of(moire__call *c, moire_value x) {
  if (moire_value_is_null(x)) return x;
  const moire__node *node = moire__node_of(x.graph, x.id);
  if (node->op != MOIRE__OP_hypot) return moire__null(c);
  const moire__node *re = moire__node_of(x.graph, node->operands[0]),
                    *im = moire__node_of(x.graph, node->operands[1]);
  bool parts = re->op == MOIRE__OP_real && im->op == MOIRE__OP_imag && re->operands[0] == im->operands[0];
  return parts ? moire__value(c->graph, re->operands[0]) : moire__null(c);
}

moire_value moire__to_float(moire__call *c, moire_value x) {
  if (moire_value_is_null(x)) return x;
  moire_dtype dtype = moire_value_dtype(x);
  return dtype == MOIRE_I32 || dtype == MOIRE_I64 || dtype == MOIRE_BOOL ? moire_cast_at(c->at, x, MOIRE_F32)
                                                                         : x;
}
