/* The progress line, and silence where there is no terminal. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include "runtime/train/progress.h"

#include <string.h>

static void line_of(moire__progress progress, int64_t done, double elapsed, const char *note, int columns,
                    const char *want) {
  moire__text line = {0};
  moire__progress_line(&progress, done, elapsed, note, columns, &line);
  cr_assert_str_eq(moire__text_string(&line), want);
  moire__text_free(&line);
}

Test(progress, the_line) {
  moire__progress p = {.unit = "step", .label = "epoch 3", .total = 100};
  line_of(p, 25, 5, "loss 7.1", 120,
          "epoch 3 [######..................] 25/100  5 steps/s  0:15 left  loss 7.1");
  line_of(p, 0, 0, "", 120, "epoch 3 [........................] 0/100");
  line_of(p, 100, 0.5, "", 120, "epoch 3 [########################] 100/100  200 steps/s");
  line_of(p, 1, 100, "", 120, "epoch 3 [........................] 1/100  0.01 steps/s  2:45:00 left");
  line_of(p, 25, 5, "loss 7.1", 20, "epoch 3 [######....");
  line_of(p, 25, 5, "loss 7.1", 0, "");
  p.total = 0;
  line_of(p, 25, 5, "", 120, "epoch 3 25  5 steps/s");
}

Test(progress, nothing_is_drawn_without_a_terminal, .init = cr_redirect_stderr) {
  moire__progress p =
      moire__progress_start("a label that is longer than what there is room for in the structure", "user", 10);
  for (int i = 0; i <= 10; i++) moire__progress_update(&p, i, "note %d", i);
  moire__progress_finish(&p);
  fflush(stderr);
  cr_assert_not(p.active);
  cr_assert_eq(strlen(p.label), sizeof p.label - 1);
  cr_assert_stderr_eq_str("");
}
