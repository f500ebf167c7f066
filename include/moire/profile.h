/* Profiles of a program that runs itself: what `moire profile` and `moire train --profile` write.
 *
 *   options.keep_kernels = true;                                   // before moire_compile
 *   moire_profile_options how = moire_profile_defaults("mine");
 *   moire_profile *profile = moire_profile_start(&how, program, runner, &error);
 *   for (...) moire_runner_run(runner, &error);                    // how.runs and a few more
 *   moire_profile_write(profile, "profile", &error);               // profile/profile.json, report.html, ...
 *   moire_profile_destroy(profile);                                // before the runner and the program
 *
 * The first `runs` runs are timed, the next few counted (operations and bytes of each kernel), which makes them
 * many times slower; after that the runner is as it was. `moire profile FILE` prints the tables of what was
 * written.
 */
#ifndef MOIRE_PROFILE_H
#define MOIRE_PROFILE_H

#include "moire/compile.h"
#include "moire/run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct moire_profile_options {
  const char *model;        /* what the profile is called by */
  const char *mode;         /* "training" or "inference" */
  int64_t batch;            /* samples of a full batch, for rates; 0: unknown */
  int runs;                 /* to be timed, 1 to 100,000 */
  int sampled;              /* of those, how many keep what each thread did when, for the trace */
  int threads;              /* of the runner */
  const moire_graph *graph; /* as it was written, for the lines that no kernel serves; borrowed; may be NULL */
  bool code;                /* loop nests, LLVM IR and assembly of every kernel are part of the profile */
  bool peaks;               /* compare with what this machine can do, which is measured once and kept */
} moire_profile_options;

/* "training", 20 runs, 3 of them sampled, one thread, with code and peaks. */
moire_profile_options moire_profile_defaults(const char *model);

typedef struct moire_profile moire_profile;

/* From the runner's next run on. Borrows everything. Owned; NULL with a sentence where the program has not kept
 * its kernels or an option is out of range. */
moire_profile *moire_profile_start(const moire_profile_options *options, const moire_program *program,
                                   moire_runner *runner, moire_error *error);

/* Runs that have been timed. */
int moire_profile_runs(const moire_profile *profile);

/* Ends the profile, if its runs are not over, and writes it into the directory, which is made. At least one run
 * must have been timed. */
moire_status moire_profile_write(moire_profile *profile, const char *directory, moire_error *error);

void moire_profile_destroy(moire_profile *profile); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
