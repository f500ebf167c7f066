/* Files of the object cache. See cache.h.
 *
 *   "moire o1"  bytes of the key (u64)  bytes of the object (u64)  hash of both (u64)  key  object
 *
 * Numbers are this machine's: the key names the target, and a cache does not travel.
 */
#include "compiler/driver/cache.h"

#include "runtime/base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char magic[8] = {'m', 'o', 'i', 'r', 'e', ' ', 'o', '1'};
static const char temporary[] = "tmp.";
enum { LARGEST = 64 << 20, HOUR = 3600, BLOCK = 4096, ROOM = 4096 };

typedef struct head {
  char magic[8];
  uint64_t key_bytes, object_bytes, hash;
} head;

moire__cache moire__cache_at(const char *folder) {
  moire__cache cache = {.limit = (int64_t)256 << 20};
  const char *chosen = folder ? folder : getenv("MOIRE_CACHE"), *below = "";
  if (!chosen && (chosen = getenv("XDG_CACHE_HOME")) && chosen[0] == '/') {
    below = "/moire";
  } else if (!folder && !getenv("MOIRE_CACHE")) {
    chosen = getenv("HOME");
    below = "/.cache/moire";
  } else if (!folder && strcmp(chosen, "off") == 0) {
    chosen = "";
  }
  if (!chosen || !chosen[0]) return cache;
  int n = snprintf(cache.folder, sizeof cache.folder, "%s%s", chosen, below);
  if (n < 0 || (size_t)n >= sizeof cache.folder) cache.folder[0] = 0;
  return cache;
}

void moire__cache_key(const moire__target *target, const moire__codegen_options *options, const char *name,
                      const char *kernel, moire__text *key) {
  moire__text_clear(key);
  moire__codegen_describe(target, options, key);
  moire__text_add(key, "%s\n%s", name, kernel);
}

static uint64_t hash_of(const moire__text *key) {
  return moire__hash_bytes((const unsigned char *)key->data, key->length);
}

/* The subfolder of a key, or of the share `i`. */
static void share_path(const moire__cache *cache, int i, char path[ROOM]) {
  snprintf(path, ROOM, "%s/%02x", cache->folder, (unsigned)i);
}

static void file_path(const moire__cache *cache, const moire__text *key, char path[ROOM]) {
  uint64_t hash = hash_of(key);
  snprintf(path, ROOM, "%s/%02x/%016llx.o", cache->folder, (unsigned)(hash >> 56), (unsigned long long)hash);
}

/* ---- finding --------------------------------------------------------------------------------------------- */

static bool read_whole(int file, char *bytes, size_t n) {
  for (size_t done = 0; done < n;) {
    ssize_t got = read(file, bytes + done, n - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += (size_t)got;
  }
  return true;
}

/* The bytes of a file, owned; NULL where it is not a plain file of ours of a likely size. */
static char *read_file(int file, size_t *n) {
  struct stat info;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != geteuid()) return NULL;
  if (info.st_size < (off_t)sizeof(head) || info.st_size > LARGEST) return NULL;
  if (info.st_mtime + HOUR < time(NULL)) futimens(file, NULL); /* it was used: see drop_oldest */
  *n = (size_t)info.st_size;
  char *bytes = moire__resize(NULL, *n);
  if (read_whole(file, bytes, *n)) return bytes;
  moire__release(bytes);
  return NULL;
}

static bool is_sound(const char *bytes, size_t n, const moire__text *key, head *h) {
  memcpy(h, bytes, sizeof *h);
  if (memcmp(h->magic, magic, sizeof magic) != 0 || h->key_bytes != key->length) return false;
  if (n - sizeof *h < h->key_bytes || n - sizeof *h - h->key_bytes != h->object_bytes) return false;
  if (memcmp(bytes + sizeof *h, key->data, key->length) != 0) return false;
  return h->hash == moire__hash_bytes((const unsigned char *)bytes + sizeof *h, n - sizeof *h);
}

bool moire__cache_find(const moire__cache *cache, const moire__text *key, moire__object *object) {
  *object = (moire__object){0};
  if (!cache->folder[0]) return false;
  char path[ROOM];
  file_path(cache, key, path);
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) return false;
  size_t n = 0;
  head h;
  char *bytes = read_file(file, &n);
  close(file);
  bool sound = bytes && is_sound(bytes, n, key, &h);
  if (sound) {
    object->size = h.object_bytes;
    memmove(bytes, bytes + n - h.object_bytes, h.object_bytes);
    object->bytes = bytes;
  } else {
    moire__release(bytes);
  }
  return sound;
}

/* ---- room ------------------------------------------------------------------------------------------------ */

typedef struct entry {
  char name[64];
  int64_t bytes;
  int64_t used; /* nanoseconds since 1970; 0: left by a writer that was killed */
} entry;

typedef struct listing {
  moire__arena arena;
  entry *entries;
  int n, capacity;
  int64_t bytes;
} listing;

/* The files of a share. Temporary files of the last hour are somebody's work; older ones nobody's. */
static void list_share(int folder, listing *l) {
  *l = (listing){0};
  int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *at = again < 0 ? NULL : fdopendir(again);
  if (!at && again >= 0) close(again);
  if (!at) return;
  for (struct dirent *d; (d = readdir(at));) {
    entry e = {.bytes = 0};
    struct stat info;
    bool fits = strlen(d->d_name) < sizeof e.name;
    if (!fits || fstatat(folder, d->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
      continue;
    bool unfinished = strncmp(d->d_name, temporary, sizeof temporary - 1) == 0;
    if (unfinished && info.st_mtime + HOUR >= time(NULL)) continue;
    strcpy(e.name, d->d_name);
    e.bytes = (info.st_size + BLOCK - 1) / BLOCK * BLOCK;
    e.used = unfinished ? 0 : (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    l->bytes += e.bytes;
    MOIRE__PUSH(&l->arena, l->entries, l->n, l->capacity, e);
  }
  closedir(at);
}

static int earlier_first(const void *a, const void *b) {
  const entry *x = a, *y = b;
  if (x->used != y->used) return x->used < y->used ? -1 : 1;
  return strcmp(x->name, y->name);
}

/* Once a share is past its limit, a quarter of it goes, so that it is not tidied at every file. */
static void drop_oldest(const moire__cache *cache, int folder) {
  int64_t limit = cache->limit / MOIRE__CACHE_SHARES;
  listing l;
  list_share(folder, &l);
  if (l.n) qsort(l.entries, (size_t)l.n, sizeof *l.entries, earlier_first);
  bool full = l.bytes > limit;
  for (int i = 0; i < l.n; i++) {
    bool unfinished = l.entries[i].used == 0;
    if (!unfinished && !(full && l.bytes > limit / 4 * 3)) break;
    if (unlinkat(folder, l.entries[i].name, 0) == 0) l.bytes -= l.entries[i].bytes;
  }
  moire__arena_free(&l.arena);
}

/* ---- keeping --------------------------------------------------------------------------------------------- */

/* Makes the folder and those above it; only its owner may write to the last. */
static bool make_folder(const char *path) {
  char part[ROOM];
  if (mkdir(path, 0700) == 0 || errno == EEXIST) return true;
  if (errno != ENOENT) return false;
  for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
    if (mkdir(part, 0700) != 0 && errno != EEXIST) return false;
  }
  return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static bool write_whole(int file, const void *bytes, size_t n) {
  const char *from = bytes;
  for (size_t done = 0; done < n;) {
    ssize_t put = write(file, from + done, n - done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    done += (size_t)put;
  }
  return true;
}

void moire__cache_keep(const moire__cache *cache, const moire__text *key, const moire__object *object) {
  char share[ROOM], path[ROOM], name[ROOM];
  if (!cache->folder[0] || key->length + object->size > LARGEST - sizeof(head)) return;
  uint64_t hash = hash_of(key);
  share_path(cache, (int)(hash >> 56), share);
  file_path(cache, key, path);
  int n = snprintf(name, sizeof name, "%s/%sXXXXXX", share, temporary);
  if (n < 0 || (size_t)n >= sizeof name || !make_folder(share)) return;
  int file = mkostemp(name, O_CLOEXEC);
  if (file < 0) return;
  moire__text body = {0};
  moire__text_add_bytes(&body, key->data, key->length);
  moire__text_add_bytes(&body, object->bytes, object->size);
  head h = {.key_bytes = key->length,
            .object_bytes = object->size,
            .hash = moire__hash_bytes((const unsigned char *)body.data, body.length)};
  memcpy(h.magic, magic, sizeof magic);
  bool good = write_whole(file, &h, sizeof h) && write_whole(file, body.data, body.length);
  good = close(file) == 0 && good && rename(name, path) == 0;
  if (!good) unlink(name);
  moire__text_free(&body);
  int folder = hash % 8 ? -1 : open(share, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* now and then */
  if (folder < 0) return;
  drop_oldest(cache, folder);
  close(folder);
}

void moire__cache_count(const moire__cache *cache, bool remove, int64_t *objects, int64_t *bytes) {
  *objects = *bytes = 0;
  for (int i = 0; cache->folder[0] && i < MOIRE__CACHE_SHARES; i++) {
    char share[ROOM];
    listing l;
    share_path(cache, i, share);
    int folder = open(share, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) continue;
    list_share(folder, &l);
    *objects += l.n;
    *bytes += l.bytes;
    for (int e = 0; remove && e < l.n; e++) unlinkat(folder, l.entries[e].name, 0);
    moire__arena_free(&l.arena);
    close(folder);
    if (remove) rmdir(share);
  }
}
