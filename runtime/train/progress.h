/* Progress on stderr: a bar for people where stderr is a terminal, drawn at most ten times a second; elsewhere,
 * and for machines (runtime/train/log.h), an event of its own once a minute, so that logs of long epochs show
 * life.
 *
 *   moire__progress bar = moire__progress_start("epoch 3", "step", 101);
 *   for (...) moire__progress_update(&bar, done, "loss %.4f", loss);
 *   moire__progress_finish(&bar);
 */
#ifndef MOIRE_RUNTIME_TRAIN_PROGRESS_H
#define MOIRE_RUNTIME_TRAIN_PROGRESS_H

#include "runtime/base/text.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct moire__progress {
  bool active;  /* a bar is drawn: stderr is a terminal, and people read it */
  double every; /* seconds from one drawing or event to the next; 0: nothing is told */
  const char *unit;
  char label[64];
  int64_t total;
  double started, drawn; /* seconds of the monotonic clock */
} moire__progress;

/* `label` is copied (cut to fit), `unit` (singular, static) is borrowed. total <= 0 means not known. */
moire__progress moire__progress_start(const char *label, const char *unit, int64_t total);

/* Redraws with `done` units done and a note. Cheap when nothing is drawn. */
void moire__progress_update(moire__progress *progress, int64_t done, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Wipes the line, so that what is printed next starts on a clean one. */
void moire__progress_finish(moire__progress *progress);

/* The line that a terminal of `columns` columns would show after `elapsed` seconds: label, bar, count, rate,
 * time left, note. With columns < 0 there is no bar, and no limit. */
void moire__progress_line(const moire__progress *progress, int64_t done, double elapsed, const char *note,
                          int columns, moire__text *line);

#endif
