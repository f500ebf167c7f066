/* What the files of the loop IR share among themselves: building without folding, and naming for messages. */
#ifndef MOIRE_COMPILER_IR_LOOP_LOOP_PRIVATE_H
#define MOIRE_COMPILER_IR_LOOP_LOOP_PRIVATE_H

#include "compiler/ir/loop/loop.h"

moire__loop_value moire__loop_add_value(moire__loop_kernel *k, moire__loop_value_info info);
/* The kernel's value for a constant or an extent, made on first use: equal ones are one value. */
moire__loop_value moire__loop_share(moire__loop_kernel *k, moire__loop_value_info info);
/* Appends `let value` as it is, nothing folded. */
moire__loop_value moire__loop_let(moire__loop_builder *b, moire__loop_value_info info);
/* A value that equals op(operands) and needs no new instruction; 0 if there is none, and op and operands are
 * then rewritten to the shortest that means the same. Integers and bools only: rounding, and what is rounded,
 * is left as written. */
moire__loop_value moire__loop_fold(moire__loop_kernel *k, moire__loop_op *op, moire__loop_value *operands);

/* Names of values and variables as they are printed: %p, %i1 (a loop's variable), %v1, $1; by id, 0: none. */
typedef struct moire__loop_names {
  int *values, *vars;
} moire__loop_names;
moire__loop_names moire__loop_names_make(const moire__loop_kernel *k); /* owned */
void moire__loop_names_free(moire__loop_names *names);
/* The statement's line without indentation, newline and brace. */
void moire__loop_print_statement(const moire__loop_kernel *k, const moire__loop_names *names,
                                 const moire__loop_statement *s, moire__text *text);

/* `name` as it is if it can stand in text, otherwise in quotes with escapes. A word is what may stand without a
 * sigil: letters, digits and _, not beginning with a digit, and no keyword of an operand. */
void moire__loop_print_name(const char *name, bool word, moire__text *text);
/* Whether c may stand in a name that follows a sigil. */
bool moire__loop_name_char(char c);

#endif
