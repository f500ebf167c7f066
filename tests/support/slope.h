/* Gradients along a random direction of all trained states, held against a central difference of the loss. */
#ifndef MOIRE_TESTS_SUPPORT_SLOPE_H
#define MOIRE_TESTS_SUPPORT_SLOPE_H

#include "tests/support/judge.h"

/* The subject's options name the loss "loss" and keep gradients. Several steps are tried, since a loss may have
 * a kink near the point; one whose loss or gradient is not finite passes. False with a sentence in `why`. */
bool test_slope_agrees(const test_subject *s, const test_feed *feed, uint64_t seed, moire__text *why);

#endif
