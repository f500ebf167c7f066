/* A module of StableHLO as its text says: functions of operations, whose values are numbered.
 *
 * Names of values are resolved while the text is read: what is used before it is made, or from another
 * function, is an error of the text. An operation is the same in the pretty and in the generic form: a name,
 * operands, attributes, regions and the types of its results. Dictionaries in attributes are flattened: the key
 * b of the dictionary a is the attribute "a.b"; lists of lists are one list.
 */
#ifndef MOIRE_COMPILER_IMPORT_HLO_SYNTAX_H
#define MOIRE_COMPILER_IMPORT_HLO_SYNTAX_H

#include "compiler/import/row.h"
#include "compiler/ir/names.h"

typedef struct moire__hlo_type {
  const char *text;    /* as it is written, or its beginning */
  const char *why;     /* why Moire has none of this type; NULL: it has */
  const char *element; /* of a tensor: "f32", "complex<f64>"; else "" */
  moire_dtype dtype;   /* F64 and C64 of what is `wide`; 0 where there is none */
  bool wide;           /* f64 or complex<f64> */
  int bits;            /* of an element, of one plane of a complex one */
  moire_shape shape;
  int64_t elements;
} moire__hlo_type;

typedef struct moire__hlo_types {
  moire__hlo_type *items;
  int n, capacity;
} moire__hlo_types;

/* dense<..>. `count` is 1 where all elements are equal, else the type's elements. */
typedef struct moire__hlo_literal {
  const moire__hlo_type *type;
  int64_t count;
  double *re, *im;  /* im: of complex ones; both NULL where the type is none of ours */
  bool loses;       /* it has whole numbers beyond 2^53, of which digits are lost */
  const char *name; /* of its state; NULL where all elements are equal */
} moire__hlo_literal;

typedef struct moire__hlo_op moire__hlo_op;

typedef struct moire__hlo_port {
  const char *name; /* of a result in jax.result_info; "" where there is none */
  int place;        /* of an argument, in the module's places; -1: none */
  moire__hlo_type type;
} moire__hlo_port;

typedef struct moire__hlo_region {
  int *arguments; /* values */
  int n_arguments, argument_capacity;
  moire__hlo_port *ports; /* of the arguments, where they are written in the region or its function */
  int n_ports, port_capacity;
  moire__hlo_op *ops;
  int n_ops, op_capacity;
} moire__hlo_region;

struct moire__hlo_op {
  const char *name; /* "stablehlo.add"; of func.return and the like "return" */
  int line;
  int place;                   /* in the module's places; -1: none */
  int first_result, n_results; /* values */
  int *operands;               /* values */
  int n_operands, operand_capacity;
  moire__named_argument *attributes;
  int n_attributes, attribute_capacity;
  const moire__hlo_literal *literal; /* of the attribute value; NULL */
  moire__hlo_region *regions;
  int n_regions, region_capacity;
  moire__hlo_types types, operand_types; /* of the results, and of the operands, as far as they are written */
};

typedef struct moire__hlo_function {
  const char *name;
  bool is_private;
  int line;
  moire__hlo_port *results;
  int n_results, result_capacity;
  moire__hlo_region body;
  int n_values;
} moire__hlo_function;

/* A loc(..). */
typedef struct moire__hlo_place {
  const char *file; /* "file":line:column; NULL: none */
  int line;
  const char *alias; /* #alias; NULL: none */
  const char *name;  /* "name"(..) */
  int inner;         /* a place; -1: none */
} moire__hlo_place;

typedef struct moire__hlo_module {
  moire__arena arena;
  const char *path;
  moire__hlo_function *functions;
  int n_functions, function_capacity;
  moire__hlo_literal **literals;
  int n_literals, literal_capacity;
  moire__hlo_place *places;
  int n_places, place_capacity;
  moire__names aliases; /* of places */
  int *alias_places;    /* by the number of the name */
  int n_aliases, alias_capacity;
  bool wide; /* it has complex<f64> */
} moire__hlo_module;

/* Reads n bytes, of which the first is on the line `line` of the file. Zero-initialise; free with
 * moire__hlo_module_free, after a failure too. The bytes are borrowed for the call. */
moire_status moire__hlo_parse(moire__hlo_module *module, const char *path, const char *bytes, size_t n,
                              int line, moire_error *error);
void moire__hlo_module_free(moire__hlo_module *module);

/* NULL: there is none of that name. */
const moire__hlo_function *moire__hlo_find(const moire__hlo_module *module, const char *name);
/* Where an operation stands: its loc, of which the innermost file; without one the line of the text. */
moire_source moire__hlo_source(const moire__hlo_module *module, const moire__hlo_op *op);
/* The outermost name in a place, "" where there is none. */
const char *moire__hlo_place_name(const moire__hlo_module *module, int place);

#endif
