/* The graph around the items. See items.h. */
#include "tasks/ratings/items.h"

#include "runtime/base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH = MOIRE__RATINGS_PATH };

/* ---- graph/R.nodes.tsv and graph/R.edges.tsv ------------------------------------------------------------- */

static moire_status count_nodes(const char *path, int64_t *n, moire_error *error) {
  moire__sheet s = {0};
  int column = 0;
  bool more = true;
  moire_status status = moire__sheet_open(&s, path, error);
  if (!status) status = moire__sheet_column(&s, "node", &column, error);
  for (*n = 0; !status; ++*n) {
    int64_t node = 0;
    status = moire__sheet_next(&s, &more, error);
    if (status || !more) break;
    status = moire__sheet_int(&s, column, *n, *n, &node, error); /* numbered in order */
  }
  moire__sheet_close(&s);
  return status;
}

static moire_status read_edges(const char *path, moire__ratings_items *items, int r, moire_error *error) {
  moire__sheet s = {0};
  moire__edge_list list = {0};
  int id = 0, column = 0;
  bool more = true;
  moire_status status = moire__sheet_open(&s, path, error);
  if (!status) status = moire__sheet_column(&s, "movie_id", &id, error);
  if (!status) status = moire__sheet_column(&s, "node", &column, error);
  while (!status) {
    int64_t item = 0, node = 0;
    status = moire__sheet_next(&s, &more, error);
    if (status || !more) break;
    status = moire__ratings_find_item(&s, id, items, &item, error);
    if (!status) status = moire__sheet_int(&s, column, 0, items->node_counts[r] - 1, &node, error);
    if (!status) moire__edge_list_add(&list, item, node);
  }
  moire__sheet_close(&s);
  moire__edge_list_finish(&list, items, r);
  return status;
}

/* ---- where a relation is --------------------------------------------------------------------------------- */

/* What is left after the numbered files: relations of a .kg file. */
static moire_status read_triples(const char *folder, const char *kg_path, const bool *wanted,
                                 moire__ratings_items *items, bool *found, moire_error *error) {
  char link_path[PATH];
  moire__sheet kg = {0}, link = {0};
  moire_status status = moire__recbole_find(folder, ".link", link_path, error);
  if (!status) status = moire__sheet_open(&kg, kg_path, error);
  if (!status && *link_path) status = moire__sheet_open(&link, link_path, error);
  if (!status) status = moire__recbole_triples(&kg, *link_path ? &link : NULL, wanted, items, found, error);
  moire__sheet_close(&kg);
  moire__sheet_close(&link);
  return status;
}

static moire_status read_column(const char *item_path, int r, moire__ratings_items *items, moire_error *error) {
  moire__sheet s = {0};
  moire_status status = moire__sheet_open(&s, item_path, error);
  if (!status) status = moire__recbole_column(&s, r, items, error);
  moire__sheet_close(&s);
  return status;
}

static moire_status read_numbered(const char *folder, int r, moire__ratings_items *items, moire_error *error) {
  char path[PATH];
  snprintf(path, sizeof path, "%s/graph/%s.nodes.tsv", folder, items->relations[r]);
  moire_status status = count_nodes(path, &items->node_counts[r], error);
  snprintf(path, sizeof path, "%s/graph/%s.edges.tsv", folder, items->relations[r]);
  return status ? status : read_edges(path, items, r, error);
}

moire_status moire__ratings_read_graph(const char *folder, const moire__ratings_options *o,
                                       moire__ratings_items *items, moire_error *error) {
  char path[PATH], kg[PATH], item[PATH];
  bool wanted[MOIRE__RATINGS_RELATIONS] = {false}, found[MOIRE__RATINGS_RELATIONS] = {false};
  if (o->n_relations > MOIRE__RATINGS_RELATIONS)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "relations: wanted at most %d", MOIRE__RATINGS_RELATIONS);
  items->n_relations = o->n_relations;
  moire_status status = moire__recbole_find(folder, ".kg", kg, error);
  if (!status) status = moire__recbole_find(folder, ".item", item, error);
  for (int r = 0; r < o->n_relations && !status; r++) {
    items->relations[r] = o->relations[r];
    snprintf(path, sizeof path, "%s/graph/%s.nodes.tsv", folder, o->relations[r]);
    wanted[r] = access(path, F_OK) && (*kg || *item);
    if (!wanted[r]) status = read_numbered(folder, r, items, error);
  }
  bool some = false;
  for (int r = 0; r < o->n_relations; r++) some = some || wanted[r];
  if (!status && some && *kg) status = read_triples(folder, kg, wanted, items, found, error);
  for (int r = 0; r < o->n_relations && !status; r++)
    if (wanted[r] && !found[r])
      status = *item ? read_column(item, r, items, error)
                     : moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has no relation '%s'", kg, o->relations[r]);
  return status;
}
