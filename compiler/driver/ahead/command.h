/* Commands that run in the folder where a library is made, such as the C compiler. */
#ifndef MOIRE_COMPILER_DRIVER_AHEAD_COMMAND_H
#define MOIRE_COMPILER_DRIVER_AHEAD_COMMAND_H

#include "compiler/driver/ahead/ahead.h"

typedef struct moire__ahead_command {
  moire__arena arena;
  char **words; /* a NULL ends them */
  int n, capacity;
} moire__ahead_command;

void moire__ahead_add_word(moire__ahead_command *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Words with blanks between. */
void moire__ahead_add_words(moire__ahead_command *c, const char *text);
/* Runs the command and frees it. */
moire_status moire__ahead_run_command(moire__ahead_command *c, const moire__ahead_folder *folder,
                                      moire_error *error);
/* The end of what the last command printed, with its lines as one. */
void moire__ahead_read_log(const moire__ahead_folder *folder, char *out, size_t room);

#endif
