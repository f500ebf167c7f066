/* The form of a file of interactions: what a line is, what stands between its fields, and what the fields are.
 */
#ifndef MOIRE_TASKS_INTERACTIONS_FORM_H
#define MOIRE_TASKS_INTERACTIONS_FORM_H

#include "moire/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { MOIRE__FORM_FIELDS = 64 /* of a line that are looked at */ };

typedef enum moire__separator {
  MOIRE__BLANKS, /* any run of blanks and tabs */
  MOIRE__TAB,
  MOIRE__COMMA,
  MOIRE__COLONS, /* "::" */
} moire__separator;

typedef struct moire__form {
  bool interactions; /* one a line; else one user a line */
  bool header;       /* the first line names the columns */
  moire__separator separator;
  int user, item, rating, time; /* columns of interactions, from 0; -1: there is none */
} moire__form;

/* A text and how far it has been read. */
typedef struct moire__lines {
  const char *next, *end;
  const char *line; /* the one that was read last, without its end */
  size_t n;
  long long number; /* its, from 1 */
} moire__lines;

moire__lines moire__lines_of(const char *bytes, size_t n); /* behind a byte order mark */
/* The next line that is not blank; false at the end. */
bool moire__lines_next(moire__lines *lines);

/* Bytes of the UTF-8 character at `bytes`; 0: there is none, or one that no name may have, since it steers
 * terminals. n is at least 1. */
size_t moire__character(const char *bytes, size_t n);

/* One field of a line, without blanks and quotes around it. */
typedef struct moire__field {
  const char *text;
  size_t n;
} moire__field;

/* Takes the field off the front of *rest, which is NULL behind the last; false if there is none. */
bool moire__field_next(moire__separator separator, const char **rest, const char *end, moire__field *field);

/* Finds out the form; `format` is "auto", "users" or "interactions". */
moire_status moire__form_of(const char *path, const char *bytes, size_t n, const char *format, moire__form *out,
                            moire_error *error);

/* "one interaction a line (user, item, rating, time; tabs)"; 120 bytes hold it. */
void moire__form_describe(const moire__form *form, char *out, size_t size);

#endif
