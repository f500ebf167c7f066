/* Events of a training, as text or as lines of JSON. See log.h. */
#include "runtime/train/log.h"

#include "runtime/base/memory.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static moire__log_form form_now = MOIRE__LOG_TEXT;

void moire__log_set_form(moire__log_form form) { form_now = form; }

moire__log_form moire__log_get_form(void) { return form_now; }

void moire__log_add_string(moire__text *out, const char *text) {
  json_t *string = json_string(text);
  if (!string) {
    moire__text plain = {0};
    for (const char *c = text; *c; c++) moire__text_add_char(&plain, (unsigned char)*c < 0x80 ? *c : '?');
    string = json_string(moire__text_string(&plain));
    moire__text_free(&plain);
  }
  char *quoted = json_dumps(string, JSON_ENCODE_ANY);
  moire__text_add(out, "%s", quoted ? quoted : "\"\"");
  free(quoted);
  json_decref(string);
}

/* Owned (moire__release). */
static char *print_list(const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, again);
  va_end(again);
  char *out = moire__allocate(n > 0 ? (size_t)n + 1 : 1);
  if (n > 0) vsnprintf(out, (size_t)n + 1, format, args);
  return out;
}

void moire__log(const char *event, const char *fields, const char *format, ...) {
  if (form_now == MOIRE__LOG_NONE) return;
  moire__text line = {0};
  char *sentence = NULL;
  if (format) {
    va_list args;
    va_start(args, format);
    sentence = print_list(format, args);
    va_end(args);
  }
  if (form_now == MOIRE__LOG_TEXT) {
    if (sentence) moire__text_add(&line, "%s\n", sentence);
  } else {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    moire__text_add(&line, "{\"event\":\"%s\",\"time\":%lld.%03ld,", event, (long long)time.tv_sec,
                    time.tv_nsec / 1000000);
    if (fields) {
      moire__text_add(&line, "%s", fields);
    } else {
      moire__text_add(&line, "\"message\":");
      moire__log_add_string(&line, sentence ? sentence : "");
    }
    moire__text_add(&line, "}\n");
  }
  fputs(moire__text_string(&line), stderr);
  moire__release(sentence);
  moire__text_free(&line);
}
