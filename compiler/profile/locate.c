/* A step of a plan as places of the model's source. */
#include "compiler/profile/describe.h"

#include "compiler/ir/graph/graph.h"

#include <string.h>

enum { MOST = 4 }; /* places that are named */

typedef struct places {
  moire_source at[MOST];
  int n;
  bool more;
} places;

static void add(places *p, moire_source at) {
  if (!at.file) return;
  for (int i = 0; i < p->n; i++) {
    if (p->at[i].line == at.line && !strcmp(p->at[i].file, at.file)) return;
  }
  if (p->n == MOST)
    p->more = true;
  else
    p->at[p->n++] = at;
}

void moire__profile_locate(const moire__module *m, int step, moire__text *out) {
  places p = {.n = 0};
  const moire__node *last = NULL;
  for (int i = 0; i < m->graph->n_nodes; i++) {
    const moire__node *node = &m->graph->nodes[i];
    if (node->kernel != m->steps[step].group) continue;
    last = node;
    add(&p, node->source);
  }
  if (!last) return;
  moire__text_add(out, " (");
  for (int i = 0; i < p.n; i++) {
    bool same = i && !strcmp(p.at[i].file, p.at[i - 1].file);
    if (same)
      moire__text_add(out, ", %d", p.at[i].line);
    else
      moire__text_add(out, "%s%s:%d", i ? ", " : "", moire__profile_file(p.at[i].file), p.at[i].line);
  }
  moire__text_add(out, "%s%s%s)", p.more ? ", …" : "", p.n ? "; " : "", moire__profile_phase(last->phase));
}
