/* Where the lines of a result go: stdout, or a file that is in place when it is complete, and not before. */
#ifndef MOIRE_TOOLS_PARTS_OUTPUT_H
#define MOIRE_TOOLS_PARTS_OUTPUT_H

#include "moire/status.h"

#include <stdio.h>

typedef struct tool_output tool_output;

/* `path` NULL: stdout. Owned; NULL with a sentence. Temporaries that killed writers of `path` left are removed.
 */
tool_output *tool_output_open(const char *path, moire_error *error);
FILE *tool_output_file(const tool_output *output);
/* Puts the file in place if `so_far` is MOIRE_OK and all was written, else removes what was. Returns `so_far`
 * if it is a failure. Frees the output, which may be NULL. */
moire_status tool_output_close(tool_output *output, moire_status so_far, moire_error *error);

#endif
