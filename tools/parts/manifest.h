/* What a part's file says of itself: PART.json beside PART, written when PART is complete.
 *
 * Its keys: format ("moire-part/1"), verb, task, part, parts, form, unit, first, rows, of, bytes, checksum,
 * model, data, call, program and column; docs/parts.md shows one and says what they mean.
 */
#ifndef MOIRE_TOOLS_PARTS_MANIFEST_H
#define MOIRE_TOOLS_PARTS_MANIFEST_H

#include "runtime/base/memory.h"
#include "tasks/part.h"

#include "moire/status.h"

#define TOOL_MANIFEST_SUFFIX ".json"

/* Strings are borrowed by who writes one, and in the arena of who reads one. Hashes are 16 hexadecimal digits.
 */
typedef struct tool_manifest {
  const char *verb, *task, *checksum, *model, *data, *call, *program;
  const char *column; /* of measures in a table; "": JSON */
  moire__part part;
  int64_t bytes;
} tool_manifest;

/* Of PART at `path`, to or from PART.json. Reading checks that PART is there as it was written. */
moire_status tool_manifest_write(const char *path, const tool_manifest *manifest, moire_error *error);
moire_status tool_manifest_read(const char *path, moire__arena *arena, tool_manifest *out, moire_error *error);

/* The hash of a file's bytes, and their number. */
typedef char tool_hash_text[17];
moire_status tool_hash_file(const char *path, tool_hash_text out, int64_t *bytes, moire_error *error);

#endif
