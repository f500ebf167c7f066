/* What a training tells while it runs, on stderr: sentences for people, a JSON object a line for machines, or
 * nothing. The form is the process's own; it is set before anything is told.
 */
#ifndef MOIRE_RUNTIME_TRAIN_LOG_H
#define MOIRE_RUNTIME_TRAIN_LOG_H

#include "runtime/base/text.h"

typedef enum moire__log_form { MOIRE__LOG_TEXT, MOIRE__LOG_JSON, MOIRE__LOG_NONE } moire__log_form;

void moire__log_set_form(moire__log_form form);
moire__log_form moire__log_get_form(void);

/* An event, told in one write. As text it is the sentence of `format`, nothing where that is NULL. As JSON it
 * is
 * {"event":EVENT,"time":T,FIELDS}, T in seconds since 1970, with the members of an object as `fields`; without
 * them (NULL) with the sentence as "message". */
void moire__log(const char *event, const char *fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds "text" with its quotes, as JSON has it. A byte that is no UTF-8 makes all beyond ASCII question marks.
 */
void moire__log_add_string(moire__text *out, const char *text);

#endif
