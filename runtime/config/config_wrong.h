/* What a wrong configuration is told. */
#ifndef MOIRE_RUNTIME_CONFIG_CONFIG_WRONG_H
#define MOIRE_RUNTIME_CONFIG_CONFIG_WRONG_H

#include "runtime/config/config.h"

/* "FILE:LINE: KEY: ", of where the entry came from. */
void moire__config_add_place(moire__text *text, const moire__config_entry *entry);

/* What the field takes: "a whole number from 1 to 8". */
void moire__config_add_wanted(moire__text *text, const moire_config_field *field);

/* MOIRE_ERROR_ARGUMENT: what was wanted and what came. */
moire_status moire__config_wrong_value(const moire__config_entry *entry, const moire_config_field *field,
                                       moire_error *error);

/* MOIRE_ERROR_ARGUMENT: no set has the key; the closest one that is there is named. */
moire_status moire__config_unknown_key(const moire__config_entry *entry, const moire__config_fields *sets,
                                       int n_sets, moire_error *error);

#endif
