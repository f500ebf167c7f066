/* Files for tests: a scratch directory of the test's own, and the reference material beside the project. */
#ifndef MOIRE_TESTS_SUPPORT_FILES_H
#define MOIRE_TESTS_SUPPORT_FILES_H

#include <stddef.h>

typedef char test_path[600];

/* Makes a fresh directory; stops the test if it cannot. */
void test_make_directory(test_path out);
void test_remove_directory(const char *directory); /* with all that is in it */

/* out = directory/name. Returns `out`. */
const char *test_join(const char *directory, const char *name, test_path out);

/* Writes a file without ceremony. */
void test_write_file(const char *path, const void *bytes, size_t n);

/* How many entries a directory has: nothing may be left over after a failed write. */
int test_count_files(const char *directory);

/* out = the path of ../shared/NAME as seen from the project's root. Returns NULL, after saying so on stderr,
 * where that file is absent: the test then skips. */
const char *test_shared(const char *name, test_path out);

#endif
