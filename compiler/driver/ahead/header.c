/* The library's header and its pkg-config file.
 *
 * The header is runtime/aot/library.h with the library's name for library_, its numbers for the ones that stand
 * there, and without the sections (between lines with braces in comments) that it has nothing for. */
#include "compiler/driver/ahead/interface.h"
#include "compiler/driver/ahead/sections.h"
#include "moire/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

typedef struct writer {
  const moire__ahead *a;
  moire__text *out;
  size_t from, to; /* of add_renamed */
} writer;

static void take_line(void *context, const char *line, size_t n) {
  writer *w = context;
  if (!(n == 1 && ends_in_empty_line(w->out)) && !add_fact(w->a, line, n, w->out))
    add_renamed(w->a, line, n, &w->from, &w->to, w->out);
}

static void take_fields(void *context, const char *name, size_t n) {
  const writer *w = context;
  w->a->interface->write_fields(w->a, name, n, w->out);
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
  const moire__ahead_source *header = moire__ahead_find_source("runtime/aot/library.h");
  writer w = {.a = a, .out = out};
  const moire__ahead_sections how = {.opens = "/* { ",
                                     .closes = "/* } ",
                                     .behind = 4,
                                     .context = &w,
                                     .take_line = take_line,
                                     .take_fields = take_fields};
  moire__ahead_walk_sections(a, &how, header->text, header->end);
}

/* ---- pkg-config ------------------------------------------------------------------------------------- */

void moire__ahead_write_package(const moire__ahead *a, moire__text *out) {
  const char *name = a->options->name;
  moire__text_add(out, "Name: %s\nDescription: the model %s, compiled by Moire\nVersion: %s\n", name,
                  a->model->name, MOIRE_VERSION);
  moire__text_add(out, "Cflags: -I${pcfiledir}\nLibs: -L${pcfiledir} -l:%s.so -Wl,-rpath,${pcfiledir}\n", name);
  moire__text_add(out, "Libs.private: -L${pcfiledir} -l:%s.a -lm\n", name);
}
