/* What a file is that was given where tensors should be: told by its first bytes, so that the sentence that
 * refuses it can say what to do.
 */
#ifndef MOIRE_RUNTIME_FILES_FILE_KIND_H
#define MOIRE_RUNTIME_FILES_FILE_KIND_H

#include <stdbool.h>
#include <stddef.h>

/* "a HDF5 file; ...", to stand behind "PATH: is ": kinds that are known and are not read. NULL for all others,
 * safetensors and .npy files among them. */
const char *moire__file_kind(const char *bytes, size_t n);

bool moire__is_npy(const char *bytes, size_t n);         /* a .npy file, by its magic */
bool moire__is_safetensors(const char *bytes, size_t n); /* a safetensors file, by how its header begins */

#endif
