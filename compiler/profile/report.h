/* What is made of a profile for other eyes: a page, and the formats of other tools. */
#ifndef MOIRE_COMPILER_PROFILE_REPORT_H
#define MOIRE_COMPILER_PROFILE_REPORT_H

#include "moire/status.h"
#include "runtime/base/text.h"

#include <jansson.h>

/* Files of the source tree that the command carries: the parts of the page, and the models of the library. The
 * build makes the table. */
typedef struct moire__asset {
  const char *path;        /* "tools/report/page.html" */
  const char *begin, *end; /* a NUL stands at the end */
} moire__asset;
extern const moire__asset moire__assets[];
extern const int moire__asset_count;

/* One HTML file with everything in it: nothing is fetched when it is opened. */
void moire__report_page(const json_t *profile, moire__text *page);

/* The sampled steps as a Chrome trace, which Perfetto opens. Owned. */
json_t *moire__report_trace(const json_t *profile);

/* Folded stacks: a line "model;layers;0;attn;softmax 1234" for each kernel, in nanoseconds of all steps. */
void moire__report_stacks(const json_t *profile, moire__text *stacks);

/* Writes report.html, trace.json and stacks.txt into the directory, which is there. */
moire_status moire__report_write(const json_t *profile, const char *directory, moire_error *error);

#endif
