/* Training by a team of processes. See train_team.h. */
#include "tools/train_team.h"

#include "compiler/driver/compile.h"
#include "moire/version.h"
#include "runtime/base/hash.h"
#include "runtime/train/log.h"
#include "tools/tool.h"

#include <inttypes.h>
#include <string.h>

enum { USUAL_GROUPS = 32 };

moire_status tool_team_assume(const moire__team *team, moire__setup *setup, moire_error *error) {
  if (!team || moire__config_table_find(&setup->table, "batch_groups")) return MOIRE_OK;
  return moire__setup_add_int(setup, "mpirun", "batch_groups", USUAL_GROUPS, error);
}

moire_status tool_team_check(const moire__team *team, const moire__setup *setup, moire_error *error) {
  int size = moire__team_size(team);
  int64_t groups = moire_config_int(setup->training, "batch_groups");
  if (size == 1 || size <= groups) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "batch_groups: a batch of %" PRId64
                    " groups cannot be shared by %d processes: wanted %d groups or "
                    "more, or fewer processes",
                    groups, size, size);
}

static uint64_t hash_text(const char *text) {
  return moire__hash_bytes((const unsigned char *)text, strlen(text));
}

static uint64_t hash_config(const moire__setup *setup) {
  moire__text text = {0};
  moire__config_to_json(setup->config, &text);
  moire__config_to_json(setup->training, &text);
  uint64_t hash = hash_text(moire__text_string(&text));
  moire__text_free(&text);
  return hash;
}

/* Of all that a plan says but its code. */
static void add_plan(const moire_plan *plan, moire__text *text) {
  for (int i = 0; plan && i < plan->n_buffers; i++)
    moire__text_add(text, "%s %d %" PRId64 "\n", plan->buffers[i].name, (int)plan->buffers[i].role,
                    plan->buffers[i].elements);
  for (int i = 0; plan && i < plan->n_steps; i++)
    moire__text_add(text, "%s %d %" PRId64 "\n", plan->steps[i].name, plan->steps[i].kernel,
                    plan->steps[i].block);
}

static uint64_t hash_programs(const moire_program *sums, const moire_program *step) {
  moire__text text = {0};
  add_plan(moire_program_plan(sums), &text);
  if (step) add_plan(moire_program_plan(step), &text);
  uint64_t hash = hash_text(moire__text_string(&text));
  moire__text_free(&text);
  return hash;
}

moire_status tool_team_agree(moire__team *team, const moire__setup *setup, const moire_program *sums,
                             const moire_program *step, uint64_t fingerprint, moire_error *error) {
  if (!team) return MOIRE_OK;
  moire__text version = {0};
  moire__text_add(&version, "%s (%s)", MOIRE_VERSION, tool_commit);
  const char *target = moire__program_target(sums)->name;
  const moire__team_term terms[] = {{"version of moire", hash_text(version.data), version.data},
                                    {"kind of processor", hash_text(target), target},
                                    {"configuration", hash_config(setup), NULL},
                                    {"data", fingerprint, NULL},
                                    {"program of a step", hash_programs(sums, step), NULL}};
  moire_status status = moire__team_agree(team, terms, (int)(sizeof terms / sizeof *terms), error);
  if (!status)
    moire__log("team", NULL, "%d processes over %s, %" PRId64 " groups of samples in a batch",
               moire__team_size(team), moire__team_library(team),
               moire_config_int(setup->training, "batch_groups"));
  moire__text_free(&version);
  return status;
}
