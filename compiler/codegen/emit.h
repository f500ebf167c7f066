/* The emitter: one kernel of the loop IR to one LLVM function. Shared by the files emit_*.c.
 *
 * Outside vector loops every value is a scalar. Inside a vector loop of W lanes a value is held in the cheapest
 * form that says what it is for all lanes:
 *
 *   uniform   `scalar`               the same in all lanes
 *   affine    `scalar` and `stride`  lane i has scalar + i * stride (i64 only; stride is an i64 scalar)
 *   vector    `vector`               <W x T>
 *
 * so an index is one scalar as long as it is only used in addresses, and a uniform operand is broadcast where a
 * vector needs it. The body of a vector loop is written twice: for full vectors, and with `mask` for the rest.
 */
#ifndef MOIRE_COMPILER_CODEGEN_EMIT_H
#define MOIRE_COMPILER_CODEGEN_EMIT_H

#include "compiler/codegen/codegen.h"
#include "compiler/codegen/llvm_ir.h"

typedef struct moire__emit_value {
  LLVMValueRef scalar, stride, vector;
} moire__emit_value;

typedef struct moire__emit_variable {
  LLVMValueRef slot;        /* alloca; SROA makes it registers and phis */
  LLVMTypeRef type;         /* of what is in it */
  LLVMValueRef accumulator; /* alloca of lanes, in a vector loop that reduces into the variable; else NULL */
  moire__loop_op combine;   /* of the accumulator */
} moire__emit_variable;

/* What differs over the lanes of the vector loop that is being emitted (moire__emit_analyse). */
typedef struct moire__emit_variance {
  bool *value; /* [n_values] differs over the lanes */
  bool *var;   /* [n_vars] differs over the lanes */
  bool *inner; /* [n_vars] declared inside the loop */
} moire__emit_variance;

typedef struct moire__emit_debug moire__emit_debug;

typedef struct moire__emitter {
  moire__ir ir;
  moire__arena arena; /* scratch, of this kernel */
  const moire__loop_kernel *kernel;
  const moire__target *target;
  const moire__codegen_options *options;
  moire_error *error;
  moire_status status; /* the first failure; emission goes on regardless, its result is thrown away */

  LLVMValueRef *extents;             /* [n_extents + 1] sizes, loaded at entry */
  LLVMValueRef *buffers;             /* [n_buffers] base pointers */
  moire__emit_value *values;         /* [n_values] */
  moire__emit_variable *vars;        /* [n_vars] */
  bool *index_like;                  /* [n_values] made of indices, extents and constants: cannot overflow */
  moire__emit_variance varies;       /* all false outside vector loops */
  int lanes;                         /* of the vector loop being emitted; 0 outside */
  const moire__loop_statement *loop; /* that loop; NULL outside */
  LLVMValueRef mask;                 /* <lanes x i1>: which lanes exist; NULL: all */
  moire__emit_debug *debug;          /* NULL: no debug information is wanted */
} moire__emitter;

/* emit_type.c: types, and what fails */
LLVMTypeRef moire__emit_type(const moire__emitter *e, moire__loop_type type);        /* of a value */
LLVMTypeRef moire__emit_memory_type(const moire__emitter *e, moire__loop_type type); /* of a buffer's element */
/* Records a failure of the kernel being emitted. */
void moire__emit_fail(moire__emitter *e, moire_status status, const char *what);

/* emit_analysis.c */
void moire__emit_analyse(const moire__loop_kernel *k, const moire__loop_statement *loop,
                         moire__emit_variance *out);
/* high - low as far as it is known: it is `constant` if is_constant, and always a multiple of `multiple`. */
typedef struct moire__emit_trip {
  bool is_constant;
  int64_t constant, multiple;
} moire__emit_trip;
moire__emit_trip moire__emit_trip_of(const moire__loop_kernel *k, moire__loop_value low,
                                     moire__loop_value high);
/* A number that divides the i64 value v in the first lane of each pass of a vector loop; 0: v is 0 there. */
int64_t moire__emit_multiple_of(const moire__loop_kernel *k, const moire__loop_statement *loop,
                                moire__loop_value v);

/* emit_form.c: values in a form */
LLVMValueRef moire__emit_uniform(moire__emitter *e, moire__loop_value v); /* the scalar of a uniform value */
/* The value in all lanes of the current vector loop; outside, the scalar. */
LLVMValueRef moire__emit_lanes(moire__emitter *e, moire__loop_value v);
/* The form of v, constants and extents included. */
moire__emit_value moire__emit_value_of(moire__emitter *e, moire__loop_value v);

/* emit_value.c: instructions */
void moire__emit_let(moire__emitter *e, moire__loop_value v);
/* op on operands of one shape; type is the operands'. For add, sub, mul, min, max also the combine of a reduce.
 */
LLVMValueRef moire__emit_arithmetic(moire__emitter *e, moire__loop_op op, moire__loop_type type, LLVMValueRef a,
                                    LLVMValueRef b);

/* emit_memory.c */
moire__emit_value moire__emit_load(moire__emitter *e, moire__loop_value v);
void moire__emit_store(moire__emitter *e, const moire__loop_statement *s);
void moire__emit_fetch(moire__emitter *e, const moire__loop_statement *s);

/* emit_bf16.c: of f32 scalars and vectors; a bf16 is an i16, a pair an i32 */
LLVMValueRef moire__emit_to_bf16(moire__emitter *e, LLVMValueRef x);
LLVMValueRef moire__emit_from_bf16(moire__emitter *e, LLVMValueRef x);
LLVMValueRef moire__emit_narrow(moire__emitter *e, LLVMValueRef x); /* rounded, and f32 again */
LLVMValueRef moire__emit_pair(moire__emitter *e, LLVMValueRef low, LLVMValueRef high);
LLVMValueRef moire__emit_dot(moire__emitter *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);

/* emit_tile.c: around the body of a kernel, and a statement */
void moire__emit_open_tiles(moire__emitter *e);
void moire__emit_close_tiles(moire__emitter *e);
void moire__emit_tile(moire__emitter *e, const moire__loop_statement *s);

/* emit_turn.c: a square of one vector a side */
void moire__emit_turn(moire__emitter *e, const moire__loop_statement *s);

/* emit_reduce.c */
void moire__emit_reduce(moire__emitter *e, const moire__loop_statement *s);
/* Around a vector loop: makes the accumulators of the variables reduced in it, and folds them into the
 * variables. `ran` (i1, NULL: certainly) says whether the loop had any iteration. */
void moire__emit_open_accumulators(moire__emitter *e, const moire__loop_statement *body);
void moire__emit_close_accumulators(moire__emitter *e, const moire__loop_statement *body, LLVMValueRef ran);

/* emit_debug.c: around the body of a function, and before each statement. Nothing happens unless the options
 * ask for debug information. */
void moire__emit_debug_begin(moire__emitter *e);
void moire__emit_debug_at(moire__emitter *e, moire_source at);
void moire__emit_debug_end(moire__emitter *e);

/* emit_loop.c: a list of statements */
void moire__emit_statements(moire__emitter *e, const moire__loop_statement *first);

/* emit_kernel.c: the whole kernel, as the external function `symbol`. */
moire_status moire__emit_kernel(const moire__ir *ir, const moire__loop_kernel *k, const char *symbol,
                                const moire__target *target, const moire__codegen_options *options,
                                moire_error *error);

#endif
