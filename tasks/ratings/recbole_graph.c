/* RecBole's files as a graph: a column of a .item file, and the triples of a .kg file. See items.h. */
#include "tasks/ratings/items.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/train/log.h"

#include <inttypes.h>
#include <string.h>

/* ---- nodes ----------------------------------------------------------------------------------------------- */

static moire_status find_node(const moire__sheet *s, moire__ratings_items *items, int r, moire__field name,
                              int64_t *node, moire_error *error) {
  moire__printable_buffer shown;
  *node = moire__recbole_number(&items->nodes[r], items->known, name);
  if (*node >= 0) return MOIRE_OK;
  return moire__sheet_fail(s, error, "'%s' is none of the %" PRId64 " nodes of %s that the model knows",
                           moire__printable(name.text, name.n, shown), items->nodes[r].n, items->relations[r]);
}

moire_status moire__recbole_column(moire__sheet *s, int r, moire__ratings_items *items, moire_error *error) {
  int id = 0, column = 0;
  bool more = true;
  moire__edge_list list = {0};
  moire_status status = moire__sheet_column(s, "item_id", &id, error);
  if (!status) status = moire__sheet_column(s, items->relations[r], &column, error);
  bool whole = !status && moire__sheet_has_type(s, column, "token");
  while (!status) {
    int64_t item = 0, node = 0;
    status = moire__sheet_next(s, &more, error);
    if (status || !more) break;
    status = moire__ratings_find_item(s, id, items, &item, error);
    moire__field rest = s->fields[column], word = rest;
    bool some = whole ? rest.n > 0 : moire__sheet_word(&rest, &word);
    while (!status && some) {
      status = find_node(s, items, r, word, &node, error);
      if (!status) moire__edge_list_add(&list, item, node);
      some = !whole && moire__sheet_word(&rest, &word);
    }
  }
  items->node_counts[r] = items->nodes[r].n;
  moire__edge_list_finish(&list, items, r);
  return status;
}

/* ---- .kg and .link --------------------------------------------------------------------------------------- */

/* Which items an entity is: a list for each, by the number of the entity. */
typedef struct links {
  const moire__ratings_items *items; /* entities are their own ids where `linked` is false */
  bool linked;
  moire__id_names entities;
  moire__edge_list rows; /* item, and the row before of the same entity or -1 */
  int32_t *last;         /* [entities.n]: of each its last row */
} links;

static moire_status read_links(moire__sheet *s, links *l, moire_error *error) {
  int id = 0, entity = 0;
  bool more = true;
  int64_t capacity = 0, unknown = 0;
  moire_status status = moire__sheet_column(s, "item_id", &id, error);
  if (!status) status = moire__sheet_column(s, "entity_id", &entity, error);
  while (!status) {
    status = moire__sheet_next(s, &more, error);
    if (status || !more) break;
    moire__field f = s->fields[id], e = s->fields[entity];
    int64_t item = moire__id_names_find(&l->items->ids, f.text, f.n);
    unknown += item < 0;
    if (item < 0) continue;
    int64_t before = l->entities.n, at = moire__id_names_add(&l->entities, e.text, e.n);
    if (l->entities.n > capacity) {
      capacity = 2 * l->entities.n;
      l->last = moire__resize(l->last, (size_t)capacity * sizeof *l->last);
    }
    if (l->entities.n > before) l->last[at] = -1;
    moire__edge_list_add(&l->rows, item, l->last[at]);
    l->last[at] = (int32_t)(l->rows.n - 1);
  }
  if (!status && unknown)
    moire__log("data", NULL, "%s: %" PRId64 " links of items that are not there are left out", s->path,
               unknown);
  return status;
}

/* Joins each item that `name` is to the node. */
static moire_status join(const moire__sheet *s, const links *l, moire__field name, moire__field other, int r,
                         moire__ratings_items *items, moire__edge_list *list, bool *touched,
                         moire_error *error) {
  int64_t row = -1, item = -1, node = 0;
  if (l->linked) {
    int64_t entity = moire__id_names_find(&l->entities, name.text, name.n);
    row = entity < 0 ? -1 : l->last[entity];
  } else {
    item = moire__id_names_find(&items->ids, name.text, name.n);
  }
  if (row < 0 && item < 0) return MOIRE_OK;
  *touched = true;
  moire_status status = find_node(s, items, r, other, &node, error);
  if (!status && item >= 0) moire__edge_list_add(list, item, node);
  for (; !status && row >= 0; row = l->rows.pairs[2 * row + 1])
    moire__edge_list_add(list, l->rows.pairs[2 * row], node);
  return status;
}

/* Which of the relations it is; -1: none that is wanted. */
static int relation_of(const moire__ratings_items *items, const bool *wanted, moire__field name) {
  for (int r = 0; r < items->n_relations; r++)
    if (wanted[r] && name.n == strlen(items->relations[r]) && !memcmp(name.text, items->relations[r], name.n))
      return r;
  return -1;
}

static moire_status read_triples(moire__sheet *s, const links *l, const bool *wanted,
                                 moire__ratings_items *items, moire__edge_list *lists, bool *found,
                                 moire_error *error) {
  int head = 0, relation = 0, tail = 0;
  bool more = true;
  int64_t n = 0, apart = 0;
  moire_status status = moire__sheet_column(s, "head_id", &head, error);
  if (!status) status = moire__sheet_column(s, "relation_id", &relation, error);
  if (!status) status = moire__sheet_column(s, "tail_id", &tail, error);
  while (!status) {
    status = moire__sheet_next(s, &more, error);
    if (status || !more) break;
    const moire__field *f = s->fields;
    bool touched = false;
    int r = relation_of(items, wanted, f[relation]);
    if (!f[head].n || !f[tail].n) status = moire__sheet_fail(s, error, "has no head or no tail");
    if (r < 0 || status) continue;
    found[r] = true;
    status = join(s, l, f[head], f[tail], r, items, &lists[r], &touched, error);
    if (!status) status = join(s, l, f[tail], f[head], r, items, &lists[r], &touched, error);
    n++;
    apart += !touched;
  }
  if (!status && apart)
    moire__log("data", NULL, "%s: %" PRId64 " of %" PRId64 " triples touch no item and are left out", s->path,
               apart, n);
  return status;
}

moire_status moire__recbole_triples(moire__sheet *kg, moire__sheet *link, const bool *wanted,
                                    moire__ratings_items *items, bool *found, moire_error *error) {
  moire__edge_list lists[MOIRE__RATINGS_RELATIONS] = {{0}};
  links l = {.items = items, .linked = link != NULL};
  moire_status status = link ? read_links(link, &l, error) : MOIRE_OK;
  if (!status) status = read_triples(kg, &l, wanted, items, lists, found, error);
  for (int r = 0; r < items->n_relations; r++) {
    if (!wanted[r]) continue;
    items->node_counts[r] = items->nodes[r].n;
    moire__edge_list_finish(&lists[r], items, r);
  }
  moire__id_names_free(&l.entities);
  moire__release(l.rows.pairs);
  moire__release(l.last);
  return status;
}
