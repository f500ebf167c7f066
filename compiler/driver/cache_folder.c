/* Folders of the object cache. See cache_folder.h. */
#include "compiler/driver/cache_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, ROOM = 4096 };

bool moire__cache_is_private(const struct stat *about) {
  return (about->st_uid == geteuid() || about->st_uid == 0) && !(about->st_mode & (S_IWGRP | S_IWOTH));
}

/* -1. Once for a process: the compiler asks for many kernels. */
static int decline(const char *path, const char *name, const char *why, const char *mend) {
  static atomic_flag said = ATOMIC_FLAG_INIT;
  if (!atomic_flag_test_and_set(&said))
    fprintf(stderr,
            "moire: %s%s%s %s, so kernels are not kept there; %s, or name another folder in MOIRE_CACHE\n",
            path, name[0] ? "/" : "", name, why, mend);
  return -1;
}

/* Checks what was opened, or says why it could not be. `place` and `entry` name it, for stat. */
static int checked(int file, int place, const char *entry, const char *path, const char *name) {
  struct stat about;
  if (file < 0) {
    bool is_link = fstatat(place, entry, &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(about.st_mode);
    return is_link ? decline(path, name, "is a symbolic link", "remove it") : -1;
  }
  if (fstat(file, &about) == 0 && moire__cache_is_private(&about)) return file;
  bool ours = about.st_uid == geteuid() || about.st_uid == 0;
  close(file);
  return ours ? decline(path, name, "can be written to by others", "take that from them (chmod go-w)")
              : decline(path, name, "belongs to somebody else", "remove it");
}

/* Makes the folders above the last; a slash ends each. */
static bool make_parents(const char *path) {
  char part[ROOM];
  for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    int n = snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
    if (n < 0 || (size_t)n >= sizeof part || (mkdir(part, 0700) != 0 && errno != EEXIST)) return false;
  }
  return true;
}

int moire__cache_open_folder(const char *path, bool make) {
  int folder = open(path, FLAGS);
  if (folder < 0 && errno == ENOENT && make) {
    if (mkdir(path, 0700) != 0 && errno == ENOENT && make_parents(path)) mkdir(path, 0700);
    folder = open(path, FLAGS);
  }
  return checked(folder, AT_FDCWD, path, path, "");
}

int moire__cache_open_share(int folder, const char *path, const char *name, bool make) {
  int share = openat(folder, name, FLAGS);
  if (share < 0 && errno == ENOENT && make) {
    mkdirat(folder, name, 0700);
    share = openat(folder, name, FLAGS);
  }
  return checked(share, folder, name, path, name);
}
