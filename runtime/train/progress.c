/* The progress bar. The line is made by a pure function; everything else decides when to draw it. */
#include "runtime/train/progress.h"

#include "runtime/train/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const double seconds_between_draws = 0.1, seconds_between_events = 60;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int terminal_columns(void) {
  struct winsize size;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col == 0 ? 80 : size.ws_col;
}

moire__progress moire__progress_start(const char *label, const char *unit, int64_t total) {
  moire__log_form form = moire__log_get_form();
  moire__progress progress = {
      .unit = unit, .total = total, .active = form == MOIRE__LOG_TEXT && isatty(STDERR_FILENO)};
  progress.every = progress.active           ? seconds_between_draws
                   : form != MOIRE__LOG_NONE ? seconds_between_events
                                             : 0;
  snprintf(progress.label, sizeof progress.label, "%s", label);
  progress.started = now();
  return progress;
}

static void add_duration(moire__text *line, double seconds) {
  long s = seconds < 359999 ? (long)(seconds + 0.5) : 359999;
  if (s >= 3600) {
    moire__text_add(line, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  } else {
    moire__text_add(line, "%ld:%02ld", s / 60, s % 60);
  }
}

static void add_bar(moire__text *line, double fraction) {
  enum { CELLS = 24 };
  int full = (int)(fraction * CELLS);
  moire__text_add_char(line, '[');
  for (int i = 0; i < CELLS; i++) moire__text_add_char(line, i < full ? '#' : '.');
  moire__text_add(line, "] ");
}

void moire__progress_line(const moire__progress *progress, int64_t done, double elapsed, const char *note,
                          int columns, moire__text *line) {
  int64_t total = progress->total;
  double rate = elapsed > 0 ? (double)done / elapsed : 0;
  size_t start = line->length;
  moire__text_add(line, "%s ", progress->label);
  if (total > 0) {
    double fraction = (double)done / (double)total;
    if (columns >= 0) add_bar(line, fraction < 1 ? fraction : 1);
    moire__text_add(line, "%jd/%jd", (intmax_t)done, (intmax_t)total);
  } else {
    moire__text_add(line, "%jd", (intmax_t)done);
  }
  if (rate > 0) moire__text_add(line, rate < 100 ? "  %.3g %ss/s" : "  %.0f %ss/s", rate, progress->unit);
  if (rate > 0 && total > done) {
    moire__text_add(line, "  ");
    add_duration(line, (double)(total - done) / rate);
    moire__text_add(line, " left");
  }
  if (*note) moire__text_add(line, "  %s", note);
  if (columns < 0) return;
  /* One column stays free: some terminals wrap when the last one is written. */
  size_t room = columns > 1 ? (size_t)columns - 1 : 0;
  if (line->length - start > room) {
    line->length = start + room;
    line->data[line->length] = 0;
  }
}

/* The event of progress where no bar is drawn. */
static void tell(const moire__progress *progress, int64_t done, double elapsed, const char *note) {
  moire__text line = {0}, fields = {0};
  moire__progress_line(progress, done, elapsed, note, -1, &line);
  moire__text_add(&fields, "\"what\":");
  moire__log_add_string(&fields, progress->label);
  moire__text_add(&fields, ",\"done\":%jd,\"total\":%jd,\"seconds\":%.1f,\"note\":", (intmax_t)done,
                  (intmax_t)progress->total, elapsed);
  moire__log_add_string(&fields, note);
  moire__log("progress", moire__text_string(&fields), "%s", moire__text_string(&line));
  moire__text_free(&line);
  moire__text_free(&fields);
}

void moire__progress_update(moire__progress *progress, int64_t done, const char *format, ...) {
  if (!(progress->every > 0)) return;
  double time = now(), last = progress->drawn > 0 || progress->active ? progress->drawn : progress->started;
  if (last > 0 && time - last < progress->every) return;
  progress->drawn = time;
  char note[128];
  va_list args;
  va_start(args, format);
  vsnprintf(note, sizeof note, format, args);
  va_end(args);
  if (!progress->active) {
    tell(progress, done, time - progress->started, note);
    return;
  }
  moire__text line = {0};
  moire__progress_line(progress, done, time - progress->started, note, terminal_columns(), &line);
  fprintf(stderr, "\r%s\033[K", moire__text_string(&line));
  fflush(stderr);
  moire__text_free(&line);
}

void moire__progress_finish(moire__progress *progress) {
  if (!progress->active || !(progress->drawn > 0)) return;
  fputs("\r\033[K", stderr);
  fflush(stderr);
}
