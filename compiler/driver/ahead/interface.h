/* Interfaces: what a library offers to its caller, one row and one file for each kind.
 *
 * An interface names the plans that serve, checks that the graph keeps its contract, fills in the sections of
 * runtime/aot/library.h that carry its name, and brings files of runtime/aot/ that make calls of them. Nothing
 * else asks which interface a library has.
 *
 * A new one is a file NAME.c with a row of this type, its place in interface.c, sections
 *
 *     / * { NAME * / ... / * } NAME * /           or, of several,           / * { NAME OTHER * / ...
 *
 * of runtime/aot/library.h (without the blanks), its files in runtime/aot/, which define besides the library's
 * functions moire__aot_own_status_text (runtime/aot/workspace.h), and runtime/aot/python/NAME.py, where a
 * Python class Model has a method for each of them.
 */
#ifndef MOIRE_COMPILER_DRIVER_AHEAD_INTERFACE_H
#define MOIRE_COMPILER_DRIVER_AHEAD_INTERFACE_H

#include "compiler/driver/ahead/ahead.h"

struct moire__ahead_interface {
  const char *name;                  /* as in moire_ahead_model; also of its sections in the header */
  const char *const *files;          /* of runtime/aot/, included in this order behind library.c; NULL ends */
  const char *const *training_files; /* more of a library that trains; NULL: it cannot */
  const char *const *units;          /* sources shared with the rest of the runtime, without ".c"; NULL ends */
  bool needs_weights;
  bool has_extents; /* more than B: `check` sees to them, and sets `slice` */
  /* Before anything is lowered: fills in `served`, from the first on. */
  moire_status (*choose)(moire__ahead *a, moire_error *error);
  /* Of plans, which are lowered: the contract as far as the library relies on it. Fills in the names of the
   * interface's own inputs, and adds the facts of its sections. May set `slice`, and outputs of `served` to
   * names that plans have for them. */
  moire_status (*check)(moire__ahead *a, moire_error *error);
  /* Fields of a struct in its sections, which stand there between lines with "fields STRUCT"; NULL: none. */
  void (*write_fields)(const moire__ahead *a, const char *name, size_t n, moire__text *out);
  /* The same of its Python; NULL: none. */
  void (*write_python)(moire__ahead *a, const char *name, size_t n, moire__text *out);
  /* Tables that its files read, as C; NULL: none. */
  void (*write_tables)(const moire__ahead *a, moire__text *out);
};

/* NULL with a sentence that lists all. A NULL name is the first row's. */
const moire__ahead_interface *moire__ahead_interface_named(const char *name, moire_error *error);
/* NULL if there is none of that name. */
const moire__ahead_interface *moire__ahead_interface_find(const char *name, size_t n);

/* Rows, defined in NAME.c. */
extern const moire__ahead_interface moire__ahead_recommend, moire__ahead_code, moire__ahead_run,
    moire__ahead_ratings, moire__ahead_generate;

#endif
