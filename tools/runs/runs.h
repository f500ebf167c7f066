/* Finished runs as a table: see runs.c. */
#ifndef MOIRE_TOOLS_RUNS_RUNS_H
#define MOIRE_TOOLS_RUNS_RUNS_H

typedef enum tool_runs_format { TOOL_RUNS_TEXT, TOOL_RUNS_MARKDOWN, TOOL_RUNS_JSON } tool_runs_format;

/* Everything is borrowed. */
typedef struct tool_runs_options {
  tool_runs_format format;
  const char *metric;   /* of gaps and plots; NULL: the task's, or what the runs stop by */
  const char *baseline; /* what gaps are to: a file of ranks, or part of a row's name; NULL: the best row */
  const char *curves, *grid; /* SVG files to write; NULL: none */
  int resamples;             /* of the bootstrap */
} tool_runs_options;

tool_runs_options tool_runs_defaults(void); /* text, the runs' own metric, 10000 */

/* Prints the runs in and below the folders. Returns the exit status; `command` stands in messages. */
int tool_runs_print(const char *command, const char *const *folders, int n, const tool_runs_options *options);

#endif
