/* Tables of which a step reads and changes some rows: which parameters are such, and the nodes that step them.
 */
#ifndef MOIRE_COMPILER_PASS_OPTIMIZE_ROWS_H
#define MOIRE_COMPILER_PASS_OPTIMIZE_ROWS_H

#include "compiler/pass/walk.h"

enum { MOIRE__MOST_LISTS = 16 }; /* of rows, that one table is looked up by */

/* A parameter that is looked up, in the graph that `optimize` reads. */
typedef struct moire__row_table {
  const moire__state_info *info;
  const char *whole; /* why all of its rows are read or have a gradient; NULL: they are not */
  int n_reads;
  int32_t reads[MOIRE__MOST_LISTS]; /* lists of the rows that are looked up, each once */
  int n;                            /* look-ups with a gradient: */
  int32_t rows[MOIRE__MOST_LISTS], values[MOIRE__MOST_LISTS];
  int64_t padding[MOIRE__MOST_LISTS];
} moire__row_table;

/* By state: NULL where it is not trained or nothing looks it up. In `arena`. */
moire__row_table **moire__row_tables_find(const moire_graph *g, const moire_training_options *training,
                                          moire__arena *arena);

/* For every node: whether the lists of the tables are made of it. An array in `arena`. */
bool *moire__row_tables_need(const moire_graph *g, moire__row_table *const *tables, moire__arena *arena);

/* A table with what belongs to it, as values of the graph that is being built. */
typedef struct moire__row_state {
  moire_value p, m, v, since;
} moire__row_state;

typedef struct moire__row_numbers {
  double b1, b2, eps;
  double weight_decay; /* that is added to gradients */
  bool decays;         /* weights by themselves */
  int group;
} moire__row_numbers;

/* The state after the steps that have been missed, of the n lists of rows, or of all (0). */
moire__row_state moire__row_catch_up(moire_graph *to, const moire__row_state *s,
                                     const moire__row_numbers *numbers, moire_value history, moire_value step,
                                     const moire_value *lists, int n);
/* since, but for rows of the lists; and sums of a table's gradients, one for each list. */
moire_value moire__row_claim(moire_graph *to, const moire__row_table *t, moire_value since,
                             const moire_value *lists);
moire_value moire__row_sum(moire_graph *to, const moire__row_table *t, moire_value claimed,
                           const moire_value *lists, const moire_value *values, int of);
/* The state after a step; s->since is what was claimed. Scalars: s, c and d of adam. */
moire__row_state moire__row_step(moire_graph *to, const moire__row_table *t, const moire__row_state *s,
                                 const moire__row_numbers *numbers, moire_value step,
                                 const moire_value scalars[3], const moire_value *lists,
                                 const moire_value *gradients);

#endif
