/* Ports of a graph's library: inputs and outputs of the graph with their fields in C. */
#ifndef MOIRE_COMPILER_DRIVER_AHEAD_PORTS_H
#define MOIRE_COMPILER_DRIVER_AHEAD_PORTS_H

#include "compiler/driver/ahead/ahead.h"

typedef struct moire__ahead_port {
  const char *name, *field; /* the graph's, and the C identifier */
  moire_dtype dtype;
  moire_shape shape;
  const char *planes[2]; /* names in plans; the second is NULL if it is real */
  int number;
  int64_t rows;        /* integers look up a row of a table with so many; 0: any value */
  bool serves, trains; /* whether the structs `inputs` and `examples` have it */
} moire__ahead_port;

typedef struct moire__ahead_ports {
  moire__ahead_port *inputs, *outputs;
  int n_inputs, n_outputs;
} moire__ahead_ports;

/* A C identifier like `name`, which none of the first n ports has. */
const char *moire__ahead_field(moire__ahead *a, const char *name, const moire__ahead_port *list, int n);
/* The fields of the struct `name` ("inputs", "outputs" or "examples"), as the header has them. */
void moire__ahead_write_fields(const moire__ahead *a, const char *name, size_t n, moire__text *out);
/* Whether the struct `name` has the port. */
bool moire__ahead_port_is_in(const char *name, size_t n, const moire__ahead_port *p);
/* The port's type as a comment says it: "f32[n, 128]", behind the name where the field has another. */
void moire__ahead_add_port_type(const moire__ahead_port *p, moire__text *out);
/* The fields in Python (ports_python.c): rows of the tables "inputs", "outputs" and "examples", "results" as
 * fields of a class, "arguments" and "example arguments" of functions and their "values". */
void moire__ahead_write_python_fields(moire__ahead *a, const char *name, size_t n, moire__text *out);
/* The tables of all structs for the run time. */
void moire__ahead_write_ports(const moire__ahead *a, moire__text *out);

#endif
