/* What the files of ops share: see ops/support.h. */
#include "ops/support.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- infer ----------------------------------------------------------------------------------------------- */

moire__type_text moire__type_print(const moire_graph *g, moire_dtype dtype, const moire_shape *shape) {
  moire__text text = {0};
  moire__text_add_type(&text, g, dtype, shape);
  moire__type_text printed;
  snprintf(printed.text, sizeof printed.text, "%s", moire__text_string(&text));
  moire__text_free(&text);
  return printed;
}

moire__type_text moire__operand_type(const moire__infer *c, int operand) {
  const moire__value_info *info = c->operands[operand];
  return info ? moire__type_print(c->g, info->dtype, &info->shape) : (moire__type_text){"nothing"};
}

static moire__type_text print_set(unsigned set) {
  moire__type_text printed = {""};
  size_t length = 0;
  for (int dtype = MOIRE_F32; dtype <= MOIRE_C64; dtype++) {
    if (!(set >> dtype & 1)) continue;
    bool last = set >> dtype == 1;
    const char *before = length == 0 ? "" : last ? " or " : ", ";
    length += (size_t)snprintf(printed.text + length, sizeof printed.text - length, "%s%s", before,
                               moire__dtype_name((moire_dtype)dtype));
  }
  return printed;
}

moire_status moire__infer_dtype(moire__infer *c, int operand, unsigned set) {
  const moire__value_info *info = c->operands[operand];
  if (info && (set >> info->dtype & 1)) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_TYPE, "operand %d is %s, wanted %s", operand,
                    moire__operand_type(c, operand).text, print_set(set).text);
}

moire_status moire__infer_rank(moire__infer *c, int operand, int low, int high) {
  const moire__value_info *info = c->operands[operand];
  if (info && info->shape.rank >= low && info->shape.rank <= high) return MOIRE_OK;
  moire__type_text type = moire__operand_type(c, operand);
  if (low == high)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "operand %d is %s, wanted %d axes", operand, type.text, low);
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "operand %d is %s, wanted %d to %d axes", operand, type.text,
                    low, high);
}

moire_status moire__infer_scalar(moire__infer *c, int operand, moire_dtype dtype) {
  MOIRE__TRY(moire__infer_dtype(c, operand, 1u << dtype));
  return moire__infer_rank(c, operand, 0, 0);
}

static moire_status differ(moire__infer *c, int a, int b, moire_status status, const char *in) {
  return moire_fail(c->error, status, "operands differ in %s: operand %d is %s, operand %d is %s", in, a,
                    moire__operand_type(c, a).text, b, moire__operand_type(c, b).text);
}

moire_status moire__infer_same_shape(moire__infer *c, int a, int b) {
  const moire__value_info *x = c->operands[a], *y = c->operands[b];
  if (x && y && moire__shape_equal(&x->shape, &y->shape)) return MOIRE_OK;
  return differ(c, a, b, MOIRE_ERROR_SHAPE, "shape");
}

moire_status moire__infer_alike(moire__infer *c, int a, int b) {
  const moire__value_info *x = c->operands[a], *y = c->operands[b];
  if (!x || !y || x->dtype != y->dtype) return differ(c, a, b, MOIRE_ERROR_TYPE, "element type");
  return moire__infer_same_shape(c, a, b);
}

static moire_status find_attr(moire__infer *c, const char *name, moire__attr_kind kind, const char *wanted,
                              const moire__attr **attr) {
  *attr = moire__node_attr(c->node, name);
  if (!*attr)
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "attribute %s is missing, wanted %s", name, wanted);
  if ((*attr)->kind != kind)
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "attribute %s is not %s", name, wanted);
  return MOIRE_OK;
}

moire_status moire__infer_int(moire__infer *c, const char *name, int64_t low, int64_t high, int64_t *value) {
  const moire__attr *attr;
  MOIRE__TRY(find_attr(c, name, MOIRE__ATTR_INT, "an integer", &attr));
  *value = attr->integer;
  if (*value >= low && *value <= high) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "%s is %lld, wanted %lld to %lld", name, (long long)*value,
                    (long long)low, (long long)high);
}

moire_status moire__infer_int_or(moire__infer *c, const char *name, int64_t otherwise, int64_t low,
                                 int64_t high, int64_t *value) {
  *value = otherwise;
  return moire__node_attr(c->node, name) ? moire__infer_int(c, name, low, high, value) : MOIRE_OK;
}

moire_status moire__infer_real(moire__infer *c, const char *name, double *value) {
  const moire__attr *attr;
  MOIRE__TRY(find_attr(c, name, MOIRE__ATTR_REAL, "a real number", &attr));
  *value = attr->real;
  return MOIRE_OK;
}

moire_status moire__infer_not_negative(moire__infer *c, const char *name) {
  double value;
  MOIRE__TRY(moire__infer_real(c, name, &value));
  if (value >= 0) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "%s is %g, wanted 0 or more", name, value);
}

moire_status moire__infer_below_one(moire__infer *c, const char *name, double low) {
  double value;
  MOIRE__TRY(moire__infer_real(c, name, &value));
  if (value >= low && value < 1) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "%s is %g, wanted %g or more and below 1", name, value,
                    low);
}

moire_status moire__infer_ints(moire__infer *c, const char *name, const int64_t **values, int *n) {
  const moire__attr *attr;
  MOIRE__TRY(find_attr(c, name, MOIRE__ATTR_INTS, "a list of integers", &attr));
  *values = attr->ints;
  *n = attr->n_ints;
  return MOIRE_OK;
}

moire_status moire__infer_shape(moire__infer *c, const char *name, moire_shape *shape) {
  const moire__attr *attr;
  MOIRE__TRY(find_attr(c, name, MOIRE__ATTR_DIMS, "a shape", &attr));
  *shape = (moire_shape){.rank = attr->n_ints};
  for (int i = 0; i < attr->n_ints; i++) shape->dims[i] = attr->ints[i];
  return MOIRE_OK;
}

moire_status moire__infer_text(moire__infer *c, const char *name, const char **text) {
  const moire__attr *attr;
  MOIRE__TRY(find_attr(c, name, MOIRE__ATTR_TEXT, "a text", &attr));
  *text = attr->text;
  return MOIRE_OK;
}

moire_status moire__infer_axis(moire__infer *c, const char *name, int rank, int *axis) {
  if (rank == 0) return moire_fail(c->error, MOIRE_ERROR_SHAPE, "a scalar has no %s", name);
  int64_t value;
  MOIRE__TRY(moire__infer_int(c, name, 0, rank - 1, &value));
  *axis = (int)value;
  return MOIRE_OK;
}

moire_status moire__infer_element_type(moire__infer *c, const char *name, unsigned set, moire_dtype *dtype) {
  int64_t value;
  MOIRE__TRY(moire__infer_int(c, name, MOIRE_F32, MOIRE_C64, &value));
  *dtype = (moire_dtype)value;
  if (set >> value & 1) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_TYPE, "%s is %s, wanted %s", name, moire__dtype_name(*dtype),
                    print_set(set).text);
}

moire_status moire__infer_result(moire__infer *c, int r, moire_dtype dtype, moire_shape shape) {
  c->dtype[r] = dtype;
  c->shape[r] = shape;
  return MOIRE_OK;
}

moire_status moire__infer_as_operand(moire__infer *c, int operand) {
  return moire__infer_result(c, 0, c->operands[operand]->dtype, c->operands[operand]->shape);
}

/* ---- reference ------------------------------------------------------------------------------------------- */

bool moire__index_next(int rank, const int64_t *dims, int64_t *index) {
  for (int axis = rank - 1; axis >= 0; axis--) {
    if (++index[axis] < dims[axis]) return true;
    index[axis] = 0;
  }
  return false;
}

void moire__tensor_strides(const moire__tensor *t, int64_t strides[MOIRE_MAX_RANK]) {
  int64_t stride = 1;
  for (int axis = t->rank - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= t->dims[axis];
  }
}

int64_t moire__tensor_offset(const moire__tensor *t, const int64_t *index) {
  int64_t offset = 0;
  for (int axis = 0; axis < t->rank; axis++) {
    assert(index[axis] >= 0 && index[axis] < t->dims[axis]);
    offset = offset * t->dims[axis] + index[axis];
  }
  return offset;
}

void moire__tensor_around(const moire__tensor *t, int axis, int64_t *outer, int64_t *n, int64_t *inner) {
  *outer = *inner = 1;
  for (int i = 0; i < axis; i++) *outer *= t->dims[i];
  for (int i = axis + 1; i < t->rank; i++) *inner *= t->dims[i];
  *n = t->dims[axis];
}

void moire__turn(int64_t k, int64_t n, double *cosine, double *sine) {
  const double pi = 3.14159265358979323846;
  int64_t eight = 8 * (k % n < 0 ? k % n + n : k % n), octant = eight / n, after = eight % n;
  double angle = pi / 4 * (double)(octant & 1 ? n - after : after) / (double)n;
  bool swap = (octant + 1) & 2;
  double c = swap ? sin(angle) : cos(angle), s = swap ? cos(angle) : sin(angle);
  *cosine = (octant + 2) & 4 ? -c : c;
  *sine = octant & 4 ? -s : s;
}

void moire__tensor_copy(moire__tensor *y, int64_t at, const moire__tensor *x, int64_t from) {
  y->re[at] = x->re[from];
  if (y->im) y->im[at] = x->im[from];
}

int32_t moire__mask_threshold(double p) {
  double nearest = floor(p * 65536 + 0.5);
  return nearest > 65535 ? 65535 : (int32_t)nearest;
}

double moire__mask_kept(double p) { return 65536.0 / (65536 - moire__mask_threshold(p)); }

/* ---- demand ---------------------------------------------------------------------------------------------- */

static moire__attr *demand_attr(moire__demand *c, const char *name) {
  for (int i = 0; i < c->n_attrs; i++)
    if (strcmp(c->attrs[i].name, name) == 0) return &c->attrs[i];
  assert(!"a node has the attributes that inference asked for");
  return NULL;
}

void moire__demand_set_int(moire__demand *c, const char *name, int64_t value) {
  demand_attr(c, name)->integer = value;
}

void moire__demand_set_dim(moire__demand *c, const char *name, int at, moire_dim dim) {
  moire__attr *attr = demand_attr(c, name);
  int64_t *dims = moire__arena_array(&c->g->arena, (size_t)attr->n_ints, sizeof *dims);
  memcpy(dims, attr->ints, (size_t)attr->n_ints * sizeof *dims);
  dims[at] = dim;
  attr->ints = dims;
}

void moire__demand_slice(moire__demand *c, int operand, int axis, int64_t start, int64_t length) {
  c->operands[operand] = moire_slice(c->operands[operand], axis, start, length);
}

/* ---- sample ---------------------------------------------------------------------------------------------- */

moire_value moire__sample_input(moire__sampler *s, moire_dtype dtype, moire_shape shape, double low,
                                double high) {
  if (!s->ranges) s->ranges = moire__arena_array(&s->g->arena, MOIRE__MAX_OPERANDS, sizeof *s->ranges);
  assert(s->n_ranges < MOIRE__MAX_OPERANDS);
  char *name = moire__arena_printf(&s->g->arena, "x%d", s->n_ranges);
  s->ranges[s->n_ranges++] = (moire__sample_range){name, low, high};
  return moire_input(s->g, name, dtype, shape);
}

moire_dim moire__sample_batch(moire__sampler *s) { return moire_extent(s->g, "B"); }

moire_dim moire__sample_time(moire__sampler *s) { return moire_extent(s->g, "T"); }

moire_value moire__sample_emit(moire__sampler *s, moire__op op, const moire_value *operands, int n,
                               const moire__attr *attrs, int n_attrs) {
  return moire__graph_emit(s->g, MOIRE_HERE, op, operands, n, attrs, n_attrs);
}

bool moire__sample_finish(moire__sampler *s, moire_value y) {
  moire_output(s->g, "y0", y);
  return true;
}

bool moire__sample_refuse(moire__sampler *s, moire_status expected) {
  s->expected = expected;
  return true;
}
