/* A table of items and the file that it is. */
#ifndef MOIRE_RUNTIME_ITEMS_ITEMS_H
#define MOIRE_RUNTIME_ITEMS_ITEMS_H

#include "moire/items.h"
#include "runtime/files/mapping.h"
#include "runtime/items/table.h"

struct moire_items {
  char *path;
  moire__mapping file;
  moire__items_table table;
};

#endif
