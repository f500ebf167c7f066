/* MLIR text as tokens. See lexer.h. */
#include "compiler/import/hlo/lexer.h"

#include <ctype.h>
#include <string.h>

static bool is_letter(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$'; }

/* Of names behind %, @, #, ^ and of bare words: dots and dashes are part of the former. */
static size_t name_length(const char *at, const char *end, bool dashes) {
  size_t n = 0;
  while (at + n < end && (is_letter(at[n]) || at[n] == '.' || (dashes && at[n] == '-'))) n++;
  return n;
}

static void skip_blanks(moire__hlo_lexer *l) {
  while (l->at < l->end) {
    if (*l->at == '/' && l->at + 1 < l->end && l->at[1] == '/') {
      while (l->at < l->end && *l->at != '\n') l->at++;
    } else if (isspace((unsigned char)*l->at)) {
      l->line += *l->at++ == '\n';
    } else {
      return;
    }
  }
}

/* Digits, a fraction, an exponent; or 0x and hexadecimal digits. */
static size_t number_length(const char *at, const char *end) {
  const char *c = at;
  if (end - c > 2 && c[0] == '0' && c[1] == 'x' && isxdigit((unsigned char)c[2])) {
    c += 2;
    while (c < end && isxdigit((unsigned char)*c)) c++;
    return (size_t)(c - at);
  }
  while (c < end && isdigit((unsigned char)*c)) c++;
  if (c < end && *c == '.') c++;
  while (c < end && isdigit((unsigned char)*c)) c++;
  const char *e = c;
  if (e < end && (*e == 'e' || *e == 'E')) {
    e++;
    if (e < end && (*e == '+' || *e == '-')) e++;
    if (e < end && isdigit((unsigned char)*e)) {
      while (e < end && isdigit((unsigned char)*e)) e++;
      c = e;
    }
  }
  return (size_t)(c - at);
}

/* From an opening quote to behind the closing one; 0: there is none on the line. */
static size_t string_length(const char *at, const char *end) {
  for (const char *c = at + 1; c < end && *c != '\n'; c++) {
    if (*c == '\\' && c + 1 < end) {
      c++;
    } else if (*c == '"') {
      return (size_t)(c - at) + 1;
    }
  }
  return 0;
}

static moire__hlo_token made(moire__hlo_lexer *l, moire__hlo_token_kind kind, size_t before, size_t n,
                             size_t behind) {
  moire__hlo_token t = {kind, l->at, l->at + before, n, l->line};
  l->at += before + n + behind;
  return t;
}

static moire__hlo_token lex_prefixed(moire__hlo_lexer *l, moire__hlo_token_kind kind) {
  const char *c = l->at;
  size_t quoted = kind == MOIRE__HLO_SYMBOL && c + 1 < l->end && c[1] == '"' ? string_length(c + 1, l->end) : 0;
  if (quoted) return made(l, kind, 2, quoted - 2, 1);
  size_t n = name_length(c + 1, l->end, true);
  return n ? made(l, kind, 1, n, 0) : made(l, MOIRE__HLO_SIGN, 0, 1, 0);
}

moire__hlo_token moire__hlo_lex(moire__hlo_lexer *l) {
  skip_blanks(l);
  const char *c = l->at;
  if (c >= l->end) return (moire__hlo_token){MOIRE__HLO_END, l->end, l->end, 0, l->line};
  switch (*c) {
    case '%': return lex_prefixed(l, MOIRE__HLO_VALUE);
    case '@': return lex_prefixed(l, MOIRE__HLO_SYMBOL);
    case '#': return lex_prefixed(l, MOIRE__HLO_ALIAS);
    case '^': return lex_prefixed(l, MOIRE__HLO_BLOCK);
    case '"': {
      size_t n = string_length(c, l->end);
      return n ? made(l, MOIRE__HLO_STRING, 1, n - 2, 1) : made(l, MOIRE__HLO_SIGN, 0, 1, 0);
    }
    case '-':
      return c + 1 < l->end && c[1] == '>' ? made(l, MOIRE__HLO_ARROW, 0, 2, 0)
                                           : made(l, MOIRE__HLO_SIGN, 0, 1, 0);
    default: break;
  }
  if (isdigit((unsigned char)*c)) return made(l, MOIRE__HLO_NUMBER, 0, number_length(c, l->end), 0);
  if (is_letter(*c)) return made(l, MOIRE__HLO_WORD, 0, name_length(c, l->end, false), 0);
  return made(l, MOIRE__HLO_SIGN, 0, 1, 0);
}

bool moire__hlo_is(const moire__hlo_token *t, moire__hlo_token_kind kind, const char *text) {
  return t->kind == kind && t->n == strlen(text) && !memcmp(t->text, text, t->n);
}
