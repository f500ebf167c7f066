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

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

static library_status map_file(const char *path, unsigned char **bytes, size_t *n) {
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is refused, not waited for */
  if (file < 0) return LIBRARY_ERROR_FILE;
  struct stat info;
  library_status status = fstat(file, &info) ? LIBRARY_ERROR_FILE : LIBRARY_OK;
  if (!status && (!S_ISREG(info.st_mode) || info.st_size < MOIRE__AOT_HEAD_BYTES))
    status = LIBRARY_ERROR_FORMAT;
  void *mapped = MAP_FAILED;
  if (!status) mapped = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
  if (!status && mapped == MAP_FAILED) status = LIBRARY_ERROR_FILE;
  int cause = errno;
  close(file);
  errno = cause;
  if (status) return status;
  *bytes = mapped;
  *n = (size_t)info.st_size;
  return LIBRARY_OK;
}

library_status library_open(const char *path, library_model **model) {
  if (model) *model = NULL;
  if (!path || !model) return LIBRARY_ERROR_NULL;
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level) return LIBRARY_ERROR_CPU;
  unsigned char *bytes = NULL;
  size_t n = 0;
  library_status status = map_file(path, &bytes, &n);
  if (status) return status;
  status = check_file(bytes, n);
  library_model *made = status ? NULL : malloc(sizeof *made);
  if (!status && !made) status = LIBRARY_ERROR_MEMORY;
  if (status) {
    munmap(bytes, n);
    return status;
  }
  *made = (library_model){
      .block = bytes + MOIRE__AOT_HEAD_BYTES + level->weights, .mapping = bytes, .mapped_bytes = n};
  *model = made;
  return LIBRARY_OK;
}
#endif

#if MOIRE__AOT_EXTERNAL || MOIRE__AOT_TRAINING
void library_close(library_model *model) {
  if (!model) return;
#if MOIRE__AOT_EXTERNAL
  if (model->mapping) munmap(model->mapping, model->mapped_bytes);
#endif
  free(model->memory);
  free(model);
}
#endif
