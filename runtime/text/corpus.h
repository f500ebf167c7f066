/* Files of texts, text by text. */
#ifndef MOIRE_RUNTIME_TEXT_CORPUS_H
#define MOIRE_RUNTIME_TEXT_CORPUS_H

#include "moire/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum moire__corpus_kind {
  MOIRE__CORPUS_TEXT,     /* the whole file is one text */
  MOIRE__CORPUS_LINES,    /* one text a line; empty ones are none */
  MOIRE__CORPUS_WIKITEXT, /* one text a line, stripped of spaces; headings, "= Title =", are none */
  MOIRE__CORPUS_ALPACA,   /* JSON: a list of records {instruction, input, output}, each a text with headings */
} moire__corpus_kind;

/* The kind of a name, "text", "lines", "wikitext" or "alpaca"; false if it is none. */
bool moire__corpus_kind_find(const char *name, size_t n, moire__corpus_kind *kind);
/* Whether a long text of this kind is cut off rather than divided. */
bool moire__corpus_is_cut(moire__corpus_kind kind);

typedef moire_status moire__corpus_take(void *context, const char *text, size_t n, moire_error *error);
/* Calls `take` for each text in order, up to its first failure. */
moire_status moire__corpus_read(const char *path, moire__corpus_kind kind, moire__corpus_take *take,
                                void *context, moire_error *error);

#endif
