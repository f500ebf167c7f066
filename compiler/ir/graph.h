/* The graph IR: what moire/graph.h builds and every pass reads and rewrites.
 *
 * A graph is a list of nodes in topological order (operands come before users), a table of values (each the
 * result of one node), named extents, state declarations, outputs and updates. A graph is only ever appended
 * to; a pass reads one graph and builds another (compiler/ir/rewrite.h). All memory belongs to the graph's
 * arena.
 *
 * Invariants (checked by moire__graph_verify)
 *   - operands are ids of earlier values; types and shapes are what the op's inference gives;
 *   - every state node, update and output names something declared; names are unique in their table;
 *   - id 0 is the null value, so tables of values begin at 1.
 */
#ifndef MOIRE_COMPILER_IR_GRAPH_H
#define MOIRE_COMPILER_IR_GRAPH_H

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

/* ---- extents: dims are `factor` or `factor * named extent` ----------------------------------------------- */

static inline int moire__dim_extent(moire_dim d) { return (int)(d >> 48); } /* 0: static */
static inline int64_t moire__dim_factor(moire_dim d) { return d & (((int64_t)1 << 48) - 1); }
static inline moire_dim moire__dim_make(int64_t factor, int extent) { return factor | ((int64_t)extent << 48); }
static inline bool moire__dim_is_static(moire_dim d) { return moire__dim_extent(d) == 0; }
/* False if both are named or the product does not fit in 48 bits. */
bool moire__dim_multiply(moire_dim a, moire_dim b, moire_dim *product);
/* Elements of a shape; false as above. */
bool moire__shape_elements(const moire_shape *shape, moire_dim *elements);
bool moire__shape_equal(const moire_shape *a, const moire_shape *b);
/* Axis in [0, rank) from a possibly negative one; -1 if out of range. */
int moire__axis(int axis, int rank);
/* The size of d where extents[i] is the size of named extent i (extents[0] is unused). */
static inline int64_t moire__dim_size(moire_dim d, const int64_t *extents) {
  return moire__dim_factor(d) * (moire__dim_extent(d) ? extents[moire__dim_extent(d)] : 1);
}
bool moire__dtype_is_float(moire_dtype dtype); /* f32, f64, bf16 */
bool moire__dtype_is_int(moire_dtype dtype);   /* i32, i64 */
const char *moire__dtype_name(moire_dtype dtype);
void moire__text_add_type(moire__text *text, const moire_graph *g, moire_dtype dtype, const moire_shape *shape);

/* ---- attributes: what an op needs besides operands ----------------------------------------------------------
 */

typedef enum moire__attr_kind {
  MOIRE__ATTR_INT,
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

/* ---- nodes, values, tables
 * ------------------------------------------------------------------------------------ */

typedef struct moire__node {
  moire__op op;
  int n_operands, n_results, n_attrs;
  int32_t first_result;    /* value ids first_result .. first_result + n_results - 1 */
  const int32_t *operands; /* value ids */
  const moire__attr *attrs;
  const char *scope; /* "layers.0.attn", "" at the top */
  moire_source source;
  int kernel; /* number of the kernel that computes it, -1 before fusion */
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
  moire__named_value *outputs;
  int n_outputs, output_capacity;
  moire__named_value *updates;
  int n_updates, update_capacity;
  /* Only while building: */
  const char *scope;
  const char **scope_stack;
  int scope_depth, scope_capacity;
  bool pinned; /* sources and scopes come from `pinned_node`'s, whatever the caller's line is */
  moire_source pinned_source;
  const char *pinned_scope;
  moire_error error; /* the first mistake */
};

static inline const moire__value_info *moire__info(moire_value v) { return &v.graph->values[v.id]; }
static inline moire__node *moire__node_of(const moire_graph *g, int32_t value) {
  return &g->nodes[g->values[value].node];
}
static inline moire_value moire__value(moire_graph *g, int32_t id) { return (moire_value){g, id}; }

/* Attribute look-up; the attribute must be there with that kind, unless a default is given. */
const moire__attr *moire__node_attr(const moire__node *node, const char *name); /* NULL if absent */
int64_t moire__node_int(const moire__node *node, const char *name);
int64_t moire__node_int_or(const moire__node *node, const char *name, int64_t otherwise);
double moire__node_real(const moire__node *node, const char *name);
const int64_t *moire__node_ints(const moire__node *node, const char *name, int *n);
moire_shape moire__node_shape(const moire__node *node, const char *name); /* of a DIMS attribute */
const char *moire__node_text(const moire__node *node, const char *name);

/* Appends a node: copies operands and attributes, runs the op's inference, and returns its first result (result
 * i is id + i). On a mistake: records it (with op, file and line) and returns the null value. A null operand
 * gives the null value silently, unless the op allows it there. */
moire_value moire__graph_emit(moire_graph *g, moire_source at, moire__op op, const moire_value *operands,
                              int n_operands, const moire__attr *attrs, int n_attrs);

/* From here on, nodes carry the source and scope of `like`, until moire__graph_unpin. Passes and gradients use
 * it. */
void moire__graph_pin(moire_graph *g, const moire__node *like);
void moire__graph_unpin(moire_graph *g);

/* Declares a state by its full name; a second declaration must be the same. */
moire_status moire__graph_declare_state(moire_graph *g, const moire__state_info *state);
int moire__graph_find_state(const moire_graph *g, const char *full_name); /* index or -1 */
int32_t moire__graph_find_output(const moire_graph *g, const char *name); /* value id or 0 */
int32_t moire__graph_find_input(const moire_graph *g, const char *name);  /* value id or 0 */

/* The three counters i32[3] (seed low, seed high, step) that random masks read: the input "rng", made on first
 * use. Each random mask of a graph has a stream number of its own. */
moire_value moire__graph_rng(moire_graph *g, moire_source at);

/* Every invariant of the head of this file, as a sentence on failure (naming the node). */
moire_status moire__graph_verify(const moire_graph *g, moire_error *error);

#endif
