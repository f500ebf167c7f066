/* One way to have a trained model asked by a verb, as a whole or in parts (--part i/n), with the result in a
 * file
 * (-o) or on stdout.
 *
 * Part i of n of -o OUT is the file OUT.i-of-n with its manifest (tools/parts/manifest.h); `moire merge` makes
 * OUT of all of them.
 */
#ifndef MOIRE_TOOLS_PARTS_CALL_H
#define MOIRE_TOOLS_PARTS_CALL_H

#include "tools/tool.h"

enum { TOOL_CALL_FILES = 8 };

/* Zero-initialise; the first fields are set by the options. */
typedef struct tool_call {
  moire__part part;   /* its count is 0: the whole */
  const char *output; /* -o; NULL: stdout */
  /* What the verb says before it asks: */
  const char *verb;
  const moire__sources *sources;
  FILE **out;                         /* takes where lines go, … */
  const char **path;                  /* … or the name of the file that the verb writes; one is NULL */
  moire__part **job_part;             /* takes the part; NULL stays where there is none */
  const char *files[TOOL_CALL_FILES]; /* that decide about the result; NULL ones are passed over */
  moire__text text;                   /* and arguments that do: tool_call_say */
  const char *column;                 /* of measures: the head of a table, "" for JSON; NULL: none are made */
} tool_call;

/* Children of a parser: those of tool_sources_arguments, and --part and -o, whose child_inputs[1] is a
 * tool_call. */
extern const struct argp_child tool_call_arguments[];

/* Adds " key=value" (printf style) to what decides about the result. */
void tool_call_say(tool_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Opens the model, has it asked, and puts the result in place. Returns the exit status; frees the call's text.
 */
int tool_call_ask(tool_call *call, tool_question *ask, const void *job);

/* Measures as `eval` prints them (tools/eval.c): `column` as above. */
void tool_write_measures(FILE *out, const char *column, const moire__measures *measures,
                         const moire__baselines *baselines);

#endif
