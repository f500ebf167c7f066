/* Whole files: what is refused, and that a failed write leaves everything as it was. */
#include <criterion/criterion.h>

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "tests/support/files.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static test_path directory;

static void set_up(void) { test_make_directory(directory); }
static void tear_down(void) { test_remove_directory(directory); }
TestSuite(file, .init = set_up, .fini = tear_down);

static void assert_holds(const char *path, const char *want) {
  char *data = NULL;
  size_t n = 0;
  moire_error error = {0};
  cr_assert_eq(moire__file_read(path, 0, &data, &n, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(n, strlen(want));
  cr_assert_str_eq(data, want);
  moire__release(data);
}

static void assert_refused(const char *path, size_t limit, const char *part) {
  char *data = NULL;
  size_t n = 0;
  moire_error error = {0};
  cr_assert_eq(moire__file_read(path, limit, &data, &n, &error), MOIRE_ERROR_IO);
  cr_assert_null(data);
  cr_assert_not_null(strstr(error.message, path), "%s", error.message);
  cr_assert_not_null(strstr(error.message, part), "%s", error.message);
}

Test(file, written_and_read_back) {
  test_path path;
  test_join(directory, "a", path);
  moire_error error = {0};
  cr_assert_eq(moire__file_write_atomic(path, "first", 5, &error), MOIRE_OK, "%s", error.message);
  assert_holds(path, "first");
  const moire__piece pieces[] = {{"sec", 3}, {"", 0}, {"ond", 3}};
  cr_assert_eq(moire__file_write_pieces(path, pieces, 3, &error), MOIRE_OK, "%s", error.message);
  assert_holds(path, "second");
  cr_assert_eq(moire__file_write_atomic(path, NULL, 0, &error), MOIRE_OK, "%s", error.message);
  assert_holds(path, "");
  cr_assert_eq(test_count_files(directory), 1);
}

Test(file, a_name_without_a_directory_is_in_the_working_directory) {
  moire_error error = {0};
  cr_assert_eq(chdir(directory), 0);
  cr_assert_eq(moire__file_write_atomic("plain", "x", 1, &error), MOIRE_OK, "%s", error.message);
  assert_holds("plain", "x");
}

Test(file, what_cannot_be_read_is_said) {
  test_path path;
  assert_refused(test_join(directory, "absent", path), 0, "No such file");
  assert_refused(directory, 0, "is a directory");
  assert_refused("/dev/null", 0, "not a regular file");
  cr_assert_eq(mkfifo(test_join(directory, "fifo", path), 0600), 0);
  assert_refused(path, 0, "not a regular file");
  test_write_file(test_join(directory, "long", path), "0123456789", 10);
  assert_refused(path, 9, "10 bytes");
}

static void assert_not_written(const char *path, const void *bytes, size_t n, const char *part) {
  moire_error error = {0};
  int before = test_count_files(directory);
  cr_assert_eq(moire__file_write_atomic(path, bytes, n, &error), MOIRE_ERROR_IO);
  cr_assert_not_null(strstr(error.message, path), "%s", error.message);
  cr_assert_not_null(strstr(error.message, part), "%s", error.message);
  cr_assert_eq(test_count_files(directory), before, "something was left behind");
}

/* Root may do everything, so a test that runs as root becomes somebody else for a while. */
static void stop_being_root(void) {
  if (geteuid() != 0) return;
  cr_assert_eq(chown(directory, 65534, 65534), 0);
  cr_assert_eq(seteuid(65534), 0);
}

static void be_root_again(void) {
  if (getuid() == 0) cr_assert_eq(seteuid(0), 0);
}

Test(file, what_cannot_be_written_is_said) {
  test_path path, deeper;
  assert_not_written(test_join(directory, "absent/file", path), "x", 1, "No such file");
  assert_not_written(directory, "x", 1, "is a directory");
  assert_not_written("/dev/null", "x", 1, "not a regular file");
  test_write_file(test_join(directory, "file", path), "x", 1);
  assert_not_written(test_join(path, "below", deeper), "x", 1, "Not a directory");
}

Test(file, no_permission_is_said) {
  test_path path, new_path;
  test_write_file(test_join(directory, "file", path), "x", 1);
  cr_assert_eq(chmod(path, 0), 0);
  stop_being_root();
  assert_refused(path, 0, "Permission denied");
  cr_assert_eq(chmod(directory, 0500), 0);
  assert_not_written(test_join(directory, "new", new_path), "x", 1, "Permission denied");
  cr_assert_eq(chmod(directory, 0700), 0);
  be_root_again();
}

/* A limit on the size of files stands in for a disk that fills up: some bytes go through, then a write fails.
 */
Test(file, a_disk_that_fills_up_loses_nothing) {
  enum { ROOM = 100000, WANTED = 1000000 };
  test_path path;
  test_write_file(test_join(directory, "kept", path), "earlier", 7);
  char *bytes = calloc(WANTED, 1);
  struct rlimit kept, small;
  cr_assert_eq(getrlimit(RLIMIT_FSIZE, &kept), 0);
  small = kept;
  small.rlim_cur = ROOM;
  signal(SIGXFSZ, SIG_IGN);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
  moire_error error = {0};
  moire_status status = moire__file_write_atomic(path, bytes, WANTED, &error);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &kept), 0);
  cr_assert_eq(status, MOIRE_ERROR_IO);
  cr_assert_not_null(strstr(error.message, "cannot be written"), "%s", error.message);
  cr_assert_eq(test_count_files(directory), 1);
  assert_holds(path, "earlier");
  free(bytes);
}

Test(file, what_a_killed_writer_left_is_removed_and_nothing_else) {
  pid_t gone = fork();
  cr_assert_geq(gone, 0);
  if (gone == 0) _exit(0);
  cr_assert_eq(waitpid(gone, NULL, 0), gone);
  static const char *const kept[] = {
      "a", "a.tmp.", "a.tmp.x", "a.tmp.0", "a.tmp.1", "a.tmp.99999999999999999999", "b"};
  enum { N_KEPT = sizeof kept / sizeof *kept };
  test_path path;
  for (int i = 0; i < N_KEPT; i++) test_write_file(test_join(directory, kept[i], path), "x", 1);
  char name[64];
  snprintf(name, sizeof name, "b.tmp.%ld", (long)gone);
  test_write_file(test_join(directory, name, path), "x", 1);
  snprintf(name, sizeof name, "a.tmp.%ld", (long)gone);
  test_write_file(test_join(directory, name, path), "x", 1);
  moire__file_remove_leftovers(test_join(directory, "a", path));
  cr_assert_eq(test_count_files(directory), N_KEPT + 1);
  cr_assert_eq(access(test_join(directory, name, path), F_OK), -1);
  moire__file_remove_leftovers(test_join(directory, "absent/a", path));
}

Test(file, printable_text_is_cut_and_cleaned) {
  moire__printable_buffer out;
  cr_assert_str_eq(moire__printable("ab\n\0\xc3\xa9z", 7, out), "ab????z");
  char longer[100];
  memset(longer, 'x', sizeof longer);
  moire__printable(longer, sizeof longer, out);
  cr_assert_eq(strlen(out), 60);
  cr_assert_str_eq(out + 56, "x...");
}
