/* Which tensor of a checkpoint a state is: the one of its name, or, where the checkpoint comes from PyTorch,
 *
 *   the one whose name is the state's once the prefixes of wrappers are gone: "module." of DataParallel at the
 *   front, and "_orig_mod." of torch.compile anywhere;
 *   a plane of a complex one: the states NAME.real and NAME.imag are those of a tensor NAME of C64 (or .re and
 *   .im, _real and _imag, _re and _im, _r and _i).
 */
#ifndef MOIRE_RUNTIME_FILES_CHECKPOINT_NAMES_H
#define MOIRE_RUNTIME_FILES_CHECKPOINT_NAMES_H

#include "runtime/base/memory.h"
#include "runtime/files/safetensors.h"

typedef struct moire__checkpoint_name {
  const char *name;
  int index; /* of the tensor */
} moire__checkpoint_name;

/* The names of a file's tensors, which outlives them. All memory is the arena's. */
typedef struct moire__checkpoint_names {
  const moire__safetensors *file;
  moire__checkpoint_name *full, *bare; /* [n], each sorted by its names, as they are and without prefixes */
  const char **bare_of;                /* [n], of each tensor its name without prefixes */
  int n;
  moire__arena arena;
} moire__checkpoint_names;

void moire__checkpoint_names_read(moire__checkpoint_names *names, const moire__safetensors *file);
void moire__checkpoint_names_free(moire__checkpoint_names *names);

typedef enum moire__checkpoint_plane {
  MOIRE__PLANE_WHOLE, /* the tensor as it is */
  MOIRE__PLANE_REAL,
  MOIRE__PLANE_IMAGINARY,
} moire__checkpoint_plane;

typedef struct moire__weight {
  int index; /* of the tensor in the file; -1: there is none */
  moire__checkpoint_plane plane;
} moire__weight;

/* The tensor of a state. Two that differ in their prefixes alone are an error. */
moire_status moire__checkpoint_names_find(const moire__checkpoint_names *names, const char *state,
                                          moire__weight *out, moire_error *error);

#endif
