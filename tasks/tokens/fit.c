/* What a token file says of the model that reads it. See tokens.h. */
#include "tasks/tokens/tokens.h"

#include <inttypes.h>

moire_status moire__tokens_fit(moire__setup *setup, const moire__token_file *file, const char *where,
                               moire_error *error) {
  const char *path = moire__token_file_path(file);
  moire_status status = moire__setup_assume(setup, path, file->words, error);
  if (!status) status = moire__setup_add_int(setup, path, "sequence_length", file->length, error);
  if (!status) status = moire__setup_build(setup, where, error);
  if (status) return status;
  int64_t known = moire_config_int(setup->config, "vocab_size");
  if (known == file->words) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "%s: was made by a tokenizer of %" PRId64 " words, but %s says vocab_size %" PRId64, path,
                    file->words, where, known);
}
