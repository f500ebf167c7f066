/* See sections.h. */
#include "compiler/driver/ahead/sections.h"
#include "compiler/driver/ahead/interface.h"

#include <string.h>

/* Whether the library is of the kind of that name: 1, or 0; -1: there is no such kind. */
static int has_kind(const moire__ahead *a, const char *name, size_t n) {
  const struct {
    const char *name;
    bool has;
  } kinds[] = {{"weights external", a->options->external_weights},
               {"models", a->options->external_weights || a->model->training},
               {"training", a->model->training != NULL},
               {"embedded", a->model->weights && !a->options->external_weights},
               {"items", a->model->items != NULL},
               {"tables", a->searches},
               {"tokenizer", a->model->tokenizer != NULL}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (strlen(kinds[i].name) == n && !memcmp(kinds[i].name, name, n)) return kinds[i].has;
  }
  return -1;
}

/* Whether the library has what a section is about. */
static bool has_section(const moire__ahead *a, const char *name, size_t n) {
  int whole = has_kind(a, name, n);
  for (size_t at = 0; at < n && whole < 0;) { /* several, with blanks between */
    const char *blank = memchr(name + at, ' ', n - at);
    size_t length = blank ? (size_t)(blank - name) - at : n - at;
    if (moire__ahead_interface_find(name + at, length) == a->interface || has_kind(a, name + at, length) == 1)
      return true;
    at += length + 1;
  }
  return whole == 1;
}

/* "fields NAME": a section that the interface writes. */
enum { FIELDS = sizeof "fields " - 1 };
static bool is_fields(const char *name, size_t n) { return n > FIELDS && !memcmp(name, "fields ", FIELDS); }

static bool begins(const char *line, size_t n, const char *with) {
  return n > strlen(with) && !memcmp(line, with, strlen(with));
}

void moire__ahead_walk_sections(const moire__ahead *a, const moire__ahead_sections *how, const char *text,
                                const char *end) {
  int left_out = 0; /* depth of sections that are, 0: none */
  while (text < end) {
    const char *line_end = memchr(text, '\n', (size_t)(end - text));
    size_t n = (size_t)(line_end ? line_end + 1 - text : end - text), indent = 0;
    while (indent < n && text[indent] == ' ') indent++;
    const char *mark = text + indent;
    bool opens = begins(mark, n - indent, how->opens), closes = begins(mark, n - indent, how->closes);
    const char *name = mark + strlen(how->opens);
    size_t length = opens ? n - indent - strlen(how->opens) - how->behind : 0;
    if (closes) {
      left_out -= left_out > 0;
    } else if (opens && !left_out && is_fields(name, length)) {
      how->take_fields(how->context, name + FIELDS, length - FIELDS);
      left_out++;
    } else if (opens) {
      left_out += left_out > 0 || !has_section(a, name, length);
    } else if (!left_out) {
      how->take_line(how->context, text, n);
    }
    text += n;
  }
}

const moire__ahead_source *moire__ahead_find_source(const char *path) {
  for (int i = 0; i < moire__ahead_source_count; i++) {
    if (!strcmp(moire__ahead_sources[i].path, path)) return &moire__ahead_sources[i];
  }
  return NULL;
}
