/* The library's header and its pkg-config file.
 *
 * The header is runtime/aot/library.h with the library's name for library_, its numbers for the ones that stand
 * there, and without the sections (between lines with braces in comments) that it has nothing for. */
#include "compiler/driver/ahead/interface.h"
#include "moire/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Whether the library has what a section is about. */
static bool has_section(const moire__ahead *a, const char *name, size_t n) {
  const struct {
    const char *name;
    bool has;
  } sections[] = {{"weights external", a->options->external_weights},
                  {"models", a->options->external_weights || a->model->training},
                  {"training", a->model->training != NULL},
                  {"embedded", a->model->weights && !a->options->external_weights},
                  {"tokenizer", a->model->tokenizer != NULL}};
  for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
    if (strlen(sections[i].name) == n && !memcmp(sections[i].name, name, n)) return sections[i].has;
  }
  for (size_t at = 0; at < n;) { /* interfaces, with blanks between */
    const char *blank = memchr(name + at, ' ', n - at);
    size_t length = blank ? (size_t)(blank - name) - at : n - at;
    if (moire__ahead_interface_find(name + at, length) == a->interface) return true;
    at += length + 1;
  }
  return false;
}

/* The value of the fact that is named so. */
static bool find_fact(const moire__ahead *a, const char *name, size_t n, moire__text *value) {
  const moire__ahead_fact numbers[] = {{"SLICE", a->slice}, {"STACK_BYTES", a->stack_bytes}};
  const char *const texts[][2] = {{"MODEL", a->model->name}, {"VERSION", MOIRE_VERSION}};
  for (int i = 0; i < 2; i++) {
    if (strlen(texts[i][0]) == n && !memcmp(texts[i][0], name, n)) {
      moire__ahead_add_string(texts[i][1], value);
      return true;
    }
  }
  for (int i = 0; i < 2 + a->n_facts; i++) {
    const moire__ahead_fact *fact = i < 2 ? &numbers[i] : &a->facts[i - 2];
    if (strlen(fact->name) != n || memcmp(fact->name, name, n) != 0) continue;
    moire__text_add(value, "%" PRId64, fact->number);
    return true;
  }
  return false;
}

/* If `line` is "#define LIBRARY_X value ..." and X is one of the library's facts, writes the line with its
 * value. */
static bool add_fact(const moire__ahead *a, const char *line, size_t n, moire__text *out) {
  static const char start[] = "#define LIBRARY_";
  if (n < sizeof start || strncmp(line, start, sizeof start - 1) != 0) return false;
  const char *name = line + sizeof start - 1, *space = memchr(name, ' ', (size_t)(line + n - name));
  moire__text value = {0};
  bool found = space && find_fact(a, name, (size_t)(space - name), &value);
  if (found) {
    size_t old = 1;
    while (space + old < line + n && space[old] != ' ') old++;
    moire__ahead_rename(a, line, (size_t)(space - line) + 1, out);
    moire__text_add(out, "%s", moire__text_string(&value));
    moire__ahead_rename(a, space + old, (size_t)(line + n - space) - old, out);
  }
  moire__text_free(&value);
  return found;
}

static bool ends_in_empty_line(const moire__text *text) {
  return text->length > 1 && text->data[text->length - 1] == '\n' && text->data[text->length - 2] == '\n';
}

/* The column behind the first parenthesis of a line; 0: there is none. */
static size_t opening(const char *line, size_t n) {
  const char *at = memchr(line, '(', n);
  return at ? (size_t)(at - line) + 1 : 0;
}

/* A line under another name. What stands below the opening parenthesis of a declaration moves with it: `from`
 * and `to` are that column here and there. */
static void add_renamed(const moire__ahead *a, const char *line, size_t n, size_t *from, size_t *to,
                        moire__text *out) {
  size_t start = out->length, indent = 0;
  while (indent < n && line[indent] == ' ') indent++;
  if (indent && indent == *from) {
    for (size_t i = 0; i < *to; i++) moire__text_add_char(out, ' ');
    moire__ahead_rename(a, line + indent, n - indent, out);
    return;
  }
  moire__ahead_rename(a, line, n, out);
  *from = opening(line, n);
  *to = opening(out->data + start, out->length - start);
}

/* "fields NAME": a section that the interface writes. */
enum { FIELDS = sizeof "fields " - 1 };
static bool is_fields(const char *name, size_t n) { return n > FIELDS && !memcmp(name, "fields ", FIELDS); }

static void add_lines(const moire__ahead *a, const char *text, const char *end, moire__text *out) {
  int left_out = 0; /* depth of sections that are, 0: none */
  size_t from = 0, to = 0;
  while (text < end) {
    const char *line_end = memchr(text, '\n', (size_t)(end - text));
    size_t n = (size_t)(line_end ? line_end + 1 - text : end - text);
    size_t indent = 0;
    while (indent < n && text[indent] == ' ') indent++;
    const char *mark = text + indent;
    bool opens = n - indent > 8 && !memcmp(mark, "/* { ", 5);
    bool closes = n - indent > 8 && !memcmp(mark, "/* } ", 5);
    if (closes) {
      left_out -= left_out > 0;
    } else if (opens && !left_out && is_fields(mark + 5, n - indent - 9)) {
      a->interface->write_fields(a, mark + 5 + FIELDS, n - indent - 9 - FIELDS, out);
      left_out++;
    } else if (opens) {
      left_out += left_out > 0 || !has_section(a, mark + 5, n - indent - 9);
    } else if (!left_out && !(n == 1 && ends_in_empty_line(out)) && !add_fact(a, text, n, out)) {
      add_renamed(a, text, n, &from, &to, out);
    }
    text += n;
  }
}

static const moire__ahead_source *find_source(const char *path) {
  for (int i = 0; i < moire__ahead_source_count; i++) {
    if (!strcmp(moire__ahead_sources[i].path, path)) return &moire__ahead_sources[i];
  }
  return NULL;
}

void moire__ahead_write_header(const moire__ahead *a, moire__text *out) {
  const char *name = a->options->name;
  moire__text_add(
      out, "/* %s: the model %s as a library, written by Moire %s. Changes to this file would be lost.\n *\n",
      name, a->model->name, MOIRE_VERSION);
  moire__text_add(out, " * Code for: ");
  moire__ahead_add_levels(a, out);
  moire__text_add(out, ". Link with %s.so, or with %s.a and -lm; nothing else is needed.\n *\n", name, name);
  moire__text_add(
      out,
      " * Threads: calls may run at once unless they share a workspace%s. Nothing is kept between\n"
      " * calls but what the caller holds. Numbers: little-endian float32; row-major arrays.\n */\n",
      a->model->training ? " or a state" : "");
  const moire__ahead_source *header = find_source("runtime/aot/library.h");
  add_lines(a, header->text, header->end, out);
}

/* ---- pkg-config ------------------------------------------------------------------------------------- */

void moire__ahead_write_package(const moire__ahead *a, moire__text *out) {
  const char *name = a->options->name;
  moire__text_add(out, "Name: %s\nDescription: the model %s, compiled by Moire\nVersion: %s\n", name,
                  a->model->name, MOIRE_VERSION);
  moire__text_add(out, "Cflags: -I${pcfiledir}\nLibs: -L${pcfiledir} -l:%s.so -Wl,-rpath,${pcfiledir}\n", name);
  moire__text_add(out, "Libs.private: -L${pcfiledir} -l:%s.a -lm\n", name);
}
