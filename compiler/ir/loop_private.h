/* What the files of the loop IR share among themselves: building without folding, and naming for messages. */
#ifndef MOIRE_COMPILER_IR_LOOP_PRIVATE_H
#define MOIRE_COMPILER_IR_LOOP_PRIVATE_H

#include "compiler/ir/loop.h"

/* The kernel's value for a constant or an extent, made on first use: equal ones are one value. */
moire__loop_value moire__loop_share(moire__loop_kernel *k, moire__loop_value_info info);
/* Appends `let value` as it is, nothing folded. */
moire__loop_value moire__loop_let(moire__loop_builder *b, moire__loop_value_info info);
/* A value that equals op(operands) and needs no new instruction or a shorter one; 0 if there is none. Integers
 * and bools only: rounding, and what is rounded, is left as written. */
moire__loop_value moire__loop_fold(moire__loop_builder *b, moire__loop_op op,
                                   const moire__loop_value *operands);

#endif
