/* ZIP archives, by libzip. See archive.h. */
#include "compiler/import/torch/archive.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/files/mapping.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#ifdef MOIRE_HAVE_LIBZIP

#include <zip.h>

typedef struct entry {
  const char *name; /* without the common folder */
  uint64_t size;
} entry;

struct moire__archive {
  moire__arena arena;
  const char *path;
  moire__mapping mapping; /* of the file, where the archive is one */
  zip_t *zip;
  entry *entries;
  int n;
};

static moire_status refuse(const moire__archive *a, const char *name, const char *why, moire_error *error) {
  moire__printable_buffer shown;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: the entry %s: %s", a->path,
                    moire__printable(name, strlen(name), shown), why);
}

static moire_status describe(moire__archive *a, zip_uint64_t index, uint64_t *room, moire_error *error) {
  zip_stat_t stat;
  const zip_uint64_t wanted = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
  zip_stat_init(&stat);
  if (zip_stat_index(a->zip, index, 0, &stat) || (stat.valid & wanted) != wanted)
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: entry %" PRIu64 " of the archive cannot be read", a->path,
                      (uint64_t)index);
  if (stat.comp_method != ZIP_CM_STORE)
    return refuse(a, stat.name, "is compressed; torch.export stores what it writes as it is", error);
  if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) && stat.encryption_method != ZIP_EM_NONE)
    return refuse(a, stat.name, "is encrypted", error);
  if (stat.size != stat.comp_size) return refuse(a, stat.name, "is stored, but its two sizes differ", error);
  if (stat.size > *room) return refuse(a, stat.name, "claims more bytes than the file has room for", error);
  *room -= stat.size;
  a->entries[index] = (entry){moire__arena_copy_string(&a->arena, stat.name), stat.size};
  return MOIRE_OK;
}

/* Cuts off the folder that all entries lie in. */
static void cut_folder(moire__archive *a) {
  const char *first = a->n ? a->entries[0].name : "", *slash = strchr(first, '/');
  size_t n = slash ? (size_t)(slash - first) + 1 : 0;
  for (int i = 0; i < a->n; i++) {
    if (strncmp(a->entries[i].name, first, n) != 0) n = 0;
  }
  for (int i = 0; i < a->n; i++) a->entries[i].name += n;
}

static moire_status read_directory(moire__archive *a, size_t bytes, moire_error *error) {
  enum { MOST_ENTRIES = 1000000 };
  zip_int64_t n = zip_get_num_entries(a->zip, 0);
  if (n < 0 || n > MOST_ENTRIES ||
      (uint64_t)n > bytes / 46) /* the least that an entry takes in the directory */
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: the archive claims %" PRId64 " entries", a->path,
                      (int64_t)n);
  a->n = (int)n;
  a->entries = moire__arena_array(&a->arena, (size_t)n + 1, sizeof *a->entries);
  uint64_t room = bytes;
  moire_status status = MOIRE_OK;
  for (zip_int64_t i = 0; i < n && !status; i++) status = describe(a, (zip_uint64_t)i, &room, error);
  if (!status) cut_folder(a);
  return status;
}

static moire_status open_zip(moire__archive *a, const void *bytes, size_t n, moire_error *error) {
  zip_error_t reason;
  zip_error_init(&reason);
  zip_source_t *source = zip_source_buffer_create(bytes, n, 0, &reason);
  if (source) a->zip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &reason);
  if (source && !a->zip) zip_source_free(source);
  if (!a->zip)
    moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is no archive of torch.export: %s", a->path,
               zip_error_strerror(&reason));
  zip_error_fini(&reason);
  return a->zip ? read_directory(a, n, error) : MOIRE_ERROR_FORMAT;
}

moire_status moire__archive_open_bytes(const char *path, const void *bytes, size_t n, moire__archive **out,
                                       moire_error *error) {
  moire__archive *a = moire__allocate(sizeof *a);
  a->path = moire__arena_copy_string(&a->arena, path);
  moire_status status = open_zip(a, bytes, n, error);
  if (status) moire__archive_close(a);
  if (!status) *out = a;
  return status;
}

moire_status moire__archive_open(const char *path, moire__archive **out, moire_error *error) {
  moire__mapping mapping = {0};
  moire_status status = moire__file_map(path, &mapping, error);
  if (!status) status = moire__archive_open_bytes(path, mapping.bytes, mapping.n, out, error);
  if (status) moire__file_unmap(&mapping);
  if (!status) (*out)->mapping = mapping;
  return status;
}

void moire__archive_close(moire__archive *a) {
  if (!a) return;
  if (a->zip) zip_discard(a->zip);
  moire__file_unmap(&a->mapping);
  moire__arena_free(&a->arena);
  moire__release(a);
}

int moire__archive_count(const moire__archive *a) { return a->n; }

const char *moire__archive_name(const moire__archive *a, int index) { return a->entries[index].name; }

int moire__archive_find(const moire__archive *a, const char *name) {
  for (int i = 0; i < a->n; i++) {
    if (!strcmp(a->entries[i].name, name)) return i;
  }
  return -1;
}

moire_status moire__archive_read(moire__archive *a, int index, char **bytes, size_t *n, moire_error *error) {
  const entry *e = &a->entries[index];
  zip_file_t *file = zip_fopen_index(a->zip, (zip_uint64_t)index, 0);
  if (!file) return refuse(a, e->name, zip_strerror(a->zip), error);
  char *data = moire__allocate((size_t)e->size + 1);
  uint64_t got = 0;
  while (got < e->size) {
    zip_int64_t more = zip_fread(file, data + got, e->size - got);
    if (more <= 0) break;
    got += (uint64_t)more;
  }
  char beyond; /* reading past the end is what has the checksum compared */
  bool whole = got == e->size && zip_fread(file, &beyond, 1) == 0;
  zip_fclose(file);
  if (!whole) {
    moire__release(data);
    return refuse(a, e->name, "is cut short, or its bytes are not those that its checksum was made of", error);
  }
  *bytes = data;
  *n = (size_t)e->size;
  return MOIRE_OK;
}

#else

static moire_status lacking(const char *path, moire_error *error) {
  return moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                    "%s: this Moire was built without libzip, which reads such files: install libzip-dev and "
                    "build again",
                    path);
}

moire_status moire__archive_open(const char *path, moire__archive **out, moire_error *error) {
  (void)out;
  return lacking(path, error);
}

moire_status moire__archive_open_bytes(const char *path, const void *bytes, size_t n, moire__archive **out,
                                       moire_error *error) {
  (void)bytes;
  (void)n;
  (void)out;
  return lacking(path, error);
}

/* No archive is ever open here. */
void moire__archive_close(moire__archive *archive) { (void)archive; }

int moire__archive_count(const moire__archive *archive) {
  (void)archive;
  return 0;
}

const char *moire__archive_name(const moire__archive *archive, int index) {
  (void)archive;
  (void)index;
  return "";
}

int moire__archive_find(const moire__archive *archive, const char *name) {
  (void)archive;
  (void)name;
  return -1;
}

moire_status moire__archive_read(moire__archive *archive, int index, char **bytes, size_t *n,
                                 moire_error *error) {
  (void)archive;
  (void)index;
  (void)bytes;
  (void)n;
  return lacking("the archive", error);
}

#endif
