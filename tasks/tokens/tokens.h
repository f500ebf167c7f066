/* The task `tokens`: language models, from word ids to the words that come next. What its files share.
 *
 * Data are token files (token_file.h): one to train on, perhaps one to validate and one to test with. Every
 * position is a sample's; a row has `sequence_length` positions, as the file has them.
 */
#ifndef MOIRE_TASKS_TOKENS_TOKENS_H
#define MOIRE_TASKS_TOKENS_TOKENS_H

#include "moire/ahead.h"
#include "tasks/task.h"
#include "tasks/tokens/token_file.h"

typedef struct moire__teacher moire__teacher; /* teacher.h */

/* The setup's data. */
typedef struct moire__tokens {
  moire__token_file *files[3];                   /* owned: --data, --valid, --test */
  const moire__token_file *train, *valid, *test; /* of them; where one is not given, the one before */
  moire__teacher *teacher;                       /* owned; NULL: none */
} moire__tokens;

moire_status moire__tokens_read(moire__setup *setup, const moire__data_files *files, const char *where,
                                moire_error *error);
void moire__tokens_free(void *data);
/* The configuration's `sequence_length` becomes the file's, and is built anew; a file of another vocabulary is
 * a failure. */
moire_status moire__tokens_fit(moire__setup *setup, const moire__token_file *file, const char *where,
                               moire_error *error);

/* The configuration's `distil` and `teacher_top` become what the teacher gives; NULL: none. */
moire_status moire__tokens_distil(moire__setup *setup, const moire__teacher *teacher, moire_error *error);

/* Rows as samples, at most `batch` at once. Borrows the file and the teacher, which may be NULL. */
moire__samples moire__tokens_samples(const moire__token_file *file, moire__teacher *teacher, int64_t batch);

moire_status moire__tokens_train(const moire__setup *setup, int threads, moire__trainer_task *task,
                                 moire_error *error);
moire__eval_verb moire__tokens_eval;
moire__generate_verb moire__tokens_generate;
moire__teach_verb moire__tokens_teach;
/* The most positions of a row, as the model's configuration says. */
int64_t moire__tokens_positions(const moire__setup *setup);

/* The tokenizer's tables and the positions of a library (tasks/task.h). */
moire_status moire__tokens_equip(const moire__setup *setup, const moire__safetensors *file,
                                 const char *tokenizer, moire_ahead_model *model, moire__arena *arena,
                                 moire_error *error);

#endif
