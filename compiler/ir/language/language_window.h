/* Windows of taps that move along an axis of a fixed extent, as convolutions and pooling see it. */
#ifndef MOIRE_COMPILER_IR_LANGUAGE_LANGUAGE_WINDOW_H
#define MOIRE_COMPILER_IR_LANGUAGE_LANGUAGE_WINDOW_H

#include "compiler/ir/language/language.h"

/* Tap r of place t is at t stride + r dilation - padding. */
typedef struct moire__window {
  int64_t taps, stride, padding, dilation;
  int64_t places; /* set by moire__window_fit */
} moire__window;

/* Sets `places`, at least 1, for an axis of x. What does not fit is recorded in the name of `what`: false. */
bool moire__window_fit(moire_source at, const char *what, moire_value x, int axis, moire__window *w);

/* Do the taps of all places, in order, follow each other without gaps or overlaps? */
bool moire__window_is_tiling(const moire__window *w);
/* x [.., n, ..] as [.., places, taps, ..] for such a window; what is beyond the ends is 0. */
moire_value moire__window_tile(moire_source at, moire_value x, int axis, const moire__window *w);

/* x with `filler` before and behind, so that moire__window_tap may take the taps of all places. */
moire_value moire__window_pad(moire_source at, moire_value x, int axis, const moire__window *w, double filler);
/* Tap r of all places: [.., places, ..] of what moire__window_pad gave. */
moire_value moire__window_tap(moire_source at, moire_value padded, int axis, const moire__window *w, int64_t r);

#endif
