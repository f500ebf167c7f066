/* What the steps of a language model's training say, as lines of metrics.jsonl and as pictures. */
#ifndef MOIRE_TASKS_TOKENS_CHARTS_H
#define MOIRE_TASKS_TOKENS_CHARTS_H

#include "moire/status.h"

/* Names of the pictures in a run's folder. */
#define MOIRE__TOKENS_CHARTS "loss.svg", "ce_kd.svg", "magnitude_phase.svg"

/* Draws them from the lines {"step":…} of the folder's metrics.jsonl: the loss, its two parts against each
 * other, and magnitude and phase of the states. A picture whose numbers are not there is not drawn. */
moire_status moire__tokens_draw_charts(const char *directory, moire_error *error);

#endif
