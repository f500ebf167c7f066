/* Scratch directories and the reference material. */
#include "files.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void stop(const char *what, const char *path) {
  fprintf(stderr, "test: %s: %s\n", path, what);
  abort();
}

void test_make_directory(test_path out) {
  const char *parent = getenv("TMPDIR");
  snprintf(out, sizeof(test_path), "%s/moire-test-XXXXXX", parent && *parent ? parent : "/tmp");
  if (!mkdtemp(out)) stop("cannot be made", out);
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *place) {
  (void)about;
  (void)kind;
  (void)place;
  return remove(path);
}

void test_remove_directory(const char *directory) { nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS); }

const char *test_join(const char *directory, const char *name, test_path out) {
  int length = snprintf(out, sizeof(test_path), "%s/%s", directory, name);
  if (length < 0 || (size_t)length >= sizeof(test_path)) stop("is too long", name);
  return out;
}

void test_write_file(const char *path, const void *bytes, size_t n) {
  FILE *file = fopen(path, "wb");
  if (!file || (n && fwrite(bytes, 1, n, file) != n) || fclose(file)) stop("cannot be written", path);
}

int test_count_files(const char *directory) {
  DIR *open = opendir(directory);
  if (!open) stop("cannot be listed", directory);
  int count = 0;
  for (const struct dirent *entry = readdir(open); entry; entry = readdir(open)) {
    count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
  }
  closedir(open);
  return count;
}

const char *test_shared(const char *name, test_path out) {
  const char *root = getenv("SOURCE_DIR");
  snprintf(out, sizeof(test_path), "%s/../shared/%s", root && *root ? root : ".", name);
  if (access(out, R_OK) == 0) return out;
  fprintf(stderr, "skipped: ../shared/%s is not there\n", name);
  return NULL;
}
