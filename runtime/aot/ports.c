/* Fields of structs as inputs and outputs. See ports.h. */
#include "runtime/aot/ports.h"
#include "runtime/aot/packed.h"

#include <string.h>

static size_t element_bytes(moire_dtype dtype) {
  switch (dtype) {
    case MOIRE_F32:
    case MOIRE_I32: return 4;
    case MOIRE_F64:
    case MOIRE_I64:
    case MOIRE_C64: return 8;
    case MOIRE_BF16: return 2;
    case MOIRE_BOOL: return 1;
  }
  return 0;
}

static void *field_of(const void *fields, const moire__aot_port *port) {
  void *pointer = NULL;
  memcpy(&pointer, (const unsigned char *)fields + port->at, sizeof pointer);
  return pointer;
}

static size_t port_bytes(const moire__aot_port *port, int64_t rows) {
  size_t samples = port->by_sample ? (size_t)rows : 1;
  return moire__aot_add_bytes(0, samples, (size_t)port->elements * element_bytes(port->dtype));
}

static size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* ---- Checking --------------------------------------------------------------------------------------- */

static bool rows_are_there(const moire__aot_port *port, const void *data, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    int64_t row = port->dtype == MOIRE_I32 ? ((const int32_t *)data)[i] : ((const int64_t *)data)[i];
    if (row < 0 || row >= port->rows) return false;
  }
  return true;
}

static library_status moire__aot_check_ports(const moire__aot_port *ports, int n, const void *fields,
                                             int64_t batch) {
  if (!fields) return LIBRARY_ERROR_NULL;
  for (int i = 0; i < n; i++) {
    const void *data = field_of(fields, &ports[i]);
    if (!data && port_bytes(&ports[i], batch)) return LIBRARY_ERROR_NULL;
  }
  for (int i = 0; i < n; i++) {
    int64_t samples = ports[i].by_sample ? batch : 1;
    if (ports[i].rows && !rows_are_there(&ports[i], field_of(fields, &ports[i]), samples * ports[i].elements))
      return LIBRARY_ERROR_ROW;
  }
  return LIBRARY_OK;
}

/* ---- Feeding ---------------------------------------------------------------------------------------- */

/* Pairs take as much memory as their two planes, each of which begins at a multiple of 64. */
static size_t memory_bytes(const moire__aot_port *port, int64_t rows) {
  size_t bytes = port_bytes(port, rows);
  return port->dtype == MOIRE_C64 ? 2 * rounded(bytes / 2) : rounded(bytes);
}

static size_t moire__aot_ports_bytes(const moire__aot_port *ports, int n, int64_t rows) {
  size_t bytes = 0;
  for (int i = 0; i < n; i++) bytes = moire__aot_add_bytes(bytes, 1, memory_bytes(&ports[i], rows));
  return bytes;
}

static void part_pairs(const float *pairs, size_t n, float *re, float *im) {
  for (size_t i = 0; i < n; i++) {
    re[i] = pairs[2 * i];
    im[i] = pairs[2 * i + 1];
  }
}

static void copy_bools(const unsigned char *from, size_t n, unsigned char *to) {
  for (size_t i = 0; i < n; i++) to[i] = from[i] != 0;
}

static void moire__aot_feed_ports(moire__aot_run *run, const moire__aot_port *ports, int n, const void *fields,
                                  int64_t first, int64_t rows, unsigned char *memory) {
  for (int i = 0; i < n; i++) {
    const moire__aot_port *p = &ports[i];
    const size_t bytes = port_bytes(p, rows), before = p->by_sample ? port_bytes(p, first) : 0;
    const unsigned char *data = field_of(fields, p);
    if (data) data += before;
    const void **input = &run->inputs[MOIRE__AOT_OWN + p->number];
    *input = memory;
    if (p->dtype == MOIRE_C64) {
      input[1] = memory + rounded(bytes / 2);
      part_pairs((const float *)(const void *)data, bytes / 8, (float *)(void *)memory,
                 (float *)(void *)(memory + rounded(bytes / 2)));
    } else if (p->dtype == MOIRE_BOOL) {
      copy_bools(data, bytes, memory);
    } else if (bytes && (uintptr_t)data % 64 == 0) {
      *input = data;
    } else if (bytes) {
      memcpy(memory, data, bytes);
    }
    memory += memory_bytes(p, rows);
  }
}

/* ---- Giving ----------------------------------------------------------------------------------------- */

static void join_pairs(const float *re, const float *im, size_t n, float *pairs) {
  for (size_t i = 0; i < n; i++) {
    pairs[2 * i] = re[i];
    pairs[2 * i + 1] = im[i];
  }
}

static void moire__aot_give_ports(const moire__aot_run *run, const moire__aot_port *ports, int n,
                                  const void *fields, int64_t first, int64_t rows) {
  for (int i = 0; i < n; i++) {
    const moire__aot_port *p = &ports[i];
    const size_t bytes = port_bytes(p, rows);
    unsigned char *to = field_of(fields, p);
    if (!to || !bytes || (!p->by_sample && first > 0)) continue;
    if (p->by_sample) to += port_bytes(p, first);
    if (p->dtype == MOIRE_C64)
      join_pairs(moire__aot_output(run, p->number), moire__aot_output(run, p->number + 1), bytes / 8,
                 (float *)(void *)to);
    else
      memcpy(to, moire__aot_output(run, p->number), bytes);
  }
}
