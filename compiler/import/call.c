/* One call of an ATen operation: arguments and results. See row.h. */
#include "compiler/import/row.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void moire__refuse(moire__call *c, const char *format, ...) {
  if (c->why) return;
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  c->why = moire__arena_copy_string(c->arena, text);
}

moire_value moire__null(const moire__call *c) { return (moire_value){c->graph, 0}; }

/* ---- arguments ------------------------------------------------------------------------------------------- */

static const moire__argument *look_up(moire__call *c, const char *name) {
  for (int i = 0; i < c->n_arguments; i++) {
    if (strcmp(c->arguments[i].name, name) != 0) continue;
    c->arguments[i].seen = true;
    return &c->arguments[i].argument;
  }
  return NULL;
}

const moire__argument *moire__find(moire__call *c, const char *name) {
  const moire__argument *a = look_up(c, name);
  return a && a->kind != MOIRE__ARGUMENT_NOTHING ? a : NULL;
}

moire_value moire__tensor(moire__call *c, const char *name) {
  const moire__argument *a = moire__find(c, name);
  if (a && a->kind == MOIRE__ARGUMENT_TENSOR) return a->value;
  moire__refuse(c, "%s: wanted a tensor", name);
  return moire__null(c);
}

moire_value moire__tensor_or_none(moire__call *c, const char *name) {
  return moire__find(c, name) ? moire__tensor(c, name) : (moire_value){0};
}

int64_t moire__integer(moire__call *c, const char *name) {
  const moire__argument *a = moire__find(c, name);
  if (a && a->kind == MOIRE__ARGUMENT_INT && !a->symbolic) return a->integer;
  moire__refuse(c, "%s: wanted a whole number that is known when the program is exported", name);
  return 0;
}

int64_t moire__integer_or(moire__call *c, const char *name, int64_t otherwise) {
  return moire__find(c, name) ? moire__integer(c, name) : otherwise;
}

double moire__real_or(moire__call *c, const char *name, double otherwise) {
  const moire__argument *a = moire__find(c, name);
  if (!a) return otherwise;
  bool plain = a->kind == MOIRE__ARGUMENT_REAL || a->kind == MOIRE__ARGUMENT_BOOL ||
               (a->kind == MOIRE__ARGUMENT_INT && !a->symbolic);
  if (!plain) moire__refuse(c, "%s: wanted a real number that is known when the program is exported", name);
  return plain ? a->real : otherwise;
}

bool moire__bool_or(moire__call *c, const char *name, bool otherwise) {
  return moire__real_or(c, name, otherwise) != 0;
}

const char *moire__text_or(moire__call *c, const char *name, const char *otherwise) {
  const moire__argument *a = moire__find(c, name);
  if (!a) return otherwise;
  if (a->kind == MOIRE__ARGUMENT_TEXT) return a->text;
  moire__refuse(c, "%s: wanted a text", name);
  return otherwise;
}

moire__torch_type moire__type_or(moire__call *c, const char *name, moire__torch_type otherwise) {
  const moire__argument *a = moire__find(c, name);
  if (!a) return otherwise;
  if (a->kind == MOIRE__ARGUMENT_TYPE) return a->type;
  moire__refuse(c, "%s: wanted an element type", name);
  return otherwise;
}

void moire__pass_over(moire__call *c, const char *name) { look_up(c, name); }

/* One argument, or the items of a list; NULL, -1 where it did not come. */
static const moire__argument *items_of(moire__call *c, const char *name, int most, int *n) {
  const moire__argument *a = moire__find(c, name);
  *n = -1;
  if (!a) return NULL;
  *n = a->kind == MOIRE__ARGUMENT_LIST ? a->n : 1;
  if (*n > most) {
    moire__refuse(c, "%s: has %d of them, %d are possible", name, *n, most);
    *n = 0;
  }
  return a->kind == MOIRE__ARGUMENT_LIST ? a->items : a;
}

int moire__integers(moire__call *c, const char *name, int64_t *out, int most) {
  int n;
  const moire__argument *items = items_of(c, name, most, &n);
  for (int i = 0; i < n; i++) {
    out[i] = items[i].integer;
    if (items[i].kind != MOIRE__ARGUMENT_INT || items[i].symbolic)
      moire__refuse(c, "%s: wanted whole numbers that are known when the program is exported", name);
  }
  return n;
}

int moire__dims(moire__call *c, const char *name, moire_dim *out, int most) {
  int n;
  const moire__argument *items = items_of(c, name, most, &n);
  for (int i = 0; i < n; i++) {
    bool fits = items[i].symbolic || (items[i].integer >= -1 && items[i].integer < (int64_t)1 << 47);
    out[i] = items[i].symbolic ? items[i].dim : items[i].integer;
    if (items[i].kind == MOIRE__ARGUMENT_INT && fits) continue;
    moire__refuse(c, "%s: wanted sizes", name);
    out[i] = 1;
  }
  return n;
}

moire_value *moire__tensors(moire__call *c, const char *name, int *n) {
  const moire__argument *a = moire__find(c, name);
  *n = a && a->kind == MOIRE__ARGUMENT_LIST ? a->n : 0;
  moire_value *out = moire__arena_array(c->arena, (size_t)*n + 1, sizeof *out);
  bool good = *n > 0;
  for (int i = 0; i < *n; i++) {
    good = good && a->items[i].kind == MOIRE__ARGUMENT_TENSOR;
    out[i] = good ? a->items[i].value : moire__null(c);
  }
  if (good) return out;
  moire__refuse(c, "%s: wanted a list of tensors", name);
  *n = 0;
  return out;
}

int moire__import_axis(moire__call *c, int64_t axis, int rank) {
  int64_t from_front = axis < 0 ? axis + (rank ? rank : 1) : axis;
  if (from_front >= 0 && from_front < (rank ? rank : 1)) return (int)from_front;
  moire__refuse(c, "there is no axis %lld of %d", (long long)axis, rank);
  return 0;
}

int64_t moire__fixed(moire__call *c, moire_value x, int axis) {
  if (moire_value_is_null(x)) return 1;
  moire_shape shape = moire_value_shape(x);
  if (axis >= 0 && axis < shape.rank && !moire_dim_extent_name(c->graph, shape.dims[axis], 0))
    return moire_dim_factor(shape.dims[axis]);
  moire__refuse(c, "axis %d has a size that is not known when the program is exported", axis);
  return 1;
}

/* ---- results --------------------------------------------------------------------------------------------- */

static moire__argument argument_of(moire_value value) {
  return (moire__argument){.kind = MOIRE__ARGUMENT_TENSOR, .value = value};
}

void moire__give(moire__call *c, moire_value value) { c->result = argument_of(value); }

void moire__give_uniform(moire__call *c, moire_value value, double number) {
  c->result = argument_of(value);
  c->result.uniform = true;
  c->result.real = number;
}

void moire__give_list(moire__call *c, const moire_value *values, int n) {
  moire__argument *items = moire__arena_array(c->arena, (size_t)n + 1, sizeof *items);
  for (int i = 0; i < n; i++) items[i] = argument_of(values[i]);
  c->result = (moire__argument){.kind = MOIRE__ARGUMENT_LIST, .items = items, .n = n};
}

void moire__give_size(moire__call *c, moire_dim dim) {
  bool symbolic = moire_dim_extent_name(c->graph, dim, 0) != NULL;
  int64_t n = symbolic ? 0 : moire_dim_factor(dim);
  c->result = (moire__argument){
      .kind = MOIRE__ARGUMENT_INT, .symbolic = symbolic, .dim = dim, .integer = n, .real = (double)n};
}
