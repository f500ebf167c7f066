/* What the files of ops share: inference with sentences, tensors of the references, building samples.
 *
 * A node that comes to inference has the right number of operands, but their types and shapes and all
 * attributes may be anything (a graph may come from text): inference reads attributes with the functions below,
 * which fail with a sentence; the other parts rely on it and read them with moire__node_int and its like.
 */
#ifndef MOIRE_OPS_SUPPORT_H
#define MOIRE_OPS_SUPPORT_H

#include "compiler/ir/op.h"

/* Returns the status of a call from the enclosing function unless it is MOIRE_OK. */
#define MOIRE__TRY(call)                                                                                       \
  do {                                                                                                         \
    moire_status status_of_call = (call);                                                                      \
    if (status_of_call != MOIRE_OK) return status_of_call;                                                     \
  } while (0)

/* ---- infer ----------------------------------------------------------------------------------------------- */

/* A type as text, by value: moire_fail(…, "x is %s", moire__operand_type(c, 0).text). */
typedef struct moire__type_text {
  char text[200]; /* "f32[B,50,64]"; "nothing" for an absent operand */
} moire__type_text;

moire__type_text moire__type_print(const moire_graph *g, moire_dtype dtype, const moire_shape *shape);
moire__type_text moire__operand_type(const moire__infer *c, int operand);

/* Sets of element types. */
enum {
  MOIRE__SET_REAL = 1 << MOIRE_F32 | 1 << MOIRE_F64,
  MOIRE__SET_INT = 1 << MOIRE_I32 | 1 << MOIRE_I64,
  MOIRE__SET_BOOL = 1 << MOIRE_BOOL,
  MOIRE__SET_COMPLEX = 1 << MOIRE_C64,
  MOIRE__SET_BF16 = 1 << MOIRE_BF16,
  MOIRE__SET_NUMBER = MOIRE__SET_REAL | MOIRE__SET_INT,
  MOIRE__SET_ANY = MOIRE__SET_NUMBER | MOIRE__SET_BOOL | MOIRE__SET_COMPLEX | MOIRE__SET_BF16,
};

/* Each is MOIRE_OK or the failure that it has recorded; operands are named by their number, from 0. */
moire_status moire__infer_dtype(moire__infer *c, int operand,
                                unsigned set); /* "operand 1 is …, wanted f32 or f64" */
moire_status moire__infer_rank(moire__infer *c, int operand, int low, int high);
moire_status moire__infer_alike(moire__infer *c, int a, int b); /* same element type and same shape */
moire_status moire__infer_same_shape(moire__infer *c, int a, int b);

/* A scalar of that type. */
moire_status moire__infer_scalar(moire__infer *c, int operand, moire_dtype dtype);

/* Attributes: there, of that kind, in the range, and copied out. That a shape is one of the graph's, with few
 * enough elements, has been checked before inference. */
moire_status moire__infer_int(moire__infer *c, const char *name, int64_t low, int64_t high, int64_t *value);
moire_status moire__infer_int_or(moire__infer *c, const char *name, int64_t otherwise, int64_t low,
                                 int64_t high, int64_t *value); /* may be absent */
moire_status moire__infer_real(moire__infer *c, const char *name, double *value);
moire_status moire__infer_not_negative(moire__infer *c, const char *name);          /* a real number */
moire_status moire__infer_below_one(moire__infer *c, const char *name, double low); /* likewise, in [low, 1) */
moire_status moire__infer_ints(moire__infer *c, const char *name, const int64_t **values, int *n);
moire_status moire__infer_shape(moire__infer *c, const char *name, moire_shape *shape);
moire_status moire__infer_text(moire__infer *c, const char *name, const char **text);
moire_status moire__infer_axis(moire__infer *c, const char *name, int rank, int *axis); /* in [0, rank) */
moire_status moire__infer_element_type(moire__infer *c, const char *name, unsigned set, moire_dtype *dtype);

/* Result r is dtype[shape]; returns MOIRE_OK. */
moire_status moire__infer_result(moire__infer *c, int r, moire_dtype dtype, moire_shape shape);
/* Result 0 is as operand i. */
moire_status moire__infer_as_operand(moire__infer *c, int operand);

/* ---- reference: row-major tensors -------------------------------------------------------------------------
 */

/* Steps `index` to the next one in row-major order; false after the last (index is then all 0 again). A loop
 * over all elements starts from an index of zeros and asks first whether there are any. */
bool moire__index_next(int rank, const int64_t *dims, int64_t *index);
void moire__tensor_strides(const moire__tensor *t, int64_t strides[MOIRE_MAX_RANK]);
int64_t moire__tensor_offset(const moire__tensor *t, const int64_t *index);
/* Elements before, on, and after an axis: t is [outer, n, inner]. */
void moire__tensor_around(const moire__tensor *t, int axis, int64_t *outer, int64_t *n, int64_t *inner);
/* Cosine and sine of 2 pi k / n, for any k and n from 1 to 2^56. k is reduced as an integer, to an eighth of a
 * turn: the quarters are 0 and +-1, and what mirrors itself has the same digits. */
void moire__turn(int64_t k, int64_t n, double *cosine, double *sine);
/* y[at] = x[from], all planes. */
void moire__tensor_copy(moire__tensor *y, int64_t at, const moire__tensor *x, int64_t from);

/* ---- demand -----------------------------------------------------------------------------------------------
 */

/* Changes an attribute of the node to come. */
void moire__demand_set_int(moire__demand *c, const char *name, int64_t value);
void moire__demand_set_dim(moire__demand *c, const char *name, int at, moire_dim dim); /* one dim of a shape */
/* operands[i] = slice(operands[i], axis, start, length). */
void moire__demand_slice(moire__demand *c, int operand, int axis, int64_t start, int64_t length);

/* ---- sample -----------------------------------------------------------------------------------------------
 */

moire_dim moire__sample_batch(moire__sampler *s); /* the named extent B */
moire_dim moire__sample_time(moire__sampler *s);  /* another one, T */
/* Appends the node as it is, without what the language does for its callers (broadcast, promotion). */
moire_value moire__sample_emit(moire__sampler *s, moire__op op, const moire_value *operands, int n,
                               const moire__attr *attrs, int n_attrs);
/* Hands `y` to output "y0" and returns true, as a sampler does. */
bool moire__sample_finish(moire__sampler *s, moire_value y);
/* The same for a sample that must be refused with `expected`. */
bool moire__sample_refuse(moire__sampler *s, moire_status expected);

#endif
