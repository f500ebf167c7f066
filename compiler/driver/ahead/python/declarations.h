/* What a library's header declares, for those who write it in another language: read off the header itself, so
 * that nothing is described twice. */
#ifndef MOIRE_COMPILER_DRIVER_AHEAD_PYTHON_DECLARATIONS_H
#define MOIRE_COMPILER_DRIVER_AHEAD_PYTHON_DECLARATIONS_H

#include "compiler/driver/ahead/ahead.h"

typedef enum moire__ahead_declared_kind {
  MOIRE__AHEAD_FACT,     /* #define NAME value */
  MOIRE__AHEAD_ENUM,     /* members: enumerators with their values */
  MOIRE__AHEAD_STRUCT,   /* members: fields with their types; a field of an array has a count */
  MOIRE__AHEAD_FUNCTION, /* members: parameters with their types */
} moire__ahead_declared_kind;

typedef struct moire__ahead_member {
  const char *name, *type; /* "items", "const int32_t *"; the library's own types without its prefix */
  const char *comment;     /* or "" */
  int64_t value;
  int count; /* 0: no array */
} moire__ahead_member;

typedef struct moire__ahead_declared {
  moire__ahead_declared_kind kind;
  const char *name;    /* without the library's prefix */
  const char *type;    /* that a function returns */
  const char *value;   /* of a fact, as it stands there */
  const char *comment; /* the first paragraph of what stands before it, as one line; or "" */
  moire__ahead_member *members;
  int n, capacity;
} moire__ahead_declared;

typedef struct moire__ahead_declarations {
  moire__ahead_declared *list;
  int n, capacity;
} moire__ahead_declarations;

/* Of the header of `a`; all of it lies in the arena of `a`. */
moire__ahead_declarations moire__ahead_read_declarations(moire__ahead *a, const moire__text *header);
/* NULL if nothing of that name is declared. */
const moire__ahead_declared *moire__ahead_find_declared(const moire__ahead_declarations *all, const char *name,
                                                        size_t n);

#endif
