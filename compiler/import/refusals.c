/* What cannot be imported. See refusals.h. */
#include "compiler/import/refusals.h"

#include "compiler/ir/graph/graph.h"
#include "runtime/files/file.h"

#include <string.h>

void moire__refusals_add(moire__refusals *r, const char *op, moire_source at, const char *why,
                         const char *hint) {
  moire__printable_buffer shown;
  char *line = moire__arena_printf(r->arena, "%s (%s:%d): %s%s%s", moire__printable(op, strlen(op), shown),
                                   at.file, at.line, why, *hint ? "; " : "", hint);
  if (r->last && !strcmp(r->last, line)) return;
  r->last = line;
  if (r->lines) moire__text_add(r->lines, "%s\n", line);
  if (!r->n++) r->first = line;
}

void moire__refusals_finish(moire__refusals *r, moire_graph *g) {
  moire_error mistake = {0};
  if (r->n) moire_graph_fail(g, MOIRE_ERROR_UNSUPPORTED, "%s", r->first);
  if (!r->n && r->lines && moire_graph_status(g, &mistake)) moire__text_add(r->lines, "%s\n", mistake.message);
}

void moire__check_arguments(moire__call *c) {
  for (int i = 0; i < c->n_arguments && !c->why; i++) {
    const moire__named_argument *a = &c->arguments[i];
    bool passed =
        a->seen || a->argument.kind == MOIRE__ARGUMENT_NOTHING || a->argument.kind == MOIRE__ARGUMENT_PLACE;
    if (!passed) moire__refuse(c, "the argument %s is not understood", a->name);
  }
}

void moire__take_mistake(moire__call *c) {
  moire_error mistake = {0};
  if (!moire_graph_status(c->graph, &mistake)) return;
  moire__refuse(c, "%s", mistake.message);
  c->graph->error = (moire_error){0};
}
