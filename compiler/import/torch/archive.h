/* ZIP archives as torch.export writes them: entries that are stored as they are, nothing compressed.
 *
 * What an entry claims is checked against the file before anything is allocated: a stored entry is as long as
 * it lies there, so all of them together are no longer than the file, whatever their headers say. Entries that
 * are compressed, encrypted, doubled, or that lie across each other are refused.
 */
#ifndef MOIRE_COMPILER_IMPORT_ARCHIVE_H
#define MOIRE_COMPILER_IMPORT_ARCHIVE_H

#include "moire/status.h"

#include <stddef.h>

typedef struct moire__archive moire__archive;

/* Opens the file at `path`; *out is owned (moire__archive_close). Without libzip at build time: a sentence. */
moire_status moire__archive_open(const char *path, moire__archive **out, moire_error *error);
/* The same of n bytes, borrowed until it is closed; `path` names them in sentences. */
moire_status moire__archive_open_bytes(const char *path, const void *bytes, size_t n, moire__archive **out,
                                       moire_error *error);
void moire__archive_close(moire__archive *archive); /* NULL is fine */

int moire__archive_count(const moire__archive *archive);
/* The entry's name, without the folder that all of them lie in. */
const char *moire__archive_name(const moire__archive *archive, int index);
/* The index of the entry of that name, -1 if there is none. */
int moire__archive_find(const moire__archive *archive, const char *name);
/* The bytes of an entry, with a NUL behind them: owned (moire__release); their checksum is the archive's. */
moire_status moire__archive_read(moire__archive *archive, int index, char **bytes, size_t *n,
                                 moire_error *error);

#endif
