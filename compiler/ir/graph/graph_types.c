/* Dims, shapes, element types and attributes: arithmetic, names, look-up, and how they are written.
 *
 * A dim is a number times at most MOIRE_MAX_FACTORS named extents, so products of dims are partial. Everything
 * here is total: garbage (a negative dim, an extent that is not declared) is answered with false or printed as
 * `?`, never undefined.
 */
#include "compiler/ir/op.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t factor_end = (int64_t)1 << 48;

moire_dim moire_dim_times(moire_dim d, moire_dim factor) {
  moire_dim product = 0;
  return moire__dim_multiply(d, factor, &product) ? product : -1;
}

bool moire__dim_is_sound(moire_dim d, int n_extents) {
  if (d < 0 || moire__dim_extents(d) >> 4 * MOIRE_MAX_FACTORS) return false;
  int before = 0;
  for (int left = moire__dim_extents(d); left; left >>= 4) {
    int extent = left & 15;
    if (extent < 1 || extent < before || extent > n_extents) return false;
    before = extent;
  }
  return true;
}

/* Both lists of named extents as one, in order; -1: they are too many. */
static int join_extents(int a, int b) {
  int joined = 0;
  for (int i = 0; a || b; i++) {
    if (i == MOIRE_MAX_FACTORS) return -1;
    bool first = a && (!b || (a & 15) <= (b & 15));
    joined |= ((first ? a : b) & 15) << 4 * i;
    if (first)
      a >>= 4;
    else
      b >>= 4;
  }
  return joined;
}

bool moire__dim_multiply(moire_dim a, moire_dim b, moire_dim *product) {
  if (a < 0 || b < 0) return false;
  int64_t factor = 0;
  if (__builtin_mul_overflow(moire__dim_factor(a), moire__dim_factor(b), &factor)) return false;
  if (factor >= factor_end) return false;
  if (factor == 0) {
    *product = 0;
    return true;
  }
  int extents = join_extents(moire__dim_extents(a), moire__dim_extents(b));
  if (extents < 0) return false;
  *product = moire__dim_make(factor, extents);
  return true;
}

bool moire__shape_elements(const moire_shape *shape, moire_dim *elements) {
  moire_dim product = 1;
  for (int i = 0; i < shape->rank; i++) {
    if (shape->dims[i] >= 0 && moire__dim_factor(shape->dims[i]) == 0) {
      *elements = 0;
      return true;
    }
  }
  for (int i = 0; i < shape->rank; i++) {
    if (!moire__dim_multiply(product, shape->dims[i], &product)) return false;
  }
  *elements = product;
  return true;
}

bool moire__shape_equal(const moire_shape *a, const moire_shape *b) {
  if (a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++) {
    if (a->dims[i] != b->dims[i]) return false;
  }
  return true;
}

moire_status moire__shape_check(const moire_graph *g, const moire_shape *shape, moire_error *error) {
  if (shape->rank < 0 || shape->rank > MOIRE_MAX_RANK) {
    return moire_fail(error, MOIRE_ERROR_SHAPE, "rank %d is not in 0 to %d", shape->rank, MOIRE_MAX_RANK);
  }
  int64_t elements = 1;
  for (int i = 0; i < shape->rank; i++) {
    moire_dim d = shape->dims[i];
    if (d < 0) {
      return moire_fail(error, MOIRE_ERROR_SHAPE, "extent %" PRId64 " of axis %d is negative", d, i);
    }
    if (!moire__dim_is_sound(d, g->n_extents)) {
      return moire_fail(error, MOIRE_ERROR_SHAPE, "the extent of axis %d is not one of this graph's", i);
    }
    if (moire__dim_factor(d) == 0) elements = 0;
  }
  for (int i = 0; i < shape->rank && elements; i++) {
    if (__builtin_mul_overflow(elements, moire__dim_factor(shape->dims[i]), &elements) ||
        elements >= factor_end) {
      return moire_fail(error, MOIRE_ERROR_SHAPE, "there are 2^48 elements or more");
    }
  }
  moire_dim count;
  if (elements && !moire__shape_elements(shape, &count))
    return moire_fail(error, MOIRE_ERROR_SHAPE, "it has more than %d named extents", MOIRE_MAX_FACTORS);
  return MOIRE_OK;
}

int moire__axis(int axis, int rank) {
  int from_front = axis < 0 ? axis + rank : axis;
  return from_front >= 0 && from_front < rank ? from_front : -1;
}

bool moire__dtype_is_float(moire_dtype dtype) {
  return dtype == MOIRE_F32 || dtype == MOIRE_F64 || dtype == MOIRE_BF16;
}

bool moire__dtype_is_int(moire_dtype dtype) { return dtype == MOIRE_I32 || dtype == MOIRE_I64; }

const char *moire__dtype_name(moire_dtype dtype) {
  switch (dtype) {
    case MOIRE_F32: return "f32";
    case MOIRE_F64: return "f64";
    case MOIRE_BF16: return "bf16";
    case MOIRE_I32: return "i32";
    case MOIRE_I64: return "i64";
    case MOIRE_BOOL: return "bool";
    case MOIRE_C64: return "c64";
  }
  return "?";
}

moire_dtype moire__dtype_find(const char *name, size_t length) {
  for (int i = MOIRE_F32; i <= MOIRE_C64; i++) {
    const char *candidate = moire__dtype_name((moire_dtype)i);
    if (strlen(candidate) == length && memcmp(candidate, name, length) == 0) return (moire_dtype)i;
  }
  return (moire_dtype)0;
}

void moire__text_add_dim(moire__text *text, const moire_graph *g, moire_dim d) {
  int left = d < 0 ? 0 : moire__dim_extents(d);
  if (!moire__dim_is_sound(d, g->n_extents)) {
    moire__text_add(text, "?");
    return;
  }
  if (!left || moire__dim_factor(d) != 1)
    moire__text_add(text, "%" PRId64 "%s", moire__dim_factor(d), left ? "*" : "");
  for (; left; left >>= 4) moire__text_add(text, "%s%s", g->extents[left & 15], left >> 4 ? "*" : "");
}

void moire__text_add_dims(moire__text *text, const moire_graph *g, const moire_dim *dims, int n) {
  moire__text_add_char(text, '[');
  for (int i = 0; i < n; i++) {
    if (i) moire__text_add_char(text, ',');
    moire__text_add_dim(text, g, dims[i]);
  }
  moire__text_add_char(text, ']');
}

void moire__text_add_type(moire__text *text, const moire_graph *g, moire_dtype dtype,
                          const moire_shape *shape) {
  moire__text_add(text, "%s", moire__dtype_name(dtype));
  moire__text_add_dims(text, g, shape->dims, shape->rank);
}

/* ---- attributes ------------------------------------------------------------------------------------------ */

const moire__attr *moire__node_attr(const moire__node *node, const char *name) {
  for (int i = 0; i < node->n_attrs; i++) {
    if (strcmp(node->attrs[i].name, name) == 0) return &node->attrs[i];
  }
  return NULL;
}

static const moire__attr *must_have(const moire__node *node, const char *name, moire__attr_kind kind) {
  static const moire__attr none = {.text = ""};
  const moire__attr *attr = moire__node_attr(node, name);
  if (!attr || attr->kind != kind) {
    if (node->missing) {
      if (!*node->missing) *node->missing = name;
      return &none;
    }
    fprintf(stderr, "moire: defect: %s has %s attribute %s (%s:%d)\n", moire__op_get(node->op)->name,
            attr ? "another kind of" : "no", name, node->source.file ? node->source.file : "?",
            node->source.line);
    abort();
  }
  return attr;
}

int64_t moire__node_int(const moire__node *node, const char *name) {
  return must_have(node, name, MOIRE__ATTR_INT)->integer;
}

int64_t moire__node_int_or(const moire__node *node, const char *name, int64_t otherwise) {
  return moire__node_attr(node, name) ? moire__node_int(node, name) : otherwise;
}

double moire__node_real(const moire__node *node, const char *name) {
  return must_have(node, name, MOIRE__ATTR_REAL)->real;
}

const int64_t *moire__node_ints(const moire__node *node, const char *name, int *n) {
  const moire__attr *attr = must_have(node, name, MOIRE__ATTR_INTS);
  *n = attr->n_ints;
  return attr->ints;
}

moire_shape moire__node_shape(const moire__node *node, const char *name) {
  const moire__attr *attr = must_have(node, name, MOIRE__ATTR_DIMS);
  moire_shape shape = {.rank = attr->n_ints};
  for (int i = 0; i < shape.rank; i++) shape.dims[i] = attr->ints[i];
  return shape;
}

const char *moire__node_text(const moire__node *node, const char *name) {
  return must_have(node, name, MOIRE__ATTR_TEXT)->text;
}
