/* Tables that are stepped by rows, and where they lie: the training's key `table`. */
#ifndef MOIRE_RUNTIME_TRAIN_TRAINER_TABLES_H
#define MOIRE_RUNTIME_TRAIN_TRAINER_TABLES_H

#include "moire/run.h"
#include "runtime/config/config.h"

/* The folder in which tables lie, a run in `directory` being trained; NULL: in memory. */
const char *moire__trainer_tables_folder(const moire_config *training, const char *directory);
/* Is the state such a table, or one of its moments? */
bool moire__trainer_is_table(const moire_plan *plan, const char *state);

/* Has the store keep tables of the plan where they shall lie, before they are declared. A plan without any is
 * an error, if that is not memory. */
moire_status moire__trainer_place_tables(moire_store *store, const moire_plan *plan,
                                         const moire_config *training, const char *directory,
                                         moire_error *error);

#endif
