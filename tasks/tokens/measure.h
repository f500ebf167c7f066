/* What a language model is measured by, over the targets of a token file. */
#ifndef MOIRE_TASKS_TOKENS_MEASURE_H
#define MOIRE_TASKS_TOKENS_MEASURE_H

#include "runtime/measure/measures.h"
#include "tasks/tokens/tokens.h"

/* Outputs that measuring reads: the last two only with a teacher. */
extern const char *const moire__tokens_measured[5];
int moire__tokens_measured_count(bool with_teacher);

/* The terms of the rows first ... first + n. */
moire_status moire__tokens_collect(const moire__token_file *file, moire__teacher *teacher, moire_runner *runner,
                                   int64_t first, int64_t n, int64_t batch, const char *label,
                                   moire__terms *terms, moire_error *error);
/* The measures of all terms: ce (nats a target), perplexity, bits_per_byte, top1, top5 and, with a teacher,
 * teacher_agreement and teacher_kl, then the same of each source as NAME@SOURCE, if there are several. Sums are
 * double, over a row's targets, then in the order of rows. */
moire_status moire__tokens_measured_of(const moire__terms *terms, moire__measures *measures,
                                       moire_error *error);
/* Writes the mean of -log p over each row's targets, "ce" f32[rows]. */
moire_status moire__tokens_leave(const moire__terms *terms, const char *path, moire_error *error);

#endif
