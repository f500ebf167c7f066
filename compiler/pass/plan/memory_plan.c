/* memory_plan: the steps that each buffer lives for.
 *
 * A temporary lives from the first step that touches it to the last. An output lives from its first step to the
 * end of the run (last_step is the number of steps), and so does a temporary that an update copies into a
 * state. Buffers whose lives do not meet may share memory: the runtime lays them out when the extents are
 * known, since every size depends on them.
 */
#include "compiler/pass/plan/module.h"

void moire__pass_memory_plan(moire_plan_buffer *buffers, int n_buffers, const moire_plan_step *steps,
                             int n_steps, const moire_plan_update *updates, int n_updates) {
  for (int i = 0; i < n_buffers; i++) {
    buffers[i].first_step = n_steps;
    buffers[i].last_step = -1;
  }
  for (int s = 0; s < n_steps; s++) {
    for (int i = 0; i < steps[s].n_buffers; i++) {
      moire_plan_buffer *buffer = &buffers[steps[s].buffers[i]];
      if (s < buffer->first_step) buffer->first_step = s;
      if (s > buffer->last_step) buffer->last_step = s;
    }
  }
  for (int i = 0; i < n_updates; i++) buffers[updates[i].from].last_step = n_steps;
  for (int i = 0; i < n_buffers; i++) {
    if (buffers[i].role != MOIRE_PLAN_TEMPORARY) buffers[i].last_step = n_steps;
    if (buffers[i].role == MOIRE_PLAN_INPUT || buffers[i].role == MOIRE_PLAN_STATE) buffers[i].first_step = 0;
  }
}
