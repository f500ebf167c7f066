/* What a row of the table of ATen operations works with: one call of an operation, its arguments by name, and
 * where its results go.
 *
 * A row looks at every argument that it understands; one that came and that no row looked at is refused, so no
 * option is passed over in silence. A row that cannot do what was asked for says so with moire__refuse and
 * gives nothing; whatever it computes from what is missing is null, which the language passes on in silence.
 */
#ifndef MOIRE_COMPILER_IMPORT_ROW_H
#define MOIRE_COMPILER_IMPORT_ROW_H

#include "compiler/import/types.h"
#include "runtime/base/memory.h"

#include <stdbool.h>

typedef enum moire__argument_kind {
  MOIRE__ARGUMENT_UNKNOWN, /* the result of what was refused */
  MOIRE__ARGUMENT_NOTHING, /* None */
  MOIRE__ARGUMENT_TENSOR,
  MOIRE__ARGUMENT_INT, /* a number, or where `symbolic` a multiple of named extents */
  MOIRE__ARGUMENT_REAL,
  MOIRE__ARGUMENT_COMPLEX,
  MOIRE__ARGUMENT_BOOL,
  MOIRE__ARGUMENT_TEXT,
  MOIRE__ARGUMENT_TYPE, /* a dtype */
  MOIRE__ARGUMENT_LIST,
  MOIRE__ARGUMENT_PLACE, /* a device, a layout, a memory format */
} moire__argument_kind;

typedef struct moire__argument {
  moire__argument_kind kind;
  moire_value value; /* TENSOR */
  bool uniform;      /* TENSOR: all elements are `real` */
  const char *state; /* TENSOR: that this is the whole of, or NULL */
  bool unbound;      /* UNKNOWN: no node before this one makes it */
  bool aliased;      /* TENSOR: another one shares its elements */
  bool symbolic;     /* INT */
  moire_dim dim;     /* INT, symbolic */
  int64_t integer;
  double real, imaginary; /* REAL, COMPLEX; of INT and BOOL the same number */
  moire__torch_type type;
  const char *text;
  const struct moire__argument *items; /* LIST */
  int n;
} moire__argument;

enum { MOIRE__MOST_ARGUMENTS = 24 };

typedef struct moire__named_argument {
  const char *name;
  moire__argument argument;
  bool seen;
} moire__named_argument;

typedef struct moire__call {
  moire__arena *arena; /* of the import */
  moire_graph *graph;
  moire_source at; /* the Python line */
  const char *op;  /* "aten.linear.default" */
  moire__named_argument arguments[MOIRE__MOST_ARGUMENTS];
  int n_arguments;
  double dropout;         /* instead of every probability of a dropout; negative: as it is */
  bool unknown;           /* an argument is the result of what was refused: nothing is said of this call */
  const char *why;        /* the first refusal */
  moire__argument result; /* LIST where there are several */
} moire__call;

/* ---- arguments --------------------------------------------------------------------------------------------
 */

void moire__refuse(moire__call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
moire_value moire__null(const moire__call *call); /* what stands for what could not be made */

/* The argument, or NULL where it did not come or is None. */
const moire__argument *moire__find(moire__call *call, const char *name);
/* Of a kind that the name says; what is not there, or is of another kind, is refused. */
moire_value moire__tensor(moire__call *call, const char *name);
int64_t moire__integer(moire__call *call, const char *name);
/* The same with what holds where it did not come. */
moire_value moire__tensor_or_none(moire__call *call, const char *name); /* (moire_value){0} */
int64_t moire__integer_or(moire__call *call, const char *name, int64_t otherwise);
double moire__real_or(moire__call *call, const char *name, double otherwise);
bool moire__bool_or(moire__call *call, const char *name, bool otherwise);
const char *moire__text_or(moire__call *call, const char *name, const char *otherwise);
moire__torch_type moire__type_or(moire__call *call, const char *name, moire__torch_type otherwise);
/* Whole numbers, one of them or a list: their number, -1 where it did not come. At most `most`, else refused.
 */
int moire__integers(moire__call *call, const char *name, int64_t *out, int most);
/* Sizes, of which one may be -1 (as moire_dim -1); their number, -1 where it did not come. */
int moire__dims(moire__call *call, const char *name, moire_dim *out, int most);
/* The tensors of a list, owned by the arena; NULL, *n = 0, with a refusal, where it is none. */
moire_value *moire__tensors(moire__call *call, const char *name, int *n);
/* Looks at an argument that has no meaning here: where tensors lie, how they are laid out. */
void moire__pass_over(moire__call *call, const char *name);

/* The axis in [0, rank), of one that may be negative; refused where there is none. */
int moire__import_axis(moire__call *call, int64_t axis, int rank);
/* The size of an axis, a plain number; refused where it is named. */
int64_t moire__fixed(moire__call *call, moire_value x, int axis);

/* ---- results ----------------------------------------------------------------------------------------------
 */

void moire__give(moire__call *call, moire_value value);
/* The same where all elements are known to be `number`. */
void moire__give_uniform(moire__call *call, moire_value value, double number);
void moire__give_list(moire__call *call, const moire_value *values, int n);
void moire__give_size(moire__call *call, moire_dim dim); /* a size, that may be a multiple of named extents */

/* ---- element types ----------------------------------------------------------------------------------------
 */

/* The type that PyTorch gives to what these arguments make together. */
moire__torch_type moire__promoted(const moire__argument *const *arguments, int n);
/* The argument, a tensor or a number, as a tensor of that type; a number has the shape of `like`, or no axes
 * where that is null. */
moire_value moire__as(moire__call *call, const moire__argument *argument, moire__torch_type type,
                      moire_value like);
/* x as another type: from float to whole numbers cut, to bool what is not 0, to complex with an imaginary 0. */
moire_value moire__to_type(moire__call *call, moire_value x, moire__torch_type type);
moire__torch_type moire__type_of(moire_value x);
/* Two operands by their names, of one promoted type, which is returned; NONE with a refusal. */
moire__torch_type moire__pair(moire__call *call, const char *a, const char *b, moire_value out[2]);
/* A number, as a tensor of x's shape and type. */
moire_value moire__number_like(moire__call *call, moire_value x, double number);
moire_value moire__complex_number(moire__call *call, moire_value like, double re, double im);
/* Refuses, once, where x is complex, or where it is not float, or not complex either. */
moire_value moire__need_real(moire__call *call, moire_value x);
/* The real numbers that a complex x was made of, with imaginary parts of 0; any other x as it is. */
moire_value moire__without_imaginary(moire__call *call, moire_value x);
/* z, of which x is the size, complex; null where it is not. */
moire_value moire__is_size_of(moire__call *call, moire_value x);
/* x, where it is an integer or bool as float32. */
moire_value moire__to_float(moire__call *call, moire_value x);

#endif
