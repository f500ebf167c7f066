/* Tables of text with a header: columns by name, tabs or commas, UTF-8. Errors name file and line. */
#ifndef MOIRE_TASKS_RATINGS_SHEET_H
#define MOIRE_TASKS_RATINGS_SHEET_H

#include "tasks/interactions/form.h"

#include <stdint.h>

/* Zero-initialise; free with moire__sheet_close. */
typedef struct moire__sheet {
  const char *path; /* borrows */
  char *bytes;
  moire__lines lines;
  moire__separator separator;
  moire__field names[MOIRE__FORM_FIELDS], types[MOIRE__FORM_FIELDS], fields[MOIRE__FORM_FIELDS];
  int n_columns;
} moire__sheet;

/* Reads the file, compressed by gzip or not, checks that it is UTF-8, and reads its header. RecBole's types
 * (item_id:token) are no part of a name; they are empty where there is none. */
moire_status moire__sheet_open(moire__sheet *sheet, const char *path, moire_error *error);
/* The same of bytes, which are copied; `path` only names them in messages. */
moire_status moire__sheet_parse(moire__sheet *sheet, const char *path, const char *bytes, size_t n,
                                moire_error *error);
void moire__sheet_close(moire__sheet *sheet);
/* The column of that name, and a failure that says which there are. */
moire_status moire__sheet_column(const moire__sheet *sheet, const char *name, int *column, moire_error *error);
/* The next row into sheet->fields; *more is false behind the last. */
moire_status moire__sheet_next(moire__sheet *sheet, bool *more, moire_error *error);
/* A whole number of the row; `what` it is of, in messages: "node 7: wanted 0 to 3". */
moire_status moire__sheet_int(const moire__sheet *sheet, int column, int64_t low, int64_t high, int64_t *value,
                              moire_error *error);
/* A word of a field of several, which blanks part; false behind the last. */
bool moire__sheet_word(moire__field *rest, moire__field *word);
/* Whether the header says of the column that it is of that type: "token", "token_seq". */
bool moire__sheet_has_type(const moire__sheet *sheet, int column, const char *type);
/* A failure at the current line: "PATH:LINE: ...". */
moire_status moire__sheet_fail(const moire__sheet *sheet, moire_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
