/* A model's weights as they are published: one safetensors file, several with an index, or a folder of these,
 * with config.json beside them. */
#ifndef MOIRE_RUNTIME_FILES_WEIGHTS_H
#define MOIRE_RUNTIME_FILES_WEIGHTS_H

#include "runtime/files/safetensors.h"

/* `path` is a safetensors file; NAME.safetensors.index.json, whose "weight_map" says which tensor lies in which
 * file beside it; or a folder with model.safetensors or model.safetensors.index.json. Several files become one,
 * with the tensors of all. *out is owned (moire__safetensors_close). */
moire_status moire__weights_open(const char *path, moire__safetensors **out, moire_error *error);

/* The text of config.json in the folder, or beside the file: owned (moire__release), NULL if there is none.
 * *file is its path, owned likewise. */
char *moire__weights_config(const char *path, char **file);

#endif
