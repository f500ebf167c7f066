/* Groups of fusion and what they wait for.
 *
 * Groups stand in a line in which each comes after all that it depends on; a new one comes last. So a group can
 * only depend on one that stands before it, and whether it does is a search from it back to that one. Where a
 * group is given a dependence on one that stands behind it, what that search met moves before the group. A
 * search ends after MOST_MET groups, and what was not found by then counts as found: fusion takes time in
 * proportion to the graph, and forgoes a merge that would have taken longer to prove.
 *
 * The line is a list with ascending labels (P. Dietz and D. Sleator, Two algorithms for maintaining order in a
 * list, 1987): a label between two neighbours is a new one's; where none is left, as many neighbours as it
 * takes are labelled anew.
 */
#include "compiler/pass/fuse/fuse_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_MET = 4096, STEP = 1 << 30 };

int moire__fuse_find(moire__fuse *f, int group) {
  if (group < 0) return group;
  while (f->groups[group].merged_into >= 0) {
    int next = f->groups[group].merged_into, over = f->groups[next].merged_into;
    if (over >= 0) f->groups[group].merged_into = over;
    group = next;
  }
  return group;
}

/* ---- the line ---- */

static bool stands_before(const moire__fuse *f, int a, int b) {
  return f->groups[a].label < f->groups[b].label;
}

static void leave_line(moire__fuse *f, int group) {
  moire__fuse_group *g = &f->groups[group];
  f->groups[g->before].after = g->after;
  f->groups[g->after].before = g->before;
}

/* Spreads the labels of those behind `group`, until there is room for one more beside each. */
static void make_room(moire__fuse *f, int group) {
  uint64_t start = f->groups[group].label, n = 1, span = 0;
  int end = f->groups[group].after;
  for (;; n++, end = f->groups[end].after) {
    span = end == f->line ? n * STEP : f->groups[end].label - start;
    if (span > n * n && span >= 2 * n) break;
  }
  int g = f->groups[group].after;
  for (uint64_t i = 1; i < n; i++, g = f->groups[g].after) f->groups[g].label = start + span / n * i;
}

static void enter_line_after(moire__fuse *f, int group, int before) {
  if (f->groups[before].after != f->line &&
      f->groups[f->groups[before].after].label - f->groups[before].label < 2)
    make_room(f, before);
  int after = f->groups[before].after;
  uint64_t low = f->groups[before].label;
  f->groups[group].label = after == f->line ? low + STEP : low + (f->groups[after].label - low) / 2;
  f->groups[group].before = before;
  f->groups[group].after = after;
  f->groups[before].after = f->groups[after].before = group;
}

void moire__fuse_begin_line(moire__fuse *f, int end) {
  f->line = end;
  f->groups[end] = (moire__fuse_group){.before = end, .after = end};
}

/* ---- groups ---- */

int moire__fuse_new_group(moire__fuse *f, bool open, const moire_shape *domain) {
  int group = f->n_groups++;
  f->groups[group] =
      (moire__fuse_group){.open = open, .domain = *domain, .merged_into = -1, .first = -1, .last = -1};
  enter_line_after(f, group, f->groups[f->line].before);
  return group;
}

void moire__fuse_add_node(moire__fuse *f, int group, int node) {
  moire__fuse_group *g = &f->groups[group];
  f->group[node] = group;
  f->next[node] = -1;
  if (g->last >= 0) {
    f->next[g->last] = node;
  } else {
    g->first = node;
  }
  g->last = node;
}

/* ---- dependences ---- */

/* Each once, and by the groups that they have become. */
static void tidy(moire__fuse *f, moire__fuse_group *g) {
  int n = 0, stamp = ++f->stamp;
  for (int i = 0; i < g->n_on; i++) {
    int on = moire__fuse_find(f, g->on[i]);
    if (f->stamps[on] == stamp || &f->groups[on] == g) continue;
    f->stamps[on] = stamp;
    g->on[n++] = on;
  }
  g->n_on = n;
}

static void add(moire__fuse *f, moire__fuse_group *g, int on) {
  if (g->n_on && g->on[g->n_on - 1] == on) return;
  if (g->n_on == g->room) tidy(f, g);
  if (2 * g->n_on >= g->room) {
    int room = g->room ? 2 * g->room : 4;
    int *larger = moire__arena_array(&f->arena, (size_t)room, sizeof *larger);
    if (g->n_on) memcpy(larger, g->on, (size_t)g->n_on * sizeof *larger);
    g->on = larger;
    g->room = room;
  }
  g->on[g->n_on++] = on;
}

/* A search for `wanted` that met `n` groups, each of which depends on others that are still to be met. */
typedef struct search {
  int wanted, stamp, n, n_open, most;
} search;

static search begin(moire__fuse *f, int wanted, int most) { return (search){wanted, ++f->stamp, 0, 0, most}; }

/* Is it the one that is wanted, or was too much met? If not, and it may depend on that, it is put aside. */
static bool meet(moire__fuse *f, search *s, int group) {
  if (group == s->wanted) return true;
  if (stands_before(f, group, s->wanted) || f->stamps[group] == s->stamp) return false;
  if (s->n == s->most) return true;
  f->stamps[group] = s->stamp;
  f->met[s->n++].group = group;
  f->open[s->n_open++] = group;
  return false;
}

static bool go_on(moire__fuse *f, search *s) {
  while (s->n_open > 0) {
    const moire__fuse_group *g = &f->groups[f->open[--s->n_open]];
    for (int i = g->n_on - 1; i >= 0; i--) {
      if (meet(f, s, moire__fuse_find(f, g->on[i]))) return true;
    }
  }
  return false;
}

bool moire__fuse_depends(moire__fuse *f, int group, int on) {
  search s = begin(f, on, MOST_MET);
  return meet(f, &s, group) || go_on(f, &s);
}

/* From what the group depends on, but for `on` itself. */
static bool search_around(moire__fuse *f, search *s, int group, bool *directly) {
  const moire__fuse_group *g = &f->groups[group];
  *directly = false;
  if (stands_before(f, group, s->wanted)) return false;
  for (int i = 0; i < g->n_on; i++) {
    int next = moire__fuse_find(f, g->on[i]);
    if (next == s->wanted) {
      *directly = true;
    } else if (meet(f, s, next)) {
      return true;
    }
  }
  return go_on(f, s);
}

bool moire__fuse_depends_around(moire__fuse *f, int group, int on, bool *directly) {
  search s = begin(f, on, MOST_MET);
  return search_around(f, &s, group, directly);
}

static int earlier_first(const void *a, const void *b) {
  uint64_t x = ((const moire__fuse_met *)a)->label, y = ((const moire__fuse_met *)b)->label;
  return (x > y) - (x < y);
}

/* Moves what a search met, none of which depends on `group`, before it, in the order in which it stands. */
static void move_before(moire__fuse *f, int group, const search *s) {
  for (int i = 0; i < s->n; i++) f->met[i].label = f->groups[f->met[i].group].label;
  if (s->n > 1) qsort(f->met, (size_t)s->n, sizeof *f->met, earlier_first);
  for (int i = 0; i < s->n; i++) {
    leave_line(f, f->met[i].group);
    enter_line_after(f, f->met[i].group, f->groups[group].before);
  }
}

void moire__fuse_depend(moire__fuse *f, int group, int on) {
  if (group == on) return;
  if (stands_before(f, group, on)) {
    search s = begin(f, group, f->n_groups);
    bool found = meet(f, &s, on) || go_on(f, &s);
    assert(!found);
    move_before(f, group, &s);
  }
  add(f, &f->groups[group], on);
}

void moire__fuse_merge(moire__fuse *f, int into, int from) {
  moire__fuse_group *a = &f->groups[into], *b = &f->groups[from];
  int early = stands_before(f, into, from) ? into : from, late = early == into ? from : into;
  search s = begin(f, early, f->n_groups);
  bool directly, found = search_around(f, &s, late, &directly);
  assert(!found);
  move_before(f, early, &s);
  if (early == from) { /* what depends on it stands behind it */
    leave_line(f, into);
    enter_line_after(f, into, from);
  }
  leave_line(f, from);
  b->merged_into = into;
  a->n_nodes += b->n_nodes;
  a->reduces = a->reduces || b->reduces;
  for (int i = 0; i < b->n_on; i++) add(f, a, b->on[i]);
  tidy(f, a);
  if (b->first < 0) return;
  if (a->last >= 0) {
    f->next[a->last] = b->first;
  } else {
    a->first = b->first;
  }
  a->last = b->last;
}
/* ---- numbering ---- */

/* As if groups were gone through again and again in the order in which they were made, and each numbered as
 * soon as all that it depends on is: what counts is in which round that is. */
void moire__fuse_number(moire__fuse *f, int *number) {
  int *round = moire__arena_array(&f->arena, (size_t)f->n_groups + 1, sizeof *round);
  int *start = moire__arena_array(&f->arena, (size_t)f->n_groups + 2, sizeof *start);
  for (int h = f->groups[f->line].after; h != f->line; h = f->groups[h].after) {
    for (int i = 0; i < f->groups[h].n_on; i++) {
      int on = moire__fuse_find(f, f->groups[h].on[i]), least = round[on] + (on > h);
      if (on != h && least > round[h]) round[h] = least;
    }
    start[round[h] + 1]++;
  }
  for (int r = 0; r < f->n_groups; r++) start[r + 1] += start[r];
  for (int h = 0; h < f->n_groups; h++) {
    if (f->groups[h].merged_into < 0) number[h] = start[round[h]]++;
  }
}
