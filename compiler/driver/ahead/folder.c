/* The folder beside the results in which they are made, and the renaming at the end. */
#include "compiler/driver/ahead/ahead.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char *join(const char *folder, const char *path) {
  moire__text text = {0};
  moire__text_add(&text, "%s/%s", folder, path);
  char *joined = strdup(moire__text_string(&text));
  moire__text_free(&text);
  return joined;
}

/* The folders that are there, of all threads. Whoever holds the lock may remove them. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static moire__ahead_folder *folders;

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where) {
  (void)info;
  (void)kind;
  (void)where;
  return remove(path);
}

/* Is it a folder ".moire.PROCESS.XXXXXX" of the user's whose process is no more? */
static bool is_left(int directory, const char *name) {
  char rest[8];
  int process = 0, length = 0;
  struct stat info;
  if (sscanf(name, ".moire.%d.%7[A-Za-z0-9]%n", &process, rest, &length) != 2 || name[length] ||
      strlen(rest) != 6)
    return false;
  if (process <= 0 || kill(process, 0) == 0 || errno != ESRCH) return false;
  return fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode) &&
         info.st_uid == geteuid();
}

/* What was killed before it could. */
static void remove_left(const char *directory) {
  DIR *at = opendir(directory);
  for (struct dirent *d; at && (d = readdir(at));) {
    if (!is_left(dirfd(at), d->d_name)) continue;
    char *path = join(directory, d->d_name);
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
  }
  if (at) closedir(at);
}

moire_status moire__ahead_folder_make(moire__ahead_folder *folder, const char *directory, moire_error *error) {
  char name[40];
  remove_left(directory);
  snprintf(name, sizeof name, ".moire.%ld.XXXXXX", (long)getpid());
  folder->path = join(directory, name);
  pthread_mutex_lock(&lock);
  char *made = mkdtemp(folder->path);
  int cause = errno;
  folder->next = folders;
  if (made) folders = folder;
  pthread_mutex_unlock(&lock);
  if (!made) {
    free(folder->path);
    folder->path = NULL;
    return moire_fail(error, MOIRE_ERROR_IO, "%s: a folder to work in could not be made: %s", directory,
                      strerror(cause));
  }
  folder->log = join(folder->path, "log");
  return MOIRE_OK;
}

void moire__ahead_folder_remove(moire__ahead_folder *folder) {
  pthread_mutex_lock(&lock);
  if (folder->path) {
    nftw(folder->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    moire__ahead_folder **at = &folders;
    while (*at != folder) at = &(*at)->next;
    *at = folder->next;
  }
  pthread_mutex_unlock(&lock);
  free(folder->path);
  free(folder->log);
  *folder = (moire__ahead_folder){0};
}

/* A file that is written meanwhile may keep a folder from going: again, then. */
void moire__ahead_abandon(void) {
  pthread_mutex_lock(&lock);
  for (const moire__ahead_folder *f = folders; f; f = f->next) {
    for (int i = 0; i < 10 && nftw(f->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT; i++)
      nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
}

static void make_parents(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    mkdir(path, 0777);
    *slash = '/';
  }
}

moire_status moire__ahead_folder_write(const moire__ahead_folder *folder, const char *path, const void *bytes,
                                       size_t n, moire_error *error) {
  char *whole = join(folder->path, path);
  make_parents(whole);
  FILE *file = fopen(whole, "wb");
  bool good = file && fwrite(bytes, 1, n, file) == n;
  if (file && fclose(file)) good = false;
  moire_status status = MOIRE_OK;
  if (!good) status = moire_fail(error, MOIRE_ERROR_IO, "%s: could not be written: %s", whole, strerror(errno));
  free(whole);
  return status;
}

static bool is_folder(const char *path) {
  struct stat info;
  return !stat(path, &info) && S_ISDIR(info.st_mode);
}

static moire_status sync_file(const char *path, moire_error *error) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  int failure = file < 0 ? -1 : fsync(file);
  int cause = errno;
  if (file >= 0) close(file);
  return failure ? moire_fail(error, MOIRE_ERROR_IO, "%s: %s", path, strerror(cause)) : MOIRE_OK;
}

/* The folder of a file that lies in one of its own: it may be there. */
static moire_status make_folder_of(char *path, moire_error *error) {
  char *slash = strrchr(path, '/');
  moire_status status = MOIRE_OK;
  *slash = 0;
  if (mkdir(path, 0777) && (errno != EEXIST || !is_folder(path)))
    status = moire_fail(error, MOIRE_ERROR_IO, "%s: a folder could not be made: %s", path, strerror(errno));
  *slash = '/';
  return status;
}

/* What can fail is tried before anything is replaced. */
moire_status moire__ahead_folder_publish(const moire__ahead_folder *folder, const char *directory,
                                         const char *const *files, moire_error *error) {
  moire_status status = MOIRE_OK;
  pthread_mutex_lock(&lock);
  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; files[i] && !status; i++) {
      char *from = join(folder->path, files[i]), *to = join(directory, files[i]);
      if (pass == 0) {
        status = sync_file(from, error);
        if (!status && strchr(files[i], '/')) status = make_folder_of(to, error);
        if (!status && is_folder(to)) status = moire_fail(error, MOIRE_ERROR_IO, "%s: is a folder", to);
      } else if (rename(from, to)) {
        status = moire_fail(error, MOIRE_ERROR_IO, "%s: could not be written: %s", to, strerror(errno));
      }
      free(from);
      free(to);
    }
  }
  pthread_mutex_unlock(&lock);
  return status;
}
