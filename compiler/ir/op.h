/* The op table: what every op is, in parts that passes ask for and never include.
 *
 * Each row of ops/ops.def becomes one moire__op_info. The row's class says which parts must exist; each part is
 * a function `moire__<op>_<part>`, so a forgotten one does not link. In an op's file the parts stand in the
 * order of this header.
 *
 *   class         parts beside infer, reference, sample
 *   SOURCE        source where it is computed (constant, iota, random_mask)
 *   POINTWISE     gradient (unless FIXED), element
 *   COMPLEX_PART  gradient, split
 *   VIEW          gradient, map
 *   REDUCE        gradient
 *   KERNEL        gradient (unless FIXED), lower; split unless PLANEWISE or not COMPLEX
 *   ROW           gradient, expand
 *   COMPOSITE     expand
 *
 * Optional everywhere: demand, split.
 */
#ifndef MOIRE_COMPILER_IR_OP_H
#define MOIRE_COMPILER_IR_OP_H

#include "compiler/ir/graph/graph.h"
#include "moire/compile.h"
#include "compiler/ir/loop/loop.h"

typedef enum moire__op_class {
  MOIRE__CLASS_SOURCE,
  MOIRE__CLASS_POINTWISE,
  MOIRE__CLASS_COMPLEX_PART,
  MOIRE__CLASS_VIEW,
  MOIRE__CLASS_REDUCE,
  MOIRE__CLASS_KERNEL,
  MOIRE__CLASS_ROW,
  MOIRE__CLASS_COMPOSITE,
} moire__op_class;

enum {
  MOIRE__TRAIT_COMPLEX = 1,
  MOIRE__TRAIT_PLANEWISE = 2,
  MOIRE__TRAIT_COMMUTES = 4,
  MOIRE__TRAIT_FIXED = 8,
  MOIRE__TRAIT_IN_PLACE = 16, /* of KERNEL ops: result i takes the place of operand i, of the same type */
};

enum { MOIRE__MAX_OPERANDS = 80, MOIRE__MAX_RESULTS = 8 };
enum { MOIRE__MOST_TAPS = 1024 }; /* of a filter over positions */
/* Columns of linear_log_softmax, which keeps a block of rows in local memory; and how few words are not worth
 * it. */
enum { MOIRE__HEAD_WIDEST = 4096, MOIRE__HEAD_FEWEST = 16 };

/* linear_log_softmax_joint keeps the scores of an eighth of the rows at a time: is it known how many there are,
 * or that there are many? */
static inline bool moire__head_joint_fits(moire_dim rows) {
  enum { LEAST = 64 };
  return moire__dim_is_static(rows) || moire__dim_factor(rows) >= LEAST;
}

/* A filter over the tokens of packed samples keeps what is read of a sample in memory of its own, rows rounded
 * up to vectors: are `length` positions of `width` channels few enough? */
static inline bool moire__packed_filter_fits(moire_dim length, moire_dim width) {
  enum { MOST = 1 << 16, ROUND = 32 };
  return moire__dim_is_static(length) && moire__dim_is_static(width) && length >= 1 && width < MOST &&
         length <= MOST / (width + ROUND);
}

/* ---- infer: types and shapes of the results from operands and attributes
 * --------------------------------------- */

typedef struct moire__infer {
  const moire_graph *g;
  const moire__node *node;                                /* op, attributes */
  const moire__value_info *operands[MOIRE__MAX_OPERANDS]; /* NULL where a permitted operand is absent */
  int n_operands;
  moire_dtype dtype[MOIRE__MAX_RESULTS]; /* to fill */
  moire_shape shape[MOIRE__MAX_RESULTS]; /* to fill */
  moire_error *error; /* the sentence starts with what is wrong, not with the op's name: it is put in front */
} moire__infer;

/* ---- gradient: operand gradients as graph ops; all values are in the graph that is being built
 * ----------------- */

typedef struct moire__gradient {
  moire_graph *g;
  const moire__node *node;
  moire_value operands[MOIRE__MAX_OPERANDS];
  moire_value results[MOIRE__MAX_RESULTS];
  moire_value result_gradients[MOIRE__MAX_RESULTS];   /* null where nothing flows back */
  bool wanted[MOIRE__MAX_OPERANDS];                   /* which operand gradients will be used */
  moire_value operand_gradients[MOIRE__MAX_OPERANDS]; /* to fill; null: zero */
} moire__gradient;

/* ---- expand: a composite as other ops
 * ---------------------------------------------------------------------------- */

typedef struct moire__expand {
  moire_graph *g;
  const moire__node *node;
  moire_value operands[MOIRE__MAX_OPERANDS];
  int n_operands;
  moire_value results[MOIRE__MAX_RESULTS]; /* to fill */
  unsigned off;                            /* optimizations that are not made, as in moire_compile_options */
  bool bf16;                               /* operands of products will be bf16 */
} moire__expand;

/* ---- split: complex values as planes
 * ------------------------------------------------------------------------------- */

typedef struct moire__planes {
  moire_value re, im; /* im is null for a real value */
} moire__planes;

typedef struct moire__split {
  moire_graph *g;
  const moire__node *node;
  moire__planes operands[MOIRE__MAX_OPERANDS];
  int n_operands;
  moire__planes results[MOIRE__MAX_RESULTS]; /* to fill */
} moire__split;

/* ---- demand: which part of the operands a slice of the result needs
 * ----------------------------------------------- */

/* Result = op(operands); wanted: slice(result, axis, start, length). Fill `operands` with values (of
 * moire_slice or as they are) such that the node, emitted again with them and `attrs`, gives exactly the slice;
 * return false where that is not possible. The graph g already holds the operands. */
typedef struct moire__demand {
  moire_graph *g;
  const moire__node *node;
  moire_value operands[MOIRE__MAX_OPERANDS]; /* in: whole; out: what is needed */
  int n_operands;
  int axis;
  int64_t start, length, extent; /* of the result's axis (static) */
  moire__attr attrs[16];         /* in: the node's; out: those of the new node */
  int n_attrs;
} moire__demand;

/* ---- reference: the naive meaning, in double
 * ----------------------------------------------------------------------- */

typedef struct moire__tensor {
  moire_dtype dtype;
  int rank;
  int64_t dims[MOIRE_MAX_RANK];
  int64_t elements;
  double *re; /* every type: integers and bools as doubles */
  double *im; /* c64 only, else NULL */
} moire__tensor;

typedef struct moire__reference {
  const moire_graph *g;
  const moire__node *node;
  const int64_t *extents; /* sizes of the named extents, from 1 */
  const moire__tensor *operands[MOIRE__MAX_OPERANDS];
  int n_operands;
  moire__tensor *results[MOIRE__MAX_RESULTS]; /* allocated, zeroed; inputs and states already filled */
  moire__arena *scratch;
  moire_error *error; /* for data that has no meaning: a row out of range */
} moire__reference;

/* ---- sample: inputs for the generic test
 * ----------------------------------------------------------------------------- */

typedef enum moire__sample_kind {
  MOIRE__SAMPLE_GOOD,  /* usual shapes and values */
  MOIRE__SAMPLE_HARD,  /* extents 0, 1 and odd, broadcast, extreme values, ties */
  MOIRE__SAMPLE_WRONG, /* must be refused with `expected` */
} moire__sample_kind;

/* The sampler builds a small graph around its op with the language's calls: inputs made by moire__sample_input,
 * results handed to moire_output("y0", …). Sample `index` of a kind; returns false when there are no more. */
typedef struct moire__sampler {
  moire_graph *g;
  moire__sample_kind kind;
  int index;
  moire_status expected;              /* WRONG: to fill */
  bool no_gradient_check;             /* set where finite differences mean nothing (kinks, integers) */
  struct moire__sample_range *ranges; /* of the inputs, kept by moire__sample_input */
  int n_ranges;
} moire__sampler;

typedef struct moire__sample_range {
  const char *name;
  double low, high; /* uniform in [low, high); integers: low .. high - 1; bool: 0 or 1 */
} moire__sample_range;

/* An input named x0, x1, … whose elements will be drawn from [low, high). Named extents are 3 in samples. */
moire_value moire__sample_input(moire__sampler *s, moire_dtype dtype, moire_shape shape, double low,
                                double high);

/* ---- lowering: declared here, built by compiler/pass/lower
 * ---------------------------------------------------------- */

/* POINTWISE: one element from operand elements; types from the node. */
typedef moire__loop_value moire__element_function(moire__loop_builder *b, const moire_graph *g,
                                                  const moire__node *node, const moire__loop_value *operands);

/* VIEW: the operand's index from the result's; `valid` (a bool value, 0: always) says where the operand is read
 * at all, the element being zero elsewhere. Indices are i64 loop values. */
typedef struct moire__index_map {
  moire__loop_builder *b;
  const moire_graph *g;
  const moire__node *node;
  moire__loop_value result[MOIRE_MAX_RANK];
  moire__loop_value operand[MOIRE_MAX_RANK]; /* to fill */
  moire__loop_value valid;                   /* to fill */
  moire__loop_value row;                     /* gather: the value of rows at this index (i64) */
} moire__index_map;

struct moire__lowering; /* KERNEL: compiler/ir/loop/lower.h */
struct moire__index;

/* SOURCE: one element at an index, where it is computed rather than given (constant, iota, random_mask). */
typedef moire__loop_value moire__source_function(struct moire__lowering *l, const moire__node *node,
                                                 struct moire__index *index);

/* ---- the table
 * ---------------------------------------------------------------------------------------------------------- */

typedef struct moire__op_info {
  const char *name;
  moire__op_class op_class;
  int min_operands, max_operands, n_results;
  unsigned traits;
  const char *equation;
  moire_status (*infer)(moire__infer *c);
  void (*gradient)(moire__gradient *c);
  void (*expand)(moire__expand *c);
  void (*split)(moire__split *c);
  bool (*demand)(moire__demand *c);
  void (*reference)(moire__reference *c);
  bool (*sample)(moire__sampler *s);
  moire__element_function *element;
  void (*map)(moire__index_map *m);
  moire__source_function *source;
  void (*lower)(struct moire__lowering *l);
} moire__op_info;

const moire__op_info *moire__op_get(moire__op op);
moire__op moire__op_find(const char *name); /* MOIRE__OP_none if there is none */

/* ---- random masks
 * ------------------------------------------------------------------------------------------------------ */

/* An element of random_mask is 0 where its 16 bits (moire__philox_bits) are below the threshold, p 2^16 rounded
 * but at most 2^16 - 1, and elsewhere 1 over the part that is kept, so that its mean is 1. 0 <= p < 1. The
 * reference and the lowering both ask here. */
int32_t moire__mask_threshold(double p);
double moire__mask_kept(double p);

#endif
