/* Ports: fields of the structs that a caller gives, and the plan's inputs or outputs that they are. */
#ifndef MOIRE_RUNTIME_AOT_PORTS_H
#define MOIRE_RUNTIME_AOT_PORTS_H

#include "runtime/aot/execute.h"

#include <stdbool.h>
#include <stddef.h>

/* Written by the compiler, an array for each struct: moire__aot_inputs and so on, and how many. */
typedef struct moire__aot_port {
  size_t at;         /* of the field, a pointer, in the struct */
  int number;        /* among the interface's inputs, or the plan's outputs; of c64 the real plane's, before the
                        other's */
  moire_dtype dtype; /* c64: pairs for the caller */
  int by_sample;     /* otherwise it is the same for all samples */
  int64_t elements;  /* of a sample, or of all */
  int64_t rows;      /* integers are from 0 to below it; 0: any */
} moire__aot_port;

/* Whether all n ports have what they need for `batch` samples: pointers, and numbers of rows that are there. */
static library_status moire__aot_check_ports(const moire__aot_port *ports, int n, const void *fields,
                                             int64_t batch);
/* Bytes of the memory for `rows` samples of all ports, a multiple of 64. */
static size_t moire__aot_ports_bytes(const moire__aot_port *ports, int n, int64_t rows);
/* Sets the inputs of run->plan to the samples [first, first + rows); those that do not lie aligned, and planes,
 * are copied to `memory`, which is aligned to 64 bytes. */
static void moire__aot_feed_ports(moire__aot_run *run, const moire__aot_port *ports, int n, const void *fields,
                                  int64_t first, int64_t rows, unsigned char *memory);
/* Copies the outputs of a plan that was run to these samples of the fields that are not NULL. What is the same
 * for all samples is copied with the first. */
static void moire__aot_give_ports(const moire__aot_run *run, const moire__aot_port *ports, int n,
                                  const void *fields, int64_t first, int64_t rows);

#endif
