/* The scanner of the loop IR's text (loop_scan.h). */
#include "compiler/ir/loop/loop_scan.h"
#include "compiler/ir/loop/loop_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- characters ------------------------------------------------------------------------------------------ */

bool moire__scan_fail(moire__scan *s, const char *format, ...) {
  char message[600];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  if (!s->begin) {
    moire_fail(s->error, MOIRE_ERROR_FORMAT, "%s:%d: %s", s->file, s->line, message);
    return false;
  }
  const char *start = s->at;
  while (start > s->begin && start[-1] != '\n') start--;
  moire_fail(s->error, MOIRE_ERROR_FORMAT, "%s:%d:%d: %s", s->file, s->line, (int)(s->at - start) + 1, message);
  return false;
}

void moire__scan_space(moire__scan *s) {
  for (; isspace((unsigned char)*s->at) || (s->at[0] == '/' && s->at[1] == '/'); s->at++) {
    if (*s->at == '/') s->at += strcspn(s->at, "\n");
    if (!*s->at) return;
    if (*s->at == '\n') s->line++;
  }
}

static bool is_word_char(char c) { return isalnum((unsigned char)c) || c == '_'; }

bool moire__scan_accept(moire__scan *s, const char *token) {
  moire__scan_space(s);
  size_t n = strlen(token);
  if (strncmp(s->at, token, n) != 0 || (is_word_char(token[0]) && is_word_char(s->at[n]))) return false;
  s->at += n;
  return true;
}

bool moire__scan_expected(moire__scan *s, const char *what) {
  moire__scan_space(s);
  char found[25];
  size_t n = strcspn(s->at, " \t\r\n");
  if (n == 0) return moire__scan_fail(s, "expected %s, found the end of the text", what);
  if (n >= sizeof found) n = sizeof found - 1;
  for (size_t i = 0; i < n; i++) found[i] = isprint((unsigned char)s->at[i]) ? s->at[i] : '?';
  found[n] = 0;
  return moire__scan_fail(s, "expected %s, found `%s`", what, found);
}

bool moire__scan_expect(moire__scan *s, const char *token) {
  char what[40];
  if (moire__scan_accept(s, token)) return true;
  snprintf(what, sizeof what, "`%s`", token);
  return moire__scan_expected(s, what);
}

/* One character of a quoted string, where `\xNN`, `\"` and `\\` are escapes. */
static bool read_escape(moire__scan *s, char *c) {
  if (*s->at != '\\') {
    *c = *s->at++;
    return true;
  }
  s->at++;
  if (*s->at == '"' || *s->at == '\\') {
    *c = *s->at++;
    return true;
  }
  if (s->at[0] == 'x' && isxdigit((unsigned char)s->at[1]) && isxdigit((unsigned char)s->at[2])) {
    *c = (char)strtol((char[]){s->at[1], s->at[2], 0}, NULL, 16);
    s->at += 3;
    if (*c) return true;
  }
  return moire__scan_fail(s, "a string has an escape other than \\\", \\\\ and \\x01 to \\xff");
}

const char *moire__scan_string(moire__scan *s) {
  if (!moire__scan_expect(s, "\"")) return NULL;
  moire__text string = {0};
  bool good = true;
  while (good && *s->at != '"') {
    char c = 0;
    good = *s->at && *s->at != '\n' ? read_escape(s, &c) : moire__scan_fail(s, "a string has no end");
    if (good) moire__text_add_char(&string, c);
  }
  const char *copy = good ? moire__arena_copy_string(&s->names, moire__text_string(&string)) : NULL;
  moire__text_free(&string);
  if (good) s->at++;
  return copy;
}

static const char *copy_span(moire__scan *s, size_t n) {
  char *copy = moire__arena_alloc(&s->names, n + 1);
  memcpy(copy, s->at, n);
  s->at += n;
  return copy;
}

const char *moire__scan_name(moire__scan *s, const char *sigil) {
  if (!moire__scan_expect(s, sigil)) return NULL;
  if (*s->at == '"') return moire__scan_string(s);
  size_t n = 0;
  while (moire__loop_name_char(s->at[n])) n++;
  if (n == 0) moire__scan_expected(s, "a name");
  return n ? copy_span(s, n) : NULL;
}

const char *moire__scan_word(moire__scan *s, const char *what) {
  moire__scan_space(s);
  if (*s->at == '"') return moire__scan_string(s);
  size_t n = 0;
  while (is_word_char(s->at[n])) n++;
  if (n == 0 || isdigit((unsigned char)*s->at)) {
    moire__scan_expected(s, what);
    return NULL;
  }
  return copy_span(s, n);
}

bool moire__scan_int(moire__scan *s, int64_t low, int64_t high, int64_t *value) {
  moire__scan_space(s);
  if (!isdigit((unsigned char)*s->at) && !(*s->at == '-' && isdigit((unsigned char)s->at[1]))) {
    return moire__scan_expected(s, "an integer");
  }
  char *end;
  errno = 0;
  *value = strtoll(s->at, &end, 10);
  if (errno || *value < low || *value > high) {
    return moire__scan_fail(s, "%.30s is not in [%lld, %lld]", s->at, (long long)low, (long long)high);
  }
  s->at = end;
  return true;
}

/* Characters of a number: decimal or hexadecimal, with an exponent. */
static size_t number_length(const char *text) {
  size_t n = text[0] == '-';
  bool hexadecimal = text[n] == '0' && (text[n + 1] == 'x' || text[n + 1] == 'X');
  for (; isalnum((unsigned char)text[n]) || text[n] == '.'; n++) {
    bool exponent = strchr(hexadecimal ? "pP" : "eE", text[n]) != NULL;
    if (exponent && (text[n + 1] == '-' || text[n + 1] == '+')) n++;
  }
  return n;
}

bool moire__scan_number(moire__scan *s, bool *is_integer, int64_t *integer, double *real) {
  char digits[64], *end;
  moire__scan_space(s);
  size_t n = number_length(s->at);
  if (n == 0 || n >= sizeof digits) return moire__scan_expected(s, "a number");
  memcpy(digits, s->at, n);
  digits[n] = 0;
  *is_integer = digits[strspn(digits, "-0123456789")] == 0;
  errno = 0;
  if (*is_integer) *integer = strtoll(digits, &end, 10);
  if (!*is_integer) *real = moire__text_to_double(digits, &end);
  if (*end || end == digits || (*is_integer && errno)) return moire__scan_fail(s, "%s is not a number", digits);
  s->at += n;
  return true;
}

/* ---- types and constants ----------------------------------------------------------------------------------
 */

bool moire__scan_type(moire__scan *s, moire__loop_type *type) {
  for (int t = MOIRE__LOOP_BOOL; t <= MOIRE__LOOP_BF16; t++) {
    *type = (moire__loop_type)t;
    if (moire__scan_accept(s, moire__loop_type_name(*type))) return true;
  }
  return moire__scan_expected(s, "an element type");
}

bool moire__scan_constant(moire__scan *s, moire__loop_value_info *info) {
  bool is_integer;
  if (!moire__scan_number(s, &is_integer, &info->integer, &info->real)) return false;
  info->type = is_integer ? MOIRE__LOOP_I64 : MOIRE__LOOP_F32;
  if (*s->at != '_') return true;
  s->at++;
  if (!moire__scan_type(s, &info->type)) return false;
  if (is_integer ? !moire__loop_type_is_int(info->type) : !moire__loop_type_is_float(info->type)) {
    return moire__scan_fail(s, "%s is not written as a number of type %s",
                            is_integer ? "an integer" : "a number with a point or exponent",
                            moire__loop_type_name(info->type));
  }
  if (info->type == MOIRE__LOOP_I32 && (info->integer < INT32_MIN || info->integer > INT32_MAX)) {
    return moire__scan_fail(s, "%lld does not fit in i32", (long long)info->integer);
  }
  return true;
}

/* ---- names ----------------------------------------------------------------------------------------------- */

static moire__scan_symbol **bucket_of(moire__scan *s, moire__scan_kind kind, const char *name) {
  uint32_t hash = (uint32_t)kind + 1;
  for (; *name; name++) hash = hash * 31 + (unsigned char)*name;
  return &s->symbols[hash % 256];
}

static int32_t find(moire__scan *s, moire__scan_kind kind, const char *name) {
  for (moire__scan_symbol *e = *bucket_of(s, kind, name); e; e = e->next) {
    if (e->kind == kind && strcmp(e->name, name) == 0) return e->id;
  }
  return 0;
}

static const char *const kind_names[] = {"value", "buffer", "variable"};

bool moire__scan_define(moire__scan *s, moire__scan_kind kind, const char *name, int32_t id) {
  moire__scan_symbol **bucket = bucket_of(s, kind, name);
  if (find(s, kind, name)) return moire__scan_fail(s, "a second %s has the name %s", kind_names[kind], name);
  moire__scan_symbol *entry = moire__arena_alloc(&s->names, sizeof *entry);
  *entry = (moire__scan_symbol){.name = name, .kind = kind, .id = id, .next = *bucket};
  *bucket = entry;
  return true;
}

int32_t moire__scan_known(moire__scan *s, moire__scan_kind kind) {
  const char *name = moire__scan_name(s, kind == MOIRE__SCAN_VAR ? "$" : "%");
  int32_t id = name ? find(s, kind, name) : 0;
  if (name && !id) moire__scan_fail(s, "there is no %s %s yet", kind_names[kind], name);
  return id;
}

const char *moire__scan_new(moire__scan *s, moire__scan_kind kind) {
  const char *name = moire__scan_name(s, kind == MOIRE__SCAN_VAR ? "$" : "%");
  if (!name || !find(s, kind, name)) return name;
  moire__scan_fail(s, "a second %s has the name %s", kind_names[kind], name);
  return NULL;
}
