/* Archives that are not what torch.export writes end with a sentence. */
#include "compiler/import/torch/archive.h"
#include "compiler/import/torch/pt2.h"
#include "runtime/base/memory.h"
#include "tests/support/pt2/pt2_file.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

static test_zip zip;

static void write_archive(void) { test_pt2_write(&test_pt2_regression, &zip); }
static void free_archive(void) { test_zip_free(&zip); }
TestSuite(archive, .init = write_archive, .fini = free_archive);

static moire_status open_bytes(const void *bytes, size_t n, moire_error *error) {
  moire__pt2 *file = NULL;
  moire_status status = moire__pt2_open_bytes("t.pt2", bytes, n, &file, error);
  if (!status) moire__pt2_close(file);
  return status;
}

static void expect(const void *bytes, size_t n, const char *word) {
  moire_error error = {0};
  cr_assert_neq(open_bytes(bytes, n, &error), MOIRE_OK, "wanted '%s'", word);
  cr_assert(strstr(error.message, word), "'%s' is not in: %s", word, error.message);
}

Test(archive, opens_what_is_well_formed) {
  moire_error error = {0};
  cr_assert_eq(open_bytes(zip.bytes.data, zip.bytes.length, &error), MOIRE_OK, "%s", error.message);
}

Test(archive, refuses_every_part_of_a_file) {
  for (size_t n = 0; n < zip.bytes.length; n += n < 64 || n + 256 > zip.bytes.length ? 1 : 97) {
    moire_error error = {0};
    cr_assert_neq(open_bytes(zip.bytes.data, n, &error), MOIRE_OK, "the first %zu bytes", n);
    cr_assert(error.message[0]);
  }
}

static void set(size_t at, uint32_t number, int bytes) {
  for (int i = 0; i < bytes; i++) zip.bytes.data[at + (size_t)i] = (char)(number >> 8 * i);
}

/* Where the directory's entry of that name begins. */
static size_t directory_of(const char *name) {
  const char *found = NULL;
  for (size_t i = 0; i + strlen(name) <= zip.bytes.length; i++) {
    if (!memcmp(zip.bytes.data + i, name, strlen(name))) found = zip.bytes.data + i;
  }
  cr_assert(found);
  return (size_t)(found - zip.bytes.data) - 46;
}

static size_t local_of(const char *name) {
  for (size_t i = 0; i + strlen(name) <= zip.bytes.length; i++) {
    if (!memcmp(zip.bytes.data + i, name, strlen(name))) return i - 30;
  }
  cr_assert_fail("no entry %s", name);
  return 0;
}

#define WEIGHT "net/data/weights/weight_0"

Test(archive, refuses_sizes_that_the_file_has_no_room_for) {
  for (int place = 0; place < 2; place++) {
    size_t at = place ? local_of(WEIGHT) + 18 : directory_of(WEIGHT) + 20;
    set(at, 0x7fffffff, 4);
    set(at + 4, 0x7fffffff, 4);
  }
  expect(zip.bytes.data, zip.bytes.length, "t.pt2: ");
}

/* What is compressed a thousandfold claims another size than it has. */
Test(archive, refuses_compressed_entries) {
  set(directory_of(WEIGHT) + 10, 8, 2);
  set(local_of(WEIGHT) + 8, 8, 2);
  expect(zip.bytes.data, zip.bytes.length, "is compressed");
}

/* Entries that all lie at one place would be many times as large as the file. */
Test(archive, refuses_entries_that_lie_across_each_other) {
  size_t first = local_of("net/data/weights/weight_0");
  set(directory_of("net/data/weights/weight_1") + 42, (uint32_t)first, 4);
  expect(zip.bytes.data, zip.bytes.length, "t.pt2: ");
}

Test(archive, refuses_bytes_that_are_not_those_of_the_checksum) {
  zip.bytes.data[local_of(WEIGHT) + 30 + strlen(WEIGHT)] ^= 1;
  expect(zip.bytes.data, zip.bytes.length, "checksum");
}

Test(archive, refuses_names_that_come_twice) {
  test_zip twice = {0};
  test_zip_add(&twice, "net/models/model.json", "{}", 2);
  test_zip_add(&twice, "net/models/model.json", "{}", 2);
  test_zip_finish(&twice);
  expect(twice.bytes.data, twice.bytes.length, "t.pt2: ");
  test_zip_free(&twice);
}

/* A program of this text, and nothing else in the archive. */
static void expect_program(const char *text, size_t n, const char *word) {
  test_zip one = {0};
  test_zip_add(&one, "net/models/model.json", text, n);
  test_zip_finish(&one);
  expect(one.bytes.data, one.bytes.length, word);
  test_zip_free(&one);
}

Test(archive, refuses_json_that_is_none_or_too_deep) {
  enum { DEEP = 100000 };
  char *deep = moire__allocate(2 * DEEP + 1);
  memset(deep, '[', DEEP);
  memset(deep + DEEP, ']', DEEP);
  expect_program(deep, 2 * DEEP, "models/model.json:1: ");
  moire__release(deep);
  expect_program("{", 1, "models/model.json:1: ");
  expect_program("{\"a\":1,\"a\":2}", 13, "models/model.json:1: ");
  expect_program("{}", 2, "version 0 of torch.export");
  expect_program("[]", 2, "version 0 of torch.export");
}

Test(archive, refuses_files_without_a_program) {
  test_zip empty = {0};
  test_zip_add(&empty, "net/byteorder", "little", 6);
  test_zip_finish(&empty);
  expect(empty.bytes.data, empty.bytes.length, "has no entry models/*.json");
  test_zip_free(&empty);
  expect("", 0, "t.pt2: ");
  expect("no archive", 10, "is no archive of torch.export");
}

Test(archive, refuses_other_byte_orders) {
  test_zip big = {0};
  test_zip_add(&big, "net/byteorder", "big", 3);
  test_zip_finish(&big);
  expect(big.bytes.data, big.bytes.length, "little-endian");
  test_zip_free(&big);
}
