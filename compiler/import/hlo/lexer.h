/* MLIR text as tokens. */
#ifndef MOIRE_COMPILER_IMPORT_HLO_LEXER_H
#define MOIRE_COMPILER_IMPORT_HLO_LEXER_H

#include <stdbool.h>
#include <stddef.h>

typedef enum moire__hlo_token_kind {
  MOIRE__HLO_END,
  MOIRE__HLO_VALUE,  /* %name: the text is the name */
  MOIRE__HLO_SYMBOL, /* @name or @"name" */
  MOIRE__HLO_ALIAS,  /* #name */
  MOIRE__HLO_BLOCK,  /* ^name */
  MOIRE__HLO_STRING, /* "text": what is between the quotes, escapes as they are written */
  MOIRE__HLO_NUMBER, /* without a sign */
  MOIRE__HLO_WORD,   /* stablehlo.add */
  MOIRE__HLO_ARROW,  /* -> */
  MOIRE__HLO_SIGN,   /* any other character */
} moire__hlo_token_kind;

typedef struct moire__hlo_token {
  moire__hlo_token_kind kind;
  const char *begin; /* in the text: where it starts */
  const char *text;  /* not terminated */
  size_t n;
  int line;
} moire__hlo_token;

typedef struct moire__hlo_lexer {
  const char *at, *end;
  int line;
} moire__hlo_lexer;

/* The next token; comments and blanks are passed over. A text without its closing quote is a sign. */
moire__hlo_token moire__hlo_lex(moire__hlo_lexer *lexer);
bool moire__hlo_is(const moire__hlo_token *token, moire__hlo_token_kind kind, const char *text);

#endif
