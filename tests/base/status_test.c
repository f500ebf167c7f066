/* Status names and the rule that the first failure wins. */
#include <criterion/criterion.h>

#include "moire/status.h"

#include <string.h>

Test(status, every_status_has_a_name_of_its_own) {
  for (int i = MOIRE_OK; i <= MOIRE_ERROR_INTERNAL; i++) {
    const char *name = moire_status_name((moire_status)i);
    cr_assert_not_null(name);
    cr_assert_str_neq(name, "unknown", "status %d", i);
    for (int j = MOIRE_OK; j < i; j++) cr_assert_str_neq(name, moire_status_name((moire_status)j));
  }
  cr_assert_str_eq(moire_status_name((moire_status)1000), "unknown");
}

Test(status, fail_records_the_sentence_and_returns_the_status) {
  moire_error error = {0};
  cr_assert_eq(moire_fail(&error, MOIRE_ERROR_SHAPE, "%s: %d extents, want %d", "x", 3, 2), MOIRE_ERROR_SHAPE);
  cr_assert_eq(error.status, MOIRE_ERROR_SHAPE);
  cr_assert_str_eq(error.message, "x: 3 extents, want 2");
}

Test(status, the_first_failure_wins) {
  moire_error error = {0};
  moire_fail(&error, MOIRE_ERROR_IO, "first");
  cr_assert_eq(moire_fail(&error, MOIRE_ERROR_FORMAT, "second"), MOIRE_ERROR_FORMAT);
  cr_assert_eq(error.status, MOIRE_ERROR_IO);
  cr_assert_str_eq(error.message, "first");
}

Test(status, the_error_may_be_null) {
  cr_assert_eq(moire_fail(NULL, MOIRE_ERROR_TYPE, "%d", 1), MOIRE_ERROR_TYPE);
}

Test(status, a_sentence_longer_than_the_room_is_cut_and_terminated) {
  char longer[3000];
  memset(longer, 'a', sizeof longer - 1);
  longer[sizeof longer - 1] = 0;
  moire_error error = {0};
  moire_fail(&error, MOIRE_ERROR_ARGUMENT, "%s", longer);
  cr_assert_eq(strlen(error.message), sizeof error.message - 1);
}

Test(status, messages_hold_nothing_that_a_terminal_obeys) {
  moire_error error = {0};
  moire_fail(&error, MOIRE_ERROR_FORMAT, "%s",
             "a\033[31mb\rc\x7f\xc2\x9b"
             "2J\td\n\xc3\xa9");
  cr_assert_str_eq(error.message, "a?[31mb?c???2J\td\n\xc3\xa9");
}
