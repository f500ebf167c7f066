/* The words of the loop IR's text: space, tokens, names, strings and numbers, for loop_parse.c.
 *
 * Every function that can fail records one sentence with file and line in the scan's error and returns false,
 * NULL or 0; after that the scan is only good for being freed. Strings returned live in `names`.
 */
#ifndef MOIRE_COMPILER_IR_LOOP_LOOP_SCAN_H
#define MOIRE_COMPILER_IR_LOOP_LOOP_SCAN_H

#include "compiler/ir/loop/loop.h"

/* Values, buffers and variables have names of their own. */
typedef enum moire__scan_kind { MOIRE__SCAN_VALUE, MOIRE__SCAN_BUFFER, MOIRE__SCAN_VAR } moire__scan_kind;

typedef struct moire__scan_symbol {
  const char *name;
  moire__scan_kind kind;
  int32_t id;
  struct moire__scan_symbol *next;
} moire__scan_symbol;

typedef struct moire__scan {
  const char *at;    /* NUL-terminated rest of the text */
  const char *begin; /* of the text, for the column in messages; NULL: they have none */
  const char *file;
  int line;
  moire_error *error;
  moire__arena names; /* to be freed by the owner */
  moire__scan_symbol *symbols[256];
} moire__scan;

bool moire__scan_fail(moire__scan *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Fails with "expected WHAT, found `...`". */
bool moire__scan_expected(moire__scan *s, const char *what);

void moire__scan_space(moire__scan *s);                     /* skips space and comments */
bool moire__scan_accept(moire__scan *s, const char *token); /* takes a word or a symbol if it comes next */
bool moire__scan_expect(moire__scan *s, const char *token);
const char *moire__scan_string(moire__scan *s);                  /* "quoted" */
const char *moire__scan_word(moire__scan *s, const char *what);  /* a name without a sigil, quoted or not */
const char *moire__scan_name(moire__scan *s, const char *sigil); /* %name, $name, @name, quoted or not */
bool moire__scan_int(moire__scan *s, int64_t low, int64_t high, int64_t *value);
/* An integer, or else a float: 1.5, 1e-12, -inf, 0x1.8p+1. */
bool moire__scan_number(moire__scan *s, bool *is_integer, int64_t *integer, double *real);

bool moire__scan_type(moire__scan *s, moire__loop_type *type);
/* A number and its type: 64, 1.5, 7_i32, 0.5_f64. */
bool moire__scan_constant(moire__scan *s, moire__loop_value_info *info);

bool moire__scan_define(moire__scan *s, moire__scan_kind kind, const char *name, int32_t id);
int32_t moire__scan_known(moire__scan *s, moire__scan_kind kind);   /* the id of a name that was defined */
const char *moire__scan_new(moire__scan *s, moire__scan_kind kind); /* a name that was not */

#endif
