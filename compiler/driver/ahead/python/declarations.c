/* Reading a library's header. See declarations.h.
 *
 * The header is written by header.c, so this reads what clang-format leaves of plain C: facts as #define,
 * enums, structs and functions, each behind its comment. */
#include "compiler/driver/ahead/python/declarations.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
  moire__ahead *a;
  const char *at, *end;
  const char *comment; /* what stands before the next declaration */
  moire__ahead_declarations all;
} reader;

typedef struct span {
  const char *text;
  size_t n;
} span;

/* ---- Pieces ----------------------------------------------------------------------------------------- */

static span trimmed(span s) {
  while (s.n && isspace((unsigned char)s.text[0])) s = (span){s.text + 1, s.n - 1};
  while (s.n && isspace((unsigned char)s.text[s.n - 1])) s.n--;
  return s;
}

static bool begins(span s, const char *with) {
  return s.n >= strlen(with) && !memcmp(s.text, with, strlen(with));
}

static char *copy(reader *r, span s) { return moire__arena_printf(&r->a->arena, "%.*s", (int)s.n, s.text); }

/* A name without the library's prefix. */
static const char *own_name(reader *r, span s) {
  char prefix[MOIRE__AHEAD_LONGEST_NAME + 2];
  for (int upper = 0; upper < 2; upper++) {
    size_t n = moire__ahead_prefix(r->a, upper, prefix);
    if (begins(s, prefix)) return copy(r, (span){s.text + n, s.n - n});
  }
  return copy(r, s);
}

/* The first paragraph of the comment that begins at `at`, as one line; *behind is where the comment ends. */
static const char *read_comment(reader *r, const char *at, const char **behind) {
  const char *close = strstr(at, "*/");
  moire__text line = {0};
  bool paragraph = true;
  *behind = close ? close + 2 : r->end;
  for (at += 2; at < *behind - 2 && paragraph;) {
    const char *line_end = memchr(at, '\n', (size_t)(*behind - 2 - at));
    span s = trimmed((span){at, (size_t)((line_end ? line_end : *behind - 2) - at)});
    if (begins(s, "*")) s = trimmed((span){s.text + 1, s.n - 1});
    paragraph = s.n || !line.length;
    if (s.n) moire__text_add(&line, "%s%.*s", line.length ? " " : "", (int)s.n, s.text);
    at = line_end ? line_end + 1 : *behind - 2;
  }
  char *text = moire__arena_copy_string(&r->a->arena, moire__text_string(&line));
  moire__text_free(&line);
  return text;
}

/* ---- Members ---------------------------------------------------------------------------------------- */

static moire__ahead_member *add_member(reader *r, moire__ahead_declared *d, span name, const char *type) {
  const moire__ahead_member m = {.name = copy(r, name), .type = type, .comment = ""};
  MOIRE__PUSH(&r->a->arena, d->members, d->n, d->capacity, m);
  return &d->members[d->n - 1];
}

/* "const float *x", "int64_t shape[8]", "int n_held, begun": the names with their types. */
static void add_declarators(reader *r, moire__ahead_declared *d, span s) {
  const char *base = NULL;
  while (s.n) {
    const char *comma = memchr(s.text, ',', s.n);
    span one = trimmed((span){s.text, comma ? (size_t)(comma - s.text) : s.n});
    const char *bracket = memchr(one.text, '[', one.n);
    size_t end = bracket ? (size_t)(bracket - one.text) : one.n, start = end;
    while (start && (isalnum((unsigned char)one.text[start - 1]) || one.text[start - 1] == '_')) start--;
    span type = trimmed((span){one.text, start}), stars = type;
    while (stars.n && stars.text[stars.n - 1] == '*') stars.n--;
    if (!base) base = own_name(r, trimmed(stars));
    char *whole = moire__arena_printf(&r->a->arena, "%s%s%.*s", base, type.n > stars.n ? " " : "",
                                      (int)(type.n - stars.n), type.text + stars.n);
    moire__ahead_member *m = add_member(r, d, (span){one.text + start, end - start}, whole);
    if (bracket) m->count = atoi(bracket + 1);
    s = comma ? (span){comma + 1, s.n - (size_t)(comma + 1 - s.text)} : (span){s.text, 0};
  }
}

static void add_enumerator(reader *r, moire__ahead_declared *d, span s) {
  const char *equals = memchr(s.text, '=', s.n);
  span name = trimmed((span){s.text, equals ? (size_t)(equals - s.text) : s.n});
  int64_t value = equals ? strtoll(equals + 1, NULL, 10) : d->n ? d->members[d->n - 1].value + 1 : 0;
  moire__ahead_member *m = add_member(r, d, name, "int");
  m->name = own_name(r, name);
  m->value = value;
}

static void end_member(reader *r, moire__ahead_declared *d, span s) {
  s = trimmed(s);
  if (s.n && d->kind == MOIRE__AHEAD_ENUM) add_enumerator(r, d, s);
  if (s.n && d->kind == MOIRE__AHEAD_STRUCT) add_declarators(r, d, s);
}

/* What stands between braces; a comment belongs to the member before it, on whose line it is. */
static void read_members(reader *r, moire__ahead_declared *d) {
  const char separator = d->kind == MOIRE__AHEAD_ENUM ? ',' : ';';
  const char *start = r->at;
  for (bool open = true; open && r->at < r->end;) {
    const char c = *r->at;
    bool comment = begins((span){r->at, (size_t)(r->end - r->at)}, "/*");
    if (c == separator || c == '}' || comment) end_member(r, d, (span){start, (size_t)(r->at - start)});
    open = c != '}';
    const char *said = comment ? read_comment(r, r->at, &r->at) : NULL;
    if (said && d->n) d->members[d->n - 1].comment = said;
    if (!said) r->at++;
    if (c == separator || said || !open) start = r->at;
  }
}

/* ---- Declarations ----------------------------------------------------------------------------------- */

static moire__ahead_declared *add(reader *r, moire__ahead_declared_kind kind, const char *name) {
  const moire__ahead_declared d = {.kind = kind, .name = name, .comment = r->comment ? r->comment : ""};
  MOIRE__PUSH(&r->a->arena, r->all.list, r->all.n, r->all.capacity, d);
  return &r->all.list[r->all.n - 1];
}

/* "#define NAME value", with a comment behind it. */
static void read_fact(reader *r, span line) {
  size_t n = strlen("#define ");
  span name = {line.text + n, moire__ahead_word(line.text + n, line.n - n)};
  span value = trimmed((span){name.text + name.n, (size_t)(line.text + line.n - name.text) - name.n});
  const char *comment = strstr(value.text, "/*"), *behind = NULL;
  char prefix[MOIRE__AHEAD_LONGEST_NAME + 2];
  moire__ahead_prefix(r->a, true, prefix);
  if (!begins(name, prefix) || !value.n) return; /* the guard */
  bool has = comment && comment < line.text + line.n;
  moire__ahead_declared *d = add(r, MOIRE__AHEAD_FACT, own_name(r, name));
  d->value = copy(r, trimmed((span){value.text, has ? (size_t)(comment - value.text) : value.n}));
  d->comment = has ? read_comment(r, comment, &behind) : "";
}

/* The end of the line, or of what is for C++ alone. */
static void read_directive(reader *r) {
  const char *line_end = memchr(r->at, '\n', (size_t)(r->end - r->at));
  span line = {r->at, (size_t)((line_end ? line_end : r->end) - r->at)};
  const char *close = begins(line, "#ifdef __cplusplus") ? strstr(r->at, "#endif") : NULL;
  if (begins(line, "#define ")) read_fact(r, line);
  r->at = close ? close + strlen("#endif") : line.text + line.n;
}

static void read_function(reader *r, span s) {
  const char *open = memchr(s.text, '(', s.n);
  if (!open) return;
  span before = trimmed((span){s.text, (size_t)(open - s.text)});
  size_t start = before.n;
  while (start && (isalnum((unsigned char)before.text[start - 1]) || before.text[start - 1] == '_')) start--;
  moire__ahead_declared *d =
      add(r, MOIRE__AHEAD_FUNCTION, own_name(r, (span){before.text + start, before.n - start}));
  d->type = own_name(r, trimmed((span){before.text, start}));
  span rest = trimmed((span){open + 1, s.n - (size_t)(open + 1 - s.text) - 1});
  while (rest.n && !(rest.n == 4 && begins(rest, "void"))) {
    const char *comma = memchr(rest.text, ',', rest.n);
    size_t n = comma ? (size_t)(comma - rest.text) : rest.n;
    add_declarators(r, d, (span){rest.text, n});
    rest = comma ? trimmed((span){comma + 1, rest.n - n - 1}) : (span){rest.text, 0};
  }
}

/* Other typedefs, of functions and of what only the library knows, are pointers to everybody else. */
static void read_declaration(reader *r) {
  span rest = {r->at, (size_t)(r->end - r->at)};
  bool is_enum = begins(rest, "typedef enum "), is_struct = begins(rest, "typedef struct ");
  const char *semicolon = memchr(r->at, ';', rest.n), *brace = memchr(r->at, '{', rest.n);
  if (!semicolon) semicolon = r->end - 1;
  if ((is_enum || is_struct) && brace && brace < semicolon) {
    const char *name = r->at + strlen(is_enum ? "typedef enum " : "typedef struct ");
    moire__ahead_declared *d = add(r, is_enum ? MOIRE__AHEAD_ENUM : MOIRE__AHEAD_STRUCT,
                                   own_name(r, (span){name, moire__ahead_word(name, rest.n)}));
    r->at = brace + 1;
    read_members(r, d);
    semicolon = memchr(r->at, ';', (size_t)(r->end - r->at));
  } else if (!begins(rest, "typedef ")) {
    read_function(r, trimmed((span){r->at, (size_t)(semicolon - r->at)}));
  }
  r->at = semicolon ? semicolon + 1 : r->end;
  r->comment = NULL;
}

moire__ahead_declarations moire__ahead_read_declarations(moire__ahead *a, const moire__text *header) {
  reader r = {.a = a, .at = moire__text_string(header), .end = moire__text_string(header) + header->length};
  bool declared = false; /* on this line, before this place */
  for (int lines = 0; r.at < r.end;) {
    if (isspace((unsigned char)*r.at)) {
      lines += *r.at == '\n';
      declared = declared && *r.at != '\n';
      r.at++;
      if (lines > 1) r.comment = NULL; /* of a section, not of what follows */
      continue;
    }
    lines = 0;
    if (*r.at == '#') {
      read_directive(&r);
    } else if (begins((span){r.at, (size_t)(r.end - r.at)}, "/*")) {
      const char *comment = read_comment(&r, r.at, &r.at);
      if (!declared) r.comment = comment;
    } else {
      read_declaration(&r);
      declared = true;
    }
  }
  return r.all;
}

const moire__ahead_declared *moire__ahead_find_declared(const moire__ahead_declarations *all, const char *name,
                                                        size_t n) {
  for (int i = 0; i < all->n; i++) {
    if (strlen(all->list[i].name) == n && !memcmp(all->list[i].name, name, n)) return &all->list[i];
  }
  return NULL;
}
