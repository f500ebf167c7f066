/* The loop IR: a kernel is a loop nest over flat buffers, with explicit vector lanes.
 *
 *   kernel @softmax.3 <B> (in f32 %x[50*B], out f32 %y[50*B]) parallel %p < ceil(B / 8) {
 *     ...
 *   }
 *
 * Everything is scalar in meaning: a vector loop says that its body is to be executed for `lanes` consecutive
 * values of its variable at once, which never changes what is computed except for the order of a `reduce`. So
 * the interpreter runs loops one value at a time with bounds checks, and is the oracle of the code generator.
 *
 * Statements are a tree: blocks of `let` (one instruction), `for`, `if`, `store`, `set` and `reduce`. An
 * instruction's value has an element type and is visible in the rest of its block and in blocks nested there.
 *
 * Invariants (moire__loop_verify)
 *   - operands are visible, of the types that the operation wants; each value and variable has one statement;
 *   - addresses are i64 element offsets into one buffer or local; nothing is stored to an `in` buffer;
 *   - steps are positive, lanes a power of two up to 64;
 *   - a vector loop contains no vector loop; inside it a serial loop's bounds and an `if`'s condition do not
 *     vary over the lanes (what a variable holds is taken to vary); a store's address varies; a variable
 *     declared outside is changed by `reduce` only, always with the same operation, and not read;
 *   - tiles stand outside of vector loops, and each holds sums or pairs in all of a kernel;
 *   - the parallel iterations write disjoint elements, and so do the lanes of a vector loop, none of which
 * loads what another stores: this is promised by whoever made the kernel.
 */
#ifndef MOIRE_COMPILER_IR_LOOP_LOOP_H
#define MOIRE_COMPILER_IR_LOOP_LOOP_H

#include "compiler/ir/graph/graph.h"

typedef enum moire__loop_type {
  MOIRE__LOOP_VOID = 0,
  MOIRE__LOOP_BOOL, /* in buffers: one byte, 0 or 1 */
  MOIRE__LOOP_I32,
  MOIRE__LOOP_I64, /* also every index and address */
  MOIRE__LOOP_F32,
  MOIRE__LOOP_F64,
  MOIRE__LOOP_BF16, /* storage only: a load gives f32, a store takes f32 */
} moire__loop_type;

/* name, number of operands, equation. Operand and result types: see moire__loop_result_type. */
#define MOIRE__LOOP_OPS(X)                                                                                     \
  X(const, 0, "a number of the given type")                                                                    \
  X(extent, 0, "size of a dim: factor or factor times a named extent; i64")                                    \
  X(add, 2, "a + b")                                                                                           \
  X(sub, 2, "a - b")                                                                                           \
  X(mul, 2, "a * b")                                                                                           \
  X(div, 2, "a / b; integers: towards zero, operands non-negative")                                            \
  X(mod, 2, "a mod b; integers only, operands non-negative")                                                   \
  X(min, 2, "smaller; float: b if a is NaN or b is")                                                           \
  X(max, 2, "larger; float: b if a is NaN or b is")                                                            \
  X(fma, 3, "a * b + c, rounded once")                                                                         \
  X(neg, 1, "-a")                                                                                              \
  X(abs, 1, "|a|")                                                                                             \
  X(sqrt, 1, "square root, correctly rounded")                                                                 \
  X(exp, 1, "e^a")                                                                                             \
  X(exp2, 1, "2^a")                                                                                            \
  X(log, 1, "natural logarithm")                                                                               \
  X(sin, 1, "sine")                                                                                            \
  X(cos, 1, "cosine")                                                                                          \
  X(tanh, 1, "hyperbolic tangent")                                                                             \
  X(erf, 1, "error function")                                                                                  \
  X(atan2, 2, "angle of (b, a): atan2(a, b)")                                                                  \
  X(pow, 2, "a^b, a > 0")                                                                                      \
  X(floor, 1, "largest integer not above a")                                                                   \
  X(single, 1, "a rounded to f32, also where f32 is computed in double; f32 only")                             \
  X(narrow, 1, "a rounded to the nearest bf16, ties to even; f32 only")                                        \
  X(pair, 2, "narrow a and b in the low and the high half of an i32; f32 only")                                \
  X(dot, 3, "c + a.low b.low + a.high b.high of pairs a and b; c is f32, sums are rounded in any order")       \
  X(byte, 2, "the signed byte number b, from 0 to 3 and the lowest first, of a; i32 only")                     \
  X(eq, 2, "a == b")                                                                                           \
  X(lt, 2, "a < b")                                                                                            \
  X(le, 2, "a <= b")                                                                                           \
  X(and, 2, "bool; integers: bit by bit")                                                                      \
  X(or, 2, "bool")                                                                                             \
  X(not, 1, "bool")                                                                                            \
  X(select, 3, "a ? b : c")                                                                                    \
  X(cast, 1, "to the result type; float to int towards zero; int to bool: != 0")                               \
  X(load, 1, "element at offset a of a buffer or local")                                                       \
  X(word, 1, "elements 2 a and 2 a + 1 of a bf16 buffer or local, as pair packs them; i32")                    \
  X(get, 0, "value of a variable")                                                                             \
  X(random, 5, "Philox word of element e: operands seed_lo, seed_hi, step, stream (i32), e (i64); i32")        \
  X(random16, 5, "the 16 bits of element e of a random mask, from 0 to 65535: operands as those of random")

typedef enum moire__loop_op {
#define MOIRE__LOOP_OP_ENUM(name, n, equation) MOIRE__LOOP_##name,
  MOIRE__LOOP_OPS(MOIRE__LOOP_OP_ENUM)
#undef MOIRE__LOOP_OP_ENUM
      MOIRE__LOOP_OP_COUNT
} moire__loop_op;

/* Ids into the kernel's tables. 0 is none. Buffers and locals share one numbering. */
typedef int32_t moire__loop_value;
typedef int32_t moire__loop_buffer;
typedef int32_t moire__loop_var;

typedef enum moire__buffer_role {
  MOIRE__BUFFER_IN,
  MOIRE__BUFFER_OUT, /* every element that is read afterwards is written */
  MOIRE__BUFFER_INOUT,
  MOIRE__BUFFER_LOCAL, /* private to one parallel iteration, contents undefined at its start; static size */
} moire__buffer_role;

typedef struct moire__loop_buffer_info {
  const char *name;
  moire__buffer_role role;
  moire__loop_type type;
  moire_dim elements;
} moire__loop_buffer_info;

typedef struct moire__loop_value_info {
  moire__loop_op op;
  moire__loop_type type;
  moire__loop_value operands[5];
  int n_operands;
  moire__loop_buffer buffer;     /* load, word */
  moire__loop_var var;           /* get */
  bool is_index;                 /* the variable of a loop: no instruction, op is MOIRE__LOOP_OP_COUNT */
  double real;                   /* const of a float type, not rounded to it before it is used */
  int64_t integer;               /* const of an integer type or bool; extent: a moire_dim */
  moire__loop_value next_shared; /* const, extent: chain of the kernel's `shared`; else of `computed` */
  int block;                     /* number of the block that its statement stands in */
} moire__loop_value_info;

typedef struct moire__loop_var_info {
  moire__loop_type type;
  moire__loop_value init; /* at its declaration */
} moire__loop_var_info;

/* Tiles: 16 rows of 16 words outside of all buffers, undefined at the start of a parallel iteration, for
 * targets that multiply whole ones. A tile holds sums (f32), or pairs as `pair` makes them. */
enum { MOIRE__LOOP_TILES = 8, MOIRE__LOOP_TILE_SIDE = 16 };

typedef enum moire__loop_tile_op {
  MOIRE__TILE_ZERO,  /* sums: t[r][c] = 0 */
  MOIRE__TILE_LOAD,  /* sums or pairs: t[r][c] = buffer[address + r * step + c]; of bf16 2 c and 2 c + 1 */
  MOIRE__TILE_DOT,   /* sums: t[r][c] += sum over k of dot(a[r][k], b[k][c], 0), rounded in any order */
  MOIRE__TILE_STORE, /* buffer[address + r * step + c] = t[r][c], f32 */
} moire__loop_tile_op;

typedef enum moire__loop_statement_kind {
  MOIRE__LOOP_LET,     /* value */
  MOIRE__LOOP_DECLARE, /* var = its init */
  MOIRE__LOOP_SET,     /* var = value */
  MOIRE__LOOP_REDUCE,  /* var = var (combine) value; combine is add, mul, min or max, of bools or */
  MOIRE__LOOP_STORE,   /* buffer[address] = value */
  MOIRE__LOOP_FETCH,   /* buffer[address] is soon read: nothing is computed; it may lie outside of the buffer */
  MOIRE__LOOP_FOR,     /* for value in [low, high) step: body; lanes 1: serial, step > 0; lanes > 1: step 1 */
  MOIRE__LOOP_IF,      /* if value: body */
  MOIRE__LOOP_TURN, /* a square transposed: buffer[address + j * step + i] = from[value + i * low + j] for i and
                       j below `lanes`, of f32, or of pairs, i32 or in a bf16 buffer; not in a vector loop */
  MOIRE__LOOP_TILE, /* tile_op of tiles[0] = t and, of a dot, tiles[1] = a and tiles[2] = b */
} moire__loop_statement_kind;

typedef struct moire__loop_statement {
  moire__loop_statement_kind kind;
  moire__loop_value value;
  moire__loop_var var;
  moire__loop_op combine;
  moire__loop_buffer buffer, from;
  moire__loop_value address, low, high;
  int64_t step; /* also of a tile or a turned square: elements from row to row */
  int lanes;
  moire__loop_tile_op tile_op;
  int tiles[3];
  int number;      /* of the kernel's statements, in the order of building: from 0 */
  int origin;      /* 1 + index of the graph's node that it was lowered from; 0: none, as in what was parsed */
  moire_source at; /* line of the model that it serves; file NULL: not known */
  struct moire__loop_statement *body; /* first of a list */
  struct moire__loop_statement *next;
} moire__loop_statement;

/* A kernel. It runs for p in [0, ceil(count / block)), any number of them at once. */
typedef struct moire__loop_kernel {
  moire__arena *arena;        /* borrows */
  const char *name;           /* "layers.0.attn.softmax+dropout" */
  const char *const *extents; /* names of named extents, as in the graph: [1 .. n_extents] */
  int n_extents;
  moire__loop_buffer_info *buffers; /* [0] unused; parameters first, in argument order, then locals */
  int n_buffers, buffer_capacity, n_parameters;
  moire__loop_value_info *values; /* [0] unused */
  int n_values, value_capacity;
  moire__loop_var_info *vars; /* [0] unused */
  int n_vars, var_capacity;
  moire_dim count;                 /* parallel extent … */
  int64_t block;                   /* … in pieces of this many */
  moire__loop_value parallel;      /* the index value p */
  moire__loop_value shared[64];    /* consts and extents by hash, chained by next_shared */
  moire__loop_value computed[256]; /* operations, likewise */
  int n_blocks;
  moire__loop_statement *body;
  int n_statements;
  bool has_tiles;              /* some statement is a MOIRE__LOOP_TILE */
  const moire_source *sources; /* lines of the model that it serves, most important first */
  int n_sources;
  const char *way; /* which of its ways the operation takes, in words, for a profile; NULL: there is one */
} moire__loop_kernel;

/* ---- building -------------------------------------------------------------------------------------------- */

/* Appends to the end of the innermost open block. Constant operands of integer arithmetic are folded, equal
 * constants shared, and an operation that an open block has already is not done again: what it returns may be
 * one of its operands, a constant, or an earlier value. Consts and extents have no statement and are visible
 * everywhere. Wrong types give a value of type void, which the verifier refuses. */
typedef struct moire__loop_builder {
  moire__loop_kernel *kernel;
  struct {
    moire__loop_statement *owner; /* NULL: the kernel's body */
    moire__loop_statement **end;
    int number;
  } open[32];
  int depth;
  int origin;                  /* of the statements to come, */
  moire_source at;             /* and their line; whoever changes it puts it back */
  moire__loop_statement *last; /* the statement appended last */
} moire__loop_builder;

/* Makes an empty kernel in `arena` with the named extents of a graph (NULL: none); parameters are added before
 * locals and before the body. A buffer whose name is taken gets another: "x", "x_2". */
moire__loop_kernel *moire__loop_kernel_create(moire__arena *arena, const char *name,
                                              const moire_graph *extents_of);
moire__loop_buffer moire__loop_add_parameter(moire__loop_kernel *k, const char *name, moire__buffer_role role,
                                             moire__loop_type type, moire_dim elements);
moire__loop_buffer moire__loop_add_local(moire__loop_kernel *k, const char *name, moire__loop_type type,
                                         int64_t elements);
/* Starts the body: the parallel loop over ceil(count / block) iterations; its index is kernel->parallel. */
moire__loop_builder moire__loop_begin(moire__loop_kernel *k, moire_dim count, int64_t block);

moire__loop_value moire__loop_const(moire__loop_builder *b, moire__loop_type type, double value);
moire__loop_value moire__loop_index(moire__loop_builder *b, int64_t value); /* an i64 constant */
moire__loop_value moire__loop_extent(moire__loop_builder *b, moire_dim dim);
moire__loop_value moire__loop_emit(moire__loop_builder *b, moire__loop_op op, const moire__loop_value *operands,
                                   int n);
moire__loop_value moire__loop_unary(moire__loop_builder *b, moire__loop_op op, moire__loop_value a);
moire__loop_value moire__loop_binary(moire__loop_builder *b, moire__loop_op op, moire__loop_value x,
                                     moire__loop_value y);
moire__loop_value moire__loop_ternary(moire__loop_builder *b, moire__loop_op op, moire__loop_value x,
                                      moire__loop_value y, moire__loop_value z);
moire__loop_value moire__loop_cast(moire__loop_builder *b, moire__loop_value a, moire__loop_type type);
moire__loop_value moire__loop_load(moire__loop_builder *b, moire__loop_buffer buffer,
                                   moire__loop_value address);
moire__loop_value moire__loop_word(moire__loop_builder *b, moire__loop_buffer buffer,
                                   moire__loop_value address); /* of a bf16 buffer */
void moire__loop_store(moire__loop_builder *b, moire__loop_buffer buffer, moire__loop_value address,
                       moire__loop_value value);
/* Has the cache line of an element, in a vector loop that of its first lane, come to the first cache. */
void moire__loop_fetch(moire__loop_builder *b, moire__loop_buffer buffer, moire__loop_value address);
moire__loop_var moire__loop_declare(moire__loop_builder *b, moire__loop_value init);
moire__loop_value moire__loop_get(moire__loop_builder *b, moire__loop_var var);
void moire__loop_set(moire__loop_builder *b, moire__loop_var var, moire__loop_value value);
void moire__loop_reduce(moire__loop_builder *b, moire__loop_var var, moire__loop_op combine,
                        moire__loop_value value);
/* Opens `for i in [low, high) step`; returns i. lanes 1: serial. Close with moire__loop_end. */
moire__loop_value moire__loop_for(moire__loop_builder *b, moire__loop_value low, moire__loop_value high,
                                  int64_t step, int lanes);
void moire__loop_if(moire__loop_builder *b, moire__loop_value condition); /* close with moire__loop_end */
void moire__loop_end(moire__loop_builder *b);
/* to[to_at + j * to_pitch + i] = from[from_at + i * from_pitch + j] for i, j < side, which is 4, 8 or 16 and at
 * most one vector of the target; the pitch of `from` is an i64 value. The squares do not overlap. */
void moire__loop_turn(moire__loop_builder *b, moire__loop_buffer to, moire__loop_value to_at, int64_t to_pitch,
                      moire__loop_buffer from, moire__loop_value from_at, moire__loop_value from_pitch,
                      int side);
void moire__loop_tile_zero(moire__loop_builder *b, int tile);
void moire__loop_tile_load(moire__loop_builder *b, int tile, moire__loop_buffer buffer,
                           moire__loop_value address, int64_t pitch);
void moire__loop_tile_dot(moire__loop_builder *b, int sums, int rows, int columns);
void moire__loop_tile_store(moire__loop_builder *b, int tile, moire__loop_buffer buffer,
                            moire__loop_value address, int64_t pitch);

moire__loop_type moire__loop_type_of(const moire__loop_builder *b, moire__loop_value v);
/* Element type in a buffer of a graph type; VOID for c64 (split comes first). */
moire__loop_type moire__loop_type_from_dtype(moire_dtype dtype);
size_t moire__loop_type_bytes(moire__loop_type type);
const char *moire__loop_type_name(moire__loop_type type);
const char *moire__loop_op_name(moire__loop_op op);
int moire__loop_op_arity(moire__loop_op op);
bool moire__loop_type_is_float(moire__loop_type type);           /* f32, f64 */
bool moire__loop_type_is_int(moire__loop_type type);             /* i32, i64 */
moire__loop_type moire__loop_type_loaded(moire__loop_type type); /* type of a loaded value: bf16 gives f32 */
/* The type of op's result for operands of these types; VOID where they do not fit, and for const, cast, load,
 * word and get, whose type is not a matter of their operands. Arithmetic: two of one type, not bool; fma and
 * functions: float; compare: two of one type, gives bool. Operands of pair and dot that are below the normal
 * range may count as zero. */
moire__loop_type moire__loop_result_type(moire__loop_op op, const moire__loop_type *operands);

/* ---- text, checks, meaning ------------------------------------------------------------------------------- */

/* Any kernel, also one that does not verify. Values are numbered in the order of printing. */
void moire__loop_print(const moire__loop_kernel *k, moire__text *text);
/* The same without the kernel's own name and source lines: equal for kernels that compute the same in the same
 * way. */
void moire__loop_print_bare(const moire__loop_kernel *k, moire__text *text);
/* The same with the source of each statement, where it is known: `... at "models/qia.c":41`. It reads back,
 * too. */
void moire__loop_print_sources(const moire__loop_kernel *k, moire__text *text);
/* Reads one kernel, as it is written: nothing is folded. parse(print(k)) prints the same text. NULL on error.
 * It refuses unknown names and wrong types; the other invariants are moire__loop_verify's. The grammar is at
 * the head of loop_parse.c. */
moire__loop_kernel *moire__loop_parse(moire__arena *arena, const char *text, const char *file,
                                      moire_error *error);
moire_status moire__loop_verify(const moire__loop_kernel *k, moire_error *error);
/* Runs iterations [begin, end) on buffers of exactly the declared sizes, after verifying k, every access
 * checked. buffers[i] is the i-th parameter, from 0 (buffer id i + 1), as in moire/plan.h; extents[i] the size
 * of named extent i, from 1 (NULL where there are none). Arithmetic is done in the declared types, except that
 * with `in_double` every f32 parameter is an array of doubles and f32 arithmetic is done in double. bf16
 * parameters are arrays of bf16 in either mode. */
moire_status moire__loop_interpret(const moire__loop_kernel *k, void *const *buffers, const int64_t *extents,
                                   int64_t begin, int64_t end, bool in_double, moire_error *error);

#endif
