/* The folders of the object cache, opened so that nobody else decides what lies in them.
 *
 * What a cache loads is code. So no folder of it is reached through a symbolic link, and each belongs to the
 * user or to root and cannot be written to by others; what lies in it is opened relative to it. A folder that
 * is not so is not used, which is said once on stderr. One that is not there, or cannot be opened, is merely
 * none.
 */
#ifndef MOIRE_COMPILER_DRIVER_CACHE_FOLDER_H
#define MOIRE_COMPILER_DRIVER_CACHE_FOLDER_H

#include <stdbool.h>
#include <sys/stat.h>

/* Of a file or folder: does it belong to the user or to root, and may nobody else write to it? */
bool moire__cache_is_private(const struct stat *about);

/* The folder, or -1. `make`: makes it, and those above it, if it is not there; only its owner may enter. */
int moire__cache_open_folder(const char *path, bool make);
/* Its subfolder `name`. `path` is that of the folder, for what is said. */
int moire__cache_open_share(int folder, const char *path, const char *name, bool make);

#endif
