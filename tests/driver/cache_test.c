/* The object cache: what is kept is found as it was or not at all, whatever happens to the files. */
#include <criterion/criterion.h>

#include "compiler/driver/cache.h"
#include "runtime/base/hash.h"
#include "runtime/base/philox.h"
#include "tests/support/files.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static moire__text key_of(int i) {
  moire__text key = {0};
  static const moire__target target = {.name = "test", .features = "+none"};
  moire__cache_key(&target, NULL, "name", "kernel text", &key);
  moire__text_add(&key, " %d", i);
  return key;
}

/* Bytes that belong to key i alone. */
static moire__object object_of(int i) {
  moire__object object = {moire__allocate(1000), 1000};
  moire__random random = moire__random_start(7, (uint64_t)i);
  for (size_t b = 0; b < object.size; b++) object.bytes[b] = (char)moire__random_bits(&random);
  return object;
}

static void keep(const moire__cache *cache, int i) {
  moire__text key = key_of(i);
  moire__object object = object_of(i);
  moire__cache_keep(cache, &key, &object);
  moire__object_free(&object);
  moire__text_free(&key);
}

/* 1: it is there; 0: it is not; -1: something else is there. */
static int find(const moire__cache *cache, int i) {
  moire__text key = key_of(i);
  moire__object want = object_of(i), got;
  int found = moire__cache_find(cache, &key, &got);
  if (found && (got.size != want.size || memcmp(got.bytes, want.bytes, want.size) != 0)) found = -1;
  if (!found) cr_assert(!got.bytes && !got.size);
  moire__object_free(&got);
  moire__object_free(&want);
  moire__text_free(&key);
  return found;
}

static moire__cache fresh(test_path directory) {
  test_make_directory(directory);
  return moire__cache_at(directory);
}

/* The path of the only file. */
static void only_file(const char *directory, char path[800]) {
  char command[900];
  snprintf(command, sizeof command, "find '%s' -type f", directory);
  FILE *answer = popen(command, "r");
  cr_assert(fgets(path, 800, answer));
  path[strcspn(path, "\n")] = 0;
  pclose(answer);
}

Test(cache, what_is_kept_is_found) {
  test_path directory;
  moire__cache cache = fresh(directory);
  int64_t n = 0, bytes = 0;
  cr_assert_eq(find(&cache, 1), 0);
  for (int i = 0; i < 20; i++) keep(&cache, i);
  for (int i = 0; i < 20; i++) cr_assert_eq(find(&cache, i), 1);
  cr_assert_eq(find(&cache, 20), 0);
  moire__cache_count(&cache, false, &n, &bytes);
  cr_assert(n == 20 && bytes >= 20 * 1000);
  moire__cache_count(&cache, true, &n, &bytes);
  cr_assert_eq(n, 20);
  moire__cache_count(&cache, false, &n, &bytes);
  cr_assert(n == 0 && bytes == 0);
  cr_assert_eq(find(&cache, 1), 0);
  test_remove_directory(directory);
}

Test(cache, where_it_lies) {
  moire__cache cache = moire__cache_at("");
  cr_assert_str_eq(cache.folder, "");
  keep(&cache, 1);
  cr_assert_eq(find(&cache, 1), 0);
  setenv("HOME", "/somebody", 1);
  unsetenv("MOIRE_CACHE");
  unsetenv("XDG_CACHE_HOME");
  cr_assert_str_eq(moire__cache_at(NULL).folder, "/somebody/.cache/moire");
  setenv("XDG_CACHE_HOME", "not/absolute", 1);
  cr_assert_str_eq(moire__cache_at(NULL).folder, "/somebody/.cache/moire");
  setenv("XDG_CACHE_HOME", "/caches", 1);
  cr_assert_str_eq(moire__cache_at(NULL).folder, "/caches/moire");
  setenv("MOIRE_CACHE", "off", 1);
  cr_assert_str_eq(moire__cache_at(NULL).folder, "");
  setenv("MOIRE_CACHE", "", 1);
  cr_assert_str_eq(moire__cache_at(NULL).folder, "");
  setenv("MOIRE_CACHE", "/elsewhere", 1);
  cr_assert_str_eq(moire__cache_at(NULL).folder, "/elsewhere");
  cr_assert_str_eq(moire__cache_at("/here").folder, "/here");
  unsetenv("HOME");
  unsetenv("MOIRE_CACHE");
  unsetenv("XDG_CACHE_HOME");
  cr_assert_str_eq(moire__cache_at(NULL).folder, "");
}

/* Any change of any byte, and any other length, is as good as no file; keeping again repairs it. */
Test(cache, damaged_files_are_none) {
  test_path directory;
  char path[800];
  moire__cache cache = fresh(directory);
  keep(&cache, 1);
  only_file(directory, path);
  struct stat info;
  cr_assert_eq(stat(path, &info), 0);
  size_t n = (size_t)info.st_size;
  char *bytes = moire__allocate(n + 1);
  FILE *file = fopen(path, "rb");
  cr_assert_eq(fread(bytes, 1, n, file), n);
  fclose(file);
  for (size_t cut = 0; cut < n; cut += cut < 40 ? 1 : 97) {
    test_write_file(path, bytes, cut);
    cr_assert_eq(find(&cache, 1), 0, "cut at %zu", cut);
  }
  test_write_file(path, bytes, n + 1);
  cr_assert_eq(find(&cache, 1), 0);
  for (size_t b = 0; b < n; b += b < 64 ? 1 : 29) {
    bytes[b] ^= 4;
    test_write_file(path, bytes, n);
    cr_assert_eq(find(&cache, 1), 0, "byte %zu", b);
    bytes[b] ^= 4;
  }
  keep(&cache, 1);
  cr_assert_eq(find(&cache, 1), 1);
  moire__release(bytes);
  test_remove_directory(directory);
}

/* What lies under the name but is no plain file of ours is left alone. */
Test(cache, other_things_are_no_objects) {
  test_path directory;
  char path[800], aside[810];
  moire__cache cache = fresh(directory);
  keep(&cache, 1);
  only_file(directory, path);
  snprintf(aside, sizeof aside, "%s.aside", path);
  cr_assert_eq(rename(path, aside), 0);
  cr_assert_eq(symlink(aside, path), 0);
  cr_assert_eq(find(&cache, 1), 0);
  unlink(path);
  cr_assert_eq(mkfifo(path, 0600), 0);
  cr_assert_eq(find(&cache, 1), 0);
  unlink(path);
  cr_assert_eq(mkdir(path, 0700), 0);
  cr_assert_eq(find(&cache, 1), 0);
  keep(&cache, 1);
  cr_assert_eq(find(&cache, 1), 0);
  cr_assert_eq(rmdir(path), 0);
  keep(&cache, 1);
  cr_assert_eq(find(&cache, 1), 1);
  if (geteuid() == 0) { /* only root can give a file away */
    cr_assert_eq(chown(path, 12345, 12345), 0);
    cr_assert_eq(find(&cache, 1), 0);
  }
  test_remove_directory(directory);
}

/* A folder that cannot be made or written to, and a disk without room: nothing is kept, nothing fails. */
Test(cache, nowhere_to_write) {
  test_path directory, path;
  moire__cache cache = fresh(directory);
  test_write_file(test_join(directory, "file", path), "x", 1);
  moire__cache under_file = moire__cache_at(path), in_proc = moire__cache_at("/proc/moire/cache");
  keep(&under_file, 1);
  cr_assert_eq(find(&under_file, 1), 0);
  keep(&in_proc, 1);
  cr_assert_eq(find(&in_proc, 1), 0);
  unlink(path);
  signal(SIGXFSZ, SIG_IGN);
  struct rlimit limit = {700, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &limit);
  for (int i = 0; i < 20; i++) keep(&cache, i);
  setrlimit(RLIMIT_FSIZE, &none);
  int64_t n = 0, bytes = 0;
  moire__cache_count(&cache, false, &n, &bytes);
  cr_assert_eq(n, 0);
  for (int i = 0; i < 20; i++) cr_assert_eq(find(&cache, i), 0);
  test_remove_directory(directory);
}

static uint64_t hash_of(int i) {
  moire__text key = key_of(i);
  uint64_t hash = moire__hash_bytes((const unsigned char *)key.data, key.length);
  moire__text_free(&key);
  return hash;
}

/* The next number after i whose object lies in the first share. */
static int next_of_share(int i) {
  do i++;
  while (hash_of(i) >> 56);
  return i;
}

/* A share is tidied at every eighth file or so: what was not used for longest goes, a quarter at a time. */
Test(cache, it_stays_bounded) {
  test_path directory;
  moire__cache cache = fresh(directory);
  enum { FILES = 150, ROOM = 16 };
  cache.limit = (int64_t)MOIRE__CACHE_SHARES * ROOM * 4096;
  int64_t n = 0, bytes = 0;
  for (int i = next_of_share(-1), k = 0; k < FILES; k++, i = next_of_share(i)) {
    keep(&cache, i);
    cr_assert_eq(find(&cache, i), 1);
    if (k % 16 == 0) moire__cache_count(&cache, false, &n, &bytes);
    cr_assert_leq(n, ROOM + 60);
  }
  moire__cache_count(&cache, false, &n, &bytes);
  cr_assert_lt(n, FILES / 2);
  cr_assert_gt(n, ROOM / 2);
  test_remove_directory(directory);
}

Test(cache, used_objects_outlive_unused_ones) {
  test_path directory;
  char command[900];
  int numbers[32], last = -1;
  moire__cache cache = fresh(directory);
  for (int i = 0; i < 32; i++) keep(&cache, numbers[i] = last = next_of_share(last));
  snprintf(command, sizeof command, "find '%s' -type f -exec touch -d '2 days ago' {} +", directory);
  cr_assert_eq(system(command), 0);
  for (int i = 0; i < 32; i += 2) cr_assert_eq(find(&cache, numbers[i]), 1);
  cache.limit = (int64_t)MOIRE__CACHE_SHARES * 26 * 4096; /* of which 19 stay when it is tidied */
  do keep(&cache, last = next_of_share(last));
  while (hash_of(last) % 8);
  int64_t n = 0, bytes = 0;
  moire__cache_count(&cache, false, &n, &bytes);
  cr_assert_eq(n, 19);
  int used = 0, unused = 0;
  for (int i = 0; i < 32; i++) *(i % 2 ? &unused : &used) += find(&cache, numbers[i]);
  cr_assert(unused == 0 || used == 16, "%d and %d of 16", used, unused);
  test_remove_directory(directory);
}

Test(cache, leftovers_of_killed_writers_go) {
  test_path directory;
  char path[800], command[1700];
  moire__cache cache = fresh(directory);
  int i = 0;
  while (hash_of(i) % 8) i++;
  keep(&cache, i);
  only_file(directory, path);
  *strrchr(path, '/') = 0;
  snprintf(command, sizeof command,
           "cd '%s' && : >moire.Abc123.tmp && : >moire.Abc124.tmp && echo x >moire.Abc125.tmp && : "
           ">moire.Abc1.tmp && "
           "touch -d '2 hours ago' moire.Abc123.tmp moire.Abc125.tmp moire.Abc1.tmp",
           path);
  cr_assert_eq(system(command), 0);
  keep(&cache, i);
  snprintf(command, sizeof command,
           "cd '%s' && test ! -e moire.Abc123.tmp && cat moire.Abc124.tmp moire.Abc125.tmp moire.Abc1.tmp",
           path);
  cr_assert_eq(system(command), 0);
  test_remove_directory(directory);
}

static bool exists(const char *path) { return access(path, F_OK) == 0; }

/* Files of others are neither counted nor removed, whatever their size, name or age. */
Test(cache, what_it_has_not_written_stays) {
  test_path directory;
  char path[800], share[800], command[2600];
  moire__cache cache = fresh(directory);
  int i = next_of_share(-1);
  while (hash_of(i) % 8) i = next_of_share(i); /* keeping it tidies */
  keep(&cache, i);
  only_file(directory, path);
  strcpy(share, path);
  *strrchr(share, '/') = 0;
  static const char *const names[] = {"mine.bin",           "0123456789abcdef.o",     "0123456789abcdef.o.bak",
                                      "tmp.abcdef",         "moire.abcdef.tmp",       "0123456789abcde.o",
                                      "0123456789ABCDEF.o", "moire.abcdef.tmp.saved", "a"};
  enum { NAMES = sizeof names / sizeof *names };
  for (int n = 0; n < NAMES; n++) {
    snprintf(command, sizeof command, "%s/%s", share, names[n]);
    test_write_file(command, "moire o2, or something else", 27);
  }
  snprintf(command, sizeof command,
           "head -c 32 '%s' >'%s/copy.o' && find '%s' -type f -exec touch -d 2020-01-01 {} +", path, share,
           share);
  cr_assert_eq(system(command), 0);
  int64_t n = 0, bytes = 0;
  moire__cache_count(&cache, false, &n, &bytes);
  cr_assert(n == 1 && bytes == 4096);
  cache.limit = 1;
  keep(&cache, i);
  moire__cache_count(&cache, true, &n, &bytes);
  for (int k = 0; k < NAMES; k++) {
    snprintf(command, sizeof command, "%s/%s", share, names[k]);
    cr_assert(exists(command), "%s is gone", names[k]);
  }
  cr_assert_not(exists(path));
  test_remove_directory(directory);
}

/* A folder or subfolder behind a link is not used: nothing is found, kept, counted or removed there. */
Test(cache, links_are_not_followed) {
  test_path directory, real, link, slashed;
  fresh(directory);
  moire__cache behind = moire__cache_at(test_join(directory, "real", real));
  keep(&behind, 1);
  cr_assert_eq(find(&behind, 1), 1);
  cr_assert_eq(symlink(real, test_join(directory, "link", link)), 0);
  snprintf(slashed, sizeof slashed, "%.*s//", (int)sizeof slashed - 3, link);
  for (int i = 0; i < 2; i++) {
    moire__cache cache = moire__cache_at(i ? slashed : link);
    int64_t n = 0, bytes = 0;
    cr_assert_eq(find(&cache, 1), 0);
    keep(&cache, 2);
    moire__cache_count(&cache, true, &n, &bytes);
    cr_assert_eq(n, 0);
  }
  cr_assert(find(&behind, 1) == 1 && find(&behind, 2) == 0);
  char command[2600];
  snprintf(command, sizeof command, "cd '%s' && for i in *; do mv $i ../away && ln -s ../away $i; done", real);
  cr_assert_eq(system(command), 0);
  cr_assert_eq(find(&behind, 1), 0);
  keep(&behind, 1);
  cr_assert_eq(find(&behind, 1), 0);
  test_remove_directory(directory);
}

/* What others could have written is not loaded. */
Test(cache, only_private_folders_and_files) {
  test_path directory;
  char path[800], share[800];
  moire__cache cache = fresh(directory);
  keep(&cache, 1);
  only_file(directory, path);
  strcpy(share, path);
  *strrchr(share, '/') = 0;
  const char *const places[] = {path, share, directory};
  for (int i = 0; i < 3; i++) {
    cr_assert_eq(find(&cache, 1), 1);
    for (int others = 0; others < 2; others++) {
      cr_assert_eq(chmod(places[i], others ? 0702 : 0720), 0);
      cr_assert_eq(find(&cache, 1), 0, "%s", places[i]);
      if (i) keep(&cache, 1);
      cr_assert_eq(find(&cache, 1), 0, "%s", places[i]);
    }
    if (geteuid() == 0) {
      cr_assert_eq(chmod(places[i], 0700), 0);
      cr_assert_eq(chown(places[i], 12345, 12345), 0);
      cr_assert_eq(find(&cache, 1), 0, "%s", places[i]);
      keep(&cache, 2);
      cr_assert(i == 0 || find(&cache, 2) == 0 || hash_of(1) >> 56 != hash_of(2) >> 56);
      cr_assert_eq(chown(places[i], 0, 0), 0);
    }
    cr_assert_eq(chmod(places[i], 0700), 0);
  }
  cr_assert_eq(find(&cache, 1), 1);
  test_remove_directory(directory);
}

/* Processes that keep and find the same keys, and are killed at any moment. */
static void use(const moire__cache *cache, uint64_t seed) {
  moire__random random = moire__random_start(seed, 5);
  for (;;) {
    int i = (int)moire__random_below(&random, 40);
    if (find(cache, i) < 0) _exit(1);
    keep(cache, i);
    if (find(cache, (int)moire__random_below(&random, 40)) < 0) _exit(1);
  }
}

Test(cache, concurrent_processes_that_are_killed) {
  enum { PROCESSES = 6, ROUNDS = 8 };
  test_path directory;
  moire__cache cache = fresh(directory);
  cache.limit = (int64_t)MOIRE__CACHE_SHARES * 4096; /* so tight that files vanish, too */
  for (int round = 0; round < ROUNDS; round++) {
    pid_t processes[PROCESSES];
    for (int p = 0; p < PROCESSES; p++) {
      processes[p] = fork();
      if (processes[p] == 0) use(&cache, (uint64_t)(round * PROCESSES + p));
    }
    usleep(20000 + 7000 * (useconds_t)round);
    for (int p = 0; p < PROCESSES; p++) {
      int status = 0;
      kill(processes[p], SIGKILL);
      cr_assert_eq(waitpid(processes[p], &status, 0), processes[p]);
      cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a process found what was never kept");
    }
    for (int i = 0; i < 40; i++) cr_assert_geq(find(&cache, i), 0);
  }
  keep(&cache, 3);
  cr_assert_eq(find(&cache, 3), 1);
  test_remove_directory(directory);
}
