/* What a row of the table of StableHLO operations works with: one operation, whose attributes are the arguments
 * of a moire__call, with its operands by number and the types of its results. See compiler/import/row.h.
 *
 * In the body of a reduction, a sort or a map an operation on scalars is built once for all elements: its
 * operands are tensors then, and scalars beside them are broadcast (`elementwise`).
 */
#ifndef MOIRE_COMPILER_IMPORT_HLO_CALL_H
#define MOIRE_COMPILER_IMPORT_HLO_CALL_H

#include "compiler/import/hlo/syntax.h"
#include "compiler/import/refusals.h"

/* A comparison that the text makes of two values: custom_call @check.expect_.., check.expect_.. */
typedef struct moire__hlo_check {
  const char *kind; /* "expect_eq", "expect_close" or "expect_almost_eq" */
  const char *got, *want;
  moire__hlo_type type;
  double tolerance; /* expect_almost_eq */
  int most_apart;   /* expect_close: units in the last place */
} moire__hlo_check;

typedef struct moire__hlo_checks {
  moire__arena arena; /* of the items and their names */
  moire__hlo_check *items;
  int n, capacity;
} moire__hlo_checks;

typedef struct moire__hlo_builder {
  const moire__hlo_module *module;
  moire_graph *graph;
  moire__arena arena;
  moire__refusals refusals;
  moire_value *literals;   /* of the module's literals, those that are read so far; else null */
  moire__argument *values; /* of the function that is being built */
  bool wide; /* f64 and complex<f64> count as f32 and complex<f32>: everything is evaluated in double */
  bool elementwise;
  int depth;                 /* of functions and regions */
  int n_built;               /* operations */
  bool exhausted;            /* there are too many: nothing more is built */
  moire__hlo_checks *checks; /* they become outputs; NULL: they are refused */
  /* Builds the operations of a region, in a frame of n_values values of its own where that is not 0. */
  bool (*run)(struct moire__hlo_builder *builder, const moire__hlo_region *region, int n_values,
              const moire__argument *arguments, int n_arguments, moire__argument *results, int n_results);
} moire__hlo_builder;

typedef struct moire__hlo_call {
  moire__call call;
  const moire__hlo_op *op;
  moire__hlo_builder *builder;
  const moire__argument *operands;
  int n_operands;
} moire__hlo_call;

typedef struct moire__hlo_row {
  const char *op; /* NULL ends a table */
  void (*build)(moire__hlo_call *call);
} moire__hlo_row;

/* The row of an operation; NULL if there is none. */
const moire__hlo_row *moire__hlo_row_find(const char *op);
/* What could be done instead of one that has no row. */
const char *moire__hlo_hint(const char *op);

/* ---- operands and results ---------------------------------------------------------------------------------
 */

/* Null with a refusal where there is no such operand, or it is no tensor. */
moire_value moire__hlo_operand(moire__hlo_call *call, int i);
/* All elements of the operand are this real number. */
bool moire__hlo_is_uniform(const moire__hlo_call *call, int i, double *number);
/* The whole number that a scalar operand is known to be. */
bool moire__hlo_known(const moire__hlo_call *call, int i, int64_t *number);
/* The type of result i as the text says, with our element type; of no elements with a refusal where it is none.
 */
moire__hlo_type moire__hlo_result(moire__hlo_call *call, int i);
moire_dtype moire__hlo_dtype(const moire__hlo_builder *builder, const moire__hlo_type *type);
/* "[a]" where several are: the lists of numbers of an attribute under either of two names (NULL: one), n of
 * them, or `otherwise` for each where it did not come. */
void moire__hlo_numbers(moire__hlo_call *call, const char *name, const char *other, int n, int64_t otherwise,
                        int64_t *out);
/* Attributes that say nothing about what is computed. */
void moire__hlo_pass_over(moire__hlo_call *call, const char *const *names, int n);

/* The attribute of a comparison that says how; NULL where there is none. */
const moire__argument *moire__hlo_word(const moire__hlo_op *op);
/* "LT" of a comparison, "" with a refusal where there is none. */
const char *moire__hlo_direction(moire__hlo_call *call);

/* Gives a tensor all of whose elements are known, as a constant of the first result's type. */
void moire__hlo_give_number(moire__hlo_call *call, double number);
/* The same as an argument. */
moire__argument moire__hlo_number(moire__hlo_call *call, const moire__hlo_type *type, double re, double im);

/* ---- what is within an operation ---------------------------------------------------------------------------
 */

/* Builds the operations of a region with these arguments, into what it returns. False where something in it was
 * refused, which is said there, or it has other numbers of arguments or results. */
bool moire__hlo_run(moire__hlo_call *call, const moire__hlo_region *region, const moire__argument *arguments,
                    int n_arguments, moire__argument *results, int n_results);
/* The same for all elements of tensors at once. */
bool moire__hlo_run_elementwise(moire__hlo_call *call, const moire__hlo_region *region,
                                const moire_value *arguments, int n_arguments, moire_value *results,
                                int n_results);
/* The same of another function. */
bool moire__hlo_run_function(moire__hlo_call *call, const moire__hlo_function *function,
                             moire__argument *results, int n_results);
/* The one operation that a region applies to its two arguments and returns; NULL: it is something else. */
const char *moire__hlo_combiner(const moire__hlo_call *call, const moire__hlo_region *region);

/* ---- the program ------------------------------------------------------------------------------------------
 */

/* Builds the function `entry` with its inputs and outputs; a mistake is the graph's. */
void moire__hlo_build(const moire__hlo_module *module, const char *entry, bool wide, moire__hlo_checks *checks,
                      moire_graph *g, moire__text *refusals);

#endif
