/* The Python module of a library. See module.h. */
#include "compiler/driver/ahead/python/module.h"
#include "compiler/driver/ahead/python/declarations.h"
#include "compiler/driver/ahead/interface.h"
#include "compiler/driver/ahead/sections.h"
#include "moire/version.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

typedef struct writer {
  moire__ahead *a;
  moire__ahead_declarations declared;
  moire__text *out;
  moire_error *error;
  moire_status status;
} writer;

static const char imports[] = "from __future__ import annotations\n"
                              "\n"
                              "import array\n"
                              "import contextlib\n"
                              "import ctypes\n"
                              "import enum\n"
                              "import errno\n"
                              "import itertools\n"
                              "import math\n"
                              "import operator\n"
                              "import os\n"
                              "import struct\n"
                              "import sys\n"
                              "import threading\n"
                              "import weakref\n"
                              "from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, "
                              "Optional, Sequence, Tuple, Union\n"
                              "\n"
                              "try:\n"
                              "    import numpy\n"
                              "except ImportError:\n"
                              "    numpy = None\n";

/* ---- Sentences -------------------------------------------------------------------------------------- */

/* An enumerator without the name of its enum. */
static const char *enumerator(const moire__ahead_declared *d, const char *name) {
  size_t n = strlen(d->name);
  return !strncasecmp(name, d->name, n) && name[n] == '_' ? name + n + 1 : name;
}

/* "Seen" of "seen". */
static void add_class(const char *name, moire__text *out) {
  for (bool first = true; *name; name++) {
    if (*name != '_') moire__text_add_char(out, first ? (char)toupper((unsigned char)*name) : *name);
    first = *name == '_';
  }
}

/* The name of a fact or an enumerator, as Python has it. */
static void add_constant(const writer *w, const char *name, size_t n, moire__text *out) {
  for (int i = 0; i < w->declared.n; i++) {
    const moire__ahead_declared *d = &w->declared.list[i];
    for (int j = 0; j < d->n && d->kind == MOIRE__AHEAD_ENUM; j++) {
      if (strlen(d->members[j].name) != n || memcmp(d->members[j].name, name, n) != 0) continue;
      add_class(d->name, out);
      moire__text_add(out, ".%s", enumerator(d, d->members[j].name));
      return;
    }
  }
  moire__text_add_bytes(out, name, n);
}

/* What the header says, in the words of Python. */
static void add_sentences(const writer *w, const char *text, moire__text *out) {
  char prefix[2][MOIRE__AHEAD_LONGEST_NAME + 2];
  size_t length = moire__ahead_prefix(w->a, false, prefix[0]);
  moire__ahead_prefix(w->a, true, prefix[1]);
  while (*text) {
    size_t n = moire__ahead_word(text, strlen(text));
    if (n == 4 && !memcmp(text, "NULL", n))
      moire__text_add(out, "None");
    else if (n > length && !memcmp(text, prefix[1], length))
      add_constant(w, text + length, n - length, out);
    else if (n > length && !memcmp(text, prefix[0], length))
      moire__text_add_bytes(out, text + length, n - length);
    else
      moire__text_add_bytes(out, text, n ? n : 1);
    text += n ? n : 1;
  }
}

/* A line whose words go on in further ones, at the same indentation. */
static void add_wrapped(const char *line, size_t indent, moire__text *out) {
  enum { WIDTH = 116 };
  size_t column = 0;
  for (const char *word = line + strspn(line, " "); *word;) {
    size_t n = strcspn(word, " ");
    if (column && column + 1 + n > WIDTH) {
      moire__text_add_char(out, '\n');
      column = 0;
    }
    if (!column) moire__text_add(out, "%*s", (int)indent, "");
    moire__text_add(out, "%s%.*s", column ? " " : "", (int)n, word);
    column = (column ? column + 1 : indent) + n;
    word += n + strspn(word + n, " ");
  }
  moire__text_add_char(out, '\n');
}

/* ---- Declarations ----------------------------------------------------------------------------------- */

static void fail(writer *w, const char *what, const char *type) {
  if (!w->status)
    w->status = moire_fail(w->error, MOIRE_ERROR_INTERNAL, "%s is of type %s, which ctypes has no name for",
                           what, type);
}

/* Pointers are addresses; whoever calls sees to what lies there. */
static void add_type(writer *w, const char *what, const char *type, moire__text *out) {
  static const char *const plain[][2] = {
      {"int", "c_int"},         {"int32_t", "c_int32"},      {"int64_t", "c_int64"}, {"uint64_t", "c_uint64"},
      {"uint16_t", "c_uint16"}, {"uint8_t", "c_uint8"},      {"size_t", "c_size_t"}, {"float", "c_float"},
      {"double", "c_double"},   {"unsigned char", "c_ubyte"}};
  const moire__ahead_declared *d = moire__ahead_find_declared(&w->declared, type, strlen(type));
  if (!strcmp(type, "void")) {
    moire__text_add(out, "None");
  } else if (!strcmp(type, "const char *")) {
    moire__text_add(out, "ctypes.c_char_p");
  } else if (strchr(type, '*')) {
    moire__text_add(out, "ctypes.c_void_p");
  } else if (d && d->kind == MOIRE__AHEAD_ENUM) {
    moire__text_add(out, "ctypes.c_int");
  } else {
    size_t i = 0, n = sizeof plain / sizeof *plain;
    while (i < n && strcmp(plain[i][0], type) != 0) i++;
    if (i == n) fail(w, what, type);
    moire__text_add(out, "ctypes.%s", i < n ? plain[i][1] : "");
  }
}

static void add_comment(const writer *w, const char *comment, moire__text *out) {
  if (*comment) {
    moire__text_add(out, "  # ");
    add_sentences(w, comment, out);
  }
  moire__text_add_char(out, '\n');
}

static void add_facts(const writer *w, moire__text *out) {
  for (int i = 0; i < w->declared.n; i++) {
    const moire__ahead_declared *d = &w->declared.list[i];
    if (d->kind != MOIRE__AHEAD_FACT) continue;
    moire__text_add(out, "%s = %s", d->name, d->value);
    add_comment(w, d->comment, out);
  }
}

static void add_docstring(const writer *w, const char *comment, moire__text *out) {
  moire__text line = {0};
  if (!*comment) return;
  moire__text_add(&line, "\"\"\"");
  add_sentences(w, comment, &line);
  moire__text_add(&line, "\"\"\"");
  add_wrapped(line.data, 4, out);
  moire__text_add_char(out, '\n');
  moire__text_free(&line);
}

static void add_enum(const writer *w, const moire__ahead_declared *d, moire__text *out) {
  moire__text_add(out, "\n\nclass ");
  add_class(d->name, out);
  moire__text_add(out, "(enum.IntEnum):\n");
  add_docstring(w, d->comment, out);
  for (int i = 0; i < d->n; i++) {
    moire__text_add(out, "    %s = %" PRId64, enumerator(d, d->members[i].name), d->members[i].value);
    add_comment(w, d->members[i].comment, out);
  }
}

static void add_struct(writer *w, const moire__ahead_declared *d, moire__text *out) {
  moire__text_add(out, "\n\nclass _");
  add_class(d->name, out);
  moire__text_add(out, "(ctypes.Structure):\n    _fields_ = [\n");
  for (int i = 0; i < d->n; i++) {
    moire__text_add(out, "        (\"%s\", ", d->members[i].name);
    add_type(w, d->members[i].name, d->members[i].type, out);
    if (d->members[i].count) moire__text_add(out, " * %d", d->members[i].count);
    moire__text_add(out, "),\n");
  }
  moire__text_add(out, "    ]\n");
}

static void add_function(writer *w, const moire__ahead_declared *d, moire__text *out) {
  moire__text_add(out, "    (\"%s\", ", d->name);
  add_type(w, d->name, d->type, out);
  moire__text_add(out, ", (");
  for (int i = 0; i < d->n; i++) {
    add_type(w, d->members[i].name, d->members[i].type, out);
    moire__text_add(out, d->n == 1 ? "," : i + 1 < d->n ? ", " : "");
  }
  moire__text_add(out, ")),\n");
}

static void add_declarations(writer *w) {
  const char *name = w->a->options->name;
  moire__text *out = w->out;
  moire__text_add(out, "\n# ---- What %s.h declares ----\n\n", name);
  add_facts(w, out);
  moire__text_add(out, "\n_PREFIX = \"%s_\"\n_FILE = \"%s.so\"\n_WEIGHTS = \"%s.weights\"\n_BUILD = (\n    \"",
                  name, name, name);
  moire__ahead_add_build(w->a, out);
  moire__text_add(out, "\"\n)\n");
  for (int i = 0; i < w->declared.n; i++) {
    const moire__ahead_declared *d = &w->declared.list[i];
    if (d->kind == MOIRE__AHEAD_ENUM) add_enum(w, d, out);
    if (d->kind == MOIRE__AHEAD_STRUCT) add_struct(w, d, out);
  }
  moire__text_add(out, "\n\n# Names without the prefix, what they return and take.\n_FUNCTIONS = (\n");
  for (int i = 0; i < w->declared.n; i++) {
    if (w->declared.list[i].kind == MOIRE__AHEAD_FUNCTION) add_function(w, &w->declared.list[i], out);
  }
  moire__text_add(out, ")\n\n\n");
}

/* ---- Parts ------------------------------------------------------------------------------------------ */

/* "{doc top}" becomes what the header says about NAME_top. */
static void add_documented(writer *w, const char *line, size_t n, const char *mark) {
  moire__text whole = {0};
  const char *name = mark + strlen("{doc "), *close = memchr(name, '}', (size_t)(line + n - name));
  size_t length = close ? (size_t)(close - name) : 0;
  const moire__ahead_declared *d = moire__ahead_find_declared(&w->declared, name, length);
  if (!d || !*d->comment) {
    if (!w->status)
      w->status =
          moire_fail(w->error, MOIRE_ERROR_INTERNAL, "the header says nothing about %.*s", (int)length, name);
    return;
  }
  moire__text_add(&whole, "%.*s", (int)(mark - line), line);
  add_sentences(w, d->comment, &whole);
  moire__text_add(&whole, "%.*s", (int)(line + n - close) - 2, close + 1);
  add_wrapped(whole.data, strspn(line, " "), w->out);
  moire__text_free(&whole);
}

static const char *find_mark(const char *line, size_t n) {
  for (const char *at = line; (at = memchr(at, '{', (size_t)(line + n - at))); at++) {
    if ((size_t)(line + n - at) > strlen("{doc ") && !memcmp(at, "{doc ", strlen("{doc "))) return at;
  }
  return NULL;
}

/* Sections that were left out leave no more than two empty lines. */
static bool ends_in_two(const moire__text *out) {
  return out->length > 2 && !memcmp(out->data + out->length - 3, "\n\n\n", 3);
}

static void take_line(void *context, const char *line, size_t n) {
  writer *w = context;
  const char *mark = find_mark(line, n);
  if (mark)
    add_documented(w, line, n, mark);
  else if (n > 1 || !ends_in_two(w->out))
    moire__text_add_bytes(w->out, line, n);
}

static void take_fields(void *context, const char *name, size_t n) {
  const writer *w = context;
  w->a->interface->write_python(w->a, name, n, w->out);
}

static void add_part(writer *w, const char *name) {
  moire__text path = {0};
  moire__text_add(&path, "runtime/aot/python/%s.py", name);
  const moire__ahead_source *part = moire__ahead_find_source(path.data);
  const moire__ahead_sections how = {.opens = "# { ",
                                     .closes = "# } ",
                                     .behind = 1,
                                     .context = w,
                                     .take_line = take_line,
                                     .take_fields = take_fields};
  if (!part && !w->status)
    w->status =
        moire_fail(w->error, MOIRE_ERROR_UNSUPPORTED,
                   "%s: a library with the interface \"%s\" has no Python module", w->a->model->name, name);
  if (part) moire__ahead_walk_sections(w->a, &how, part->text, part->end);
  if (part) moire__text_add(w->out, "\n\n");
  moire__text_free(&path);
}

static void add_head(const writer *w) {
  const moire__ahead *a = w->a;
  moire__text line = {0};
  moire__text_add(
      w->out,
      "\"\"\"%s: the model %s as a library, written by Moire %s. Changes to this file would be lost.\n\n",
      a->options->name, a->model->name, MOIRE_VERSION);
  moire__text_add(&line, "Code for: ");
  moire__ahead_add_levels(a, &line);
  moire__text_add(
      &line,
      ". This module calls %s.so, which lies in its folder or beside it, and needs nothing but Python 3.8. "
      "Where there is numpy, results are its arrays, otherwise lists.",
      a->options->name);
  add_wrapped(line.data, 0, w->out);
  moire__text_add(w->out, "\"\"\"\n\n%s", imports);
  moire__text_free(&line);
}

moire_status moire__ahead_write_python(moire__ahead *a, moire__text *out, moire_error *error) {
  writer w = {.a = a, .out = out, .error = error};
  moire__text header = {0};
  moire__ahead_write_header(a, &header);
  w.declared = moire__ahead_read_declarations(a, &header);
  add_head(&w);
  add_declarations(&w);
  add_part(&w, "module");
  if (a->model->training) add_part(&w, "training");
  add_part(&w, a->interface->name);
  while (out->length > 1 && out->data[out->length - 2] == '\n') out->data[--out->length] = 0;
  moire__text_free(&header);
  return w.status;
}
