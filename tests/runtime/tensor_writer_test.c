/* Tensors written row by row are those that are written at once, and nothing is in place before all is there.
 */
#include <criterion/criterion.h>

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/files/tensor_source.h"
#include "runtime/files/tensor_writer.h"
#include "tests/support/files.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static test_path directory;

static void set_up(void) {
  test_make_directory(directory);
  cr_assert_eq(chdir(directory), 0);
}
static void tear_down(void) { test_remove_directory(directory); }
TestSuite(tensor_writer, .init = set_up, .fini = tear_down);

enum { ROWS = 7, WIDTH = 3000 };
static float real[ROWS * WIDTH], imaginary[ROWS * WIDTH], pairs[2 * ROWS * WIDTH];
static const int8_t small[ROWS] = {1, -2, 3, -4, 5, -6, 7};
static const double one = 0.25;

static void fill(void) {
  for (int i = 0; i < ROWS * WIDTH; i++) {
    pairs[2 * i] = real[i] = (float)i;
    pairs[2 * i + 1] = imaginary[i] = -0.5f * (float)i;
  }
}

static const moire__st_tensor tensors[] = {
    {.name = "small", .dtype = MOIRE__ST_I8, .rank = 1, .shape = {ROWS}, .data = small},
    {.name = "z", .dtype = MOIRE__ST_C64, .rank = 3, .shape = {ROWS, 2, WIDTH / 2}, .data = pairs},
    {.name = "one", .dtype = MOIRE__ST_F64, .rank = 0, .data = &one},
    {.name = "none", .dtype = MOIRE__ST_F32, .rank = 2, .shape = {0, 5}},
    {.name = "empty", .dtype = MOIRE__ST_F32, .rank = 2, .shape = {2, 0}},
};
static const moire__st_metadata metadata = {"k", "v"};

static void assert_same_bytes(const char *a, const char *b) {
  char *first = NULL, *second = NULL;
  size_t n = 0, m = 0;
  cr_assert_eq(moire__file_read(a, 0, &first, &n, NULL), MOIRE_OK);
  cr_assert_eq(moire__file_read(b, 0, &second, &m, NULL), MOIRE_OK);
  cr_assert_eq(n, m);
  cr_assert_arr_eq(first, second, n);
  moire__release(first);
  moire__release(second);
}

Test(tensor_writer, rows_are_the_whole) {
  fill();
  moire_error error = {0};
  cr_assert_eq(moire__safetensors_write("whole", tensors, 5, &metadata, 1, &error), MOIRE_OK, "%s",
               error.message);
  moire__tensor_writer *w = NULL;
  cr_assert_eq(moire__tensor_writer_open("rows", tensors, 5, &metadata, 1, &w, &error), MOIRE_OK, "%s",
               error.message);
  moire_status status = moire__tensor_writer_append(w, 2, &one, NULL, 1, &error);
  for (int64_t row = 0; row < ROWS && !status; row += 2) {
    int64_t n = row + 2 > ROWS ? ROWS - row : 2;
    status = moire__tensor_writer_append(w, 1, real + row * WIDTH, imaginary + row * WIDTH, n, &error);
    if (!status) status = moire__tensor_writer_append(w, 0, small + row, NULL, n, &error);
  }
  if (!status) status = moire__tensor_writer_append(w, 4, NULL, NULL, 2, &error);
  cr_assert_eq(access("rows", F_OK), -1, "it is in place before it is complete");
  cr_assert_eq(moire__tensor_writer_close(w, status, &error), MOIRE_OK, "%s", error.message);
  assert_same_bytes("whole", "rows");
  cr_assert_eq(test_count_files(directory), 2);
}

Test(tensor_writer, npy_holds_one_array) {
  fill();
  moire_error error = {0};
  moire__tensor_writer *w = NULL;
  cr_assert_eq(moire__tensor_writer_open("z.npy", &tensors[1], 1, NULL, 0, &w, &error), MOIRE_OK, "%s",
               error.message);
  moire_status status = moire__tensor_writer_append(w, 0, pairs, NULL, 4, &error);
  if (!status) status = moire__tensor_writer_append(w, 0, real + 4 * WIDTH, imaginary + 4 * WIDTH, 3, &error);
  cr_assert_eq(moire__tensor_writer_close(w, status, &error), MOIRE_OK, "%s", error.message);
  moire__tensor_source *s = NULL;
  const moire__array *z = NULL;
  cr_assert_eq(moire__tensor_source_open("z.npy", &s, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire__tensor_source_take(s, "z", MOIRE_C64, 3, tensors[1].shape, &z, &error), MOIRE_OK, "%s",
               error.message);
  cr_assert_arr_eq(z->data, pairs, sizeof pairs);
  moire__tensor_source_close(s);
  cr_assert_eq(moire__tensor_writer_open("two.npy", tensors, 2, NULL, 0, &w, &error), MOIRE_ERROR_ARGUMENT);
  cr_assert_not_null(strstr(error.message, "two.npy: a .npy file holds one array, but there are 2"), "%s",
                     error.message);
  cr_assert_eq(test_count_files(directory), 1);
}

Test(tensor_writer, what_is_not_complete_is_not_there) {
  fill();
  test_write_file("f", "earlier", 7);
  moire_error error = {0};
  moire__tensor_writer *w = NULL;
  cr_assert_eq(moire__tensor_writer_open("f", tensors, 1, NULL, 0, &w, &error), MOIRE_OK);
  cr_assert_eq(moire__tensor_writer_append(w, 0, small, NULL, 3, &error), MOIRE_OK);
  cr_assert_eq(moire__tensor_writer_append(w, 0, small, NULL, 5, &error), MOIRE_ERROR_ARGUMENT);
  cr_assert_str_eq(error.message, "f: small: 5 rows more than the 3 written of 7");
  error = (moire_error){0};
  cr_assert_eq(moire__tensor_writer_append(w, 1, small, NULL, 1, &error), MOIRE_ERROR_ARGUMENT);
  error = (moire_error){0};
  cr_assert_eq(moire__tensor_writer_append(w, 0, small, real, 1, &error), MOIRE_ERROR_TYPE);
  error = (moire_error){0};
  cr_assert_eq(moire__tensor_writer_close(w, MOIRE_OK, &error), MOIRE_ERROR_ARGUMENT);
  cr_assert_str_eq(error.message, "f: small: 3 of 7 rows were written");
  cr_assert_eq(moire__tensor_writer_open("f", tensors, 1, NULL, 0, &w, NULL), MOIRE_OK);
  cr_assert_eq(moire__tensor_writer_append(w, 0, small, NULL, ROWS, NULL), MOIRE_OK);
  cr_assert_eq(moire__tensor_writer_close(w, MOIRE_ERROR_TYPE, NULL), MOIRE_ERROR_TYPE);
  cr_assert_eq(moire__tensor_writer_close(NULL, MOIRE_ERROR_TYPE, NULL), MOIRE_ERROR_TYPE);
  cr_assert_eq(moire__tensor_writer_open("absent/f", tensors, 1, NULL, 0, &w, NULL), MOIRE_ERROR_IO);
  cr_assert_eq(test_count_files(directory), 1);
  char *bytes = NULL;
  size_t n = 0;
  cr_assert_eq(moire__file_read("f", 0, &bytes, &n, NULL), MOIRE_OK);
  cr_assert_str_eq(bytes, "earlier");
  moire__release(bytes);
}

Test(tensor_writer, what_a_killed_one_left_is_removed) {
  pid_t gone = fork();
  cr_assert_geq(gone, 0);
  if (gone == 0) {
    moire__tensor_writer *left = NULL;
    _exit(moire__tensor_writer_open("f", tensors, 1, NULL, 0, &left, NULL) ? 1 : 0);
  }
  int how = 1;
  cr_assert_eq(waitpid(gone, &how, 0), gone);
  cr_assert_eq(how, 0);
  cr_assert_eq(test_count_files(directory), 1);
  moire__tensor_writer *w = NULL;
  cr_assert_eq(moire__tensor_writer_open("f", tensors, 1, NULL, 0, &w, NULL), MOIRE_OK);
  cr_assert_eq(moire__tensor_writer_append(w, 0, small, NULL, ROWS, NULL), MOIRE_OK);
  cr_assert_eq(moire__tensor_writer_close(w, MOIRE_OK, NULL), MOIRE_OK);
  cr_assert_eq(test_count_files(directory), 1);
  cr_assert_eq(access("f", F_OK), 0);
}

/* A limit on the size of files stands in for a disk that is full. */
Test(tensor_writer, a_disk_that_fills_up_is_said) {
  fill();
  moire_error error = {0};
  moire__tensor_writer *w = NULL;
  struct rlimit kept, little;
  cr_assert_eq(getrlimit(RLIMIT_FSIZE, &kept), 0);
  little = kept;
  little.rlim_cur = 50000;
  signal(SIGXFSZ, SIG_IGN);
  cr_assert_eq(moire__tensor_writer_open("f", &tensors[1], 1, NULL, 0, &w, &error), MOIRE_OK);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
  moire_status status = moire__tensor_writer_append(w, 0, real, imaginary, ROWS, &error);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &kept), 0);
  cr_assert_eq(moire__tensor_writer_close(w, status, &error), MOIRE_ERROR_IO);
  cr_assert_not_null(strstr(error.message, "f: cannot be written"), "%s", error.message);
  cr_assert_eq(test_count_files(directory), 0);
}
