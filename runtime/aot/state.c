/* States: creation, names, and how they come in and go out as safetensors. */
#include "runtime/aot/state.h"
#include "runtime/aot/safetensors.h"
#include "runtime/run/initial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t moire__aot_dtype_bytes(moire_dtype dtype) {
  switch (dtype) {
    case MOIRE_F32:
    case MOIRE_I32: return 4;
    case MOIRE_F64:
    case MOIRE_I64: return 8;
    case MOIRE_BF16: return 2;
    case MOIRE_BOOL: return 1;
    case MOIRE_C64: return 0;
  }
  return 0;
}

static int moire__aot_state_is_in(int i, library_part part) {
  return part == LIBRARY_EVERYTHING || !MOIRE__AOT_TABLES.states[i].optimizer;
}

/* ---- Creating --------------------------------------------------------------------------------------- */

size_t library_state_bytes(void) { return MOIRE__AOT_STATE_HEAD + (size_t)MOIRE__AOT_TABLES.state_bytes + 63; }

library_status library_state_create(void *memory, size_t bytes, uint64_t seed, library_state **state) {
  if (!state) return LIBRARY_ERROR_NULL;
  *state = NULL;
  if (memory && bytes < library_state_bytes()) return LIBRARY_ERROR_WORKSPACE;
  void *own = memory ? NULL : malloc(library_state_bytes());
  if (!memory && !own) return LIBRARY_ERROR_MEMORY;
  unsigned char *start = memory ? memory : own;
  start += (64 - (uintptr_t)start % 64) % 64;
  library_state *made = (library_state *)(void *)start;
  *made = (library_state){.memory = own, .block = start + MOIRE__AOT_STATE_HEAD};
  for (int i = 0; i < MOIRE__AOT_TABLES.n_states; i++) {
    const moire__aot_state *s = &MOIRE__AOT_TABLES.states[i];
    moire__initial_fill(&s->init, s->name, s->dtype, s->elements, seed, made->block + s->offset);
  }
  *state = made;
  return LIBRARY_OK;
}

void library_state_free(library_state *state) {
  if (state) free(state->memory);
}

#if MOIRE__AOT_EMBEDDED
library_status library_state_reset(library_state *state) {
  if (!state) return LIBRARY_ERROR_NULL;
  for (int i = 0; i < MOIRE__AOT_TABLES.n_states; i++) {
    const moire__aot_state *s = &MOIRE__AOT_TABLES.states[i];
    if (s->embedded >= 0) {
      memcpy(state->block + s->offset, MOIRE__AOT_TABLES.weights + s->embedded, (size_t)s->bytes);
    } else {
      moire__initial_fill(&s->init, s->name, s->dtype, s->elements, 0, state->block + s->offset);
    }
  }
  return LIBRARY_OK;
}
#endif

/* ---- Names ------------------------------------------------------------------------------------------ */

int library_state_count(void) { return MOIRE__AOT_TABLES.n_states; }

static library_dtype public_dtype(moire_dtype dtype) {
  switch (dtype) {
    case MOIRE_F32: return LIBRARY_F32;
    case MOIRE_F64: return LIBRARY_F64;
    case MOIRE_BF16: return LIBRARY_BF16;
    case MOIRE_I32: return LIBRARY_I32;
    case MOIRE_I64: return LIBRARY_I64;
    case MOIRE_BOOL:
    case MOIRE_C64: return LIBRARY_BOOL; /* no state is c64 */
  }
  return LIBRARY_BOOL;
}

library_status library_state_at(library_state *state, int i, library_tensor *tensor) {
  if (!state || !tensor) return LIBRARY_ERROR_NULL;
  if (i < 0 || i >= MOIRE__AOT_TABLES.n_states) return LIBRARY_ERROR_TENSOR;
  const moire__aot_state *s = &MOIRE__AOT_TABLES.states[i];
  *tensor = (library_tensor){.name = s->name,
                             .dtype = public_dtype(s->dtype),
                             .rank = s->rank,
                             .elements = s->elements,
                             .trained = s->trained,
                             .data = state->block + s->offset};
  memcpy(tensor->shape, s->shape, sizeof tensor->shape);
  return LIBRARY_OK;
}

library_status library_state_find(library_state *state, const char *name, library_tensor *tensor) {
  if (!state || !name || !tensor) return LIBRARY_ERROR_NULL;
  for (int i = 0; i < MOIRE__AOT_TABLES.n_states; i++) {
    if (!strcmp(MOIRE__AOT_TABLES.states[i].name, name)) return library_state_at(state, i, tensor);
  }
  return LIBRARY_ERROR_TENSOR;
}

/* ---- Reading ---------------------------------------------------------------------------------------- */

static int part_is_known(library_part part) { return part == LIBRARY_PARAMETERS || part == LIBRARY_EVERYTHING; }

library_status library_state_read(library_state *state, library_part part, const void *bytes, size_t n) {
  if (!state || !bytes) return LIBRARY_ERROR_NULL;
  if (!part_is_known(part)) return LIBRARY_ERROR_TENSOR;
  return moire__aot_read_states(state, part, bytes, n);
}

static library_status read_whole(const char *path, unsigned char **bytes, size_t *n) {
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is refused, not waited for */
  if (file < 0) return LIBRARY_ERROR_FILE;
  struct stat info;
  library_status status = fstat(file, &info) ? LIBRARY_ERROR_FILE : LIBRARY_OK;
  if (!status && !S_ISREG(info.st_mode)) status = LIBRARY_ERROR_FORMAT;
  size_t wanted = status ? 0 : (size_t)info.st_size, there = 0;
  *bytes = status ? NULL : malloc(wanted + 1);
  if (!status && !*bytes) status = LIBRARY_ERROR_MEMORY;
  while (!status && there < wanted) {
    ssize_t got = read(file, *bytes + there, wanted - there);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = LIBRARY_ERROR_FILE;
    if (got == 0) status = LIBRARY_ERROR_FORMAT;
    if (got > 0) there += (size_t)got;
  }
  int cause = errno;
  close(file);
  errno = cause;
  *n = there;
  if (status) free(*bytes);
  return status;
}

library_status library_state_read_file(library_state *state, library_part part, const char *path) {
  if (!state || !path) return LIBRARY_ERROR_NULL;
  unsigned char *bytes = NULL;
  size_t n = 0;
  library_status status = read_whole(path, &bytes, &n);
  if (status) return status;
  status = library_state_read(state, part, bytes, n);
  free(bytes);
  return status;
}

/* ---- Writing ---------------------------------------------------------------------------------------- */

size_t library_state_write_bytes(library_part part) {
  return part_is_known(part) ? moire__aot_write_states(NULL, part, NULL) : 0;
}

library_status library_state_write(const library_state *state, library_part part, void *bytes, size_t n) {
  if (!state || !bytes) return LIBRARY_ERROR_NULL;
  if (!part_is_known(part)) return LIBRARY_ERROR_TENSOR;
  if (n < library_state_write_bytes(part)) return LIBRARY_ERROR_WORKSPACE;
  moire__aot_write_states(state, part, bytes);
  return LIBRARY_OK;
}

static int write_all(int file, const unsigned char *bytes, size_t n) {
  while (n) {
    ssize_t done = write(file, bytes, n);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return -1;
    bytes += done;
    n -= (size_t)done;
  }
  return fsync(file);
}

/* Makes the renaming last: the folder is synced too. */
static int sync_folder(char *path) {
  char *slash = strrchr(path, '/');
  if (slash) slash[slash == path] = 0;
  int folder = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return -1;
  int failure = fsync(folder), cause = errno;
  close(folder);
  errno = cause;
  return failure;
}

/* The file is made for its owner alone, less what umask takes: a state has learnt from somebody's data. */
static int write_beside(char *beside, const char *path, const unsigned char *bytes, size_t n) {
  int file = mkstemp(beside);
  if (file < 0) return -1;
  int failure = write_all(file, bytes, n), cause = errno;
  if (close(file) && !failure) {
    failure = -1;
    cause = errno;
  }
  if (!failure && rename(beside, path)) {
    failure = -1;
    cause = errno;
  }
  if (failure) unlink(beside);
  errno = cause;
  return failure;
}

static library_status replace_file(const char *path, const unsigned char *bytes, size_t n) {
  struct stat info;
  if (!stat(path, &info) && !S_ISREG(info.st_mode)) {
    errno = S_ISDIR(info.st_mode) ? EISDIR : EEXIST; /* a FIFO or a device stays what it is */
    return LIBRARY_ERROR_FILE;
  }
  size_t length = strlen(path);
  char *beside = malloc(length + 8);
  if (!beside) return LIBRARY_ERROR_MEMORY;
  memcpy(beside, path, length);
  memcpy(beside + length, ".XXXXXX", 8);
  int failure = write_beside(beside, path, bytes, n);
  memcpy(beside, path, length + 1);
  if (!failure) failure = sync_folder(beside);
  int cause = errno;
  free(beside);
  errno = cause;
  return failure ? LIBRARY_ERROR_FILE : LIBRARY_OK;
}

library_status library_state_write_file(const library_state *state, library_part part, const char *path) {
  if (!state || !path) return LIBRARY_ERROR_NULL;
  if (!part_is_known(part)) return LIBRARY_ERROR_TENSOR;
  size_t n = library_state_write_bytes(part);
  unsigned char *bytes = malloc(n);
  if (!bytes) return LIBRARY_ERROR_MEMORY;
  moire__aot_write_states(state, part, bytes);
  library_status status = replace_file(path, bytes, n);
  free(bytes);
  return status;
}
