/* Profiles: what is measured, and the document that is made of it. Its form is described in docs/profiling.md.
 */
#ifndef MOIRE_COMPILER_PROFILE_DOCUMENT_H
#define MOIRE_COMPILER_PROFILE_DOCUMENT_H

#include "moire/compile.h"
#include "runtime/machine/peaks.h"
#include "runtime/profile/counters.h"
#include "runtime/profile/recording.h"
#include "compiler/profile/work.h"

#include <jansson.h>

#define MOIRE__PROFILE_FORMAT "moire-profile"
enum { MOIRE__PROFILE_VERSION = 1 };

/* What was run and recorded. Borrows. */
typedef struct moire__profile_input {
  const char *model, *mode; /* mode: "training" or "inference" */
  int64_t batch;            /* samples or users of a full batch */
  const moire_program *program;
  const moire_runner *runner;
  const moire__recording *recording;
  const moire__profile_counter *work;
  const moire__counters *counters; /* of all recorded steps; NULL: none */
  const moire_graph *model_graph;  /* as it was written; NULL: not at hand */
  const moire__peaks *peaks;       /* of this machine for so many threads; NULL: unknown */
  const int64_t *batches; /* [runs]: nanoseconds that making the batch took, before the run; NULL: unknown */
  bool code;              /* loop IR, LLVM IR and assembly of every kernel are part of the document */
} moire__profile_input;

/* Peaks as they stand in documents. Owned. */
json_t *moire__peaks_json(const moire__peaks *peaks);

/* Owned; NULL with a sentence. */
json_t *moire__profile_document(const moire__profile_input *in, moire_error *error);

/* Reads a profile and sees to it that it is one. Owned. */
json_t *moire__profile_read(const char *path, moire_error *error);

/* The figures of this machine for so many threads; why they are not known goes to stderr, and false is
 * returned. */
bool moire__profile_peaks(const char *tool, int threads, moire__peaks *peaks);

/* Makes DIR and sees to it that files can be made there: to be asked before the work is done. */
moire_status moire__profile_folder(const char *directory, moire_error *error);
/* Writes DIR/profile.json, and beside it the page and the formats of other tools (report.h); makes DIR.
 */
moire_status moire__profile_write(const json_t *profile, const char *directory, moire_error *error);

#endif
