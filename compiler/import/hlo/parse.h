/* The reader of StableHLO text by recursive descent: what its files share. See syntax.h.
 *
 * The first mistake is kept and everything behind it reads as the end of the text, so that no caller has to
 * ask.
 */
#ifndef MOIRE_COMPILER_IMPORT_HLO_PARSE_H
#define MOIRE_COMPILER_IMPORT_HLO_PARSE_H

#include "compiler/import/hlo/lexer.h"
#include "compiler/import/hlo/syntax.h"

/* A name that can be seen, in a list by hash that is shortened when its region ends. */
typedef struct moire__hlo_name {
  const char *text;
  size_t n;
  int value, count; /* %name, or %name#0 to %name#count-1 */
  int next;         /* of the same hash; -1: the last */
} moire__hlo_name;

enum { MOIRE__HLO_NAME_SLOTS = 1024, MOIRE__HLO_DEEPEST = 64 };

typedef struct moire__hlo_parser {
  moire__hlo_module *module;
  moire__arena *arena; /* the module's */
  moire__hlo_lexer lexer;
  moire__hlo_token now;
  moire_error *error;
  bool failed;
  int depth; /* of regions, attributes and types in each other */
  moire__hlo_name *names;
  int n_names, name_capacity;
  int heads[MOIRE__HLO_NAME_SLOTS];
  int n_values; /* of the function */
} moire__hlo_parser;

/* "FILE:LINE: .." of the present token. */
void moire__hlo_fail(moire__hlo_parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void moire__hlo_fail_at(moire__hlo_parser *p, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void moire__hlo_advance(moire__hlo_parser *p);
/* Reading goes on at a place in the text. */
void moire__hlo_continue_at(moire__hlo_parser *p, const char *at, int line);
bool moire__hlo_at_sign(const moire__hlo_parser *p, char sign);
bool moire__hlo_at_word(const moire__hlo_parser *p, const char *word);
bool moire__hlo_take_sign(moire__hlo_parser *p, char sign); /* advances if it is there */
bool moire__hlo_take_word(moire__hlo_parser *p, const char *word);
void moire__hlo_want(moire__hlo_parser *p, char sign); /* fails if it is not */
bool moire__hlo_enter(moire__hlo_parser *p);           /* false with a failure where it is too deep */
void moire__hlo_leave(moire__hlo_parser *p);
char *moire__hlo_copy(moire__hlo_parser *p, const char *text, size_t n);
char *moire__hlo_token_text(moire__hlo_parser *p);
/* From an opening bracket to behind the closing one, whatever is between them. */
void moire__hlo_skip_brackets(moire__hlo_parser *p);

/* A new value of `count` results; -1 with a failure where the name is there. */
int moire__hlo_declare(moire__hlo_parser *p, const char *text, size_t n, int count);
const moire__hlo_name *moire__hlo_look_up(const moire__hlo_parser *p, const char *text, size_t n); /* or NULL */
/* Of all names only the first n can be seen from here on. */
void moire__hlo_forget(moire__hlo_parser *p, int n_names);

/* ---- types and constants (parse_type.c) -------------------------------------------------------------------
 */

bool moire__hlo_at_type(const moire__hlo_parser *p);
moire__hlo_type moire__hlo_parse_type(moire__hlo_parser *p);
/* What is between the brackets of dense<..>, the present token being dense; advances behind it. */
typedef struct moire__hlo_body {
  const char *begin, *end;
  int line;
} moire__hlo_body;
moire__hlo_body moire__hlo_parse_dense(moire__hlo_parser *p);
/* Its elements; owned by the module. */
moire__hlo_literal *moire__hlo_make_literal(moire__hlo_parser *p, moire__hlo_body body,
                                            const moire__hlo_type *type);

/* ---- attributes and places (parse_attribute.c) ------------------------------------------------------------
 */

/* Appends the attribute, or those of a dictionary by their whole names. */
void moire__hlo_parse_attribute(moire__hlo_parser *p, moire__hlo_op *op, const char *name);
/* {a = .., b}, the names after `prefix`. */
void moire__hlo_parse_dictionary(moire__hlo_parser *p, moire__hlo_op *op, const char *prefix);
void moire__hlo_add_attribute(moire__hlo_parser *p, moire__hlo_op *op, const char *name,
                              moire__argument argument);
const moire__argument *moire__hlo_attribute(const moire__hlo_op *op, const char *name); /* NULL: none */
/* loc(..), the present token being loc; -1 where it says nothing. */
int moire__hlo_parse_place(moire__hlo_parser *p);
/* The same where there may be none. */
int moire__hlo_parse_optional_place(moire__hlo_parser *p);

/* ---- operations (parse_op.c) ------------------------------------------------------------------------------
 */

/* { ^bb0(%a: type, ..): operations }, the present token being the bracket. Names that are declared in it are
 * forgotten behind it. */
void moire__hlo_parse_region(moire__hlo_parser *p, moire__hlo_region *region);
/* %a: type loc(..): an argument of a region or function, that is declared. */
void moire__hlo_parse_argument(moire__hlo_parser *p, moire__hlo_region *region);
/* "name"(..) .., the present token being the name. */
void moire__hlo_parse_generic(moire__hlo_parser *p, moire__hlo_op *op);

#endif
