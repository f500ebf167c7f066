/* Profiles: what is measured, the document that is made of it, and what is printed of that. The document's form
 * is described in docs/profiling.md. */
#ifndef MOIRE_TOOLS_PROFILE_PROFILE_H
#define MOIRE_TOOLS_PROFILE_PROFILE_H

#include "moire/compile.h"
#include "runtime/machine/peaks.h"
#include "runtime/profile/counters.h"
#include "runtime/profile/recording.h"
#include "tools/profile/profile_work.h"

#include <jansson.h>
#include <stdio.h>

#define TOOL_PROFILE_FORMAT "moire-profile"
enum { TOOL_PROFILE_VERSION = 1 };

/* What was run and recorded. Borrows. */
typedef struct tool_profile_input {
  const char *model, *mode; /* mode: "training" or "inference" */
  int64_t batch;            /* samples or users of a full batch */
  const moire_program *program;
  const moire_runner *runner;
  const moire__recording *recording;
  const tool_profile_counter *work;
  const moire__counters *counters; /* of all recorded steps; NULL: none */
  const moire_graph *model_graph;  /* as it was written; NULL: not at hand */
  const moire__peaks *peaks;       /* of this machine for so many threads; NULL: unknown */
  const int64_t *batches; /* [runs]: nanoseconds that making the batch took, before the run; NULL: unknown */
  bool code;              /* loop IR, LLVM IR and assembly of every kernel are part of the document */
} tool_profile_input;

/* Peaks as they stand in documents. Owned. */
json_t *tool_peaks_json(const moire__peaks *peaks);

/* Owned; NULL with a sentence. */
json_t *tool_profile_document(const tool_profile_input *in, moire_error *error);

/* Reads a profile and sees to it that it is one. Owned. */
json_t *tool_profile_read(const char *path, moire_error *error);

/* The tables that a terminal shows: what makes 95 % of the time, or all of it. */
void tool_profile_print(const json_t *profile, bool all, FILE *to);

/* What changed from `a` to `b` beyond noise; `all`: also what did not. */
void tool_profile_print_comparison(const json_t *a, const json_t *b, bool all, FILE *to);
json_t *tool_profile_comparison(const json_t *a, const json_t *b); /* owned */

/* The figures of this machine for so many threads; why they are not known goes to stderr, and false is
 * returned. */
bool tool_profile_peaks(const char *tool, int threads, moire__peaks *peaks);
/* Its largest cache, or what is usual. */
int64_t tool_profile_cache_bytes(const moire__peaks *peaks);

/* Makes DIR and sees to it that files can be made there: to be asked before the work is done. */
moire_status tool_profile_folder(const char *directory, moire_error *error);
/* Writes DIR/profile.json, and beside it the page and the formats of other tools (profile_report.h); makes DIR.
 */
moire_status tool_profile_write(const json_t *profile, const char *directory, moire_error *error);

#endif
