/* One way to run a graph by either engine: what is given and returned is double, whatever the engine keeps. */
#ifndef MOIRE_TOOLS_SESSION_H
#define MOIRE_TOOLS_SESSION_H

#include "moire/compile.h"
#include "moire/run.h"

typedef enum tool_engine { TOOL_ENGINE_JIT, TOOL_ENGINE_INTERPRETER } tool_engine;

typedef struct tool_session tool_session;

/* Owned; NULL with a sentence. `threads` is borrowed. The states hold zeros or what their initialisers say. */
tool_session *tool_session_create(tool_engine engine, const moire_graph *graph,
                                  const moire_compile_options *options, moire_threads *threads,
                                  moire_error *error);
void tool_session_destroy(tool_session *session); /* NULL is fine */

int tool_session_state_count(const tool_session *session);
moire_plan_state tool_session_state(const tool_session *session, int i);
/* Elements of the state, -1 if there is none. */
int64_t tool_session_state_elements(const tool_session *session, const char *name);
void tool_session_set_state(tool_session *session, const char *name, const double *values);
void tool_session_get_state(const tool_session *session, const char *name, double *values);

/* An input that the graph does not have is passed over. The values are copied. */
moire_status tool_session_set_extent(tool_session *session, const char *name, int64_t size, moire_error *error);
moire_status tool_session_set_input(tool_session *session, const char *name, const double *values, int64_t n,
                                    moire_error *error);
moire_status tool_session_run(tool_session *session, moire_error *error);
/* Copies the output of the last run if it has `n` elements; a sentence otherwise. */
moire_status tool_session_output(const tool_session *session, const char *name, double *values, int64_t n,
                                 moire_error *error);

#endif
