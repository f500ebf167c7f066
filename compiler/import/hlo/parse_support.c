/* StableHLO text: tokens one after the other, names, and mistakes. See parse.h. */
#include "compiler/import/hlo/parse.h"

#include "runtime/files/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fail(moire__hlo_parser *p, int line, const char *format, va_list args) {
  char text[400];
  if (p->failed) return;
  p->failed = true;
  vsnprintf(text, sizeof text, format, args);
  moire__printable_buffer shown;
  moire_fail(p->error, MOIRE_ERROR_FORMAT, "%s:%d: %s (at '%s')", p->module->path, line, text,
             moire__printable(p->now.text, p->now.n, shown));
  p->now =
      (moire__hlo_token){.kind = MOIRE__HLO_END, .begin = p->lexer.end, .text = p->lexer.end, .line = line};
  p->lexer.at = p->lexer.end;
}

void moire__hlo_fail(moire__hlo_parser *p, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fail(p, p->now.line, format, args);
  va_end(args);
}

void moire__hlo_fail_at(moire__hlo_parser *p, int line, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fail(p, line, format, args);
  va_end(args);
}

void moire__hlo_advance(moire__hlo_parser *p) {
  if (!p->failed) p->now = moire__hlo_lex(&p->lexer);
}

void moire__hlo_continue_at(moire__hlo_parser *p, const char *at, int line) {
  if (p->failed) return;
  p->lexer.at = at;
  p->lexer.line = line;
  moire__hlo_advance(p);
}

bool moire__hlo_at_sign(const moire__hlo_parser *p, char sign) {
  return p->now.kind == MOIRE__HLO_SIGN && *p->now.text == sign;
}

bool moire__hlo_at_word(const moire__hlo_parser *p, const char *word) {
  return moire__hlo_is(&p->now, MOIRE__HLO_WORD, word);
}

bool moire__hlo_take_sign(moire__hlo_parser *p, char sign) {
  bool there = moire__hlo_at_sign(p, sign);
  if (there) moire__hlo_advance(p);
  return there;
}

bool moire__hlo_take_word(moire__hlo_parser *p, const char *word) {
  bool there = moire__hlo_at_word(p, word);
  if (there) moire__hlo_advance(p);
  return there;
}

void moire__hlo_want(moire__hlo_parser *p, char sign) {
  if (!moire__hlo_take_sign(p, sign)) moire__hlo_fail(p, "wanted %c", sign);
}

bool moire__hlo_enter(moire__hlo_parser *p) {
  if (p->depth >= MOIRE__HLO_DEEPEST) {
    moire__hlo_fail(p, "is nested more than %d deep", MOIRE__HLO_DEEPEST);
    return false;
  }
  p->depth++;
  return true;
}

void moire__hlo_leave(moire__hlo_parser *p) { p->depth--; }

char *moire__hlo_copy(moire__hlo_parser *p, const char *text, size_t n) {
  char *copy = moire__arena_array(p->arena, n + 1, 1);
  memcpy(copy, text, n);
  for (size_t i = 0; i < n; i++) {
    if (!copy[i]) copy[i] = '?';
  }
  return copy;
}

char *moire__hlo_token_text(moire__hlo_parser *p) { return moire__hlo_copy(p, p->now.text, p->now.n); }

void moire__hlo_skip_brackets(moire__hlo_parser *p) {
  int depth = 0;
  while (p->now.kind != MOIRE__HLO_END) {
    char sign = p->now.kind == MOIRE__HLO_SIGN ? *p->now.text : ' ';
    if (sign == '<' || sign == '(' || sign == '[' || sign == '{') depth++;
    if (sign == '>' || sign == ')' || sign == ']' || sign == '}') depth--;
    moire__hlo_advance(p);
    if (depth <= 0) return;
  }
  moire__hlo_fail(p, "a bracket is not closed");
}

/* ---- names of values --------------------------------------------------------------------------------------
 */

static unsigned slot_of(const char *text, size_t n) {
  unsigned hash = 2166136261u;
  for (size_t i = 0; i < n; i++) hash = (hash ^ (unsigned char)text[i]) * 16777619u;
  return hash % MOIRE__HLO_NAME_SLOTS;
}

const moire__hlo_name *moire__hlo_look_up(const moire__hlo_parser *p, const char *text, size_t n) {
  for (int i = p->heads[slot_of(text, n)]; i >= 0; i = p->names[i].next) {
    const moire__hlo_name *name = &p->names[i];
    if (name->n == n && !memcmp(name->text, text, n)) return name;
  }
  return NULL;
}

int moire__hlo_declare(moire__hlo_parser *p, const char *text, size_t n, int count) {
  if (moire__hlo_look_up(p, text, n)) {
    moire__hlo_fail(p, "%%%.*s is made twice", n > 60 ? 60 : (int)n, text);
    return -1;
  }
  unsigned slot = slot_of(text, n);
  moire__hlo_name name = {text, n, p->n_values, count, p->heads[slot]};
  MOIRE__PUSH(p->arena, p->names, p->n_names, p->name_capacity, name);
  p->heads[slot] = p->n_names - 1;
  p->n_values += count;
  return name.value;
}

void moire__hlo_forget(moire__hlo_parser *p, int n_names) {
  while (p->n_names > n_names) {
    const moire__hlo_name *last = &p->names[--p->n_names];
    p->heads[slot_of(last->text, last->n)] = last->next;
  }
}
