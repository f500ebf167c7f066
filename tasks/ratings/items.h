/* Reading what items are: what the readers share. See data.h. */
#ifndef MOIRE_TASKS_RATINGS_ITEMS_H
#define MOIRE_TASKS_RATINGS_ITEMS_H

#include "tasks/ratings/data.h"
#include "tasks/ratings/sheet.h"

enum { MOIRE__RATINGS_PATH = 4096 };

/* The item that a field names, or a failure at the sheet's line. */
moire_status moire__ratings_find_item(const moire__sheet *sheet, int column, const moire__ratings_items *items,
                                      int64_t *item, moire_error *error);

/* Edges of one relation, while they are read. Zero-initialise; finish frees. */
typedef struct moire__edge_list {
  int32_t *pairs; /* [n, 2]: item, node */
  int64_t n, capacity;
} moire__edge_list;
void moire__edge_list_add(moire__edge_list *list, int64_t item, int64_t node);
/* Makes them those of the relation. */
void moire__edge_list_finish(moire__edge_list *list, moire__ratings_items *items, int relation);

/* The relations of the options, from whichever file has each: graph/R.*.tsv, NAME.kg, or a column of NAME.item.
 */
moire_status moire__ratings_read_graph(const char *folder, const moire__ratings_options *options,
                                       moire__ratings_items *items, moire_error *error);

/* ---- RecBole's files ------------------------------------------------------------------------------------- */

/* The file NAME + suffix of a folder NAME, or the only one that ends in suffix, compressed (".gz") or not.
 * path[MOIRE__RATINGS_PATH]; *path is 0 where there is none. Several are a failure that names two. */
moire_status moire__recbole_find(const char *folder, const char *suffix, char *path, moire_error *error);

/* The number of a name; where a trained model says which there are (`known`), -1 for others. */
int64_t moire__recbole_number(moire__id_names *names, bool known, moire__field name);
/* The items of a .item file, in its order. `sheet` is at its first row here and below. */
moire_status moire__recbole_catalogue(moire__sheet *item, moire__ratings_items *items, moire_error *error);
/* Its columns of one token that are none of the relations become features: bucket 0 is nothing, or a value that
 * the trained model does not know. */
moire_status moire__recbole_features(moire__sheet *item, const moire__ratings_options *options,
                                     moire__ratings_items *items, moire_error *error);
/* The column `relation` of a .item file: its words, or its one token, are nodes. */
moire_status moire__recbole_column(moire__sheet *item, int relation, moire__ratings_items *items,
                                   moire_error *error);
/* Triples whose relation is `wanted`: what stands at the other side of an item, as head or as tail, is a node.
 * Heads and tails are entities, which `link` joins to items, or items' own ids where it is NULL. Says in
 * found[r] which relations there are at all, and on stderr how many triples touch no item. */
moire_status moire__recbole_triples(moire__sheet *kg, moire__sheet *link, const bool *wanted,
                                    moire__ratings_items *items, bool *found, moire_error *error);

/* What nodes and features' values are called, for a checkpoint: owned (moire__release); NULL where they are
 * numbers. And back: they are then those that there are. */
char *moire__recbole_names(const moire__ratings_items *items);
moire_status moire__recbole_take_names(const char *names, const moire__ratings_options *options,
                                       moire__ratings_items *items, moire_error *error);

#endif
