/* The work of a plan's steps: operations, and bytes by where the plan says they come from. */
#ifndef MOIRE_TOOLS_PROFILE_PROFILE_WORK_H
#define MOIRE_TOOLS_PROFILE_PROFILE_WORK_H

#include "compiler/ir/loop/loop_work.h"
#include "moire/compile.h"
#include "runtime/profile/recording.h"

/* Sums over the runs that were counted. */
typedef struct tool_profile_work {
  double flop;
  double accessed; /* bytes that its instructions load and store */
  double touched;  /* different bytes of its buffers: each counts once */
  double memory;   /* of those: last touched so long ago that no cache holds them */
  double asked;    /* how often a condition was asked in it */
  double taken;    /* how often it was true: what stands behind it was done */
  double *cost;    /* [nodes of the graph]: of the statements that were lowered from it */
  bool exact;      /* else an upper bound */
} tool_profile_work;

typedef struct tool_profile_counter tool_profile_counter;

/* Counts the runs of a runner of the program's plan, in which `cache_bytes` are kept. Owned. Between begin and
 * end of a run that is to be counted, the runner must be watched by tool_profile_watch with the counter as
 * context. */
tool_profile_counter *tool_profile_counter_create(const moire_program *program, int64_t cache_bytes);
void tool_profile_counter_destroy(tool_profile_counter *counter);
moire__step_watch tool_profile_watch;

int tool_profile_counter_runs(const tool_profile_counter *counter);
const tool_profile_work *tool_profile_counter_step(const tool_profile_counter *counter, int step);

#endif
