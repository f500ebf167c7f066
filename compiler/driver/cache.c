/* Files of the object cache. See cache.h.
 *
 *   "moire o1"  bytes of the key (u64)  bytes of the object (u64)  hash of both (u64)  key  object
 *
 * Numbers are this machine's: the key names the target, and a cache does not travel.
 */
#include "compiler/driver/cache.h"

#include "compiler/driver/cache_folder.h"
#include "runtime/base/hash.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char magic[8] = {'m', 'o', 'i', 'r', 'e', ' ', 'o', '1'};
/* Temporary files are "moire.", six letters or digits, ".tmp"; objects sixteen hexadecimal digits, ".o". */
static const char prefix[] = "moire.", suffix[] = ".tmp";
enum { LARGEST = 64 << 20, HOUR = 3600, BLOCK = 4096, RANDOM = 6, DIGITS = 16, NAME = 24 };

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
  for (n = (int)strlen(cache.folder); n > 1 && cache.folder[n - 1] == '/'; n--)
    cache.folder[n - 1] = 0; /* with a slash at its end, a link would be followed */
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

/* The subfolder of a key, and the name of its file there. */
typedef struct place {
  char share[4], file[NAME];
} place;

static place place_of(uint64_t hash) {
  place p;
  snprintf(p.share, sizeof p.share, "%02x", (unsigned)(hash >> 56));
  snprintf(p.file, sizeof p.file, "%016llx.o", (unsigned long long)hash);
  return p;
}

/* A subfolder, or -1. */
static int open_share(const moire__cache *cache, const char *name, bool make) {
  if (!cache->folder[0]) return -1;
  int folder = moire__cache_open_folder(cache->folder, make);
  if (folder < 0) return -1;
  int share = moire__cache_open_share(folder, cache->folder, name, make);
  close(folder);
  return share;
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

/* The bytes of a file, owned; NULL where it is not a plain file of a likely size that only its owner can write.
 */
static char *read_file(int file, size_t *n) {
  struct stat info;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || !moire__cache_is_private(&info)) return NULL;
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
  place at = place_of(hash_of(key));
  int share = open_share(cache, at.share, false);
  if (share < 0) return false;
  int file = openat(share, at.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  close(share);
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
  char name[NAME];
  int64_t bytes;
  int64_t used; /* nanoseconds since 1970; 0: left by a writer that was killed */
} entry;

typedef struct listing {
  moire__arena arena;
  entry *entries;
  int n, capacity;
  int64_t bytes;
} listing;

static bool is_object_name(const char *name) {
  return strspn(name, "0123456789abcdef") == DIGITS && strcmp(name + DIGITS, ".o") == 0;
}

static bool is_temporary_name(const char *name) {
  size_t n = sizeof prefix - 1;
  if (strncmp(name, prefix, n) != 0 || strlen(name) != n + RANDOM + sizeof suffix - 1) return false;
  for (size_t i = n; i < n + RANDOM; i++) {
    if (!isalnum((unsigned char)name[i])) return false;
  }
  return strcmp(name + n + RANDOM, suffix) == 0;
}

/* Is it a plain file of the user's that begins as the cache's do? An empty one may be a temporary file. */
static bool is_ours(int folder, const char *name, bool temporary, struct stat *info) {
  char begin[sizeof magic];
  if (fstatat(folder, name, info, AT_SYMLINK_NOFOLLOW) != 0) return false;
  if (!S_ISREG(info->st_mode) || info->st_uid != geteuid()) return false;
  if (temporary && info->st_size == 0) return true;
  int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) return false;
  bool ours = read_whole(file, begin, sizeof begin) && memcmp(begin, magic, sizeof magic) == 0;
  close(file);
  return ours;
}

/* The cache's own files in a share. Temporary files of the last hour are somebody's work; older ones nobody's.
 */
static void list_share(int folder, listing *l) {
  *l = (listing){0};
  int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *at = again < 0 ? NULL : fdopendir(again);
  if (!at && again >= 0) close(again);
  if (!at) return;
  for (struct dirent *d; (d = readdir(at));) {
    entry e = {.bytes = 0};
    struct stat info;
    bool unfinished = is_temporary_name(d->d_name);
    if (!unfinished && !is_object_name(d->d_name)) continue;
    if (!is_ours(folder, d->d_name, unfinished, &info)) continue;
    if (unfinished && info.st_mtime + HOUR >= time(NULL)) continue;
    snprintf(e.name, sizeof e.name, "%.*s", (int)sizeof e.name - 1, d->d_name); /* both kinds of names fit */
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

/* A new file of a name of its own, which goes to `name`; -1: none. */
static int make_temporary(int share, char name[NAME]) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  enum { TRIES = 20 };
  for (int i = 0; i < TRIES; i++) {
    char random[RANDOM + 1] = {0};
    if (getrandom(random, RANDOM, 0) != RANDOM) return -1;
    for (int r = 0; r < RANDOM; r++) random[r] = letters[(unsigned char)random[r] % (sizeof letters - 1)];
    snprintf(name, NAME, "%s%s%s", prefix, random, suffix);
    int file = openat(share, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file >= 0 || errno != EEXIST) return file;
  }
  return -1;
}

/* Nothing lies under the name but, perhaps, a plain file of the user's: an object, whole or damaged. */
static bool may_replace(int share, const char *name) {
  struct stat info;
  if (fstatat(share, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT;
  return S_ISREG(info.st_mode) && info.st_uid == geteuid();
}

static void keep_in(int share, const char *name, const moire__text *key, const moire__object *object) {
  char unfinished[NAME];
  int file = may_replace(share, name) ? make_temporary(share, unfinished) : -1;
  if (file < 0) return;
  moire__text body = {0};
  moire__text_add_bytes(&body, key->data, key->length);
  moire__text_add_bytes(&body, object->bytes, object->size);
  head h = {.key_bytes = key->length,
            .object_bytes = object->size,
            .hash = moire__hash_bytes((const unsigned char *)body.data, body.length)};
  memcpy(h.magic, magic, sizeof magic);
  bool good = write_whole(file, &h, sizeof h) && write_whole(file, body.data, body.length);
  good = close(file) == 0 && good && renameat(share, unfinished, share, name) == 0;
  if (!good) unlinkat(share, unfinished, 0);
  moire__text_free(&body);
}

void moire__cache_keep(const moire__cache *cache, const moire__text *key, const moire__object *object) {
  if (key->length + object->size > LARGEST - sizeof(head)) return;
  uint64_t hash = hash_of(key);
  place at = place_of(hash);
  int share = open_share(cache, at.share, true);
  if (share < 0) return;
  keep_in(share, at.file, key, object);
  if (hash % 8 == 0) drop_oldest(cache, share); /* now and then */
  close(share);
}

/* Counts, and removes, what is in a share. */
static void count_share(int folder, const char *path, const char *name, bool remove, listing *total) {
  listing l;
  int share = moire__cache_open_share(folder, path, name, false), removed = 0;
  if (share < 0) return;
  list_share(share, &l);
  total->n += l.n;
  total->bytes += l.bytes;
  for (int e = 0; remove && e < l.n; e++) removed += unlinkat(share, l.entries[e].name, 0) == 0;
  moire__arena_free(&l.arena);
  close(share);
  if (removed) unlinkat(folder, name, AT_REMOVEDIR); /* fails where something else is left */
}

void moire__cache_count(const moire__cache *cache, bool remove, int64_t *objects, int64_t *bytes) {
  listing total = {0};
  int folder = cache->folder[0] ? moire__cache_open_folder(cache->folder, false) : -1;
  for (int i = 0; folder >= 0 && i < MOIRE__CACHE_SHARES; i++)
    count_share(folder, cache->folder, place_of((uint64_t)i << 56).share, remove, &total);
  if (folder >= 0) close(folder);
  *objects = total.n;
  *bytes = total.bytes;
}
