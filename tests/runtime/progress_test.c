/* The progress line; an event a minute where there is no terminal. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include "runtime/train/log.h"
#include "runtime/train/progress.h"

#include <jansson.h>
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

/* As if the progress had begun 61 seconds ago. */
static moire__progress begun_a_minute_ago(void) {
  moire__progress p = moire__progress_start("epoch \"3\"", "step", 100);
  p.started -= 61;
  return p;
}

Test(progress, a_line_a_minute_without_a_terminal, .init = cr_redirect_stderr) {
  moire__progress p = begun_a_minute_ago();
  moire__progress_update(&p, 61, "loss %.1f", 7.1);
  moire__progress_update(&p, 62, "loss %.1f", 7.0);
  moire__progress_finish(&p);
  fflush(stderr);
  cr_assert_stderr_eq_str("epoch \"3\" 61/100  1 steps/s  0:39 left  loss 7.1\n");
}

Test(progress, nothing_is_told_where_nothing_is_wanted, .init = cr_redirect_stderr) {
  moire__log_set_form(MOIRE__LOG_NONE);
  moire__progress p = begun_a_minute_ago();
  moire__progress_update(&p, 61, "%s", "");
  moire__log("event", NULL, "a sentence");
  fflush(stderr);
  cr_assert_stderr_eq_str("");
}

static json_t *told(void) {
  char text[1000];
  fflush(stderr);
  FILE *file = cr_get_redirected_stderr();
  size_t n = fread(text, 1, sizeof text, file);
  json_t *event = json_loadb(text, n, 0, NULL);
  cr_assert(event, "no JSON: %.*s", (int)n, text);
  cr_assert_eq(text[n - 1], '\n');
  return event;
}

Test(progress, an_event_a_minute_for_machines, .init = cr_redirect_stderr) {
  moire__log_set_form(MOIRE__LOG_JSON);
  moire__progress p = begun_a_minute_ago();
  moire__progress_update(&p, 61, "loss %.1f", 7.1);
  json_t *event = told();
  cr_assert_str_eq(json_string_value(json_object_get(event, "event")), "progress");
  cr_assert_str_eq(json_string_value(json_object_get(event, "what")), "epoch \"3\"");
  cr_assert_eq(json_integer_value(json_object_get(event, "done")), 61);
  cr_assert_eq(json_integer_value(json_object_get(event, "total")), 100);
  cr_assert_float_eq(json_real_value(json_object_get(event, "seconds")), 61, 1);
  cr_assert_str_eq(json_string_value(json_object_get(event, "note")), "loss 7.1");
  json_decref(event);
}

Test(progress, sentences_of_any_bytes_are_json, .init = cr_redirect_stderr) {
  moire__log_set_form(MOIRE__LOG_JSON);
  moire__log("event", NULL, "a \"b\"\n%s", "caf\xe9\x01");
  json_t *event = told();
  cr_assert_str_eq(json_string_value(json_object_get(event, "message")), "a \"b\"\ncaf?\x01");
  json_decref(event);
}
