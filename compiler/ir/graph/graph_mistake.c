/* The first mistake of a graph, which is kept: see graph_build.c. */
#include "compiler/ir/graph/graph.h"

#include <stdio.h>

moire_status moire_graph_status(const moire_graph *g, moire_error *error) {
  MOIRE__NEED_GRAPH(g);
  if (g->error.status == MOIRE_OK) return MOIRE_OK;
  return moire_fail(error, g->error.status, "%s", g->error.message);
}

void moire_graph_fail(moire_graph *g, moire_status status, const char *format, ...) {
  MOIRE__NEED_GRAPH(g);
  va_list args;
  va_start(args, format);
  moire__graph_fail_at_v(g, (moire_source){NULL, 0}, NULL, status, format, args);
  va_end(args);
}

void moire__graph_fail_at(moire_graph *g, moire_source at, const char *what, moire_status status,
                          const char *format, ...) {
  va_list args;
  va_start(args, format);
  moire__graph_fail_at_v(g, at, what, status, format, args);
  va_end(args);
}

void moire__graph_fail_at_v(moire_graph *g, moire_source at, const char *what, moire_status status,
                            const char *format, va_list args) {
  if (g->error.status != MOIRE_OK) return;
  char sentence[sizeof g->error.message];
  vsnprintf(sentence, sizeof sentence, format, args);
  if (status == MOIRE_OK) status = MOIRE_ERROR_INTERNAL;
  if (g->pinned) at = g->pin.source;
  const char *colon = what ? ": " : "";
  if (!what) what = "";
  if (at.file && at.file[0]) {
    moire_fail(&g->error, status, "%s%s%s (%s:%d)", what, colon, sentence, at.file, at.line);
  } else {
    moire_fail(&g->error, status, "%s%s%s", what, colon, sentence);
  }
}
