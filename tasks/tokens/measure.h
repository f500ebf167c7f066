/* What a language model is measured by, over the targets of a token file. */
#ifndef MOIRE_TASKS_TOKENS_MEASURE_H
#define MOIRE_TASKS_TOKENS_MEASURE_H

#include "runtime/measure/measures.h"
#include "tasks/tokens/tokens.h"

/* Outputs that measuring reads: the last two only with a teacher. */
extern const char *const moire__tokens_measured[5];
int moire__tokens_measured_count(bool with_teacher);

/* Adds ce (nats a target), perplexity, bits_per_byte, top1, top5 and, with a teacher, teacher_agreement and
 * teacher_kl, then the same of each source as NAME@SOURCE, if there are several. `rows`, if it is not NULL, is
 * [n]: the sum of -log p over a row's targets. Sums are double, in the order of rows. */
moire_status moire__tokens_measure(const moire__token_file *file, moire__teacher *teacher, moire_runner *runner,
                                   int64_t batch, const char *label, moire__measures *measures, double *rows,
                                   moire_error *error);

#endif
