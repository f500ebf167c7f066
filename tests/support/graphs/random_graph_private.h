/* What the files that make random graphs share: the pool of values and how to choose from it. */
#ifndef MOIRE_TESTS_SUPPORT_GRAPHS_RANDOM_GRAPH_PRIVATE_H
#define MOIRE_TESTS_SUPPORT_GRAPHS_RANDOM_GRAPH_PRIVATE_H

#include "compiler/ir/graph/graph.h"
#include "runtime/base/philox.h"
#include "tests/support/graphs/random_graph.h"

typedef struct pooled {
  moire_value v;
  double low, high; /* of its elements; of both planes */
} pooled;

enum { RANDOM_POOL = 400, RANDOM_ELEMENTS = 5000 };

typedef struct maker {
  random_graph *out;
  moire_graph *g;
  moire__random random;
  pooled pool[RANDOM_POOL];
  int n;
  moire_dim batch, time;       /* named extents; `time` is 0 in most graphs */
  int64_t length, width, rows; /* usual extents of this graph; rows of look-up tables */
  int n_inputs, n_parameters;
} maker;

/* ---- chance ---------------------------------------------------------------------------------------------- */

int random_below(maker *m, int n); /* 0 .. n-1 */
bool random_chance(maker *m, int percent);
double random_between(maker *m, double low, double high);

/* ---- values ---------------------------------------------------------------------------------------------- */

typedef bool random_filter(const pooled *p);
random_filter random_is_f32, random_is_complex, random_is_number, random_is_bool, random_is_int,
    random_is_positive; /* f32 above 0.05; number: f32 or c64 */

/* A value that passes, of at least that rank, younger ones first; NULL if none was found. */
const pooled *random_pick(maker *m, random_filter *filter, int rank);

/* Takes a value into the pool; one whose interval is wide is scaled first. Null values are ignored. */
void random_put(maker *m, moire_value v, double low, double high);
void random_put_symmetric(maker *m, moire_value v, double high);

double random_size(const pooled *p); /* the larger of |low| and |high| */
int random_rank(const pooled *p);
moire_dim random_dim(const pooled *p, int axis);
bool random_fits(const moire_shape *shape); /* small enough, and not of too many axes */
int64_t random_static(moire_dim d);         /* the extent, or 0 if it is named */

moire_value random_parameter(maker *m, moire_shape shape);
moire_value random_complex_parameter(maker *m, moire_shape shape);
moire_value random_input(maker *m, moire_dtype dtype, moire_shape shape, double low, double high);
moire_value random_rows(maker *m, moire_shape shape); /* i32 in [0, rows) */

/* One step: appends some op. Each of these may do nothing. */
typedef void random_step(maker *m);
random_step random_unary, random_binary, random_compare, random_integer, random_complex_step, random_view,
    random_pad_or_concat, random_look_up, random_reduce, random_product, random_row, random_sequence,
    random_attention, random_transform, random_scan, random_source, random_function, random_place,
    random_row_function, random_order, random_convolution;

#endif
