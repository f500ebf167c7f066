/* The growable string. */
#include <criterion/criterion.h>

#include "runtime/base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

Test(text, an_empty_one_reads_as_the_empty_string) {
  moire__text text = {0};
  cr_assert_str_eq(moire__text_string(&text), "");
  moire__text_clear(&text);
  cr_assert_str_eq(moire__text_string(&text), "");
  moire__text_free(&text);
}

Test(text, pieces_follow_each_other) {
  moire__text text = {0};
  moire__text_add(&text, "%s[%d, %d]", "f32", 2, 3);
  moire__text_add_char(&text, ' ');
  moire__text_add_bytes(&text, "matmul(", 6);
  moire__text_add(&text, "%s", "");
  moire__text_add_bytes(&text, "", 0);
  cr_assert_str_eq(moire__text_string(&text), "f32[2, 3] matmul");
  cr_assert_eq(text.length, strlen("f32[2, 3] matmul"));
  moire__text_free(&text);
}

Test(text, it_holds_bytes_of_any_value) {
  moire__text text = {0};
  for (int i = 0; i < 256; i++) moire__text_add_char(&text, (char)i);
  cr_assert_eq(text.length, 256);
  for (int i = 0; i < 256; i++) cr_assert_eq(text.data[i], (char)i);
  cr_assert_eq(text.data[256], 0);
  moire__text_free(&text);
}

/* Additions of every length around the places where the string grows. */
Test(text, it_grows_by_any_amount) {
  static char piece[600];
  memset(piece, 'x', sizeof piece - 1);
  for (int first = 0; first < 300; first++) {
    moire__text text = {0};
    moire__text_add_bytes(&text, piece, (size_t)first);
    moire__text_add(&text, "%s", piece + first);
    moire__text_add_char(&text, 'y');
    cr_assert_eq(text.length, sizeof piece);
    cr_assert_lt(text.length, text.capacity);
    cr_assert_eq(strspn(text.data, "x"), sizeof piece - 1);
    cr_assert_str_eq(text.data + sizeof piece - 1, "y");
    moire__text_free(&text);
  }
}

Test(text, clearing_keeps_the_memory_and_freeing_does_not) {
  moire__text text = {0};
  moire__text_add(&text, "%d", 12345);
  const char *before = text.data;
  moire__text_clear(&text);
  cr_assert_eq(text.length, 0);
  cr_assert_str_eq(moire__text_string(&text), "");
  moire__text_add(&text, "%d", 67);
  cr_assert_eq(text.data, before);
  cr_assert_str_eq(moire__text_string(&text), "67");
  moire__text_free(&text);
  cr_assert_null(text.data);
  cr_assert_eq(text.length + text.capacity, 0);
}

/* What is written without printf is what printf writes, and what is not, too. */
Test(text, plain_formats) {
  static const long long numbers[] = {0, 1, -1, 9, 10, -10, 2147483647, -2147483648LL, INT64_MAX, INT64_MIN};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    moire__text text = {0};
    char want[200];
    int narrow = (int)numbers[i];
    long wide = (long)numbers[i];
    snprintf(want, sizeof want, "%d|%ld%lld%%%c%s", narrow, wide, numbers[i], 'x', "string");
    moire__text_add(&text, "%d|%ld%lld%%%c%s", narrow, wide, numbers[i], 'x', "string");
    cr_assert_str_eq(moire__text_string(&text), want);
    moire__text_clear(&text);
    snprintf(want, sizeof want, "%d %s %5d%.*s %g", narrow, "", narrow, 2, "abc", 0.5);
    moire__text_add(&text, "%d %s %5d%.*s %g", narrow, "", narrow, 2, "abc", 0.5);
    cr_assert_str_eq(moire__text_string(&text), want);
    moire__text_free(&text);
  }
}
