/* The graph IR: what moire/graph.h builds and every pass reads and rewrites.
 *
 * A graph is a list of nodes in topological order (operands come before users), a table of values (each the
 * result of one node), named extents, state declarations, outputs and updates. A graph is only ever appended
 * to; a pass reads one graph and builds another (compiler/ir/graph/rewrite.h). All memory belongs to the
 * graph's arena.
 *
 * Invariants (checked by moire__graph_verify)
 *   - operands are ids of earlier values; types and shapes are what the op's inference gives;
 *   - every state node, update and output names something declared; names are unique in their table;
 *   - id 0 is the null value, so tables of values begin at 1.
 */
#ifndef MOIRE_COMPILER_IR_GRAPH_GRAPH_H
#define MOIRE_COMPILER_IR_GRAPH_GRAPH_H

#include "compiler/ir/names.h"
#include "moire/graph.h"
#include "runtime/base/memory.h"
#include "runtime/base/text.h"

/* One enumerator for each row of ops/ops.def: MOIRE__OP_matmul, … */
typedef enum moire__op {
  MOIRE__OP_none = 0,
#define MOIRE__OP(name, ...) MOIRE__OP_##name,
#include "ops/ops.def"
#undef MOIRE__OP
  MOIRE__OP_COUNT
} moire__op;

/* ---- extents: dims are a factor times up to MOIRE_MAX_FACTORS named extents -------------------------------
 */

/* The named extents of a dim as one number: 0 for a static dim, equal where the extents are the same. */
static inline int moire__dim_extents(moire_dim d) { return (int)(d >> 48); }
/* The i-th of them, 0 past the last. */
static inline int moire__dim_extent(moire_dim d, int i) { return moire__dim_extents(d) >> 4 * i & 15; }
static inline int64_t moire__dim_factor(moire_dim d) { return d & (((int64_t)1 << 48) - 1); }
static inline moire_dim moire__dim_make(int64_t factor, int extents) {
  return factor | ((int64_t)extents << 48);
}
static inline bool moire__dim_is_static(moire_dim d) { return moire__dim_extents(d) == 0; }
/* What is not static is taken for large. */
static inline bool moire__dim_is_at_least(moire_dim d, int64_t n) {
  return !moire__dim_is_static(d) || moire__dim_factor(d) >= n;
}
/* Its named extents are among 1 to n, in order. */
bool moire__dim_is_sound(moire_dim d, int n_extents);
/* False if there are more named extents than a dim has room for, or the factor does not fit in 48 bits. */
bool moire__dim_multiply(moire_dim a, moire_dim b, moire_dim *product);
/* Elements of a shape; false as above. A product with a factor 0 is 0. */
bool moire__shape_elements(const moire_shape *shape, moire_dim *elements);
bool moire__shape_equal(const moire_shape *a, const moire_shape *b);
/* Rank, dims and extents are ones that g can have, and the number of elements is a dim. */
moire_status moire__shape_check(const moire_graph *g, const moire_shape *shape, moire_error *error);
/* Axis in [0, rank) from a possibly negative one; -1 if out of range. */
int moire__axis(int axis, int rank);
/* The size of d where extents[i] is the size of named extent i (extents[0] is unused). */
static inline int64_t moire__dim_size(moire_dim d, const int64_t *extents) {
  int64_t size = moire__dim_factor(d);
  for (int left = moire__dim_extents(d); left; left >>= 4) size *= extents[left & 15];
  return size;
}
bool moire__dtype_is_float(moire_dtype dtype);                  /* f32, f64, bf16 */
bool moire__dtype_is_int(moire_dtype dtype);                    /* i32, i64 */
const char *moire__dtype_name(moire_dtype dtype);               /* "?" for what is none */
moire_dtype moire__dtype_find(const char *name, size_t length); /* 0 if there is none */
/* As in messages and in the text form: `50*B`, `[B,50,64]`, `c64[B,50,64]`. */
void moire__text_add_dim(moire__text *text, const moire_graph *g, moire_dim d);
void moire__text_add_dims(moire__text *text, const moire_graph *g, const moire_dim *dims, int n);
void moire__text_add_type(moire__text *text, const moire_graph *g, moire_dtype dtype, const moire_shape *shape);

/* ---- attributes: what an op needs besides operands ------------------------------------------------------- */

typedef enum moire__attr_kind {
  MOIRE__ATTR_INT, /* named "dtype": a moire_dtype, which the text form writes by its name */
  MOIRE__ATTR_REAL,
  MOIRE__ATTR_INTS,
  MOIRE__ATTR_DIMS,
  MOIRE__ATTR_TEXT
} moire__attr_kind;

typedef struct moire__attr {
  const char *name;
  moire__attr_kind kind;
  int64_t integer;
  double real;
  const int64_t *ints; /* dims of a shape are stored as moire_dim */
  int n_ints;
  const char *text;
} moire__attr;

static inline moire__attr moire__attr_make_int(const char *name, int64_t value) {
  return (moire__attr){.name = name, .kind = MOIRE__ATTR_INT, .integer = value};
}
static inline moire__attr moire__attr_make_real(const char *name, double value) {
  return (moire__attr){.name = name, .kind = MOIRE__ATTR_REAL, .real = value};
}
static inline moire__attr moire__attr_make_ints(const char *name, const int64_t *values, int n) {
  return (moire__attr){.name = name, .kind = MOIRE__ATTR_INTS, .ints = values, .n_ints = n};
}
static inline moire__attr moire__attr_make_dims(const char *name, const moire_shape *shape) {
  return (moire__attr){.name = name, .kind = MOIRE__ATTR_DIMS, .ints = shape->dims, .n_ints = shape->rank};
}
static inline moire__attr moire__attr_make_text(const char *name, const char *value) {
  return (moire__attr){.name = name, .kind = MOIRE__ATTR_TEXT, .text = value};
}

/* ---- nodes, values, tables ------------------------------------------------------------------------------- */

/* Which part of a step a node belongs to. */
typedef enum moire__phase {
  MOIRE__PHASE_FORWARD,
  MOIRE__PHASE_BACKWARD, /* gradients */
  MOIRE__PHASE_OPTIMIZER
} moire__phase;

enum { MOIRE__MOST_LINES = 16 }; /* of one node beside its own: as many as anybody would read */

typedef struct moire__node {
  moire__op op;
  int n_operands, n_results, n_attrs;
  int32_t first_result;    /* value ids first_result .. first_result + n_results - 1 */
  const int32_t *operands; /* value ids */
  const moire__attr *attrs;
  /* Where it comes from (graph_origin.c). Passes keep all of it. */
  const char *scope; /* "layers.0.attn", "" at the top */
  moire_source source;
  const char *word; /* the model's operation that it is part of: "complex_linear" */
  moire__phase phase;
  const moire_source *also; /* other lines whose values it gives: what they asked for was there already */
  int n_also;
  int kernel;           /* number of the kernel that computes it, -1 before fusion */
  const char **missing; /* only during inference: where a look-up that fails leaves the attribute's name */
} moire__node;

typedef struct moire__value_info {
  moire_dtype dtype;
  moire_shape shape;
  int32_t node;   /* index into nodes */
  int32_t result; /* which of its results */
} moire__value_info;

typedef struct moire__state_info {
  const char *name;
  moire_dtype dtype;
  moire_shape shape; /* static */
  moire_init init;
  bool trained; /* a parameter */
} moire__state_info;

typedef struct moire__named_value { /* an output, or an update (name is a state's) */
  const char *name;
  int32_t value;
} moire__named_value;

struct moire_graph {
  moire__arena arena;
  const char *name;
  moire_mode mode;
  const char *extents[MOIRE_MAX_EXTENTS + 1]; /* [0] unused */
  int n_extents;                              /* named extents are 1 .. n_extents */
  moire__node *nodes;
  int n_nodes, node_capacity;
  moire__value_info *values; /* [0] is the null value */
  int n_values, value_capacity;
  moire__state_info *states;
  int n_states, state_capacity;
  moire__names state_names; /* of `states` */
  moire__named_value *outputs;
  int n_outputs, output_capacity;
  moire__names output_names; /* of `outputs` */
  moire__named_value *updates;
  int n_updates, update_capacity;
  moire__names update_names; /* of `updates` */
  moire__names input_names;
  int32_t *inputs; /* the value of every name in `input_names` */
  int n_inputs, input_capacity;
  int64_t next_stream; /* beyond all streams of random masks */
  /* Only while building: */
  const char *scope;
  const char **scope_stack;
  int scope_depth, scope_capacity;
  bool pinned;       /* nodes come from where `pin` does, whatever the caller's line is */
  moire__node pin;   /* its origin alone; a word that is NULL is the op's own */
  moire_error error; /* the first mistake */
};

/* Ends the program with a sentence that names the call: a graph that is NULL can keep no mistake. */
_Noreturn void moire__stop_without_graph(const char *call);
#define MOIRE__NEED_GRAPH(g)                                                                                   \
  do {                                                                                                         \
    if (!(g)) moire__stop_without_graph(__func__);                                                             \
  } while (0)

static inline const moire__value_info *moire__info(moire_value v) {
  MOIRE__NEED_GRAPH(v.graph);
  return &v.graph->values[v.id];
}
static inline moire__node *moire__node_of(const moire_graph *g, int32_t value) {
  return &g->nodes[g->values[value].node];
}
static inline moire_value moire__value(moire_graph *g, int32_t id) { return (moire_value){g, id}; }

/* Attribute look-up. The attribute must be there with that kind, unless a default is given. During inference
 * its absence becomes the failure of that inference; afterwards it is a defect, which stops the program. So
 * inference looks at every attribute that the op's other parts read. */
const moire__attr *moire__node_attr(const moire__node *node, const char *name); /* NULL if absent */
int64_t moire__node_int(const moire__node *node, const char *name);
int64_t moire__node_int_or(const moire__node *node, const char *name, int64_t otherwise);
double moire__node_real(const moire__node *node, const char *name);
const int64_t *moire__node_ints(const moire__node *node, const char *name, int *n);
moire_shape moire__node_shape(const moire__node *node, const char *name); /* of a DIMS attribute */
const char *moire__node_text(const moire__node *node, const char *name);

/* Appends a node: copies operands and attributes, runs the op's inference, and returns its first result (result
 * i is id + i). On a mistake: records it (with op, file and line) and returns the null value. A null operand
 * gives the null value silently: an operand that an op can do without is left out, not null. */
moire_value moire__graph_emit(moire_graph *g, moire_source at, moire__op op, const moire_value *operands,
                              int n_operands, const moire__attr *attrs, int n_attrs);

/* Runs the op's inference for a node of g with its operands and attributes: dtype[i] and shape[i] of each
 * result. `error` gets the sentence without the op's name. */
moire_status moire__graph_infer(const moire_graph *g, const moire__node *node, moire_dtype *dtype,
                                moire_shape *shape, moire_error *error);

/* Records the sentence "what: … (file:line)" as the graph's failure, unless there is one already. */
void moire__graph_fail_at(moire_graph *g, moire_source at, const char *what, moire_status status,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));
void moire__graph_fail_at_v(moire_graph *g, moire_source at, const char *what, moire_status status,
                            const char *format, va_list args) __attribute__((format(printf, 5, 0)));

/* From here on, nodes come from where `like` does, until moire__graph_unpin. Passes and gradients use it. */
void moire__graph_pin(moire_graph *g, const moire__node *like);
/* The same in another phase. */
void moire__graph_pin_phase(moire_graph *g, const moire__node *like, moire__phase phase);
void moire__graph_unpin(moire_graph *g);
/* Whether `word` is what a node is called that is part of nothing else: its op's name, behind "complex_" where
 * a product, a row or a composition computes with complex numbers. */
bool moire__graph_is_own_word(const moire_graph *g, const moire__node *node, const char *word);
/* The node that gives `value` gives what `origin` asked for, too: it takes in its lines. */
void moire__graph_credit(moire_graph *g, int32_t value, const moire__node *origin);
/* The value's node does `word` from here on ("bias", in what a linear layer is made of). */
void moire__graph_name(moire_value value, const char *word);

/* The number of a named extent, declared on first use; 0 with a mistake recorded. */
int moire__graph_declare_extent(moire_graph *g, const char *name, size_t length);
int moire__graph_find_extent(const moire_graph *g, const char *name, size_t length); /* 0 if there is none */

/* Declares a state by its full name; a second declaration must be the same. A mistake is recorded in g. */
moire_status moire__graph_declare_state(moire_graph *g, const moire__state_info *state);
int moire__graph_find_state(const moire_graph *g, const char *full_name); /* index or -1 */
int32_t moire__graph_find_output(const moire_graph *g, const char *name); /* value id or 0 */
int32_t moire__graph_find_input(const moire_graph *g, const char *name);  /* value id or 0 */
/* Whether one of the two is complex and the other has the name of a plane of it, which is taken then. */
bool moire__planes_meet(const char *a, moire_dtype dtype_a, const char *b, moire_dtype dtype_b);

/* A stream number (attribute `stream`) that no node of g has: each random mask has one of its own, so that its
 * draws depend on nothing else. */
int64_t moire__graph_fresh_stream(const moire_graph *g);
/* Has the tables know of a node that was appended. */
void moire__graph_note_node(moire_graph *g, const moire__node *node);

/* An output that begins so is a metric; the rest is the metric's name. */
#define MOIRE__METRIC_PREFIX "metric."
/* The name of the metric that the output `name` is; NULL: it is none. */
const char *moire__metric_name(const char *name);

/* Appends to outputs or updates (`full_name` is a state's), checking names and types. */
void moire__graph_add_output(moire_graph *g, moire_source at, const char *name, moire_value value);
void moire__graph_add_update(moire_graph *g, moire_source at, const char *full_name, moire_value value);

/* Every invariant of the head of this file, as a sentence on failure (naming the node). */
moire_status moire__graph_verify(const moire_graph *g, moire_error *error);

#endif
