/* Lowering: from the nodes of one kernel to a loop nest. What the ops' `lower` parts and the passes share.
 *
 * A kernel reads values through moire__lower_read, which knows where a value comes from: a register of the
 * current element, a buffer (through strides where possible, otherwise through the op's index map), or an
 * element computed on the spot (constants, iota, random masks, and element-wise nodes of the same kernel).
 */
#ifndef MOIRE_COMPILER_IR_LOOP_LOWER_H
#define MOIRE_COMPILER_IR_LOOP_LOWER_H

#include "compiler/ir/loop/loop.h"
#include "compiler/ir/op.h"
#include "compiler/ir/graph/view.h"

/* What the schedule may count on. */
typedef struct moire__lower_target {
  int lanes;         /* f32 elements of a vector register: 16, 8 or 4 */
  int registers;     /* vector registers: 32 or 16 */
  bool pairs;        /* `dot` is one instruction, as fast as `fma` */
  bool small_blocks; /* blocks of odd sizes, about the square root of the usual: for tests, where little data
                        shall fill several blocks and leave a rest */
  bool tiles;        /* statements on tiles are instructions */
  int pieces;        /* of a long reduction; 0: MOIRE__REDUCTION_PIECES */
} moire__lower_target;

/* An index into a value of shape `dims`. Where `at[d]` is 0, it is derived from `linear`, the row-major offset,
 * on first need; where `linear` is 0, it is derived from `at`. */
typedef struct moire__index {
  int rank;
  moire_dim dims[MOIRE_MAX_RANK];
  moire__loop_value at[MOIRE_MAX_RANK];
  moire__loop_value linear;
  bool is_current; /* the element that the kernel is at: registers hold values of it */
} moire__index;

typedef struct moire__lowering {
  const moire_graph *g;
  int group; /* number of the kernel that is being lowered */
  moire__lower_target target;
  moire__arena *arena;   /* of what is made */
  moire__arena *scratch; /* of what is forgotten when the group is lowered */
  moire__loop_kernel *kernel;
  moire__loop_builder builder;
  const moire__node *node; /* KERNEL ops: the node; else the last of the kernel */
  /* Products: the element-wise nodes of the same kernel, in order, which read the node's results at their own
   * index; and of every value whether other kernels, outputs or updates read it. */
  const int *epilogue;
  int n_epilogue;
  const bool *stored;
  int32_t *parameters; /* values that have a buffer here, in the order of the kernel's parameters */
  int n_parameters, parameter_capacity;
  const int *uses; /* of every value */
  int *visited;    /* of every value: the kernel, counted by `visit`, in which it was last visited */
  int *visit;      /* by moire__lower_add_reads */
  bool needs_axes; /* some read is not at the row-major offset of the current element */
  moire__loop_value *registers; /* of value v: its element at the current index, or 0; all 0 between groups */
  /* An op may need more than one kernel (a reduction in parts): partial results live in extra buffers. */
  struct moire__lowered *lowered; /* where finished kernels go */
} moire__lowering;

/* One finished kernel, and which buffers it is run with: value ids, or -1 - i for extra buffer i of the group.
 */
typedef struct moire__lowered_kernel {
  moire__loop_kernel *kernel;
  int32_t *arguments;
  int n_arguments;
} moire__lowered_kernel;

typedef struct moire__lowered {
  moire__lowered_kernel *kernels;
  int n_kernels, kernel_capacity;
  struct moire__lowered_extra {
    moire_dim elements;
    moire_dtype dtype;
  } *extras;
  int n_extras, extra_capacity;
} moire__lowered;

/* ---- starting and ending a kernel
 * ----------------------------------------------------------------------------------- */

/* Begins a kernel of the group; its parameters are added next, then moire__lower_body opens the body. */
void moire__lower_begin(moire__lowering *l, const char *suffix);
/* Adds what reading `value` at any index loads from buffers; nothing if it is there already. */
void moire__lower_add_reads(moire__lowering *l, int32_t value);
void moire__lower_add_reads_of(moire__lowering *l, const moire__node *node); /* of all its operands */
moire__loop_buffer moire__lower_add_write(moire__lowering *l, int32_t value);
void moire__lower_add_epilogue(moire__lowering *l); /* what it reads, and what it stores */
/* `in_place` is a state that this kernel reads and `value` replaces, at the same elements: one buffer for both.
 */
void moire__lower_add_in_place(moire__lowering *l, int32_t value, int32_t in_place);
/* A buffer that only this group's kernels see. Returns its number. */
int moire__lower_new_extra(moire__lowering *l, moire_dim elements); /* of f32 */
int moire__lower_new_extra_of(moire__lowering *l, moire_dtype dtype, moire_dim elements);
moire__loop_buffer moire__lower_add_extra(moire__lowering *l, int extra, moire__buffer_role role);
void moire__lower_body(moire__lowering *l, moire_dim count, int64_t block);
void moire__lower_finish(moire__lowering *l);

/* ---- reading and writing
 * ------------------------------------------------------------------------------------------------ */

/* The element of `value` at `index`, as its own element type. */
moire__loop_value moire__lower_read(moire__lowering *l, int32_t value, moire__index *index);
/* The element of a value of this kernel's own, computed from what it reads: never a register or a buffer. */
moire__loop_value moire__lower_compute(moire__lowering *l, int32_t value, moire__index *index);
/* Stores the element of `value` at the row-major offset. */
void moire__lower_write(moire__lowering *l, int32_t value, moire__loop_value offset, moire__loop_value element);
/* The elements of the node's first `n_results` results at `index`, which is current and knows its `linear`, are
 * in registers: computes the epilogue of them, stores what has a buffer, and clears the registers. */
void moire__lower_epilogue(moire__lowering *l, int n_results, moire__index *index);
moire__loop_buffer moire__lower_buffer(const moire__lowering *l, int32_t value); /* of a parameter; 0 if none */

/* Statements to come are the node's, and serve its line of the model. Returns what builder.at was, to be put
 * back. */
moire_source moire__lower_serve(moire__lowering *l, const moire__node *node);

/* An index of a value's shape with nothing known yet. */
moire__index moire__lower_index(const moire_graph *g, int32_t value);
moire__loop_value moire__lower_index_at(moire__lowering *l, moire__index *index, int axis);
moire__loop_value moire__lower_index_linear(moire__lowering *l, moire__index *index);

/* ---- shorthand
 * ------------------------------------------------------------------------------------------------------------
 */

moire__loop_value moire__lower_add(moire__lowering *l, moire__loop_value a, moire__loop_value b);
moire__loop_value moire__lower_mul(moire__lowering *l, moire__loop_value a, moire__loop_value b);
/* offset + sum over d of at[d] * strides[d]; entries of `at` that are 0 count as index 0. */
moire__loop_value moire__lower_address(moire__lowering *l, const moire__view *view,
                                       const moire__loop_value *at);
/* The view of a KERNEL op's operand: fusion has made sure that there is one. */
moire__view moire__lower_view(const moire__lowering *l, int32_t value);

/* The size of blocks where `usual` pays. */
int64_t moire__lower_block(const moire__lowering *l, int64_t usual);
static inline int64_t moire__lower_round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
/* 16 registers, where others have 32. */
static inline bool moire__lower_few_registers(const moire__lowering *l) { return l->target.registers <= 16; }

/* How a long reduction is cut so that the result does not depend on the number of threads: moire__lower_pieces
 * parts of ceil(extent / parts) each. low and high are part p's bounds. */
enum { MOIRE__REDUCTION_PIECES = 32 };
int64_t moire__lower_pieces(const moire__lowering *l);
/* Up to this extent of k a product sums it up at once, also where it copies or packs operands
 * (ops/product/blocked.h, ops/product/triple.h). */
enum { MOIRE__PRODUCT_WHOLE = 1024 };
void moire__lower_piece(moire__lowering *l, moire_dim extent, moire__loop_value p, moire__loop_value *low,
                        moire__loop_value *high);
/* The same of n parts. */
void moire__lower_piece_of(moire__lowering *l, moire_dim extent, int64_t n, moire__loop_value p,
                           moire__loop_value *low, moire__loop_value *high);
/* Or how many parts there are, of a size that is at least `least` and a multiple of `unit`: later ones may be
 * empty. Of part p the bounds, and how many come before the empty ones: at least one. */
typedef struct moire__lower_cut {
  moire_dim extent;
  int64_t n, least, unit;
} moire__lower_cut;
void moire__lower_cut_bounds(moire__lowering *l, const moire__lower_cut *cut, moire__loop_value p,
                             moire__loop_value *low, moire__loop_value *high);
moire__loop_value moire__lower_cut_count(moire__lowering *l, const moire__lower_cut *cut);
/* Adds the kernel out[i] = sum over p of extra[p * elements + i], p in order; of a cut, those that are not
 * empty. */
void moire__lower_sum_pieces(moire__lowering *l, int extra, int32_t value);
void moire__lower_sum_cut(moire__lowering *l, int extra, int32_t value, const moire__lower_cut *cut);

#endif
