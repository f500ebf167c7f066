/* The object cache: compiled kernels on disk, found by everything that their code depends on.
 *
 * A kernel's key is text: what codegen.h's moire__codegen_describe says, and the kernel as it prints. Its file,
 * FOLDER/xx/<hash of the key>.o, holds the key itself, the object, and a checksum of both. A file that is not
 * exactly what was once written (cut short, changed, of another format, somebody else's) is as good as none,
 * and the next one that is kept takes its place.
 *
 * Any number of processes and threads may use one folder: a file appears whole under its name by a rename, so a
 * process that is killed while it writes leaves nothing but a temporary file, which is removed after an hour.
 * The folder stays below its limit: a subfolder that grows past its share loses the files that were not used
 * for longest. Only files of the cache's own (their name, their first bytes, their owner) are counted or
 * removed, and only folders that nobody else can change are used (cache_folder.h). Nothing here fails: what
 * cannot be read is compiled, and what cannot be written is not kept.
 */
#ifndef MOIRE_COMPILER_DRIVER_CACHE_H
#define MOIRE_COMPILER_DRIVER_CACHE_H

#include "compiler/codegen/codegen.h"

typedef struct moire__cache {
  char folder[3840]; /* empty: nothing is kept */
  int64_t limit;     /* bytes */
} moire__cache;

enum { MOIRE__CACHE_SHARES = 256 }; /* subfolders */

/* The cache in `folder`; NULL: in $MOIRE_CACHE if that is set ("" and "off": none), else in moire/ in
 * $XDG_CACHE_HOME or ~/.cache; "": none. At most 256 MiB. */
moire__cache moire__cache_at(const char *folder);

/* The key of a kernel as text. */
void moire__cache_key(const moire__target *target, const moire__codegen_options *options, const char *name,
                      const char *kernel, moire__text *key);
/* The object that was kept under the key; false, and `object` empty, if there is none. */
bool moire__cache_find(const moire__cache *cache, const moire__text *key, moire__object *object);
void moire__cache_keep(const moire__cache *cache, const moire__text *key, const moire__object *object);

/* What the folder holds: objects and bytes. `remove`: removes it all. */
void moire__cache_count(const moire__cache *cache, bool remove, int64_t *objects, int64_t *bytes);

#endif
