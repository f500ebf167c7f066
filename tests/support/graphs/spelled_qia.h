/* QIA as PyTorch spells it, with the weights' names of models/qia.c: complex numbers as two planes, filters
 * over channels first that are added up band by band, ids of 64 bits, masks of comparisons, positions that are
 * looked up. Inputs input_ids i64[B, L], answers i32[B]; output "loss". */
#ifndef MOIRE_TESTS_SUPPORT_GRAPHS_SPELLED_QIA_H
#define MOIRE_TESTS_SUPPORT_GRAPHS_SPELLED_QIA_H

#include "moire/graph.h"

typedef enum spelled_items {
  SPELLED_MORE_THAN_ZERO,
  SPELLED_FROM_ONE_ON,
  SPELLED_OTHER_THAN_ZERO
} spelled_items;

enum { SPELLED_MOST_BANDS = 4 };

typedef struct spelled_qia {
  int items, length, width, heads, inner, layers, n_bands; /* heads divides width */
  int64_t taps[SPELLED_MOST_BANDS], dilations[SPELLED_MOST_BANDS];
  double dropout;
  spelled_items items_are;
  bool mask_of_bools;
} spelled_qia;

moire_graph *spelled_qia_build(const spelled_qia *shape);

#endif
