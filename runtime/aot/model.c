/* Models. See model.h. */
#include "runtime/aot/model.h"
#include "runtime/aot/cpu.h"

#include <stdlib.h>

static library_status moire__aot_find_block(const library_model *model, const moire__aot_level **level,
                                            const void **block) {
  *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!*level) return LIBRARY_ERROR_CPU;
  if (model) {
    *block = model->block;
    return LIBRARY_OK;
  }
  if (!MOIRE__AOT_TABLES.weights && (*level)->block_bytes) return LIBRARY_ERROR_MODEL;
  *block = MOIRE__AOT_TABLES.weights ? MOIRE__AOT_TABLES.weights + (*level)->weights : NULL; /* it reads none */
  return LIBRARY_OK;
}

#if MOIRE__AOT_EXTERNAL
#include "runtime/base/hash.h"

#include <string.h>

static uint64_t read_word(const unsigned char *bytes) {
  uint64_t word = 0;
  for (int i = 7; i >= 0; i--) word = word << 8 | bytes[i];
  return word;
}

static library_status check_file(const unsigned char *bytes, size_t n) {
  if (n < MOIRE__AOT_HEAD_BYTES || memcmp(bytes, MOIRE__AOT_MAGIC, 8) != 0) return LIBRARY_ERROR_FORMAT;
  if (read_word(bytes + 8) != MOIRE__AOT_FORMAT) return LIBRARY_ERROR_FORMAT;
  if (read_word(bytes + 16) != MOIRE__AOT_TABLES.signature) return LIBRARY_ERROR_OTHER;
  uint64_t wanted = (uint64_t)MOIRE__AOT_TABLES.weight_bytes;
  if (read_word(bytes + 24) != wanted) return LIBRARY_ERROR_OTHER;
  if (n - MOIRE__AOT_HEAD_BYTES != wanted) return LIBRARY_ERROR_FORMAT;
  for (int i = 40; i < MOIRE__AOT_HEAD_BYTES; i++) {
    if (bytes[i]) return LIBRARY_ERROR_CHANGED;
  }
  uint64_t hash = moire__hash_bytes(bytes + MOIRE__AOT_HEAD_BYTES, (size_t)wanted);
  return read_word(bytes + 32) == hash ? LIBRARY_OK : LIBRARY_ERROR_CHANGED;
}

library_status library_open(const char *path, library_model **model) {
  if (model) *model = NULL;
  if (!path || !model) return LIBRARY_ERROR_NULL;
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level) return LIBRARY_ERROR_CPU;
  moire__aot_mapped file = {0};
  library_status status = moire__aot_map(path, MOIRE__AOT_HEAD_BYTES, &file);
  if (status) return status;
  status = check_file(file.bytes, file.n);
  library_model *made = status ? NULL : malloc(sizeof *made);
  if (!status && !made) status = LIBRARY_ERROR_MEMORY;
  if (status) {
    moire__aot_unmap(&file);
    return status;
  }
  const unsigned char *weights = (const unsigned char *)file.bytes + MOIRE__AOT_HEAD_BYTES;
  *made = (library_model){.block = weights + level->weights, .file = file};
  *model = made;
  return LIBRARY_OK;
}
#endif

#if MOIRE__AOT_EXTERNAL || MOIRE__AOT_TRAINING
void library_close(library_model *model) {
  if (!model) return;
#if MOIRE__AOT_EXTERNAL
  moire__aot_unmap(&model->file);
#endif
  free(model->memory);
  free(model);
}
#endif
