/* The data of a setup: which token files, and what they say of the model. See tokens.h. */
#include "tasks/tokens/tokens.h"

#include "runtime/base/memory.h"
#include "tasks/tokens/teacher.h"

#include <inttypes.h>
#include <string.h>

void moire__tokens_free(void *data) {
  moire__tokens *t = data;
  moire__teacher_close(t->teacher);
  for (int i = 0; i < 3; i++) moire__token_file_close(t->files[i]);
  moire__release(t);
}

moire_status moire__tokens_distil(moire__setup *setup, const moire__teacher *teacher, moire_error *error) {
  int64_t top = teacher ? moire__teacher_top(teacher) : 0;
  const char *kind = !teacher ? "distil=none" : top ? "distil=top" : "distil=full";
  moire_status status = moire__config_table_set(&setup->table, "teacher", kind, error);
  return status ? status : moire__setup_add_int(setup, "teacher", "teacher_top", top, error);
}

/* Files that are read beside the first have its rows' length and its words. */
static moire_status check_alike(const moire__token_file *first, const moire__token_file *other,
                                moire_error *error) {
  bool named = first->tokenizer && other->tokenizer && strcmp(first->tokenizer, other->tokenizer) != 0;
  if (first->words == other->words && first->length == other->length && !named) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "%s: has %" PRId64 " words (%s) and rows of %" PRId64 ", but %s has %" PRId64
                    " (%s) and rows of %" PRId64,
                    moire__token_file_path(other), other->words, other->tokenizer ? other->tokenizer : "?",
                    other->length, moire__token_file_path(first), first->words,
                    first->tokenizer ? first->tokenizer : "?", first->length);
}

/* What the table says under a key, unless the command line has it. */
static const char *path_of(const moire__setup *setup, const char *given, const char *key) {
  const char *text = given ? given : moire__config_table_text(&setup->table, key);
  return text && *text ? text : NULL;
}

moire_status moire__tokens_read(moire__setup *setup, const moire__data_files *files, const char *where,
                                moire_error *error) {
  const char *paths[] = {files->data, path_of(setup, files->valid, "valid"),
                         path_of(setup, files->test, "test")};
  const char *teacher = path_of(setup, NULL, "teacher");
  moire__tokens *t = setup->data = moire__allocate(sizeof *t);
  *t = (moire__tokens){0};
  moire_status status = MOIRE_OK;
  for (int i = 0; i < 3 && !status; i++) {
    if (!paths[i]) continue;
    status = moire__token_file_open(paths[i], &t->files[i], error);
    if (!status && !t->files[i]->n)
      status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: has no rows", paths[i]);
    if (!status && i) status = check_alike(t->files[0], t->files[i], error);
  }
  if (!status && teacher) status = moire__teacher_open(teacher, t->files[0], &t->teacher, error);
  if (!status) status = moire__tokens_distil(setup, t->teacher, error);
  if (status) return status;
  t->train = t->files[0];
  t->valid = t->files[1] ? t->files[1] : t->train;
  t->test = t->files[2] ? t->files[2] : t->valid;
  return moire__tokens_fit(setup, t->train, where, error);
}
