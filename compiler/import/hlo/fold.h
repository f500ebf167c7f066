/* What is known when the program is imported: operations whose operands are numbers that are known, so that
 * loops can be counted and starts of slices be told. */
#ifndef MOIRE_COMPILER_IMPORT_HLO_FOLD_H
#define MOIRE_COMPILER_IMPORT_HLO_FOLD_H

#include "compiler/import/hlo/call.h"

/* Gives the result where all elements of it are one known whole number or bool, or a constant that only changes
 * its shape; else false. */
bool moire__hlo_fold(moire__hlo_call *call);

#endif
